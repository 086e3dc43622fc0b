"""The random numbers of the simulator."""

from __future__ import annotations

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.sim.noise import normal, stream_key, uniform


class NoiseTests(SynchronousTestCase):
    """`uniform` and `normal` give numbers that look random and can be looked up."""

    def test_known_values(self) -> None:
        """The numbers of a seed are the same on every machine and in every release."""
        drawn = uniform(stream_key(1, 2), np.arange(3))
        self.assertEqual(drawn.tolist(), [0.46583433121470474, 0.6514754626016991, 0.42700329599888465])

    def test_any_window(self) -> None:
        """A number depends on its index alone, not on what was asked for with it."""
        key = stream_key(7, 1)
        self.assertEqual(normal(key, np.arange(100))[40:60].tolist(), normal(key, np.arange(40, 60)).tolist())

    def test_uniform_moments(self) -> None:
        """The even numbers lie between 0 and 1, evenly."""
        drawn = uniform(stream_key(3), np.arange(20000))
        self.assertTrue(drawn.min() > 0 and drawn.max() < 1)
        counts, _ = np.histogram(drawn, bins=10, range=(0, 1))
        self.assertTrue(np.all(np.abs(counts - 2000) < 200), counts)

    def test_normal_moments(self) -> None:
        """The normal numbers have mean 0, deviation 1, and do not follow from their neighbors."""
        drawn = normal(stream_key(4), np.arange(20000))
        self.assertLess(abs(drawn.mean()), 0.03)
        self.assertLess(abs(drawn.std() - 1), 0.03)
        self.assertLess(abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]), 0.03)

    def test_streams_differ(self) -> None:
        """Two streams of one seed, and one stream of two seeds, have nothing in common."""
        index = np.arange(20000)
        first = normal(stream_key(5, 1), index)
        for other in (stream_key(5, 2), stream_key(6, 1), stream_key(5, 1, 0)):
            self.assertLess(abs(np.corrcoef(first, normal(other, index))[0, 1]), 0.03)
