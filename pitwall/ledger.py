"""What came in and what became of it, counted; never reset while the server runs."""

from __future__ import annotations

from collections import Counter, defaultdict


class Ledger:
    """Plain counters: the hot path adds, whoever asks reads."""

    def __init__(self) -> None:
        #: What came to be a point by itself, good or not, by door; counted before it is decoded.
        self.received: Counter[str] = Counter()
        #: Points accepted, by door.
        self.accepted: Counter[str] = Counter()
        #: Rows or datagrams refused, by (door, reason).
        self.refused: Counter[tuple[str, str]] = Counter()
        #: Rows of the long form and lap triggers, by door: those that came are ``rows``, and each of them is a
        #: sample of a point, a duplicate, or refused; what is held for its instant counts as a sample.
        self.rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
        #: The refusals above that were of rows, by (door, reason).
        self.rows_refused: Counter[tuple[str, str]] = Counter()
        #: Rows whose values are in accepted points, by door, and the points that were made of them.
        self.rows_joined: Counter[str] = Counter()
        self.points_joined: Counter[str] = Counter()
        #: Rows held for their order that were let go because their object could not be read on, by door.
        self.rows_set_back: Counter[str] = Counter()
        #: What was repaired, by name.
        self.repairs: Counter[str] = Counter()
        #: Telemetry messages, once a flush whatever the number of clients.
        self.messages_broadcast = 0
        #: Points that clients which were behind did not get, summed over clients.
        self.points_skipped = 0
        #: Points that such clients have in the ranges of others alone, summed over clients.
        self.points_conflated = 0
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
