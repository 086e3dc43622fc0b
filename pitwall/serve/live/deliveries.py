"""How long points take from their arrival to the clients, and what all clients together have got."""

from __future__ import annotations

from typing import Any, Final

from pitwall.histogram import Histogram

#: When points came, oldest first [s], with the number of the last point before; and the number of the last of all.
Arrivals = tuple[list[tuple[float, int]], int]

#: Arrivals this close are taken as one, at the time of the first [s].
_TOGETHER_S: Final = 0.0005


class DeliveryTimes:
    """
    Notes when points came, until a flush has brought them to the clients.

    A point's time ends when the last client that keeps up has been written to, so none of
    them waited longer. It costs something for each arrival and each flush, nothing for each
    client. Clients that are behind or reduced, and streams with ``max_hz``, are not in it.

    Args:
        histogram: counts the points by their time.
        seq: the number of the last point before it begins.
    """

    def __init__(self, histogram: Histogram, seq: int = 0) -> None:
        self._histogram = histogram
        self._seq = seq
        self._starts: list[tuple[float, int]] = []
        self._newest_at = float("-inf")

    def came(self, at: float, last_seq: int) -> None:
        """Points up to that number came at that time [s]."""
        if not 0 <= at - self._newest_at < _TOGETHER_S:
            self._starts.append((at, self._seq))
            self._newest_at = at
        self._seq = last_seq

    def take(self) -> Arrivals:
        """What has come since the last time this was called."""
        arrivals = self._starts, self._seq
        self._starts, self._newest_at = [], float("-inf")
        return arrivals

    def delivered(self, arrivals: Arrivals, now: float) -> None:
        """The clients have these points; ``now`` is in s."""
        starts, last = arrivals
        for at, before in reversed(starts):
            # The clock may have been set back meanwhile.
            self._histogram.observe(max(now - at, 0.0), last - before)
            last = before


class Totals:
    """
    What clients got, added up.

    Attributes:
        messages: of telemetry.
        bytes: of all messages and pings.
        delivered: points, as in the ledger; and so are the others.
    """

    def __init__(self) -> None:
        self.messages = self.bytes = 0
        self.delivered = self.conflated = self.filtered = self.dropped = 0

    def add(self, delivery: Any) -> None:
        """Add what one client got."""
        self.messages += delivery.messages
        self.bytes += delivery.fidelity.written
        self.delivered += delivery.delivered
        self.conflated += delivery.conflated
        self.filtered += delivery.filtered
        self.dropped += delivery.dropped

    def copy(self) -> Totals:
        """The same figures, to be added to."""
        copy = Totals()
        vars(copy).update(vars(self))
        return copy
