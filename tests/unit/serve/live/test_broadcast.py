"""``pitwall.serve.live.broadcast``: when telemetry is sent, and cut into what."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pitwall.ring import PointRing
from pitwall.serve.live.broadcast import Broadcaster, Pace
from pitwall.serve.live.frames import Frame, payload_of
from pitwall.serve.live.narrowing import Narrowing
from pitwall.serve.live.stream import MESSAGE_BYTES, PLAIN_KEY, StreamKey
from pitwall.serve.live.subscription import Subscription
from tests.doubles import a_hub, frames_in, publish


class PaceTests(SynchronousTestCase):
    """`Pace` follows what a flush costs."""

    def paced(self, cost_s: float) -> float:
        """The interval after many flushes of that cost."""
        pace = Pace(shortest_s=0.008, share=0.12)
        for _ in range(200):
            pace.spent(cost_s)
        return pace.interval_s

    def test_share_of_a_core(self) -> None:
        """Flushes take the wanted share of a core, and never come more often than wanted."""
        self.assertAlmostEqual(self.paced(0.0001), 0.008)
        self.assertAlmostEqual(self.paced(0.003), 0.025, places=4)

    def test_limits(self) -> None:
        """The interval ends at 100 ms, or at 200 ms once a flush takes more than half of that."""
        self.assertEqual(self.paced(0.030), 0.1)
        self.assertEqual(self.paced(0.060), 0.2)
        self.assertEqual(self.paced(5.0), 0.2)

    def test_one_dear_flush(self) -> None:
        """A single slow flush moves the interval by a tenth of its cost."""
        pace = Pace(0.008, 0.12)
        pace.spent(0.024)
        self.assertAlmostEqual(pace.interval_s, 0.02)

    def test_slow_on_purpose(self) -> None:
        """A ``FLUSH_MS`` above the limits is respected."""
        self.assertEqual(Pace(0.5, 0.12).interval_s, 0.5)


class Screen:
    """A client that takes everything, and notes when."""

    def __init__(self, broadcaster: Broadcaster, clock: Clock) -> None:
        self.broadcaster = broadcaster
        self.failed = False
        stream = broadcaster.streams.get(PLAIN_KEY, broadcaster.flushed_seq)
        stream.clients[self] = None
        self.log = stream.frames
        self.clock = clock
        self.next = self.log.end
        self.got: list[tuple[float, dict[str, Any]]] = []
        self.said: list[Frame] = []
        broadcaster.clients[self] = self

    def pump(self) -> None:
        """Take what is new."""
        while self.next < self.log.end:
            ((_, payload),) = frames_in(self.log.get(self.next).plain)
            self.got.append((self.clock.seconds(), json.loads(payload)))
            self.next += 1

    def tell(self, narrowing: Narrowing) -> None:
        """Take a message that is not telemetry."""
        self.said.append(narrowing.of(Subscription()))

    def fail(self) -> None:
        """A fault while it was served."""
        self.broadcaster.clients.pop(self)
        self.failed = True

    @property
    def times(self) -> list[float]:
        """When each message came."""
        return [moment for moment, _ in self.got]

    @property
    def numbers(self) -> list[tuple[int, int, int]]:
        """``prev``, ``seq`` and the number of points of each message."""
        return [(message["prev"], message["seq"], len(message["data"])) for _, message in self.got]


class BroadcasterTests(SynchronousTestCase):
    """`Broadcaster` sends every point once, in time."""

    def setUp(self) -> None:
        """A broadcaster with one client; a flush costs what ``cost_s`` says."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.start(capacity=1000)

    def start(self, capacity: int) -> None:
        """Begin with a ring of that size."""
        self.hub = a_hub(self, capacity)
        self.cost_s = 0.0
        self.cpu_s = 0.0
        self.broadcaster = Broadcaster(self.hub, self.clock, Pace(0.008, 0.12), self.cpu_time)
        self.screen = Screen(self.broadcaster, self.clock)

    def cpu_time(self) -> float:
        """The thread's time: each look at it is half a flush later."""
        self.cpu_s += self.cost_s
        return self.cpu_s

    def run_for(self, seconds: float, step: float = 0.001) -> None:
        """Let time pass."""
        self.clock.pump([step] * round(seconds / step))

    def test_at_once_after_quiet(self) -> None:
        """The first point after a quiet spell goes out in the same turn, not after an interval."""
        publish(self.hub)
        self.clock.advance(0)
        self.assertEqual(self.screen.times, [1000.0])
        self.run_for(5)
        publish(self.hub)
        self.clock.advance(0)
        self.assertAlmostEqual(self.screen.times[-1], 1005.0)

    def test_then_at_intervals(self) -> None:
        """In a stream messages follow at the interval, each with all points since the one before."""
        for _ in range(100):  # a point a millisecond
            publish(self.hub)
            self.clock.advance(0.001)
        self.run_for(0.01)
        gaps = [after - before for before, after in zip(self.screen.times, self.screen.times[1:], strict=False)]
        self.assertTrue(all(0.0079 < gap < 0.0091 for gap in gaps), gaps)
        self.assertEqual(sum(count for _, _, count in self.screen.numbers), 100)
        self.assertEqual(self.hub.ledger.messages_broadcast, len(self.screen.got))

    def test_last_points_of_a_burst(self) -> None:
        """A burst and then silence: all of it arrives within an interval, without another point to push it."""
        publish(self.hub)
        self.clock.advance(0)
        publish(self.hub, 36)
        self.run_for(0.009)
        self.assertEqual(self.screen.numbers, [(0, 1, 1), (1, 37, 36)])

    def test_nothing_without_points(self) -> None:
        """Silence sends nothing and wakes nobody."""
        publish(self.hub)
        self.run_for(10)
        self.assertEqual(len(self.screen.got), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_points_are_those_published(self) -> None:
        """The points of a message are the JSON that was published, in order, under the numbers it names."""
        raws = publish(self.hub, 3)
        self.clock.advance(0)
        ((_, message),) = self.screen.got
        self.assertEqual(message["data"], list(map(json.loads, raws)))
        self.assertEqual((message["type"], message["epoch"], message["prev"], message["seq"]), (
            "telemetry_update", "abcd", 0, 3,
        ))  # fmt: skip

    def test_interval_follows_cost(self) -> None:
        """With many clients a flush is dear and the interval grows, so that flushes stay at their share of a core."""
        self.cost_s = 0.0036
        for _ in range(2000):
            publish(self.hub)
            self.clock.advance(0.001)
        late = [moment for moment in self.screen.times if moment > 1001]
        interval = (late[-1] - late[0]) / (len(late) - 1)
        self.assertTrue(0.029 < interval < 0.032, interval)

    def test_urgent_before_the_ring_laps(self) -> None:
        """When points come so fast that the ring would go round within an interval, they are sent before."""
        self.start(capacity=100)
        for _ in range(40):  # all in one moment
            publish(self.hub, 10)
        self.clock.advance(1)
        self.assertEqual(sum(count for _, _, count in self.screen.numbers), 400)
        self.assert_no_hole()

    def test_no_more_than_one_timer(self) -> None:
        """However a flush comes about, at most one more is waiting."""
        self.start(capacity=100)
        for count in (1, 1, 30, 1, 1, 60, 5):
            publish(self.hub, count)
            self.assertLessEqual(len(self.clock.getDelayedCalls()), 1)

    def assert_no_hole(self) -> None:
        """Each message begins where the one before has ended."""
        last = 0
        for prev, seq, count in self.screen.numbers:
            self.assertEqual((prev, seq - prev), (last, count))
            last = seq

    def test_overrun_shows(self) -> None:
        """One publish of more than the ring holds: what is left is sent, and ``prev`` says that points are missing."""
        self.start(capacity=100)
        publish(self.hub, 10)
        self.clock.advance(0)
        publish(self.hub, 250)
        self.clock.advance(1)
        self.assertEqual(self.screen.numbers, [(0, 10, 10), (160, 260, 100)])

    def test_large_flush_is_cut(self) -> None:
        """A flush over 256 KiB is several messages in a row, without a hole, however uneven its points are."""
        self.start(capacity=10_000)
        publish(self.hub, 300, padding=50)
        publish(self.hub, 60, padding=15_000)
        publish(self.hub, 300, padding=50)
        self.clock.advance(0)
        self.assert_no_hole()
        self.assertEqual(self.screen.numbers[-1][1], 660)
        sizes = [len(self.screen.log.get(n).plain) for n in range(self.screen.log.end)]
        self.assertLess(max(sizes), MESSAGE_BYTES + 200)
        self.assertEqual(len(sizes), 4)
        self.assertEqual(self.hub.ledger.messages_broadcast, 1)

    def test_clock_set_back(self) -> None:
        """A clock that is set back an hour delays the stream by a fifth of a second, not by an hour."""
        publish(self.hub)
        self.clock.advance(0)
        self.clock.rightNow -= 3600
        publish(self.hub)
        self.run_for(0.201)
        self.assertEqual(len(self.screen.got), 2)

    def test_nobody_watches(self) -> None:
        """Without clients nothing is framed or kept; who comes later starts with what comes then."""
        self.broadcaster.clients.clear()
        publish(self.hub, 50)
        self.clock.advance(1)
        self.assertEqual(self.screen.log.end, 0)
        self.assertEqual(self.hub.ledger.messages_broadcast, 1)
        late = Screen(self.broadcaster, self.clock)
        publish(self.hub, 2)
        self.clock.advance(1)
        self.assertEqual(late.numbers, [(50, 52, 2)])

    def test_leaving_while_served(self) -> None:
        """A client that leaves in the middle of a flush costs the others nothing."""
        other = Screen(self.broadcaster, self.clock)
        taken = self.screen.pump

        def leave() -> None:
            taken()
            self.broadcaster.clients.pop(self.screen)

        self.patch(self.screen, "pump", leave)
        publish(self.hub)
        self.clock.advance(0.01)
        publish(self.hub)
        self.clock.advance(0.01)
        self.assertEqual((len(self.screen.got), len(other.got)), (1, 2))

    def test_tell(self) -> None:
        """An insight goes to every client, as one frame made once."""
        other = Screen(self.broadcaster, self.clock)
        self.broadcaster.tell({"data": []})
        (said,) = self.screen.said
        wanted = {"type": "insight_update", "epoch": self.broadcaster.hub.epoch, "insight_seq": 1, "data": []}
        self.assertEqual(json.loads(payload_of(said.plain).tobytes()), wanted)
        self.assertIs(self.screen.said[0], other.said[0])

    def test_survives_a_fault(self) -> None:
        """A client that can't be served is let go; all others get the same flush, and those after it."""
        other = Screen(self.broadcaster, self.clock)
        self.patch(self.screen, "pump", lambda: 1 / 0)
        for _ in range(2):
            publish(self.hub)
            self.clock.advance(1)
        self.assertTrue(self.screen.failed)
        self.assertEqual(other.numbers, [(0, 1, 1), (1, 2, 1)])

    def test_insights_survive_a_fault(self) -> None:
        """So it is with insights."""
        other = Screen(self.broadcaster, self.clock)
        self.patch(self.screen, "tell", lambda narrowing: 1 / 0)
        self.broadcaster.tell({})
        self.assertEqual((self.screen.failed, len(other.said)), (True, 1))

    def test_fault_of_a_stream(self) -> None:
        """A subscription that can't be served costs its own clients the connection, and the others nothing."""
        stream = self.broadcaster.streams.get(StreamKey(Subscription(max_hz=1.0)), 0)
        stream.clients[self.screen] = None
        other = Screen(self.broadcaster, self.clock)
        self.patch(stream, "take", lambda batch, now: 1 / 0)
        publish(self.hub)
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((self.screen.failed, other.numbers), (True, [(0, 1, 1)]))

    def test_flush_fails(self) -> None:
        """A flush that fails as a whole is logged, and the next one comes all the same."""
        self.patch(self.hub.ring, "between", lambda first, last: 1 / 0)
        publish(self.hub)
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.patch(self.hub.ring, "between", PointRing.between.__get__(self.hub.ring))
        publish(self.hub)
        self.clock.advance(1)
        self.assertEqual(self.screen.numbers, [(1, 2, 1)])
