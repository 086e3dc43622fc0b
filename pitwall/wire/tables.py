"""
A CSV text by what its first line says: wide rows, TRD's long form, lap triggers, or rows without a header.

All of them are read the same way: lines are taken, and points leave, some at once
and others when the text has ended. Rows of the long form and lap triggers leave in
the order of time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from pitwall.model.cars import CarNames
from pitwall.model.channels import ALIASES, CHANNELS, CSV_FIELDS, TEXT_ALIASES
from pitwall.model.filenames import car_of, stem_of, track_of, trigger_of
from pitwall.model.track import Tracks
from pitwall.wire.errors import WireError
from pitwall.wire.filejoiner import WINDOW_ROWS, FileJoiner
from pitwall.wire.laptriggers import TriggerTable
from pitwall.wire.longform import COLUMNS, LongColumns, LongRow, json_rows, may_have_rows
from pitwall.wire.points import Decoded, PointDecoder, Refusal
from pitwall.wire.tally import Lacking, Tally
from pitwall.wire.text import decode_rows
from pitwall.wire.widecsv import WideRows, header_names

_FEWEST_CSV_FIELDS = 6
_NONE = Decoded([], [], [])
#: By car: as `FileJoiner.released` has it.
Released = dict[str, tuple[int | None, int | None, int]]


class Table(Protocol):
    """
    The rows of one CSV text.

    Attributes:
        tally: what became of rows that are not points by themselves; empty for wide rows.
        mark: to be set to the place of the next lines.
        pending: rows that are held.
        complete: whether points are ready to leave.
        held_from: the first mark whose rows have not all left; None without such rows.
        again: to be set while lines come that an earlier reading has taken.
        released: how far the points of each car have left, for a later reading.
    """

    tally: Tally
    mark: int
    again: bool

    @property
    def pending(self) -> int: ...  # noqa: D102
    @property
    def complete(self) -> bool: ...  # noqa: D102
    @property
    def held_from(self) -> int | None: ...  # noqa: D102
    @property
    def released(self) -> Released: ...  # noqa: D102

    def held(self) -> int:
        """The rows that are held, counted one by one; `pending` keeps account of them."""

    def take(self, lines: Sequence[bytes], received_at: float) -> list[Refusal]:
        """Take lines in (without their line feeds); returns those that are refused, by index."""

    def leave(self, decoder: PointDecoder, received_at: float, most: int | None = None) -> Decoded:
        """The points that are ready, at most so many; to be called after each `take`."""

    def finish(self) -> None:
        """There are no further lines: make all ready that is held."""

    def recall(self, lines: Sequence[bytes]) -> None:
        """Remember lines that an earlier reading has taken, to know what is repeated; nothing else comes of them."""


class WideTable:
    """Wide rows: each line is a point."""

    pending = 0
    held_from = None
    again = False

    @property
    def released(self) -> Released:
        """Nothing is held."""
        return {}

    def __init__(self, rows: WideRows) -> None:
        self.tally = Tally()
        self.mark = 0
        self._rows = rows
        self._lines: Sequence[bytes] = ()

    @property
    def complete(self) -> bool:
        """Whether there are lines to leave as points."""
        return bool(self._lines)

    def held(self) -> int:
        """None: each line is a point."""
        return 0

    def take(self, lines: Sequence[bytes], received_at: float) -> list[Refusal]:
        """Take lines in; what is wrong with them `leave` says."""
        self._lines = lines
        return []

    def leave(self, decoder: PointDecoder, received_at: float, most: int | None = None) -> Decoded:
        """The points of the lines that were taken."""
        lines, self._lines = self._lines, ()
        decoded = self._rows.decode(decoder, lines, received_at) if lines else _NONE
        self.tally.came += len(lines) - self._rows.blank if lines else 0
        self.tally.singles += len(decoded.points)
        return decoded

    def finish(self) -> None:
        """Nothing is held."""

    def recall(self, lines: Sequence[bytes]) -> None:
        """Two equal points are two points."""


class PlainTable(WideTable):
    """Lines without a header, their fields in the order of a CSV datagram."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.mark = 0
        self._lines = ()

    def leave(self, decoder: PointDecoder, received_at: float, most: int | None = None) -> Decoded:
        """The points of the lines that were taken."""
        lines, self._lines = self._lines, ()
        rows = [(index, line) for index, line in enumerate(lines) if line.strip(b" \t\r,")]
        self.tally.came += len(rows)
        decoded = decode_rows([line for _, line in rows], received_at, decoder)
        self.tally.singles += len(decoded.points)
        return decoded._replace(refused=[Refusal(rows[row][0], error) for row, error in decoded.refused])


class _JoinedTable:
    """A table whose rows a joiner has."""

    def __init__(self, joiner: FileJoiner) -> None:
        self.joiner = joiner

    @property
    def tally(self) -> Tally:
        """See `Table`."""
        return self.joiner.tally

    @tally.setter
    def tally(self, tally: Tally) -> None:
        self.joiner.tally = tally

    @property
    def mark(self) -> int:
        """See `Table`."""
        return self.joiner.mark

    @mark.setter
    def mark(self, mark: int) -> None:
        self.joiner.mark = mark

    @property
    def again(self) -> bool:
        """See `Table`."""
        return self.joiner.again

    @again.setter
    def again(self, again: bool) -> None:
        self.joiner.again = again

    @property
    def released(self) -> Released:
        """See `Table`."""
        return self.joiner.released

    @property
    def pending(self) -> int:
        """See `Table`."""
        return self.joiner.pending

    @property
    def complete(self) -> bool:
        """See `Table`."""
        return self.joiner.complete

    @property
    def held_from(self) -> int | None:
        """See `Table`."""
        return self.joiner.held_from

    def held(self) -> int:
        """See `Table`."""
        return self.joiner.held()

    def finish(self) -> None:
        """Make all ready that is held."""
        self.joiner.finish()


class LongTable(_JoinedTable):
    """The long form, whole or reduced."""

    def __init__(self, columns: LongColumns, joiner: FileJoiner) -> None:
        super().__init__(joiner)
        self._columns = columns

    def take(self, lines: Sequence[bytes], received_at: float) -> list[Refusal]:
        """Take lines in; returns those that are refused, by index."""
        broken: list[Refusal] = []
        rows, numbers = self._columns.decode(lines, lambda line, error: broken.append(Refusal.of(line, error)))
        self.tally.refuse(error for _, error in broken)
        wrong = self.joiner.take(rows, received_at, numbers, came=len(lines) - self._columns.blank)
        return sorted([*broken, *wrong], key=lambda refusal: refusal.row) if broken else wrong

    def leave(self, decoder: PointDecoder, received_at: float, most: int | None = None) -> Decoded:
        """The points that are ready, at most so many."""
        return self.joiner.leave(decoder, received_at, most)

    def recall(self, lines: Sequence[bytes]) -> None:
        """Remember lines that an earlier reading has taken."""
        self.joiner.recall(self._columns.decode(lines, lambda line, error: None).rows)


class Told(NamedTuple):
    """
    What a server knows of the rows of any file.

    Attributes:
        cars: the name each car goes by.
        events: the track of each ``meta_event``.
        tracks: the configured ones, for names of files.
        track: of rows whose track nothing tells.
        window: rows of a file that are held to be put in order.
    """

    cars: CarNames
    events: Mapping[str, str]
    tracks: Tracks
    track: str | None = None
    window: int = WINDOW_ROWS

    def lacking(self, path: str = "", track: str | None = None, chassis: str | None = None) -> Lacking:
        """What rows of a file may lack; what is given comes before what the file's name tells."""
        return Lacking(
            track or (track_of(path, self.tracks) if path else None) or self.track,
            chassis or (car_of(path) if path else None),
        )


def open_table(
    first: bytes,
    told: Told,
    path: str = "",
    track: str | None = None,
    chassis: str | None = None,
    released: Mapping[str, Sequence[int | None]] = MappingProxyType({}),
) -> tuple[Table, bool]:
    """
    How the lines of a CSV text are read.

    Args:
        first: its first line.
        told: what is known beforehand.
        path: the name of the file, or the key of the object; empty where there is none.
        track: of rows that do not say it.
        chassis: the car, likewise.
        released: how far an earlier reading of the same text had come.

    Returns:
        The table, and whether the first line was a header; if not, it is the first row.

    Raises:
        WireError: no telemetry begins like this.
    """
    lacking = told.lacking(path, track, chassis)
    fields = [field.strip(b' \t\r"').decode("utf-8", "replace") for field in first.split(b",")]
    if len(fields) == len(COLUMNS) and not {*fields} & {*COLUMNS}:
        joiner = FileJoiner(told.cars, told.events, lacking, told.window, released)
        return LongTable(LongColumns(COLUMNS), joiner), False
    if _FEWEST_CSV_FIELDS <= len(fields) <= len(CSV_FIELDS) and not any(map(_known, fields)):
        return PlainTable(), False
    names = header_names(first)
    if LongColumns.fit(names):
        if lacking.chassis is None and path and "vehicle_id" not in names:
            lacking = lacking._replace(chassis=stem_of(path))
        joiner = FileJoiner(told.cars, told.events, lacking, told.window, released)
        return LongTable(LongColumns(names), joiner), True
    if TriggerTable.fit(names):
        kind = trigger_of(path) if path else None
        if kind is None and "value" not in names:
            raise WireError("missing_field", "lap triggers without a value, and no file name that tells which they are")
        return TriggerTable(names, kind, told.cars, told.events, lacking), True
    if not any(map(_known, names)):
        # The name of a file may tell the car of its rows, but makes no telemetry of any text.
        lacking = lacking._replace(chassis=None)
    return WideTable(WideRows(first, lacking)), True


def _known(name: str) -> bool:
    return name in CHANNELS or name in ALIASES or name in TEXT_ALIASES


class JsonTable(_JoinedTable):
    """Lines that are JSON objects, points and rows of the long form, of one file."""

    def __init__(self, told: Told, lacking: Lacking) -> None:
        super().__init__(FileJoiner(told.cars, told.events, lacking, told.window))
        self._fields = lacking.fields()
        self._points: list[bytes] = []
        self._indexes: list[int] = []

    @property
    def complete(self) -> bool:
        """See `Table`."""
        return self.joiner.complete or bool(self._points)

    def take(self, lines: Sequence[bytes], received_at: float) -> list[Refusal]:
        """Take lines in; returns those that are refused, by index."""
        rows: list[LongRow] = []
        numbers: list[int] = []
        refused: list[Refusal] = []
        self._points, self._indexes = [], []
        for index, line in enumerate(lines):
            if not line.strip(b" \t\r"):
                continue
            try:
                found = json_rows(line) if may_have_rows(line) else None
            except WireError as error:
                refused.append(Refusal.of(index, error))
                continue
            if found is None:
                self._points.append(line)
                self._indexes.append(index)
            else:
                rows += found
                numbers += [index] * len(found)
        self.tally.rows += len(refused)
        self.tally.refuse(error for _, error in refused)
        return refused + self.joiner.take(rows, received_at, numbers)

    def leave(self, decoder: PointDecoder, received_at: float, most: int | None = None) -> Decoded:
        """The points that are ready; of those that were joined at most so many."""
        left = self.joiner.leave(decoder, received_at, most)
        points, self._points = self._points, []
        if not points:
            return left
        self.tally.came += len(points)
        decoded = decoder.objects(points, received_at, lacking=self._fields)
        self.tally.singles += len(decoded.points)
        refused = [Refusal(self._indexes[row], error) for row, error in decoded.refused]
        return Decoded(decoded.points + left.points, decoded.raws + left.raws, refused + left.refused)

    def recall(self, lines: Sequence[bytes]) -> None:
        """Uploads are not resumed."""
