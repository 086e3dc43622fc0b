"""The ground truth: laps, sectors, distances, order and gaps."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.sim import Driver, Race, RaceConfig
from pitwall.sim.circuit import build_circuit
from pitwall.sim.driver import draw_field
from pitwall.sim.lap import QUANTUM_S
from pitwall.sim.pit import ENTRY_M, EXIT_M, LIMIT


@cache
def a_race() -> Race:
    """Eight cars at Barber, with a stop after five laps or so."""
    return Race(RaceConfig(cars=8, seed=3, laps=12, stint_laps=5))


class TruthTests(SynchronousTestCase):
    """`RaceTruth` knows what happened, and all it says fits together."""

    def setUp(self) -> None:
        """A race that has been driven, and its truth."""
        self.race = a_race()
        self.truth = self.race.truth

    def test_sectors_add_up_exactly(self) -> None:
        """The sector times add up to the lap time to the last bit, and each lap begins when the last one ended."""
        for chassis in self.truth.chassis:
            for lap in range(1, 13):
                driven = self.truth.lap(chassis, lap)
                self.assertEqual(len(driven.sector_times_s), 3)
                self.assertEqual(sum(driven.sector_times_s), driven.lap_time_s)
                self.assertTrue(all(sector > 5 for sector in driven.sector_times_s))
                self.assertEqual(driven.end_s, self.truth.lap(chassis, lap + 1).start_s)
                # What makes it so for any sum of them, not just these.
                self.assertTrue(all((moment / QUANTUM_S).is_integer() for moment in driven.crossings_s))

    def test_flying_laps_follow_the_slopes(self) -> None:
        """A flying lap is base pace, plus degradation and less fuel by tire age, plus noise of the stated size."""
        noise = []
        for driver in self.race.drivers:
            for lap in range(1, 60):
                driven = self.truth.lap(driver.chassis, lap)
                if driven.kind == "flying":
                    slope = driver.degradation_s_per_lap - driver.fuel_s_per_lap
                    expected_s = driver.pace_s + slope * driven.tire_age
                    noise.append((driven.lap_time_s - expected_s) / driver.noise_s)
        self.assertGreater(len(noise), 200)
        self.assertLess(abs(float(np.mean(noise))), 0.2)
        self.assertLess(abs(float(np.std(noise)) - 1), 0.15)

    def test_slope_without_noise(self) -> None:
        """A driver without noise loses exactly the stated slope with each lap of a stint."""
        driver = Driver("GR86-001-1", pace_s=99.0, degradation_s_per_lap=0.08, fuel_s_per_lap=0.02)
        truth = Race(RaceConfig(drivers=(driver,), laps=10)).truth
        times_s = [truth.lap("GR86-001-1", lap).lap_time_s for lap in range(2, 11)]
        for lap, lap_time_s in enumerate(times_s, 2):
            self.assertAlmostEqual(lap_time_s, 99.0 + 0.06 * (lap - 1), places=6)

    def test_distance_always_grows(self) -> None:
        """A car's distance grows from each instant to the next, without a jump, in the pits too."""
        times_s = np.arange(0.0, 1200.0, 0.01)
        for chassis in self.truth.chassis[:3]:
            steps_m = np.diff(self.truth.distance_m(chassis, times_s))
            self.assertGreater(steps_m.min(), 0.0)
            self.assertLess(steps_m.max(), 0.01 * 62)

    def test_speed_is_the_rate_of_distance(self) -> None:
        """Speed is what the distance grows by."""
        times_s = np.arange(0.0, 700.0, 0.01)
        for chassis in self.truth.chassis[:3]:
            rate = np.diff(self.truth.distance_m(chassis, times_s)) / 0.01
            speed = self.truth.speed_m_s(chassis, times_s)
            self.assertLess(np.abs(rate - (speed[1:] + speed[:-1]) / 2).max(), 0.03)

    def test_time_and_distance_agree(self) -> None:
        """The moment a distance was reached and the distance at that moment are the same fact."""
        chassis = self.truth.chassis[2]
        for distance_m in (-10.0, 0.0, 1029.0, 3674.7, 5000.0, 30000.123):
            time_s = self.truth.time_at_s(chassis, distance_m)
            reached_m = float(self.truth.distance_m(chassis, np.array([time_s]))[0])
            self.assertAlmostEqual(reached_m, distance_m, places=6)

    def test_crossings_lie_at_the_boundaries(self) -> None:
        """A sector ends at the moment the car is at its end."""
        chassis = self.truth.chassis[1]
        crossings_s = np.array(self.truth.lap(chassis, 4).crossings_s)
        reached_m = self.truth.distance_m(chassis, crossings_s) - 3 * 3674.7
        for reached, wanted in zip(reached_m, (0.0, 1029.0, 2609.4, 3674.7), strict=True):
            self.assertAlmostEqual(reached, wanted, places=5)

    def test_grid(self) -> None:
        """At the start the field stands behind the line in the order of the grid, eight metres apart."""
        standings = self.truth.order(0.0)
        self.assertEqual([standing.chassis for standing in standings], list(self.truth.chassis))
        for standing in standings:
            self.assertApproximates(standing.distance_m, -8.0 * standing.position, 1.0)
            self.assertIsNone(standing.gap_to_leader_s)

    def test_order_and_gaps(self) -> None:
        """Positions follow the distance; a gap is the time since the other car was at this car's distance."""
        for now_s in (150.0, 433.3, 900.0):
            standings = self.truth.order(now_s)
            distances = [standing.distance_m for standing in standings]
            self.assertEqual(distances, sorted(distances, reverse=True))
            self.assertEqual([standing.position for standing in standings], list(range(1, 9)))
            leader = standings[0]
            for ahead, standing in pairwise(standings):
                for other, gap_s in ((ahead, standing.gap_to_ahead_s), (leader, standing.gap_to_leader_s)):
                    assert gap_s is not None
                    self.assertGreater(gap_s, 0)
                    then_m = float(self.truth.distance_m(other.chassis, np.array([now_s - gap_s]))[0])
                    self.assertAlmostEqual(then_m, standing.distance_m, places=5)

    def test_field_spreads(self) -> None:
        """After ten minutes the field is some seconds apart, and no longer in the order of the grid."""
        race = Race(RaceConfig(cars=20, seed=1))
        standings = race.truth.order(600.0)
        last = standings[-1].gap_to_leader_s
        assert last is not None
        self.assertTrue(5 < last < 60, last)
        self.assertNotEqual([standing.chassis for standing in standings], list(race.truth.chassis))

    def test_stops(self) -> None:
        """A stop ends a stint: the in-lap and the out-lap are slow, and the tires new after it."""
        driver = self.race.drivers[0]
        assert driver.stint_laps is not None
        stop = driver.stint_laps
        before, into, out_of = (self.truth.lap(driver.chassis, lap) for lap in (stop - 1, stop, stop + 1))
        self.assertEqual((into.kind, out_of.kind, out_of.tire_age), ("in", "out", 0))
        lost_s = into.lap_time_s + out_of.lap_time_s - 2 * before.lap_time_s
        self.assertTrue(30 < lost_s < 60, lost_s)
        crossing = np.array([into.end_s])
        self.assertAlmostEqual(float(self.truth.speed_m_s(driver.chassis, crossing)[0]), LIMIT, places=6)
        line_m = stop * 3674.7
        entered_s = self.truth.time_at_s(driver.chassis, line_m - ENTRY_M + 1)
        left_s = self.truth.time_at_s(driver.chassis, line_m + EXIT_M - 1)
        in_the_pits = self.truth.speed_m_s(driver.chassis, np.arange(entered_s, left_s, 0.1))
        self.assertLess(in_the_pits.max(), LIMIT * 1.001)
        self.assertLess(in_the_pits.min(), 0.3)

    def test_behind_the_grid(self) -> None:
        """A car was never behind its grid slot, and the truth says so."""
        self.assertTrue(math.isnan(self.truth.time_at_s(self.truth.chassis[0], -500.0)))

    def test_field_is_a_field(self) -> None:
        """Chassis look like the series' own and are all different; the drivers are within a few percent."""
        field = draw_field(seed=9, cars=60, reference_s=100.0)
        self.assertEqual(len({driver.chassis for driver in field}), 60)
        for driver in field:
            self.assertRegex(driver.chassis, r"^GR86-\d{3}-\d{1,3}$")
            self.assertTrue(100.0 <= driver.pace_s < 105.0)
            self.assertTrue(0.02 <= driver.degradation_s_per_lap <= 0.12)

    def test_other_seed_other_race(self) -> None:
        """Another seed is another field and another race."""
        other = Race(RaceConfig(cars=8, seed=4))
        self.assertNotEqual(other.drivers, self.race.drivers)
        self.assertEqual(build_circuit(other.track).lap_s, self.truth.circuit.lap_s)
