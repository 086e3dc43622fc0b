"""The last points, as the JSON they are relayed in."""

from __future__ import annotations

from collections.abc import Sequence


class PointRing:
    """
    The newest ``capacity`` points by sequence number, counted from 1.

    Slots are allocated once; a point is the bytes it came as, so that an answer
    of thousands is one join.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}, wanted 1 or more")
        self.capacity = capacity
        self.last_seq = 0
        self._slots: list[bytes] = [b""] * capacity

    def __len__(self) -> int:
        return min(self.last_seq, self.capacity)

    @property
    def first_seq(self) -> int:
        """The sequence number of the oldest point held; ``last_seq + 1`` while there is none."""
        return self.last_seq - len(self) + 1

    def append(self, raws: Sequence[bytes]) -> None:
        """Take points in, oldest first."""
        seq = self.last_seq
        self.last_seq = seq + len(raws)
        if len(raws) > self.capacity:
            seq += len(raws) - self.capacity
            raws = raws[-self.capacity :]
        at = seq % self.capacity
        fits = self.capacity - at
        self._slots[at : at + len(raws)] = raws[:fits]
        if len(raws) > fits:
            self._slots[: len(raws) - fits] = raws[fits:]

    def between(self, first_seq: int, last_seq: int) -> list[bytes]:
        """The points numbered first to last, both included, oldest first; those no longer held are left out."""
        first_seq = max(first_seq, self.first_seq)
        last_seq = min(last_seq, self.last_seq)
        if first_seq > last_seq:
            return []
        start = (first_seq - 1) % self.capacity
        end = (last_seq - 1) % self.capacity + 1
        if start < end:
            return self._slots[start:end]
        return self._slots[start:] + self._slots[:end]

    def newest(self, count: int) -> list[bytes]:
        """The last ``count`` points, or as many as there are, oldest first."""
        return self.between(self.last_seq - count + 1, self.last_seq)
