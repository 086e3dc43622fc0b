"""
The HTTP site: twisted.web with bounds.

Bodies are held in memory up to ``max_body``; a larger one is answered 413 and
not read further. A request has ``deadline_s`` from its first byte to its last,
however steadily it drips, and an idle connection as long again: both are looked
at once a second, so that they cost a request nothing. A client that does not
read its answers is asked no more of: the next request of a pipeline waits until
the answer before it has gone out. What all bodies hold that are coming in, and all
answers that nobody reads, is bounded too. A connection over the limits is answered 503,
whatever it asks, but for health. Once a WebSocket has taken a connection over,
none of this concerns it but its seat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Site

from pitwall.serve.budget import Budget, Holding
from pitwall.serve.request import BoundedRequest, error_body
from pitwall.serve.seats import Seat, Seats, share_of

#: Python reads no number of over 4,300 digits, and Twisted does not expect that of a Content-Length.
_MOST_DIGITS = 4000
#: What of an over-long body is still read and thrown away, so that the client can read the answer [s].
_LINGER_S = 2.0
#: How long the last answer may take to reach a client that has gone quiet [s].
_DOWNLOAD_S = 60.0
#: What the bodies that are coming in may hold together, small ones apart [bytes].
MOST_OF_BODIES = 64 << 20
#: What the answers that clients have not read may hold together, before no further one is given to a GET [bytes].
MOST_UNREAD = 64 << 20
#: How long the handshake of a WebSocket may take to arrive [s].
HANDSHAKE_S = 5.0
#: How long a connection over the limits has to ask its one question [s].
_HURRIED_S = 2.0
#: What a line of a header begins with that goes on with the one before (RFC 9112, section 5.2).
_FOLDS = (b" ", b"\t")
#: What such a connection gets an answer to: whoever looks after the server must see that it is well.
_ALWAYS_ANSWERED = (b"/api/health", b"/api/live", b"/api/ready")


class BoundedChannel(HTTPChannel):
    """An HTTP/1.1 connection with a deadline for each request."""

    site: BoundedSite
    transport: Any
    seat: Seat
    unread: Holding
    _closing = False
    _command: bytes
    _path: bytes
    _version: bytes

    def connectionMade(self) -> None:
        """Someone has connected."""
        self.timeOut = None  # the site's sweep does it, and per request
        super().connectionMade()
        self.waiting_since = self.site.clock.seconds()
        self.receiving = False
        self.unread = Holding(self.site.unread)
        self.site.channels.add(self)

    @property
    def path(self) -> bytes:
        """Where the request goes that is coming in; empty before that is known."""
        return getattr(self, "_path", b"").partition(b"?")[0]

    @property
    def deadline_s(self) -> float:
        """How long it may be waited for [s]."""
        if self.seat.refusal:
            return _HURRIED_S
        if self.receiving and self.path == self.site.websocket_path:
            return min(HANDSHAKE_S, self.site.deadline_s)
        return self.site.deadline_s

    def refusal(self) -> str:
        """Why the request whose head has come gets no answer now; empty when it does."""
        if self.path in _ALWAYS_ANSWERED:
            return ""
        if not self.seat.refusal and self._command == b"GET" and self.path != self.site.websocket_path:
            return "too many answers that nobody reads" if self.site.unread.spent else ""
        return self.seat.refusal

    def answered(self, size: int) -> None:
        """An answer was written whose first part has so many bytes."""
        if self.paused:  # it has not all gone out
            self.unread.take(size)

    @property
    def at_work(self) -> bool:
        """Whether a whole request is in hand and not yet answered."""
        return bool(self._handlingRequest)

    def dataReceived(self, data: bytes) -> None:
        """Something of a request has come."""
        if self._closing:
            return
        quick = self.site.quick
        busy = self.seat.refusal or self.requests or self._buffer or self.paused
        if quick is not None and not busy and len(data) <= self.site.max_body:
            answer = quick(data)
            if answer is not None:
                self.waiting_since = self.site.clock.seconds()
                self.transport.write(answer)
                return
        if not self.receiving:
            self.receiving = True
            self.waiting_since = self.site.clock.seconds()
        super().dataReceived(data)

    def allContentReceived(self) -> None:
        """The request is whole."""
        if not self._closing:
            super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """The request is answered."""
        self.receiving = False
        self.waiting_since = self.site.clock.seconds()
        super().requestDone(request)
        if self.paused:
            self._networkProducer.pauseProducing()

    def pauseProducing(self) -> None:
        """The transport holds much that is unsent: take no further request."""
        self.paused = True
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """All has gone out: take the requests that came meanwhile."""
        super().resumeProducing()
        self.unread.give_back()
        if self.paused and not self._closing:
            self.paused = False
            super().dataReceived(b"")

    def lineReceived(self, line: bytes) -> None:
        """A line of the head; one that goes on with the header before it is read in other ways by some proxies."""
        if line[:1] in _FOLDS:
            self._respondToBadRequestAndDisconnect()
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line of the head is over 16 KiB."""
        self._respondToBadRequestAndDisconnect()

    def connectionLost(self, reason: Any = None) -> None:
        """The connection is gone."""
        self.site.channels.discard(self)
        self.site.hurried.pop(self, None)
        self.seat.leave()
        self.unread.give_back()
        super().connectionLost(reason)

    def make_place(self) -> None:
        """Go, for somebody else who is over the limits."""
        self.site.hurried.pop(self, None)
        self.seat.leave()
        self._abort()

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """Whether another request may follow."""
        if self.seat.refusal:
            request.responseHeaders.setRawHeaders(b"connection", [b"close"])
            return False
        return bool(super().checkPersistence(request, version))

    def leave_to_websocket(self) -> None:
        """A WebSocket takes the connection over, and a seat of its own."""
        self.site.channels.discard(self)
        self.seat.leave()

    def answer_and_close(self, status: bytes, message: str) -> None:
        """Answer without waiting for the rest of the request, and close once the client has had a chance to read it."""
        if self._closing:
            return
        self._closing = True
        self.paused = True  # what else has come is not looked at
        body = error_body(message)
        self.transport.write(
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n"
            b"X-Content-Type-Options: nosniff\r\n\r\n%b" % (status, len(body), body)
        )
        if self.isSecure():  # the answer is not even encrypted yet; this sends it, and the end of TLS
            self.loseConnection()
        else:
            # A socket closed with unread bytes in it takes the answer back with a reset.
            self.transport.loseWriteConnection()
        self.site.clock.callLater(_LINGER_S, self._abort)

    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> bool:
        # Any other encoding, or one before HTTP/1.1, could be read in another way by a proxy on the way here.
        if header == b"Transfer-Encoding" and (data.lower() != b"chunked" or self._version != b"HTTP/1.1"):
            return bool(self._failChooseTransferDecoder())
        if header == b"Content-Length" and len(data) > _MOST_DIGITS:
            return bool(self._failChooseTransferDecoder())
        return bool(super()._maybeChooseTransferDecoder(header, data))

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.answer_and_close(b"400 Bad Request", "not an HTTP/1.1 request, or one with too long a head")

    def _send100Continue(self) -> None:
        if not self._closing:
            super()._send100Continue()

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()


class _HangUp(Protocol):
    """A connection that even the spare seats are not enough for, for all of them are being answered."""

    def connectionMade(self) -> None:
        """Someone has connected."""
        self.transport.abortConnection()  # type: ignore[union-attr]


class BoundedSite(Site):
    """
    The site of one root resource.

    Args:
        root: answers every request.
        clock: the reactor, for deadlines.
        max_body: the largest request body [bytes].
        deadline_s: how long a request may take to arrive, and a connection may be idle [s].
        seats: who is connected.
        websocket_path: where the WebSocket is.
    """

    requestFactory = BoundedRequest
    displayTracebacks = False
    protocol = BoundedChannel  # type: ignore[assignment]

    def __init__(
        self,
        root: IResource,
        clock: IReactorTime,
        max_body: int,
        deadline_s: float = 15.0,
        seats: Seats | None = None,
        websocket_path: str = "/ws/realtime",
    ) -> None:
        super().__init__(root, reactor=clock, parsePOSTFormSubmission=False)
        self.clock = clock
        self.max_body = max_body
        self.deadline_s = deadline_s
        self.bodies, self.unread = Budget(max(MOST_OF_BODIES, 2 * max_body)), Budget(MOST_UNREAD)
        self.seats = Seats(5000, share_of(5000)) if seats is None else seats
        self.websocket_path = websocket_path.encode()
        self.channels: set[BoundedChannel] = set()
        #: Those of them that are over the limits, the oldest first.
        self.hurried: dict[BoundedChannel, None] = {}
        #: Answers what it recognises of a whole request's bytes, in place of all that follows; None for the rest.
        self.quick: Callable[[bytes], bytes | None] | None = None

    def acceptableProtocols(self) -> list[bytes]:
        """What TLS may agree on: HTTP/2 has other channels, without bounds."""
        return [b"http/1.1"]

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Who serves a connection from this address."""
        host = getattr(addr, "host", "")
        seat = self.seats.take(host)
        if seat is None and self.hurried:
            # Those who say nothing must not keep out who asks for health.
            next(iter(self.hurried)).make_place()
            seat = self.seats.take(host, again=True)
        if seat is None:
            return _HangUp()
        channel: Any = super().buildProtocol(addr)
        channel.seat = seat
        if seat.refusal:
            self.hurried[channel] = None
        return channel

    def log(self, request: Any) -> None:
        """Nothing is logged per request."""

    def sweep(self) -> None:
        """Cut connections that are over their time; to be called every second or so."""
        now = self.clock.seconds()
        for channel in tuple(self.channels):
            over = now - channel.waiting_since - channel.deadline_s
            if channel.transport is None:  # a WebSocket has it now
                self.channels.discard(channel)
            elif over <= 0 or channel.at_work:
                continue
            elif over > _DOWNLOAD_S or (channel.receiving and not channel.paused):
                channel.transport.abortConnection()
            else:
                channel.loseConnection()
