"""The ring of the last points."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.ring import PointRing


class PointRingTests(SynchronousTestCase):
    """`PointRing` is the tail of a list."""

    @given(st.integers(1, 9), st.lists(st.integers(0, 25), max_size=12), st.integers(-2, 60), st.integers(-2, 60))
    def test_tail_of_a_list(self, capacity: int, batches: list[int], first: int, last: int) -> None:
        """Whatever came in whatever batches, the ring holds the newest points, in order, under their numbers."""
        ring = PointRing(capacity)
        every: list[bytes] = []
        for size in batches:
            batch = [b"%d" % seq for seq in range(len(every) + 1, len(every) + 1 + size)]
            every += batch
            ring.append(batch)
            self.assertEqual(ring.last_seq, len(every))
        held = every[-capacity:]
        self.assertEqual(len(ring), len(held))
        self.assertEqual(ring.first_seq, len(every) - len(held) + 1)
        for count in range(capacity + 3):
            self.assertEqual(ring.newest(count), held[max(len(held) - count, 0) :])
        numbered = dict(enumerate(every, 1))
        wanted = [numbered[seq] for seq in range(first, last + 1) if seq in numbered and numbered[seq] in held]
        self.assertEqual(ring.between(first, last), wanted)

    def test_what_is_given_stays(self) -> None:
        """What was read does not change when more points come."""
        ring = PointRing(2)
        ring.append([b"1", b"2"])
        read = ring.newest(2)
        ring.append([b"3"])
        self.assertEqual(read, [b"1", b"2"])

    def test_no_room(self) -> None:
        """A ring without room is refused."""
        self.assertRaises(ValueError, PointRing, 0)
