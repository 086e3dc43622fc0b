"""
What live doors take: points and rows of the long form, told apart by their content, message by message.

A point goes the quick way of `pitwall.wire.points` and never waits. A row goes to
the joiner, and leaves in a point with the others of its instant.
"""

from __future__ import annotations

from collections.abc import Sequence

from pitwall.wire.errors import WireError
from pitwall.wire.livejoiner import LiveJoiner
from pitwall.wire.longform import COLUMNS, LongColumns, LongRow, array_rows, json_rows, may_have_rows
from pitwall.wire.points import DECODE_ERRORS, Decoded, PointDecoder, Refusal, json_error, split_array
from pitwall.wire.tables import Told
from pitwall.wire.tally import Lacking, Tally
from pitwall.wire.text import decode_document, decode_rows
from pitwall.wire.widecsv import header_names

_BLANK = b" \t\r\n"
_ROW_COMMAS = len(COLUMNS) - 1


class LiveDecoder:
    """
    Decodes the messages of one door.

    Args:
        decoder: of points; knows the vendor fields seen so far.
        told: what is known beforehand of any row.

    Attributes:
        joiner: holds the instants that are not complete.
    """

    def __init__(self, decoder: PointDecoder, told: Told) -> None:
        self._decoder = decoder
        self._told = told
        self._lacking = told.lacking()
        self._fields = self._lacking.fields()
        self.joiner = LiveJoiner(told.cars, told.events, self._lacking)

    @property
    def tally(self) -> Tally:
        """What became of rows since this was called last."""
        tally, self.joiner.tally = self.joiner.tally, Tally()
        return tally

    def datagrams(self, datagrams: Sequence[bytes], received_at: float) -> Decoded:
        """The points of datagrams; never raises. ``received_at`` is in s since 1970."""
        if not may_have_rows(b"".join(datagrams)):
            self._came(len(datagrams))
            decoded = self._decoder.objects(datagrams, received_at, self._document)
            # Rows of CSV do not show so soon.
            return self._with_left(decoded, received_at) if self.joiner.complete else decoded
        rows: list[LongRow] = []
        others: list[bytes] = []
        broken: list[Refusal] = []
        for raw in datagrams:
            try:
                found = json_rows(raw)
            except WireError as error:
                broken.append(self._broken(0, error))
            else:
                if found is None:
                    others.append(raw)
                else:
                    rows += found
        refused = self.joiner.take(rows, received_at)
        self._came(len(others))
        decoded = self._decoder.objects(others, received_at, self._document)
        return self._with_left(decoded._replace(refused=broken + refused + decoded.refused), received_at)

    def overdue(self, now: float) -> Decoded:
        """The points of instants that have waited long enough; ``now`` is in s since 1970."""
        self.joiner.overdue(now)
        return self.joiner.leave(self._decoder, now)

    def objects(self, raws: Sequence[bytes], received_at: float, lacking: Lacking | None = None) -> Decoded:
        """
        The points of JSON objects, each a point or a row.

        Args:
            raws: the objects, in order; refusals are indexed by them.
            received_at: when they came [s since 1970].
            lacking: the track and the car of those that do not say it.
        """
        fields = self._fields if lacking is None else lacking.fields()
        if not may_have_rows(b"".join(raws)):
            self._came(len(raws))
            return self._single(self._decoder.objects(raws, received_at, lacking=fields))
        rows: list[LongRow] = []
        numbers: list[int] = []
        others: list[bytes] = []
        indexes: list[int] = []
        refused: list[Refusal] = []
        for index, raw in enumerate(raws):
            try:
                found = json_rows(raw)
            except WireError as error:
                refused.append(self._broken(index, error))
                continue
            if found is None:
                others.append(raw)
                indexes.append(index)
            else:
                rows += found
                numbers += [index] * len(found)
        self._came(len(others))
        decoded = self._single(self._decoder.objects(others, received_at, lacking=fields))
        refused += [Refusal(indexes[row], error) for row, error in decoded.refused]
        refused += self.rows(rows, received_at, numbers, lacking)
        refused.sort(key=lambda refusal: refusal.row)
        return self._with_left(decoded._replace(refused=refused), received_at)

    def array(self, body: bytes, received_at: float, lacking: Lacking | None = None) -> Decoded:
        """
        The points of a JSON array of points and rows.

        Raises:
            WireError: the whole is no JSON array, or an empty one; it is not counted as come then.
        """
        if not may_have_rows(body):
            fields = self._fields if lacking is None else lacking.fields()
            return self._single(self._decoder.array(body, received_at, fields, self._came))
        rows = array_rows(body)
        if rows:
            refused = self.rows(rows, received_at, None, lacking)
            return self._with_left(Decoded([], [], refused), received_at)
        try:
            parts = split_array(body)
        except DECODE_ERRORS as error:
            raise json_error(error) from None
        if not parts:
            raise WireError("empty", "an empty array, wanted points")
        return self.objects(parts, received_at, lacking)

    def one(self, body: bytes, received_at: float, lacking: Lacking | None = None) -> Decoded:
        """
        The point of one JSON object, or what its row makes complete.

        Raises:
            WireError: what is wrong with a point; it is not counted as come then.
        """
        rows = json_rows(body) if may_have_rows(body) else None
        if rows is not None:
            refused = self.rows(rows, received_at, [0] * len(rows), lacking)
            return self._with_left(Decoded([], [], refused), received_at)
        fields = self._fields if lacking is None else lacking.fields()
        point, raw = self._decoder.one(body, received_at, fields)
        self._came(1)
        return self._single(Decoded([point], [raw], []))

    def rows(
        self, rows: Sequence[LongRow], received_at: float, numbers: Sequence[int] | None, lacking: Lacking | None
    ) -> list[Refusal]:
        """Give rows to the joiner; returns those it refuses, by their numbers."""
        if lacking is not None and lacking != self._lacking:
            for row in rows:
                row.vehicle_id = row.vehicle_id or lacking.chassis or ""
                if not (row.track or row.circuit or row.meta_event in self._told.events):
                    row.track = lacking.track
        return self.joiner.take(rows, received_at, numbers)

    def _document(self, raw: bytes, received_at: float) -> Decoded:
        """The points of a datagram that is no single object."""
        self._came(-1)  # it was taken for one; now what is in it counts
        body = raw.removeprefix(b"\xef\xbb\xbf").strip(_BLANK)
        first = body[:1]
        if first == b"[" and may_have_rows(body):
            try:
                return self.array(body, received_at)
            except WireError as error:
                return Decoded([], [], [self._broken(0, error)])
        if first == b"{" and may_have_rows(body):
            found = self._pretty(body, received_at)
            if found is not None:
                return found
        if first == b"{" and b"\n" in body and may_have_rows(body):
            return self.objects([line for line in body.split(b"\n") if line.strip(_BLANK)], received_at)
        if first not in (b"[", b"{"):
            header, _, rest = body.partition(b"\n")
            if b"telemetry_name" in header:
                try:
                    names = header_names(header)
                except WireError as error:
                    if b"telemetry_value" in header:
                        return Decoded([], [], [self._broken(0, error)])
                else:
                    if LongColumns.fit(names):  # otherwise the name stands in a cell
                        return self._csv(names, rest.split(b"\n"), received_at)
            if header.count(b",") == _ROW_COMMAS:
                return self._csv(None, body.split(b"\n"), received_at)
        return decode_document(self._decoder, raw, received_at, self._fields, self._came)

    def _pretty(self, body: bytes, received_at: float) -> Decoded | None:
        """The one object that some lines are; None where each line is for itself."""
        try:
            rows = json_rows(body)
        except WireError as error:
            return Decoded([], [], [self._broken(0, error)])
        if rows is None:
            return None
        return Decoded([], [], self.joiner.take(rows, received_at))

    def _csv(self, names: Sequence[str] | None, lines: Sequence[bytes], received_at: float) -> Decoded:
        """Lines of the long form; without the names of a header those of another form are taken as what they are."""
        refused: list[Refusal] = []
        others: list[bytes] = []
        if names is None:
            others = [line for line in lines if line.count(b",") != _ROW_COMMAS and line.strip(_BLANK)]
            lines = [line for line in lines if line.count(b",") == _ROW_COMMAS]
        columns = LongColumns(COLUMNS if names is None else names)
        rows, numbers = columns.decode(lines, lambda line, error: refused.append(Refusal.of(line, error)))
        self.joiner.tally.refuse(error for _, error in refused)
        refused += self.joiner.take(rows, received_at, numbers, came=len(lines) - columns.blank)
        self._came(len(others))
        decoded = decode_rows(others, received_at, self._decoder, self._fields)
        return decoded._replace(refused=refused + decoded.refused)

    def _with_left(self, decoded: Decoded, received_at: float) -> Decoded:
        """What was decoded, and after it the points of the instants that are complete."""
        left = self.joiner.leave(self._decoder, received_at)
        return Decoded(decoded.points + left.points, decoded.raws + left.raws, decoded.refused + left.refused)

    def _single(self, decoded: Decoded) -> Decoded:
        """Count points that came by themselves."""
        self.joiner.tally.singles += len(decoded.points)
        return decoded

    def _broken(self, row: int, error: WireError) -> Refusal:
        """A row that is none; it counts as one all the same."""
        self.joiner.tally.rows += 1
        self.joiner.tally.refuse((error,))
        return Refusal.of(row, error)

    def _came(self, count: int) -> None:
        """Count what came to be a point by itself."""
        self.joiner.tally.came += count
