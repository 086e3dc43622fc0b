"""
The UDP door: every datagram becomes points in the hub, or is counted as refused.

Nothing is answered and nothing is logged per datagram. The socket is drained in
one go and then left alone for 2 ms, which costs a sixth of a wake-up for each
datagram; its kernel buffer holds what comes meanwhile.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet import udp
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from pitwall.hub import Hub
from pitwall.wire.points import PointDecoder
from pitwall.wire.text import decode_datagrams

#: The largest datagram IPv4 carries.
MAX_DATAGRAM = 65507
#: Datagrams and bytes taken in one go; then other sockets get their turn.
DRAIN_DATAGRAMS = 1024
DRAIN_BYTES = 4 << 20
#: How long a drained socket is left alone [s].
PAUSE_S = 0.002
#: What is asked of the kernel for the socket [bytes]; what it grants is logged.
WANTED_BUFFER = 32 << 20

_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")


class TelemetryProtocol(DatagramProtocol):
    """Each datagram becomes points in the hub; noise is counted, not logged."""

    def __init__(self, hub: Hub, decoder: PointDecoder, clock: IReactorTime) -> None:
        self._hub = hub
        self._decoder = decoder
        self._clock = clock

    def datagramsReceived(self, datagrams: Sequence[bytes]) -> None:
        """All that one drain of the socket brought, oldest first."""
        received_at = self._clock.seconds()
        decoded = decode_datagrams(self._decoder, datagrams, received_at)
        for refusal in decoded.refused:
            self._hub.refuse("udp", refusal.error.reason)
        self._hub.publish("udp", decoded.points, decoded.raws, received_at)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """One datagram, when the port is one of Twisted's own."""
        self.datagramsReceived([datagram])


class DrainingPort(udp.Port):
    """
    A UDP port on a socket that is bound already, read in drains.

    Args:
        bound: a bound, non-blocking datagram socket; closed with the port.
        protocol: is handed lists of datagrams.
        reactor: reads and waits.
    """

    log = Logger()
    reactor: Any
    _preexistingSocket: Any

    def __init__(self, bound: socket.socket, protocol: TelemetryProtocol, reactor: Any) -> None:
        address, port = bound.getsockname()[:2]
        super().__init__(port, protocol, address, MAX_DATAGRAM, reactor)
        self._preexistingSocket = bound
        self._pause: IDelayedCall | None = None

    def doRead(self) -> None:
        """Take what has come, up to the caps; then leave the socket alone for a while."""
        recv = self.socket.recv
        datagrams: list[bytes] = []
        take = datagrams.append
        size = 0
        try:
            while len(datagrams) < DRAIN_DATAGRAMS and size < DRAIN_BYTES:
                for _ in range(64):
                    take(recv(MAX_DATAGRAM))
                size = sum(map(len, datagrams))
        except BlockingIOError:
            self._rest()
        except OSError:  # an ICMP answer to a socket of an earlier life; the next read tells if there is more
            self._rest()
        if datagrams:
            try:
                self.protocol.datagramsReceived(datagrams)
            except Exception:
                # The reactor would close the port for it.
                self.log.failure("{count} datagrams were lost to a fault", count=len(datagrams))

    def stopListening(self) -> Any:
        """Take what is still in the socket, then close it."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self.connected:
            self.doRead()
            if self._pause is not None:
                self._pause.cancel()
                self._pause = None
        return super().stopListening()

    def _rest(self) -> None:
        self.stopReading()
        self._pause = self.reactor.callLater(PAUSE_S, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self.startReading()


class TelemetryPortService(Service):
    """Reads a bound UDP socket from start to stop."""

    log = Logger()

    def __init__(self, bound: socket.socket, protocol: TelemetryProtocol, reactor: Any) -> None:
        self._socket = bound
        self._port = DrainingPort(bound, protocol, reactor)

    def privilegedStartService(self) -> None:
        """Start to read; the socket was bound before twistd became a daemon."""
        super().privilegedStartService()
        granted = grow_buffer(self._socket)
        self.log.info(
            "UDP port {port}, kernel buffer {granted} bytes", port=self._socket.getsockname()[1], granted=granted
        )
        self._port.startListening()

    def stopService(self) -> Any:
        """Take the last datagrams in and close the socket."""
        super().stopService()
        return self._port.stopListening()

    @property
    def open(self) -> bool:
        """Whether datagrams are taken."""
        return bool(self._port.connected)

    def kernel_drops(self) -> int:
        """Datagrams the kernel had no room for, since the socket was bound."""
        return kernel_drops(self._socket) if self.open else 0


def grow_buffer(bound: socket.socket) -> int:
    """Ask for a large receive buffer, beyond the system's limit where we may; returns what was granted [bytes]."""
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            bound.setsockopt(socket.SOL_SOCKET, option, WANTED_BUFFER)
            break
        except OSError:
            continue
    return bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def kernel_drops(bound: socket.socket) -> int:
    """Datagrams dropped for want of room in the socket's buffer (SO_MEMINFO, its ninth word)."""
    try:
        return int(_MEMINFO.unpack(bound.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[8])
    except (OSError, struct.error):
        return 0
