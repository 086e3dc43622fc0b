"""
What became of each point for one client.

Every point since it joined is delivered, conflated, filtered, dropped or pending, exactly.
Two numbers tell where it is: ``reached``, up to which all is accounted for, and ``told``, the
``seq`` of the last message it got, which ``prev`` of its next must be. They differ where
points after ``told`` were looked at and not wanted.
"""

from __future__ import annotations

from pitwall.ledger import Ledger
from pitwall.serve.live.frames import Frame


class Account:
    """
    One client's.

    Args:
        seq: the last point before it.
        told: the ``seq`` that the first message it gets has as its ``prev``.
        ledger: where what is dropped is summed up over clients.

    Attributes:
        delivered: points in messages written to it.
        conflated: points that only ranges tell it of.
        filtered: points it did not want.
        dropped: points it has not heard of since it was behind.
        joined_seq: the last point before it.
    """

    def __init__(self, seq: int, told: int, ledger: Ledger) -> None:
        self.delivered = self.conflated = self.filtered = self.dropped = 0
        self.joined_seq = self._seq = seq
        self._told = told
        self._ledger = ledger

    @property
    def reached(self) -> int:
        """The last point that was accounted for."""
        return self._seq

    @property
    def told(self) -> int:
        """The ``seq`` after which its messages go on."""
        return self._told

    def _count(self, frame: Frame) -> None:
        """A message is written to it."""
        self._drop_to(frame.prev)
        self.delivered += frame.points
        self.conflated += frame.conflated
        self.filtered += max(frame.seq - self._seq, 0) - frame.points - frame.conflated
        self._seq = max(self._seq, frame.seq)
        self._told = frame.seq

    def _pass(self, seq: int) -> None:
        """What there is up to that point was not wanted."""
        if seq > self._seq:
            self.filtered += seq - self._seq
            self._seq = seq

    def _drop_to(self, seq: int) -> None:
        """What there is up to that point is lost for it, which ``prev`` of its next message shows."""
        missed = seq - self._seq
        if missed > 0:
            self._seq = self._told = seq
            self.dropped += missed
            self._ledger.points_skipped += missed

    def _go_back(self, seq: int) -> None:
        """It goes on after a point, before or behind where it was; what it is to get once more counts as its own."""
        self.joined_seq += seq - self._seq
        self._seq = self._told = seq
