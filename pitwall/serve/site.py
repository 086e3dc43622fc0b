"""
The HTTP site: twisted.web with bounds.

Bodies are held in memory up to ``max_body``; a larger one is answered 413 and
not read further. A request has ``deadline_s`` from its first byte to its last,
however steadily it drips, and an idle connection as long again: both are looked
at once a second, so that they cost a request nothing. Once a WebSocket has taken
a connection over, none of this concerns it.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from msgspec import json
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

#: What of an over-long body is still read and thrown away, so that the client can read the answer [s].
_LINGER_S = 2.0


def error_body(message: str) -> bytes:
    """The JSON of an error answer."""
    return json.encode({"ok": False, "error": message})


class BoundedRequest(Request):
    """A request whose body stays in memory and within bounds."""

    channel: Any
    content: Any
    too_large = False
    _first: bytes | None = None

    def write(self, data: bytes) -> None:
        """Write a part of the answer; one written in a single piece gets its length, not chunks."""
        if not self.startedWriting and self._first is None:
            self._first = data
            return
        self._write_first()
        super().write(data)

    def finish(self) -> None:
        """The answer is complete."""
        if self._first is not None and not self.startedWriting:
            self.responseHeaders.setRawHeaders(b"content-length", [b"%d" % len(self._first)])
        self._write_first()
        super().finish()

    def _write_first(self) -> None:
        first, self._first = self._first, None
        if first is not None:
            super().write(first)

    def gotLength(self, length: int | None) -> None:
        """The body is about to come; ``length`` is None when it is chunked."""
        self.content = BytesIO()
        self._received = 0
        if length is not None and length > self.channel.site.max_body:
            self._refuse_body()

    def handleContentChunk(self, data: bytes) -> None:
        """A part of the body has come."""
        self._received += len(data)
        if self.too_large:
            return
        if self._received > self.channel.site.max_body:
            self._refuse_body()
        else:
            self.content.write(data)

    def _refuse_body(self) -> None:
        self.too_large = True
        self.channel.answer_and_close(
            b"413 Content Too Large", f"the body is over MAX_BODY, {self.channel.site.max_body} bytes"
        )


class BoundedChannel(HTTPChannel):
    """An HTTP/1.1 connection with a deadline for each request."""

    site: BoundedSite
    transport: Any
    _closing = False

    def connectionMade(self) -> None:
        """Someone has connected."""
        self.timeOut = None  # the site's sweep does it, and per request
        super().connectionMade()
        self.waiting_since = self.site.clock.seconds()
        self.receiving = False
        self.site.channels.add(self)

    @property
    def at_work(self) -> bool:
        """Whether a whole request is in hand and not yet answered."""
        return bool(self._handlingRequest)

    def dataReceived(self, data: bytes) -> None:
        """Something of a request has come."""
        if self._closing:
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

    def connectionLost(self, reason: Any = None) -> None:
        """The connection is gone."""
        self.site.channels.discard(self)
        super().connectionLost(reason)

    def answer_and_close(self, status: bytes, message: str) -> None:
        """Answer without waiting for the rest of the request, and close once the client has had a chance to read it."""
        self._closing = True
        body = error_body(message)
        self.transport.write(
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n"
            b"X-Content-Type-Options: nosniff\r\n\r\n%b" % (status, len(body), body)
        )
        # A socket closed with unread bytes in it takes the answer back with a reset.
        self.transport.loseWriteConnection()
        self.site.clock.callLater(_LINGER_S, self._abort)

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.answer_and_close(b"400 Bad Request", "not an HTTP/1.1 request")

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()


class BoundedSite(Site):
    """
    The site of one root resource.

    Args:
        root: answers every request.
        clock: the reactor, for deadlines.
        max_body: the largest request body [bytes].
        deadline_s: how long a request may take to arrive, and a connection may be idle [s].
    """

    requestFactory = BoundedRequest
    displayTracebacks = False
    protocol = BoundedChannel  # type: ignore[assignment]

    def __init__(self, root: IResource, clock: IReactorTime, max_body: int, deadline_s: float = 15.0) -> None:
        super().__init__(root, reactor=clock, parsePOSTFormSubmission=False)
        self.clock = clock
        self.max_body = max_body
        self.deadline_s = deadline_s
        self.channels: set[BoundedChannel] = set()

    def log(self, request: Any) -> None:
        """Nothing is logged per request."""

    def sweep(self) -> None:
        """Cut connections that are over their time; to be called every second or so."""
        now = self.clock.seconds()
        for channel in tuple(self.channels):
            if channel.transport is None:  # a WebSocket has it now
                self.channels.discard(channel)
            elif now - channel.waiting_since > self.deadline_s and not channel.at_work:
                channel.transport.abortConnection()
