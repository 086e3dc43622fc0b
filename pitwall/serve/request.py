"""A request with bounds, and what errors look like."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from msgspec import json
from twisted.web.http import NO_CONTENT
from twisted.web.server import NOT_DONE_YET, Request

from pitwall.contract.server import ErrorAnswer
from pitwall.serve.budget import Holding

#: A body up to this size is taken whatever the others hold [bytes].
SMALL_BODY = 64 << 10


def error_body(message: str) -> bytes:
    """The JSON of an error answer."""
    return json.encode(ErrorAnswer(False, message))


class BoundedRequest(Request):
    """A request whose body stays in memory and within bounds."""

    channel: Any
    content: Any
    too_large = False
    _first: bytes | None = None

    def __init__(self, *arguments: Any, **further: Any) -> None:
        super().__init__(*arguments, **further)
        self._holding = Holding(self.channel.site.bodies)

    def render(self, resrc: Any) -> None:
        """Have a resource answer; twisted.web would log each HEAD whose answer has a body, which it does not send."""
        if self.method != b"HEAD":
            super().render(resrc)
            return
        body = resrc.render(self)
        if body is not NOT_DONE_YET:
            self.responseHeaders.setRawHeaders(b"content-length", [b"%d" % len(body)])
            self.finish()

    def write(self, data: bytes) -> None:
        """Write a part of the answer; one written in a single piece gets its length, not chunks."""
        if not self.startedWriting and self._first is None:
            self._first = data
            return
        self._write_first()
        super().write(data)

    def finish(self) -> None:
        """The answer is complete."""
        if not self.startedWriting:
            self._first = self._first or b""
            if self.code == NO_CONTENT:
                self.responseHeaders.removeHeader(b"content-length")
            elif not self.responseHeaders.hasHeader(b"content-length"):
                self.responseHeaders.setRawHeaders(b"content-length", [b"%d" % len(self._first)])
        self._write_first()
        self._holding.give_back()
        super().finish()

    def connectionLost(self, reason: Any) -> None:
        """Nobody waits for the answer any more."""
        self._holding.give_back()
        super().connectionLost(reason)

    def _write_first(self) -> None:
        first, self._first = self._first, None
        if first is not None:
            super().write(first)
            self.channel.answered(len(first))

    def gotLength(self, length: int | None) -> None:
        """The body is about to come; ``length`` is None when it is chunked."""
        self.content = BytesIO()
        self._received = 0
        refusal = self.channel.refusal()
        if refusal:
            self.channel.answer_and_close(b"503 Service Unavailable", refusal)
        elif length is not None and length > self.channel.site.max_body:
            self._refuse_body()

    def handleContentChunk(self, data: bytes) -> None:
        """A part of the body has come."""
        self._received += len(data)
        if self.too_large:
            return
        if self._received > self.channel.site.max_body:
            self._refuse_body()
        elif self._received > SMALL_BODY and self.channel.site.bodies.spent:
            self._let_go()
            self.channel.answer_and_close(b"503 Service Unavailable", "too many large bodies are coming in")
        else:
            self._holding.take(len(data))
            self.content.write(data)

    def _handleStar(self) -> None:
        # The root answers for no path in particular too; Twisted would leave an error without a body.
        self.render(self.channel.site.resource)

    def _let_go(self) -> None:
        self.too_large = True
        self.content = BytesIO()
        self._holding.give_back()

    def _refuse_body(self) -> None:
        self._let_go()
        self.channel.answer_and_close(
            b"413 Content Too Large", f"the body is over MAX_BODY, {self.channel.site.max_body} bytes"
        )
