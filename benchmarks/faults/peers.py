"""The other side of a server: those who behave, and those who do not."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from benchmarks.load import split_frames

_HANDSHAKE = (
    b"GET /ws/realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_MIB = 1 << 20


def connected(port: int, receive_buffer: int | None = None) -> socket.socket:
    """A connection."""
    peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    peer.settimeout(20)
    peer.connect(("127.0.0.1", port))
    return peer


def joined(port: int, receive_buffer: int | None = None) -> socket.socket:
    """A WebSocket client past its handshake; what came behind that is thrown away."""
    peer = connected(port, receive_buffer)
    peer.sendall(_HANDSHAKE)
    held = b""
    while b"\r\n\r\n" not in held:
        part = peer.recv(4096)
        if not part:
            raise ConnectionError("no handshake")
        held += part
    return peer


def masked(payload: bytes, opcode: int = 1, fin: bool = True) -> bytes:
    """A short frame of a client, under a mask of zeros."""
    size = bytes((0x80 | len(payload),)) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes(((fin << 7) | opcode,)) + size + bytes(4) + payload


def read_to_end(peer: socket.socket, within_s: float = 20.0) -> bytes:
    """What comes until the connection ends; raises TimeoutError when it does not."""
    peer.settimeout(within_s)
    held = b""
    with suppress(ConnectionError):
        while part := peer.recv(65536):
            held += part
    return held


def close_code(sent: bytes) -> int | None:
    """The code of the close frame at the end of what a server sent."""
    codes = [int.from_bytes(payload[:2], "big") for opcode, payload in split_frames(sent)[0] if opcode == 8]
    return codes[-1] if codes else None


class Watcher:
    """
    A client that reads all there is, in a thread: nobody else's doings may cost it anything.

    Args:
        port: of the server.
        counts: whether it only counts the points, and keeps none.
    """

    def __init__(self, port: int, counts: bool = False) -> None:
        self.count = 0
        self._counts = counts
        self.points: list[dict[str, Any]] = []
        self.insights_at: list[float] = []
        self.missed = 0
        self.close_code: int | None = None
        self._last: int | None = None
        self._socket = joined(port)
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()

    def _read(self) -> None:
        held = b""
        with suppress(OSError):
            while part := self._socket.recv(_MIB):
                frames, held = split_frames(held + part)
                for opcode, payload in frames:
                    self._take(opcode, payload)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self._socket.sendall(masked(payload, 10))
        elif opcode == 8:
            self.close_code = int.from_bytes(payload[:2], "big")
            self._socket.sendall(masked(payload[:2], 8))
        elif opcode == 1:
            message = json.loads(payload)
            if message["type"] == "insight_update":
                self.insights_at.append(time.monotonic())
            elif message["type"] == "telemetry_update":
                if self._last is not None:
                    self.missed += message["prev"] - self._last
                self._last = message["seq"]
                self.count += len(message["data"])
                if not self._counts:
                    self.points += message["data"]


class Racer:
    """A car that sends points by UDP at a rate, in a thread, until it is told to stop."""

    def __init__(self, udp_port: int, rate: float = 500.0, cars: int = 4) -> None:
        self.sent = 0
        self._rate, self._cars = rate, cars
        self._going = True
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", udp_port))
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def __enter__(self) -> Racer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Stop; returns how many points were sent."""
        self._going = False
        self._thread.join(5)
        self._socket.close()
        return self.sent

    def _send(self) -> None:
        began = time.monotonic()
        while self._going:
            due = int((time.monotonic() - began) * self._rate)
            while self.sent < due:
                self._socket.send(a_point(self.sent, self._cars))
                self.sent += 1
            time.sleep(0.004)


def a_point(number: int, cars: int = 4) -> bytes:
    """A good point, which tells its number."""
    return (
        b'{"track":"road_america","chassis":"good-%d","lap":%d,"lapdist_m":%d,"speed_kmh":141.5,"accx_can":0.1,"n":%d}'
        % (number % cars, 1 + number // 60_000, number // 10 % 6000, number)
    )


def health_ms(port: int) -> float:
    """How long health takes to answer, be it well or not [ms]."""
    began = time.monotonic()
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/health", timeout=20) as answer:
            answer.read()
    except HTTPError as error:
        error.close()
    return (time.monotonic() - began) * 1000


def until(true: Callable[[], Any], within_s: float) -> float:
    """How long it takes until it is true; infinity when it is not in time [s]."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > within_s:
            return float("inf")
        time.sleep(0.01)
    return time.monotonic() - began
