"""What a scrape reads: the server's plain counters, all of one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pitwall.histogram import Histogram
from pitwall.hub import Hub
from pitwall.ledger import Ledger
from pitwall.serve.health import Health
from pitwall.serve.lag import ReactorLag
from pitwall.serve.live.broadcast import Broadcaster
from pitwall.serve.live.deliveries import Totals
from pitwall.serve.live.screens import TelemetryFactory
from pitwall.wire.errors import WireError

#: The values of a family: for the values of its labels, a number, or a histogram.
Samples = Iterable[tuple[tuple[str, ...], float | Histogram]]


@dataclass(frozen=True, slots=True)
class Sources:
    """
    What the metrics are read from.

    Attributes:
        hub: what came in.
        broadcaster: what went out.
        screens: made the clients.
        aggregation: the workers (``workers()``, ``book``).
        health: whether the server is ready.
        lag: how late the reactor is.
        pending: by door, the rows that are in no point yet.
        kernel_drops: datagrams that the kernel had no room for.
        connections: of HTTP.
        connections_refused: those over a limit, by the limit.
        buckets: what is read from S3, one or none.
    """

    hub: Hub
    broadcaster: Broadcaster
    screens: TelemetryFactory
    aggregation: Any
    health: Health
    lag: ReactorLag
    pending: Callable[[], dict[str, int]]
    kernel_drops: Callable[[], int] = int
    connections: Callable[[], int] = int
    connections_refused: Callable[[], Mapping[str, int]] = dict
    buckets: tuple[Any, ...] = ()


class Reading:
    """What several families need of the same moment, looked at once a scrape."""

    def __init__(self, sources: Sources) -> None:
        broadcaster = sources.broadcaster
        self.sources = sources
        self.ledger: Ledger = sources.hub.ledger
        self.pending = sources.pending()
        self.doors = list(dict.fromkeys((*self.pending, *self.ledger.accepted, *self.ledger.received)))
        self.workers = sources.aggregation.workers()
        self.buckets = [bucket.figures() for bucket in sources.buckets]
        self.queues = [bucket["queue"] for bucket in self.buckets if "queue" in bucket]
        self.totals: Totals = broadcaster.gone.copy()
        self.states: Counter[str] = Counter()
        for delivery in broadcaster.clients.values():
            delivery.settle()
            self.totals.add(delivery)
            self.states[delivery.state] += 1

    def by_door(self, counts: Mapping[str, int]) -> Samples:
        """A count of each door, 0 where there is none."""
        return [((door,), counts.get(door, 0)) for door in self.doors]

    def refused(self) -> Iterator[tuple[tuple[str, str], float]]:
        """A count of each door and reason, 0 included: a rate needs to have seen what was there before the first."""
        refused = self.ledger.refused
        for key in dict.fromkeys((*((door, reason) for door in self.doors for reason in WireError.REASONS), *refused)):
            yield key, refused.get(key, 0)

    def rows(self) -> Iterator[tuple[tuple[str, str], float]]:
        """Rows of the long form by what became of them."""
        for door in self.doors:
            counts: Mapping[str, int] = self.ledger.rows.get(door, {})
            for name, outcome in (("samples", "sample"), ("duplicates", "duplicate"), ("refused", "refused")):
                yield (door, outcome), counts.get(name, 0)

    def by_worker(self, figure: str) -> Samples:
        """A figure of each worker."""
        return [((str(number),), float(getattr(each, figure))) for number, each in enumerate(self.workers)]
