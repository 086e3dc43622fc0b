"""The files in ``demo/``."""

from __future__ import annotations

import json
from collections import defaultdict
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.channels import CSV_FIELDS
from pitwall.sim import Race, RaceConfig, encode_csv, encode_point

DEMO = Path(__file__).parents[3] / "demo"


def demo_module(name: str) -> ModuleType:
    """A script of ``demo/``, imported."""
    spec = spec_from_file_location(f"demo_{name}", DEMO / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class DemoFileTests(SynchronousTestCase):
    """``demo/race.json`` is a race to replay."""

    def test_made_again_byte_for_byte(self) -> None:
        """`make_demo_file.py` makes the very file that is there, in any process."""
        made = demo_module("make_demo_file").demo_file()
        self.assertTrue(made == (DEMO / "race.json").read_bytes(), "demo/race.json is not what make_demo_file makes")

    def test_what_is_in_it(self) -> None:
        """It is a JSON array of points under 2 MB, oldest first, with a full lap of every car and more."""
        content = (DEMO / "race.json").read_bytes()
        self.assertLess(len(content), 2_000_000)
        points = json.loads(content)
        times = [point["meta_time"] for point in points]
        self.assertEqual(times, sorted(times))
        laps = defaultdict(set)
        for point in points:
            self.assertTrue({*CSV_FIELDS, "raw_source"} <= point.keys())
            laps[point["chassis"]].add(point["lap"])
        self.assertEqual(len(laps), 6)
        self.assertTrue(all({1, 2, 3} <= seen for seen in laps.values()))


class SendRaceTests(SynchronousTestCase):
    """``demo/send_race.py`` sends a race datagram by datagram."""

    def setUp(self) -> None:
        """A race to send, a clock of our own, and a place for the datagrams."""
        self.send = demo_module("send_race").send
        self.race = Race(RaceConfig(cars=3, seed=4))
        self.expected = list(map(encode_point, self.race.points(0, 5)))
        self.now = 1000.0
        self.sent: list[tuple[float, bytes]] = []

    def transmit(self, datagram: bytes) -> None:
        """Note what is sent, and when."""
        self.sent.append((self.now, datagram))

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def run_for(self, seconds: float, speed: float, **more: object) -> int:
        """Send so many seconds of race at a speed."""
        sent: int = self.send(
            self.race, self.transmit, seconds=seconds, speed=speed, clock=lambda: self.now, sleep=self.sleep, **more
        )
        return sent

    def test_own_pace(self) -> None:
        """At its own pace a race of five seconds takes five seconds, all points in order and none twice."""
        self.assertEqual(self.run_for(5.0, speed=1.0), len(self.expected))
        self.assertEqual([datagram for _, datagram in self.sent], self.expected)
        self.assertApproximates(self.now, 1005.0, 0.05)
        halfway = sum(moment <= 1002.5 for moment, _ in self.sent)
        self.assertApproximates(halfway, 165, 5)

    def test_faster(self) -> None:
        """At ten times its pace the same points take a tenth of the time."""
        self.run_for(5.0, speed=10.0)
        self.assertEqual([datagram for _, datagram in self.sent], self.expected)
        self.assertApproximates(self.now, 1000.5, 0.05)

    def test_without_a_pause(self) -> None:
        """At no limit of speed the script never sleeps."""
        self.run_for(5.0, speed=float("inf"))
        self.assertEqual([datagram for _, datagram in self.sent], self.expected)
        self.assertEqual(self.now, 1000.0)

    def test_csv(self) -> None:
        """The points can go as CSV lines."""
        self.run_for(1.0, speed=10.0, encode=encode_csv)
        self.assertEqual(self.sent[0][1].count(b","), 10)

    def test_ends_with_the_race(self) -> None:
        """A race with an end ends the script."""
        self.race = Race(RaceConfig(cars=2, seed=4, laps=1, rate_hz=1.0))
        self.run_for(float("inf"), speed=float("inf"))
        assert self.race.duration_s is not None
        self.assertEqual(len(self.sent), len(self.race.points(0, self.race.duration_s)))
