"""The hub: numbers, cars, counters."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.cars import Car, CarTable
from pitwall.hub import Hub
from pitwall.ring import PointRing
from pitwall.rows import RowReader, SharedRows
from pitwall.wire.points import PointDecoder
from tests.strategies import encode


class HubTests(SynchronousTestCase):
    """`Hub.publish` takes points in from every door."""

    def setUp(self) -> None:
        """A small hub with a reader of its rows."""
        rows = SharedRows(3000)
        self.addCleanup(rows.close)
        self.reader = RowReader(rows.path, rows.capacity)
        self.addCleanup(self.reader.close)
        self.hub = Hub(PointRing(100), rows, "0a1b")
        self.decoder = PointDecoder()

    def publish(self, *laps: int, door: str = "udp", **fields: Any) -> list[bytes]:
        """Publish a point for each lap; returns their JSON."""
        point = {"meta_time": "2025-09-06T18:40:41Z", "track": "barber", "chassis": "GR86-004-78", **fields}
        decoded = self.decoder.objects([encode({**point, "lap": lap}) for lap in laps], 5.0)
        self.hub.publish(door, decoded.points, decoded.raws, 5.0)
        return decoded.raws

    def laps(self, after_seq: int = 0) -> list[int]:
        """The laps that the workers see."""
        return [int(lap) for lap in self.reader.read(after_seq, 10_000).rows["lap"]]

    def test_numbered(self) -> None:
        """Points of all doors are numbered in one row, and kept as they came."""
        raws = self.publish(1, 2) + self.publish(3, door="http")
        self.assertEqual(self.hub.last_seq, 3)
        self.assertEqual(self.hub.ring.newest(10), raws)

    def test_counted(self) -> None:
        """What was accepted and what was refused is counted by door, and by reason."""
        self.publish(1, 2)
        self.publish(3, door="http")
        self.hub.refuse("udp", "not_json")
        self.hub.refuse("udp", "not_json", 2)
        self.hub.refuse("http", "bad_time")
        ledger = self.hub.ledger
        self.assertEqual((ledger.points_accepted, ledger.points_refused), (3, 4))
        self.assertEqual(ledger.accepted, {"udp": 2, "http": 1})
        self.assertEqual(ledger.refused, {("udp", "not_json"): 3, ("http", "bad_time"): 1})

    def test_listeners(self) -> None:
        """Whoever listens hears once of each batch, with the number of its last point, and never of nothing."""
        heard: list[int] = []
        self.hub.listeners.append(heard.append)
        self.publish(1, 2)
        self.publish()
        self.publish(3)
        self.assertEqual(heard, [2, 3])

    def test_rows(self) -> None:
        """The workers see every point, under its number and its car's."""
        self.publish(1, 2)
        self.publish(3, chassis="GR86-010-16")
        self.publish(4)
        self.hub.write_rows()
        rows = self.reader.read(0, 10).rows
        self.assertEqual(rows["seq"].tolist(), [1, 2, 3, 4])
        self.assertEqual(rows["lap"].tolist(), [1, 2, 3, 4])
        self.assertEqual(rows["car"].tolist(), [0, 0, 1, 0])
        self.assertEqual(self.hub.cars.since(-1), [Car(0, "barber", "GR86-004-78"), Car(1, "barber", "GR86-010-16")])

    def test_rows_in_time(self) -> None:
        """Between ticks points are not held back for ever."""
        self.publish(*range(1, 1001))
        self.assertEqual(self.laps(), [])
        self.publish(*range(1001, 1031))
        self.assertEqual(self.laps(), list(range(1, 1031)))

    def test_more_than_the_rows_hold(self) -> None:
        """A batch larger than all the rows leaves the newest in them."""
        self.publish(*range(1, 7001))
        self.assertEqual(self.laps(), list(range(4001, 7001)))
        self.assertEqual(self.reader.read(0, 10).missed, 4000)
        self.assertEqual(len(self.hub.ring), 100)


class CarTableTests(SynchronousTestCase):
    """`CarTable` numbers cars, and follows only so many."""

    def setUp(self) -> None:
        """Room for three cars."""
        self.cars = CarTable(3)

    def heard(self, cars: str, now: float) -> list[int]:
        """Hear of cars named by a letter each."""
        return self.cars.numbers([("barber", name) for name in cars], now)

    def test_same_number(self) -> None:
        """A car keeps its number; the same chassis on another track is another car."""
        self.assertEqual(self.heard("abab", 1.0), [0, 1, 0, 1])
        self.assertEqual(self.cars.numbers([("cota", "a"), ("barber", "b")], 2.0), [2, 1])
        self.assertEqual(self.cars.get(2), Car(2, "cota", "a"))

    def test_silent_longest_goes(self) -> None:
        """One car too many takes the place of the one silent for longest; no number is used twice."""
        for now, name in enumerate("abca"):
            self.heard(name, float(now))
        self.assertEqual(self.heard("d", 9.0), [3])
        self.assertEqual((self.cars.evicted, len(self.cars)), (1, 3))
        self.assertIsNone(self.cars.get(1))
        self.assertEqual([car.chassis for car in self.cars.since(-1)], ["a", "c", "d"])
        self.assertEqual(self.heard("b", 10.0), [4])
        self.assertEqual([car.number for car in self.cars.since(3)], [4])

    def test_speaking_stays(self) -> None:
        """A car that speaks in the very batch a new one comes with does not lose its place to it."""
        self.heard("a", 1.0)
        self.heard("bc", 2.0)
        self.assertEqual(self.heard("xa", 3.0), [3, 0])
        self.assertIsNone(self.cars.get(1))

    @given(st.lists(st.text("abcdefgh", max_size=12), max_size=20))
    def test_bounded(self, batches: list[str]) -> None:
        """However many cars are heard of, only so many are remembered, and a number always means one car."""
        cars = CarTable(3)
        meant: dict[int, str] = {}
        for now, batch in enumerate(batches):
            numbers = cars.numbers([("barber", name) for name in batch], float(now))
            self.assertEqual(len(numbers), len(batch))
            for number, name in zip(numbers, batch, strict=True):
                self.assertEqual(meant.setdefault(number, name), name)
            self.assertLessEqual(len(cars), 3)
            self.assertEqual(set(cars.heard_at), {car.number for car in cars.since(-1)})
            if 0 < len(set(batch)) <= 3:
                self.assertEqual({cars.heard_at[number] for number in numbers}, {float(now)})
        self.assertEqual(cars.last_number, len(meant) - 1)
        self.assertEqual(cars.evicted, max(len(meant) - 3, 0))
