"""The loggers' real rates, and the long form of the recordings."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.sim import Faults, Race, RaceConfig, SimError
from pitwall.sim.longform import EVENTS, LongRow


@cache
def a_race() -> Race:
    """Three cars at Barber, as recorded."""
    return Race(RaceConfig(cars=3, seed=6, real_rates=True, gps=True))


class RealRatesTests(SynchronousTestCase):
    """With `real_rates` each instant carries what the loggers sample then, and nothing else."""

    def setUp(self) -> None:
        """A race to look at."""
        self.race = a_race()

    def test_rates(self) -> None:
        """23 instants a second; speed, engine speed and lap distance at every fifth of them."""
        points = self.race.points(20, 120)
        counts = Counter(name for point in points for name in point)
        for name in ("accx_can", "accy_can", "Steering_Angle", "pbrake_f", "pbrake_r", "gear", "aps", "VBOX_Lat_Min"):
            self.assertApproximates(counts[name] / 300, 23.15, 0.05)
        for name in ("speed_kmh", "rpm", "lapdist_m"):
            self.assertApproximates(counts[name] / 300, 4.63, 0.05)

    def test_speed_and_engine_apart(self) -> None:
        """Speed and engine speed are never sampled at the same instant."""
        points = self.race.points(20, 40)
        self.assertTrue(any("speed_kmh" in point for point in points))
        self.assertFalse(any({"speed_kmh", "rpm"} <= point.keys() for point in points))

    def test_fixes(self) -> None:
        """A position is shown until the next fix, some six times a second."""
        chassis = self.race.truth.chassis[0]
        points = [point for point in self.race.points(40, 60) if point["chassis"] == chassis]
        positions = [(point["VBOX_Lat_Min"], point["VBOX_Long_Minutes"]) for point in points]
        changes = sum(a != b for a, b in pairwise(positions))
        self.assertTrue(5 * 20 <= changes <= 8 * 20, changes)

    def test_rows(self) -> None:
        """A row is one channel's sample in thirteen columns; some 220 come per second and car."""
        rows = self.race.rows(60, 70)
        self.assertEqual(len(LongRow._fields), 13)
        self.assertApproximates(len(rows) / 30, 224, 10)
        names = {row.telemetry_name for row in rows}
        self.assertTrue({"Laptrigger_lapdist_dls", "nmot", "speed", "accx_can", "VBOX_Long_Minutes"} <= names)
        row = rows[0]
        self.assertEqual((row.meta_event, row.vehicle_id, row.lap), ("I_R06_2025-09-07", row.original_vehicle_id, "1"))
        self.assertTrue(row.vehicle_id.endswith("-" + row.vehicle_number))
        self.assertTrue(all("," not in text for row in rows for text in row))

    def test_rows_say_what_points_say(self) -> None:
        """The rows hold the values of the points, the lap distance in full metres."""
        values = defaultdict(list)
        for row in self.race.rows(60, 70):
            values[row.telemetry_name].append(float(row.telemetry_value))
        points = self.race.points(60, 70)
        self.assertEqual(values["accy_can"], [point["accy_can"] for point in points])
        self.assertEqual(values["speed"], [point["speed_kmh"] for point in points if "speed_kmh" in point])
        lapdist_m = np.array([point["lapdist_m"] for point in points if "lapdist_m" in point], float)
        self.assertEqual(values["Laptrigger_lapdist_dls"], np.rint(lapdist_m).tolist())

    def test_rows_with_faults(self) -> None:
        """In the rows the car's clock and the receiver's differ as they do in the recordings."""
        faults = Faults(clock_behind_h=(30.0, 60.0), burst_s=1.0, stamped_on_arrival=True, duplicate_share=0.05)
        race = Race(RaceConfig(cars=3, seed=6, real_rates=True, faults=faults))
        rows = race.rows(60, 70)
        self.assertTrue(all(row.timestamp < row.meta_time for row in rows))
        self.assertLess(len({row.meta_time for row in rows}), 35)
        self.assertGreater(len({row.timestamp for row in rows}), 600)
        self.assertTrue(0.02 < 1 - len(set(rows)) / len(rows) < 0.08)

    def test_every_track_has_an_event(self) -> None:
        """The event tells the track, for each of the seven."""
        self.assertEqual(len(set(EVENTS.values())), 7)

    def test_real_rates_only(self) -> None:
        """Rows of a race with all channels at every instant are refused: no logger writes them."""
        self.assertRaises(SimError, Race(RaceConfig(cars=1)).rows, 0, 1)
