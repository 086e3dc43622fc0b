"""One race by every door: the same laps, gaps and insights."""

from __future__ import annotations

import csv
import io
import os
import time
from functools import cache
from typing import Any
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.channels import CSV_FIELDS
from pitwall.sim import Faults, Race, RaceConfig, encode_point
from tests.end_to_end.harness import Server, free_port, running, wait_for
from tests.end_to_end.s3_server import CREDENTIALS, S3Server, missing

SECONDS = 230.0
FAULTS = Faults(
    clock_behind_h=(23.0, 88.0), clock_drift_ppm=20, burst_s=0.6, stamped_on_arrival=True, lapdist_noise_m=0.5
)


@cache
def points() -> list[dict[str, Any]]:
    """Six cars, two laps and more of each, with clocks of their own, in bursts."""
    race = Race(RaceConfig(cars=6, rate_hz=10, faults=FAULTS))
    return [dict(point) for point in race.points(0, SECONDS)]


def by_udp(server: Server) -> None:
    """One datagram a point, no faster than the kernel's buffer bears."""
    encoded = list(map(encode_point, points()))
    for start in range(0, len(encoded), 100):
        server.send(*encoded[start : start + 100])
        time.sleep(0.005)


def by_http(server: Server) -> None:
    """A thousand points a post."""
    for start in range(0, len(points()), 1000):
        status, _ = server.post(points()[start : start + 1000])
        assert status == 200


def tables(server: Server) -> dict[str, bytes]:
    """Laps, gaps, insights and scores once all points are in them, byte for byte."""
    wait_for("all points", lambda: server.metrics()["messagesReceived"] == len(points()), 60)

    def answers() -> dict[str, bytes]:
        found = {}
        for path in ("/api/laps", "/api/gaps", "/api/insights", "/api/score"):
            with urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
                found[path] = answer.read()
        return found

    # What waits for more points is told when none has come for a while.
    time.sleep(4.0)
    before = answers()
    time.sleep(1.5)
    after = answers()
    assert before == after
    return after


@cache
def wanted() -> dict[str, bytes]:
    """The tables of the race when it came by HTTP to one worker."""
    with running(AGG_WORKERS="1") as server:
        by_http(server)
        return tables(server)


class DoorTests(SynchronousTestCase):
    """The door and the speed make no difference, nor does the number of workers."""

    def check(self, found: dict[str, bytes]) -> None:
        """All tables are those that are wanted."""
        self.assertEqual(found, wanted())
        self.assertGreater(wanted()["/api/laps"].count(b'"lap_time_s"'), 10)
        self.assertGreater(wanted()["/api/insights"].count(b'"id"'), 3)

    def test_udp(self) -> None:
        """One datagram a point, to two workers."""
        with running(AGG_WORKERS="2") as server:
            by_udp(server)
            self.check(tables(server))

    def test_s3(self) -> None:
        """An object in a bucket, as CSV."""
        self.patch(os, "environ", {**os.environ, **CREDENTIALS})
        text = io.StringIO()
        writer = csv.DictWriter(text, [*CSV_FIELDS, "timestamp"], lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(points())
        bucket = S3Server(free_port())
        self.addCleanup(bucket.close)
        bucket.put("telemetry/race.csv", text.getvalue().encode())
        settings = {"S3_BUCKET": "race", "S3_ENDPOINT_URL": bucket.url, "S3_POLL_SECONDS": "1", **CREDENTIALS}
        with running(AGG_WORKERS="4", **settings) as server:
            self.check(tables(server))

    test_s3.skip = missing()  # type: ignore[attr-defined]

    def test_evidence(self) -> None:
        """An insight is computed again from its inputs, and held against the ring."""
        with running() as server:
            by_http(server)
            tables(server)
            for insight in server.get("/api/insights?limit=20")[1]["insights"]:
                status, answer = server.get(f"/api/insights/{insight['id']}")
                self.assertEqual(status, 200)
                self.assertTrue(answer["recomputed"]["agrees"], answer)
                self.assertIn(answer["ring"]["verdict"], ("confirmed", "gone"))
