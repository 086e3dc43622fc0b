"""A result as clients get it, field by field as the contract says, and what the cross-car step gets."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import Tracks
from pitwall.race.analysis import Analysis
from pitwall.race.car import Car
from pitwall.race.report import CarReport, CarTick, car_report, car_tick
from pitwall.rows import numbered
from tests.unit.race.recordings import SHORT, START_S, Rows, hand_made, in_parts


def shown(result: dict[str, Any]) -> dict[str, Any]:
    """What a client reads of a result."""
    found: dict[str, Any] = json.loads(msgspec.json.encode(result))
    return found


def five_laps() -> Rows:
    """Five laps of the short track, each a tenth slower than the one before, and half of a sixth."""
    lap_s = [20.0, 20.1, 20.2, 20.3, 20.4, 40.0]
    ends = np.concatenate(([0.0], np.cumsum(lap_s)))
    times = np.arange(0, ends[-1] - 20, 0.05)
    way = np.interp(times, ends, 1000.0 * np.arange(7))
    odd = np.arange(times.size) % 2
    return hand_made(
        times,
        lap=4 + way // 1000,
        lapdist_m=way % 1000,
        speed_kmh=np.where(way < 5000, 180, 90),
        accx_can=0.5,
        accy_can=-1.5,
        Steering_Angle=np.where(odd, 30.0, -10.0),
        pbrake_f=np.where(odd, 60.0, 0.0),
    )


class ResultTests(SynchronousTestCase):
    """What a client reads of a car."""

    def setUp(self) -> None:
        """A car that has driven five laps."""
        self.rows = five_laps()
        self.analysis = Analysis(Tracks([SHORT]))
        self.analysis.know([(0, "short", "GR86-001")])
        self.analysis.take(self.rows)

    def result(self) -> dict[str, Any]:
        """The last one."""
        (found,) = self.analysis.results()
        return shown(found)

    def test_contract(self) -> None:
        """Every field is there, of its type and in its unit."""
        result = self.result()
        meta, stress = result["meta"], result["perSectorStress"]
        self.assertEqual((result["chassis"], result["track"], result["lap"]), ("GR86-001", "short", 9))
        self.assertEqual(stress.keys(), {"0", "1"})
        self.assertEqual(result["lap_tire_stress"], round(sum(stress.values()), 3))
        # 2.5 g² over 500 m, less the last sample's way, and nothing to tell an offset from.
        self.assertApproximates(stress["0"] / stress["1"], 4.0, 0.1)
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
        self.assertEqual(meta["pointCount"], len(self.rows))
        self.assertIn(meta["performanceTrend"], ("improving", "stable", "degrading"))
        self.assertEqual((result["lastLap"]["lap"], result["lastLap"]["kind"]), (8, "clean"))
        self.assertApproximates(result["lastLap"]["time"], 20.4, 0.002)
        self.assertApproximates(result["bestLapSeconds"], 20.1, 0.002)
        self.assertApproximates(result["theoreticalBestSeconds"], 20.1, 0.002)
        self.assertEqual(result["tireStressIndex"], 100.0)

    def test_types(self) -> None:
        """Whole numbers are whole, all others are numbers with a point."""
        result = self.result()
        self.assertIs(type(result["lap"]), int)
        self.assertIs(type(result["meta"]["pointCount"]), int)
        for name in ("lap_tire_stress", "predicted_loss_per_lap_seconds", "laps_until_0_5s_loss"):
            self.assertIs(type(result[name]), float, name)

    def test_next_report(self) -> None:
        """Points are counted since the last report."""
        self.result()
        self.analysis.take(numbered(hand_made(self.rows["time_s"][-1] - START_S + np.array([0.05, 0.1])), 5000))
        self.assertEqual(self.result()["meta"]["pointCount"], 2)

    def test_bare(self) -> None:
        """Of a car that has sent nothing but its name everything but the lap is there or left out, none of it null."""
        analysis = Analysis(Tracks([]))
        analysis.know([(0, "short", "GR86-001")])
        analysis.take(hand_made([0.0]))
        (result,) = analysis.results()
        self.assertEqual(
            shown(result),
            {
                "chassis": "GR86-001",
                "track": "short",
                "lap": None,
                "inPits": False,
                "lap_tire_stress": 0.0,
                "perSectorStress": {"0": 0.0},
                "predicted_loss_per_lap_seconds": 0.0,
                "laps_until_0_5s_loss": 99.0,
                "meta": {"performanceTrend": "stable", "sectorTimes": {}, "pointCount": 1},
            },
        )


class TravelTests(SynchronousTestCase):
    """What a worker says comes out as it went in."""

    def setUp(self) -> None:
        """A car that has driven five laps."""
        self.car = Car(SHORT)
        self.car.take(five_laps())

    def test_report(self) -> None:
        """A result."""
        found = car_report(7, "short", "GR86-001", self.car)
        self.assertEqual(msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=CarReport), found)

    def test_tick(self) -> None:
        """A car at a tick, with its laps and trace."""
        found = car_tick(7, self.car, 1000, self.car.tick())
        self.assertEqual([change.lap.number for change in found.laps], [5, 6, 7, 8])
        self.assertEqual(msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=CarTick), found)

    def test_tick_tells(self) -> None:
        """It tells how far the car is, how fast, in which lap, and from which point on."""
        found = car_tick(7, self.car, 1000, self.car.tick())
        rows = five_laps()
        time_s, lines, in_lap_m = found.trace[-1]
        self.assertEqual(lines, 5)
        self.assertTrue(rows["time_s"][-1] - 0.2 < time_s <= rows["time_s"][-1])
        self.assertApproximates(in_lap_m, rows["lapdist_m"][rows["time_s"] == time_s][0], 0.1)
        self.assertEqual(found.ahead + lines, 8)
        self.assertEqual((found.speed_kmh, found.average_kmh, found.lap_sent), (90.0, 90.0, 9))
        self.assertEqual(found.last_seq, rows["seq"][-1])
        self.assertEqual(rows["lap"][found.first_seq - 1], 9)
        self.assertEqual(rows["lap"][found.first_seq - 2], 8)

    def test_trace_once(self) -> None:
        """Each moment of the trace is told once, and again where late points changed it."""
        rows = five_laps()
        late = np.abs(rows["time_s"] - START_S - 60.0) < 2.0
        car, told = Car(SHORT), []
        for part in [*in_parts(rows[~late], 100), rows[late]]:
            car.take(part)
            told.append(car_tick(0, car, 0, car.tick(final=part is not rows)))
        known: list[tuple[float, int, float]] = []
        for tick in told:
            self.assertTrue(all(moment[0] > tick.trace_from_s for moment in tick.trace))
            known = [moment for moment in known if moment[0] <= tick.trace_from_s] + tick.trace
        self.assertEqual(known, car.tracker.trace)
        straight = Car(SHORT)
        straight.take(rows)
        self.assertEqual(known, straight.tracker.trace)
