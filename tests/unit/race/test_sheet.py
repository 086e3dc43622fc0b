"""The lap sheet."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.lap import Lap
from pitwall.race.sheet import best_lap_s, car_summary, lap_row, theoretical_best_s
from tests.unit.race.insight_cars import a_lap


def sectors(*times_s: float | None, marks: tuple[str, ...] = ()) -> Lap:
    """A lap of these sectors."""
    known = [time_s for time_s in times_s if time_s is not None]
    return Lap(1, 0.0, sum(known) if len(known) == len(times_s) else None, times_s, (), (), marks=marks)


class RowTests(SynchronousTestCase):
    """A lap as a row."""

    def test_row(self) -> None:
        """A row has the lap's times in thousandths, its start as text, and its sectors, which add up to its stress."""
        row = lap_row("barber", "GR86-004-78", a_lap(7, 98.00049), best_s=98.00049, field_best_s=97.0)
        self.assertEqual((row["track"], row["chassis"], row["lap"], row["kind"]), ("barber", "GR86-004-78", 7, "clean"))
        self.assertEqual((row["start"], row["lap_time_s"]), ("2025-09-06T18:40:00.000Z", 98.0))
        self.assertEqual((len(row["sector_times_s"]), len(row["mini_times_s"])), (3, 25))
        self.assertEqual((row["stress_g2m"], row["sector_stress_g2m"]), (1800.0, [600.0] * 3))
        self.assertEqual((row["best"], row["field_best"], row["corrected"]), (True, False, False))

    def test_best(self) -> None:
        """Only a clean lap is a best one."""
        marked = lap_row("barber", "GR86-004-78", a_lap(7, 90.0, ("in",)), best_s=90.0, field_best_s=90.0)
        self.assertEqual((marked["best"], marked["field_best"], marked["marks"]), (False, False, ["in"]))
        unknown = lap_row("barber", "GR86-004-78", a_lap(7, None))
        self.assertEqual((unknown["best"], unknown["lap_time_s"]), (False, None))


class SummaryTests(SynchronousTestCase):
    """What the laps of a car come to."""

    def test_theoretical_best(self) -> None:
        """The best of each sector, whichever lap it was in; laps that are not clean do not count."""
        laps = [sectors(30.0, 31.0, 37.5), sectors(29.5, 31.5, 37.0), sectors(20.0, 20.0, 20.0, marks=("estimated",))]
        self.assertEqual(theoretical_best_s(laps), 29.5 + 31.0 + 37.0)
        self.assertEqual(best_lap_s(laps), 98.0)

    def test_not_known(self) -> None:
        """Where a sector was never timed there is no theoretical best, nor before the first lap."""
        self.assertIsNone(theoretical_best_s([sectors(30.0, None, 37.5)]))
        self.assertIsNone(theoretical_best_s([]))
        self.assertIsNone(best_lap_s([a_lap(1, None)]))

    def test_summary(self) -> None:
        """A car's laps are counted, the clean ones too; the last one is there whatever it was."""
        laps = [a_lap(1, 105.0, ("first",)), a_lap(2, 98.0), a_lap(3, 97.5), a_lap(4, 120.0, ("in",))]
        self.assertEqual(
            car_summary("barber", "GR86-004-78", laps),
            {
                "chassis": "GR86-004-78",
                "track": "barber",
                "laps": 4,
                "clean_laps": 2,
                "best_lap_s": 97.5,
                "theoretical_best_s": 97.5,
                "last_lap_s": 120.0,
                "tire_stress_index": None,
            },
        )
        self.assertIsNone(car_summary("barber", "GR86-004-78", [])["last_lap_s"])
