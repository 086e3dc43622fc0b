"""How often something may happen."""

from __future__ import annotations


class Allowance:
    """
    So many times a second, and as many at once after a quiet second.

    Args:
        per_s: how many.
        now: the time [s].
    """

    __slots__ = ("_at", "_left", "_per_s")

    def __init__(self, per_s: float, now: float) -> None:
        self._per_s = self._left = per_s
        self._at = now

    def spend(self, now: float) -> bool:
        """It happens once more; returns whether it may."""
        # The clock of a machine can be set back.
        self._left = min(self._left + max(now - self._at, 0.0) * self._per_s, self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
