"""Where a car was when, and when it was where."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.traces import MOST_MOMENTS, Trace

Moment = tuple[float, int, float]


def driven(from_s: float, to_s: float, speed_m_s: float = 30.0) -> list[Moment]:
    """Moments of a car on a track of a kilometre, five a second."""
    times = np.arange(from_s, to_s, 0.2).tolist()
    return [(time_s, int(speed_m_s * time_s // 1000), speed_m_s * time_s % 1000) for time_s in times]


class TraceTests(SynchronousTestCase):
    """`Trace` is looked up both ways."""

    def setUp(self) -> None:
        """A hundred seconds at 30 m/s."""
        self.trace = Trace()
        self.trace.replace(-math.inf, driven(0, 100), 1000.0, 2)

    def test_both_ways(self) -> None:
        """Between moments it is interpolated, also over the line; laps done before count."""
        for time_s in (0.0, 0.1, 33.3, 33.35, 50.0, 99.75):
            self.assertAlmostEqual(self.trace.distance(time_s), 2000 + 30 * time_s, places=6)
            self.assertAlmostEqual(self.trace.time(2000 + 30 * time_s), time_s, places=6)
            self.assertAlmostEqual(self.trace.speed(time_s), 30.0, places=6)

    def test_not_known(self) -> None:
        """Further than it came, or back beyond what is kept, nothing is known."""
        self.assertTrue(math.isnan(self.trace.time(1999.0)))
        self.assertTrue(math.isnan(self.trace.time(5100.0)))
        self.assertAlmostEqual(self.trace.distance(500.0), 2000 + 30 * 99.8)
        empty = Trace()
        self.assertEqual((len(empty), empty.newest_s, empty.distance(1.0)), (0, -math.inf, -math.inf))
        self.assertTrue(math.isnan(empty.time(0.0)))

    def test_replaced(self) -> None:
        """From some moment on it can be told anew."""
        self.trace.replace(50.0, [(60.0, 1, 790.0)], 1000.0, 2)
        self.assertEqual(self.trace.newest_s, 60.0)
        self.assertAlmostEqual(self.trace.distance(55.0), (3500 + 3790) / 2, places=6)

    def test_length(self) -> None:
        """When the track's length is known better, or how many laps were done before, all of it moves."""
        self.trace.replace(self.trace.newest_s, [], 1010.0, 3)
        self.assertAlmostEqual(self.trace.distance(50.0), 4 * 1010 + 500)

    def test_standing(self) -> None:
        """A car that stands was there when it came; its speed is 0, and a step back is none."""
        self.trace.replace(100.0, [(100.0 + n, 3, 10.0) for n in range(20)], 1000.0, 2)
        self.assertAlmostEqual(self.trace.time(2000 + 3010.0), 100.0)
        self.assertEqual(self.trace.speed(110.0), 0.0)
        self.trace.replace(200.0, [(200.0, 3, 5.0)], 1000.0, 2)
        self.assertEqual(self.trace.distance(200.0), 5010.0)

    def test_bounded(self) -> None:
        """Only the last twenty minutes are kept, and they are right."""
        for start in range(100, 4000, 7):
            self.trace.replace(self.trace.newest_s, driven(start, start + 7), 1000.0, 2)
            self.assertLessEqual(len(self.trace), 2 * MOST_MOMENTS)
        self.assertGreaterEqual(len(self.trace), MOST_MOMENTS)
        self.assertAlmostEqual(self.trace.distance(3900.0), 2000 + 30 * 3900, places=6)
        self.assertAlmostEqual(self.trace.time(2000 + 30 * 3900), 3900.0, places=6)

    @given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 1000)), max_size=60), st.lists(st.integers(0, 60)))
    def test_in_parts(self, moments: list[tuple[float, float]], at: list[int]) -> None:
        """Told bit by bit it is the same as told at once; it never goes back."""
        told = sorted((time_s, int(time_s // 9), in_lap_m) for time_s, in_lap_m in moments)
        whole, parts = Trace(), Trace()
        whole.replace(-math.inf, told, 1000.0, 0)
        ends = [0, *sorted(min(each, len(told)) for each in at), len(told)]
        for first, last in pairwise(ends):
            parts.replace(math.inf, told[first:last], 1000.0, 0)
        seconds = [each / 2 for each in range(110)]
        self.assertEqual([parts.distance(each) for each in seconds], [whole.distance(each) for each in seconds])
        self.assertEqual(sorted(map(whole.distance, seconds)), list(map(whole.distance, seconds)))
