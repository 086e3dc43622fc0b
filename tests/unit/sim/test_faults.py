"""The faults of real recordings, each on its own."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.sim import Arrival, Faults, Race, RaceConfig, SimError, encode_point
from pitwall.sim.config import DEFAULT_START


def race_with(cars: int = 4, **faults: Any) -> Race:
    """A small race with these faults."""
    return Race(RaceConfig(cars=cars, seed=8, faults=Faults(**faults)))


def epoch(text: Any) -> float:
    """An ISO time in epoch seconds."""
    return datetime.fromisoformat(text).timestamp()


class FaultsTests(SynchronousTestCase):
    """Each of the `Faults` shows in the points, and only that one."""

    def setUp(self) -> None:
        """Half a minute without a fault, to compare with."""
        self.clean = race_with().points(20, 50)

    def column(self, race: Race, name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """A channel with a fault and without, sample by sample."""
        spoiled = race.points(20, 50)
        return np.array([p[name] for p in spoiled], float), np.array([p[name] for p in self.clean], float)

    def test_off(self) -> None:
        """Without a fault every point arrives when it is sampled, once, with its lap, distance and no clock."""
        arrivals = race_with().arrivals(20, 50)
        self.assertTrue(all(arrival.arrival_s == arrival.time_s for arrival in arrivals))
        for point in self.clean:
            self.assertIn("lapdist_m", point)
            self.assertNotIn("timestamp", point)
            self.assertIn(point["lap"], (0, 1))
        self.assertEqual(len({encode_point(point) for point in self.clean}), len(self.clean))

    def test_reproducible(self) -> None:
        """All faults at once give the same bytes again, in windows of any size."""
        faults: dict[str, Any] = {
            "clock_behind_h": (23.0, 88.0), "clock_drift_ppm": 50.0, "frozen_clocks": (1,), "burst_s": 0.7,
            "latency_s": 1.0, "stall_s": 5.0, "stall_every_s": 20.0, "shuffled_share": 0.1, "unknown_lap_share": 0.2,
            "missing_lapdist_share": 0.1, "duplicate_share": 0.1, "conflicting_share": 0.5, "laps_ahead": 2,
            "flipped_cars": (2,), "acceleration_offset_g": 0.05, "lapdist_noise_m": 1.0, "stamped_on_arrival": True,
        }  # fmt: skip
        whole = race_with(**faults).points(0, 40)
        race = race_with(**faults)
        joined = [point for step in range(80) for point in race.points(step / 2, (step + 1) / 2)]
        self.assertEqual(list(map(encode_point, joined)), list(map(encode_point, whole)))

    def test_clock_behind(self) -> None:
        """The cars' clocks are 23 to 88 hours behind, each by another amount, regular inside a car."""
        race = race_with(clock_behind_h=(23.0, 88.0))
        behind = defaultdict(set)
        for point in race.points(20, 50):
            behind[point["chassis"]].add(round(epoch(point["meta_time"]) - epoch(point["timestamp"]), 3))
        self.assertTrue(all(len(amounts) == 1 for amounts in behind.values()))
        hours = [amounts.pop() / 3600 for amounts in behind.values()]
        self.assertTrue(all(23 <= amount <= 88 for amount in hours))
        self.assertEqual(len(set(hours)), 4)

    def test_clock_drift(self) -> None:
        """A clock that drifts runs away by so many millionths."""
        race = race_with(clock_drift_ppm=500.0)
        early, late = race.points(0, 1), race.points(2000, 2001)
        for car, chassis in enumerate(race.truth.chassis):
            first = next(point for point in early if point["chassis"] == chassis)
            then = next(point for point in late if point["chassis"] == chassis)
            true_s = epoch(then["meta_time"]) - epoch(first["meta_time"])
            shown_s = epoch(then["timestamp"]) - epoch(first["timestamp"])
            drift_ppm = (shown_s / true_s - 1) * 1e6
            self.assertApproximates(drift_ppm, float(race.recorder.drift_ppm[car]), 1.0)
            self.assertGreater(abs(drift_ppm), 1.0)

    def test_frozen_clock(self) -> None:
        """A frozen clock shows one time for the whole race; the other clocks go on."""
        race = race_with(frozen_clocks=(2,))
        shown = defaultdict(set)
        for point in race.points(20, 50):
            shown[point["chassis"]].add(point["timestamp"])
        counts = [len(shown[chassis]) for chassis in race.truth.chassis]
        self.assertEqual(counts[2], 1)
        self.assertTrue(all(count > 600 for count in counts[:2] + counts[3:]))

    def arrivals(self, **faults: Any) -> list[Arrival]:
        """What arrives in two minutes under these faults."""
        return race_with(**faults).arrivals(0, 120)

    def assert_in_order(self, arrivals: list[Arrival]) -> None:
        """Each car's points arrive in the order they were sampled, the field's in order of arrival."""
        last: dict[object, float] = {}
        for arrival in arrivals:
            self.assertGreater(arrival.time_s, last.get(arrival.point["chassis"], -1.0))
            last[arrival.point["chassis"]] = arrival.time_s
        moments = [arrival.arrival_s for arrival in arrivals]
        self.assertEqual(moments, sorted(moments))

    def test_bursts(self) -> None:
        """Points come in bursts: some dozen of a car at one moment, none late by more than the burst."""
        arrivals = self.arrivals(burst_s=1.0)
        self.assert_in_order(arrivals)
        moments = defaultdict(list)
        for arrival in arrivals:
            moments[arrival.arrival_s, arrival.point["chassis"]].append(arrival.time_s)
            self.assertTrue(-0.001 <= arrival.arrival_s - arrival.time_s <= 1.001)
        self.assertApproximates(np.median([len(times) for times in moments.values()]), 22, 1)

    def test_late(self) -> None:
        """Points are late, by about the median asked for, and keep their order inside a car."""
        arrivals = self.arrivals(latency_s=1.5)
        self.assert_in_order(arrivals)
        late_s = [arrival.arrival_s - arrival.time_s for arrival in arrivals]
        self.assertGreater(min(late_s), 0)
        self.assertTrue(1.0 < np.median(late_s) < 6.0, np.median(late_s))

    def test_stalls(self) -> None:
        """The receiver hears nobody for the length of a stall, then everybody at once."""
        arrivals = self.arrivals(stall_s=10.0, stall_every_s=60.0)
        self.assert_in_order(arrivals)
        moments = np.array([arrival.arrival_s for arrival in arrivals])
        silences = np.diff(np.unique(moments))
        self.assertEqual(np.sum(silences > 9.5), 2)
        self.assertGreater(np.unique(moments, return_counts=True)[1].max(), 4 * 22 * 9)

    def test_stamped_on_arrival(self) -> None:
        """`meta_time` can be the receiver's: then it is the moment of arrival, and the car's clock keeps the other."""
        faults: dict[str, Any] = {"burst_s": 2.0, "clock_behind_h": (1.0, 1.0)}
        for arrival in self.arrivals(stamped_on_arrival=True, **faults):
            self.assertAlmostEqual(epoch(arrival.point["meta_time"]) - DEFAULT_START, arrival.arrival_s, places=5)
            self.assertAlmostEqual(epoch(arrival.point["timestamp"]) - DEFAULT_START, arrival.time_s - 3600, places=5)
        for arrival in self.arrivals(**faults)[:100]:
            self.assertAlmostEqual(epoch(arrival.point["meta_time"]) - DEFAULT_START, arrival.time_s, places=5)

    def test_steps_back(self) -> None:
        """Some points come after later ones, by up to two seconds; none is lost."""
        arrivals = race_with(shuffled_share=0.1).arrivals(20, 50)
        times = np.array([arrival.time_s for arrival in arrivals])
        self.assertGreater(np.sum(np.diff(times) < 0), 100)
        self.assertLess(np.max(np.maximum.accumulate(times) - times), 2.01)
        late = np.array([arrival.arrival_s > arrival.time_s for arrival in arrivals])
        self.assertApproximates(late.mean(), 0.1, 0.03)
        everything = race_with(shuffled_share=0.1).arrivals(0, 60)
        clean = race_with().arrivals(0, 55)
        self.assertTrue({arrival.time_s for arrival in clean} <= {arrival.time_s for arrival in everything})

    def test_unknown_lap(self) -> None:
        """A share of the points has lap 32768."""
        lap, clean = self.column(race_with(unknown_lap_share=0.2), "lap")
        self.assertApproximates(np.mean(lap == 32768), 0.2, 0.03)
        self.assertTrue(np.all((lap == clean) | (lap == 32768)))

    def test_laps_ahead(self) -> None:
        """Lap counters run ahead by a number of their own."""
        race = race_with(cars=12, laps_ahead=2)
        ahead = {p["chassis"]: int(p["lap"]) - 1 for p in race.points(60, 61)}
        self.assertEqual(set(ahead.values()), {0, 1, 2})
        self.assertEqual([ahead[chassis] for chassis in race.truth.chassis], race.recorder.laps_ahead.tolist())

    def test_missing_distance(self) -> None:
        """A share of the points has no lap distance, and is otherwise whole."""
        points = race_with(missing_lapdist_share=0.3).points(20, 50)
        missing = np.array(["lapdist_m" not in point for point in points])
        self.assertApproximates(missing.mean(), 0.3, 0.03)
        for spoiled, clean in zip(points, self.clean, strict=True):
            self.assertEqual(spoiled | {"lapdist_m": clean["lapdist_m"]}, clean)

    def test_duplicates(self) -> None:
        """A share of the points comes twice, the one after the other."""
        points = list(map(encode_point, race_with(duplicate_share=0.1).points(20, 50)))
        self.assertApproximates(len(points) / len(self.clean), 1.1, 0.02)
        self.assertEqual(list(dict.fromkeys(points)), list(map(encode_point, self.clean)))
        repeated = sum(a == b for a, b in pairwise(points))
        self.assertEqual(repeated, len(points) - len(self.clean))

    def test_conflicting_duplicates(self) -> None:
        """Half of what comes twice comes with other values the second time."""
        points = race_with(duplicate_share=0.2, conflicting_share=0.5).points(20, 50)
        pairs = [
            (a, b) for a, b in pairwise(points) if (a["chassis"], a["meta_time"]) == (b["chassis"], b["meta_time"])
        ]
        self.assertGreater(len(pairs), 300)
        self.assertApproximates(np.mean([a != b for a, b in pairs]), 0.5, 0.1)

    def test_flipped(self) -> None:
        """One car has both accelerometer axes the wrong way round, the others do not."""
        race = race_with(flipped_cars=(1,))
        for spoiled, clean in zip(race.points(20, 50), self.clean, strict=True):
            sign = -1 if spoiled["chassis"] == race.truth.chassis[1] else 1
            self.assertEqual(spoiled["accx_can"], sign * float(clean["accx_can"]))
            self.assertEqual(spoiled["accy_can"], sign * float(clean["accy_can"]))

    def test_offset(self) -> None:
        """An accelerometer that is not level reads the same amount too much all the time."""
        race = race_with(cars=1, acceleration_offset_g=0.1)
        clean = race_with(cars=1).points(20, 50)
        offsets = [float(a["accy_can"]) - float(b["accy_can"]) for a, b in zip(race.points(20, 50), clean, strict=True)]
        self.assertLess(np.std(offsets), 0.001)
        self.assertAlmostEqual(np.mean(offsets), float(race.recorder.offset_y_g[0]), places=3)
        self.assertNotEqual(round(float(np.mean(offsets)), 3), 0.0)

    def test_distance_noise(self) -> None:
        """The lap distance is off by the deviation asked for, and never below 0."""
        distance_m, clean_m = self.column(race_with(lapdist_noise_m=3.0), "lapdist_m")
        self.assertApproximates(np.std(distance_m - clean_m), 3.0, 0.2)
        self.assertGreaterEqual(distance_m.min(), 0.0)

    def test_refused(self) -> None:
        """A share above 1, and a car that is not on the grid, are refused."""
        self.assertRaises(SimError, race_with, duplicate_share=1.5)
        self.assertRaises(SimError, race_with, flipped_cars=(4,))
