"""
The metrics: each with its name, its type, its labels, what it is, and where it is read.

They are read when they are asked for, from the plain counters that the server keeps anyway.
Labels are words of this program alone, never what a car or a client has sent.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from pitwall import __version__
from pitwall.histogram import Histogram
from pitwall.serve.live.websocket import GOING_AWAY, STALLED, TOO_SLOW
from pitwall.serve.reading import Reading, Samples

#: Why this side closes a client's connection.
ENDINGS: Final = {TOO_SLOW: "too_slow", STALLED: "stalled", GOING_AWAY: "going_away"}
#: What becomes of a client's points.
OUTCOMES: Final = ("delivered", "conflated", "filtered", "dropped")
STATES: Final = ("live", "behind", "reduced")


def _one(value: float | Histogram) -> Samples:
    return [((), value)]


def _of(figures: Iterable[Mapping[str, Any]], name: str) -> Samples:
    return [((), float(each[name])) for each in figures]


class Family(NamedTuple):
    """
    A metric.

    Attributes:
        name: as it is asked for, its unit and ``_total`` included.
        kind: ``counter``, ``gauge`` or ``histogram``.
        help: what it is.
        read: gives its values.
        labels: the names of its labels.
    """

    name: str
    kind: str
    help: str
    read: Callable[[Reading], Samples]
    labels: tuple[str, ...] = ()


FAMILIES: Final = (
    Family(
        "pitwall_build_info",
        "gauge",
        "1, with the version of PitWall and of Python",
        lambda now: [((__version__, platform.python_version()), 1)],
        ("version", "python"),
    ),
    Family(
        "pitwall_ready",
        "gauge",
        "1 while /api/ready answers 200: doors open, workers up, not told to end",
        lambda now: _one(now.sources.health.ready()[0]),
    ),
    # What comes in.
    Family(
        "pitwall_points_received_total",
        "counter",
        "what came to be a point by itself, good or not",
        lambda now: now.by_door(now.ledger.received),
        ("door",),
    ),
    Family(
        "pitwall_points_accepted_total",
        "counter",
        "points accepted, those made of rows included",
        lambda now: now.by_door(now.ledger.accepted),
        ("door",),
    ),
    Family(
        "pitwall_points_refused_total",
        "counter",
        "points and rows refused; docs/telemetry.md has the reasons",
        Reading.refused,
        ("door", "reason"),
    ),
    Family(
        "pitwall_rows_total",
        "counter",
        "rows of the long form and lap triggers: samples (pending ones too), duplicates, and refused ones",
        Reading.rows,
        ("door", "outcome"),
    ),
    Family(
        "pitwall_rows_pending",
        "gauge",
        "rows held for their instant or their order",
        lambda now: now.by_door(now.pending),
        ("door",),
    ),
    Family(
        "pitwall_repairs_total",
        "counter",
        "rows mended; docs/data.md has the names",
        lambda now: [((name,), count) for name, count in now.ledger.repairs.items()],
        ("repair",),
    ),
    Family(
        "pitwall_udp_kernel_drops_total",
        "counter",
        "datagrams that the kernel had no room for",
        lambda now: _one(now.sources.kernel_drops()),
    ),
    Family(
        "pitwall_last_point_timestamp_seconds",
        "gauge",
        "when the newest point came, since 1970; 0 before there is one",
        lambda now: _one(now.sources.hub.newest_at),
    ),
    Family("pitwall_cars", "gauge", "cars followed", lambda now: _one(len(now.sources.hub.cars))),
    Family(
        "pitwall_cars_evicted_total",
        "counter",
        "cars let go because there were more than MAX_CARS",
        lambda now: _one(now.sources.hub.cars.evicted),
    ),
    Family("pitwall_ring_points", "gauge", "points held in the ring", lambda now: _one(len(now.sources.hub.ring))),
    Family(
        "pitwall_ring_capacity_points",
        "gauge",
        "points that the ring can hold (RINGBUFFER_SIZE)",
        lambda now: _one(now.sources.hub.ring.capacity),
    ),
    Family(
        "pitwall_http_connections",
        "gauge",
        "HTTP connections, WebSockets not among them",
        lambda now: _one(now.sources.connections()),
    ),
    Family(
        "pitwall_connections_refused_total",
        "counter",
        "connections over MAX_CONNECTIONS (total) or MAX_PER_ADDRESS (address), WebSockets among them",
        lambda now: [((limit,), count) for limit, count in now.sources.connections_refused().items()],
        ("limit",),
    ),
    # What goes out.
    Family(
        "pitwall_flushes_total",
        "counter",
        "batches of points sent on, once whatever the number of clients",
        lambda now: _one(now.ledger.messages_broadcast),
    ),
    Family(
        "pitwall_flush_interval_seconds",
        "gauge",
        "least time from one batch to the next, as it is now",
        lambda now: _one(now.sources.broadcaster.pace.interval_s),
    ),
    Family(
        "pitwall_flush_cpu_seconds",
        "gauge",
        "processor time of a batch to all clients, averaged over some ten",
        lambda now: _one(now.sources.broadcaster.pace.cost_s),
    ),
    Family(
        "pitwall_delivery_seconds",
        "histogram",
        "from a point's arrival to the write to the last client that keeps up; each point once, if there are clients",
        lambda now: _one(now.ledger.delivery),
    ),
    Family(
        "pitwall_clients",
        "gauge",
        "WebSocket clients that keep up (live), catch up (behind), or get less than all points (reduced)",
        lambda now: [((state,), now.states[state]) for state in STATES],
        ("state",),
    ),
    Family(
        "pitwall_clients_joined_total", "counter", "clients that came", lambda now: _one(now.sources.screens.joined)
    ),
    Family(
        "pitwall_clients_closed_total",
        "counter",
        "clients closed by the server: 4008 (too_slow), 4009 (stalled), 1001 (going_away)",
        lambda now: [((reason,), now.sources.screens.ended[code]) for code, reason in ENDINGS.items()],
        ("reason",),
    ),
    Family(
        "pitwall_client_messages_total",
        "counter",
        "telemetry messages written, summed over clients",
        lambda now: _one(now.totals.messages),
    ),
    Family(
        "pitwall_client_points_total",
        "counter",
        "points summed over clients, by what became of them; docs/ledger.md has the outcomes",
        lambda now: [
            ((each,), getattr(now.totals, each)) for each in ("delivered", "conflated", "filtered", "dropped")
        ],
        ("outcome",),
    ),
    Family(
        "pitwall_client_bytes_total",
        "counter",
        "messages and pings written, summed over clients",
        lambda now: _one(now.totals.bytes),
    ),
    Family(
        "pitwall_subscriptions",
        "gauge",
        "different subscriptions served, the plain one included",
        lambda now: _one(len(now.sources.broadcaster.streams)),
    ),
    Family(
        "pitwall_insight_messages_total",
        "counter",
        "insight_update messages, once whatever the number of clients",
        lambda now: _one(now.ledger.aggregations),
    ),
    Family(
        "pitwall_insights_total",
        "counter",
        "insights said",
        lambda now: _one(now.sources.aggregation.book.insights.count),
    ),
    # The race.
    Family("pitwall_worker_up", "gauge", "1 while the worker answers", lambda now: now.by_worker("up"), ("worker",)),
    Family(
        "pitwall_worker_restarts_total",
        "counter",
        "how often the worker was replaced",
        lambda now: now.by_worker("restarts"),
        ("worker",),
    ),
    Family(
        "pitwall_aggregation_seconds",
        "histogram",
        "time a worker took for the rows of a tick",
        lambda now: _one(now.ledger.aggregation),
    ),
    Family(
        "pitwall_aggregation_lag_seconds",
        "gauge",
        "age at most of the oldest point the worker has not read; up to BATCH_MS is how it should be",
        lambda now: now.by_worker("lag_s"),
        ("worker",),
    ),
    Family(
        "pitwall_aggregation_lag_points",
        "gauge",
        "points the worker has not read",
        lambda now: now.by_worker("unread"),
        ("worker",),
    ),
    Family(
        "pitwall_aggregation_missed_total",
        "counter",
        "points overwritten before a worker had read them",
        lambda now: _one(now.ledger.aggregation_missed),
    ),
    Family(
        "pitwall_field_step_seconds",
        "histogram",
        "the step that compares cars, the longest of each tick",
        lambda now: _one(now.ledger.field_step),
    ),
    Family(
        "pitwall_reactor_lag_seconds",
        "histogram",
        "how late a timer of the event loop was, looked at every 50 ms",
        lambda now: _one(now.sources.lag.histogram),
    ),
    # S3, where there is a bucket.
    Family("pitwall_s3_failing", "gauge", "1 while the bucket can't be read", lambda now: _of(now.buckets, "failing")),
    Family(
        "pitwall_s3_objects_total",
        "counter",
        "objects read to their end; one that grew, once more",
        lambda now: _of(now.buckets, "objectsRead"),
    ),
    Family("pitwall_s3_rows_total", "counter", "rows read, good or bad", lambda now: _of(now.buckets, "rowsRead")),
    Family(
        "pitwall_s3_errors_total", "counter", "looks and objects that failed", lambda now: _of(now.buckets, "errors")
    ),
    Family(
        "pitwall_s3_queue_failing",
        "gauge",
        "1 while the queue of notifications can't be asked",
        lambda now: _of(now.queues, "failing"),
    ),
    Family(
        "pitwall_s3_queue_messages_total", "counter", "notifications that came", lambda now: _of(now.queues, "messages")
    ),
    Family(
        "pitwall_s3_queue_ignored_total",
        "counter",
        "notifications about something else",
        lambda now: _of(now.queues, "ignored"),
    ),
    Family(
        "pitwall_s3_queue_garbage_total",
        "counter",
        "messages that were no notification",
        lambda now: _of(now.queues, "garbage"),
    ),
    Family(
        "pitwall_s3_queue_errors_total",
        "counter",
        "requests that the queue failed to answer",
        lambda now: _of(now.queues, "errors"),
    ),
)
