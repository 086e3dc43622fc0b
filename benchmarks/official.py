"""
The official timing of recorded races, from the ``23_AnalysisEnduranceWithSections*`` files under ``PITWALL_DATA``.

``;`` separates, names of columns may begin with a blank, and one track sends a BOM and
CRLF. A car is its number as text: 3 and 03 are two. The laps of a race come in the order
of their ends, as a server would have seen them end, ties by the car's number.
"""

from __future__ import annotations

import csv
import os
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pitwall.race.lap import Lap

#: Says where the recordings are.
DATA_VARIABLE = "PITWALL_DATA"
#: Flags at the line under which a lap is raced: green, and the finish.
GREEN, FINISH = "GF", "FF"
_SECTORS = ("S1_SECONDS", "S2_SECONDS", "S3_SECONDS")
_DAY_S = 86400.0


class OfficialLap(NamedTuple):
    """
    A lap by the official timing.

    Attributes:
        chassis: the car's number.
        lap: what the product would know of it: never a caution mark.
        flag: shown when it ended, as ``FLAG_AT_FL`` tells.
        green: whether it began and ended under green (or the finish flag), is not the
            first one, and did not begin or end in the pits.
    """

    chassis: str
    lap: Lap
    flag: str
    green: bool


class OfficialRace(NamedTuple):
    """A race: ``barber R1``, and its laps in the order of their ends."""

    name: str
    laps: tuple[OfficialLap, ...]


def races() -> list[OfficialRace]:
    """
    Every race there is, by name.

    Raises:
        LookupError: ``PITWALL_DATA`` is not set, or has no official timing in it.
    """
    data = os.environ.get(DATA_VARIABLE)
    if not data:
        raise LookupError(f"{DATA_VARIABLE} is not set: it wants the folder of the recorded races")
    paths = sorted(Path(data, "official").glob("*/*/23_AnalysisEnduranceWithSections*"))
    if not paths:
        raise LookupError(f"{DATA_VARIABLE} is {data}, which has no official/<track>/<race>/23_Analysis… in it")
    return [OfficialRace(f"{path.parts[-3]} {path.parts[-2]}", tuple(laps_in(path.read_bytes()))) for path in paths]


def laps_in(data: bytes) -> list[OfficialLap]:
    """The laps of one file, in the order of their ends."""
    lines = data.decode("utf-8-sig").splitlines()
    rows = [
        {name.strip(): (value or "").strip() for name, value in row.items() if name}
        for row in csv.DictReader(lines, delimiter=";")
    ]
    # The files are car after car, and two of them print the cars 3 and 03 alike: a lap number that
    # falls is another car.
    cars: dict[str, list[dict[str, str]]] = {}
    number = chassis = ""
    lap = 0
    for row in rows:
        if row["NUMBER"] != number or int(row["LAP_NUMBER"]) <= lap:
            number = chassis = row["NUMBER"]
            while chassis in cars:
                chassis += "'"
        lap = int(row["LAP_NUMBER"])
        cars.setdefault(chassis, []).append(row)
    found = [one for chassis, of_car in cars.items() for one in _laps_of(chassis, of_car)]
    return sorted(found, key=lambda one: (one.lap.end_s, one.chassis))


def _laps_of(chassis: str, rows: list[dict[str, str]]) -> list[OfficialLap]:
    found = []
    for before, row in pairwise([{}, *rows]):
        number, time_s = int(row["LAP_NUMBER"]), seconds(row["LAP_TIME"])
        first, pit_in = number == 1, bool(row["CROSSING_FINISH_LINE_IN_PIT"])
        pit_out = bool(before.get("CROSSING_FINISH_LINE_IN_PIT"))
        end_s = seconds(row["HOUR"])
        if before and end_s < seconds(before["HOUR"]):
            end_s += _DAY_S
        flag = row["FLAG_AT_FL"]
        green = flag in (GREEN, FINISH) and before.get("FLAG_AT_FL") == GREEN and not (first or pit_in or pit_out)
        marks = tuple(mark for mark, there in (("first", first), ("out", pit_out), ("in", pit_in)) if there)
        sectors_s = tuple(float(row[name]) if row.get(name) else None for name in _SECTORS)
        lap = Lap(number, end_s - time_s, time_s, sectors_s, (), (), marks=marks)
        found.append(OfficialLap(chassis, lap, flag, green))
    return found


def seconds(text: str) -> float:
    """``1:54.168`` or ``13:42:35.322`` as seconds."""
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total
