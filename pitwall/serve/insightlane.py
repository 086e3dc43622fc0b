"""The insights that one client is still to be sent, oldest first: none is left out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from pitwall.serve.frames import Frame
from pitwall.serve.narrowing import Narrowing
from pitwall.serve.subscription import Subscription


class InsightLane:
    """
    A queue that is narrowed to what the client wants as it is taken from it.

    Args:
        most_bytes: what new insights may come to while they wait.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._waiting: deque[tuple[Narrowing, int]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

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

    def put_again(self, frames: Iterable[Frame]) -> None:
        """Add some that were said before; they are kept for others in any case, so they need no room."""
        self._waiting += [(Narrowing(frame), 0) for frame in frames]

    def take(self, subscription: Subscription) -> Frame:
        """The oldest, as the client wants it now."""
        narrowing, size = self._waiting.popleft()
        self._bytes -= size
        return narrowing.of(subscription)

    def clear(self) -> None:
        """Let all of them go."""
        self._waiting.clear()
        self._bytes = 0
