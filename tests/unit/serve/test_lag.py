"""The reactor's lag is measured by a timer that should fire every 50 ms."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.lag import EVERY_S, ReactorLag


class ReactorLagTests(SynchronousTestCase):
    """`ReactorLag` tells percentiles of how late it was called."""

    def test_figures(self) -> None:
        """A reactor that was held once for 80 ms in a hundred looks shows it in the highest figures alone."""
        clock = Clock()
        lag = ReactorLag(clock)
        self.assertEqual(lag.figures(), {"p50": 0.0, "p99": 0.0, "p99_9": 0.0, "max": 0.0})
        lag.startService()
        for number in range(100):
            clock.advance(EVERY_S + (0.08 if number == 50 else 0.0))
        self.assertEqual(lag.figures(), {"p50": 0.0, "p99": 0.0, "p99_9": 0.0, "max": 80.0})
        for _ in range(20):
            clock.advance(EVERY_S + 0.002)
        self.assertEqual(lag.figures()["p99"], 2.0)
        self.assertEqual(sum(lag.histogram.counts), 120)
        self.assertAlmostEqual(lag.histogram.sum_s, 0.08 + 20 * 0.002)
        lag.stopService()
        self.assertEqual(clock.getDelayedCalls(), [])
