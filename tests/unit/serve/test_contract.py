"""Every answer and every message of a race is as its definition has it, and every definition is of something real."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any, Final

from treq.testing import StubTreq
from twisted.trial.unittest import SynchronousTestCase

from pitwall.contract import asyncapi
from pitwall.contract.insight import Checks
from pitwall.ingest.s3 import S3Service
from pitwall.ingest.s3queue import Notifications
from pitwall.model.channels import CHANNELS
from pitwall.model.track import Sector, Track, Tracks, packaged_tracks
from pitwall.pool import service
from pitwall.pool.service import AggregationService
from pitwall.race.book import RaceBook
from pitwall.race.formulas import FORMULAS
from pitwall.serve import confirm, openapi
from pitwall.serve.health import Health
from pitwall.serve.lag import ReactorLag
from pitwall.serve.rest import RestAPI
from pitwall.sim import Faults, Race, RaceConfig, encode_point
from pitwall.wire.points import PointDecoder
from tests.doubles import Screen, WebServer, told_of
from tests.schemas import Strict, seen
from tests.unit.pool.test_service import FakePool
from tests.unit.race.insight_cars import START_MS, TICK_MS, a_car, a_gap, a_lap, a_pace
from tests.unit.serve.test_asyncapi import by_name

TICK_S: Final = 0.6
#: Long enough for eight laps, with late points, cars that are close, and one whose clock stands still.
RACE_S: Final = 880.0
FAULTS: Final = Faults(
    clock_behind_h=(23.0, 88.0),
    clock_drift_ppm=20,
    burst_s=0.6,
    lapdist_noise_m=0.5,
    shuffled_share=0.02,
    shuffle_s=20.0,
    frozen_clocks=(3,),
)
CONFIG: Final = RaceConfig(cars=5, rate_hz=4, faults=FAULTS)

#: A row of the long form, and a point with all there is.
A_ROW: Final = {
    "telemetry_name": "speed",
    "telemetry_value": 126.2,
    "timestamp": "2025-09-05T00:28:20.593Z",
    "vehicle_id": "GR86-002-2",
    "track": "barber",
}
EVERY_CHANNEL: Final = {"track": "barber", "chassis": "GR86-002-2", "tires": "new", **dict.fromkeys(CHANNELS, 1)}
#: What of the definitions this race does not meet: what is sent to the server, a bucket, what a client must ask for.
SENT: Final = {"SentPoint", "SentBundle", "SentSample", "SentRow", "Resume", "Subscribe"}
BUCKET: Final = {"Bucket", "Queue", "Metrics.s3"}
ASKED_FOR: Final = {
    *("Subscribed", "Quality", "PackedTelemetryUpdate", "PackedSnapshot", "Refused.request"),
    *("TelemetryUpdate.counts", "TelemetryUpdate.ranges", "TelemetryUpdate.conflated"),
}
#: And rare ones: figures of insights, which have a test of their own, and a lap whose kind changes afterwards.
RARE: Final = {"InsightData", "Checks", "Changed.marks"}
#: Inputs that have another name among the figures of an insight.
IN_DATA: Final = ("predicted_loss_per_lap_seconds", "laps_until_0_5s_loss", "performanceTrend")


class RaceTests(SynchronousTestCase):
    """A whole race through the doors, the workers' computation and the screens."""

    def setUp(self) -> None:
        """A server that computes its race with one worker, in this process, and a screen."""
        self.patch(service, "PHASE_S", 0.0)
        self.book = RaceBook(packaged_tracks())
        self.server = WebServer(self, race=self.book)
        hub, clock = self.server.hub, self.server.reactor
        self.service = AggregationService(hub, clock, 1, TICK_S, self.server.broadcaster.tell, book=self.book)
        pool = FakePool(self, hub, 0, 1)
        self.patch(self.service, "_pool", lambda number: pool)
        self.service.startService()
        self.addCleanup(self.service.stopService)
        doors = [SimpleNamespace(open=True)]
        udp = SimpleNamespace(kernel_drops=lambda: 0)
        held = lambda: {"http": self.server.ingest.pending}  # noqa: E731
        lag = ReactorLag(clock).figures
        self.health = Health(hub, self.server.broadcaster, self.service, doors, udp, False, pending=held, lag=lag)
        self.server.api._health = lambda: self.health.answer(clock.seconds())
        self.http: Any = StubTreq(self.server.root)
        self.rest = openapi.document(RestAPI.app.url_map.iter_rules(), RestAPI)
        self.live = asyncapi.document("/ws/realtime")
        self.strict = Strict({"components": {"schemas": {**self.rest_schemas, **self.live_schemas}}})
        self.found: dict[str, set[str]] = {}

    @property
    def rest_schemas(self) -> dict[str, Any]:
        """Those of the OpenAPI document."""
        return dict(self.rest["components"]["schemas"])

    @property
    def live_schemas(self) -> dict[str, Any]:
        """Those of the AsyncAPI document."""
        return dict(self.live["components"]["schemas"])

    def check(self, name: str, value: Any) -> None:
        """Hold a value against its definition, and note what it has of it."""
        self.assertEqual(self.strict.faults(name, value), [], name)
        seen(self.strict.schemas, name, value, self.found)

    def get(self, path: str, name: str) -> Any:
        """An answer, checked."""
        response = self.successResultOf(self.http.get(f"http://wall:8081{path}"))
        answer = self.successResultOf(response.json())
        self.check(name, answer)
        return answer

    def post(self, body: bytes) -> None:
        """Post, and check the answer."""
        headers = {"Content-Type": "application/json"}
        response = self.successResultOf(self.http.post("http://wall:8081/api/ingest", body, headers=headers))
        self.check("IngestAnswer", self.successResultOf(response.json()))

    def drive(self) -> list[dict[str, Any]]:
        """Post the race as it would come, and let ticks go by; returns what a screen got that left again and again."""
        count = round(CONFIG.cars * CONFIG.rate_hz * TICK_S)
        points = [encode_point(point) for point in Race(CONFIG).points(0, RACE_S)]
        screen, got = Screen(self.server, query=b"?snapshot=1"), []
        for tick, start in enumerate(range(0, len(points), count)):
            if tick == 10:
                self.service.change_tracks(Tracks([Track("barber", 3670.0, (Sector("S1", 0.0, 3670.0),))]), ("barber",))
            self.post(b"[" + b",".join(points[start : start + count]) + b"]")
            self.server.reactor.advance(TICK_S - 0.2)
            self.server.reactor.advance(0.2)
            if tick % 30 == 29:  # before it has to answer a ping
                got += screen.messages()
                screen.connection.hang_up()
                at = b"?since=abcd:%d&insight_seq=%d" % (self.server.hub.last_seq, self.server.broadcaster.insights.seq)
                screen = Screen(self.server, query=at)
        return got + screen.messages()

    def test_race(self) -> None:
        """What is answered and sent from start to end has the members that are told of, and no other."""
        names = by_name(self.live)
        got = self.drive()
        for message in got:
            self.check(names[message["type"]], message)
        self.assertGreater(len([each for each in got if each["type"] == "insight_update"]), RACE_S / TICK_S - 5)
        self.get("/api/health", "HealthAnswer")
        self.get("/api/live", "LiveAnswer")
        self.get("/api/ready", "ReadyAnswer")
        self.get("/api/ledger", "LedgerAnswer")
        self.get("/api/cars", "CarsAnswer")
        self.get("/api/recent/100", "RecentAnswer")
        self.get("/api/laps", "LapsAnswer")
        self.get("/api/gaps", "GapsAnswer")
        self.get("/api/score", "ScoreAnswer")
        for insight in self.get("/api/insights", "InsightsAnswer")["insights"]:
            self.get(f"/api/insights/{insight['id']}", "InsightAnswer")
        self.post(json.dumps([A_ROW, A_ROW, {**A_ROW, "telemetry_name": ""}]).encode())
        self.post(json.dumps(EVERY_CHANNEL).encode())
        self.get("/api/recent/1", "RecentAnswer")
        self.get("/api/health", "HealthAnswer")
        self.get("/", "IndexAnswer")
        ticket = self.successResultOf(self.http.post("http://wall:8081/api/ticket"))
        self.check("TicketAnswer", self.successResultOf(ticket.json()))
        self.get("/api/recent/x", "ErrorAnswer")
        screen = Screen(self.server, query=b"?since=other:1")
        screen.send(b'{"type":"resume","since":"x"}')
        for message in screen.messages():
            self.check(names[message["type"]], message)
        self.assertEqual(self.not_met() - SENT - BUCKET - ASKED_FOR - RARE, set())

    def test_insights(self) -> None:
        """Insights of every formula, the figures and the checks they have, are told of."""
        one: dict[str, Any] = {
            "pace": a_pace(0.4, consistency=90.0, trend="degrading"),
            "stress": {"lap": 1800.0, "index": 150.0},
        }
        odd: dict[str, Any] = {"stuck": ("rpm",), "flipped": ("accx_can",), "clock": "stopped", "silent_s": 40.0}
        insights = []
        for tick in range(40):
            lap = a_lap(5 + tick // 10, 99.0)
            cars = [
                a_car(last_lap=lap, best_lap_s=97.0, field_best_s=97.0, sessions=1 + tick // 20, **one, **odd),
                a_car("GR86-022-13", last_lap=lap, gap=a_gap(0.5, 0.5)),
            ]
            insights += self.book.insights.tick("barber", START_MS + TICK_MS * tick, cars)
        self.assertEqual({insight["formula"] for insight in insights}, set(FORMULAS))
        for insight in insights:
            self.get(f"/api/insights/{insight['id']}", "InsightAnswer")
        inputs = {name for formula in FORMULAS.values() for name in formula.units}
        self.assertEqual(set(Checks.__struct_fields__), set(re.findall(r"- ``(\w+)``:", confirm.__doc__ or "")))
        self.assertEqual(self.found["InsightData"] - {"subject"} - inputs, set(IN_DATA))

    def test_bucket(self) -> None:
        """What health says of a bucket and its queue is told of."""
        place: dict[str, Any] = {"bucket": "race", "prefix": "", "region": "us-east-1", "endpoint_url": None}
        queue = Notifications(self.server.reactor, queue_url="http://queue.test/1/events", **place)
        hub, clock = self.server.hub, self.server.reactor
        for further in (None, queue):
            bucket = S3Service(
                hub, PointDecoder(), clock, poll_s=60, state_dir=None, told=told_of(), queue=further, **place
            )
            self.check("Bucket", bucket.figures())
        self.assertEqual(self.not_met() & {"Bucket", "Queue"}, set())

    def not_met(self) -> set[str]:
        """The definitions that nothing has met, and the members of others that nothing has had."""
        left = set()
        for name, schema in self.strict.schemas.items():
            met, told = self.found.get(name, set()), set(schema.get("properties", ()))
            # Of these two, which members there are depends on the insight.
            some = met and name in RARE
            left |= {f"{name}.{member}" for member in told - met if not some} if met else {name}
        return left
