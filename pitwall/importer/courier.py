"""
Brings batches to the server, one after the other, and does not give up at once.

A server that can't be reached, does not answer in time or answers 5xx is tried
again, at growing and slightly random intervals, for a bounded time. A batch of
which the answer was lost may have been taken all the same, and is then sent a
second time. One that is too large (413) is halved, and so are those after it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from twisted.internet import defer, error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.client import RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived

from pitwall.importer.batches import Batch, BatchSize
from pitwall.importer.tally import Answer

#: How long an answer may take [s].
ANSWER_S = 60.0
#: The server is still at work on the batch before, of which the answer was lost.
_NOT_YET = 409
_FIRST_DELAY_S = 0.25
_LONGEST_DELAY_S = 5.0
_NOT_REACHED = (
    error.ConnectError,
    error.ConnectionClosed,
    error.DNSLookupError,
    defer.TimeoutError,
    # Each is a family of its own.
    ResponseFailed,
    ResponseNeverReceived,
    RequestTransmissionFailed,
)
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class SendError(Exception):
    """The server wants nothing of this file; the message says why."""


class ServerLostError(Exception):
    """The server could not be reached for as long as it was to be tried; the message says why."""


class InterruptedSendError(Exception):
    """The user wants no more."""


class _Refusal(msgspec.Struct):
    """Any other answer of the server."""

    error: str


def back_off(chance: random.Random) -> Iterator[float]:
    """How long to wait after each failure in a row [s]: ever longer, up to five seconds, and never quite the same."""
    delay_s = _FIRST_DELAY_S
    while True:
        yield delay_s * chance.uniform(0.5, 1.0)
        delay_s = min(2 * delay_s, _LONGEST_DELAY_S)


class Courier:
    """
    Sends batches to one server.

    Args:
        post: ``treq.post``, or what behaves like it.
        server: the server's address, such as ``http://localhost:8081``.
        clock: for waiting times.
        chance: for their jitter.
        retry_s: how long a batch is tried [s].
        size: made smaller when batches are too large.
        tell: called with a sentence once the server can't be reached.
        key: the server's, if it wants one.

    Attributes:
        busy: whether an answer is awaited.
        stopped: set to make it end after the answer that is awaited.
    """

    def __init__(
        self,
        post: Callable[..., Deferred[Any]],
        server: str,
        clock: IReactorTime,
        chance: random.Random,
        retry_s: float,
        size: BatchSize,
        tell: Callable[[str], object],
        key: str | None = None,
    ) -> None:
        self._post = post
        self._server = server
        self._clock = clock
        self._chance = chance
        self._retry_s = retry_s
        self._size = size
        self._tell = tell
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.busy = False
        self.stopped = False

    async def deliver(
        self, batch: Batch, params: Mapping[str, str], took: Callable[[Batch, Answer], object], last: bool = False
    ) -> None:
        """
        Bring a batch to the server.

        Args:
            batch: it.
            params: what to say with it.
            took: called with what became of it, or of each part it had to be sent in.
            last: whether it is the last of its file.

        Raises:
            SendError, ServerLostError, InterruptedSendError: see there.
        """
        status, body = await self._answer(batch, {**params, "last": "1"} if last else params)
        if status == 413:
            halves = batch.halves()
            if halves is None:
                raise SendError(f"row {batch.first_row} alone is too large for the server")
            self._size.most_bytes = max(1, min(self._size.most_bytes, len(batch.lines) // 2))
            await self.deliver(halves[0], params, took)
            await self.deliver(halves[1], params, took, last)
            return
        took(batch, self._read(status, body))

    def _read(self, status: int, body: bytes) -> Answer:
        try:
            if status in (200, 400):
                return msgspec.json.decode(body, type=Answer)
        except _DECODE_ERRORS:
            pass
        try:
            why = msgspec.json.decode(body, type=_Refusal).error
        except _DECODE_ERRORS:
            raise SendError(f"{self._server} answers {status}, and not as PitWall does") from None
        raise SendError(f"the server answers {status}: {ascii(why)[1:-1][:200]}")

    async def _answer(self, batch: Batch, params: Mapping[str, str]) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        give_up_at: float | None = None
        for delay_s in back_off(self._chance):
            try:
                self.busy = True
                asking = Deferred.fromCoroutine(self._ask(batch, params))
                status, body = await asking.addTimeout(ANSWER_S, self._clock)
                if status < 500 and status != _NOT_YET:
                    return status, body
                why = f"answers {status}"
            except _NOT_REACHED as failed:
                why = told(failed)
            finally:
                self.busy = False
            if self.stopped:
                raise InterruptedSendError
            now = self._clock.seconds()
            if give_up_at is None:
                give_up_at = now + self._retry_s
                if self._retry_s > 0:
                    self._tell(f"{self._server} {why}, trying for {self._retry_s:g} s")
            if now >= give_up_at:
                raise ServerLostError(f"{self._server} {why}, given up after {self._retry_s:g} s")
            await deferLater(self._clock, min(delay_s, give_up_at - now))
        raise AssertionError("waiting has no end of its own")

    async def _ask(self, batch: Batch, params: Mapping[str, str]) -> tuple[int, bytes]:
        response = await self._post(
            f"{self._server}/api/ingest",
            data=batch.body,
            headers={"Content-Type": batch.media_type, **self._headers},
            params=params,
            allow_redirects=False,
            reactor=self._clock,
        )
        return response.code, await response.content()


def told(failed: Exception) -> str:
    """What happened to a request, in a few words that follow the server's name."""
    reasons = [failure.value for failure in getattr(failed, "reasons", ())] or [failed]
    if any(isinstance(reason, CancelledError | defer.TimeoutError | error.TimeoutError) for reason in reasons):
        return f"does not answer within {ANSWER_S:g} s"
    if isinstance(failed, error.DNSLookupError):
        return "is not known: there is no such host"
    if isinstance(failed, error.ConnectionRefusedError):
        return "can't be reached: connection refused"
    if isinstance(failed, error.ConnectError):
        return f"can't be reached: {str(failed).rstrip('.')}"
    if isinstance(reasons[0], error.ConnectionClosed):
        return "closed the connection"
    if "certificate verify failed" in str(reasons[0]):  # OpenSSL's words
        return "has a certificate that is not trusted (SSL_CERT_FILE)"
    return f"can't be asked: {str(reasons[0])[:120] or type(reasons[0]).__name__}"
