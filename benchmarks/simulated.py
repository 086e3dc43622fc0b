"""How near the race computation comes to the truth of simulated races, however badly they are recorded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.checks import Check, within
from pitwall.cars import CarTable
from pitwall.model.track import Tracks, packaged_tracks
from pitwall.race.analysis import Analysis
from pitwall.rows import STAMPS, channels_of, columns_of, numbered, pack_rows
from pitwall.sim import Faults, Race, RaceConfig, encode_point
from pitwall.times import place
from pitwall.wire.points import PointDecoder

Rows = NDArray[np.void]
FloatArray = NDArray[np.float64]

TICK_S: Final = 0.6
#: The start is not compared: cars stand still on the grid, and clocks are not known yet [s].
SETTLED_S: Final = 20.0
#: A lap is found when its time is as near as that [s].
FOUND_S: Final = 0.5
#: A car counts as ahead of another from here on [m].
AHEAD_M: Final = 1.0
NOISE = Faults(lapdist_noise_m=0.5)
CLOCKS = Faults(clock_behind_h=(23, 88), clock_drift_ppm=20, burst_s=0.6, stamped_on_arrival=True, lapdist_noise_m=0.5)
BLIND = Faults(lapdist_noise_m=0.5, unknown_lap_share=0.2, missing_lapdist_share=0.5, shuffled_share=1.0, shuffle_s=2.0)


class Recorded(NamedTuple):
    """Rows as they came, and the number of each chassis."""

    rows: Rows
    numbers: dict[str, int]


class Gaps(NamedTuple):
    """What was seen of gaps and order, tick by tick."""

    errors_s: FloatArray
    inside: float
    unknown: float
    strict: float
    ahead: float
    apart: float
    places: float
    close: float


def recorded(points: Sequence[dict[str, Any]]) -> Recorded:
    """Points as rows, the way they go through a server."""
    decoded = PointDecoder().objects(list(map(encode_point, points)), 0.0)
    assert not decoded.refused
    cars = CarTable(512)
    columns = columns_of(decoded.points)
    numbers = cars.numbers(list(zip(columns[0], columns[1], strict=True)), 0.0)
    rows = pack_rows(columns, channels_of(columns), numbers)
    place(rows, columns[STAMPS], cars)
    return Recorded(numbered(rows, 1), {car.chassis: car.number for car in cars})


def in_ticks(rows: Rows) -> Iterator[Rows]:
    """Rows as a worker gets them, those of a tick at a time."""
    ticks = np.floor(np.maximum.accumulate(rows["meta_s"]) / TICK_S)
    yield from np.split(rows, np.flatnonzero(np.diff(ticks)) + 1)


def analysed(
    race: Race, given: Recorded, tracks: Tracks, each_tick: Callable[[Analysis], None] = lambda analysis: None
) -> Analysis:
    """The race, computed."""
    analysis = Analysis(tracks, TICK_S)
    analysis.know([(number, race.track.name, chassis) for chassis, number in given.numbers.items()])
    for rows in in_ticks(given.rows):
        analysis.take(rows)
        each_tick(analysis)
    analysis.finish()
    return analysis


def of_noise(quick: bool) -> list[Check]:
    """Lap, sector and gap errors, and the order, with half a metre of noise on the lap distance."""
    race = _race(quick, NOISE)
    analysis, gaps = _with_gaps(race, 250 if quick else 420)
    laps_s, sectors_s = _lap_errors(race, analysis)
    return [
        Check("laps compared", laps_s.size),
        *_errors("lap time error", laps_s, 12, 30),
        *_errors("sector time error", sectors_s, 15, 35),
        *_errors("gap error", gaps.errors_s, 15, 40),
        Check("gaps not known [%]", gaps.unknown),
        Check("instants at which all positions are the true ones [%]", gaps.strict, "≥", 99.5),
        Check(f"instants at which none is ahead of one truly {AHEAD_M:g} m ahead [%]", gaps.ahead, "≥", 99.5),
        Check(f"instants at which no two cars are within {AHEAD_M:g} m: all positions right at [%]", gaps.apart),
        Check(f"instants at which two cars are within {AHEAD_M:g} m [%]", gaps.close),
        Check("positions that are the true ones [%]", gaps.places),
    ]


def of_clocks(quick: bool) -> list[Check]:
    """Gaps between cars whose clocks are days apart, drift, and are heard in batches."""
    _, gaps = _with_gaps(_race(quick, CLOCKS), 250 if quick else 420)
    return [
        *_errors("gap error", gaps.errors_s, 40, 100),
        *within("true gaps within 1.64 of gapSigmaSeconds [%]", gaps.inside, 88, 92),
        Check("gaps not known [%]", gaps.unknown),
    ]


def of_blind(quick: bool) -> list[Check]:
    """Laps found on a track that is not configured, from rows out of order that tell half of what they should."""
    race = _race(quick, BLIND)
    seconds = 400.0 if quick else 700.0
    analysis = analysed(race, recorded(race.points(0, seconds)), Tracks(()))
    found = {(lap["chassis"], lap["lap"]): lap["lap_time_s"] for lap in analysis.book.laps()}
    true = [
        (chassis, race.truth.lap(chassis, lap))
        for chassis in race.truth.chassis
        for lap in range(1, race.truth.lap_at(chassis, seconds - 3.0))
    ]
    errors_s = [(found.get((chassis, lap.lap)) or math.inf) - lap.lap_time_s for chassis, lap in true]
    ended = {(chassis, lap) for chassis in race.truth.chassis for lap in range(1, race.truth.lap_at(chassis, seconds))}
    good = sum(abs(error_s) <= FOUND_S for error_s in errors_s)
    (track,) = analysis.book.tracks()
    return [
        Check("laps driven", len(true)),
        Check(f"laps found, to {FOUND_S:g} s [%]", 100 * good / len(true), "≥", 99),
        Check("laps that are none", len(found.keys() - ended)),
        Check("track length off by [m]", abs((track["length_m"] or math.inf) - race.track.total_m), "≤", 5),
        *_errors("time of those found, error", np.array([each for each in errors_s if abs(each) <= FOUND_S])),
    ]


def of_late(quick: bool) -> list[Check]:
    """Tables at the end, where a tenth of the points came late, against those of the same points in order."""
    race = Race(RaceConfig(cars=5 if quick else 20, real_rates=True, faults=NOISE))
    arrivals = race.arrivals(0, 250 if quick else 450)
    rng = np.random.default_rng(1)
    chosen = rng.random(len(arrivals)) < 0.1
    delays_s = np.where(chosen, rng.uniform(30.0, 120.0, len(arrivals)), 0.0)
    came_s = np.array([arrival.arrival_s for arrival in arrivals])
    late_s = np.minimum(came_s + delays_s, came_s.max())
    in_order = analysed(race, recorded([arrival.point for arrival in arrivals]), packaged_tracks())
    points = [arrivals[index].point for index in np.argsort(late_s, kind="stable").tolist()]
    late = analysed(race, recorded(points), packaged_tracks())
    laps, gaps = _tables(in_order), in_order.book.gaps()
    late_laps, late_gaps = _tables(late), late.book.gaps()
    others = late_laps.keys() - laps.keys()
    differing = sum(late_laps.get(key) != row for key, row in laps.items()) + len(others)
    return [
        Check("laps in the table", len(laps)),
        Check("corrections made on the way", len(late.corrections)),
        Check("laps that differ", differing, "≤", 0),
        Check("rows of the table of gaps that differ", _differing(gaps, late_gaps), "≤", 0),
        Check("cars whose summary differs", _differing(in_order.book.cars(), late.book.cars()), "≤", 0),
    ]


def _race(quick: bool, faults: Faults) -> Race:
    return Race(RaceConfig(cars=6 if quick else 20, real_rates=True, faults=faults))


def _with_gaps(race: Race, seconds: float) -> tuple[Analysis, Gaps]:
    """The race, computed, its gaps compared at the moment that each tick says it is of."""
    seen: set[int] = set()
    errors_s: list[float] = []
    inside: list[bool] = []
    strict: list[bool] = []
    ahead: list[bool] = []
    apart: list[bool] = []
    places: list[float] = []
    unknown = wanted = 0

    def look(analysis: Analysis) -> None:
        nonlocal unknown, wanted
        gaps = analysis.book.gaps()
        if not gaps or "asOf" not in gaps[0] or gaps[0]["asOf"] in seen:
            return
        seen.add(gaps[0]["asOf"])
        at_s = gaps[0]["asOf"] / 1000 - race.config.start
        if at_s < SETTLED_S:
            return
        order = race.truth.order(at_s)
        true = {standing.chassis: standing for standing in order}
        strict.append([gap["chassis"] for gap in gaps] == [standing.chassis for standing in order])
        places.append(float(np.mean([true[gap["chassis"]].position == gap["position"] for gap in gaps])))
        ways_m = np.array([true[gap["chassis"]].distance_m for gap in gaps])
        spread_m = np.diff([standing.distance_m for standing in reversed(order)])
        if spread_m.min(initial=np.inf) > AHEAD_M:
            apart.append(strict[-1])
        ahead.append(bool((ways_m[1:] - np.minimum.accumulate(ways_m)[:-1]).max(initial=0.0) <= AHEAD_M))
        for gap in gaps:
            standing = true[gap["chassis"]]
            if standing.gap_to_ahead_s is None or gap.get("ahead") != order[standing.position - 2].chassis:
                continue
            wanted += 1
            if gap["gapToAheadSeconds"] is None:
                unknown += 1
                continue
            error_s = gap["gapToAheadSeconds"] - standing.gap_to_ahead_s
            errors_s.append(error_s)
            inside.append(abs(error_s) <= 1.64 * gap["gapSigmaSeconds"])

    analysis = analysed(race, recorded(race.points(0, seconds)), packaged_tracks(), look)
    held, right, near, clear, placed = (100 * float(np.mean(each)) for each in (inside, strict, ahead, apart, places))
    close = 100 * (1 - len(apart) / len(strict))
    return analysis, Gaps(np.array(errors_s), held, 100 * unknown / wanted, right, near, clear, placed, close)


def _lap_errors(race: Race, analysis: Analysis) -> tuple[FloatArray, FloatArray]:
    """Of lap and of sector times; NaN where there is no time [s]."""
    laps: list[float] = []
    sectors: list[float] = []
    for lap in analysis.book.laps():
        true = race.truth.lap(lap["chassis"], lap["lap"])
        laps.append(_off(lap["lap_time_s"], true.lap_time_s))
        sectors += map(_off, lap["sector_times_s"], true.sector_times_s)
    return np.array(laps), np.array(sectors)


def _off(found_s: float | None, true_s: float) -> float:
    return math.nan if found_s is None else found_s - true_s


def _errors(what: str, errors_s: FloatArray, mean_ms: float = 0.0, p95_ms: float = 0.0) -> list[Check]:
    sizes = 1000 * np.abs(errors_s)
    return [
        Check(f"{what}, mean [ms]", float(sizes.mean()), "<" if mean_ms else "", mean_ms),
        Check(f"{what}, 95 % within [ms]", float(np.percentile(sizes, 95)), "<" if p95_ms else "", p95_ms),
        Check(f"{what}, largest [ms]", float(sizes.max())),
    ]


def _differing(rows: list[dict[str, Any]], others: list[dict[str, Any]]) -> int:
    return sum(row != other for row, other in zip(rows, others, strict=True))


def _tables(analysis: Analysis) -> dict[tuple[str, int], dict[str, Any]]:
    """The table of laps without what tells how points came: their numbers, and whether a lap was corrected."""
    left_out = {"corrected", "first_seq", "last_seq"}
    return {
        (row["chassis"], row["lap"]): {name: value for name, value in row.items() if name not in left_out}
        for row in analysis.book.laps()
    }
