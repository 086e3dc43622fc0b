"""
The HTTP door: ``POST /api/ingest`` with one point or an array of them.

A bad row never costs the good ones: the answer says how many were accepted and
lists the first hundred that were not, with the field and the reason. The status
is 400 only when nothing was acceptable.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import json
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator

from pitwall.hub import Hub
from pitwall.wire.errors import WireError
from pitwall.wire.points import Decoded, PointDecoder, Refusal
from pitwall.wire.slices import LONGEST_POINT, array_slices

#: An array up to this size, and of so many objects, is decoded at once, a larger one in slices [bytes].
_AT_ONCE = 300_000
_OBJECTS_AT_ONCE = 2000
#: Rows decoded before the reactor gets its turn, some 3 ms.
_ROWS_A_SLICE = 1000
#: How many refused rows an answer lists.
MOST_REFUSALS = 100


class Report:
    """What became of the rows of one request."""

    def __init__(self) -> None:
        self.accepted = 0
        self.refused = 0
        self.rows = 0
        self._listed: list[dict[str, Any]] = []

    def refuse(self, refusal: Refusal) -> None:
        """A row that was refused; its number counts from the start of this batch of rows."""
        self.refused += 1
        if len(self._listed) < MOST_REFUSALS:
            error = refusal.error
            self._listed.append(
                {
                    "index": self.rows + refusal.row,
                    "field": error.field,
                    "reason": error.reason,
                    "message": error.message,
                }
            )

    def answer(self) -> tuple[int, bytes]:
        """The status and the JSON of the answer."""
        good = self.accepted > 0
        content = {"ok": good, "accepted": self.accepted, "rejected": self._listed, "rejected_total": self.refused}
        return (200 if good else 400), json.encode(content)


class IngestDoor:
    """
    Takes posted points in.

    Args:
        hub: gets the points.
        decoder: knows the vendor fields seen so far.
        clock: says when they came.
        cooperator: runs what takes long in slices.
    """

    def __init__(self, hub: Hub, decoder: PointDecoder, clock: IReactorTime, cooperator: Cooperator) -> None:
        self._hub = hub
        self._decoder = decoder
        self._clock = clock
        self._cooperator = cooperator

    def post(self, request: Any) -> bytes | Deferred[bytes]:
        """The answer to a request, whose body has been read."""
        media_type = (request.getHeader(b"content-type") or b"application/json").split(b";")[0].strip().lower()
        if media_type != b"application/json":
            request.setResponseCode(415)
            seen = media_type[:60].decode("ascii", "replace")
            return json.encode({"ok": False, "error": f"Content-Type is {seen!a}, wanted application/json"})
        body = _bare(request.content.getvalue())
        if not _is_long(body):
            return _answered(request, self.take(body))
        report = Report()
        steps: Deferred[Any] = self._cooperator.cooperate(self._steps(body, report)).whenDone()
        return steps.addCallback(lambda _: _answered(request, report.answer()))

    def take(self, body: bytes) -> tuple[int, bytes]:
        """Take a point or an array in at one go; returns the status and the JSON of the answer."""
        report = Report()
        received_at = self._clock.seconds()
        try:
            decoded = self._decode(_bare(body), received_at)
        except WireError as error:
            decoded = Decoded([], [], [Refusal.of(0, error)])
        self._publish(decoded, report, received_at)
        return report.answer()

    def _decode(self, body: bytes, received_at: float) -> Decoded:
        if not body:
            raise WireError("empty", "nothing in it")
        if body.startswith(b"["):
            return self._decoder.array(body, received_at)
        if len(body) > LONGEST_POINT:
            raise WireError("too_long", f"a point of {len(body)} bytes, wanted at most {LONGEST_POINT}")
        point, raw = self._decoder.one(body, received_at)
        return Decoded([point], [raw], [])

    def _steps(self, body: bytes, report: Report) -> Iterator[None]:
        try:
            for elements in array_slices(body):
                for start in range(0, len(elements), _ROWS_A_SLICE):
                    rows = elements[start : start + _ROWS_A_SLICE]
                    received_at = self._clock.seconds()
                    self._publish(self._decoder.objects(rows, received_at), report, received_at)
                    report.rows += len(rows)
                    yield
        except WireError as error:
            self._publish(Decoded([], [], [Refusal.of(0, error)]), report, 0.0)

    def _publish(self, decoded: Decoded, report: Report, received_at: float) -> None:
        for refusal in decoded.refused:
            self._hub.refuse("http", refusal.error.reason)
            report.refuse(refusal)
        report.accepted += len(decoded.points)
        self._hub.publish("http", decoded.points, decoded.raws, received_at)


def _bare(body: bytes) -> bytes:
    """A body without a byte order mark and the blanks around it."""
    return body.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")


def _is_long(body: bytes) -> bool:
    """Whether the reactor must have its turn before all of it is decoded."""
    return body.startswith(b"[") and (
        len(body) > _AT_ONCE or body.count(b"{") > _OBJECTS_AT_ONCE or body.count(b",") > 20 * _OBJECTS_AT_ONCE
    )


def _answered(request: Any, answer: tuple[int, bytes]) -> bytes:
    status, content = answer
    request.setResponseCode(status)
    return content
