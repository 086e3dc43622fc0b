"""Which points are taken in at once, which by the batch, and which not at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.intake import FINEST_S, NEAR_S, Intake, Sorted
from pitwall.race.tracker import LATE_S


def none_known(from_s: float, to_s: float) -> int:
    """A car that had sent nothing in that time."""
    return 0


def long_ago(from_s: float, to_s: float) -> int:
    """A time from which nothing is kept."""
    return -1


class IntakeTests(SynchronousTestCase):
    """`Intake` sorts points by when they came."""

    def setUp(self) -> None:
        """A car that has sent for a hundred seconds."""
        self.intake = Intake()
        self.sort(*(second / 2 for second in range(201)))

    def sort(self, *times: float) -> Sorted:
        """In one batch."""
        return self.intake.sort(times, none_known)

    def test_in_time(self) -> None:
        """Points out of order by up to two seconds are taken in at once."""
        self.assertEqual(self.sort(100.5, 99.0, 98.5, 102.0, 100.1), Sorted([0, 1, 2, 3, 4], [], [], None, False))
        self.assertEqual(self.intake.newest_s, 102.0)

    def test_late(self) -> None:
        """Later ones are, up to two minutes, taken in by the batch; beyond that they are counted."""
        found = self.sort(97.9, -19.9, -20.1, -500.0)
        self.assertEqual((found.near, found.late, self.intake.too_late), ([], [0, 1], 2))

    def test_astray(self) -> None:
        """One point far ahead is not believed; two that agree are."""
        self.assertEqual(self.sort(100.5, 5000.0, 101.0), Sorted([0, 2], [], [], None, False))
        self.assertEqual((self.intake.astray, self.intake.newest_s), (1, 101.0))
        self.assertEqual(self.sort(5000.0, 5000.5), Sorted([0, 1], [], [], None, False))

    def test_waits(self) -> None:
        """The last point of a batch, if it is far ahead, waits for the next one."""
        self.assertEqual(self.sort(100.5, 200.0).waits, 1)
        # It is given again.
        self.assertEqual(self.sort(200.0, 200.5), Sorted([0, 1], [], [], None, False))

    def test_thick(self) -> None:
        """Points that come within some milliseconds of the one before are told apart."""
        close = self.sort(100.5, 100.5 + FINEST_S / 2, 100.6, 100.6).close
        self.assertEqual(close, [1, 3])

    def test_clock_put_back(self) -> None:
        """A car that sends nothing but points from before for five seconds begins anew, if it had sent such before."""
        outing = [20 + step / 2 for step in range(20)]
        again = self.intake.sort(outing, lambda from_s, to_s: round((to_s - from_s) * 2) + 1)
        self.assertTrue(again.anew)
        self.assertEqual((again.late, self.intake.newest_s), ([], outing[-1]))

    def test_hole_filled(self) -> None:
        """If it had not, they fill a hole, and nothing begins anew; nor do a few from among those that came."""
        outing = [20 + step / 2 for step in range(20)]
        found = self.sort(*outing)
        self.assertEqual((found.anew, len(found.late)), (False, 20))
        found = self.intake.sort(outing, lambda from_s, to_s: round((to_s - from_s) * 20) + 1)
        self.assertFalse(found.anew)

    def test_clock_put_far_back(self) -> None:
        """A clock that was put back by an hour begins anew once that has lasted for five seconds."""
        found = self.intake.sort([-3600 + step / 2 for step in range(20)], long_ago)
        self.assertTrue(found.anew)
        self.assertEqual(self.intake.newest_s, -3590.5)
        # Nothing of the time before it is taken for late.
        self.assertEqual(self.intake.sort([-3590.0], long_ago).near, [0])

    @given(
        st.lists(st.floats(0, 400) | st.floats(-1e6, 1e6), max_size=60),
        st.lists(st.integers(0, 60), max_size=5),
        st.integers(-1, 20),
    )
    def test_every_point_once(self, times: list[float], cuts: Sequence[int], known: int) -> None:
        """Each point is taken in once, or counted, however they are cut; what is stored goes on the same."""
        whole, parts = Intake(), Intake()
        found = whole.sort(times, lambda from_s, to_s: known)
        if not found.anew:
            told = len(found.near) + len(found.late) + (found.waits is not None)
            self.assertEqual(told + whole.too_late + whole.astray, len(times))
        ends = [0, *sorted(min(cut, len(times)) for cut in cuts), len(times)]
        waiting: list[float] = []
        for first, last in pairwise(ends):
            batch = [*waiting, *times[first:last]]
            part = parts.sort(batch, lambda from_s, to_s: known)
            waiting = [] if part.waits is None else [batch[part.waits]]
            stored = msgspec.msgpack.encode(parts)
            parts = msgspec.msgpack.decode(stored, type=Intake)
            self.assertEqual(msgspec.msgpack.encode(parts), stored)
        self.assertEqual(msgspec.msgpack.encode(parts), msgspec.msgpack.encode(whole))
        self.assertEqual(waiting, [] if found.waits is None else [times[found.waits]])

    def test_bounds(self) -> None:
        """What is in time and what is late are far apart."""
        self.assertLess(10 * NEAR_S, LATE_S)
        self.assertTrue(math.isinf(Intake().newest_s))


class StandingTests(SynchronousTestCase):
    """Of a car that stands, few points are kept."""

    def test_standing(self) -> None:
        """After a minute one each half a second; from the moment it moves, all of them."""
        intake = Intake()
        times = [index / 20 for index in range(20 * 200)]
        speeds = [0.0 if 20 <= time_s < 150 else 30.0 for time_s in times]
        kept = [times[index] for index in intake.worth(times, speeds)]
        self.assertEqual([time_s for time_s in kept if time_s <= 80], times[: 80 * 20 + 1])
        self.assertApproximates(len([time_s for time_s in kept if 80 < time_s < 150]), 140, 3)
        self.assertEqual([time_s for time_s in kept if time_s >= 150], times[150 * 20 :])

    def test_cut(self) -> None:
        """How they are cut makes no difference, nor does a speed that comes with every fifth point."""
        times = [index / 23 for index in range(23 * 100)]
        speeds = [0.0 if index % 5 == 0 else math.nan for index in range(len(times))]
        at_once, one_by_one = Intake(), Intake()
        found = [index for index in range(len(times)) if one_by_one.worth([times[index]], [speeds[index]])]
        self.assertEqual(at_once.worth(times, speeds), found)
        self.assertLess(len(found), 23 * 60 + 90)
        self.assertEqual(msgspec.msgpack.encode(at_once), msgspec.msgpack.encode(one_by_one))
