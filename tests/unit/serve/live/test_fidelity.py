"""``pitwall.serve.live.fidelity``: what clients on all sorts of links get, and how soon."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.live.broadcast import Broadcaster, Pace
from pitwall.serve.live.delivery import Delivery
from pitwall.serve.live.fidelity import LATE_S, LEAST_LIMIT, MOST_PINGS, PING_BYTES, SNAPSHOT_S, Fidelity
from pitwall.serve.live.frames import Frame
from pitwall.serve.live.subscription import Subscription
from pitwall.wire.points import PointDecoder
from tests.doubles import a_hub

STEP_S = 0.01
FOREVER = 1e9


class Link:
    """
    A client behind a link: what is written waits in buffers, trickles through, and its pings are answered.

    Args:
        clock: of the test.
        bytes_per_s: that it carries.
        rtt_s: what a byte and the answer to it take besides.
        buffer_bytes: what the kernels on both sides hold; what is above waits in the transport.
        answers: whether pings are answered.
    """

    def __init__(
        self, clock: Clock, bytes_per_s: float, rtt_s: float = 0.0, buffer_bytes: int = 1 << 20, answers: bool = True
    ) -> None:
        self.clock = clock
        self.bytes_per_s, self.rtt_s, self.buffer_bytes, self.answers = bytes_per_s, rtt_s, buffer_bytes, answers
        self.paused = False
        self.delivery: Any = None
        self.frozen = False
        self.under_way = 0.0
        self.most_under_way = 0.0
        self._written = self._read = 0.0
        self._pings: deque[tuple[float, bytes]] = deque()
        self._pongs: deque[tuple[float, bytes]] = deque()
        #: When each ping went.
        self.pings: list[float] = []
        #: When each message was written, and whether it was thinned.
        self.got: list[tuple[float, bool]] = []
        #: When the quality changed, and to what.
        self.levels: list[tuple[float, bool]] = []

    def write(self, frame: Frame) -> None:
        """Telemetry."""
        self.got.append((self.clock.seconds(), frame.conflated > 0))
        self.say(frame)

    def say(self, frame: Frame) -> None:
        """Anything."""
        self._take(len(frame.plain))

    def ping(self, payload: bytes) -> None:
        """A ping, which is read behind all that was written before it."""
        self._take(len(payload) + 2)
        self.pings.append(self.clock.seconds())
        self._pings.append((self._written, payload))

    def pump(self) -> None:
        """Something is there for it."""
        self.delivery.pump()

    def fail(self) -> None:
        """A fault of the server's."""
        raise

    def _take(self, size: int) -> None:
        self._written += size
        self.delivery.fidelity.written += size
        self.under_way = self._written - self._read
        self.most_under_way = max(self.most_under_way, self.under_way)
        if not self.paused and self.under_way > self.buffer_bytes + (64 << 10):
            self.paused = True
            self.delivery.fidelity.stuck(self.clock.seconds())

    def turn(self) -> None:
        """What the link carries in a step, and what comes back."""
        now = self.clock.seconds()
        if not self.frozen:
            self._read = min(self._read + self.bytes_per_s * STEP_S, self._written)
            self.under_way = self._written - self._read
        while self._pings and self._pings[0][0] <= self._read:
            self._pongs.append((now + self.rtt_s, self._pings.popleft()[1]))
        while self.answers and self._pongs and self._pongs[0][0] <= now:
            if self.delivery.fidelity.ponged(self._pongs.popleft()[1], now):
                self.delivery.pump()
        if self.paused and self.under_way <= self.buffer_bytes:
            self.paused = False
            self.delivery.pump()
        if self.delivery.fidelity.reduced != bool(self.levels and self.levels[-1][1]):
            self.levels.append((now, self.delivery.fidelity.reduced))


class LinkTests(SynchronousTestCase):
    """`Fidelity` and `Delivery` on simulated links."""

    def setUp(self) -> None:
        """A broadcaster without clients."""
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.hub = a_hub(self, 200_000)
        self.broadcaster = Broadcaster(self.hub, self.clock, Pace(0.008, 0.12), lambda: 0.0)
        self.began = self.clock.seconds()
        self.decoder = PointDecoder()

    def link(self, bytes_per_s: float, *args: Any, max_hz: float | None = None, **options: Any) -> Link:
        """A client behind a link."""
        link = Link(self.clock, bytes_per_s, *args, **options)
        subscription = Subscription(max_hz=max_hz)
        link.delivery = Delivery(self.broadcaster, self.clock, link, subscription, False, 2_000_000)
        self.broadcaster.clients[link] = link.delivery
        return link

    def flow(self, seconds: float, bytes_per_s: float, *links: Link, cars: int = 1) -> None:
        """Points of so many bytes together for so long."""
        count = max(round(bytes_per_s * STEP_S / 1000), 1)
        padding = b"x" * max(round(bytes_per_s * STEP_S / count) - 80, 0)
        text = b'{"meta_time":"2025-09-06T18:41:40.000Z","track":"barber","chassis":"%d","rpm":%d,"raw_source":"%b"}'
        for step in range(round(seconds / STEP_S)):
            raws = [text % ((step * count + n) % cars, step, padding) for n in range(count)]
            self.hub.publish("test", [self.decoder.one(raw, 0.0)[0] for raw in raws[:1]] * count, raws, 0.0)
            self.clock.advance(STEP_S)
            for link in links:
                link.turn()
            if step % 100 == 99:
                for link in links:
                    link.delivery.look(self.clock.seconds())

    def since_start(self, link: Link) -> list[tuple[float, bool]]:
        """The changes of quality, by the seconds since the start."""
        return [(round(at - self.began, 2), reduced) for at, reduced in link.levels]

    def test_fast(self) -> None:
        """A client that can take it gets every point, always, and soon no more than two pings a second."""
        link = self.link(100e6, 0.001)
        self.flow(5, 1.75e6, link)
        self.assertEqual(link.levels, [])
        self.assertFalse(any(thinned for _, thinned in link.got))
        self.assertEqual(link.delivery.delivered, self.broadcaster.flushed_seq)
        late = [at for at in link.pings if at > self.began + 2.5]
        self.assertTrue(4 <= len(late) <= 6, len(late))

    def test_many_fast(self) -> None:
        """Of many healthy clients each is pinged rarely: all together some hundred times a second."""
        link = self.link(100e6, 0.001)
        for number in range(1999):
            self.broadcaster.clients[number] = link.delivery
        for _ in range(40):
            self.flow(0.5, 100e3, link)
            self.broadcaster.clients = {link: link.delivery} | dict.fromkeys(range(1999), Idle())
        late = [at for at in link.pings if at > self.began + 3]
        self.assertLessEqual(len(late), 2)

    def test_slow(self) -> None:
        """64 kB/s for a stream of 1.75 MB/s: reduced in a second, hardly anything under way, and no flapping."""
        link = self.link(64e3, 0.02)
        self.flow(1.0, 1.75e6, link)
        self.assertTrue(link.delivery.fidelity.reduced)
        self.flow(1.0, 1.75e6, link)
        link.most_under_way = 0
        self.flow(60, 1.75e6, link)
        self.assertLess(link.most_under_way, 128 << 10)
        climbs = [at for at, reduced in self.since_start(link) if not reduced]
        self.assertLessEqual(len(climbs), 6)
        pauses = [after - before for before, after in pairwise(climbs)]
        self.assertEqual(pauses, sorted(pauses))

    def test_gets_slow(self) -> None:
        """A client that was fast and is no more goes down within a second, and its backlog is what the pings allow."""
        link = self.link(100e6, 0.02)
        self.flow(5, 1.75e6, link)
        link.bytes_per_s = 64e3
        at = self.clock.seconds() - self.began
        self.flow(1.5, 1.75e6, link)
        ((down_at, reduced),) = self.since_start(link)
        self.assertTrue(reduced)
        self.assertLess(down_at - at, 1.2)
        self.assertLess(link.most_under_way, 1.2e6)

    def test_climbs_back(self) -> None:
        """It climbs back by itself some seconds after the link is good again, and stays."""
        link = self.link(64e3, 0.02)
        self.flow(5, 1.75e6, link)
        link.bytes_per_s = 100e6
        at = self.clock.seconds() - self.began
        self.flow(10, 1.75e6, link)
        up_at, reduced = self.since_start(link)[-1]
        self.assertFalse(reduced)
        self.assertLess(up_at - at, 7)
        self.flow(5, 1.75e6, link)
        self.assertEqual(self.since_start(link)[-1], (up_at, False))

    def test_nearly_enough(self) -> None:
        """A link that carries a little less than the stream, with many cars, does not flap."""
        link = self.link(1.0e6, 0.02)
        self.flow(40, 1.2e6, link, cars=60)
        self.assertLessEqual(len(link.levels), 10)
        self.assertTrue(link.delivery.fidelity.reduced)

    def test_far_away(self) -> None:
        """300 ms away with bandwidth enough: every point again in some seconds, however large the messages."""
        for cars, rate in ((1, 1.75e6), (60, 1.75e6), (60, 100e3)):
            self.setUp()
            link = self.link(100e6, 0.3)
            self.flow(12, rate, link, cars=cars)
            changes = len(link.levels)
            self.assertFalse(link.delivery.fidelity.reduced, (cars, rate))
            self.flow(10, rate, link, cars=cars)
            self.assertEqual(len(link.levels), changes, (cars, rate))

    def test_route_becomes_longer(self) -> None:
        """A client whose way becomes 400 ms longer is late at first, and then not any more."""
        link = self.link(100e6, 0.02)
        self.flow(5, 1.75e6, link, cars=60)
        link.rtt_s = 0.42
        self.flow(15, 1.75e6, link, cars=60)
        changes = len(link.levels)
        self.assertFalse(link.delivery.fidelity.reduced)
        self.flow(10, 1.75e6, link, cars=60)
        self.assertEqual(len(link.levels), changes)

    def test_hiccup(self) -> None:
        """A link that stands still for 300 ms now and then costs no point and no quality."""
        link = self.link(100e6, 0.02)
        self.flow(3, 500e3, link)
        for _ in range(5):
            link.frozen = True
            self.flow(0.3, 500e3, link)
            link.frozen = False
            self.flow(2, 500e3, link)
        self.assertEqual(link.levels, [])

    def test_long_pause(self) -> None:
        """After two seconds of standstill there is one snapshot with all of it, and soon every point."""
        link = self.link(100e6, 0.02)
        self.flow(3, 1.75e6, link)
        link.frozen = True
        self.flow(2, 1.75e6, link)
        link.frozen = False
        self.flow(6, 1.75e6, link)
        self.assertEqual([reduced for _, reduced in link.levels], [True, False])
        delivery = link.delivery
        self.assertEqual(delivery.dropped, 0)
        self.assertEqual(delivery.delivered + delivery.conflated, self.broadcaster.flushed_seq)

    def test_never_answers(self) -> None:
        """A client that never answers a ping is judged by its socket: with a good one it gets every point."""
        link = self.link(100e6, 0.02, answers=False)
        self.flow(8, 1.75e6, link)
        self.assertFalse(link.delivery.fidelity.reduced)
        changes = len(link.levels)
        self.flow(8, 1.75e6, link)
        self.assertEqual(len(link.levels), changes)
        self.assertLessEqual(len(link.pings), 200)

    def test_never_answers_and_is_slow(self) -> None:
        """With a bad one it is reduced, climbs ever more rarely, and its pings are not kept for ever."""
        link = self.link(64e3, 0.02, buffer_bytes=256 << 10, answers=False)
        self.flow(60, 1.75e6, link)
        self.assertLess(len([1 for _, reduced in link.levels if not reduced]), 8)
        self.assertLess(link.most_under_way, (256 << 10) + (64 << 10) + 20_000)
        self.assertLessEqual(len(link.delivery.fidelity._pings), MOST_PINGS)

    def test_max_hz(self) -> None:
        """A thinned stream that is little enough is no matter for a slow link."""
        link = self.link(64e3, 0.05, max_hz=10)
        self.flow(10, 1.75e6, link)
        self.assertEqual(link.levels, [])
        self.assertTrue(90 <= len(link.got) <= 102, len(link.got))


class Idle:
    """A client that wants nothing."""

    def pump(self) -> None:
        """Nothing to do."""


class FidelityTests(SynchronousTestCase):
    """`Fidelity` by itself."""

    def written(self, fidelity: Fidelity, size: int, payload: bytes, now: float) -> None:
        """So many bytes, and a ping behind them."""
        fidelity.written += size
        fidelity.pinged(payload, now)

    def test_limit(self) -> None:
        """A new client may have 64 KiB unread; each pong in time for that much makes it fourfold, up to none."""
        fidelity, unread, now = Fidelity(0.0), [], 0.0
        for number in range(8):
            payload, size = b"%d" % number, 0
            while fidelity.open(now) and size < 4 << 20:
                fidelity.written += PING_BYTES
                size += PING_BYTES
            unread.append(size)
            fidelity.pinged(payload, now)
            now += 0.01
            fidelity.ponged(payload, now)
        self.assertEqual([size >> 10 for size in unread], [64, 256, *[4096] * 6])
        fidelity.stuck(now)
        fidelity.written += LEAST_LIMIT
        self.assertFalse(fidelity.open(now))

    def test_late(self) -> None:
        """While a pong is late, 64 KiB is the limit again."""
        fidelity = Fidelity(0.0)
        self.written(fidelity, 100, b"1", 0.0)
        fidelity.ponged(b"1", 0.05)
        self.written(fidelity, LEAST_LIMIT - 1, b"2", 3.0)
        fidelity.ponged(b"2", 3.01)
        self.written(fidelity, 3 * LEAST_LIMIT // 2, b"3", 3.1)
        self.assertTrue(fidelity.open(3.1 + LATE_S))
        self.assertFalse(fidelity.open(3.16 + LATE_S))
        fidelity.ponged(b"3", 4.0)
        self.assertTrue(fidelity.open(4.0))

    def test_one_pong_for_several(self) -> None:
        """A client may answer the newest ping alone; an answer to none of ours means nothing."""
        fidelity = Fidelity(0.0)
        for number in range(3):
            self.written(fidelity, 10, b"%d" % number, 0.0)
        self.assertFalse(fidelity.ponged(b"7", 0.01))
        self.assertTrue(fidelity.waits)
        self.assertTrue(fidelity.ponged(b"2", 0.01))
        self.assertFalse(fidelity.waits)
        self.assertFalse(fidelity.ponged(b"1", 0.01))
        self.assertEqual(fidelity.read, 30)

    def test_clock_set_back(self) -> None:
        """A clock that is set back an hour makes nobody late for ever, and silences nobody who is behind."""
        fidelity = Fidelity(10_000.0)
        self.written(fidelity, 10, b"1", 10_000.0)
        fidelity.ponged(b"1", 6400.0)
        self.written(fidelity, 10, b"2", 6401.0)
        fidelity.ponged(b"2", 6401.01)
        self.assertFalse(fidelity.late(6402.0))
        self.written(fidelity, 10, b"3", 6402.0)
        self.assertFalse(fidelity.late(6402.2))
        fidelity.reduce(10_000.0)
        fidelity.snapped(10_000.0)
        self.assertLessEqual(fidelity.snapshot_wait(6400.0), SNAPSHOT_S)
        fidelity.ponged(b"3", 6403.0)
        self.written(fidelity, 100, b"4", 6403.0)
        fidelity.ponged(b"4", 6403.01)
        self.assertTrue(fidelity.may_climb(6403.01, 10.0))

    def test_stalled(self) -> None:
        """How long nothing was read counts from the ping, not from what was written after it."""
        fidelity = Fidelity(0.0)
        self.assertEqual(fidelity.stalled_for(100.0), 0.0)
        self.written(fidelity, 10, b"1", 100.0)
        self.written(fidelity, 10, b"2", 104.0)
        self.assertEqual(fidelity.stalled_for(105.0), 5.0)
        fidelity.ponged(b"1", 105.0)
        self.assertEqual(fidelity.stalled_for(106.0), 1.0)
