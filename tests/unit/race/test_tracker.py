"""Where a car is: laps counted once each, whatever the recording does at the line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.place import Sample
from pitwall.race.tracker import LATE_S, Tracker
from pitwall.rows import numbered
from pitwall.sim import Faults
from tests.unit.race.recordings import (
    SHORT,
    START_S,
    Computed,
    Recording,
    check_times,
    compute,
    compute_race,
    covered_m,
    hand_made,
    in_parts,
    in_ticks,
    recording,
)

#: Two laps of Barber and half a third.
SECONDS = 255.0


class LapNumberTests(SynchronousTestCase):
    """The lap number is the car's own, or not known."""

    def test_unknown(self) -> None:
        """32768 and 0 are no laps: the lap is null, and the laps are timed all the same."""
        for car in compute_race(recording(SECONDS, faults=Faults(unknown_lap_share=1))).values():
            self.assertIsNone(car.result["lap"])
            self.assertEqual([lap.lap_sent for lap in car.laps], [None, None])
        self.assertIsNone(compute(hand_made([0.0], lap=0), SHORT).result["lap"])
        self.assertIsNone(compute(hand_made([0.0], lap=32768), SHORT).result["lap"])
        self.assertIsNone(compute(hand_made([0.0], speed_kmh=99), SHORT).result["lap"])

    def test_now_and_then_unknown(self) -> None:
        """A car that says 32768 now and then is still on the lap it named."""
        for car in compute_race(recording(SECONDS, faults=Faults(unknown_lap_share=0.5))).values():
            self.assertEqual(car.result["lap"], 3)
            self.assertEqual([lap.lap_sent for lap in car.laps], [1, 2])

    def test_not_known_any_more(self) -> None:
        """After ten seconds of nothing but 32768 the lap is not known."""
        times = np.arange(0, 20, 0.1)
        rows = hand_made(times, lap=np.where(times < 5, 7, 32768))
        self.assertEqual([report.result["lap"] for report in compute(rows, SHORT, 5.0).reports], [7, 7, 7, None])

    def test_sent_once(self) -> None:
        """A lap number that is sent once a lap holds until the next one."""
        times = np.arange(0, 60, 0.1)
        rows = hand_made(times, lap=np.where(np.isin(times, [0.0, 30.0]), 3 + times // 30, np.nan))
        self.assertEqual([report.result["lap"] for report in compute(rows, SHORT, 20.0).reports], [3, 4, 4])


class GridTests(SynchronousTestCase):
    """How far a car is since the start of the race."""

    def check_way(self, made: Recording, within_m: float = 1.0) -> None:
        """At the start, in the first lap and later the cars are as far as they truly are."""
        for chassis in made.race.truth.chassis:
            rows = made.of(chassis)
            for seconds in (1.0, 30.0, SECONDS):
                car = compute(rows[rows["time_s"] < made.race.config.start + seconds], made.race.track).car
                last_s = car.tracker.place.time_s - made.race.config.start
                true_m = float(made.race.truth.distance_m(chassis, np.array([last_s]))[0])
                # A car on the grid counts as behind the line by no more than its lap says.
                self.assertApproximates(covered_m(car), true_m, within_m)

    def test_behind_the_line(self) -> None:
        """A car on the grid has not begun its first lap."""
        for rates in ({}, {"rate_hz": 22}, {"real_rates": True}):
            self.check_way(recording(SECONDS, **rates))

    def test_first_lap(self) -> None:
        """The lap that began on the grid is marked, whatever the lap counter says; one that was joined is not."""
        for faults in (Faults(), Faults(laps_ahead=2), Faults(unknown_lap_share=1)):
            for car in compute_race(recording(SECONDS, faults=faults)).values():
                self.assertEqual([lap.marks for lap in car.laps], [("first",), ()])
        times = np.arange(0, 110, 0.1)
        way = 900 + 30 * times
        joined = compute(hand_made(times, lap=5 + way // 1000, lapdist_m=way % 1000, speed_kmh=108), SHORT)
        self.assertEqual([(lap.number, lap.marks) for lap in joined.laps], [(6, ()), (7, ()), (8, ())])

    def test_counters_ahead(self) -> None:
        """Lap counters that run one or two ahead do not move a car that was seen on the grid."""
        made = recording(SECONDS, faults=Faults(laps_ahead=2))
        self.assertNotEqual(len({car.result["lap"] for car in compute_race(made).values()}), 1)
        self.check_way(made)

    def test_joined_late(self) -> None:
        """Of cars that are heard first in mid-race the lap number tells who is ahead."""
        times = np.arange(0, 5, 0.1)
        ahead = compute(hand_made(times, lap=5, lapdist_m=300 + 30 * times, speed_kmh=108), SHORT).car
        behind = compute(hand_made(times, lap=4, lapdist_m=700 + 30 * times, speed_kmh=108), SHORT).car
        self.assertApproximates(covered_m(ahead) - covered_m(behind), 600, 0.1)
        ahead = compute(hand_made(times, lap=5, lapdist_m=300 + 30 * times, speed_kmh=108), None).car
        behind = compute(hand_made(times, lap=4, lapdist_m=700 + 30 * times, speed_kmh=108), None).car
        self.assertGreater(ahead.tracker.place.laps_done, behind.tracker.place.laps_done)

    def test_measured_long_on_the_grid(self) -> None:
        """A car on the grid whose distance reads more than a lap has not done one."""
        times = np.arange(0, 40, 0.1)
        way = np.maximum(30 * (times - 5), 0) - 5
        rows = hand_made(times, lapdist_m=1.01 * (way % 1000), speed_kmh=np.where(times > 5, 108, 0))
        car = compute(rows, SHORT)
        self.assertEqual([(lap.number, lap.marks) for lap in car.laps], [(1, ("first",))])
        self.assertApproximates(car.times[0], 33.333, 0.02)


class FaultTests(SynchronousTestCase):
    """What real recordings do to a lap timer."""

    def laps_of(self, times: Any, distances: Any, **channels: Any) -> Computed:
        """Computed in ticks of 0.6 s on the short track."""
        channels.setdefault("speed_kmh", 108)
        return compute(hand_made(times, lapdist_m=distances, **channels), SHORT)

    def setUp(self) -> None:
        """Three laps and a bit of the short track at 30 m/s, twenty times a second."""
        self.times = np.arange(0, 110, 0.05)
        self.way = 200 + 30 * self.times
        self.distances = self.way % 1000

    def check_laps(self, car: Computed, within_s: float = 0.002, marks: tuple[str, ...] = ()) -> None:
        """Both whole laps are there, and right."""
        self.assertEqual([lap.number for lap in car.laps], [2, 3])
        np.testing.assert_allclose(np.array(car.times, float), [33.333, 33.333], atol=within_s)
        self.assertEqual({mark for lap in car.laps for mark in lap.marks}, set(marks))
        self.assertApproximates(covered_m(car.car), self.way[-1], 0.1)

    def test_clean(self) -> None:
        """Without any fault, to begin with."""
        self.check_laps(self.laps_of(self.times, self.distances))

    def test_trigger_missed(self) -> None:
        """A lap distance that is not reset at the line, but a lap later, costs no lap."""
        distances = np.where((self.way > 1000) & (self.way < 3000), self.way - 1000, self.distances)
        self.check_laps(self.laps_of(self.times, distances), 0.01, ("estimated",))

    def test_trigger_late(self) -> None:
        """One that is reset a little behind the line moves the line there, and costs no lap."""
        for beyond_m in (10, 45, 80):
            for reset_to_m in (0, beyond_m):
                distances = self.distances.copy()
                late = (self.way >= 2000) & (self.way < 2000 + beyond_m)
                distances[late] = self.way[late] - 1000
                distances[(self.way >= 2000 + beyond_m) & (self.way < 3000)] -= beyond_m - reset_to_m
                car = self.laps_of(self.times, distances)
                self.assertEqual([lap.number for lap in car.laps], [2, 3])
                self.assertApproximates(sum(np.array(car.times, float)), 66.667, 0.01)
                self.assertApproximates(covered_m(car.car), self.way[-1], 0.1)

    def test_step_back_over_the_line(self) -> None:
        """A reading of the old lap after the first of the new one is no lap of its own."""
        behind = np.flatnonzero(np.diff(self.distances) < -500) + 2
        self.distances[behind] += 990
        self.check_laps(self.laps_of(self.times, self.distances))

    def test_reading_between(self) -> None:
        """A logger that averages two readings shows half a lap at the line; the lap is counted once."""
        last = np.flatnonzero(np.diff(self.distances) < -500)
        self.distances[last] = (self.distances[last] + self.distances[last + 1]) / 2
        self.check_laps(self.laps_of(self.times, self.distances), 0.003)

    def test_counter_at_the_line(self) -> None:
        """A lap number that rises a moment before the line, or twice, ends no lap of its own."""
        for early_m in (10, 60, -60):
            self.check_laps(self.laps_of(self.times, self.distances, lap=1 + (self.way + early_m) // 1000))

    def test_trigger_repeats(self) -> None:
        """Without a lap distance, a lap number that rises twice at the line ends one lap."""
        laps = 3 + (200 + 30 * self.times) // 1000 + (170 + 30 * self.times) // 1000
        car = self.laps_of(self.times, np.nan, lap=laps)
        np.testing.assert_allclose(np.array(car.times, float), [33.333, 33.333], atol=0.06)

    def test_short_hole(self) -> None:
        """A lap whose line lies in a hole of two seconds is timed, but is no clean lap."""
        seen = np.abs(self.times - 60.0) > 1.0
        car = self.laps_of(self.times[seen], self.distances[seen])
        self.check_laps(car, 0.06, ("estimated",))
        self.assertEqual([lap.marks for lap in car.laps], [("estimated",), ("estimated",)])

    def test_hole_in_a_lap(self) -> None:
        """A hole of two seconds around a sector's end leaves the lap its time, and marks it."""
        seen = np.abs(self.times - 40.0) > 1.0
        car = self.laps_of(self.times[seen], self.distances[seen])
        self.assertEqual([lap.marks for lap in car.laps], [("estimated",), ()])
        np.testing.assert_allclose(np.array(car.times, float), [33.333, 33.333], atol=0.002)

    def test_long_hole(self) -> None:
        """What lies in a hole of ten seconds is not known, and left out."""
        seen = np.abs(self.times - 60.0) > 5.0
        car = self.laps_of(self.times[seen], self.distances[seen])
        self.assertEqual(car.times, [None, None])
        self.assertEqual([lap.number for lap in car.laps], [2, 3])
        after = next(
            report for tick, report in zip(car.ticks, car.reports, strict=False) if tick.at_ms > (START_S + 66) * 1000
        )
        self.assertEqual([lap.sectors_s[0] is None for lap in car.laps], [False, True])
        self.assertEqual([lap.sectors_s[1] is None for lap in car.laps], [True, False])
        self.assertEqual(after.result["meta"]["sectorTimes"].keys(), {"0"})
        shown = car.result["meta"]["sectorTimes"]
        np.testing.assert_allclose([shown["0"], shown["1"]], [13.333, 20.0], atol=0.002)

    def test_long_hole_in_a_lap(self) -> None:
        """A car that is not heard for some seconds between two lines has that lap's time all the same."""
        seen = np.abs(self.times - 41.0) > 4.0
        car = self.laps_of(self.times[seen], self.distances[seen])
        self.check_laps(car, 0.002, ("estimated",))
        self.assertEqual([lap.marks for lap in car.laps], [("estimated",), ()])
        self.assertEqual(car.laps[0].sectors_s, (None, None))
        self.assertNotIn(None, car.laps[1].sectors_s)

    def test_hole_of_half_a_lap(self) -> None:
        """A car that is not heard for more than half a lap, the line in it, has that lap behind it."""
        seen = np.abs(self.times - 60.0) > 9.0
        car = self.laps_of(self.times[seen], self.distances[seen])
        self.assertEqual([lap.number for lap in car.laps], [2, 3])
        self.assertApproximates(covered_m(car.car), self.way[-1], 0.1)

    def test_all_at_once(self) -> None:
        """A stalled receiver that stamps half a lap with one moment costs times, but no lap."""
        stalled = (self.times > 40) & (self.times < 58)
        car = self.laps_of(np.where(stalled, 58.0, self.times), self.distances)
        self.assertEqual([lap.number for lap in car.laps], [2, 3])
        self.assertTrue(all(time_s is None or abs(time_s - 33.333) < 0.06 for time_s in car.times))
        self.assertApproximates(covered_m(car.car), self.way[-1], 0.1)

    def test_put_elsewhere(self) -> None:
        """A car that is suddenly elsewhere, as when a recording begins anew, has no time for that lap."""
        elsewhere = (self.distances + 200 * (self.times > 50)) % 1000
        car = self.laps_of(self.times, elsewhere)
        self.assertEqual([lap.time_s is None for lap in car.laps], [True, False])
        self.assertApproximates(car.times[1], 33.333, 0.002)

    def test_jumps(self) -> None:
        """Readings over 40 m off for one point, or from one on, cost neither a lap nor its time."""
        jumped = self.distances.copy()
        jumped[[300, 700, 1200, 1900]] += [45, -60, 300, -250]
        self.check_laps(self.laps_of(self.times, np.clip(jumped, 0, None)), 0.002)
        moved = np.where((self.way > 1400) & (self.way < 2000), self.distances + 45, self.distances)
        car = self.laps_of(self.times, moved)
        self.assertEqual([lap.number for lap in car.laps], [2, 3])
        np.testing.assert_allclose(np.array(car.times, float), [33.333, 33.333], atol=1.6)
        self.assertApproximates(covered_m(car.car), self.way[-1], 0.1)

    def test_another_outing(self) -> None:
        """A race that is sent once more, with the same times, begins anew."""
        rows = hand_made(self.times, lapdist_m=self.distances, lap=3 + (200 + 30 * self.times) // 1000, speed_kmh=108.0)
        half = rows[: len(rows) // 2 + 300]
        alone, again = compute(half, SHORT), compute([rows, *in_ticks(half, 0.6)], SHORT)
        self.assertEqual(len(again.laps), 1)
        self.assertEqual(again.times, alone.times)
        self.assertApproximates(covered_m(again.car), covered_m(alone.car), 0.1)
        self.assertEqual(again.result["lap"], alone.result["lap"])
        self.assertEqual(sum(report.result["meta"]["pointCount"] for report in again.reports), len(rows) + len(half))

    def test_clock_astray(self) -> None:
        """One point with a date far ahead, or far back, costs nothing of the race."""
        for off_s in (4e9, -1e9, 3600.0, -3600.0):
            for at in (0, 1, 500, 501):
                rows = hand_made(self.times, lapdist_m=self.distances, speed_kmh=108.0)
                rows["time_s"][at] += off_s
                # It is the last one of its tick, as sorting would have it.
                car = compute(np.split(rows, [501, *range(520, len(rows), 20)]), SHORT)
                if at or off_s < 0:
                    self.assertApproximates(covered_m(car.car), self.way[-1], 1.0)
                self.assertApproximates(car.times[-1], 33.333, 0.01)

    def test_other_sectors(self) -> None:
        """A lap that is longer than the track says is timed, and its sectors are not made up."""
        way = 200 + 30 * self.times
        car = compute(hand_made(self.times, lapdist_m=way % 1300, speed_kmh=108.0), SHORT)
        self.assertTrue(all(time_s is None or 33 < time_s < 44 for time_s in car.times))


class MemoryTests(SynchronousTestCase):
    """A place is gone back to when a late point comes."""

    def samples(self) -> list[Sample]:
        """Ten laps of the short track."""
        times = np.arange(0, 330, 0.1)
        rows = hand_made(times, lapdist_m=30 * times % 1000, speed_kmh=108.0, lap=1 + 30 * times // 1000)
        columns = (rows[name].tolist() for name in ("time_s", "lap", "lapdist_m", "speed_kmh"))
        return list(map(Sample, *columns))

    def test_back_and_on(self) -> None:
        """Back at an earlier place, the same points lead to the same place, lines and trace."""
        samples = self.samples()
        straight = Tracker()
        straight.take(samples, 1000.0)
        for back_s in (0.0, 1.0, 33.3, 33.4, 100.0, 200.05, 329.0):
            tracker = Tracker()
            tracker.take(samples, 1000.0)
            at_s = tracker.go_back(START_S + back_s)
            self.assertLess(at_s, START_S + back_s)
            tracker.take([sample for sample in samples if sample.time_s > at_s], 1000.0)
            self.assertEqual(tracker, straight)

    def test_back_with_holes(self) -> None:
        """So do points with holes of some seconds between them, and between their speeds."""
        chance = np.random.default_rng(2)
        times = np.cumsum(chance.choice([0.05, 0.1, 1.0, 3.0, 7.0], 400, p=[0.5, 0.3, 0.1, 0.05, 0.05]))
        sent = chance.random((2, 400)) < 0.3
        rows = hand_made(
            times, lapdist_m=np.where(sent[0], 30 * times % 1000, np.nan), speed_kmh=np.where(sent[1], 108, np.nan)
        )
        samples = list(map(Sample, *(rows[name].tolist() for name in ("time_s", "lap", "lapdist_m", "speed_kmh"))))
        straight = Tracker()
        straight.take(samples, 1000.0)
        for back_s in times[1::7].tolist():
            tracker = Tracker()
            tracker.take(samples, 1000.0)
            at_s = tracker.go_back(START_S + back_s)
            tracker.take([sample for sample in samples if sample.time_s > at_s], 1000.0)
            self.assertEqual(tracker.place.driven_m, straight.place.driven_m)
            self.assertEqual((tracker.lines, tracker.trace), (straight.lines, straight.trace))

    def test_back_behind_an_assumed_line(self) -> None:
        """A line at which nothing was reset is forgotten with the place from which it was told."""
        times = np.arange(0, 60, 0.5)
        way = 960 + 2 * times
        rows = hand_made(times, lapdist_m=way, speed_kmh=7.2)
        samples = list(map(Sample, *(rows[name].tolist() for name in ("time_s", "lap", "lapdist_m", "speed_kmh"))))
        straight = Tracker()
        straight.take(samples, 1000.0)
        self.assertEqual([line.by for line in straight.lines], ["length"])
        for back_s in (10.0, 25.0, 40.0, 55.0):
            tracker = Tracker()
            tracker.take(samples, 1000.0)
            at_s = tracker.go_back(START_S + back_s)
            tracker.take([sample for sample in samples if sample.time_s > at_s], 1000.0)
            self.assertEqual([line.number for line in tracker.lines], [1])
            self.assertEqual(tracker.place, straight.place)

    def test_one_by_one(self) -> None:
        """Points taken one by one lead to the same as all at once, whichever channels each has."""
        times = np.arange(0, 80, 0.05)
        index = np.arange(times.size)
        rows = hand_made(
            times,
            lapdist_m=np.where(index % 5 == 1, 30 * times % 1000, np.nan),
            speed_kmh=np.where(index % 5 == 3, 100 + 10 * np.sin(times), np.nan),
        )
        columns = (rows[name].tolist() for name in ("time_s", "lap", "lapdist_m", "speed_kmh"))
        samples = list(map(Sample, *columns))
        at_once, one_by_one = Tracker(), Tracker()
        taken = at_once.take(samples, 1000.0)
        waiting: list[Sample] = []
        for sample in samples:
            waiting.append(sample)
            del waiting[: one_by_one.take(waiting, 1000.0)]
        self.assertEqual(one_by_one, at_once)
        self.assertEqual(len(samples) - taken, len(waiting))
        self.assertLess(len(waiting), 5)

    def test_same_moment(self) -> None:
        """Channels of one moment that come as points of their own, in any order and any batches."""
        times = np.repeat(np.arange(0, 80, 0.2), 2)
        for speed_first in (False, True):
            is_speed = (np.arange(times.size) % 2 == 0) == speed_first
            rows = hand_made(
                times,
                lapdist_m=np.where(is_speed, np.nan, 30 * times % 1000),
                speed_kmh=np.where(is_speed, 108, np.nan),
                accx_can=1,
            )
            at_once = compute(rows, SHORT, math.inf)
            check_times(at_once.times, [33.333], 0.0011)
            for length in (1, 3):
                parts = compute(in_parts(rows, length), SHORT)
                self.assertEqual(parts.car.tracker, at_once.car.tracker)
                self.assertEqual(parts.laps, at_once.laps)
                self.assertEqual(parts.result["perSectorStress"], at_once.result["perSectorStress"])

    def test_two_minutes(self) -> None:
        """What is remembered of a car reaches back far enough for the latest point that is taken in."""
        times = np.arange(0, 400, 0.1)
        rows = numbered(hand_made(times, lapdist_m=30 * times % 1000, speed_kmh=108.0), 1)
        car = compute(in_parts(rows, 20), SHORT).car
        self.assertLess(car.tracker.goes_back_to_s, rows["time_s"][-1] - LATE_S)
        self.assertFalse(math.isinf(car.tracker.goes_back_to_s))
