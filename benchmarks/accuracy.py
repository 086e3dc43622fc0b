"""
How right the race computation is: against the truth of simulated races, and the official timing of recorded ones.

Each figure stands beside what it is wanted to be. The recordings are those of
``PITWALL_DATA``; without it the simulated races alone are measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.checks import Check, show
from benchmarks.racecost import of_cost
from benchmarks.recorded_laps import TimedLap, cars_of, runs_of, timed_laps
from benchmarks.recorded_sectors import SectorErrors, calibration, sector_errors
from benchmarks.sectors import RACES, WITHIN_S
from benchmarks.simulated import of_blind, of_clocks, of_late, of_noise
from pitwall.model.track import Track, packaged_tracks
from pitwall.race.series import FloatArray
from pitwall.wire.timing import Timing, parse_timing

SIMULATED = (
    ("Simulator, 20 cars at real rates, 0.5 m of noise on the lap distance", of_noise),
    (
        "Simulator, clocks 23 to 88 h behind, 20 ppm drift, batches of 0.6 s stamped on arrival",
        of_clocks,
    ),
    ("Simulator, no track file, 20 % laps unknown, half of the lap distances missing, shuffled within 2 s", of_blind),
    ("Simulator, 10 % of the points 30 to 120 s late, against the same in order", of_late),
    ("31 cars at 22 Hz, one worker with all of them", of_cost),
)
#: Whole sessions, which need no stand-in rows.
WHOLE = ("sebring",)
#: Tracks whose cars send the lap distance.
WITH_DISTANCE = ("barber", "indianapolis")
#: A race of ten cars without their clocks.
NO_CLOCK = "race_multicar/barber_R1_per_vehicle/*.gz"


def accuracy(quick: bool) -> None:
    """Print all tables; ``quick``: with fewer cars, shorter races, and Barber alone of the recordings."""
    for title, measure in SIMULATED:
        show(title, measure(quick))
    data = os.environ.get("PITWALL_DATA")
    if not data:
        print("\nPITWALL_DATA is not set, wanted a folder of recordings: recorded races were not measured")
        return
    for name, official, patterns in RACES[:1] if quick else RACES:
        _recorded(Path(data), name, official, patterns)
    _no_clock(Path(data))


def _recorded(data: Path, name: str, official: str, patterns: Sequence[str]) -> None:
    track, timing = _track(name), _timing(data, official)
    cars = cars_of(data, patterns, track)
    if name in WHOLE:
        given = {chassis: [np.sort(rows, order="time_s")] for chassis, rows in cars.items()}
    else:
        given = {chassis: runs_of(rows, distance=False) for chassis, rows in cars.items()}
    laps = timed_laps(given, track, timing)
    _show_laps(f"Lap times of {name}, by the lap number", laps, wanted=True)
    found = calibration(data, patterns, track, timing)
    _show_sectors(name, sector_errors(laps, found, track, timing))
    if name in WITH_DISTANCE:
        runs = {chassis: runs_of(rows, distance=True) for chassis, rows in cars.items()}
        inner = [lap for lap in timed_laps(runs, track, timing) if lap.official is not None]
        _show_laps(f"Lap times of {name}, with the lap distance, of laps that follow one another", inner, wanted=False)
        _list_sectors(sector_errors(inner, found, track, timing))


def _no_clock(data: Path) -> None:
    """The cars of a whole race that tell no clock: times are those of arrival."""
    track, timing = _track("barber"), _timing(data, "barber/R1")
    cars = {chassis: [rows] for chassis, rows in cars_of(data, (NO_CLOCK,), track).items()}
    laps = timed_laps(cars, track, timing)
    print("\n**barber, ten cars, no car clock: not in the targets**\n")
    errors_s = [abs(lap.error_s) for lap in laps if lap.official is not None and lap.official.racing]
    raced = sum(lap.racing for number in {_number(name) for name in cars} for lap in timing.of_car(number))
    print(f"{raced} laps raced, {len(laps)} timed, {len(errors_s)} of them to 0.5 s of an official one,")
    print(f"median error {_median(errors_s):.3f} s; marked as estimated: {sum(not lap.counts for lap in laps)}")


def _show_laps(title: str, laps: Sequence[TimedLap], wanted: bool) -> None:
    clean = np.abs([lap.error_s for lap in laps if lap.counts])
    raced = np.abs([lap.error_s for lap in laps if lap.official is not None and lap.official.racing])
    without = [lap for lap in laps if lap.official is None]
    show(
        title,
        [
            Check("laps that no official lap fits, left out", len(without)),
            Check("laps not raced by the flags, left out", len(laps) - len(without) - raced.size),
            Check("clean green laps", clean.size),
            Check("error, median [s]", _median(clean), "<" if wanted else "", 0.07),
            Check("error, 95 % within [s]", _most(clean), "≤" if wanted else "", 0.15),
            Check("with those marked as estimated, laps", raced.size),
            Check("with those marked as estimated, error, median [s]", _median(raced)),
            Check("with those marked as estimated, error, 95 % within [s]", _most(raced)),
        ],
    )
    print("\n| lap | time [s] | official [s] | off [s] | |\n| --- | ---: | ---: | ---: | --- |")
    for lap in laps:
        official = ("-", "-") if lap.official is None else (f"{lap.official.time_s:.3f}", f"{lap.error_s:+.3f}")
        flag = "" if lap.official is None or lap.official.racing else lap.official.flag
        why = "no official lap fits" if lap.official is None else " ".join((flag, *lap.lap.marks)).strip()
        print(f"| {lap.name} | {lap.lap.time_s:.3f} | {official[0]} | {official[1]} | {why} |")


def _show_sectors(name: str, errors: Sequence[SectorErrors]) -> None:
    maps, others = _sizes(each.by_map for each in errors), _sizes(each.by_others for each in errors)
    path_maps = _sizes(each.path_by_map for each in errors)
    path_others = _sizes(each.path_by_others for each in errors)
    barber = name == "barber"
    show(
        f"Sector times of {name}, {len(errors)} laps",
        [
            Check("product, by the map, median error [s]", _median(maps), "≤" if barber else "", WITHIN_S),
            Check("product, by the map, 95 % within [s]", _most(maps)),
            Check("product, by the other laps, median error [s]", _median(others), "≤", WITHIN_S),
            Check("product, by the other laps, 95 % within [s]", _most(others), "≤" if barber else "", WITHIN_S),
            Check("product, by the other laps, largest [s]", float(others.max(initial=0.0))),
            Check("product, sectors without a time", sum(int(np.isnan(each.by_others).sum()) for each in errors)),
            Check("path, by the map, median error [s]", _median(path_maps)),
            Check("path, by the other laps, median error [s]", _median(path_others)),
            Check("path, by the other laps, 95 % within [s]", _most(path_others)),
            Check("path, by the other laps, largest [s]", float(path_others.max(initial=0.0))),
        ],
    )
    _list_sectors(errors)


def _list_sectors(errors: Sequence[SectorErrors]) -> None:
    if not errors:
        return
    print("\n| sectors off [s] | product, map | product, other laps | path, map | path, other laps |")
    print("| --- | --- | --- | --- | --- |")
    for each in errors:
        print(f"| {each.name} |", " | ".join(map(_listed, each[1:])), "|")


def _listed(values: FloatArray) -> str:
    return " ".join("-" if np.isnan(value) else f"{value:+.3f}" for value in values.tolist())


def _sizes(errors: Iterable[FloatArray]) -> FloatArray:
    found = np.abs(np.concatenate([np.zeros(0), *errors]))
    sizes: FloatArray = found[np.isfinite(found)]
    return sizes


def _median(values: Sequence[float] | FloatArray) -> float:
    return float(np.median(values)) if len(values) else np.nan


def _most(values: Sequence[float] | FloatArray) -> float:
    return float(np.quantile(values, 0.95)) if len(values) else np.nan


def _number(chassis: str) -> str:
    return chassis.rpartition("-")[2]


def _track(name: str) -> Track:
    track = packaged_tracks().get(name)
    assert track is not None
    return track


def _timing(data: Path, official: str) -> Timing:
    (path,) = (data / "official" / official).glob("23_*")
    return parse_timing(path.read_bytes())
