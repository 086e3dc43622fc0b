"""``GET /metrics``: what Prometheus is told."""

from __future__ import annotations

import json
import platform
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text
from treq.testing import StubTreq
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pitwall import __version__
from pitwall.pool.service import WorkerFigures
from pitwall.serve.families import FAMILIES
from pitwall.serve.metrics import Exporter, MetricsRoot
from pitwall.wire.errors import WireError
from tests.doubles import A_POINT, Screen, WebServer, publish

Figures = dict[str, float]


def figures(text: str, parse: Any = plain_text) -> Figures:
    """The samples of a scrape, by their name with its labels."""
    found: Figures = {}
    for family in parse(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in found, key
            found[key] = sample.value
    return found


class MetricsCase(SynchronousTestCase):
    """A server whose metrics are looked at."""

    def setUp(self) -> None:
        """A server with two workers, a bucket and its queue."""
        self.server = WebServer(self, capacity=200)
        self.http: Any = StubTreq(self.server.root)
        self.server.aggregation.workers = lambda: [WorkerFigures(True, 0, 7, 0.25), WorkerFigures(False, 3, 0, 0.0)]
        queue = {"failing": True, "messages": 9, "ignored": 4, "garbage": 2, "errors": 1}
        self.bucket = {"failing": False, "objectsRead": 5, "rowsRead": 6, "errors": 7, "queue": queue}

    def with_bucket(self) -> None:
        """Have it read a bucket."""
        buckets = (SimpleNamespace(figures=lambda: self.bucket),)
        self.server.api._metrics = Exporter(replace(self.server.sources, buckets=buckets)).answer

    def get(self, accept: str | None = None) -> tuple[int, str, str]:
        """Status, type and text of a scrape."""
        headers = {} if accept is None else {"Accept": accept}
        response = self.successResultOf(self.http.get("http://wall:8081/metrics", headers=headers))
        (content_type,) = response.headers.getRawHeaders("content-type")
        return response.code, content_type, self.successResultOf(self.http.content(response)).decode()

    def scrape(self) -> Figures:
        """The figures."""
        return figures(self.get()[2])


class FormatTests(MetricsCase):
    """The text."""

    def test_plain(self) -> None:
        """Who asks for nothing gets the text format of Prometheus, which its parser can read."""
        for accept in (None, "*/*", "text/plain;version=0.0.4;q=0.5"):
            status, content_type, text = self.get(accept)
            self.assertEqual(status, 200)
            self.assertRegex(content_type, r"^text/plain; version=\S+; charset=utf-8")
            build = f"pitwall_build_info{{python={platform.python_version()},version={__version__}}}"
            self.assertEqual(figures(text)[build], 1.0)

    def test_odd_accept(self) -> None:
        """An Accept header that makes no sense is as good as none."""
        for accept in ("application/openmetrics-text;version=NaN", ";;q=x,,"):
            status, content_type, _ = self.get(accept)
            self.assertEqual((status, content_type.partition(";")[0]), (200, "text/plain"), accept)

    def test_open_metrics(self) -> None:
        """Who asks for OpenMetrics gets that, with the same figures, and its strict parser can read it."""
        publish(self.server.hub, 3)
        status, content_type, text = self.get("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        self.assertEqual(status, 200)
        self.assertTrue(content_type.startswith("application/openmetrics-text; version=1.0.0"), content_type)
        self.assertTrue(text.endswith("# EOF\n"))
        of_process = ("process_",)
        ours = {name: value for name, value in figures(text, open_metrics).items() if not name.startswith(of_process)}
        plain = {name: value for name, value in self.scrape().items() if not name.startswith(of_process)}
        self.assertEqual(ours, plain)

    def test_every_family(self) -> None:
        """Every metric is there with its type and its help, and no other but those of the process."""
        self.with_bucket()
        self.server.hub.ledger.repairs["unknown_lap"] = 1
        text = self.get()[2]
        told = {(each.name, each.type, each.documentation) for each in plain_text(text)}
        wanted = {(each.name.removesuffix("_total"), each.kind, each.help) for each in FAMILIES}
        self.assertEqual({each for each in told if not each[0].startswith("process_")}, wanted)
        self.assertIn("process_resident_memory_bytes", figures(text))

    def test_names(self) -> None:
        """Names are as Prometheus wants them: counters end in _total, times in seconds, and each has a help."""
        for family in FAMILIES:
            self.assertRegex(family.name, r"^pitwall_[a-z0-9_]+$")
            self.assertEqual(family.name.endswith("_total"), family.kind == "counter", family.name)
            self.assertNotRegex(family.name, "_(ms|us|milliseconds|kb|mb)(_|$)")
            self.assertEqual(family.name.endswith("_seconds"), family.kind == "histogram" or "seconds" in family.name)
            self.assertTrue(family.help)
        self.assertEqual(len({family.name for family in FAMILIES}), len(FAMILIES))


class FigureTests(MetricsCase):
    """The figures are those of the ledger."""

    def test_load(self) -> None:
        """After a known load every counter says what happened, and the ledger says the same."""
        screens = [Screen(self.server) for _ in range(3)]
        for _ in range(10):
            self.server.ask(self.post(b"[%b,%b]" % (A_POINT, A_POINT)))
            self.server.run_for(0.1)
        self.server.ask(self.post(b'{"track":"barber"}'))
        screens[0].connection.hang_up()
        seen = self.scrape()
        self.assertEqual(seen["pitwall_points_accepted_total{door=http}"], 20)
        self.assertEqual(seen["pitwall_points_refused_total{door=http,reason=missing_field}"], 1)
        self.assertEqual(seen["pitwall_points_received_total{door=http}"], 21)
        self.assertEqual(seen["pitwall_flushes_total"], self.server.hub.ledger.messages_broadcast)
        self.assertEqual(seen["pitwall_client_messages_total"], 3 * self.server.hub.ledger.messages_broadcast)
        self.assertEqual(seen["pitwall_client_points_total{outcome=delivered}"], 60)
        self.assertEqual(seen["pitwall_delivery_seconds_count"], 20)
        self.assertEqual(seen["pitwall_delivery_seconds_bucket{le=+Inf}"], 20)
        self.assertEqual(seen["pitwall_clients{state=live}"], 2)
        self.assertEqual(seen["pitwall_clients_joined_total"], 3)
        written = sum(len(screen.connection.kernel.taken) for screen in screens)
        handshakes = sum(screen.connection.kernel.taken.index(b"\r\n\r\n") + 4 for screen in screens)
        self.assertEqual(seen["pitwall_client_bytes_total"], written - handshakes)
        ledger = self.server.books.answer(0.0)
        self.assertEqual(seen["pitwall_points_accepted_total{door=http}"], ledger["doors"][0]["accepted"])
        self.assertEqual([each["delivered"] for each in ledger["clients"]], [20, 20])

    def test_rows(self) -> None:
        """Rows of the long form are counted by what became of them, and those that wait are seen waiting."""
        row = {"telemetry_name": "speed", "telemetry_value": 126.2, "vehicle_id": "GR86-002-2", "track": "barber"}
        row["timestamp"] = "2025-09-05T00:28:20.593Z"
        self.server.ask(self.post(json.dumps([row, row, {**row, "telemetry_name": ""}]).encode()))
        seen = self.scrape()
        for outcome in ("sample", "duplicate", "refused"):
            self.assertEqual(seen[f"pitwall_rows_total{{door=http,outcome={outcome}}}"], 1)
        self.assertEqual(seen["pitwall_repairs_total{repair=duplicate_row}"], 1)
        self.assertEqual(seen["pitwall_rows_pending{door=http}"], self.server.ingest.pending)

    def test_from_the_start(self) -> None:
        """What can be counted is there with 0 before the first: a rate sees the first one too."""
        seen = self.scrape()
        for reason in WireError.REASONS:
            self.assertEqual(seen[f"pitwall_points_refused_total{{door=http,reason={reason}}}"], 0)
        for name in ("pitwall_points_accepted_total{door=http}", "pitwall_clients_closed_total{reason=stalled}"):
            self.assertEqual(seen[name], 0)
        self.assertEqual(seen["pitwall_last_point_timestamp_seconds"], 0)
        self.assertFalse([name for name in seen if name.startswith("pitwall_s3")])

    def test_never_back(self) -> None:
        """Counters only grow, clients that leave take nothing with them."""
        before = self.scrape()
        for turn in range(6):
            screen = Screen(self.server, room=100_000 if turn % 2 else 1 << 40)
            for _ in range(8):
                publish(self.server.hub, 30, padding=500)
                self.server.run_for(0.2)
                after = self.scrape()
                for name, value in after.items():
                    if "_total" in name or "_bucket" in name or "_count" in name or "_sum" in name:
                        self.assertGreaterEqual(value, before.get(name, 0.0), name)
                before = after
            screen.connection.hang_up()
        points = sum(value for name, value in before.items() if name.startswith("pitwall_client_points_total"))
        self.assertEqual(points, 6 * 8 * 30)

    def test_slow_clients(self) -> None:
        """A client that does not read is seen as reduced, then as closed for it."""
        screens = [Screen(self.server), Screen(self.server, room=10_000)]
        for _ in range(40):
            publish(self.server.hub, 30, padding=500)
            self.server.run_for(0.1)
        seen = self.scrape()
        self.assertEqual((seen["pitwall_clients{state=live}"], seen["pitwall_clients{state=reduced}"]), (1, 1))
        self.server.run_for(40)
        seen = self.scrape()
        self.assertEqual(screens[1].protocol.factory.ended, {4009: 1})
        self.assertEqual(seen["pitwall_clients_closed_total{reason=stalled}"], 1)
        self.assertEqual((seen["pitwall_clients{state=live}"], seen["pitwall_clients{state=reduced}"]), (1, 0))
        self.assertGreater(seen["pitwall_client_points_total{outcome=dropped}"], 0)

    def test_messages(self) -> None:
        """Messages are counted however a client comes by them: live, catching up, reduced, or after another wish."""
        publish(self.server.hub, 150)
        live = Screen(self.server)
        back = Screen(self.server, query=b"?since=abcd:0")
        slow = Screen(self.server, room=200_000)
        for turn in range(60):
            publish(self.server.hub, 30, padding=500)
            self.server.run_for(0.1)
            if turn == 20:
                back.send(b'{"type":"subscribe","channels":["speed_kmh"]}')
        self.assertEqual(slow.protocol.delivery.state, "reduced")
        slow.read()
        for _ in range(80):
            publish(self.server.hub, 3)
            self.server.run_for(0.1)
        self.assertEqual(slow.protocol.delivery.state, "live")
        counts = [len(screen.updates()) for screen in (live, back, slow)]
        self.assertGreater(counts[0], counts[2])
        self.assertEqual([screen.protocol.delivery.messages for screen in (live, back, slow)], counts)
        self.assertEqual(self.scrape()["pitwall_client_messages_total"], sum(counts))

    def test_workers(self) -> None:
        """Each worker has its own figures."""
        seen = self.scrape()
        for name, values in (
            ("pitwall_worker_up", (1, 0)),
            ("pitwall_worker_restarts_total", (0, 3)),
            ("pitwall_aggregation_lag_points", (7, 0)),
            ("pitwall_aggregation_lag_seconds", (0.25, 0)),
        ):
            self.assertEqual(tuple(seen[f"{name}{{worker={number}}}"] for number in (0, 1)), values, name)

    def test_bucket(self) -> None:
        """A bucket and its queue are there when there is one."""
        self.with_bucket()
        seen = {name: value for name, value in self.scrape().items() if name.startswith("pitwall_s3_")}
        self.assertEqual(
            seen,
            {
                "pitwall_s3_failing": 0,
                "pitwall_s3_objects_total": 5,
                "pitwall_s3_rows_total": 6,
                "pitwall_s3_errors_total": 7,
                "pitwall_s3_queue_failing": 1,
                "pitwall_s3_queue_messages_total": 9,
                "pitwall_s3_queue_ignored_total": 4,
                "pitwall_s3_queue_garbage_total": 2,
                "pitwall_s3_queue_errors_total": 1,
            },
        )

    def test_nothing_foreign(self) -> None:
        """Nothing that a car sends becomes a label: cars, tracks and fields are many."""
        count = len(self.scrape())
        for number in range(50):
            self.server.ask(self.post(b'{"track":"t%d","chassis":"c%d","f%d":1}' % (number, number, number)))
        self.assertEqual(len(self.scrape()), count)

    @staticmethod
    def post(body: bytes) -> bytes:
        """A request with points."""
        head = b"POST /api/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        return head % len(body) + body


class EndingTests(MetricsCase):
    """A server that ends says so for as long as it can."""

    def test_ready(self) -> None:
        """It is not ready any more, which the metrics say too, but its event loop turns."""
        self.assertEqual((self.ask("/api/ready"), self.scrape()["pitwall_ready"]), (200, 1))
        self.server.running = False
        self.assertEqual((self.ask("/api/ready"), self.scrape()["pitwall_ready"]), (503, 0))
        self.assertEqual(self.ask("/api/live"), 200)

    def test_takes_nothing(self) -> None:
        """It takes neither points nor clients, which would be lost."""
        self.server.running = False
        self.server.site.quick = None
        answers = self.server.ask(FigureTests.post(A_POINT), b"GET /ws/realtime HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual([answer.status for answer in answers], [503, 503])
        self.assertEqual(self.server.hub.last_seq, 0)

    def ask(self, path: str) -> int:
        """The status of an answer."""
        return int(self.successResultOf(self.http.get(f"http://wall:8081{path}")).code)


class OwnPortTests(MetricsCase):
    """METRICS_PORT has the metrics and nothing else."""

    def setUp(self) -> None:
        """Its root."""
        super().setUp()
        self.exporter = Exporter(self.server.sources)
        self.own: Any = StubTreq(MetricsRoot(self.exporter))

    def ask(self, method: str, path: str) -> tuple[int, bytes]:
        """Status and body of an answer."""
        response = self.successResultOf(self.own.request(method, f"http://wall:9464{path}"))
        return response.code, self.successResultOf(self.own.content(response))

    def test_metrics(self) -> None:
        """A scrape is answered, whatever stands in its query."""
        publish(self.server.hub, 3, door="udp")
        for path in ("/metrics", "/metrics?a=b"):
            status, body = self.ask("GET", path)
            self.assertEqual(status, 200)
            self.assertEqual(figures(body.decode())["pitwall_points_accepted_total{door=udp}"], 3)

    def test_nothing_else(self) -> None:
        """Any other path is none, any other method not allowed, and both say so in JSON."""
        for method, path, status in (
            ("GET", "/", 404),
            ("GET", "/api/health", 404),
            ("GET", "/metrics/", 404),
            ("POST", "/metrics", 405),
        ):
            seen, body = self.ask(method, path)
            self.assertEqual((seen, json.loads(body)["ok"]), (status, False))

    def test_fault(self) -> None:
        """A fault of ours is a 500 in JSON, and stands in the log."""
        self.server.aggregation.workers = Clock().seconds
        status, body = self.ask("GET", "/metrics")
        self.assertEqual((status, json.loads(body)["error"]), (500, "internal error"))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_not_on_the_other(self) -> None:
        """With it, the main port has no metrics."""
        self.server.api._metrics = None
        self.assertEqual(self.get()[0], 404)
