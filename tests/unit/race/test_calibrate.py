"""Sector boundaries by official sector times, against the simulator's truth and by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.calibrate import CalibrationError, LapPath, fit_boundaries, sector_times
from pitwall.race.paths import recorded_laps
from pitwall.race.series import FloatArray
from pitwall.race.survey import CarSamples, calibrate, survey_laps
from pitwall.wire.timing import Timing, parse_timing
from tests.unit.race.timed import MAPPED, TRUE, official_csv, samples_of, timed_race


def steady(lap_s: float, length_m: float = 1000.0) -> LapPath:
    """A lap at one speed."""
    return LapPath(np.array([0.0, lap_s]), np.array([0.0, length_m]))


class FitTests(SynchronousTestCase):
    """``fit_boundaries``."""

    def test_by_hand(self) -> None:
        """The boundary is the median of where the laps put it, and each lap is judged by the others alone."""
        paths = [steady(100.0)] * 5
        fitted = fit_boundaries(paths, [(40.0, 60.0), (40.0, 60.0), (40.1, 59.9), (39.9, 60.1), (45.0, 55.0)])
        self.assertEqual(fitted.ends_m.tolist(), [400.0])
        self.assertEqual(fitted.reached_m.round(6).tolist(), [[400.0], [400.0], [401.0], [399.0], [450.0]])
        self.assertAlmostEqual(fitted.uncertain_m[0], 1.2533 * 1.4826 / math.sqrt(5))
        self.assertAlmostEqual(fitted.errors_s[4][0], -5.0)
        self.assertAlmostEqual(fitted.errors_s[2][0], -0.1)
        self.assertEqual(fitted.errors_s.shape, (5, 2))

    def test_sectors_add_up(self) -> None:
        """The sector times of a lap add up to it."""
        path = LapPath(np.array([0.0, 10.0, 31.0, 48.3]), np.array([0.0, 300.0, 600.0, 1000.0]))
        times = sector_times(path, [300.0, 700.0])
        self.assertEqual(times[0], 10.0)
        self.assertAlmostEqual(times.sum(), 48.3)

    def test_one_sector(self) -> None:
        """A track of one sector has no boundary to fit."""
        fitted = fit_boundaries([steady(100.0)] * 3, [(100.0,)] * 3)
        self.assertEqual((fitted.ends_m.tolist(), fitted.errors_s.tolist()), ([], [[0.0]] * 3))

    def test_refused(self) -> None:
        """Too few laps, laps that are none, and nonsense times are refused by name."""
        good, times = [steady(100.0)] * 3, [(40.0, 60.0)] * 3
        falling = LapPath(np.array([0.0, 50.0, 40.0]), np.array([0.0, 1.0, 1000.0]))
        for paths, sectors_s, reason in (
            (good[:2], times[:2], "too_few_laps"),
            ([], [], "too_few_laps"),
            (good, times[:2], "bad_times"),
            (good, [(40.0, 60.0), (40.0, 60.0), (40.0,)], "bad_times"),
            (good, [(), (), ()], "bad_times"),
            (good, [(40.0, 60.0), (40.0, math.nan), (40.0, 60.0)], "bad_times"),
            (good, [(40.0, 60.0), (-1.0, 60.0), (40.0, 60.0)], "bad_times"),
            (good, [(40.0, 60.0), (101.0, 60.0), (40.0, 60.0)], "bad_times"),
            ([*good[:2], falling], times, "bad_path"),
            ([*good[:2], steady(100.0, 900.0)], times, "bad_path"),
            ([*good[:2], steady(math.nan)], times, "bad_path"),
            ([*good[:2], LapPath(np.zeros(1), np.zeros(1))], times, "bad_path"),
            ([*good[:2], LapPath(np.array([0.0, 1.0]), np.array([5.0, 1000.0]))], times, "bad_path"),
            (good, [(20.0, 60.0), (40.0, 60.0), (60.0, 40.0)], "scattered"),
            (good, [(40.0, 0.01, 60.0)] * 3, "scattered"),
        ):
            error = self.assertRaises(CalibrationError, fit_boundaries, paths, sectors_s)
            self.assertEqual(error.reason, reason, error)


class SimulatedTests(SynchronousTestCase):
    """A simulated race at the loggers' real rates, and its official timing."""

    def setUp(self) -> None:
        """Three cars, five laps."""
        self.race = timed_race()
        self.cars = samples_of(self.race)
        self.timing = parse_timing(official_csv(self.race))

    def test_laps(self) -> None:
        """Laps cut by the car's count are the true ones, to a hundredth of a second, with a path true to 3 m."""
        for car, chassis in enumerate(self.race.truth.chassis):
            laps = recorded_laps(*_columns(self.cars, chassis), TRUE.total_m)
            ahead = int(self.race.recorder.laps_ahead[car])
            self.assertEqual([lap.sent.number - ahead for lap in laps][:4], [1, 2, 3, 4])
            for lap in laps[1:4]:
                truth = self.race.truth.lap(chassis, lap.sent.number - ahead)
                self.assertLess(abs(lap.sent.time_s - truth.lap_time_s), 0.03)
                at_s = np.array(truth.crossings_s[1:-1]) - truth.start_s
                places_m = np.interp(at_s, lap.path.time_s, lap.path.distance_m)
                self.assertLess(np.abs(places_m - TRUE.boundaries_m()[:-1]).max(), 3.0)

    def test_boundaries_found(self) -> None:
        """With a map whose lines are 30 to 40 m off, the true ones are found within 2 m, and errors say so."""
        found = calibrate(self.cars, self.timing, MAPPED)
        self.assertLess(np.abs(found.fitted.ends_m - TRUE.boundaries_m()[:-1]).max(), 2.0)
        self.assertGreater(np.median(np.abs(found.before_s)), 0.5)
        self.assertLess(np.abs(found.fitted.errors_s).max(), 0.1)
        self.assertGreaterEqual(len(found.survey.found), 12)

    def test_all_listed(self) -> None:
        """Every whole lap is listed, used or not, and a car that was not timed as well."""
        whole = survey_laps(self.cars, self.timing, TRUE.total_m)
        chassis = self.race.truth.chassis[0]
        kept = tuple(lap for lap in self.timing.laps if lap.car != chassis.rpartition("-")[2])
        caution = Timing((kept[0], *(lap._replace(flag="FCY") for lap in kept[1:])), ())
        parts = survey_laps(self.cars, caution, TRUE.total_m)
        self.assertEqual(len(parts.found) + len(parts.left), len(whole.found) + len(whole.left))
        self.assertEqual(
            {lap.why for lap in parts.left},
            # The first one begins on the grid.
            {"not in the official timing", "flag FCY", "no official lap of that time"},
        )

    def test_holes(self) -> None:
        """A lap with a hole of four seconds is not used; one with missing lap numbers is."""
        chassis = self.race.truth.chassis[0]
        time_s, lap, speed_kmh, received_s = _columns(self.cars, chassis)
        whole = recorded_laps(time_s, lap, speed_kmh, received_s, TRUE.total_m)
        middle = whole[2].sent.number
        inside = np.flatnonzero(lap == middle)
        unknown = lap.copy()
        unknown[inside[50:200]] = np.nan
        again = recorded_laps(time_s, unknown, speed_kmh, received_s, TRUE.total_m)
        self.assertEqual([found.sent for found in again], [found.sent for found in whole])
        kept = np.ones(lap.size, bool)
        kept[inside[100:200]] = False
        without = recorded_laps(time_s[kept], lap[kept], speed_kmh[kept], received_s[kept], TRUE.total_m)
        numbers = [found.sent.number for found in whole if found.sent.number != middle]
        self.assertEqual([found.sent.number for found in without], numbers)

    def test_nothing(self) -> None:
        """No samples are no laps."""
        none = np.empty(0)
        self.assertEqual(recorded_laps(none, none, none, none, 1000.0), [])


def _columns(cars: Mapping[str, CarSamples], chassis: str) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    samples = cars[chassis]
    return samples.time_s, samples.lap, samples.speed_kmh, samples.received_s
