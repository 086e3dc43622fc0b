"""A race arrives: from the doors to the screens, through a real server."""

from __future__ import annotations

import json
import socket
import time
from itertools import pairwise
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.sim import Race, RaceConfig, encode_point
from tests.end_to_end.harness import points_of, read_messages, running, wait_for


def a_race(cars: int, seconds: float, rate_hz: float = 22.0) -> list[bytes]:
    """The datagrams of a simulated race, in order."""
    race = Race(RaceConfig(track="barber", cars=cars, rate_hz=rate_hz))
    return [encode_point(point) for point in race.points(0, seconds)]


class LiveTests(SynchronousTestCase):
    """Points from every door reach every screen, and the insights follow."""

    def test_udp_to_websocket(self) -> None:
        """What is sent by UDP arrives whole and in order; insights count every point once."""
        datagrams = a_race(cars=6, seconds=10)
        with running(AGG_WORKERS="2") as server, server.connect() as client:
            for datagram in datagrams:
                server.send(datagram)
                time.sleep(0.0005)
            counted = lambda got: sum(  # noqa: E731
                result["meta"]["pointCount"]
                for message in got
                if message["type"] == "insight_update"
                for result in message["data"]
            )
            messages = read_messages(client, 15, lambda got: counted(got) >= len(datagrams))
            self.assertEqual(points_of(messages), [json.loads(datagram) for datagram in datagrams])
            self.assertEqual(counted(messages), len(datagrams))
            telemetry = [message for message in messages if message["type"] == "telemetry_update"]
            self.assertEqual(telemetry[0]["prev"], 0)
            for before, after in pairwise(telemetry):
                self.assertEqual(after["prev"], before["seq"])
            self.assertEqual({message["epoch"] for message in telemetry}, {telemetry[0]["epoch"]})
            self.assertEqual(server.metrics()["messagesReceived"], len(datagrams))

    def test_every_form(self) -> None:
        """An object, a CSV line, an array and lines of JSON, each one datagram, are points; noise is counted."""
        good = b'{"track":"barber","chassis":"GR86-001","brake_temp_fl":412.5}'
        with running() as server, server.connect() as client:
            server.send(good, b"2025-09-06T18:40:00Z,barber,GR86-002,1,100.5,120")
            server.send(b"[" + good + b"," + good + b"]", good + b"\n" + good + b"\n", b"noise", b'{"lap":1}')
            messages = read_messages(client, 5, lambda got: len(points_of(got)) >= 6)
            self.assertEqual([point["chassis"][-1] for point in points_of(messages)], list("121111"))
            self.assertEqual(points_of(messages)[0]["brake_temp_fl"], 412.5)
            wait_for("the refusals", lambda: server.metrics()["errors"] == 2)
            self.assertEqual(server.metrics()["refused"]["udp"], {"not_json": 1, "missing_field": 1})
            status, answer = server.post([json.loads(good), {"chassis": "GR86-001"}])
            self.assertEqual((status, answer["accepted"], answer["rejected"][0]["field"]), (200, 1, "track"))
            self.assertEqual(len(points_of(read_messages(client, 5, lambda got: bool(points_of(got))))), 1)

    def test_slow_client(self) -> None:
        """A client that stops reading costs little memory, delays nobody, and learns what it missed."""
        points: list[dict[str, Any]] = [
            {"track": "barber", "chassis": f"GR86-{car:03}", "note": "x" * 500} for car in range(200)
        ]
        rounds = 300
        with running(WS_STALL_SECONDS="60", RINGBUFFER_SIZE="2000") as server, server.connect() as healthy:
            frozen = socket.create_connection(("127.0.0.1", server.port))
            frozen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
            key = "dGhlIHNhbXBsZSBub25jZQ=="
            frozen.sendall(
                f"GET /ws/realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            wait_for("both clients", lambda: server.metrics()["wsClients"] == 2)
            for _ in range(20):
                server.post(points)
            before, seen = server.rss_bytes(), 0
            for _ in range(20, rounds):
                server.post(points)
                seen += len(points_of(read_messages(healthy, 5, lambda got: bool(points_of(got)))))
            seen += len(points_of(read_messages(healthy, 20, lambda got: seen + len(points_of(got)) >= rounds * 200)))
            self.assertEqual(seen, rounds * 200)
            # 34 MB have gone by at 20 MB/s: a second of frames, 8 MiB at most, is kept for all.
            self.assertLess(server.rss_bytes() - before, 14_000_000)
            wait_for("reduced quality", lambda: server.metrics()["clientsReduced"] == 1)
            frozen.close()
            wait_for("one client", lambda: server.metrics()["wsClients"] == 1)
