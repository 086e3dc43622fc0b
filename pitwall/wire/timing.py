"""
The official timing of a race: laps and sectors as the timing loops saw them.

The file is ``23_AnalysisEnduranceWithSections…CSV`` of the timekeepers: a line for each
lap of each car, cells parted by semicolons, some of the header's names with a blank in
front, at some events with a byte order mark and CRLF. Columns are found by their names;
there are as many sectors as ``S1_SECONDS``, ``S2_SECONDS`` … follow one another.
"""

from __future__ import annotations

import math
import re
from itertools import count, takewhile
from typing import Final, NamedTuple

from pitwall.wire.errors import WireError, shown

_BOM = b"\xef\xbb\xbf"
_CLOCK: Final = re.compile(r"(?:(?:(\d{1,2}):)?(\d{1,3}):)?(\d{1,6}(?:\.\d{1,6})?)", re.ASCII)
_NEEDED: Final = ("NUMBER", "LAP_NUMBER", "LAP_TIME", "S1_SECONDS")


class OfficialLap(NamedTuple):
    """
    A lap of a car, as it was timed.

    Attributes:
        car: its number as it is written; 3 and 03 are two cars.
        number: of the lap, 1 for the first.
        time_s: from line to line [s].
        sectors_s: shape (sectors,) [s].
        flag: at its end: GF green, FCY full-course caution, FF the last lap …; empty where it is not told.
        in_pit: whether the line was crossed in the pit lane.
        elapsed_s: since the start of the race [s]; None where it is not told.
        clock_s: the local time of day at its end [s since midnight]; None where it is not told.
    """

    car: str
    number: int
    time_s: float
    sectors_s: tuple[float, ...]
    flag: str = ""
    in_pit: bool = False
    elapsed_s: float | None = None
    clock_s: float | None = None

    @property
    def racing(self) -> bool:
        """Whether it was driven at racing speed to the line."""
        return not self.in_pit and self.flag in ("GF", "FF", "")


class Timing(NamedTuple):
    """The laps of a file, in its order, and what was wrong with the lines that are not among them."""

    laps: tuple[OfficialLap, ...]
    refused: tuple[WireError, ...]

    def of_car(self, number: str) -> tuple[OfficialLap, ...]:
        """The laps of one car, by its number as it is written."""
        return tuple(lap for lap in self.laps if lap.car == number)


def parse_timing(content: bytes) -> Timing:
    """
    The laps of an official timing file.

    Raises:
        WireError: it is not UTF-8, or its header has not the columns.
    """
    try:
        text = content.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        raise WireError("not_utf8", f"byte {error.start} is not UTF-8") from None
    lines = text.split("\n")
    names = [name.strip(' \t\r"') for name in lines[0].split(";")]
    for name in _NEEDED:
        if name not in names:
            raise WireError("missing_field", f"no column {name}, wanted the official timing with sections", name)
    sectors = list(takewhile(names.__contains__, map("S{}_SECONDS".format, count(1))))
    laps: list[OfficialLap] = []
    refused: list[WireError] = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip(" \t\r;"):
            continue
        try:
            laps.append(_lap(line, names, sectors))
        except WireError as error:
            refused.append(WireError(error.reason, f"line {number}: {error.message}", error.field))
    return Timing(tuple(laps), tuple(refused))


def _lap(line: str, names: list[str], sectors: list[str]) -> OfficialLap:
    cells = [cell.strip(' \t\r"') for cell in line.split(";")]
    if len(cells) != len(names):
        raise WireError("csv_fields", f"{len(cells)} cells under a header with {len(names)}")
    row = dict(zip(names, cells, strict=True))
    car, lap = row["NUMBER"], row["LAP_NUMBER"]
    if not car.isascii() or not car.isdigit():
        raise WireError("wrong_type", f"NUMBER is {shown(car)}, wanted digits", "NUMBER")
    if not lap.isascii() or not lap.isdigit() or len(lap) > 5:
        raise WireError("wrong_type", f"LAP_NUMBER is {shown(lap)}, wanted a number", "LAP_NUMBER")
    return OfficialLap(
        car,
        int(lap),
        _positive("LAP_TIME", row),
        tuple(_positive(name, row) for name in sectors),
        row.get("FLAG_AT_FL", ""),
        bool(row.get("CROSSING_FINISH_LINE_IN_PIT", "")),
        _seconds("ELAPSED", row) if row.get("ELAPSED") else None,
        _seconds("HOUR", row) if row.get("HOUR") else None,
    )


def _positive(name: str, row: dict[str, str]) -> float:
    seconds = _seconds(name, row)
    if seconds <= 0:
        raise WireError("out_of_range", f"{name} is {shown(row[name])}, wanted more than 0", name)
    return seconds


def _seconds(name: str, row: dict[str, str]) -> float:
    """A duration or a time of day: ``58.2``, ``1:54.168`` or ``13:42:35.322``."""
    found = _CLOCK.fullmatch(row[name])
    if found is None:
        raise WireError("wrong_type", f"{name} is {shown(row[name])}, wanted a time", name)
    hours, minutes, seconds = found.groups()
    # Sums of thousandths, rounded to them, are what the file says.
    return round(math.fsum((3600 * int(hours or 0), 60 * int(minutes or 0), float(seconds))), 6)
