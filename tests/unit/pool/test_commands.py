"""Lists that travel in parts."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from pitwall.pool.commands import PART_BYTES, in_parts


class PartTests(SynchronousTestCase):
    """A list of any length fits into AMP values."""

    def test_whole_again(self) -> None:
        """The parts, one after the other, are the list; each is smaller than AMP's limit."""
        for count in (0, 1, 300, 5000):
            items = [[number, "x" * (number % 200)] for number in range(count)]
            parts = in_parts(items)
            self.assertTrue(all(len(part) <= 65_535 for part in parts))
            self.assertEqual([item for part in parts for item in msgspec.msgpack.decode(part)], items)
        self.assertGreater(len(parts), 8)

    def test_small(self) -> None:
        """A short list, an empty one too, is one part."""
        self.assertEqual(len(in_parts([])), 1)
        self.assertEqual(len(in_parts(list(range(100)))), 1)

    def test_large_item(self) -> None:
        """An item that fits into no part is an error, and not cut."""
        self.assertRaises(ValueError, in_parts, ["x" * PART_BYTES])
