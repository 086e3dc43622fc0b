"""``pitwall.serve.live.stream`` and ``streams``: what clients with one subscription get, and when."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.live.batch import Batch
from pitwall.serve.live.broadcast import Broadcaster, Pace
from pitwall.serve.live.conflation import MOST_CARS, Columns
from pitwall.serve.live.frames import BINARY, Frame, payload_of
from pitwall.serve.live.stream import MESSAGE_BYTES, PLAIN_KEY, Stream, StreamKey, key_of
from pitwall.serve.live.streams import Streams
from pitwall.serve.live.subscription import PLAIN, TELEMETRY, FullError, Subscription
from tests.doubles import a_hub
from tests.unit.serve.live.viewers import Published, thinned

PLAIN_ASK = Subscription(types=PLAIN)
HERS = Subscription(chassis=frozenset(["GR86-004-78"]))


def said(frame: Frame) -> dict[str, Any]:
    """What a message says."""
    payload = bytes(payload_of(frame.plain))
    content: dict[str, Any] = msgpack.decode(payload) if frame.plain[0] == BINARY else json.loads(payload)
    return content


def numbers(frame: Frame) -> tuple[int, int, list[int]]:
    """``prev``, ``seq`` and the points of a message, by their numbers."""
    content = said(frame)
    return content["prev"], content["seq"], [point["rpm"] for point in content["data"]]


class Watcher:
    """A client that takes every message of its stream, and notes when."""

    def __init__(
        self, broadcaster: Broadcaster, clock: Clock, subscription: Subscription, packed: bool = False
    ) -> None:
        self.stream = broadcaster.streams.get(key_of(subscription, packed), broadcaster.flushed_seq)
        self.stream.clients[self] = None
        broadcaster.clients[self] = self
        self._clock = clock
        self._next = self.stream.frames.end
        self.got: list[tuple[float, Frame]] = []

    def pump(self) -> None:
        """Take what is new."""
        while self._next < self.stream.frames.end:
            self.got.append((self._clock.seconds(), self.stream.frames.get(self._next)))
            self._next += 1

    @property
    def messages(self) -> list[tuple[int, int, list[int]]]:
        """What it got."""
        return [numbers(frame) for _, frame in self.got]


class StreamTests(SynchronousTestCase):
    """`Stream`, fed by a broadcaster."""

    def setUp(self) -> None:
        """A broadcaster."""
        self.begin()

    def begin(self, capacity: int = 10_000) -> None:
        """A broadcaster that has had nothing."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.hub = a_hub(self, capacity)
        self.broadcaster = Broadcaster(self.hub, self.clock, Pace(0.008, 0.12), lambda: 0.0)
        self.published = Published(self.hub)

    def watch(self, subscription: Subscription = HERS, packed: bool = False) -> Watcher:
        """A client with that subscription."""
        return Watcher(self.broadcaster, self.clock, subscription, packed)

    def flush(self, *cars: int, padding: int = 0) -> None:
        """Points of these cars, flushed now."""
        self.published.publish(cars, padding)
        self.broadcaster.flush()

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.pump([0.001] * round(seconds * 1000))

    def test_filter(self) -> None:
        """Points of other cars are left out, and a flush with none of its cars makes no message."""
        hers, barber, whole = self.watch(), self.watch(Subscription(track=frozenset(["barber"]))), self.watch(PLAIN_ASK)
        self.flush(0, 1, 0)
        self.flush(0, 0)
        self.flush(3, 2)
        self.assertEqual(hers.messages, [(0, 3, [2]), (3, 7, [7])])
        self.assertEqual(barber.messages, [(0, 3, [1, 2, 3]), (3, 5, [4, 5])])
        self.assertEqual(whole.messages, [(0, 3, [1, 2, 3]), (3, 5, [4, 5]), (5, 7, [6, 7])])
        self.assertEqual(hers.got[1][1].filtered, 3)
        self.assertEqual((hers.stream.settled, hers.stream.sent_seq), (7, 7))
        self.flush(0)
        self.assertEqual((hers.stream.settled, hers.stream.sent_seq), (8, 7))

    def test_channels(self) -> None:
        """With channels a point is those and whose it is; the other members stay."""
        some = self.watch(Subscription(channels=frozenset(["rpm", "aps"])))
        self.flush(0, 0, 0, 0, 0)
        (_, frame), = some.got  # fmt: skip
        self.assertEqual([sorted(point) for point in said(frame)["data"]][3:], [
            ["chassis", "meta_time", "rpm", "track"], ["aps", "chassis", "meta_time", "rpm", "track"],
        ])  # fmt: skip

    def test_packed(self) -> None:
        """The same stream as MessagePack is another stream, with the same numbers."""
        one, other = self.watch(), self.watch(packed=True)
        self.flush(1, 0, 2)
        first, second = said(one.got[0][1]), said(other.got[0][1])
        at = second["channels"].index("rpm")
        self.assertEqual([row[at] for row in second["rows"]], [point["rpm"] for point in first["data"]])
        self.assertEqual((second["prev"], second["seq"]), (0, 3))
        self.assertIsNot(one.stream, other.stream)

    def test_cut(self) -> None:
        """A flush of more than 256 KiB is cut; the messages follow each other without a hole."""
        for subscription in (HERS, PLAIN_ASK):
            self.begin()
            watcher = self.watch(subscription)
            self.flush(*[0, 1] * 400, padding=2000)
            self.assertGreater(len(watcher.got), 2)
            last = 0
            for _, frame in watcher.got:
                prev, last, points = (last, *numbers(frame)[1:])
                self.assertEqual(frame.prev, prev)
                self.assertLess(len(frame.plain), MESSAGE_BYTES + 200)
                self.assertEqual(points[-1], frame.seq)
            self.assertEqual(last, 800)

    def test_one_large_point(self) -> None:
        """A point that is larger than a message may be goes alone."""
        stream = Stream(PLAIN_KEY, "abcd", 0, Columns())
        raws = [b'{"track":"t","chassis":"c","rpm":%d,"x":"%b"}' % (n, b"x" * 30 * (n == 2)) for n in (1, 2, 3)]
        frames = stream.messages(stream.batch(1, raws), 0, most_bytes=10)
        self.assertEqual(list(map(numbers, frames)), [(0, 1, [1]), (1, 2, [2]), (2, 3, [3])])

    def test_at_once_then_by_the_rate(self) -> None:
        """With ``max_hz`` the first point goes at once, then a message an interval, without a point to push it."""
        watcher = self.watch(Subscription(max_hz=10.0))
        self.flush(0)
        self.assertEqual([at for at, _ in watcher.got], [1000.0])
        self.run_for(0.03)
        self.flush(0, 1)
        self.run_for(0.0)
        self.assertEqual(len(watcher.got), 1)
        self.run_for(0.2)
        self.assertEqual(watcher.messages, [(0, 1, [1]), (1, 3, [2, 3])])
        self.assertLess(abs(watcher.got[1][0] - 1000.1), 0.0051)
        self.run_for(5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_more_often(self) -> None:
        """In a stream there are as many messages as were asked for, and no more."""
        for max_hz in (1.0, 7.0, 30.0, 100.0):
            self.begin()
            watcher = self.watch(Subscription(max_hz=max_hz))
            for _ in range(2000):
                self.published.publish([0])
                self.clock.advance(0.001)
            self.assertLessEqual(len(watcher.got), 2 * max_hz + 1, max_hz)
            self.assertGreaterEqual(len(watcher.got), 1.55 * max_hz, max_hz)

    def test_silence(self) -> None:
        """A second without points of its cars sends nothing; the next one goes at once."""
        watcher = self.watch(HERS._replace(max_hz=2.0))
        self.flush(1)
        for _ in range(20):
            self.flush(0)
            self.run_for(0.1)
        self.flush(2)
        self.assertEqual(watcher.messages, [(0, 1, [1]), (1, 22, [22])])
        self.assertEqual(watcher.got[1][1].filtered, 20)

    def test_clock_set_back(self) -> None:
        """A clock that is set back an hour does not silence it."""
        watcher = self.watch(Subscription(max_hz=1.0))
        self.flush(0)
        self.clock.rightNow -= 3600
        self.flush(0)
        self.run_for(1.1)
        self.flush(0)
        self.run_for(1.1)
        self.assertEqual([seq for _, seq, _ in watcher.messages], [1, 2, 3])

    @given(
        st.lists(st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.integers(0, 300)), max_size=20),
        st.sampled_from((0.5, 5.0, 50.0)),
        st.booleans(),
    )
    def test_a_peak_is_never_lost(self, flushes: list[tuple[list[int], int]], max_hz: float, hers: bool) -> None:
        """However points come, the thinned messages together tell of each once: newest, counts and ranges."""
        self.begin()
        asked: dict[str, Any] = {"chassis": ["GR86-004-78"]} if hers else {}
        watcher = self.watch((HERS if hers else Subscription())._replace(max_hz=max_hz))
        for cars, pause_ms in flushes:
            self.published.publish(cars)
            self.run_for(pause_ms / 1000)
        self.run_for(2.1)
        last = 0
        for _, frame in watcher.got:
            content = said(frame)
            self.assertEqual(content["prev"], last)
            last = content["seq"]
            wanted = thinned(self.published.wanted(asked, content["prev"], last))
            told = zip(content["data"], content["counts"], content["ranges"], strict=True)
            self.assertEqual(list(told), list(map(tuple, wanted)))
        self.assertEqual(self.published.wanted(asked, last, self.hub.last_seq), [])

    def test_lost(self) -> None:
        """What the ring lost before it was looked at shows in ``prev``, whatever was asked for."""
        self.begin(capacity=10)
        asked = (Subscription(), HERS, HERS._replace(max_hz=10.0))
        watchers = [self.watch(subscription) for subscription in asked]
        self.flush(1)
        self.run_for(1)
        self.flush(*[1] * 20, *[0] * 10)
        self.run_for(1)
        self.flush(1)
        self.run_for(1)
        self.assertEqual([watcher.messages[1][0] for watcher in watchers], [21, 21, 21])
        self.assertEqual([watcher.messages[-1][1:] for watcher in watchers], [(32, [32])] * 3)

    def test_lost_while_conflated(self) -> None:
        """What was conflated before the loss is told."""
        self.begin(capacity=10)
        watcher = self.watch(Subscription(max_hz=1.0))
        self.flush(0)
        self.flush(0, 0)
        self.flush(*[0] * 30)
        self.run_for(2)
        self.assertEqual([(prev, seq) for prev, seq, _ in watcher.messages], [(0, 1), (1, 3), (23, 33)])
        self.assertEqual([frame.conflated for _, frame in watcher.got], [0, 1, 9])

    def test_too_many_cars(self) -> None:
        """Above so many cars at a time what is let go shows in ``prev``."""
        stream = Stream(StreamKey(Subscription(max_hz=1.0)), "abcd", 0, Columns())
        for first, last in ((1, 1), (2, MOST_CARS), (MOST_CARS + 1, MOST_CARS + 2)):
            raws = [b'{"track":"t","chassis":"%d"}' % n for n in range(first, last + 1)]
            stream.take(Batch(first, raws, Columns()), 5.0)
        stream.emit(7.0)
        newest = stream.frames.newest
        self.assertEqual((newest.prev, newest.seq, newest.points), (MOST_CARS, MOST_CARS + 2, 2))

    def test_no_telemetry(self) -> None:
        """Who wants no telemetry has a stream without messages, at whose end it always is."""
        watcher = self.watch(Subscription(types=frozenset(["quality"])))
        self.flush(0, 1)
        self.assertEqual((watcher.got, watcher.stream.settled, watcher.stream.sent_seq), ([], 2, 2))
        self.assertEqual(watcher.stream.messages(Batch(1, self.hub.ring.newest(2), Columns()), 0), [])

    def test_rate(self) -> None:
        """The rate is that of the last second or so, and none after a second without a message."""
        watcher = self.watch(PLAIN_ASK)
        for _ in range(500):
            self.flush(0, padding=900)
            self.clock.advance(0.01)
        size = len(watcher.got[-1][1].plain)
        self.assertLess(abs(watcher.stream.rate(self.clock.seconds()) / (100 * size) - 1.0), 0.05)
        self.clock.advance(1.1)
        self.assertEqual(watcher.stream.rate(self.clock.seconds()), 0.0)


class StreamsTests(SynchronousTestCase):
    """`Streams` keeps one for each subscription."""

    def test_shared(self) -> None:
        """Who wants the same shares a stream, whatever other messages it wants; it goes with the last of them."""
        streams = Streams("abcd", most=5)
        key = key_of(HERS, False)
        stream = streams.get(key, 7)
        self.assertIs(streams.get(key_of(HERS._replace(types=frozenset([TELEMETRY])), False), 9), stream)
        self.assertEqual((stream.sent_seq, len(streams)), (7, 1))
        self.assertIsNot(streams.get(key_of(HERS, True), 7), stream)
        stream.clients[self] = None
        self.assertFalse(streams.left(stream))
        stream.clients.clear()
        self.assertTrue(streams.left(stream))
        self.assertEqual(len(streams), 1)

    def test_no_telemetry(self) -> None:
        """All who want no telemetry share a stream as well."""
        streams = Streams("abcd", most=5)
        keys = {key_of(HERS._replace(types=frozenset(["quality"])), packed) for packed in (True, False)}
        self.assertEqual(keys, {None})
        self.assertIs(streams.get(None, 0), streams.get(None, 0))

    def test_most(self) -> None:
        """Above so many different ones another is refused; those there are, and that of the plain, stay open."""
        streams = Streams("abcd", most=3)
        keys = [key_of(Subscription(max_hz=float(hz)), False) for hz in (1, 2, 3, 4)]
        for key in keys[:3]:
            streams.get(key, 0)
        error = self.assertRaises(FullError, streams.get, keys[3], 0)
        self.assertEqual(str(error), "3 different subscriptions are served already (MAX_SUBSCRIPTIONS)")
        streams.check(keys[0])
        streams.get(PLAIN_KEY, 0)
        self.assertEqual((len(streams), len(list(streams))), (4, 4))
        self.assertRaises(FullError, streams.check, None)
