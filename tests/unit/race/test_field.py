"""Positions and gaps, against the truth of simulated races and cars driven by hand."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from typing import Any

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.analysis import Analysis
from pitwall.race.field import FieldCar, gaps
from pitwall.sim import Faults
from tests.unit.race.recordings import (
    SHORT,
    SHORTWAY,
    START_S,
    Recording,
    Rows,
    analysis,
    field_of,
    hand_made,
    in_ticks,
    recording,
)

#: When cars made by hand are compared [s].
NOW_S = START_S + 100.0
_SECONDS = ("gapToLeaderSeconds", "gapToAheadSeconds", "gapToBehindSeconds")


def car(chassis: str, covered_m: float, average_kmh: float | None = 100.0, **more: Any) -> FieldCar:
    """A car that has driven at 27.8 m/s so far, and was heard just now; its average speed may have been another."""
    made = FieldCar(chassis)
    speed_m_s = more.get("speed_m_s", 100 / 3.6)
    moments = [(NOW_S - back_s, 0, covered_m - speed_m_s * back_s) for back_s in np.arange(40, -0.1, -0.2).tolist()]
    made.trace.replace(-math.inf, moments, 30_000.0, 0)
    made.heard_s, made.average_kmh = more.get("heard_s", NOW_S), average_kmh
    return made


def told(*cars: FieldCar, length_m: float | None = 3674.7) -> list[dict[str, Any]]:
    """The gaps of cars, now."""
    return gaps("barber", list(cars), NOW_S, length_m)


class ContractTests(SynchronousTestCase):
    """Every field of a gap is as the contract says."""

    def test_percents(self) -> None:
        """Percent of average speeds, positions from 1."""
        wanted = [
            ("A", 1, 0.0, 0.0, None, 4.0),
            ("B", 2, 4.0, -4.0, 4.167, 6.25),
            ("C", 3, 10.0, -10.0, 6.667, None),
        ]
        found = told(car("B", 900, 96.0), car("A", 1000, 100.0), car("C", 500, 90.0))
        names = ("chassis", "position", "gapToLeader", "relativeSpeed", "gapToAhead", "gapToBehind")
        self.assertEqual([tuple(gap[name] for name in names) for gap in found], wanted)
        for gap in found:
            self.assertEqual(
                (gap["track"], gap["overtakingOpportunity"], gap["underPressure"]), ("barber", False, False)
            )

    def test_seconds(self) -> None:
        """Seconds to the leader, and to the cars ahead and behind, with who they are; null without such a car."""
        first, second, last = told(car("B", 900), car("A", 1000), car("C", 500))
        self.assertEqual([gap["gapToLeaderSeconds"] for gap in (first, second, last)], [0.0, 3.6, 18.0])
        self.assertEqual([gap["gapToAheadSeconds"] for gap in (first, second, last)], [None, 3.6, 14.4])
        self.assertEqual([gap["gapToBehindSeconds"] for gap in (first, second, last)], [3.6, 14.4, None])
        self.assertEqual((second["ahead"], second["behind"]), ("A", "C"))
        self.assertNotIn("ahead", first)
        self.assertNotIn("behind", last)
        self.assertEqual({gap["asOf"] for gap in (first, second, last)}, {round(NOW_S * 1000)})
        self.assertEqual([gap["lapsDown"] for gap in (first, second, last)], [0, 0, 0])

    def test_grid(self) -> None:
        """A car behind the line is behind one that has crossed it."""
        self.assertEqual([gap["chassis"] for gap in told(car("A", -20), car("B", 5), car("C", -8))], ["B", "C", "A"])

    def test_no_speed(self) -> None:
        """A car that sends no speed has a position; what its speed would tell is left out, or null where it may be."""
        _, gap, last = told(car("A", 1000), car("B", 900, None), car("C", 800))
        self.assertEqual((gap["gapToAhead"], gap["gapToBehind"], gap["position"]), (None, None, 2))
        self.assertNotIn("gapToLeader", gap)
        self.assertNotIn("relativeSpeed", gap)
        self.assertEqual(last["gapToLeader"], 0.0)

    def test_standing(self) -> None:
        """Cars that stand divide by no zero."""
        cars = [
            car(name, way_m, kmh, speed_m_s=0.0) for name, way_m, kmh in (("A", 10, 0.0), ("B", 5, 0.0), ("C", 2, 50.0))
        ]
        for gap in told(*cars):
            self.assertTrue(all(math.isfinite(value) for value in gap.values() if isinstance(value, float)))

    def test_nothing_heard(self) -> None:
        """Cars of which nothing is known yet have positions, and no gaps."""
        found = told(FieldCar("A"), FieldCar("B"))
        self.assertEqual([gap["position"] for gap in found], [1, 2])
        for gap in found:
            self.assertTrue(all(gap[name] is None for name in _SECONDS))
        self.assertEqual(gaps("barber", [], NOW_S, None), [])

    def test_unknown_length(self) -> None:
        """How many laps a car is down is not known where the track's length is not."""
        self.assertEqual([gap["lapsDown"] for gap in told(car("A", 1000), car("B", 10), length_m=None)], [None, None])

    def test_large_field(self) -> None:
        """Sixty cars take less than five milliseconds."""
        field = [car(f"GR86-{number}", 1000.0 * number, 100 + number / 10) for number in range(60)]
        took_s = []
        for _ in range(5):
            started = time.perf_counter()
            told(*field)
            took_s.append(time.perf_counter() - started)
        self.assertLess(min(took_s), 0.005)


class TruthTests(SynchronousTestCase):
    """Order and gaps of simulated races are the true ones at the moment they are told for."""

    def check_gaps(
        self, made: Recording, mean_s: float, side_by_side_m: float, fresh_s: float = 0.5, from_s: float = 10
    ) -> None:
        """At each second, from some moment on."""
        start_s = made.race.config.start
        found = analysis([], made.numbers, made.race.track, finish=False)
        errors: list[float] = []
        missing = 0
        for part in in_ticks(made.rows, 1.0):
            found.take(part)
            field = found.book.gaps()
            at_ms = found.book.races[made.race.track.name].at_ms
            if at_ms / 1000 - start_s < from_s:
                continue
            at_s = field[0]["asOf"] / 1000 - start_s
            self.assertLess(at_ms / 1000 - start_s - at_s, fresh_s)
            true = {standing.chassis: standing for standing in made.race.truth.order(at_s)}
            ways = [true[gap["chassis"]].distance_m for gap in field]
            for ahead_m, behind_m in pairwise(ways):
                self.assertLess(behind_m - ahead_m, side_by_side_m)
            if ways != sorted(ways, reverse=True):
                continue  # side by side: who is ahead is anybody's guess, and so are the gaps to the one ahead
            for gap in field:
                standing = true[gap["chassis"]]
                for value, wanted in (
                    (gap["gapToLeaderSeconds"], standing.gap_to_leader_s),
                    (gap["gapToAheadSeconds"], standing.gap_to_ahead_s),
                ):
                    if wanted is not None:
                        missing += value is None
                        errors.append(abs((value or 0.0) - wanted) if value is not None else 0.0)
        self.assertLess(np.mean(errors), mean_s)
        self.assertLess(missing / len(errors), 0.01)
        self.assertGreater(len(errors), 500)

    def test_regular(self) -> None:
        """Within 15 ms in the mean with a lap distance that is off by half a metre, at every rate, on two tracks."""
        faults = Faults(lapdist_noise_m=0.5)
        for rates in ({"rate_hz": 22}, {"real_rates": True}):
            for track in ("barber", SHORTWAY):
                self.check_gaps(recording(130, cars=6, track=track, seed=3, faults=faults, **rates), 0.015, 1.0)

    def test_clocks_apart(self) -> None:
        """Within 40 ms where the clocks are days apart, and points come in bursts of 0.6 s and so are stamped."""
        faults = Faults(lapdist_noise_m=0.5, clock_behind_h=(24, 60), burst_s=0.6, stamped_on_arrival=True)
        for track in ("barber", SHORTWAY):
            made = recording(150, cars=8, track=track, seed=3, real_rates=True, faults=faults)
            self.check_gaps(made, 0.04, 3.0, 1.3)

    def test_slow_network(self) -> None:
        """And hardly more where each burst takes half a second or so, now more, now less."""
        faults = Faults(
            lapdist_noise_m=0.5, clock_behind_h=(24, 60), burst_s=0.6, latency_s=0.5, stamped_on_arrival=True
        )
        made = recording(150, cars=8, track="barber", seed=3, real_rates=True, faults=faults)
        # The slowest car that still counts as heard is what they are told for.
        self.check_gaps(made, 0.06, 10.0, 5.1)

    def test_few_points(self) -> None:
        """One point a second will do."""
        self.check_gaps(recording(150, cars=8, track="barber", seed=3, rate_hz=1), 0.015, 1.0, 1.7)

    def test_without_distance(self) -> None:
        """Without any lap distance, where all is driven from line to line, hardly less once all have crossed it."""
        faults = Faults(missing_lapdist_share=1)
        made = recording(250, cars=4, track=SHORTWAY, seed=3, rate_hz=22, faults=faults)
        self.check_gaps(made, 0.05, 6.0, from_s=50)


class ByHandTests(SynchronousTestCase):
    """Cars on the short track, at speeds that are easily reckoned with."""

    def drive(self, *cars: Rows) -> Analysis:
        """All of them to the end; the field at each tick is in ``fields``."""
        rows = field_of(cars)
        found = analysis([], {f"car-{number}": number for number in range(len(cars))}, SHORT, finish=False)
        self.fields: list[list[dict[str, Any]]] = []
        for part in in_ticks(rows, 0.6):
            found.take(part)
            self.fields.append(found.book.gaps())
        return found

    def a_car(self, way_m: Any, speed_m_s: Any, times: Any = None, counter_m: float = 0.0) -> Rows:
        """Twenty points a second for a hundred seconds, the lap counter so much ahead of the line."""
        times = self.times if times is None else times
        return hand_made(times, lap=1 + (way_m + counter_m) // 1000, lapdist_m=way_m % 1000, speed_kmh=3.6 * speed_m_s)

    def setUp(self) -> None:
        """Moments of a race of a hundred seconds."""
        self.times = np.arange(0, 100, 0.05)

    def test_lapped(self) -> None:
        """A car that is lapped twice is so many laps down, and its gap is all the time since the leader was there."""
        self.drive(self.a_car(20 + 60 * self.times, 60.0), self.a_car(10 + 30 * self.times, 30.0))
        leader, lapped = self.fields[-1]
        at_s = lapped["asOf"] / 1000 - START_S
        self.assertEqual((leader["chassis"], leader["lapsDown"], lapped["lapsDown"]), ("car-0", 0, 2))
        self.assertApproximates(lapped["gapToLeaderSeconds"], at_s - (30 * at_s - 10) / 60, 0.01)
        self.assertEqual(lapped["gapToAheadSeconds"], leader["gapToBehindSeconds"])

    def test_silent(self) -> None:
        """A car that falls silent keeps a place and has no gaps; those of the others go on without it."""
        ways = [100 - 40 * number + 30 * self.times for number in range(3)]
        cars = [self.a_car(way, 30.0) for way in ways]
        cars[1] = cars[1][self.times < 50]
        self.drive(*cars)
        last = {gap["chassis"]: gap for gap in self.fields[-1]}
        self.assertEqual([gap["position"] for gap in self.fields[-1]], [1, 2, 3])
        self.assertTrue(all(last["car-1"][name] is None for name in _SECONDS))
        self.assertApproximates(last["car-2"]["gapToLeaderSeconds"], 80 / 30, 0.01)
        # Within the five seconds in which it may still be heard nothing is compared that is not known of it.
        for field in self.fields[5:]:
            for gap in field:
                if gap["chassis"] == "car-2":
                    self.assertApproximates(gap["gapToLeaderSeconds"], 80 / 30, 0.01)

    def test_closing(self) -> None:
        """A car within a second of the one ahead and closing can overtake, and puts that one under pressure."""
        closing = self.a_car(30.5 * self.times, 30.5)
        self.drive(self.a_car(50 + 30 * self.times, 30.0), closing)
        attacked = []
        for field in self.fields[10:]:
            ahead, behind = field
            at_s = ahead["asOf"] / 1000 - START_S
            attacked.append(behind["overtakingOpportunity"])
            self.assertEqual(ahead["underPressure"], behind["overtakingOpportunity"])
            self.assertFalse(ahead["overtakingOpportunity"] or behind["underPressure"])
            if at_s < 35:  # 50 - 0.5 t over 30 m/s are a second after 40 s
                self.assertFalse(attacked[-1])
            elif 45 < at_s < 95:
                self.assertTrue(attacked[-1])
        self.assertIn(True, attacked)

    def test_not_closing(self) -> None:
        """One that only follows, however close, or falls back can not."""
        for speed_m_s in (30.0, 29.9):
            self.drive(self.a_car(20 + 30 * self.times, 30.0), self.a_car(speed_m_s * self.times, speed_m_s))
            self.assertFalse(
                any(gap["overtakingOpportunity"] or gap["underPressure"] for field in self.fields for gap in field)
            )

    def test_overtaking(self) -> None:
        """Who passes another takes its place, once, and is then the one who is followed."""
        self.drive(self.a_car(20 + 30 * self.times, 30.0), self.a_car(30.5 * self.times, 30.5))
        orders = [[gap["chassis"] for gap in field] for field in self.fields[3:]]
        changes = [before != after for before, after in pairwise(orders)]
        self.assertEqual((sum(changes), orders[-1]), (1, ["car-1", "car-0"]))

    def test_counters_early_and_late(self) -> None:
        """A car whose lap counter rises before or behind the line never changes places with another there."""
        for early_m in (0.0, 60.0, -60.0):
            for other_m in (0.0, 60.0, -60.0):
                self.drive(
                    self.a_car(320 + 30 * self.times, 30.0, counter_m=early_m),
                    self.a_car(300 + 30 * self.times, 30.0, counter_m=other_m),
                )
                for field in self.fields[3:]:
                    self.assertEqual([gap["chassis"] for gap in field], ["car-0", "car-1"])
                    self.assertApproximates(field[1]["gapToAheadSeconds"], 20 / 30, 0.01)

    def test_measured_short(self) -> None:
        """A car whose distance reads 1 % short or long changes no places at the line once that is known."""
        for short in (0.99, 1.01):
            behind = self.a_car(960 + 30 * self.times, 30.0)
            behind["lapdist_m"] *= short
            self.drive(self.a_car(980 + 30 * self.times, 30.0), behind)
            for field in self.fields[65:]:
                self.assertEqual([gap["chassis"] for gap in field], ["car-0", "car-1"])
                self.assertApproximates(field[1]["gapToAheadSeconds"], 20 / 30, 0.03)

    def test_shifted_clocks(self) -> None:
        """What is known by now of a car's clock moves all that is known of it."""
        first, second = self.a_car(20 + 30 * self.times, 30.0), self.a_car(30 * self.times, 30.0)
        second["time_s"] += 0.3
        second["shift_s"] = -0.3
        self.drive(first, second)
        self.assertApproximates(self.fields[-1][1]["gapToAheadSeconds"], 20 / 30, 0.01)

    def test_no_order_by_noise(self) -> None:
        """Two cars side by side do not change places from tick to tick."""
        noise = np.random.default_rng(1)
        cars = [self.a_car(200 + 30 * self.times, 30.0) for _ in range(2)]
        for each in cars:
            each["lapdist_m"] = np.clip(each["lapdist_m"] + noise.normal(0, 0.5, len(each)), 0, None)
        self.drive(*cars)
        orders = [[gap["chassis"] for gap in field] for field in self.fields[3:]]
        self.assertLess(sum(before != after for before, after in pairwise(orders)), len(orders) / 5)

    def test_gone(self) -> None:
        """A car of a session ten minutes ago does not lead those that drive now, nor are they laps behind it."""
        times = np.concatenate([np.arange(0, 100, 0.1), np.arange(900, 1000, 0.1)])
        gone = self.a_car(900 + 40 * times[times < 100], 40.0, times[times < 100])
        cars = [self.a_car(10 * number + 30 * times[times > 500], 30.0, times[times > 500]) for number in (2, 1)]
        self.drive(gone, *cars)
        last = self.fields[-1]
        self.assertEqual([gap["chassis"] for gap in last], ["car-1", "car-2", "car-0"])
        self.assertEqual([gap["lapsDown"] for gap in last], [0, 0, None])
        self.assertApproximates(last[1]["gapToLeaderSeconds"], 1 / 3, 0.01)

    def test_laps_alone(self) -> None:
        """Of cars that send nothing but their lap there are positions and no gaps."""
        cars = [self.a_car(10 * number + 30 * self.times, 30.0) for number in (2, 1)]
        for each in cars:
            each["lapdist_m"] = each["speed_kmh"] = np.nan
        self.drive(*cars)
        self.assertEqual([gap["position"] for gap in self.fields[-1]], [1, 2])
        self.assertTrue(all(gap[name] is None for gap in self.fields[-1] for name in _SECONDS))

    def test_start(self) -> None:
        """While the field accelerates from the grid every interval closes, and nobody can attack for it."""
        since = np.maximum(self.times - 10, 0.0)
        way = np.where(since < 10, 1.5 * since**2, 150 + 30 * (since - 10))
        speed = np.gradient(way, self.times)
        self.drive(self.a_car(920 + way, speed), self.a_car(912 + way, speed))
        for field in self.fields:
            self.assertFalse(any(gap["overtakingOpportunity"] for gap in field))
