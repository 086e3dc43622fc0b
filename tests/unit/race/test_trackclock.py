"""A track's clock is the time its cars tell, not that of one gone astray."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.trackclock import AHEAD_S, TrackClock


class TrackClockTests(SynchronousTestCase):
    """`TrackClock` shows the largest time that is believed."""

    def setUp(self) -> None:
        """Two cars, at a hundred seconds."""
        self.clock = TrackClock()
        self.shows((1, 99.5), (2, 100.0))

    def shows(self, *points: tuple[int, float]) -> list[float]:
        """What it shows after each point, a car and a time."""
        cars, times = zip(*points, strict=True)
        return list(map(float, self.clock.take(np.array(cars), np.array(times, float))))

    def test_largest(self) -> None:
        """It never goes back."""
        self.assertEqual(self.shows((1, 101.0), (2, 100.5), (1, 99.0), (2, 103.0)), [101.0, 101.0, 101.0, 103.0])

    def test_far_ahead(self) -> None:
        """One car far ahead of the others does not move it."""
        self.assertEqual(self.shows((1, 5000.0), (2, 101.0), (1, 5000.5), (2, 102.0)), [100.0, 101.0, 101.0, 102.0])
        self.assertEqual(self.clock.now_s, 102.0)

    def test_back_again(self) -> None:
        """Nor does it later, once that car's clock was put right."""
        self.shows((1, 5000.0), (2, 101.0), (1, 101.5))
        self.assertEqual(self.shows((1, 102.0), (2, 102.5), (3, 5000.0)), [102.0, 102.5, 102.5])
        self.assertNotIn(1, self.clock.ahead)

    def test_two_agree(self) -> None:
        """Two that agree do: nothing was heard for a while."""
        self.assertEqual(self.shows((1, 160.0), (2, 160.5), (1, 161.0)), [100.0, 160.5, 161.0])

    def test_two_disagree(self) -> None:
        """Two that are each somewhere else do not."""
        self.assertEqual(self.shows((1, 5000.0), (2, 9000.0), (1, 5000.5)), [100.0, 100.0, 100.0])

    def test_goes_on(self) -> None:
        """A car that goes on like that by itself moves it in the end, so that it can't stand still for ever."""
        shown = self.shows(*((1, 300.0 + second) for second in range(15)))
        self.assertEqual(shown[:11], [100.0] * 11)
        self.assertEqual(shown[-1], 314.0)

    def test_alone(self) -> None:
        """A single car on its track moves it as it likes."""
        clock = TrackClock()
        shown = clock.take(np.array([7, 7, 7]), np.array([10.0, 500.0, 400.0]))
        self.assertEqual(shown.tolist(), [10.0, 500.0, 500.0])

    @given(
        st.lists(st.tuples(st.integers(1, 3), st.floats(0, 60) | st.floats(0, 1e5)), min_size=1, max_size=40),
        st.lists(st.integers(0, 40), max_size=6),
    )
    def test_any_cut(self, points: list[tuple[int, float]], at: list[int]) -> None:
        """However points are cut into batches, and stored between, it shows the same; and it never goes back."""
        cars, times = (np.array(column) for column in zip(*points, strict=True))
        whole, parts = TrackClock(), TrackClock()
        shown = whole.take(cars, times)
        found: list[float] = []
        for some, when in zip(np.split(cars, sorted(at)), np.split(times, sorted(at)), strict=True):
            if some.size:
                found += parts.take(some, when).tolist()
                parts = msgspec.msgpack.decode(msgspec.msgpack.encode(parts), type=TrackClock)
        self.assertEqual(found, shown.tolist())
        self.assertTrue(np.all(np.diff(shown) >= 0))
        self.assertTrue(set(shown) <= set(times))

    def test_no_step_missed(self) -> None:
        """Up to ten seconds ahead is no wonder."""
        self.assertEqual(self.shows((1, 100.0 + AHEAD_S)), [100.0 + AHEAD_S])


class WrongTimeTests(SynchronousTestCase):
    """One car whose time is wrong for long."""

    def test_others_go_on(self) -> None:
        """A car an hour ahead does not move the clock, however long it goes on like that, while others do not agree."""
        clock = TrackClock()
        times = np.arange(0.0, 300.0, 0.5)
        for time_s in times:
            ahead_s = 3600.0 if time_s > 100 else 0.0
            cars, stamps = np.array([1, 2, 3]), np.array([time_s + ahead_s, time_s, time_s + 0.1])
            clock.take(cars, stamps)
        self.assertApproximates(clock.now_s, times[-1] + 0.1, 0.01)

    def test_others_stopped(self) -> None:
        """A car that goes on alone after a hole moves it: nobody is there to disagree."""
        clock = TrackClock()
        for time_s in np.arange(0.0, 50.0, 0.5):
            clock.take(np.array([1, 2]), np.array([time_s, time_s]))
        for time_s in np.arange(500.0, 530.0, 0.5):
            clock.take(np.array([1]), np.array([time_s]))
        self.assertApproximates(clock.now_s, 529.5, 0.01)
