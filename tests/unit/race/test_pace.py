"""What lap times say about pace."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.pace import CleanLap, consistency, laps_until_loss, level, loss_interval, slope, trend


def laps(*times_s: float) -> list[CleanLap]:
    """Clean laps, one after the other."""
    return [CleanLap(number, time_s) for number, time_s in enumerate(times_s)]


class LevelTests(SynchronousTestCase):
    """Level and slope of a car."""

    def test_one_lap(self) -> None:
        """One lap tells the level; the slope is what is known before any: none, and not surely."""
        found = level(laps(100.0))
        self.assertEqual((found.level_s, found.slope_s, found.laps), (100.0, 0.0, 1))
        low, high = loss_interval(found)
        self.assertLess(low, -0.1)
        self.assertGreater(high, 0.1)

    def test_slope(self) -> None:
        """Laps that get a tenth slower each are seen to, the more surely the more there are."""
        few, many = level(laps(*(100 + 0.1 * n for n in range(5)))), level(laps(*(100 + 0.1 * n for n in range(20))))
        self.assertApproximates(many.slope_s, 0.1, 0.01)
        self.assertGreater(many.slope_s, few.slope_s)
        self.assertGreater(few.slope_s, 0.0)
        self.assertLess(many.slope_sd_s, few.slope_sd_s)
        self.assertApproximates(many.level_s, 101.9, 0.1)

    def test_interval(self) -> None:
        """The slope lies inside its interval about nine times of ten."""
        random = Random(5)
        inside = 0
        for _ in range(400):
            loss_s = random.gauss(0, 0.08)
            found = level([CleanLap(n, 100 + loss_s * n + random.gauss(0, 0.3)) for n in range(14)])
            low, high = loss_interval(found)
            inside += low <= loss_s <= high
        self.assertTrue(340 <= inside <= 396, inside)

    def test_relative(self) -> None:
        """What the whole field loses or gains is not the car's; what it loses to the field is."""
        field_s = [100 - 0.2 * n for n in range(15)]
        found = level([CleanLap(n, median + 0.5 + 0.08 * n, median) for n, median in enumerate(field_s)])
        self.assertTrue(found.relative)
        self.assertApproximates(found.slope_s, 0.08, 0.02)
        self.assertApproximates(found.level_s, 0.5 + 0.08 * 14, 0.1)

    def test_no_field(self) -> None:
        """Where most laps have nobody beside them all are taken as they are; where few have not, these are left out."""
        alone = [CleanLap(n, 100.0, 100.0 if n == 4 else None) for n in range(6)]
        self.assertEqual((level(alone).relative, level(alone).level_s), (False, 100.0))
        beside = [CleanLap(n, 100.0, None if n == 4 else 99.0) for n in range(6)]
        self.assertEqual((level(beside).relative, level(beside).level_s), (True, 1.0))

    def test_pit_stop(self) -> None:
        """A pit stop ends what the tires did; the driver keeps the level."""
        worn = [CleanLap(n, 100 + 0.15 * n) for n in range(12)]
        before, after = level(worn), level([*worn, CleanLap(14, 100.3, None, stint=1)])
        self.assertApproximates(before.slope_s, 0.15, 0.02)
        self.assertLess(abs(after.slope_s), 0.05)
        self.assertGreater(after.slope_sd_s, 2 * before.slope_sd_s)
        self.assertEqual((before.laps, after.laps), (12, 1))
        self.assertApproximates(after.level_s, 100.3, 1.0)

    def test_outlier(self) -> None:
        """One lap that was spoiled hardly moves the level."""
        good = laps(*(100.0 + 0.1 * (n % 2) for n in range(10)))
        spoiled = level([*good, CleanLap(10, 105.0)])
        self.assertLess(spoiled.level_s - level(good).level_s, 0.6)

    def test_left_out(self) -> None:
        """A lap that is left out is still a lap that was driven: the slope is per lap, not per clean one."""
        found = level([CleanLap(2 * n, 100 + 0.1 * n) for n in range(20)])
        self.assertApproximates(found.slope_s, 0.05, 0.01)

    @given(st.lists(st.floats(60, 200), min_size=1, max_size=60))
    def test_any_laps(self, times_s: list[float]) -> None:
        """Whatever the laps, the figures are finite and the deviations positive."""
        found = level(laps(*times_s))
        self.assertTrue(0 < found.level_s < 400)
        self.assertTrue(abs(found.slope_s) < 200)
        self.assertGreater(found.level_sd_s, 0)
        self.assertGreater(found.slope_sd_s, 0)


class FigureTests(SynchronousTestCase):
    """The figures that rest on lap times alone."""

    def test_slope(self) -> None:
        """The least-squares slope; nothing is said before three laps, and a lap left out counts as driven."""
        self.assertAlmostEqual(slope(laps(100.0, 100.2, 100.4, 100.6)), 0.2)
        self.assertEqual(slope(laps(100.0, 101.0)), 0.0)
        self.assertAlmostEqual(slope([CleanLap(0, 100.0), CleanLap(2, 100.2), CleanLap(3, 100.3)]), 0.1)

    def test_laps_until_loss(self) -> None:
        """Half a second at a tenth a lap is five laps; the threshold is a setting; 99 is the most, and says never."""
        self.assertAlmostEqual(laps_until_loss(0.1), 5.0)
        self.assertAlmostEqual(laps_until_loss(0.1, 1.5), 15.0)
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
