"""Rows to compute, from simulated races and made by hand, what they come to, and the truth of the stress in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from pitwall.cars import CarTable
from pitwall.model.channels import CORE
from pitwall.model.row import ROW
from pitwall.model.track import Sector, Track, Tracks
from pitwall.race.analysis import Analysis
from pitwall.race.car import Car
from pitwall.race.lap import Lap
from pitwall.race.report import CarReport, CarTick, car_report, car_tick
from pitwall.rows import STAMPS, channels_of, columns_of, numbered, pack_rows
from pitwall.sim import Race, RaceConfig, encode_point
from pitwall.times import place
from pitwall.wire.points import PointDecoder

Rows = NDArray[np.void]

#: A kilometre in two sectors.
SHORT = Track("short", 1000.0, (Sector("S1", 0.0, 400.0), Sector("S2", 400.0, 1000.0)))
#: A lap of half a minute or so, for races of many laps.
SHORTWAY = Track(
    "shortway", 1200.0, (Sector("S1", 0.0, 390.0), Sector("S2", 390.0, 820.0), Sector("S3", 820.0, 1200.0))
)
START_S = 1_757_184_000.0
_G = 9.80665
CHANNELS = tuple(channel.name for channel in CORE)


def rows_of(points: Sequence[dict[str, Any]]) -> tuple[Rows, dict[str, int]]:
    """The rows of points, by the way every point takes, and the number of each chassis."""
    decoded = PointDecoder().objects(list(map(encode_point, points)), 0.0)
    assert not decoded.refused
    table = CarTable(500)
    columns = columns_of(decoded.points)
    cars = table.numbers(list(zip(columns[0], columns[1], strict=True)), 0.0)
    rows = pack_rows(columns, channels_of(columns), cars)
    place(rows, columns[STAMPS], table)
    return numbered(rows, 1), {car.chassis: car.number for car in table}


def hand_made(times_s: Any, **channels: Any) -> Rows:
    """Rows of one car at these moments since the start; channels that are not given were not sent."""
    rows = np.zeros(len(times_s), ROW)
    rows["seq"] = np.arange(1, len(times_s) + 1)
    rows["time_s"] = rows["meta_s"] = START_S + np.asarray(times_s)
    rows["latitude"] = rows["longitude"] = np.nan
    for name in CHANNELS:
        rows[name] = channels.get(name, np.nan)
    return rows


def field_of(cars: Sequence[Rows]) -> Rows:
    """The rows of cars, numbered from 0, as they come: in the order of their times."""
    for number, rows in enumerate(cars):
        rows["car"] = number
    return in_order(np.concatenate(cars))


def in_order(rows: Rows, came_s: Any = None) -> Rows:
    """A copy of rows in the order in which they came, by default that of their times, and so numbered."""
    ordered: Rows = rows[np.argsort(rows["meta_s"] if came_s is None else came_s, kind="stable")]
    return numbered(ordered, 1)


def in_ticks(rows: Rows, tick_s: float) -> Iterator[Rows]:
    """Rows in the order of arrival, cut into ticks; infinite for all at once."""
    tick = np.maximum.accumulate(np.floor((rows["time_s"] - rows["time_s"][0]) / tick_s))
    yield from np.split(rows, np.flatnonzero(np.diff(tick)) + 1)


def in_parts(rows: Rows, length: int) -> Iterator[Rows]:
    """Rows in the order of arrival, so many at a time."""
    yield from (rows[start : start + length] for start in range(0, len(rows), length))


class Recording(NamedTuple):
    """A simulated race, the rows of its first seconds as they arrived, and the number of each chassis."""

    race: Race
    rows: Rows
    numbers: dict[str, int]

    def of(self, chassis: str) -> Rows:
        """The rows of one car."""
        rows: Rows = self.rows[self.rows["car"] == self.numbers[chassis]]
        return rows


@cache
def recording(seconds: float, **settings: Any) -> Recording:
    """Two cars at Barber, ten points a second each, from lights out, unless told otherwise; not to be changed."""
    race = Race(RaceConfig(**{"cars": 2, "rate_hz": 10, **settings}))
    rows, numbers = rows_of(race.points(0, seconds))
    rows.flags.writeable = False
    return Recording(race, rows, numbers)


class Computed(NamedTuple):
    """What the rows of one car came to: the car, and what was told of it at each tick."""

    car: Car
    ticks: list[CarTick]
    reports: list[CarReport]

    @property
    def result(self) -> dict[str, Any]:
        """The last one, as clients get it."""
        return self.reports[-1].result

    @property
    def laps(self) -> list[Lap]:
        """The laps that ended, oldest first."""
        return self.car.laps

    @property
    def times(self) -> list[float | None]:
        """Their times [s]."""
        return [lap.time_s for lap in self.car.laps]


def check_times(found: Iterable[float | None], wanted: Iterable[float], within_s: float) -> None:
    """Each time is known, and as it should be."""
    np.testing.assert_allclose(np.array([*found], float), np.array([*wanted], float), rtol=0, atol=within_s)


def compute(rows: Rows | Iterable[Rows], track: Track | None, tick_s: float = 0.6) -> Computed:
    """The figures of one car; the rows may be cut already."""
    car, ticks, reports = Car(track), [], []
    for part in in_ticks(rows, tick_s) if isinstance(rows, np.ndarray) else rows:
        car.take(part)
        ticks.append(car_tick(0, car, round(part["meta_s"].max() * 1000), car.tick()))
        reports.append(car_report(0, "track", "chassis", car))
    changes = car.tick(final=True)
    if changes:
        ticks.append(car_tick(0, car, ticks[-1].at_ms, changes))
    return Computed(car, ticks, reports)


def compute_race(made: Recording, tick_s: float = 2.0) -> dict[str, Computed]:
    """The figures of each chassis of a simulated race."""
    return {chassis: compute(made.of(chassis), made.race.track, tick_s) for chassis in made.race.truth.chassis}


def covered_m(car: Car) -> float:
    """How far a car has come since the start of the race [m]."""
    place = car.tracker.place
    return place.laps_done * car.length_m + car.tracker.in_lap_m(car.length_m)


def names_of(numbers: Mapping[str, int], track: str) -> list[tuple[int, str, str]]:
    """Cars as they are made known."""
    return [(number, track, chassis) for chassis, number in numbers.items()]


def analysis(
    parts: Iterable[Rows], numbers: Mapping[str, int], track: Track, configured: bool = True, finish: bool = True
) -> Analysis:
    """The whole computation over rows that are cut already."""
    found = Analysis(Tracks([track] if configured else []))
    found.know(names_of(numbers, track.name))
    for part in parts:
        found.take(part)
    if finish:
        found.finish()
    return found


def as_told(found: Analysis) -> bytes:
    """All that an analysis says, as bytes."""
    book = found.book
    tables = (book.laps(), book.gaps(), book.cars(), book.tracks(), book.score())
    return msgspec.json.encode((*tables, found.insights, found.corrections))


def true_stress(race: Race, chassis: str, until_s: float) -> list[float]:
    """The stress of each sector of the lap a car is on, from 1,000 samples a second, and the sensors' noise [g²·m]."""
    lap = race.truth.lap_at(chassis, until_s)
    return lap_stress(race, chassis, lap, race.truth.lap(chassis, lap).start_s, until_s)


def lap_stress(race: Race, chassis: str, lap: int, from_s: float, until_s: float) -> list[float]:
    """The stress of each sector of a lap, from one moment to another [g²·m]."""
    times = np.arange(from_s, until_s, 0.001)
    covered, speed = race.truth.distance_m(chassis, times), race.truth.speed_m_s(chassis, times)
    length_m = race.track.total_m
    accx = np.gradient(speed, times) / _G
    accy = speed**2 * race.truth.circuit.curvature_at(covered % length_m) / _G
    squares = accx**2 + accy**2 + 0.025**2 + 0.03**2
    summed = np.concatenate(([0.0], np.cumsum((squares[1:] + squares[:-1]) / 2 * np.diff(covered))))
    ends = [(lap - 1) * length_m + end for end in (0.0, *race.track.boundaries_m())]
    return np.diff(np.interp(ends, covered, summed)).tolist()
