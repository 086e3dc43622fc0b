"""A relay between a client and a server that cuts what the server sends into other segments."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle

#: How long the server must be quiet before what came is passed on as one [s].
_QUIET_S = 0.1


def as_it_comes(data: bytes) -> Iterator[bytes]:
    """What was read at once is sent at once."""
    yield data


def in_pieces(data: bytes) -> Iterator[bytes]:
    """The first octets each for itself, so that the heads of small frames are cut; then pieces of odd sizes."""
    start = 0
    for size in cycle((1,) * 40 + (2, 3, 5, 7, 4093, 1449, 8191)):
        if start >= len(data):
            return
        yield data[start : start + size]
        start += size


class Relay:
    """
    Listens at ``port`` and passes all on to a server.

    Args:
        server_port: the server's.
        cut: how what the server sends is cut.
        together: what comes is held back until nothing more does.
    """

    def __init__(self, server_port: int, cut: Callable[[bytes], Iterator[bytes]], together: bool = False) -> None:
        self._server_port = server_port
        self._cut = cut
        self._together = together
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        #: What the server has sent on each connection.
        self.sent: list[bytearray] = []
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End it, and all connections through it."""
        self._listening.close()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [client, server]
                self.sent.append(bytearray())
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
                threading.Thread(target=self._cut_anew, args=(server, client, self.sent[-1]), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _cut_anew(self, server: socket.socket, client: socket.socket, sent: bytearray) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                sent += data
                if self._together:
                    server.settimeout(_QUIET_S)
                    with suppress(TimeoutError):
                        while more := server.recv(65536):
                            sent += more
                            data += more
                    server.settimeout(None)
                for piece in self._cut(data):
                    client.sendall(piece)
                    if len(piece) < 10:
                        time.sleep(0.0002)  # so that the next is a segment of its own
            client.shutdown(socket.SHUT_WR)


@contextmanager
def relaying(server_port: int, cut: Callable[[bytes], Iterator[bytes]], together: bool = False) -> Iterator[Relay]:
    """A relay that ends with the block."""
    relay = Relay(server_port, cut, together)
    try:
        yield relay
    finally:
        relay.close()
