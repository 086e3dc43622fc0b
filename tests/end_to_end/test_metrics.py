"""A real server as Prometheus and Kubernetes look at it."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.wire.errors import WireError
from tests.doubles import A_POINT
from tests.end_to_end.harness import Server, free_port, points_of, read_messages, running, wait_for
from tests.unit.serve.test_metrics import Figures, figures


def scrape(server: Server, port: int | None = None) -> Figures:
    """The figures of a scrape."""
    status, body = ask(port or server.port, "/metrics")
    assert status == 200, body
    return figures(body.decode())


def ask(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of an answer, by a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class ScrapeTests(SynchronousTestCase):
    """``GET /metrics``."""

    def test_under_load(self) -> None:
        """Scraped again and again under load, counters only grow, and at the end they say what was sent."""
        point = {"track": "barber", "chassis": "GR86-001", "speed_kmh": 120.0}
        with running(AGG_WORKERS="1") as server, server.connect() as client:
            before: Figures = {}
            for turn in range(40):
                server.post([{**point, "n": turn}] * 100)
                server.send(json.dumps(point).encode(), b"noise")
                after = scrape(server)
                for name, value in after.items():
                    if "_total" in name or "_bucket" in name or "_count" in name:
                        self.assertGreaterEqual(value, before.get(name, 0.0), name)
                before = after
            messages = read_messages(client, 10, lambda got: len(points_of(got)) >= 4040)
            self.assertEqual(len(points_of(messages)), 4040)
            wait_for("workers that have read", lambda: scrape(server)["pitwall_aggregation_lag_points{worker=0}"] == 0)
            seen, health = scrape(server), server.metrics()
            self.assertEqual(seen["pitwall_points_accepted_total{door=http}"], 4000)
            self.assertEqual(seen["pitwall_points_accepted_total{door=udp}"], 40)
            refused = {
                reason: seen[f"pitwall_points_refused_total{{door=udp,reason={reason}}}"]
                for reason in WireError.REASONS
            }
            self.assertEqual(sum(refused.values()), 40)
            self.assertEqual({reason: count for reason, count in refused.items() if count}, health["refused"]["udp"])
            self.assertEqual(seen["pitwall_flushes_total"], health["messagesBroadcast"])
            self.assertEqual(seen["pitwall_client_points_total{outcome=delivered}"], 4040)
            self.assertEqual(seen["pitwall_delivery_seconds_count"], 4040)
            # Points that are whole when they come are with the client within a flush or two, or the clock is wrong.
            self.assertGreater(seen["pitwall_delivery_seconds_bucket{le=1.0}"], 4000)
            self.assertEqual(seen["pitwall_ready"], 1)
            self.assertEqual(seen["pitwall_worker_up{worker=0}"], 1)
            self.assertGreater(seen["pitwall_aggregation_seconds_count"], 0)
            self.assertGreater(seen["pitwall_reactor_lag_seconds_count"], 10)

    def test_own_port(self) -> None:
        """With METRICS_PORT they are there, and nothing else is; the main port has all else."""
        port = free_port()
        with running(METRICS_PORT=str(port), AGG_WORKERS="1") as server:
            self.assertEqual(scrape(server, port)["pitwall_ready"], 1)
            self.assertEqual(ask(port, "/api/health")[0], 404)
            self.assertEqual(ask(server.port, "/metrics")[0], 404)
            self.assertEqual(ask(server.port, "/api/live"), (200, b'{"ok":true}'))


class EndingTests(SynchronousTestCase):
    """What a probe sees of a server that is told to end."""

    def test_sigterm(self) -> None:
        """From SIGTERM on it is not ready, and says so for as long as clients may say goodbye; then it is gone."""
        with running(AGG_WORKERS="1") as server:
            self.assertEqual(server.get("/api/ready"), (200, {"ok": True, "doors": True, "workers": True}))
            # A client that never answers the goodbye holds the end up for two seconds.
            silent = socket.create_connection(("127.0.0.1", server.port))
            self.addCleanup(silent.close)
            silent.sendall(
                b"GET /ws/realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            wait_for("a client", lambda: server.metrics()["wsClients"] == 1)
            server.process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            seen: list[tuple[int, Any]] = []
            wait_for("an answer that it ends", lambda: self.not_ready(server, seen), 1.5)
            self.assertEqual(seen[-1][1]["ok"], False)
            self.assertLess(time.monotonic() - started, 1.5)
            self.assertEqual(server.get("/api/live"), (200, {"ok": True}))
            status, answer = server.post([{"track": "barber", "chassis": "GR86-001"}])
            self.assertEqual((status, answer["ok"]), (503, False))
            with socket.create_connection(
                ("127.0.0.1", server.port)
            ) as quick:  # a program's plain post goes another way
                quick.sendall(
                    b"POST /api/ingest HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%b" % (len(A_POINT), A_POINT)
                )
                self.assertTrue(quick.recv(4096).startswith(b"HTTP/1.1 503 "))
            self.assertEqual(ask(server.port, "/ws/realtime")[0], 503)
            self.assertEqual(scrape(server)["pitwall_ready"], 0)
            server.process.wait(5)
            self.assertLess(time.monotonic() - started, 5)
            self.assertRaises(OSError, ask, server.port, "/api/ready")
            self.assertNotIn("Traceback", server.log())

    @staticmethod
    def not_ready(server: Server, seen: list[tuple[int, Any]]) -> bool:
        """Whether it says that it is not ready; it must say something."""
        seen.append(server.get("/api/ready"))
        return seen[-1][0] == 503
