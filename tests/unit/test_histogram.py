"""Durations in classes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.histogram import BOUNDS_S, Histogram


class HistogramTests(SynchronousTestCase):
    """`Histogram` counts each duration in one class."""

    @given(st.lists(st.tuples(st.floats(0, 10) | st.sampled_from(BOUNDS_S), st.integers(1, 5))))
    def test_classes(self, seen: list[tuple[float, int]]) -> None:
        """Up to each bound, itself included, there are as many as were seen; nothing is lost above the last."""
        histogram = Histogram()
        for value, count in seen:
            histogram.observe(value, count)
        for index, bound in enumerate(BOUNDS_S):
            self.assertEqual(
                sum(histogram.counts[: index + 1]), sum(count for value, count in seen if value <= bound), bound
            )
        self.assertEqual(sum(histogram.counts), sum(count for _, count in seen))
        self.assertAlmostEqual(histogram.sum_s, sum(value * count for value, count in seen))
