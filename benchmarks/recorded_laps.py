"""
The product's lap timer on recorded races, against their official timing.

The recordings of ``PITWALL_DATA`` are mostly single laps, cut out by the car's lap number.
To give them their lines, a stand-in row is put an interval before and after laps whose
neighbour is missing: the lap number one lower or higher, and no channel but, in the one
before, the lap's first speed. Each such run is a car of its own. In such a lap neither the
lap distance is reset nor does the position come to the line, so that these are left out
where there are any, and the lap is timed by its number, as on the five tracks whose cars
send no more. Laps that follow one another are timed once more with all there is. A whole
session has no stand-ins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pitwall.importer.playing import Spool
from pitwall.importer.recorded import points_of
from pitwall.importer.sources import local_source
from pitwall.model.cars import CarNames
from pitwall.model.channels import CORE
from pitwall.model.events import EVENTS
from pitwall.model.track import Track, packaged_tracks
from pitwall.race.car import Car
from pitwall.race.lap import Lap
from pitwall.race.matching import SentLap, match_laps, number_of
from pitwall.race.tracker import HOLE_S
from pitwall.wire.tables import Told
from pitwall.wire.timing import OfficialLap, Timing

Rows = NDArray[np.void]

#: Rows of one lap number that are further apart are of two laps [s].
_OUTING_S: Final = 10.0
#: So much around a lap is given to the lap timer [s].
_AROUND_S: Final = 3.0
_TICK_S: Final = 0.6
_NO_LAP: Final = (0, 32768)


class TimedLap(NamedTuple):
    """
    A lap as the product timed it, and officially.

    Attributes:
        chassis: the car.
        lap: the product's.
        official: None where no official lap fits.
        rows: of it, and of a few seconds around it.
    """

    chassis: str
    lap: Lap
    official: OfficialLap | None
    rows: Rows

    @property
    def name(self) -> str:
        """For lists."""
        official = "none" if self.official is None else str(self.official.number)
        return f"{self.chassis} lap {count_of(self.lap)}, official {official}"

    @property
    def error_s(self) -> float:
        """Lap time less the official one [s]."""
        if self.official is None or self.lap.time_s is None:
            return math.nan
        return self.lap.time_s - self.official.time_s

    @property
    def counts(self) -> bool:
        """Whether it is a clean green lap: raced by the official flags, and timed without a hole at the line."""
        return self.official is not None and self.official.racing and "estimated" not in self.lap.marks


def count_of(lap: Lap) -> int:
    """Which lap the car itself took it for; as we count where it told none."""
    return lap.number if lap.lap_sent is None else lap.lap_sent


def cars_of(data: Path, patterns: Sequence[str], track: Track) -> dict[str, Rows]:
    """The rows of each car of some recordings, by its own clock where it runs."""
    told = Told(CarNames(), EVENTS, packaged_tracks())
    spool = Spool()
    for pattern in patterns:
        for path in sorted(data.glob(pattern)):
            spool.add(points_of(local_source(str(path)), told, track.name))
    rows = np.concatenate(list(spool.played()))
    spool.close()
    return {car.chassis: rows[rows["car"] == car.number] for car in spool.cars}


def runs_of(rows: Rows, distance: bool) -> list[Rows]:
    """
    The laps of one car that follow one another, with a stand-in at either end, in the order of time.

    Args:
        rows: of one car.
        distance: whether to keep the lap distance and the position.
    """
    rows = np.sort(rows[np.isfinite(rows["lap"]) & ~np.isin(rows["lap"], _NO_LAP)], order="time_s")
    if not distance:
        for name in ("lapdist_m", "latitude", "longitude"):
            rows[name] = np.nan
    found: list[Rows] = []
    for run in np.split(rows, np.flatnonzero(np.diff(rows["time_s"]) > _OUTING_S) + 1):
        if run.size < 2 or not np.isfinite(run["speed_kmh"]).any():
            continue
        interval_s = float(np.median(np.diff(run["time_s"])))
        begin = _stand_in(run[:1], -1, -interval_s)
        # Without a speed from the start the lap numbers would be taken for lap triggers, each at its moment.
        begin["speed_kmh"] = run["speed_kmh"][np.isfinite(run["speed_kmh"])][:1]
        # The second one after the end lets the lap timer wait no longer for a sample of the speed.
        ends = [_stand_in(run[-1:], 1, after_s) for after_s in (interval_s, interval_s + HOLE_S)]
        found.append(np.concatenate([begin, run, *ends]))
    return found


def laps_of(rows: Rows, track: Track) -> list[Lap]:
    """The laps of one car, by the product's lap timer."""
    if not rows.size:
        return []
    rows = rows.copy()
    rows["seq"] = np.arange(1, rows.size + 1)
    laps: dict[int, Lap] = {}
    car = Car(track)
    ticks = np.floor(np.maximum.accumulate(rows["time_s"]) / _TICK_S)
    for part in np.split(rows, np.flatnonzero(np.diff(ticks)) + 1):
        car.take(part)
        laps.update((change.lap.number, change.lap) for change in car.tick())
    laps.update((change.lap.number, change.lap) for change in car.tick(final=True))
    return [lap for _, lap in sorted(laps.items())]


def timed_laps(cars: dict[str, list[Rows]], track: Track, timing: Timing) -> list[TimedLap]:
    """Each lap of some cars, given as runs that do not follow one another, with its official one."""
    numbers = {lap.car for lap in timing.laps}
    found: list[TimedLap] = []
    for chassis, runs in sorted(cars.items()):
        laps = [(lap, run) for run in runs for lap in laps_of(run, track) if lap.time_s is not None]
        sent = [SentLap(count_of(lap), lap.time_s or 0.0, float(run["meta_s"][lap.last_seq - 1])) for lap, run in laps]
        number = number_of(chassis, numbers)
        matched = match_laps(sent, timing.of_car(number) if number is not None else ())
        official = dict(matched.laps)
        for index, (lap, run) in enumerate(laps):
            first_s, last_s = run["time_s"][[lap.first_seq - 1, lap.last_seq - 1]]
            near = run[(run["time_s"] > first_s - _AROUND_S) & (run["time_s"] < last_s + _AROUND_S)]
            found.append(TimedLap(chassis, lap, official.get(index), near))
    return found


def _stand_in(row: Rows, laps: int, after_s: float) -> Rows:
    """A row before or after another one, of the lap before or after, with no channel."""
    other = row.copy()
    for channel in CORE:
        if channel.name != "lap":
            other[channel.name] = np.nan
    other["lap"] += laps
    other["time_s"] += after_s
    other["meta_s"] += after_s
    return other
