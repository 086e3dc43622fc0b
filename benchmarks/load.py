"""
The load, each kind in a process of its own: ``python -m benchmarks.load udp|fan|http …``; prints one JSON line.

Every point carries ``ts``, the sender's monotonic clock [µs], by which the fan of
WebSocket clients knows how long it took; what was lost it knows by ``seq`` and ``prev``.
"""

from __future__ import annotations

import argparse
import json
import re
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any

_POINT = (
    b'{"meta_time":"2025-09-06T18:%02d:%02d.%03dZ","track":"road_america","chassis":"GR86-%03d","lap":%d,'
    b'"lapdist_m":%d.5,"speed_kmh":161.5,"accx_can":0.213,"accy_can":-1.034,"Steering_Angle":-34.5,"pbrake_f":0.0,'
    b'"rpm":6120,"n":%d,"ts":%d}'
)
_CSV = b"2025-09-06T18:%02d:%02d.%03dZ,road_america,GR86-%03d,%d,%d.5,161.5,0.213,-1.034,-34.5,0.0,6120"
_BAD = (b"nope", b'{"lap":1}', b'{"track":1}', b"\xff\xfe", b"a,b,c")
_NUMBERS = re.compile(rb'"seq":(\d+),"prev":(\d+)')
_CONFLATED = re.compile(rb'"conflated":(\d+)')
_STAMPS = re.compile(rb'"ts":(\d+)')
_KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
#: The clients whose every point is timed; the others only count.
_TIMED_CLIENTS = 20


def fields(number: int, cars: int = 30) -> tuple[int, ...]:
    """What differs from point to point: minute, second, millisecond, car, lap, distance."""
    at_ms = number // cars * 50
    return (
        at_ms // 60_000 % 60,
        at_ms // 1000 % 60,
        at_ms % 1000,
        number % cars,
        1 + number // 60_000,
        number // 10 % 6000,
    )


def a_point(number: int) -> bytes:
    """A point as JSON, stamped now."""
    return _POINT % (*fields(number), number, time.monotonic_ns() // 1000)


def send_udp(port: int, rate: float, seconds: float, form: str, bad_share: float) -> dict[str, Any]:
    """Send datagrams at a rate, or as fast as they go where it is 0; ``form`` is json, csv or array (of 20 points)."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(("127.0.0.1", port))
    sent = points = bad = 0
    started = time.monotonic()
    while (now := time.monotonic() - started) < seconds:
        due = int(now * rate) + 1 if rate else sent + 64
        if due <= sent:
            time.sleep(min(0.001, (sent + 1) / rate - now))
            continue
        for _ in range(min(due - sent, 256)):
            sent += 1
            if bad_share and sent % round(1 / bad_share) == 0:
                bad += 1
                sender.send(_BAD[bad % len(_BAD)])
            elif form == "array":
                sender.send(b"[%b]" % b",".join(a_point(points + index) for index in range(20)))
                points += 20
            else:
                sender.send(a_point(points) if form == "json" else _CSV % fields(points))
                points += 1
    took = time.monotonic() - started
    return {"datagrams": sent, "points": points, "bad": bad, "seconds": took, "rate": sent / took}


class Client:
    """One WebSocket client: frames in, counts out."""

    def __init__(self, port: int, timed: bool, receive_buffer: int | None, query: str = "") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(
            b"GET /ws/realtime%b HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\n\r\n" % (query.encode(), _KEY)
        )
        self.held = b""
        while b"\r\n\r\n" not in self.held:
            self.held += self.socket.recv(4096)
        self.held = self.held.partition(b"\r\n\r\n")[2]
        self.socket.setblocking(False)
        self.timed = timed
        self.messages = self.points = self.missed = self.conflated = self.bytes = 0
        self.closed = False
        self._last_seq: int | None = None
        self.latencies_us: list[int] = []

    def read(self) -> None:
        """Take what has come."""
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return
        self.bytes += len(data)
        payloads, self.held = split_frames(self.held + data)
        for opcode, payload in payloads:
            if opcode == 9:
                self.socket.send(b"\x8a%c\0\0\0\0%b" % (0x80 | len(payload), payload))
            elif opcode == 8:
                self.closed = True
            elif opcode == 1:
                self._note(payload)

    def _note(self, payload: bytes) -> None:
        if not payload.startswith(b'{"type":"telemetry_update"'):
            return
        now = time.monotonic_ns() // 1000
        found = _NUMBERS.search(payload, 0, 200)
        assert found is not None
        seq, prev = int(found[1]), int(found[2])
        self.messages += 1
        self.points += seq - prev
        if self._last_seq is not None:
            self.missed += prev - self._last_seq
        self._last_seq = seq
        conflated = _CONFLATED.search(payload, 0, 200)
        self.conflated += int(conflated[1]) if conflated else 0
        if self.timed:
            self.latencies_us += [now - int(stamp) for stamp in _STAMPS.findall(payload)]


def split_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole unmasked frames at the start of some bytes, as (opcode, payload), and the bytes behind them."""
    frames = []
    start = 0
    while len(data) - start >= 2:
        length, head = data[start + 1] & 0x7F, 2
        if length > 125:
            head = 4 if length == 126 else 10
            if len(data) - start < head:
                break
            length = int.from_bytes(data[start + 2 : start + head], "big")
        end = start + head + length
        if len(data) < end:
            break
        frames.append((data[start] & 0x0F, data[start + head : end]))
        start = end
    return frames, data[start:]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that a share of them does not exceed (nearest rank); NaN without values."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


def a_subscription(number: int) -> str:
    """
    The query of one of fifty subscriptions.

    Three cars of thirty in ten ways: all of their points, or two channels of them, or ten times a second,
    or both; and ten rates for the whole field.
    """
    kind, group = divmod(number % 50, 10)
    if kind == 4:
        return f"?max_hz={group + 1}"
    cars = ",".join(f"GR86-{car:03}" for car in range(group * 3, group * 3 + 3))
    return f"?chassis={cars}" + ("&channels=speed_kmh,ts" if kind & 1 else "") + ("&max_hz=10" if kind & 2 else "")


def fan(
    port: int, clients: int, seconds: float, frozen: int, freeze_s: float, subscriptions: bool = False
) -> dict[str, Any]:
    """Clients that watch; the last ``frozen`` of them stop reading after 5 s, for ``freeze_s``."""
    all_clients = [
        Client(
            port,
            index < _TIMED_CLIENTS,
            65_536 if index >= clients - frozen else None,
            a_subscription(index) if subscriptions else "",
        )
        for index in range(clients)
    ]
    healthy, cold = all_clients[: clients - frozen], all_clients[clients - frozen :]
    selector = selectors.DefaultSelector()
    for client in all_clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    print(json.dumps({"ready": clients}), flush=True)
    started = time.monotonic()
    reading = True
    while (now := time.monotonic() - started) < seconds:
        thaw = not 5 <= now < 5 + freeze_s
        if cold and thaw != reading:
            reading = thaw
            for client in cold:
                if thaw:
                    selector.register(client.socket, selectors.EVENT_READ, client)
                else:
                    selector.unregister(client.socket)
        for key, _ in selector.select(0.05):
            key.data.read()
            if key.data.closed:
                selector.unregister(key.fileobj)
    latencies = [latency for client in healthy for latency in client.latencies_us]
    return {
        "messages": sum(client.messages for client in healthy),
        "points_least": min(client.points for client in healthy),
        "bytes": sum(client.bytes for client in healthy),
        "missed": sum(client.missed for client in healthy),
        "closed": sum(client.closed for client in healthy),
        "frozen_missed": sum(client.missed for client in cold),
        "frozen_conflated": sum(client.conflated for client in cold),
        "frozen_closed": sum(client.closed for client in cold),
        "p50_ms": percentile(latencies, 0.5) / 1000,
        "p99_ms": percentile(latencies, 0.99) / 1000,
        "max_ms": percentile(latencies, 1.0) / 1000,
    }


def post_http(port: int, batch: int, connections: int, seconds: float) -> dict[str, Any]:
    """Post batches one after the other on each of some connections."""
    selector = selectors.DefaultSelector()
    requests = refused = 0
    body = b",".join(a_point(index) for index in range(batch))
    if batch > 1:
        body = b"[%b]" % body
    request = (
        b"POST /api/ingest HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    open_sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    for connection in open_sockets:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, connection)
        connection.sendall(request)
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        for key, _ in selector.select(1):
            answer = key.data.recv(65_536)
            if not answer.startswith(b"HTTP/1.1 200"):
                refused += 1
            requests += 1
            key.data.sendall(request)
    took = time.monotonic() - started
    return {"requests": requests, "refused": refused, "requests_per_s": requests / took, "points": requests * batch}


def main(arguments: Sequence[str]) -> None:
    """Run one kind of load."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("udp", "fan", "http"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--form", choices=("json", "csv", "array"), default="json")
    parser.add_argument("--bad-share", type=float, default=0)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--frozen", type=int, default=0)
    parser.add_argument("--freeze-s", type=float, default=0)
    parser.add_argument("--subscriptions", action="store_true")
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=4)
    given = parser.parse_args(arguments)
    if given.kind == "udp":
        result = send_udp(given.port, given.rate, given.seconds, given.form, given.bad_share)
    elif given.kind == "fan":
        result = fan(given.port, given.clients, given.seconds, given.frozen, given.freeze_s, given.subscriptions)
    else:
        result = post_http(given.port, given.batch, given.connections, given.seconds)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
