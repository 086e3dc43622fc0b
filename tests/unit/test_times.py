"""Each point is placed by its car's own clock, where that tells the time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.cars import CarTable
from pitwall.model.row import ROW
from pitwall.rows import RowReader
from pitwall.times import car_time_s, place
from pitwall.wire.points import PointDecoder
from tests.doubles import a_hub

#: What the cars' clocks are behind UTC [s].
BEHIND = 100_000.0
NOW = 1_757_184_100.0


def iso(seconds: float) -> str:
    """A moment as ISO text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


class PlaceTests(SynchronousTestCase):
    """`place`, in the hub."""

    def setUp(self) -> None:
        """A hub and the workers' side of its rows."""
        self.hub = a_hub(self, 20_000)
        self.decoder = PointDecoder()
        self.reader = RowReader(self.hub.rows.path, self.hub.rows.capacity)
        self.addCleanup(self.reader.close)

    def publish(self, *seconds: float, clocked: bool = True, at: float = NOW, stands: bool = False) -> None:
        """Points of one car at these moments of its clock, in this order; each comes 0.2 to 0.6 s late."""
        raws = []
        for number, second in enumerate(seconds):
            point: dict[str, Any] = {"track": "barber", "chassis": "A", "speed_kmh": round(second * 10) % 400}
            point["meta_time"] = iso(NOW + second + 0.2 + (number % 3) * 0.2)
            if clocked:
                point["timestamp"] = iso(NOW - BEHIND + (0.0 if stands else second))
            raws.append(json.dumps(point).encode())
        decoded = self.decoder.objects(raws, at)
        self.hub.publish("udp", decoded.points, decoded.raws, at)
        self.hub.write_rows()

    def rows(self) -> Any:
        """What the workers have to read."""
        return self.reader.read(0, 100_000).rows

    def test_at_once(self) -> None:
        """Points are written at once and in the order in which they were accepted, each under its own number."""
        self.publish(0.0, 1.0, 0.5, 2.0, 1.5, 4.0, 3.0)
        rows = self.rows()
        self.assertEqual(rows["speed_kmh"].tolist(), [0, 10, 5, 20, 15, 40, 30])
        self.assertEqual(rows["seq"].tolist(), list(range(1, 8)))

    def test_by_the_cars_clock(self) -> None:
        """From point to point they are as far apart as the car's clock says, whatever the receiver's does."""
        seconds = np.arange(0, 20, 0.25)
        self.publish(*seconds)
        rows = self.rows()
        np.testing.assert_allclose(rows["time_s"] - rows["time_s"][0], seconds, atol=1e-5)
        np.testing.assert_allclose(rows["meta_s"] - NOW, seconds + 0.2 + np.arange(80) % 3 * 0.2, atol=1e-5)
        # Moved by what is known of the clock by now, they are when the quickest would have come.
        np.testing.assert_allclose(rows["time_s"][3:] + rows["shift_s"][3:] - NOW, seconds[3:] + 0.2, atol=1e-3)
        self.assertEqual(set(rows["clock"].tolist()), {1})
        self.assertTrue(np.all(rows["clock_sigma_s"] > 0))

    def test_without_a_clock(self) -> None:
        """Points of cars that tell no clock are when they were received."""
        self.publish(0.0, 1.0, 0.5, clocked=False)
        rows = self.rows()
        self.assertEqual(rows["time_s"].tolist(), rows["meta_s"].tolist())
        self.assertEqual((rows["clock"].tolist(), rows["shift_s"].tolist()), ([0, 0, 0], [0, 0, 0]))
        self.assertEqual(self.hub.cars.known(NOW)[0]["clock"], {"state": "none"})

    def test_clock_stands(self) -> None:
        """Once a clock stands still they are, too."""
        self.publish(*np.arange(0, 5, 0.25), stands=True)
        rows = self.rows()
        self.assertEqual(rows["time_s"][2:].tolist(), rows["meta_s"][2:].tolist())
        self.assertEqual(set(rows["clock"][2:].tolist()), {0})
        self.assertEqual(self.hub.cars.known(NOW)[0]["clock"]["state"], "stopped")

    def test_some_without(self) -> None:
        """A point without a clock among those with one is when it was received."""
        self.publish(0.0, 1.0)
        self.publish(2.0, clocked=False)
        self.publish(3.0)
        rows = self.rows()
        self.assertEqual(rows["clock"].tolist(), [1, 1, 0, 1])
        self.assertEqual(rows["time_s"][2], rows["meta_s"][2])

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
        self.assertAlmostEqual(clock["offset_s"], BEHIND + 0.2, delta=0.01)

    @settings(max_examples=30)
    @given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.booleans()), max_size=40), st.data())
    def test_any_cut(self, points: list[tuple[int, int, bool]], data: st.DataObject) -> None:
        """However points are cut into batches, they are placed the same."""
        cars = [("barber", "ABC"[car]) for car, _, _ in points]
        stamps = [iso(NOW - BEHIND + second) if clocked else None for _, second, clocked in points]
        received = [NOW + second + number * 0.1 for number, (_, second, _) in enumerate(points)]
        cut = data.draw(st.integers(0, len(points)))
        whole = _placed(cars, stamps, received, [len(points)])
        self.assertEqual(_placed(cars, stamps, received, [cut, len(points)]), whole)
        self.assertEqual(_placed(cars, stamps, received, list(range(1, len(points) + 1))), whole)

    def test_stamped(self) -> None:
        """A car whose points have no `meta_time` is said to be stamped on arrival, until they have one again."""
        for at in (NOW, NOW + 1):
            decoded = self.decoder.objects([b'{"track":"barber","chassis":"A","lap":1}', b'{"track":"barber",}'], at)
            self.hub.publish("udp", decoded.points, decoded.raws, at)
        slow, _ = self.decoder.one(b'{"track":"barber","chassis":"A","lap":"1"}', NOW + 1)
        self.hub.publish("udp", [slow], [b"{}"], NOW + 1)
        self.hub.write_rows()
        self.assertEqual(self.time(NOW + 1), {"late_s": 0.0, "apart_s": None, "stamped": 3, "trouble": ["stamped"]})
        for second in range(12):
            self.hub.cars.look(NOW + second)
        self.publish(0.0, clocked=False)
        self.assertEqual((self.time(NOW)["stamped"], self.time(NOW)["trouble"]), (3, []))

    def test_set_and_stopped(self) -> None:
        """A clock that was set is told for a minute of `meta_time`, one that stands as long as it does."""
        self.publish(*np.arange(0, 5, 0.25))
        self.assertEqual(self.time(NOW)["trouble"], [])
        self.publish(*np.arange(5, 9, 0.25), stands=True)
        self.assertEqual(self.time(NOW + 9)["trouble"], ["stopped"])
        self.publish(*np.arange(200, 202, 0.25), at=NOW + 200)
        seen = []
        told = {"track": "barber", "chassis": "A"}
        for at in range(203, 345, 2):
            told |= {"meta_time": iso(NOW + at), "timestamp": iso(NOW + at - 5 * BEHIND)}
            point, relayed = self.decoder.one(json.dumps(told).encode(), NOW + at)
            self.hub.publish("udp", [point], [relayed], NOW + at)
            self.hub.write_rows()
            seen.append(self.time(NOW + at)["trouble"] == ["set"])
        self.assertGreater(seen.count(True), 28)
        self.assertLess(seen.count(True), 33)
        self.assertEqual(seen[-1], False)

    def test_far(self) -> None:
        """A time of the past, one of the future, and one far from the other cars' are told, each by its name."""
        self.publish(0.0, 1.0, at=NOW + 121.5)
        self.assertEqual(self.time(NOW + 122)["trouble"], ["past"])
        self.publish(20.0, at=NOW)
        self.assertEqual((self.time(NOW)["trouble"], self.time(NOW)["late_s"]), (["ahead"], -20.2))
        others = [
            json.dumps({"track": "barber", "chassis": name, "meta_time": iso(NOW + 30 - late)}).encode()
            for name, late in (("B", 0.5), ("C", 1.0), ("D", 13.0))
        ]
        decoded = self.decoder.objects(others, NOW + 30)
        self.hub.publish("udp", decoded.points, decoded.raws, NOW + 30)
        self.hub.write_rows()
        found = {car["chassis"]: car["time"] for car in self.hub.cars.known(NOW + 30)}
        self.assertEqual((found["D"]["trouble"], found["D"]["apart_s"]), (["apart"], 12.0))
        self.assertEqual((found["B"]["trouble"], found["B"]["apart_s"]), ([], -0.5))

    def time(self, now: float) -> Any:
        """What is known of the times of the first car."""
        return self.hub.cars.known(now)[0]["time"]

    def test_car_time(self) -> None:
        """A clock is told by ISO 8601 text alone; whatever else a vendor has under that name is none."""
        self.assertEqual(car_time_s("2025-09-06T18:55:00.250Z"), 1_757_184_900.25)
        self.assertEqual(car_time_s("2025-09-06 18:55:00"), 1_757_184_900.0)
        for other in (None, 1_757_184_100, True, "now", ""):
            self.assertIsNone(car_time_s(other), other)


def _placed(
    cars: Sequence[tuple[str, str]], stamps: Sequence[str | None], received: Sequence[float], ends: Sequence[int]
) -> bytes:
    """The rows of points, placed so many at a time."""
    table, found, start = CarTable(10), b"", 0
    for end in ends:
        rows = np.zeros(end - start, ROW)
        rows["car"] = table.numbers(cars[start:end], 0.0)
        rows["time_s"] = rows["meta_s"] = received[start:end]
        place(rows, stamps[start:end], table)
        found += rows.tobytes()
        start = end
    return found
