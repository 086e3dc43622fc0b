"""The decoders of points: datagrams, arrays in slices, and the texts of files."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar
from unittest import mock
from zlib import crc32

from benchmarks.fuzz import forms
from benchmarks.fuzz.mutate import LONGEST
from benchmarks.fuzz.oracle import NOW, alike, as_many, decoded, refusal_holds
from benchmarks.fuzz.target import ACCEPTED, Broken, Target
from pitwall.model.cars import CarNames
from pitwall.model.events import EVENTS
from pitwall.model.track import packaged_tracks
from pitwall.wire import slices
from pitwall.wire.errors import WireError
from pitwall.wire.live import LiveDecoder
from pitwall.wire.pieces import Lines, inflated
from pitwall.wire.points import Decoded, PointDecoder, split_array
from pitwall.wire.signed import MOST_KEYS, SHORTEST_KEY, Seal, parse_keys
from pitwall.wire.slices import array_slices
from pitwall.wire.tables import JsonTable, Table, Told, open_table
from pitwall.wire.timing import Timing, parse_timing

TOLD = Told(CarNames(), EVENTS, packaged_tracks(), "barber")
_BATCH = 20


class _Datagrams(Target):
    """Datagrams, alone and among nineteen good ones; a decoder that has learnt and a new one say the same."""

    of: ClassVar[tuple[str, ...]] = (
        *(
            "pitwall.wire.points",
            "pitwall.wire.fields",
            "pitwall.wire.text",
            "pitwall.wire.live",
            "pitwall.wire.longform",
        ),
        *("pitwall.wire.joiner", "pitwall.wire.cells", "pitwall.wire.widecsv", "pitwall.wire.columnar"),
    )

    def __init__(self) -> None:
        self._learnt, self._new = PointDecoder(), PointDecoder()

    def decode(self, data: bytes) -> Decoded:
        """What the decoder makes of it."""
        return self._datagrams(self._learnt, [data])

    def judge(self, data: bytes, found: Decoded) -> str:
        """See `Target`."""
        if not alike(found, self._datagrams(self._new, [data])):
            raise Broken("a new decoder says something else")
        good = forms.POINTS[0]
        batch = [good] * _BATCH
        batch[crc32(data) % _BATCH] = data
        among = self._datagrams(self._learnt, batch)
        kept = sum(point.time_s() == GOOD.time_s() and point.chassis == GOOD.chassis for point in among.points)
        if kept < _BATCH - 1 or len(among.points) != _BATCH - 1 + len(found.points):
            raise Broken(f"{len(among.points)} of {_BATCH - 1} good points and {len(found.points)} others")
        return decoded(found)

    def same(self, one: Decoded, other: Decoded) -> bool:
        """See `Target`."""
        return alike(one, other)

    @staticmethod
    def _datagrams(decoder: PointDecoder, datagrams: Sequence[bytes]) -> Decoded:
        live = LiveDecoder(decoder, TOLD)
        now, late = live.datagrams(datagrams, NOW), live.overdue(NOW + 3600)
        return Decoded(now.points + late.points, now.raws + late.raws, now.refused + late.refused)


GOOD = PointDecoder().one(forms.POINTS[0], NOW)[0]


class JsonDatagrams(_Datagrams):
    """A point a datagram, or an array of them."""

    name = "udp json"
    samples = (*forms.POINTS, *forms.ARRAYS[:2], *forms.LINES[:1])


class CsvDatagrams(_Datagrams):
    """Lines of CSV."""

    name = "udp csv"
    samples = forms.CSV_LINES


class LongDatagrams(_Datagrams):
    """Rows of the long form, as JSON and as CSV."""

    name = "udp long form"
    samples = (*forms.LONG_ROWS, *forms.LONG_TEXTS[:2])


class SignedDatagrams(Target):
    """Datagrams with a trailer: accepted exactly where the HMAC is right."""

    name = "udp signed"
    of: ClassVar[tuple[str, ...]] = ("pitwall.wire.signed", "pitwall.ingest.udp")
    family = (WireError,)
    _key = b"k" * SHORTEST_KEY
    samples = tuple(
        said + blank + b"hmac-sha256=" + hmac.digest(b"k" * SHORTEST_KEY, said, "sha256").hex().encode() + end
        for said, blank, end in zip(forms.POINTS, (b" ", b"\n", b" "), (b"", b"\n", b"\r\n"), strict=False)
    )

    def __init__(self) -> None:
        self._seal = Seal([self._key])

    def decode(self, data: bytes) -> bytes:
        """What the decoder makes of it."""
        return self._seal.opened(data)

    def judge(self, data: bytes, found: bytes) -> str:
        """See `Target`."""
        if (
            not data.startswith(found)
            or hmac.new(self._key, found, hashlib.sha256).hexdigest().encode() not in data.lower()
        ):
            raise Broken(f"{found[:200]!r} was not signed")
        return ACCEPTED


class SignedKeys(Target):
    """The file with the shared keys."""

    name = "udp keys"
    of: ClassVar[tuple[str, ...]] = ("pitwall.wire.signed",)
    family = (ValueError,)
    samples = (b"k" * 32 + b"\n", b"a" * 64 + b"\r\n\n" + b"b" * 40)

    def decode(self, data: bytes) -> list[bytes]:
        """What the decoder makes of it."""
        parse_keys(data)
        return data.split()

    def judge(self, data: bytes, found: list[bytes]) -> str:
        """See `Target`."""
        if len([line for line in data.split(b"\n") if line.strip()]) not in range(1, MOST_KEYS + 1):
            raise Broken("so many keys are too many")
        return ACCEPTED


class Slices(Target):
    """A large array in slices, made small here: no element is lost, and none is made."""

    name = "array slices"
    of: ClassVar[tuple[str, ...]] = ("pitwall.wire.slices",)
    family = (WireError,)
    samples = forms.ARRAYS

    def decode(self, data: bytes) -> list[bytes]:
        """What the decoder makes of it."""
        with mock.patch.object(slices, "SLICE_BYTES", 60):
            return list(chain.from_iterable(array_slices(data)))

    def judge(self, data: bytes, found: list[bytes]) -> str:
        """See `Target`."""
        if data.strip(b" \t\r\n")[:1] == b"[" and found != split_array(data):
            raise Broken(f"{len(found)} elements, not {len(split_array(data))}")
        return ACCEPTED


class _Text(Target):
    """A text of lines, taken some lines at a time as a door does: how it is cut changes nothing."""

    of: ClassVar[tuple[str, ...]] = (
        *("pitwall.wire.tables", "pitwall.wire.widecsv", "pitwall.wire.laptriggers", "pitwall.wire.longform"),
        *("pitwall.wire.joiner", "pitwall.wire.pieces", "pitwall.wire.cells"),
    )
    family = (WireError,)
    path = "barber/R1_barber_lap_time.csv"

    def __init__(self) -> None:
        self._decoder = PointDecoder()

    def decode(self, data: bytes) -> Decoded:
        """What the decoder makes of it."""
        return self._read(data, 1000)

    def judge(self, data: bytes, found: Decoded) -> str:
        """See `Target`."""
        if not as_many(found, self._read(data, 2)):
            raise Broken("cut otherwise, it says something else")
        return decoded(found)

    def same(self, one: Decoded, other: Decoded) -> bool:
        """See `Target`."""
        return alike(one, other)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        return iter((data,))

    def _table(self, first: bytes) -> tuple[Table, bool]:
        return open_table(first, TOLD, self.path, None, None)

    def _read(self, data: bytes, most: int) -> Decoded:
        lines = Lines(self._pieces(data))
        found = Decoded([], [], [])
        first = lines.take(1) or [lines.rest]
        table, is_header = self._table(first[0].removeprefix(b"\xef\xbb\xbf").strip(b" \t\r"))
        batch, row, rest = [] if is_header else first, 0, True
        while batch or rest:
            _add(found, table.take(batch, NOW), row)
            left = table.leave(self._decoder, NOW)
            _add(found, left.refused, row)
            found.points.extend(left.points)
            found.raws.extend(left.raws)
            row += len(batch)
            batch = lines.take(most)
            if not batch and rest:
                batch, rest = [lines.rest] if lines.rest and lines.offset else [], False
        table.finish()
        while table.complete:
            left = table.leave(self._decoder, NOW)
            found.points.extend(left.points)
            found.raws.extend(left.raws)
            _add(found, left.refused, row)
        found.refused.sort(key=lambda refusal: refusal.row)
        if table.held():
            raise Broken(f"{table.held()} rows are held for ever")
        return found


def _add(found: Decoded, refused: Sequence[Any], row: int) -> None:
    found.refused.extend(refusal._replace(row=row + refusal.row) for refusal in refused)


class CsvText(_Text):
    """CSV of every kind: wide, long, lap triggers, without a header."""

    name = "csv text"
    samples = forms.TEXTS


class ReducedText(_Text):
    """The reduced long form, whose file's name tells the car and the track."""

    name = "csv reduced"
    path = "barber/GR86-013-80.csv.gz"
    samples = forms.LONG_TEXTS


class JsonLines(_Text):
    """Lines of JSON, points and rows."""

    name = "json lines"
    samples = forms.LINES

    def _table(self, first: bytes) -> tuple[Table, bool]:
        return JsonTable(TOLD, TOLD.lacking()), False


class PackedText(_Text):
    """The same as gzip, in one member or more."""

    name = "csv gzip"
    of: ClassVar[tuple[str, ...]] = ("pitwall.wire.pieces",)
    samples = (
        *map(forms.packed, forms.TEXTS[:4]),
        forms.packed(forms.TEXTS[2]) + forms.packed(b"") + b"\0" * 9,
    )

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        size = 0
        for piece in inflated(iter((data[:40], data[40:])), 4096):
            size += len(piece)
            if size > 2 * LONGEST:  # a door has a limit too
                return
            yield piece


class TimingText(Target):
    """The official timing of a race."""

    name = "timing"
    of: ClassVar[tuple[str, ...]] = ("pitwall.wire.timing",)
    family = (WireError,)
    samples = forms.TIMING

    def decode(self, data: bytes) -> Timing:
        """What the decoder makes of it."""
        return parse_timing(data)

    def same(self, one: Timing, other: Timing) -> bool:
        """See `Target`."""
        return one.laps == other.laps and [error.message for error in one.refused] == [e.message for e in other.refused]

    def judge(self, data: bytes, found: Timing) -> str:
        """See `Target`."""
        for error in found.refused:
            refusal_holds(error)
        for lap in found.laps:
            if not 0 < lap.time_s < 1e7 or not all(0 < time_s < 1e7 for time_s in lap.sectors_s):
                raise Broken(f"a lap of {lap}")
        return ACCEPTED if found.laps else "no laps"


TARGETS: tuple[type[Target], ...] = (
    *(JsonDatagrams, CsvDatagrams, LongDatagrams, SignedDatagrams, SignedKeys, Slices),
    *(CsvText, ReducedText, JsonLines, PackedText, TimingText),
)
