"""Clients that check what they are told against what was published, as strictly as a client can."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import msgpack
from twisted.trial.unittest import SynchronousTestCase

from pitwall.hub import Hub
from pitwall.serve.live.subscription import ALWAYS
from pitwall.wire.points import PointDecoder
from tests.doubles import Screen, WebServer

#: (track, chassis)
CARS = (("barber", "GR86-002-2"), ("barber", "GR86-004-78"), ("sonoma", "GR86-004-78"), ("sonoma", 'odd é"\\ name'))
MOMENT, MOMENT_MS = "2025-09-06T18:41:40.000Z", 1_757_184_100_000
#: What a client that does not limit it is sent.
ALL_TYPES = ["telemetry_update", "insight_update", "quality"]


class Published:
    """What has been published so far, by number: point 1 is the first of ``points``."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.points: list[dict[str, Any]] = []
        self._decoder = PointDecoder()

    def publish(self, cars: Sequence[int], padding: int = 0) -> None:
        """A point of each of these cars, told apart by its ``rpm``; some channels come now and then only."""
        raws, decoded = [], []
        for car in cars:
            number = len(self.points) + 1
            track, chassis = CARS[car]
            point = {"meta_time": MOMENT, "track": track, "chassis": chassis, "rpm": number}
            point["speed_kmh"] = number * 7919 % 300 / 2
            if number % 3 == 0:
                point["vendor é"] = -number % 7
            if number % 5 == 0:
                point |= {"aps": 50, "wet": number % 2 == 0}
            if padding:
                point["raw_source"] = "x" * padding
            self.points.append(point)
            raws.append(json.dumps(point, ensure_ascii=False).encode())
            decoded.append(self._decoder.one(raws[-1], 0.0)[0])
        self.hub.publish("test", decoded, raws, received_at=0.0)

    def wanted(self, asked: Mapping[str, Any], after: int, last: int) -> list[dict[str, Any]]:
        """Those after one number up to another that a subscription wants, with the channels it wants."""
        chassis, track, channels = asked.get("chassis"), asked.get("track"), asked.get("channels")
        if "telemetry_update" not in asked.get("types", ALL_TYPES):
            return []
        return [
            point if channels is None else {name: point[name] for name in point if name in (*ALWAYS, *channels)}
            for point in self.points[after:last]
            if (chassis is None or point["chassis"] in chassis) and (track is None or point["track"] in track)
        ]


class Thinned(NamedTuple):
    """What a thinned message says of a car."""

    point: dict[str, Any]
    stands_for: int
    ranges: dict[str, list[float]]


def thinned(points: Sequence[dict[str, Any]]) -> list[Thinned]:
    """What a thinned message of these points has to say, by the plainest of ways."""
    by_car: dict[tuple[str, str], list[tuple[int, dict[str, Any]]]] = {}
    for index, point in enumerate(points):
        by_car.setdefault((point["track"], point["chassis"]), []).append((index, point))
    found = []
    for own in sorted(by_car.values(), key=lambda own: own[-1][0]):
        newest, ranges = own[-1][1], {}
        for name in dict.fromkeys(name for _, point in own for name in point):
            values = [point[name] for _, point in own if type(point.get(name)) in (int, float)]
            if values and (min(values) != max(values) or type(newest.get(name)) not in (int, float)):
                ranges[name] = [min(values), max(values)]
        found.append(Thinned(newest, len(own), ranges))
    return found


class Viewer:
    """
    A client that follows what it is told.

    Args:
        test: whose assertions it makes.
        server: whose client it is.
        published: what there is to be told.
        packed: whether it reads MessagePack.
        query: of its address.
        asked: the same as a ``subscribe`` message would say it.
        since: what it had when it was there before: the last point and the last insight.

    Attributes:
        last: the ``seq`` it was told last; ``insight``: the last insight.
        missed: points that it has seen to be lost.
        messages: of all that it was told, the types.
    """

    def __init__(
        self,
        test: SynchronousTestCase,
        server: WebServer,
        published: Published,
        packed: bool = False,
        query: str = "",
        asked: dict[str, Any] | None = None,
        since: tuple[int, int] | None = None,
        room: int = 1 << 40,
    ) -> None:
        self.test, self.server, self.published, self.packed = test, server, published, packed
        self.unasked = asked is None and since is None and not packed
        self.asked: dict[str, Any] = asked or {}
        self.asked_for = [] if asked is None else [asked]  # and not confirmed yet
        self.last, self.insight = server.broadcaster.flushed_seq, server.broadcaster.insights.seq
        self.since = since
        self.missed = 0
        self.level = "full"
        self.messages: list[str] = []
        if since is not None:
            query += f"&since={server.hub.epoch}:{since[0]}&insight_seq={since[1]}"
        headers = b"Sec-WebSocket-Protocol: pitwall.msgpack\r\n" if packed else b""
        self.came_at = server.reactor.seconds()
        self.always_read = room == 1 << 40
        self.screen = Screen(server, room, headers, f"?{query}".encode() if query else b"")
        test.assertEqual(self.screen.answer.status, 101)
        self._looked = 0

    @property
    def connected(self) -> bool:
        """Whether it is a client still."""
        return self.screen.protocol in self.server.broadcaster.clients

    def say(self, message: dict[str, Any]) -> None:
        """Say something."""
        self.unasked = False
        if message["type"] == "subscribe":
            self.asked_for.append({name: message[name] for name in message if name != "type"})
        self.screen.send(msgpack.encode(message) if self.packed else json.dumps(message).encode(), 1 + self.packed)

    def look(self) -> None:
        """Check all that is new to it."""
        self.screen.connection.flush(0)
        frames = self.screen.frames()
        new, self._looked = frames[self._looked :], len(frames)
        for frame in new:
            if frame.opcode == 8:
                code = int.from_bytes(frame.payload[:2], "big")
                self.test.assertIn(code, (4008, 4009))
                self.test.assertFalse(self.always_read, "a client that reads is never too slow")
                continue
            self.test.assertEqual(frame.opcode, 1 + self.packed)
            self._told(msgpack.decode(frame.payload) if self.packed else json.loads(frame.payload))

    def _told(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        self.messages.append(kind)
        if self.unasked:
            self.test.assertIn(kind, ("telemetry_update", "insight_update"))
        self.test.assertEqual(message["epoch"], self.server.hub.epoch)
        getattr(self, f"_{kind}")(message)

    def _telemetry_update(self, message: dict[str, Any]) -> None:
        self.test.assertIn("telemetry_update", self.asked.get("types", ALL_TYPES))
        prev, seq = message["prev"], message["seq"]
        self.test.assertGreaterEqual(prev, self.last)
        self.test.assertGreater(seq, prev)
        self.missed += prev - self.last
        points = self.published.wanted(self.asked, prev, seq)
        if "counts" in message:
            data = list(map(Thinned, self._points(message), message["counts"], self._ranges(message)))
            wanted = thinned(points)
            self.test.assertEqual(data, wanted)
            self.test.assertEqual(message["conflated"], len(points) - len(wanted))
        else:
            self.test.assertNotIn("ranges", message)
            self.test.assertEqual(self._points(message), points)
            self.test.assertNotIn("conflated", message)
        self.last = seq

    def _points(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        if not self.packed:
            data: list[dict[str, Any]] = message["data"]
            return data
        self.test.assertNotIn("data", message)
        points = [dict(zip(message["channels"], row, strict=True)) for row in message["rows"]]
        for point in points:
            self.test.assertEqual(point["meta_time"], MOMENT_MS)
            point["meta_time"] = MOMENT
        return [{name: point[name] for name in point if point[name] is not None} for point in points]

    def _ranges(self, message: dict[str, Any]) -> list[dict[str, list[float]]]:
        if not self.packed:
            ranges: list[dict[str, list[float]]] = message["ranges"]
            return ranges
        names, both = message["channels"], zip(message["low"], message["high"], strict=True)
        return [
            {name: [a, b] for name, a, b in zip(names, low, high, strict=True) if a is not None} for low, high in both
        ]

    def _subscribed(self, message: dict[str, Any]) -> None:
        before, self.asked = self.asked, self.asked_for.pop(0)
        for name in ("chassis", "track", "channels", "max_hz"):
            wanted = self.asked.get(name)
            self.test.assertEqual(message.get(name), sorted(wanted) if isinstance(wanted, list) else wanted)
        if self.since is None:  # what it was to get still is decided by what it wants now
            was, now = ({**asked, "channels": ["rpm"]} for asked in (before, self.asked))
            lost = [self.published.wanted(asked, self.last, message["seq"]) for asked in (was, now)]
            self.missed += sum(point in lost[0] for point in lost[1])
        self.last = message["seq"]

    def _resumed(self, message: dict[str, Any]) -> None:
        self.last, self.insight = message["seq"], message["insight_seq"]
        if self.since is not None:
            seq, insight = self.since
            if message["recovered"]:
                self.test.assertEqual(self.published.wanted(self.asked, seq, message["seq"]), [], "not told")
                self.test.assertEqual(message["insight_seq"], insight)
            if "max_hz" not in self.asked:
                self.test.assertEqual(self.published.wanted(self.asked, message["seq"], seq), [], "told twice")
            self.since = None

    def _gap(self, message: dict[str, Any]) -> None:
        self.test.assertEqual(message["reason"], "overwritten")
        self.test.assertEqual(message["points"], message["last"] - message["first"] + 1)

    def _insight_update(self, message: dict[str, Any]) -> None:
        self.test.assertIn("insight_update", self.asked.get("types", ALL_TYPES))
        self.test.assertEqual(message["insight_seq"], self.insight + 1)
        self.insight += 1
        chassis, track = self.asked.get("chassis"), self.asked.get("track")
        wanted = [car for car in CARS if (not chassis or car[1] in chassis) and (not track or car[0] in track)]
        self.test.assertEqual([(car["track"], car["chassis"]) for car in message["data"]], wanted)

    def _quality(self, message: dict[str, Any]) -> None:
        self.test.assertEqual({"full", "reduced"}, {self.level, message["level"]})
        self.test.assertGreaterEqual(self.server.reactor.seconds(), self.came_at + 1.0)
        self.level = message["level"]

    def _error(self, message: dict[str, Any]) -> None:
        self.test.fail(message["error"])
