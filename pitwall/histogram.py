"""A histogram of durations, of plain integers: whoever measures adds, whoever asks sums up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

#: Upper bounds of the classes, each included [s].
BOUNDS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Histogram:
    """
    How often a duration was within which bounds; never reset.

    Args:
        bounds: the upper bound of each class, smallest first [s]; one more class takes what is above them.

    Attributes:
        counts: by class, smallest first.
        sum_s: of all durations [s].
    """

    __slots__ = ("bounds", "counts", "sum_s")

    def __init__(self, bounds: Sequence[float] = BOUNDS_S) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum_s = 0.0

    def observe(self, value_s: float, count: int = 1) -> None:
        """Add a duration that was seen so many times [s]."""
        self.counts[bisect_left(self.bounds, value_s)] += count
        self.sum_s += value_s * count
