"""A result as clients get it, field by field as the contract says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.car import CarState, update
from pitwall.race.report import CarReport, report
from tests.unit.race.recordings import SHORT, hand_made


def shown(state: CarState, configured: bool = True) -> dict[str, Any]:
    """The JSON of a car's result."""
    found = report(0, "short", "GR86-001", state, SHORT if configured else None)
    result: dict[str, Any] = json.loads(msgspec.json.encode(found.result))
    return result


class ReportTests(SynchronousTestCase):
    """What a client reads of a car."""

    def setUp(self) -> None:
        """Five laps of the short track, each a tenth slower than the one before, and half of a sixth."""
        lap_s = [20.0, 20.1, 20.2, 20.3, 20.4, 40.0]
        ends = np.concatenate(([0.0], np.cumsum(lap_s)))
        self.times = np.arange(0, ends[-1] - 20, 0.05)
        way = np.interp(self.times, ends, 1000.0 * np.arange(7))
        self.state = CarState()
        rows = hand_made(
            self.times,
            lap=4 + way // 1000,
            lapdist_m=way % 1000,
            speed_kmh=np.where(way < 5000, 180, 90),
            accx_can=0.5,
            accy_can=-1.5,
            Steering_Angle=np.where(np.arange(self.times.size) % 2, 30.0, -10.0),
            pbrake_f=np.where(np.arange(self.times.size) % 2, 60.0, 0.0),
        )
        update(self.state, rows, SHORT, 0)

    def test_contract(self) -> None:
        """Every field is there, of its type and in its unit."""
        result = shown(self.state)
        meta = result.pop("meta")
        stress = result.pop("perSectorStress")
        self.assertEqual(
            result,
            {
                "chassis": "GR86-001",
                "track": "short",
                "lap": 9,
                "lap_tire_stress": round(sum(stress.values()), 3),
                "predicted_loss_per_lap_seconds": 0.1,
                "laps_until_0_5s_loss": 5.0,
            },
        )
        self.assertEqual(stress.keys(), {"0", "1"})
        # 2.5 g² over 500 m, less the last sample's way.
        self.assertApproximates(stress["0"], 1000, 0.01)
        self.assertApproximates(stress["1"], 250, 5)
        sectors = meta.pop("sectorTimes")
        self.assertEqual(sectors.keys(), {"0", "1"})
        self.assertApproximates(sectors["0"], 16.0, 0.002)
        self.assertApproximates(sectors["1"], 0.6 * 20.4, 0.002)
        for name, mean, largest in (
            ("Speed", 90, 90),
            ("Acceleration", 0.5, 0.5),
            ("Braking", 30, 60),
            ("Cornering", 20, 30),
        ):
            self.assertApproximates(meta.pop(f"avg{name}"), mean, 0.1)
            self.assertEqual(meta.pop(f"max{name}"), largest)
        self.assertApproximates(meta.pop("consistency"), 100 * (1 - np.std([0, 0.1, 0.2, 0.3]) / 20.25), 0.3)
        self.assertEqual(meta, {"performanceTrend": "degrading", "pointCount": self.times.size})

    def test_types(self) -> None:
        """Whole numbers are whole, all others are numbers with a point."""
        result = shown(self.state)
        self.assertIs(type(result["lap"]), int)
        self.assertIs(type(result["meta"]["pointCount"]), int)
        for name in ("lap_tire_stress", "predicted_loss_per_lap_seconds", "laps_until_0_5s_loss"):
            self.assertIs(type(result[name]), float, name)

    def test_next_report(self) -> None:
        """Points are counted since the last report."""
        shown(self.state)
        update(self.state, hand_made(self.times[-1] + np.array([0.05, 0.1])), SHORT, 0)
        self.assertEqual(shown(self.state)["meta"]["pointCount"], 2)

    def test_bare(self) -> None:
        """Of a car that has sent nothing but its name everything but the lap is there or left out, none of it null."""
        state = CarState()
        update(state, hand_made([0.0]), None, 0)
        self.assertEqual(
            shown(state, configured=False),
            {
                "chassis": "GR86-001",
                "track": "short",
                "lap": None,
                "lap_tire_stress": 0.0,
                "perSectorStress": {"0": 0.0},
                "predicted_loss_per_lap_seconds": 0.0,
                "laps_until_0_5s_loss": 99.0,
                "meta": {"performanceTrend": "stable", "sectorTimes": {}, "pointCount": 1},
            },
        )

    def test_travels(self) -> None:
        """A report comes out of a worker as it went in."""
        found = report(7, "short", "GR86-001", self.state, SHORT)
        self.assertEqual(msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=CarReport), found)
