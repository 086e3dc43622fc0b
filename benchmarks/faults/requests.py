"""HTTP clients that are slow, or send too much."""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import suppress

from benchmarks.checks import Check
from benchmarks.faults.peers import Racer, Watcher, a_point, connected, health_ms, read_to_end
from benchmarks.server import serving

_SLOW = {
    "a head": (b"GET /api/health HTTP/1.1\r\nHost: x\r\nX: ", True),
    "a body": (b"POST /api/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n", True),
    "a handshake": (b"GET /ws/realtime HTTP/1.1\r\nHost: x\r\nX: ", True),
    "nothing": (b"", False),
}
_MIB = 1 << 20


def slow_senders(quick: bool) -> list[Check]:
    """Four hundred senders that drip a byte every half second, or send nothing."""
    each, deadline_s = (10, 3.0) if quick else (100, 15.0)
    with serving(REQUEST_SECONDS=str(deadline_s)) as server, Watcher(server.port) as watcher:
        before_mb = server.rss_mb()
        selector = selectors.DefaultSelector()
        began = time.monotonic()
        for first, drips in list(_SLOW.values()) * each:
            peer = connected(server.port)
            peer.sendall(first)
            peer.setblocking(False)
            selector.register(peer, selectors.EVENT_READ, drips)
        asked_ms: list[float] = []
        with Racer(server.udp_port) as racer:
            cut_s = _drip(selector, began + deadline_s + 6, server.port, asked_ms)
            sent = racer.stop()
        time.sleep(0.5)
        left = len(selector.get_map())
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        return [
            Check("cut", 4 * each - left, "≥", 4 * each),
            Check("the last of them after, s", max(cut_s, default=0.0) - began, "≤", deadline_s + 3),
            Check("growth, MiB", (server.rss_mb() - before_mb) * 1e6 / _MIB, "<", 16),
            Check("health meanwhile, at most ms", max(asked_ms), "<", 500),
            Check("points lost", sent - len(watcher.points), "≤", 0),
        ]


def _drip(selector: selectors.BaseSelector, end: float, port: int, asked_ms: list[float]) -> list[float]:
    """Send a byte each every half second until all are cut; when each was."""
    cut: list[float] = []
    while selector.get_map() and time.monotonic() < end:
        turn = time.monotonic() + 0.5
        for key in list(selector.get_map().values()):
            peer: socket.socket = key.fileobj  # type: ignore[assignment]
            gone = False
            try:
                if key.data:
                    peer.send(b"x")
            except OSError:
                gone = True
            if not gone:
                try:
                    gone = peer.recv(4096) == b""
                except BlockingIOError:
                    pass
                except OSError:
                    gone = True
            if gone:
                cut.append(time.monotonic())
                selector.unregister(peer)
                peer.close()
        asked_ms.append(health_ms(port))
        time.sleep(max(turn - time.monotonic(), 0))
    return cut


def large_bodies(quick: bool) -> list[Check]:
    """Bodies of 64 MiB, announced and not, one after the other."""
    count = 3 if quick else 10
    with serving() as server:
        health_ms(server.port)
        before_mb = server.rss_mb()
        answered = most_mb = 0.0
        for n in range(2 * count):
            peer = connected(server.port)
            head = b"POST /api/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            piece = b"x" * _MIB
            if n % 2:
                head += b"Transfer-Encoding: chunked\r\n\r\n"
                piece = b"%x\r\n%b\r\n" % (_MIB, piece)
            else:
                head += b"Content-Length: %d\r\n\r\n" % (64 * _MIB)
            with suppress(OSError):
                peer.sendall(head)
                for _ in range(64):
                    peer.sendall(piece)
                    most_mb = max(most_mb, server.rss_mb())
            with suppress(OSError):
                answered += read_to_end(peer).startswith(b"HTTP/1.1 413 ")
            peer.close()
        return [
            Check("answered 413", answered, "≥", 2 * count),
            # One body up to MAX_BODY, and what the allocator keeps of it.
            Check("growth, at most MiB", (most_mb - before_mb) * 1e6 / _MIB, "<", 32),
            Check("health afterwards, ms", health_ms(server.port), "<", 500),
        ]


def half_bodies(quick: bool) -> list[Check]:
    """Bodies just under MAX_BODY that are never finished, many at a time."""
    count = 30 if quick else 200
    with serving() as server, Watcher(server.port) as watcher, Racer(server.udp_port) as racer:
        before_mb = server.rss_mb()
        body = b"x" * (8 * _MIB - 2)
        peers = []
        for _ in range(count):
            peer = connected(server.port)
            with suppress(OSError):
                peer.sendall(b"POST /api/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (8 * _MIB - 1))
                peer.sendall(body)
            peers.append(peer)
        grown = (server.rss_mb() - before_mb) * 1e6 / _MIB
        asked_ms = health_ms(server.port)
        posted = _post(server.port, a_point(0))
        for peer in peers:
            peer.close()
        sent = racer.stop() + posted
        time.sleep(0.5)
        return [
            Check("growth, MiB", grown, "<", 160),
            Check("health meanwhile, ms", asked_ms, "<", 500),
            Check("single points taken meanwhile", posted, "≥", 1),
            Check("points lost", sent - len(watcher.points), "≤", 0),
        ]


def unread_answers(quick: bool) -> list[Check]:
    """Clients that ask for all recent points and never read them."""
    count = 100 if quick else 400
    with serving() as server, Watcher(server.port) as watcher, Racer(server.udp_port) as racer:
        for _ in range(50):
            _post(server.port, b"[%b]" % b",".join(a_point(n)[:-1] + b',"x":"%b"}' % (b"x" * 1000) for n in range(100)))
        before_mb = server.rss_mb()
        peers = []
        for _ in range(count):
            peer = connected(server.port, 4096)
            peer.sendall(b"GET /api/recent/5000 HTTP/1.1\r\nHost: x\r\n\r\n")
            peers.append(peer)
        time.sleep(1)
        grown = (server.rss_mb() - before_mb) * 1e6 / _MIB
        asked_ms = health_ms(server.port)
        posted = _post(server.port, a_point(0))
        for peer in peers:
            peer.close()
        sent = racer.stop() + posted + 5000
        time.sleep(0.5)
        return [
            Check("growth, MiB", grown, "<", 192),
            Check("health meanwhile, ms", asked_ms, "<", 500),
            Check("single points taken meanwhile", posted, "≥", 1),
            Check("points lost", sent - len(watcher.points), "≤", 0),
        ]


def _post(port: int, body: bytes) -> int:
    """How many posts were taken: 1 or 0."""
    with suppress(OSError), connected(port) as peer:
        head = b"POST /api/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        peer.sendall(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))
        return int(peer.recv(4096).startswith(b"HTTP/1.1 200 "))
    return 0
