"""The rows of a car, in the order of its clock."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.buffer import MOST_ROWS, RowBuffer
from pitwall.rows import numbered
from tests.unit.race.recordings import START_S, Rows, hand_made


def at(*seconds: float, first: int = 1) -> Rows:
    """Rows at these moments, numbered on from ``first``."""
    return numbered(hand_made(np.array(seconds)), first)


class RowBufferTests(SynchronousTestCase):
    """`RowBuffer` sorts rows in."""

    @given(st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=12))
    def test_sorted(self, batches: list[list[int]]) -> None:
        """However they come, they are in order of time; of the same moment, those that came first are first."""
        buffer, count = RowBuffer(), 0
        for batch in batches:
            buffer.add(at(*batch, first=count + 1) if batch else at())
            count += len(batch)
        came = [(second, number) for number, second in enumerate((each for batch in batches for each in batch), 1)]
        kept = zip((buffer.times - START_S).tolist(), buffer.rows["seq"].tolist(), strict=True)
        self.assertEqual(list(kept), sorted(came))
        self.assertEqual(len(buffer), count)

    @given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=80), st.integers(0, 60), st.integers(0, 60))
    def test_spans(self, steps: list[tuple[int, bool]], first: int, last: int) -> None:
        """A span has its ends in it; what was dropped is gone, and it is known from when on all is there."""
        buffer, from_s = RowBuffer(), -1
        kept: list[int] = []
        for second, drop in steps:
            if drop:
                buffer.drop_before(START_S + second)
                kept, from_s = [each for each in kept if each >= second], max(from_s, second)
            else:
                buffer.add(at(second))
                kept = sorted([*kept, second])
        self.assertEqual((buffer.times - START_S).tolist(), kept)
        found = buffer.between(START_S + first, START_S + last)["time_s"] - START_S
        self.assertEqual(found.tolist(), [each for each in kept if first <= each <= last])
        found = buffer.after(START_S + first)["time_s"] - START_S
        self.assertEqual(found.tolist(), [each for each in kept if each > first])
        self.assertEqual(buffer.kept_from_s, START_S + from_s if from_s >= 0 else -np.inf)

    def test_bounded(self) -> None:
        """The oldest of too many are dropped, and the room for them does not grow with the race."""
        buffer = RowBuffer()
        for start in range(0, 5 * MOST_ROWS, 500):
            buffer.add(at(*range(start, start + 500)))
            buffer.drop_before(START_S + start - 400)
        self.assertEqual(len(buffer), 900)
        self.assertLess(buffer._room.size, 10_000)
        for start in range(5 * MOST_ROWS, 8 * MOST_ROWS, 500):
            buffer.add(at(*range(start, start + 500)))
        self.assertEqual(len(buffer), MOST_ROWS)
        self.assertEqual(buffer.kept_from_s, buffer.times[0])
        self.assertLess(buffer._room.size, 5 * MOST_ROWS)
