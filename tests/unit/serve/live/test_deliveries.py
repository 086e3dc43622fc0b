"""How long points take to the clients."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pitwall.histogram import Histogram
from pitwall.hub import Hub
from pitwall.serve.live.broadcast import Broadcaster, Pace
from pitwall.serve.live.deliveries import DeliveryTimes
from pitwall.wire.points import PointDecoder
from tests.doubles import a_hub, a_point


def publish_at(hub: Hub, at: float, count: int = 1) -> None:
    """Publish points that came at that time."""
    point, _ = PointDecoder().one(a_point(), 0.0)
    hub.publish("test", [point] * count, [a_point()] * count, received_at=at)


class Slow:
    """A client that takes some time to be written to."""

    def __init__(self, clock: Clock, takes_s: float) -> None:
        self._clock = clock
        self._takes_s = takes_s

    def pump(self) -> None:
        """Take it."""
        self._clock.rightNow += self._takes_s


class DeliveryTimesTests(SynchronousTestCase):
    """`DeliveryTimes` counts each point once, by its age when the clients have it."""

    def setUp(self) -> None:
        """Nothing has come."""
        self.histogram = Histogram((0.01, 0.1, 1.0))
        self.times = DeliveryTimes(self.histogram, 100)

    def test_each_point(self) -> None:
        """Each point has the age of its own arrival."""
        self.times.came(5.0, 101)
        self.times.came(5.05, 131)
        arrivals = self.times.take()
        self.times.came(5.059, 133)
        self.times.delivered(arrivals, 5.07)
        self.assertEqual(self.histogram.counts, [0, 31, 0, 0])
        self.assertAlmostEqual(self.histogram.sum_s, 0.07 + 30 * 0.02)
        self.times.delivered(self.times.take(), 5.065)
        self.assertEqual(self.histogram.counts, [2, 31, 0, 0])

    def test_close_arrivals(self) -> None:
        """Arrivals within half a millisecond are kept as one, as old as the first, so that none is made younger."""
        for number in range(1000):
            self.times.came(5.0 + number * 0.00001, 101 + number)
        arrivals = starts, last_seq = self.times.take()
        self.assertLessEqual(len(starts), 22)
        self.assertEqual(last_seq, 1100)
        self.times.delivered(arrivals, 5.01)
        self.assertEqual(sum(self.histogram.counts), 1000)
        self.assertTrue(1000 * 0.005 <= self.histogram.sum_s <= 1000 * 0.0056, self.histogram.sum_s)

    def test_clock_set_back(self) -> None:
        """A clock that is set back makes no age below nothing, and no arrival one with those before."""
        self.times.came(5.0, 101)
        self.times.came(3.0, 102)
        arrivals = self.times.take()
        self.assertEqual(len(arrivals[0]), 2)
        self.times.delivered(arrivals, 3.0)
        self.assertEqual((self.histogram.counts, self.histogram.sum_s), ([2, 0, 0, 0], 0.0))


class BroadcasterTests(SynchronousTestCase):
    """The broadcaster times what it sends."""

    def setUp(self) -> None:
        """A broadcaster without clients."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.hub = a_hub(self)
        self.broadcaster = Broadcaster(self.hub, self.clock, Pace(0.008, 0.12), lambda: 0.0)
        self.histogram = self.hub.ledger.delivery

    def test_last_client(self) -> None:
        """A point's time ends when the last client has been written to."""
        for number in range(3):
            self.broadcaster.clients[number] = Slow(self.clock, 0.004)
        publish_at(self.hub, self.clock.seconds(), 5)
        self.clock.advance(0.02)
        self.assertEqual(sum(self.histogram.counts), 5)
        self.assertAlmostEqual(self.histogram.sum_s, 5 * (0.02 + 3 * 0.004))

    def test_nobody(self) -> None:
        """Without clients nothing is delivered, and who comes later does not make it so."""
        publish_at(self.hub, self.clock.seconds(), 5)
        self.clock.advance(1)
        self.broadcaster.clients["late"] = Slow(self.clock, 0.0)
        publish_at(self.hub, self.clock.seconds(), 2)
        self.clock.advance(0.5)
        self.assertEqual(sum(self.histogram.counts), 2)
        self.assertLess(self.histogram.sum_s, 2 * 0.51)
