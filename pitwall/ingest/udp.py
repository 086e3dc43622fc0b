"""
The UDP door: every datagram becomes points in the hub, or is counted as refused.

Nothing is answered and nothing is logged per datagram. The socket is drained in
one go and then left alone for a few milliseconds, which costs a sixth of a
wake-up for each datagram; its kernel buffer holds what comes meanwhile. While
datagrams keep coming the socket is looked at by a timer; only a socket that was
found empty waits for the reactor to say that it is readable.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet import udp
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from pitwall.intake import LiveIntake
from pitwall.senders import Senders
from pitwall.wire.errors import WireError
from pitwall.wire.signed import Seal

#: The largest datagram IPv4 carries.
MAX_DATAGRAM = 65507
#: Datagrams and bytes taken in one go; then other sockets get their turn.
DRAIN_DATAGRAMS = 1024
DRAIN_BYTES = 1 << 20
#: How often at the end: what a full buffer holds, but a sender that goes on must not hold the end back.
_LAST_DRAINS = 64
#: How long a drained socket is left alone when much comes, or little room is there [s].
SHORT_PAUSE_S = 0.002
#: Up to so many datagrams are little: the pause is then as long as the time between telemetry messages.
_FEW = 64
#: A kernel buffer from which such a pause is safe [bytes]; a small one is full after 166 datagrams.
_ROOMY = 4 << 20
#: What is asked of the kernel for the socket [bytes]; what it grants is logged.
WANTED_BUFFER = 32 << 20

_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")


class TelemetryProtocol(DatagramProtocol):
    """
    Each datagram becomes points in the hub; noise is counted, not logged.

    Args:
        intake: takes the points.
        seal: gives what datagrams are signed by now; None where they are not.
    """

    def __init__(self, intake: LiveIntake, seal: Callable[[], Seal | None] = lambda: None) -> None:
        self._intake = intake
        self._seal = seal

    def datagramsReceived(self, datagrams: Sequence[bytes]) -> None:
        """All that one drain of the socket brought, oldest first."""
        intake = self._intake
        received_at = intake.seconds()
        seal = self._seal()
        if seal is not None:
            datagrams = self._opened(seal, datagrams)
        intake.take(intake.decoder.datagrams(datagrams, received_at), received_at)

    def _opened(self, seal: Seal, datagrams: Sequence[bytes]) -> list[bytes]:
        """What is in those that are signed rightly."""
        found = []
        for datagram in datagrams:
            try:
                found.append(seal.opened(datagram))
            except WireError as error:
                self._intake.turn_away(error.reason)
        return found

    def turn_away(self, reason: str) -> None:
        """A datagram is refused for its sender."""
        self._intake.turn_away(reason)

    def stopProtocol(self) -> None:
        """Nothing more comes: what waits for the rest of its instant goes as it is."""
        self._intake.flush()

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
        senders: who may send; None where nobody asks, for asking costs.
    """

    log = Logger()
    reactor: Any
    _preexistingSocket: Any

    def __init__(
        self, bound: socket.socket, protocol: TelemetryProtocol, reactor: Any, senders: Senders | None = None
    ) -> None:
        address, port = bound.getsockname()[:2]
        super().__init__(port, protocol, address, MAX_DATAGRAM, reactor)
        self._preexistingSocket = bound
        self._senders = senders
        self._pause: IDelayedCall | None = None
        self._turned_away = 0
        self._idle = True  # nothing came lately: the reactor watches the socket
        #: How long a socket that brought little is left alone [s].
        self.pause_s = SHORT_PAUSE_S

    def doRead(self) -> None:
        """The reactor found something in the socket."""
        self._drain()

    def stopListening(self) -> Any:
        """Take what is still in the socket, then close it."""
        if self.connected:
            for _ in range(_LAST_DRAINS):
                self._cancel()
                if self._drain():
                    break
        self._cancel()
        return super().stopListening()

    def _drain(self) -> bool:
        """Take what has come, up to the caps, and decide when to look again; returns whether that was all."""
        datagrams: list[bytes] = []
        empty = False
        turned_away = self._turned_away
        try:
            if self._senders is None:
                self._read(datagrams)
            else:
                self._read_of(self._senders, datagrams)
        except BlockingIOError:
            empty = True
        except OSError:  # an ICMP answer to a socket of an earlier life; there may be more behind it
            pass
        came = len(datagrams) + self._turned_away - turned_away
        if not came:
            if self._idle is False:
                self._idle = True
                self.startReading()
            return empty
        try:
            if datagrams:
                self.protocol.datagramsReceived(datagrams)
        except Exception:
            # The reactor would close the port for it.
            self.log.failure("{count} datagrams were lost to a fault", count=len(datagrams))
        if not empty:
            pause = 0.0
        elif came > _FEW:
            pause = SHORT_PAUSE_S
        else:
            pause = self.pause_s
        self._look_again(pause)
        return empty

    def _read(self, datagrams: list[bytes]) -> None:
        """Read up to the caps; raises when there is no more."""
        recv, take = self.socket.recv, datagrams.append
        while len(datagrams) < DRAIN_DATAGRAMS and sum(map(len, datagrams)) < DRAIN_BYTES:
            for _ in range(64):
                take(recv(MAX_DATAGRAM))

    def _read_of(self, senders: Senders, datagrams: list[bytes]) -> None:
        """The same, but turn away what its sender may not send."""
        recvfrom, now = self.socket.recvfrom, self.reactor.seconds()
        size = 0
        for _ in range(DRAIN_DATAGRAMS):
            if size >= DRAIN_BYTES:
                return
            datagram, sender = recvfrom(MAX_DATAGRAM)
            size += len(datagram)
            refusal = senders.refusal(sender[0], now)
            if refusal is None:
                datagrams.append(datagram)
            else:
                self._turned_away += 1
                self.protocol.turn_away(refusal)

    def _look_again(self, after_s: float) -> None:
        if self._idle:
            self._idle = False
            self.stopReading()
        self._pause = self.reactor.callLater(after_s, self._timed_out)

    def _cancel(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _timed_out(self) -> None:
        self._pause = None
        self._drain()


class TelemetryPortService(Service):
    """
    Reads a bound UDP socket from start to stop.

    Args:
        bound: the socket, non-blocking.
        protocol: is handed what comes.
        reactor: reads and waits.
        pause_s: how long a socket that brought little may be left alone, where the kernel has room [s].
        senders: who may send; None for anybody.
    """

    log = Logger()

    def __init__(
        self,
        bound: socket.socket,
        protocol: TelemetryProtocol,
        reactor: Any,
        pause_s: float = SHORT_PAUSE_S,
        senders: Senders | None = None,
    ) -> None:
        self._socket = bound
        self._pause_s = pause_s
        self._port = DrainingPort(bound, protocol, reactor, senders)

    def privilegedStartService(self) -> None:
        """Start to read; the socket was bound before twistd became a daemon."""
        super().privilegedStartService()
        granted = grow_buffer(self._socket)
        self.log.info(
            "UDP port {port}, kernel buffer {granted} bytes", port=self._socket.getsockname()[1], granted=granted
        )
        if granted >= _ROOMY:
            self._port.pause_s = self._pause_s
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
