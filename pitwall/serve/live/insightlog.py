"""
The insight messages as they were sent, numbered, for clients that come back.

They are kept packed: of thirty cars one has 34 kB, an eighth of that when packed, and
hardly anybody asks for them.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Sequence

from pitwall.serve.live.frames import Frame, payload_of

#: So many are kept, and so much of them, packed [bytes].
MOST_KEPT = 256
MOST_BYTES = 8 << 20


class Kept:
    """
    A message that was sent, packed.

    Args:
        frame: the message.
    """

    __slots__ = ("_packed",)

    def __init__(self, frame: Frame) -> None:
        self._packed = zlib.compress(payload_of(frame.plain), level=1)

    def __len__(self) -> int:
        return len(self._packed)

    @property
    def frame(self) -> Frame:
        """The message, made anew each time."""
        return Frame(zlib.decompress(self._packed))


class InsightLog:
    """
    The newest insight messages.

    Attributes:
        seq: the number of the newest, counted from 1 in each epoch; 0 before there is one.
        newest: it; None before there is one.
    """

    def __init__(self, most: int = MOST_KEPT, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._packed: deque[Kept] = deque()
        self._bytes = 0
        self.seq = 0
        self.newest: Frame | None = None

    @property
    def first_seq(self) -> int:
        """The number of the oldest kept; ``seq + 1`` while there is none."""
        return self.seq - len(self._packed) + 1

    def append(self, frame: Frame) -> None:
        """Keep a message, the next in number, and let the oldest go."""
        self.seq += 1
        self.newest = frame
        packed = Kept(frame)
        self._packed.append(packed)
        self._bytes += len(packed)
        while len(self._packed) > self._most or (self._bytes > self._most_bytes and len(self._packed) > 1):
            self._bytes -= len(self._packed.popleft())

    def after(self, seq: int) -> Sequence[Kept]:
        """The messages numbered above ``seq`` that are kept, oldest first."""
        skip = max(seq + 1 - self.first_seq, 0)
        return list(self._packed)[skip:]
