"""The rows of a car are put in the order of its own clock before the race is computed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.order import car_time_s
from pitwall.rows import RowReader
from pitwall.wire.points import PointDecoder
from tests.doubles import a_hub

BEHIND = 100_000.0
NOW = 1_757_184_100.0


def iso(seconds: float) -> str:
    """A moment as ISO text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


class CarOrderTests(SynchronousTestCase):
    """`CarOrder`, in the hub."""

    def setUp(self) -> None:
        """A hub and the workers' side of its rows."""
        self.hub = a_hub(self, 20_000)
        self.decoder = PointDecoder()
        self.reader = RowReader(self.hub.rows.path, self.hub.rows.capacity)
        self.addCleanup(self.reader.close)

    def publish(self, *seconds: float, clocked: bool = True, at: float = NOW) -> None:
        """Points of one car at these moments of its clock, in this order; ``speed_kmh`` tells them apart."""
        raws = []
        for number, second in enumerate(seconds):
            point: dict[str, Any] = {"track": "barber", "chassis": "A", "speed_kmh": round(second * 10) % 400}
            point["meta_time"] = iso(NOW + second + (number % 3) * 0.2)
            if clocked:
                point["timestamp"] = iso(NOW + second - BEHIND)
            raws.append(json.dumps(point).encode())
        decoded = self.decoder.objects(raws, at)
        self.hub.publish("udp", decoded.points, decoded.raws, at)
        self.hub.write_rows(at)

    def seen(self) -> list[int]:
        """What the workers have to read, by its tenth of a second."""
        return list(self.reader.read(0, 100_000).rows["speed_kmh"].astype(int))

    def test_in_order(self) -> None:
        """Rows that came out of order by up to two seconds are in order; the last two seconds wait."""
        self.publish(0.0, 1.0, 0.5, 2.0, 1.5, 4.0, 3.0)
        self.assertEqual(self.seen(), [0, 5, 10, 15, 20])
        self.publish(6.5, at=NOW + 1)
        self.assertEqual(self.seen(), [0, 5, 10, 15, 20, 30, 40])
        times = self.reader.read(0, 100).rows["time_s"]
        self.assertTrue(np.all(np.diff(times) > 0))
        # Nothing came for two seconds: what waits goes.
        self.hub.write_rows(NOW + 2.9)
        self.assertEqual(len(self.seen()), 7)
        self.hub.write_rows(NOW + 3.1)
        self.assertEqual(self.seen()[-1], 65)

    def test_trusted(self) -> None:
        """A car that has sent in order for a minute is not made to wait, until a row steps back."""
        self.publish(*np.arange(0, 61, 0.5))
        self.assertEqual(len(self.seen()), 122)
        self.publish(61.0)
        self.assertEqual(len(self.seen()), 123)
        self.publish(60.2)
        self.publish(62.0)
        self.assertEqual(len(self.seen()), 123)
        self.publish(70.0)
        self.assertEqual(len(self.seen()), 125)

    def test_without_a_clock(self) -> None:
        """Points of cars that tell no clock go on at once, as they came."""
        self.publish(0.0, 1.0, 0.5, clocked=False)
        self.assertEqual(self.seen(), [0, 10, 5])
        self.assertEqual(self.hub.cars.known(NOW)[0]["clock"], {"state": "none"})

    def test_known(self) -> None:
        """`/api/cars` tells the clock's offset, how often it stepped back, and the rate and age of each channel."""
        self.publish(0.0, 1.0, 0.5)
        self.hub.cars.look(NOW)
        self.publish(*np.arange(2, 12, 0.5), at=NOW + 10)
        (car,) = self.hub.cars.known(NOW + 10.5)
        self.assertEqual((car["chassis"], car["points"], car["silent_s"]), ("A", 23, 0.5))
        self.assertEqual(car["channels"], {"speed_kmh": {"rate_hz": 2.19, "age_s": 0.5}})
        clock = car["clock"]
        self.assertEqual(
            (clock["state"], clock["far"], clock["steps_back"], clock["sessions"]), ("running", True, 1, 1)
        )
        self.assertAlmostEqual(clock["offset_s"], BEHIND, delta=0.3)

    def test_car_time(self) -> None:
        """A clock is told by ISO 8601 text alone; whatever else a vendor has under that name is none."""
        self.assertEqual(car_time_s("2025-09-06T18:55:00.250Z"), 1_757_184_900.25)
        self.assertEqual(car_time_s("2025-09-06 18:55:00"), 1_757_184_900.0)
        for other in (None, 1_757_184_100, True, "now", ""):
            self.assertIsNone(car_time_s(other), other)
