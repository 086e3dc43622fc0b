"""What came in and what became of it, counted; never reset while the server runs."""

from __future__ import annotations

from collections import Counter, defaultdict


class Ledger:
    """Plain counters: the hot path adds, whoever asks reads."""

    def __init__(self) -> None:
        #: Points accepted, by door.
        self.accepted: Counter[str] = Counter()
        #: Rows or datagrams refused, by (door, reason).
        self.refused: Counter[tuple[str, str]] = Counter()
        #: Rows of the long form and lap triggers, by door: those that came are ``rows``, and each of them is a
        #: sample of a point, a duplicate, or refused; what is held for its instant counts as a sample.
        self.rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
        #: What was repaired, by name.
        self.repairs: Counter[str] = Counter()
        #: Telemetry messages, once a flush whatever the number of clients.
        self.messages_broadcast = 0
        #: Points that clients which were behind did not get, summed over clients.
        self.points_skipped = 0
        #: Rows overwritten before a worker had read them.
        self.aggregation_missed = 0
        #: Insight messages.
        self.aggregations = 0

    @property
    def points_accepted(self) -> int:
        """Points accepted by all doors."""
        return self.accepted.total()

    @property
    def points_refused(self) -> int:
        """What was refused by all doors, for whatever reason."""
        return self.refused.total()
