"""
From recorded cars and the official timing of their race to the boundaries of a track's sectors.

All laps are listed: those that boundaries are fitted to, and those that are not, with why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pitwall.model.track import Track
from pitwall.race.calibrate import Boundaries, LapPath, fit_boundaries, sector_times
from pitwall.race.matching import SentLap, match_laps, number_of
from pitwall.race.paths import recorded_laps
from pitwall.race.series import FloatArray
from pitwall.wire.timing import OfficialLap, Timing


class CarSamples(NamedTuple):
    """
    What a car's recording says; shape (n,) each, in the order of time.

    Attributes:
        time_s: by its own clock [s].
        received_s: by the receiver's [s, UTC]; NaN where not known.
        lap: its count; NaN where it told none.
        speed_kmh: NaN where not sent.
    """

    time_s: FloatArray
    received_s: FloatArray
    lap: FloatArray
    speed_kmh: FloatArray


class FoundLap(NamedTuple):
    """A lap of a recording with its official time."""

    vehicle_id: str
    sent: SentLap
    official: OfficialLap
    path: LapPath


class LeftLap(NamedTuple):
    """A lap of a recording that is of no use, and why; the number is the car's count."""

    vehicle_id: str
    number: int
    time_s: float
    why: str


class Survey(NamedTuple):
    """The laps of recordings, by car and in order."""

    found: tuple[FoundLap, ...]
    left: tuple[LeftLap, ...]


class Calibration(NamedTuple):
    """
    What came of it.

    Attributes:
        survey: the laps.
        before_s: sector times by the boundaries the track had, minus the official ones; shape (laps, sectors) [s].
        fitted: the new boundaries, and how the same errors are with those that the other laps give.
    """

    survey: Survey
    before_s: FloatArray
    fitted: Boundaries


def survey_laps(cars: Mapping[str, CarSamples], timing: Timing, total_m: float) -> Survey:
    """
    Each whole lap of some recorded cars, with its official one.

    Args:
        cars: by their ``vehicle_id``.
        timing: of their race.
        total_m: the length of the track [m].
    """
    found: list[FoundLap] = []
    left: list[LeftLap] = []
    numbers = {lap.car for lap in timing.laps}
    for vehicle_id, samples in sorted(cars.items()):
        laps = recorded_laps(samples.time_s, samples.lap, samples.speed_kmh, samples.received_s, total_m)
        number = number_of(vehicle_id, numbers)
        matched = match_laps([lap.sent for lap in laps], timing.of_car(number) if number is not None else ())
        why = "not in the official timing" if number is None else "no official lap of that time"
        for index in matched.dropped:
            left.append(LeftLap(vehicle_id, laps[index].sent.number, laps[index].sent.time_s, why))
        for index, official in matched.laps:
            lap = laps[index]
            if official.racing:
                found.append(FoundLap(vehicle_id, lap.sent, official, lap.path))
            else:
                why = "ended in the pit lane" if official.in_pit else f"flag {official.flag}"
                left.append(LeftLap(vehicle_id, lap.sent.number, lap.sent.time_s, why))
    return Survey(tuple(found), tuple(left))


def calibrate(cars: Mapping[str, CarSamples], timing: Timing, track: Track) -> Calibration:
    """
    The sector boundaries of a track by the official times of recorded laps.

    Raises:
        CalibrationError: they can't be fitted.
    """
    survey = survey_laps(cars, timing, track.total_m)
    paths = [lap.path for lap in survey.found]
    official = [lap.official.sectors_s for lap in survey.found]
    fitted = fit_boundaries(paths, official)
    before_s = np.full(fitted.errors_s.shape, np.nan)
    if len(track.sectors) == len(official[0]):
        ends_m = track.boundaries_m()[:-1]
        before_s = np.array([sector_times(path, ends_m) for path in paths]) - np.array(official)
    return Calibration(survey, before_s, fitted)
