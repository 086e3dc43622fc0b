"""WebSocket clients that do nothing, too much, or do not read."""

from __future__ import annotations

import resource
import signal
import socket
import time
from contextlib import suppress

from benchmarks.checks import Check
from benchmarks.faults.peers import Racer, Watcher, close_code, joined, masked
from benchmarks.server import BenchServer, serving

_KIB, _MIB = 1 << 10, 1 << 20


def _grown_mib(server: BenchServer, before_mb: float) -> float:
    return (server.rss_mb() - before_mb) * 1e6 / _MIB


def _flood(port: int, clients: int, first: bytes, again: bytes) -> list[int | None]:
    """Clients that send this, and then that again and again until they are told to go; their close codes."""
    codes: list[int | None] = []
    for _ in range(clients):
        peer = joined(port)
        peer.sendall(first)
        peer.setblocking(False)
        held, unsent = b"", b""
        end = time.monotonic() + 5
        while time.monotonic() < end and close_code(held) is None:
            unsent = unsent or again
            with suppress(BlockingIOError):
                unsent = unsent[peer.send(unsent) :]
            with suppress(BlockingIOError):
                held += peer.recv(65536)
        codes.append(close_code(held))
        peer.close()
    return codes


def endless_fragments(quick: bool) -> list[Check]:
    """Messages that never end, in empty frames and in small ones."""
    clients = 3 if quick else 10
    with serving() as server, Watcher(server.port) as watcher, Racer(server.udp_port) as racer:
        before_mb = server.rss_mb()
        codes = []
        for payload in (b"", b"x"):
            codes += _flood(
                server.port, clients, masked(payload, fin=False), masked(payload, opcode=0, fin=False) * 500
            )
        grown = _grown_mib(server, before_mb)
        sent = racer.stop()
        time.sleep(0.5)
        return [
            Check("closed by 1009", codes.count(1009), "≥", 2 * clients),
            Check("growth, MiB", grown, "<", 16),
            Check("points lost to others", sent - len(watcher.points), "≤", 0),
        ]


def ping_flood(quick: bool) -> list[Check]:
    """Clients that send pings, and others that send messages, as fast as they can."""
    clients = 3 if quick else 20
    with serving() as server, Watcher(server.port) as watcher, Racer(server.udp_port) as racer:
        before_mb = server.rss_mb()
        codes = _flood(server.port, clients, b"", masked(b"x" * 125, 9) * 200)
        codes += _flood(server.port, clients, b"", masked(b'{"type":"subscribe"}') * 200)
        grown = _grown_mib(server, before_mb)
        sent = racer.stop()
        time.sleep(0.5)
        return [
            Check("closed by 1008", codes.count(1008), "≥", 2 * clients),
            Check("growth, MiB", grown, "<", 16),
            Check("points lost to others", sent - len(watcher.points), "≤", 0),
        ]


def idle_clients(quick: bool) -> list[Check]:
    """Two thousand clients that do nothing."""
    clients = 300 if quick else 2000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1 << 16), hard))
    with serving() as server:
        for _ in range(20):
            joined(server.port).close()
        time.sleep(0.5)
        before_mb = server.rss_mb()
        peers = [joined(server.port) for _ in range(clients)]
        time.sleep(1)
        each_kib = (server.rss_mb() - before_mb) * 1e6 / clients / _KIB
        before_s, began = server.cpu_s(), time.monotonic()
        time.sleep(2 if quick else 5)
        cores = (server.cpu_s() - before_s) / (time.monotonic() - began)
        there = server.health()["metrics"]["wsClients"]
        for peer in peers:
            peer.close()
        return [
            Check("there", there, "≥", clients),
            Check("each, KiB", each_kib, "<", 25),
            Check("cores", cores, "<", 0.1),
        ]


def unread(quick: bool) -> list[Check]:
    """Twenty clients that never read, while others do; then the end."""
    seconds = 5 if quick else 20
    with serving() as server, Watcher(server.port) as watcher:
        with Racer(server.udp_port, 2000) as racer:
            time.sleep(1)
            before_mb = server.rss_mb()
            peers: list[socket.socket] = [joined(server.port, 4096) for _ in range(20)]
            time.sleep(seconds)
            grown = _grown_mib(server, before_mb)
            sent = racer.stop()
        time.sleep(0.5)
        lost = sent - len(watcher.points)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)
        took_s = time.monotonic() - began
        for peer in peers:
            peer.close()
        return [
            # The ring fills meanwhile as well.
            Check("growth, MiB", grown, "<", 48),
            Check("points lost to the one that reads", lost, "≤", 0),
            Check("end by SIGTERM, s", took_s, "<", 5),
            Check("its close code to the one that reads", watcher.close_code or 0, "≥", 1001),
        ]
