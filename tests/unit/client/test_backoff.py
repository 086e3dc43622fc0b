"""``pitwall.client.backoff``: the pauses between tries."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from pitwall.client.backoff import Backoff


class Most(random.Random):
    """Chance that always goes for the most."""

    def uniform(self, a: float, b: float) -> float:
        """The upper end."""
        return b


class BackoffTests(SynchronousTestCase):
    """``Backoff``."""

    def test_doubles(self) -> None:
        """The most it waits doubles with every failure, up to the longest, however many there are."""
        backoff = Backoff(0.5, 10, chance=Most())
        self.assertEqual([backoff.delay() for _ in range(6)], [0.5, 1, 2, 4, 8, 10])
        self.assertEqual({backoff.delay() for _ in range(2000)}, {10})

    def test_jitter(self) -> None:
        """A wait is anything from nothing to the most, so that clients do not come back all at once."""
        waits = [Backoff(8, 8, chance=random.Random(seed)).delay() for seed in range(400)]
        for fourth in range(4):
            share = sum(2 * fourth <= wait < 2 * fourth + 2 for wait in waits) / len(waits)
            self.assertTrue(0.15 < share < 0.35, share)

    def test_settled(self) -> None:
        """A connection that stood begins it anew; one that fell at once does not."""
        backoff = Backoff(1, 64, settled_s=5, chance=Most())
        backoff.delay()
        backoff.stood(4.9)
        self.assertEqual(backoff.delay(), 2)
        backoff.stood(5)
        self.assertEqual(backoff.delay(), 1)

    def test_wrong(self) -> None:
        """Delays that make no sense are refused."""
        for first_s, longest_s in ((-1, 1), (2, 1)):
            with self.assertRaises(ValueError):
                Backoff(first_s, longest_s)
