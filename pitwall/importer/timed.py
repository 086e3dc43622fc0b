"""The official timing of a race as a recording: its laps go to the forecast as they are."""

from __future__ import annotations

import io
import zlib
from collections import Counter
from typing import Final, NamedTuple, cast

from pitwall.importer.formats import ReadError, is_packed, read_error, without_mark
from pitwall.importer.sources import Source
from pitwall.race.lap import Lap
from pitwall.race.paces import PaceBook
from pitwall.wire.errors import WireError
from pitwall.wire.timing import OfficialLap, parse_timing

_DAY_S: Final = 86400.0
#: So much of a file tells what it is [bytes].
_HEAD: Final = 16 << 10


class TimedRace(NamedTuple):
    """
    A race as it was timed, played.

    Attributes:
        laps: of each car, in order, with the marks they got.
        refused: lines that are no laps.
        book: paces and forecasts.
    """

    laps: dict[str, list[Lap]]
    refused: int
    book: PaceBook


def peeked(source: Source) -> tuple[Source, bool]:
    """
    A source that can be opened once, and whether it is official timing.

    Raises:
        ReadError, OSError: it can't be read.
    """
    stream = io.BufferedReader(source.open(), _HEAD)
    try:
        begun = stream.peek(_HEAD)
        if is_packed(begun):
            begun = zlib.decompressobj(31).decompress(begun, _HEAD)
    except zlib.error as error:
        raise read_error(error) from None
    names = {name.strip(b' \t\r"') for name in without_mark(begun).partition(b"\n")[0].split(b";")}
    # What reads it wants `readinto` and `close` alone.
    return source._replace(open=lambda: cast(io.RawIOBase, stream)), {b"NUMBER", b"LAP_NUMBER", b"LAP_TIME"} <= names


def play_timing(content: bytes) -> TimedRace:
    """
    Play a race by its official timing.

    Args:
        content: of a file ``23_AnalysisEnduranceWithSections…CSV``, unpacked.

    Raises:
        ReadError: it is none.
    """
    try:
        timing = parse_timing(content)
    except WireError as error:
        raise ReadError(error.message) from None
    ended = [
        (lap.start_s + (lap.time_s or 0.0), chassis, lap.number, lap)
        for chassis, of_car in _by_car(timing.laps).items()
        for lap in _laps(of_car)
    ]
    book = PaceBook()
    laps: dict[str, list[Lap]] = {}
    for _, chassis, _, lap in sorted(ended, key=lambda one: one[:3]):
        lap.marks = book.lap_ended(chassis, lap)
        laps.setdefault(chassis, []).append(lap)
    return TimedRace(laps, len(timing.refused), book)


def _by_car(laps: tuple[OfficialLap, ...]) -> dict[str, list[OfficialLap]]:
    """
    The laps of each car.

    The files are car after car, and some print the cars 3 and 03 alike: a lap number
    that does not rise is another car's, and it is called by the same with a mark.
    """
    cars: dict[str, list[OfficialLap]] = {}
    alike: Counter[str] = Counter()
    before: OfficialLap | None = None
    name = ""
    for lap in laps:
        if before is None or lap.car != before.car or lap.number <= before.number:
            name = lap.car + "'" * alike[lap.car]
            alike[lap.car] += 1
        before = lap
        cars.setdefault(name, []).append(lap)
    return cars


def _laps(official: list[OfficialLap]) -> list[Lap]:
    """The laps of one car, as the race computation has them."""
    found: list[Lap] = []
    came_in = False
    ended_s = 0.0
    for lap in official:
        end_s = lap.clock_s if lap.clock_s is not None else lap.elapsed_s
        if end_s is None:
            end_s = ended_s + lap.time_s
        elif end_s < ended_s - _DAY_S / 2:
            end_s += _DAY_S
        told = (("first", lap.number == 1), ("out", came_in), ("in", lap.in_pit))
        marks = tuple(mark for mark, there in told if there)
        found.append(Lap(lap.number, end_s - lap.time_s, lap.time_s, lap.sectors_s, (), (), marks=marks))
        came_in, ended_s = lap.in_pit, end_s
    return found
