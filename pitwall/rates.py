"""How often something may happen."""

from __future__ import annotations


class Allowance:
    """
    So many times a second, and a burst at once after a quiet spell.

    Args:
        per_s: how many.
        now: the time [s].
        burst: how many at once; those of a second where it is not given.
    """

    __slots__ = ("_at", "_burst", "_left", "_per_s")

    def __init__(self, per_s: float, now: float, burst: float | None = None) -> None:
        self._per_s = per_s
        self._burst = self._left = per_s if burst is None else burst
        self._at = now

    def spend(self, now: float) -> bool:
        """It happens once more; returns whether it may."""
        self._left = self._left_at(now)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def rested(self, now: float) -> bool:
        """Whether a whole burst may come again: as if it were new."""
        return self._left_at(now) >= self._burst

    def _left_at(self, now: float) -> float:
        # The clock of a machine can be set back.
        return min(self._left + max(now - self._at, 0.0) * self._per_s, self._burst)
