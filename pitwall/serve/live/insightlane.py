"""The insights that one client is still to be sent, oldest first: none is left out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from pitwall.serve.live.frames import Frame
from pitwall.serve.live.insightlog import Kept
from pitwall.serve.live.narrowing import Narrowing
from pitwall.serve.live.subscription import Subscription


class InsightLane:
    """
    A queue that is narrowed to what the client wants as it is taken from it.

    Args:
        most_bytes: what new insights may come to while they wait.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._again: deque[Kept] = deque()  # older than all those that wait
        self._waiting: deque[tuple[Narrowing, int]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._again) + len(self._waiting)

    def put(self, narrowing: Narrowing, subscription: Subscription) -> bool:
        """
        Add a new one.

        Returns:
            Whether there was room for it.
        """
        size = len(narrowing.of(subscription).plain)
        self._waiting.append((narrowing, size))
        self._bytes += size
        return self._bytes <= self._most_bytes

    def restart(self, kept: Iterable[Kept]) -> None:
        """Let all go, and take some that were said before in their place: kept in any case, they need no room."""
        self.clear()
        self._again += kept

    def take(self, subscription: Subscription) -> Frame:
        """The oldest, as the client wants it now."""
        if self._again:
            return Narrowing(self._again.popleft().frame).of(subscription)
        narrowing, size = self._waiting.popleft()
        self._bytes -= size
        return narrowing.of(subscription)

    def clear(self) -> None:
        """Let all of them go."""
        self._again.clear()
        self._waiting.clear()
        self._bytes = 0
