"""What lap times say about pace."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.car import Lap
from pitwall.race.pace import CleanLap, clean_laps, consistency, laps_until_loss, slope, trend
from pitwall.sim import Driver, Race, RaceConfig
from tests.unit.race.recordings import compute_race


def laps(*times_s: float) -> list[CleanLap]:
    """Clean laps, one after the other."""
    return [CleanLap(number, time_s) for number, time_s in enumerate(times_s)]


class CleanLapTests(SynchronousTestCase):
    """Only racing laps tell about pace."""

    def times_of(self, *found: Lap) -> list[float]:
        """The times of those that are clean."""
        return [lap.time_s for lap in clean_laps(found)]

    def test_slow(self) -> None:
        """Laps under caution and through the pits are none."""
        times = [112.0, 134.3, 118.2, 100.5, 99.8, 117.0, 100.3, 100.7]
        self.assertEqual(self.times_of(*(Lap(time_s, False) for time_s in times)), [100.5, 99.8, 100.3, 100.7])

    def test_first(self) -> None:
        """Nor is the lap that began on the grid, nor one whose time was estimated or is not known."""
        found = (Lap(104, False, first=True), Lap(100, False), Lap(99, True), Lap(float("nan"), True), Lap(101, False))
        self.assertEqual(self.times_of(*found), [100, 101])

    def test_too_short(self) -> None:
        """A lap that seems impossibly quick, because the points were late, does not make the others slow."""
        self.assertEqual(self.times_of(*(Lap(time_s, False) for time_s in (130.2, 69.9, 100, 99, 101))), [100, 99, 101])

    def test_gap(self) -> None:
        """A lap that is left out is still a lap that was driven: the slope is over laps, not over clean ones."""
        found = clean_laps([Lap(100, False), Lap(140, False), Lap(100.2, False), Lap(100.3, False)])
        self.assertAlmostEqual(slope(found), 0.1)

    def test_of_a_race(self) -> None:
        """In a simulated race all laps but the first are clean, and those into and out of the pits."""
        race = Race(RaceConfig(cars=1, rate_hz=4, drivers=(Driver("GR86-001-1", 100.0, 0.1, stint_laps=3),)))
        (car,) = compute_race(race, 8 * 105, tick_s=10).values()
        kinds = [race.truth.lap("GR86-001-1", number + 1).kind for number in range(len(car.state.laps))]
        self.assertEqual(kinds, ["start", "flying", "in", "out", "flying", "in", "out"][: len(kinds)])
        clean = [lap.number for lap in clean_laps(car.state.laps)]
        self.assertEqual(clean, [number for number, kind in enumerate(kinds) if kind == "flying"])


class PaceTests(SynchronousTestCase):
    """Slope, forecast, consistency and trend."""

    def test_slope(self) -> None:
        """The pace that goes away a lap; nothing is said before three laps."""
        self.assertAlmostEqual(slope(laps(100.0, 100.2, 100.4, 100.6)), 0.2)
        self.assertAlmostEqual(slope(laps(100.6, 100.5, 100.4)), -0.1)
        self.assertEqual(slope(laps(100.0, 101.0)), 0.0)

    def test_laps_until_loss(self) -> None:
        """Half a second at a tenth a lap is five laps; 99 is the most there is, and says never."""
        self.assertAlmostEqual(laps_until_loss(0.1), 5.0)
        self.assertEqual([laps_until_loss(loss) for loss in (0.0, -0.3, 0.001)], [99.0, 99.0, 99.0])

    def test_consistency(self) -> None:
        """100·(1 − σ/μ), from three laps on."""
        self.assertIsNone(consistency(laps(100.0, 100.0)))
        self.assertEqual(consistency(laps(100.0, 100.0, 100.0)), 100.0)
        self.assertAlmostEqual(consistency(laps(99.0, 101.0, 99.0, 101.0)) or 0.0, 99.0)

    def test_trend(self) -> None:
        """A twentieth of a second a lap over the last five laps is a trend."""
        self.assertEqual(trend(laps(100.0, 100.1, 100.2)), "degrading")
        self.assertEqual(trend(laps(100.2, 100.1, 100.0)), "improving")
        self.assertEqual(trend(laps(100.0, 100.04, 100.08)), "stable")
        self.assertEqual(trend(laps(110.0, 109.0, 100.0, 100.1, 100.2, 100.3, 100.4)), "degrading")
        self.assertEqual(trend(laps()), "stable")
