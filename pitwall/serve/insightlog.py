"""The insight messages as they were sent, numbered, for clients that come back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from pitwall.serve.frames import Frame

#: So many are kept, and so much of them [bytes].
MOST_KEPT = 256
MOST_BYTES = 8 << 20


class InsightLog:
    """
    The newest insight messages.

    Attributes:
        seq: the number of the newest, counted from 1 in each epoch; 0 before there is one.
    """

    def __init__(self, most: int = MOST_KEPT, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self.seq = 0

    @property
    def first_seq(self) -> int:
        """The number of the oldest kept; ``seq + 1`` while there is none."""
        return self.seq - len(self._frames) + 1

    @property
    def newest(self) -> Frame | None:
        """The newest message; None before there is one."""
        return self._frames[-1] if self._frames else None

    def append(self, frame: Frame) -> None:
        """Keep a message, the next in number, and let the oldest go."""
        self.seq += 1
        self._frames.append(frame)
        self._bytes += len(frame.plain)
        while len(self._frames) > self._most or (self._bytes > self._most_bytes and len(self._frames) > 1):
            self._bytes -= len(self._frames.popleft().plain)

    def after(self, seq: int) -> Iterator[Frame]:
        """The messages numbered above ``seq`` that are kept, oldest first."""
        skip = max(seq + 1 - self.first_seq, 0)
        return iter(list(self._frames)[skip:])
