"""
The HTTP door: ``POST /api/ingest``, with JSON, lines of JSON, or CSV.

A bad row never costs the good ones: the answer says how many were accepted and
lists the first hundred that were not, with the field and the reason. The status
is 400 only when nothing was acceptable.

JSON, an object or an array, and lines of it (NDJSON) are taken as they come: a row
of the long form waits a moment for the others of its instant. A CSV body is a file:
its rows leave in order before the answer goes. A file that is too large for one body
comes as several with the same ``upload``, the last of them with ``last=1``.

What is long is taken in slices, so that the reactor is never held.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec import json
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.task import Cooperator
from twisted.python.failure import Failure

from pitwall.contract.parameters import INGEST
from pitwall.hub import Hub
from pitwall.intake import LiveIntake
from pitwall.wire.errors import WireError, shown
from pitwall.wire.fields import text
from pitwall.wire.pieces import Lines, inflated
from pitwall.wire.points import NO_ROW, Decoded, PointDecoder, Refusal
from pitwall.wire.report import Report
from pitwall.wire.slices import LONGEST_POINT, array_slices
from pitwall.wire.tables import JsonTable, Table, Told, open_table
from pitwall.wire.tally import Lacking, Tally

JSON, LINES, CSV = b"application/json", b"application/x-ndjson", b"text/csv"
#: An array up to this size, and of so many objects, is decoded at once, a larger one in slices [bytes].
_AT_ONCE = 400_000
_OBJECTS_AT_ONCE = 2000
#: Rows decoded before the reactor gets its turn, some 3 ms; instants that leave likewise.
_COMMA = ord(",")
_ROWS_A_SLICE = 1000
_INSTANTS_A_SLICE = 400
#: Text is unpacked in pieces of this [bytes].
_PIECE = 256 << 10
#: An upload that nobody goes on with is finished after so long [s].
UPLOAD_IDLE_S = 60.0
#: Long bodies at work at a time: each may hold up to MAX_BODY bytes unpacked.
LANES = 8
#: Uploads at a time.
MOST_UPLOADS = 64
_UPLOAD = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_PARAMETERS = {parameter.name.encode(): parameter for parameter in INGEST}


class RefusedError(Exception):
    """A request that is refused as a whole; ``status`` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Upload:
    """A file that comes in several bodies."""

    def __init__(self) -> None:
        self.table: Table | None = None
        self.header: bytes | None = None
        self.busy = False
        self.used_at = 0.0


class _Wanted:
    """What a request asks for in its address."""

    def __init__(self, arguments: dict[bytes, list[bytes]]) -> None:
        unknown = arguments.keys() - _PARAMETERS.keys()
        if unknown:
            names = shown(sorted(unknown)[0].decode("utf-8", "replace"))
            raise RefusedError(400, f"{names} is no parameter, wanted track, chassis, name, upload or last")
        self.track = self._text(arguments, b"track")
        self.chassis = self._text(arguments, b"chassis")
        self.name = self._text(arguments, b"name") or ""
        self.upload = self._text(arguments, b"upload")
        self.last = self._text(arguments, b"last") not in (None, "0", "false")
        if self.upload is not None and not _UPLOAD.fullmatch(self.upload):
            raise RefusedError(400, "upload is no word of 1 to 64 letters, digits, - and _")

    @staticmethod
    def _text(arguments: dict[bytes, list[bytes]], name: bytes) -> str | None:
        longest = _PARAMETERS[name].longest
        assert longest is not None
        values = arguments.get(name)
        if not values or not values[-1]:
            return None
        try:
            return text(values[-1].decode(), name.decode(), longest)
        except UnicodeDecodeError:
            raise RefusedError(400, f"{name.decode()} is not UTF-8") from None
        except WireError as error:
            raise RefusedError(400, error.message) from None


class IngestDoor:
    """
    Takes posted points and rows in.

    Args:
        hub: gets the points.
        decoder: of points; knows the vendor fields seen so far.
        intake: takes what is live.
        told: what is known beforehand of any row.
        clock: the reactor.
        cooperator: runs what takes long in slices.
        max_body: the largest JSON text, unpacked [bytes].
        max_inflated: the largest text of lines, unpacked [bytes].
    """

    def __init__(
        self,
        hub: Hub,
        decoder: PointDecoder,
        intake: LiveIntake,
        told: Told,
        clock: Any,
        cooperator: Cooperator,
        max_body: int,
        max_inflated: int,
    ) -> None:
        self._hub = hub
        self._decoder = decoder
        self._intake = intake
        self._live = intake.decoder
        self._told = told
        self._clock = clock
        self._cooperator = cooperator
        self._max_body = max_body
        self._max_inflated = max_inflated
        self._uploads: dict[str, _Upload] = {}
        #: Those whose rows have not all left.
        self._tables: dict[Table, None] = {}
        self._under_way = 0
        #: Long bodies are unpacked and decoded some at a time; the others wait as they came.
        self._lanes = DeferredSemaphore(LANES)

    @property
    def busy(self) -> bool:
        """Whether a long body is under way."""
        return self._under_way > 0

    @property
    def bodies(self) -> int:
        """Long bodies under way: of these, the rows that are not read yet are not counted as come."""
        return self._under_way

    @property
    def pending(self) -> int:
        """Rows taken whose values are not in a point yet."""
        return self._live.joiner.pending + sum(table.pending for table in self._tables)

    def held(self) -> int:
        """The same, counted row by row."""
        return self._live.joiner.held() + sum(table.held() for table in self._tables)

    def post(self, request: Any) -> bytes | Deferred[bytes]:
        """The answer to a request, whose body has been read."""
        try:
            said = request.requestHeaders.getRawHeaders(b"content-type", [])
            if len(said) > 1:
                raise RefusedError(415, f"Content-Type is there {len(said)} times, wanted once")
            media_type = (b"".join(said) or JSON).split(b";")[0].strip().lower()
            if media_type not in (JSON, LINES, CSV):
                seen = media_type[:60].decode("ascii", "replace")
                raise RefusedError(415, f"Content-Type is {seen!a}, wanted application/json, x-ndjson or text/csv")
            packed = _is_packed(request.getHeader(b"content-encoding"))
            wanted = _Wanted(request.args)
            body = request.content.getvalue()
            if media_type == JSON and not packed and not request.args:
                bare = _bare(body)
                if not _is_long(bare):
                    report = Report()
                    self._json(bare, report, None)
                    return _answered(request, report.answer())
            report = Report(joined=media_type != JSON)
            steps = self._steps(media_type, packed, wanted, body, report)
            if not packed and len(body) <= _AT_ONCE and body.count(b"\n") < _OBJECTS_AT_ONCE and not _is_long(body):
                for _ in steps:
                    pass
                return _answered(request, report.answer())
        except RefusedError as error:
            return _refused(request, error)
        done = self._in_a_lane(steps)
        done.addCallback(lambda _: _answered(request, report.answer()))
        return done.addErrback(_trapped, request)

    def _in_a_lane(self, steps: Iterator[None]) -> Deferred[Any]:
        """
        Take the steps one by one, as soon as a lane is free.

        When nobody waits for the answer any more, a body that waits is forgotten; one that is at
        work is taken to its end, and keeps its lane until then.
        """
        self._under_way += 1
        lane = self._lanes.acquire()
        done: Deferred[Any] = Deferred(lambda _: lane.cancel())

        def begin(_: Any) -> None:
            # Not returned: with the lane's Deferred it would be cancelled.
            self._cooperator.cooperate(steps).whenDone().addBoth(ended)

        def ended(result: Any) -> None:
            self._lanes.release()
            self._under_way -= 1
            if not done.called:
                done.callback(result)

        def forgotten(failure: Failure) -> None:
            failure.trap(CancelledError)
            self._under_way -= 1

        lane.addCallbacks(begin, forgotten)
        return done

    def take(self, body: bytes) -> tuple[int, bytes]:
        """Take JSON in at one go: a point, a row, or an array; returns the status and the JSON of the answer."""
        report = Report()
        self._json(_bare(body), report, None)
        return report.answer()

    def sweep(self) -> None:
        """Finish the uploads that nobody goes on with; to be called every second or so."""
        now = self._clock.seconds()
        for name, upload in tuple(self._uploads.items()):
            if not upload.busy and now - upload.used_at > UPLOAD_IDLE_S:
                del self._uploads[name]
                if upload.table is not None:
                    self._cooperator.cooperate(self._ended_table(upload.table, Report())).whenDone()

    def _steps(self, media_type: bytes, packed: bool, wanted: _Wanted, body: bytes, report: Report) -> Iterator[None]:
        if media_type == JSON:
            if packed:
                pieces = []
                for piece in self._unpacked(body, self._max_body, "MAX_BODY"):
                    pieces.append(piece)
                    yield
                body = b"".join(pieces)
            yield from self._json_steps(_bare(body), wanted, report)
            return
        text_pieces = self._unpacked(body, self._max_inflated, "MAX_INFLATED") if packed else iter((body,))
        if wanted.upload is not None:
            yield from self._uploaded(media_type, wanted, text_pieces, report)
        elif media_type == LINES:
            lacking = self._told.lacking(wanted.name, wanted.track, wanted.chassis)
            for lines in self._lines(text_pieces, report):
                received_at = self._clock.seconds()
                rows = [(n, line) for n, line in enumerate(lines) if line.strip(b" \t\r")]
                decoded = self._live.objects([line for _, line in rows], received_at, lacking)
                self._took(decoded._replace(refused=_renumbered(decoded.refused, rows)), report, received_at)
                report.rows += len(lines)
                yield
        else:
            upload = _Upload()
            broken: RefusedError | None = None
            try:
                yield from self._table_steps(upload, CSV, wanted, text_pieces, report)
            except RefusedError as error:
                broken = error  # gzip that ends too early: the rows before it were taken
            if upload.table is not None:
                yield from self._ended_table(upload.table, report)
            if broken is not None:
                raise broken
        if wanted.upload is None and report.empty:
            self._refuse(Refusal(NO_ROW, WireError("empty", "nothing in it")), report)

    def _uploaded(self, media_type: bytes, wanted: _Wanted, pieces: Iterator[bytes], report: Report) -> Iterator[None]:
        assert wanted.upload is not None
        upload = self._uploads.get(wanted.upload)
        if upload is None:
            if len(self._uploads) >= MOST_UPLOADS:
                raise RefusedError(503, f"{MOST_UPLOADS} uploads are under way, wanted one of them to end")
            upload = self._uploads[wanted.upload] = _Upload()
        if upload.busy:
            raise RefusedError(409, "the last body of this upload is not taken yet")
        upload.busy = True
        try:
            yield from self._table_steps(upload, media_type, wanted, pieces, report)
            if wanted.last:
                # A last body that is broken leaves its upload to be finished when nobody goes on with it.
                del self._uploads[wanted.upload]
                if upload.table is not None:
                    yield from self._ended_table(upload.table, report)
        finally:
            upload.busy = False
            upload.used_at = self._clock.seconds()

    def _table_steps(
        self, upload: _Upload, media_type: bytes, wanted: _Wanted, pieces: Iterator[bytes], report: Report
    ) -> Iterator[None]:
        """Take the lines of a body into the table of its file."""
        first = True
        for batch in self._lines(pieces, report):
            lines = batch
            try:
                if first and media_type == CSV:
                    lines = self._after_header(upload, lines, wanted)
                elif upload.table is None:
                    lacking = self._told.lacking(wanted.name, wanted.track, wanted.chassis)
                    upload.table = JsonTable(self._told, lacking)
            except WireError as error:
                # What cannot be read as a whole is one refusal, and nothing further of it is looked at.
                self._refuse(Refusal.of(0, error), report)
                return
            first = False
            table = upload.table
            assert table is not None
            self._tables[table] = None
            received_at = self._clock.seconds()
            self._publish(Decoded([], [], table.take(lines, received_at)), report, received_at)
            yield from self._left(table, report)
            report.rows += len(lines)

    def _after_header(self, upload: _Upload, lines: list[bytes], wanted: _Wanted) -> list[bytes]:
        head = lines[0].removeprefix(b"\xef\xbb\xbf").strip(b" \t\r")
        if upload.table is None:
            upload.table, consumed = open_table(head, self._told, wanted.name, wanted.track, wanted.chassis)
            upload.header = head if consumed else None
            return lines[1:] if consumed else lines
        return lines[1:] if head == upload.header else lines

    def _left(self, table: Table, report: Report) -> Iterator[None]:
        """Publish what is ready, some instants a turn."""
        while True:
            received_at = self._clock.seconds()
            decoded = table.leave(self._decoder, received_at, _INSTANTS_A_SLICE)
            tally, table.tally = table.tally, Tally()
            self._hub.book("http", tally)
            report.book(tally)
            self._publish(decoded, report, received_at)
            yield
            if not table.complete:
                return

    def _ended_table(self, table: Table, report: Report) -> Iterator[None]:
        """There are no further lines: publish all that is held."""
        table.finish()
        yield from self._left(table, report)
        self._tables.pop(table, None)

    def _lines(self, pieces: Iterator[bytes], report: Report) -> Iterator[list[bytes]]:
        """The lines of a text, some at a time; the last one may lack its line feed."""
        lines = Lines(pieces)
        try:
            while batch := lines.take(_ROWS_A_SLICE):
                yield batch
            if lines.rest:
                yield [lines.rest]
        except WireError as error:
            self._refuse(Refusal.of(0, error), report)

    def _unpacked(self, body: bytes, most: int, setting: str) -> Iterator[bytes]:
        size = 0
        try:
            for piece in inflated(iter((body,)), _PIECE):
                size += len(piece)
                if size > most:
                    raise RefusedError(413, f"the body is over {setting} when unpacked, {most} bytes")
                yield piece
        except (WireError, zlib.error) as error:
            raise RefusedError(400, str(error)) from None

    def _json_steps(self, body: bytes, wanted: _Wanted, report: Report) -> Iterator[None]:
        given = wanted.track or wanted.chassis or wanted.name
        lacking = self._told.lacking(wanted.name, wanted.track, wanted.chassis) if given else None
        if not _is_long(body):
            self._json(body, report, lacking)
            return
        try:
            for elements in array_slices(body):
                for start in range(0, len(elements), _ROWS_A_SLICE):
                    rows = elements[start : start + _ROWS_A_SLICE]
                    received_at = self._clock.seconds()
                    self._took(self._live.objects(rows, received_at, lacking), report, received_at)
                    report.rows += len(rows)
                    yield
        except WireError as error:
            self._refuse(Refusal.of(0, error), report)

    def _json(self, body: bytes, report: Report, lacking: Lacking | None) -> None:
        received_at = self._clock.seconds()
        try:
            decoded = self._decode(body, received_at, lacking)
        except WireError as error:
            self._hub.receive("http")
            decoded = Decoded([], [], [Refusal.of(0, error)])
        self._took(decoded, report, received_at)

    def _decode(self, body: bytes, received_at: float, lacking: Lacking | None) -> Decoded:
        if not body:
            raise WireError("empty", "nothing in it")
        if body.startswith(b"["):
            return self._live.array(body, received_at, lacking)
        if len(body) > LONGEST_POINT:
            raise WireError("too_long", f"a point of {len(body)} bytes, wanted at most {LONGEST_POINT}")
        return self._live.one(body, received_at, lacking)

    def _took(self, decoded: Decoded, report: Report, received_at: float) -> None:
        """Publish what came live, and note it in the answer."""
        report.book(self._intake.take(decoded, received_at))
        report.note(decoded)

    def _refuse(self, refusal: Refusal, report: Report) -> None:
        """Refuse as one what can't be divided."""
        self._hub.receive("http")
        self._publish(Decoded([], [], [refusal]), report, 0.0)

    def _publish(self, decoded: Decoded, report: Report, received_at: float) -> None:
        """Publish what a file had, and note it in the answer."""
        for refusal in decoded.refused:
            self._hub.refuse("http", refusal.error.reason)
        self._hub.publish("http", decoded.points, decoded.raws, received_at)
        report.note(decoded)


def _bare(body: bytes) -> bytes:
    """A body without a byte order mark and the blanks around it."""
    return body.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")


def _is_long(body: bytes) -> bool:
    """Whether the reactor must have its turn before all of some JSON is decoded."""
    return body.startswith(b"[") and (
        len(body) > _AT_ONCE
        or body.count(b"{") > _OBJECTS_AT_ONCE
        # bytes.count is slow where there are so many.
        or bool(np.count_nonzero(np.frombuffer(body, np.uint8) == _COMMA) > 20 * _OBJECTS_AT_ONCE)
    )


def _is_packed(encoding: bytes | None) -> bool:
    named = (encoding or b"").strip().lower()
    if named in (b"", b"identity"):
        return False
    if named in (b"gzip", b"x-gzip"):
        return True
    seen = named[:60].decode("ascii", "replace")
    raise RefusedError(415, f"Content-Encoding is {seen!a}, wanted gzip or none")


def _renumbered(refused: list[Refusal], rows: list[tuple[int, bytes]]) -> list[Refusal]:
    return [Refusal(rows[row][0] if row >= 0 else row, error) for row, error in refused]


def _refused(request: Any, error: RefusedError) -> bytes:
    request.setResponseCode(error.status)
    return json.encode({"ok": False, "error": str(error)})


def _trapped(failure: Failure, request: Any) -> bytes:
    failure.trap(RefusedError)
    return _refused(request, failure.value)  # type: ignore[arg-type]


def _answered(request: Any, answer: tuple[int, bytes]) -> bytes:
    status, content = answer
    request.setResponseCode(status)
    return content
