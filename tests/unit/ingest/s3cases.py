"""A bucket that is a double, and a poller that reads it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from pitwall.hub import Hub
from pitwall.ingest.s3 import S3Service
from pitwall.model.point import Point
from pitwall.ring import PointRing
from pitwall.rows import SharedRows
from pitwall.serve.books import Books
from pitwall.serve.live.broadcast import Broadcaster, Pace
from pitwall.wire.points import PointDecoder
from tests.doubles import told_of
from tests.unit.ingest.s3_doubles import FakeBucket, FakePool, ThreadlessReactor

HEADER = "track,vehicle_id,speed\n"
KEY = "telemetry/a.csv"


def rows(*speeds: int) -> str:
    """CSV rows of one car at these speeds."""
    return "".join(f"barber,GR86-1,{speed}\n" for speed in speeds)


class S3TestCase(SynchronousTestCase):
    """A door to a bucket in memory, looked at every minute."""

    def setUp(self) -> None:
        """Empty bucket, door not started."""
        self.reactor = ThreadlessReactor()
        self.bucket = FakeBucket()
        self.events: list[Any] = []
        self.patch(S3Service, "log", Logger(observer=cast(Any, self.events.append)))
        self.begin()

    def begin(self, **settings: Any) -> None:
        """A new door to the bucket."""
        self.hub = Hub(PointRing(100_000), SharedRows(1024), epoch="e")
        self.pool = FakePool()
        wanted: dict[str, Any] = {
            "bucket": "race",
            "prefix": "telemetry/",
            "poll_s": 60,
            "region": "us-east-1",
            "endpoint_url": None,
            "state_dir": None,
            "told": told_of(),
            "connect": lambda: self.bucket,
            "make_pool": lambda: self.pool,
            "chance": random.Random(1),
        }
        self.door = S3Service(self.hub, PointDecoder(), self.reactor, **{**wanted, **settings})
        self.addCleanup(self.assert_exact, self.hub, self.door)

    def assert_exact(self, hub: Hub, door: S3Service) -> None:
        """Whatever became of the bucket, the books of the door are exact."""
        for line in self.lines_of(hub, door).values():
            parts = line["accepted"] + sum(line["refused"].values()) + line["duplicate"] + line["pending"]
            self.assertEqual(line["received"], parts, line)

    @staticmethod
    def lines_of(hub: Hub, door: S3Service) -> dict[str, Any]:
        """The lines of the books of a door, by their unit."""
        books = Books(hub, Broadcaster(hub, Clock(), Pace(0.008, 0.12)), lambda: {"s3": door.held()})
        return {line["unit"]: line for line in books.answer(0.0)["doors"]}

    def start(self) -> None:
        """Start the door, which looks at once; it is stopped after the test."""
        door = self.door
        door.startService()
        self.addCleanup(lambda: door.stopService() if door.running else None)

    def look(self) -> None:
        """Let a minute pass, and so the next look begin."""
        self.reactor.advance(60)

    def before_publish(self, work: Callable[[Sequence[Point]], object]) -> None:
        """Have something done with the points before they reach the hub."""
        publish = self.hub.publish

        def working(door: str, points: Sequence[Point], raws: Sequence[bytes], received_at: float) -> None:
            work(points)
            publish(door, points, raws, received_at)

        self.patch(self.hub, "publish", working)

    def speeds(self) -> list[float]:
        """The speeds of the points that came, in their order."""
        return [json.loads(raw)["speed_kmh"] for raw in self.hub.ring.newest(100_000)]

    def lines(self) -> list[str]:
        """What was logged, from a warning on or about the way back."""
        found = [event for event in self.events if event["log_level"].name != "debug"]
        self.events.clear()
        return [event["log_format"].format(**event) for event in found]
