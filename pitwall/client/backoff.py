"""How long to wait before the next try: longer each time, and never the same for two clients."""

from __future__ import annotations

import random

#: Doublings after which the delay has long reached its ceiling.
_MOST_DOUBLINGS = 32


class Backoff:
    """
    Exponential back-off with full jitter: a delay is anything from 0 to a ceiling that doubles with each failure.

    A thousand screens that lose their server at once so come back spread out over the ceiling.

    Args:
        first_s: the first ceiling [s].
        longest_s: the last one [s].
        settled_s: a connection that stood for so long counts as a success, and the ceiling is the first again [s].
        chance: where the jitter comes from.
    """

    def __init__(
        self,
        first_s: float = 0.5,
        longest_s: float = 10.0,
        settled_s: float = 5.0,
        chance: random.Random | None = None,
    ) -> None:
        if not 0 <= first_s <= longest_s:
            raise ValueError(f"delays of {first_s} s to {longest_s} s, wanted 0 <= first <= longest")
        self._first_s = first_s
        self._longest_s = longest_s
        self._settled_s = settled_s
        self._chance = random.Random() if chance is None else chance
        self._doublings = 0

    def stood(self, for_s: float) -> None:
        """A connection has ended that stood for ``for_s``; one that falls at once is no success."""
        if for_s >= self._settled_s:
            self._doublings = 0

    def delay(self) -> float:
        """How long to wait now [s]."""
        ceiling = min(self._first_s * 2.0**self._doublings, self._longest_s)
        self._doublings = min(self._doublings + 1, _MOST_DOUBLINGS)
        return self._chance.uniform(0, ceiling)
