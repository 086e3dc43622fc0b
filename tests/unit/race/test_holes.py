"""What a car's laps are where its recording has holes, or says two things at the line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.car import Car
from pitwall.race.lap import Lap
from pitwall.race.laptimer import line_time
from pitwall.race.place import Line
from tests.unit.race.recordings import SHORT, hand_made

#: At this speed a lap of the kilometre takes 25 s [m/s].
SPEED_M_S = 40.0


def driven(times_s: NDArray[np.float64]) -> NDArray[np.void]:
    """A car at constant speed, at the line at 5 s."""
    covered_m = (times_s - 5.0) * SPEED_M_S
    return hand_made(
        times_s,
        lap=np.floor(covered_m / SHORT.total_m) + 2,
        lapdist_m=covered_m % SHORT.total_m,
        speed_kmh=np.full(times_s.size, 3.6 * SPEED_M_S),
    )


class HoleTests(SynchronousTestCase):
    """Laps of a car that is not heard for a while."""

    def laps(self, from_s: float, to_s: float) -> list[Lap]:
        """The laps of a car at ten points a second, none of them within some span of time."""
        times_s = np.arange(0.0, 200.0, 0.1) + 0.03
        car = Car(SHORT)
        car.take(driven(times_s[(times_s < from_s) | (times_s >= to_s)]))
        return [change.lap for change in car.tick(final=True)]

    def test_gone_round(self) -> None:
        """A car that comes back where it was lost, laps later, has not driven one long clean lap."""
        laps = self.laps(45.0, 100.0)
        self.assertFalse([lap for lap in laps if lap.clean and abs((lap.time_s or 0.0) - 25.0) > 0.1])
        self.assertEqual(sum(lap.clean for lap in laps), 4)

    def test_numbers_catch_up(self) -> None:
        """Laps that nobody saw are counted once the lap number has said so for two laps, and no number comes twice."""
        laps = self.laps(45.0, 100.0)
        numbers = [lap.number for lap in laps]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(laps[-1].number, laps[-1].lap_sent)

    def test_part_of_a_lap(self) -> None:
        """A hole too short to go round leaves the lap's time known; over 5 s of it, not all of its figures."""
        laps = self.laps(60.0, 66.0)
        self.assertEqual(len(laps), 7)
        for lap in laps:
            assert lap.time_s is not None
            self.assertApproximates(lap.time_s, 25.0, 0.002)
        self.assertEqual([lap.number for lap in laps if "estimated" in lap.marks], [4])


class BurstTests(SynchronousTestCase):
    """Rows of a car without a clock of its own, stamped when they arrived, all at once after some seconds."""

    def test_times(self) -> None:
        """The laps are there, marked as estimated, and their times are much better than the bursts are long."""
        driven_s = np.arange(0.0, 200.0, 0.1) + 0.03
        rows = driven(driven_s)
        # Each of 3.7 s, and within a few milliseconds.
        burst = np.floor(driven_s / 3.7)
        rows["time_s"] += (burst + 1) * 3.7 - driven_s + (driven_s % 3.7) / 1000
        car = Car(SHORT)
        changes = []
        for start in range(0, len(rows), 37):
            car.take(rows[start : start + 37])
            changes += car.tick()
        laps = {change.lap.number: change.lap for change in [*changes, *car.tick(final=True)]}
        self.assertEqual(len(laps), 7)
        for lap in laps.values():
            assert lap.time_s is not None
            self.assertIn("estimated", lap.marks)
            self.assertApproximates(lap.time_s, 25.0, 0.3)


class TraceTests(SynchronousTestCase):
    """Where a car was when, as it is told to those who compare cars."""

    def test_same_moments(self) -> None:
        """A point that never came changes nothing of what is told of later moments."""
        rows = driven(np.arange(0.0, 20.0, 0.0432) + 0.03)
        traces = []
        for first in (0, 1):
            car = Car(SHORT)
            car.take(rows[first:])
            traces.append([moment[0] for moment in car.tracker.trace if moment[0] > rows["time_s"][20]])
        self.assertEqual(traces[0], traces[1])
        self.assertGreater(len(traces[0]), 90)


class LateTests(SynchronousTestCase):
    """Late points are taken in while the car goes on."""

    def test_while_it_goes_on(self) -> None:
        """A point a minute late is among the others within some seconds, and the lap it belongs to is told again."""
        times_s = np.arange(0.0, 200.0, 0.1) + 0.03
        rows = driven(times_s)
        late = (times_s > 60) & (times_s < 66)
        car = Car(SHORT)
        changes = []
        for part in (*np.split(rows[~late & (times_s < 120)], 20), rows[late], *np.split(rows[times_s >= 120], 20)):
            car.take(part)
            changes += car.tick()
            if part[-1]["time_s"] > rows["time_s"][0] + 130:
                break
        self.assertEqual(len(car.buffer.between(*(rows["time_s"][late][at] for at in (0, -1)))), np.count_nonzero(late))
        self.assertEqual([change.lap.number for change in changes if change.corrected], [4])


class GridTests(SynchronousTestCase):
    """A car that was seen on the grid, and lost for a while."""

    def test_line_not_seen(self) -> None:
        """A line in a long hole is made up for by the lap number, although the counter runs ahead."""
        times_s = np.arange(0.0, 300.0, 0.1)
        covered_m = np.maximum(times_s - 10.0, 0.0) * SPEED_M_S - 8.0
        rows = hand_made(
            times_s,
            lap=np.where(covered_m < 0, 0, np.floor(covered_m / SHORT.total_m) + 2),
            lapdist_m=covered_m % SHORT.total_m,
            speed_kmh=np.where(times_s < 10, 0.0, 3.6 * SPEED_M_S),
        )
        car = Car(SHORT)
        car.take(rows[(times_s < 80) | (times_s > 120)])
        car.tick(final=True)
        self.assertEqual(car.tracker.place.laps_done, int(covered_m[-1] // SHORT.total_m))


class WrongTimeTests(SynchronousTestCase):
    """A car whose time jumps ahead, and comes back."""

    def test_back_again(self) -> None:
        """An hour ahead for half a minute: the car begins anew, and its laps after that are right."""
        times_s = np.arange(0.0, 300.0, 0.1) + 0.03
        rows = driven(times_s)
        ahead = (times_s > 100) & (times_s < 130)
        rows["time_s"][ahead] += 3600.0
        rows["meta_s"] = rows["time_s"]
        car = Car(SHORT)
        laps: list[Lap] = []
        for start in range(0, len(rows), 7):
            car.take(rows[start : start + 7])
            laps += [change.lap for change in car.tick()]
        self.assertApproximates(car.heard_s, float(rows["time_s"][-1]), 0.01)
        times = [lap.time_s for lap in laps if lap.start_s > float(rows["time_s"][0]) + 160 and lap.time_s is not None]
        self.assertGreaterEqual(len(times), 4)
        for time_s in times:
            self.assertApproximates(time_s, 25.0, 0.01)


class LineTests(SynchronousTestCase):
    """The time at the line."""

    def test_readings_disagree(self) -> None:
        """Where as many readings are of the lap before as of the new one, the line is told all the same."""
        times_s = np.arange(0.0, 4.0, 0.1)
        rows = driven(times_s + 3.03)
        rows["lapdist_m"] = np.nan
        rows["lapdist_m"][[21, 25]] = [950.0, 180.0]
        at_s = rows["time_s"][21]
        found = line_time(rows, Line(1, at_s - 0.1, at_s, "distance", np.nan, np.nan, False, 1, True, 1))
        self.assertApproximates(found.time_s, at_s - 0.05, 0.051)

    def test_old_readings(self) -> None:
        """Where the lap distance is old when it is sent, the lap number's rise tells the line."""
        times_s = np.arange(0.0, 70.0, 0.04) + 0.03
        rows = driven(times_s)
        rows["lapdist_m"] = (rows["lapdist_m"] - 0.15 * SPEED_M_S * (times_s > 40.0)) % SHORT.total_m
        rows["lapdist_m"][np.arange(times_s.size) % 5 != 0] = np.nan
        car = Car(SHORT)
        car.take(rows)
        (lap,) = (change.lap for change in car.tick(final=True) if change.lap.number == 3)
        assert lap.time_s is not None
        self.assertApproximates(lap.time_s, 25.0, 0.041)

    def test_old_readings_in_a_lap(self) -> None:
        """Where the lap distance is old by more or less, the speed tells where the sectors end."""
        times_s = np.arange(0.0, 70.0, 0.04) + 0.03
        rows = driven(times_s)
        age_s = 0.1 + 0.1 * (np.arange(times_s.size) // 5 % 2)
        rows["lapdist_m"] = (rows["lapdist_m"] - age_s * SPEED_M_S) % SHORT.total_m
        rows["lapdist_m"][np.arange(times_s.size) % 5 != 0] = np.nan
        car = Car(SHORT)
        car.take(rows)
        (lap,) = (change.lap for change in car.tick(final=True) if change.lap.number == 3)
        for time_s, wanted_s in zip(lap.sectors_s, (10.0, 15.0), strict=True):
            assert time_s is not None
            self.assertApproximates(time_s, wanted_s, 0.041)
