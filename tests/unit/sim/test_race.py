"""The points of a race."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.channels import CHANNELS, CSV_FIELDS
from pitwall.sim import Race, RaceConfig, SimError, encode_csv, encode_point
from pitwall.sim.config import DEFAULT_START
from pitwall.sim.points import Point


def seconds_of(point: Point) -> float:
    """The moment a point was sampled, from its ``meta_time`` [s since the start of the race]."""
    return datetime.fromisoformat(str(point["meta_time"])).timestamp() - DEFAULT_START


def as_bytes(points: list[Point]) -> bytes:
    """The points as they would be sent."""
    return b"\n".join(map(encode_point, points))


@cache
def a_race() -> Race:
    """Five cars at Barber with positions."""
    return Race(RaceConfig(cars=5, seed=11, gps=True))


class PointsTests(SynchronousTestCase):
    """`Race.points` gives the field's telemetry, window by window."""

    def setUp(self) -> None:
        """A race to look at."""
        self.race = a_race()

    def test_same_seed_same_bytes(self) -> None:
        """The same seed gives the same bytes."""
        config = RaceConfig(track="sonoma", cars=4, seed=5, gps=True)
        self.assertEqual(as_bytes(Race(config).points(0, 20)), as_bytes(Race(config).points(0, 20)))

    def test_other_seed_other_bytes(self) -> None:
        """Another seed gives another race."""
        one, other = (Race(RaceConfig(track="sonoma", cars=4, seed=seed)).points(0, 1) for seed in (5, 6))
        self.assertNotEqual(as_bytes(one), as_bytes(other))

    def test_windows_join(self) -> None:
        """Windows of any size, joined, are the same points as one big window, none missing and none twice."""
        whole = self.race.points(95.0, 125.0)
        edges = np.unique(np.concatenate(([95.0, 125.0, 100.0, 101.0], 95 + 30 * np.random.default_rng(1).random(200))))
        fresh = Race(self.race.config)
        joined = [point for a, b in pairwise(edges) for point in fresh.points(float(a), float(b))]
        self.assertEqual(as_bytes(joined), as_bytes(whole))

    def test_jump_ahead(self) -> None:
        """A window hours ahead can be asked for at once, and one that has passed again."""
        race = Race(RaceConfig(cars=2, seed=11))
        late = as_bytes(race.points(7200, 7201))
        early = as_bytes(race.points(3, 4))
        self.assertEqual(late, as_bytes(race.points(7200, 7201)))
        self.assertEqual(early, as_bytes(Race(RaceConfig(cars=2, seed=11)).points(3, 4)))

    def test_fields(self) -> None:
        """A point has the fields of the contract, and gear, pedal and position beside them."""
        point = self.race.points(10, 11)[0]
        self.assertEqual(set(point), {*CSV_FIELDS, "raw_source", "gear", "aps", "VBOX_Lat_Min", "VBOX_Long_Minutes"})
        self.assertEqual((point["track"], point["raw_source"]), ("barber", "demo"))
        self.assertRegex(str(point["meta_time"]), r"^2025-09-06T18:40:1\d\.\d{3}Z$")

    def test_rate(self) -> None:
        """Each car sends at the rate asked for, at instants of its own, and the field comes in the order of time."""
        for rate_hz in (4.0, 22.0, 50.0):
            race = Race(RaceConfig(cars=5, rate_hz=rate_hz))
            points = race.points(0, 60)
            counts = Counter(point["chassis"] for point in points)
            self.assertEqual(len(counts), 5)
            for count in counts.values():
                self.assertApproximates(count, 60 * rate_hz, 1)
            times = [str(point["meta_time"]) for point in points]
            self.assertEqual(times, sorted(times))
            self.assertGreater(len({point["meta_time"] for point in points[:5]}), 1)

    def test_within_the_catalogue(self) -> None:
        """Every value is within its channel's range, whole where the channel is, and a number."""
        for point in self.race.points(0, 220):
            for name, value in point.items():
                channel = CHANNELS.get(name)
                if channel is not None:
                    assert not isinstance(value, str)
                    self.assertTrue(channel.low <= value <= channel.high, f"{name} is {value}")
                    self.assertTrue(not channel.integer or isinstance(value, int))

    def test_like_a_real_lap(self) -> None:
        """Over a lap the channels cover what recorded laps cover: full throttle and hard braking, 1.2 g, gears."""
        columns: dict[str, list[Any]] = defaultdict(list)
        for point in self.race.points(115, 215):
            for name, value in point.items():
                columns[name].append(value)
        percentiles = {
            name: np.percentile(columns[name], [1, 99]) for name in ("accx_can", "accy_can", "pbrake_f", "speed_kmh")
        }
        self.assertTrue(-1.3 < percentiles["accx_can"][0] < -0.9 and 0.2 < percentiles["accx_can"][1] < 0.5)
        self.assertTrue(1.0 < percentiles["accy_can"][1] < 1.6)
        self.assertTrue(60 < percentiles["pbrake_f"][1] < 130)
        self.assertTrue(60 < percentiles["speed_kmh"][0] < 120 and 165 < percentiles["speed_kmh"][1] < 200)
        self.assertTrue(0.4 < np.mean(np.array(columns["aps"]) > 99) < 0.8)
        self.assertTrue({2, 3, 4} <= set(columns["gear"]))
        self.assertTrue(np.percentile(columns["rpm"], 1) > 4000 and np.percentile(columns["rpm"], 99) < 7400)

    def test_channels_agree(self) -> None:
        """Speed, accelerations and steering are those of the car's way: they agree with the truth within noise."""
        chassis = self.race.truth.chassis[0]
        points = [point for point in self.race.points(30, 90) if point["chassis"] == chassis]
        times_s = np.round([seconds_of(point) for point in points], 3)
        columns = {
            name: np.array([point[name] for point in points], float)
            for name in ("lapdist_m", "speed_kmh", "accx_can", "accy_can", "Steering_Angle")
        }
        distance_m = self.race.truth.distance_m(chassis, times_s)
        self.assertLess(np.abs(columns["lapdist_m"] - distance_m).max(), 0.0051)
        speed = self.race.truth.speed_m_s(chassis, times_s)
        self.assertLess(np.abs(columns["speed_kmh"] / 3.6 - speed).max(), 0.2)
        ahead = self.race.truth.speed_m_s(chassis, times_s + 0.01)
        self.assertLess(np.std(columns["accx_can"] - (ahead - speed) / 0.01 / 9.80665), 0.04)
        curvature = self.race.truth.circuit.curvature_at(distance_m)
        self.assertLess(np.std(columns["accy_can"] - speed**2 * curvature / 9.80665), 0.04)
        cornering = np.abs(columns["accy_can"]) > 0.3
        self.assertTrue(np.all(columns["accy_can"][cornering] * columns["Steering_Angle"][cornering] > 0))

    def test_lap_number(self) -> None:
        """A car has no lap (0) before it first crosses the line, then 1; the lap distance starts again with each."""
        truth, chassis = self.race.truth, self.race.truth.chassis[-1]
        points = [point for point in self.race.points(0, 220) if point["chassis"] == chassis]
        for point in points:
            self.assertEqual(point["lap"], truth.lap_at(chassis, round(seconds_of(point), 3)))
            self.assertTrue(0 <= float(point["lapdist_m"]) <= 3674.7)
        self.assertEqual(sorted({point["lap"] for point in points}), [0, 1, 2, 3])

    def test_position(self) -> None:
        """Positions go around the track's start/finish line and are right to some metres at it."""
        chassis = self.race.truth.chassis[0]
        line_s = self.race.truth.lap(chassis, 1).end_s
        points = [point for point in self.race.points(line_s - 0.03, line_s + 0.03) if point["chassis"] == chassis]
        self.assertTrue(points)
        for point in points:
            self.assertApproximates(float(point["VBOX_Lat_Min"]), 33.5326722, 5e-5)
            self.assertApproximates(float(point["VBOX_Long_Minutes"]), -86.6196083, 5e-5)

    def test_flag(self) -> None:
        """In a race of three laps a car sends until it has done them, and nothing after the last car has."""
        race = Race(RaceConfig(cars=3, seed=2, laps=3, rate_hz=2.0))
        assert race.duration_s is not None
        self.assertTrue(290 < race.duration_s < 330)
        last = {str(point["chassis"]): point for point in race.points(0, race.duration_s + 60)}
        for chassis, point in last.items():
            self.assertEqual(point["lap"], 3)
            self.assertLessEqual(seconds_of(point), race.truth.lap(chassis, 3).end_s)
            self.assertGreater(seconds_of(point), race.truth.lap(chassis, 3).end_s - 0.6)

    def test_csv(self) -> None:
        """As a CSV datagram a point has the eleven fields of the contract in their order."""
        point = self.race.points(10, 11)[0]
        self.assertEqual(encode_csv(point).decode().split(","), [str(point[name]) for name in CSV_FIELDS])

    def test_refused(self) -> None:
        """A race that makes no sense is refused in a sentence: what was seen and what was wanted."""
        for config, message in (
            ({"cars": 0}, "cars is 0, wanted 1 to 500"),
            ({"rate_hz": float("nan")}, "rate_hz is nan, wanted 0.01 to 1000"),
            ({"stint_laps": 1}, "stint_laps is 1, wanted 2 to 100000"),
        ):
            error = self.assertRaises(SimError, RaceConfig, **config)
            self.assertEqual(str(error), message)
        error = self.assertRaises(SimError, Race, RaceConfig(track="monza"))
        self.assertTrue(str(error).startswith("track is 'monza', wanted one of barber, "))
