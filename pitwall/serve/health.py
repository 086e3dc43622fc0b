"""How the server is doing, in figures that never reset while it runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pitwall.hub import Hub
from pitwall.model.point import iso_utc
from pitwall.serve.live.broadcast import Broadcaster


class RateMeter:
    """Points per second over the last few seconds, from a count looked at once a second."""

    def __init__(self, window: int = 5) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=window + 1)

    def sample(self, now: float, count: int) -> None:
        """Note the count; ``now`` is in s."""
        self._seen.append((now, count))

    @property
    def per_second(self) -> float:
        """0 before there are two samples."""
        if len(self._seen) < 2:
            return 0.0
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_at - first_at) if last_at > first_at else 0.0


class Health:
    """
    The answer of ``GET /api/health``.

    Args:
        hub: what came in.
        broadcaster: what went out.
        aggregation: the workers (``warm``, ``took_s``, ``field_s``, ``forecasts()``, ``restarts``).
        doors: each says by ``open`` whether it takes anything.
        udp: says by ``kernel_drops()`` what the kernel dropped.
        demo: whether the points are a demo's.
        buckets: what is read from S3, one or none; a failing one does not make the server unwell.
        pending: rows by door that are not in a point yet.
        lag: how late the reactor is [ms].
        running: whether the server runs; not any more once it has been told to end.
        udp_port: where datagrams are awaited.
        connections_refused: those over a limit, by the limit.
    """

    def __init__(
        self,
        hub: Hub,
        broadcaster: Broadcaster,
        aggregation: Any,
        doors: Any,
        udp: Any,
        demo: bool,
        buckets: Sequence[Any] = (),
        pending: Callable[[], dict[str, int]] = dict,
        lag: Callable[[], dict[str, float]] = dict,
        running: Callable[[], bool] = lambda: True,
        udp_port: int | None = None,
        connections_refused: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._hub = hub
        self._broadcaster = broadcaster
        self._aggregation = aggregation
        self._doors = doors
        self._udp = udp
        self._demo = demo
        self._buckets = buckets
        self._pending = pending
        self._lag = lag
        self._running = running
        self._udp_port = udp_port
        self._connections_refused = connections_refused
        self.rate = RateMeter()

    def sample(self, now: float) -> None:
        """To be called once a second."""
        self.rate.sample(now, self._hub.ledger.points_accepted)

    def ready(self) -> tuple[bool, dict[str, bool]]:
        """Whether the server is to be sent anything, and the answer of ``GET /api/ready``."""
        doors, workers = all(door.open for door in self._doors), bool(self._aggregation.warm)
        ready = doors and workers and self._running()
        return ready, {"ok": ready, "doors": doors, "workers": workers}

    def answer(self, now: float) -> tuple[bool, dict[str, Any]]:
        """Whether the doors are open and the workers warm, and the whole answer; ``now`` is in s since 1970."""
        well = self._aggregation.warm and all(door.open for door in self._doors)
        ledger = self._hub.ledger
        metrics = {
            "messagesReceived": ledger.points_accepted,
            "messagesBroadcast": ledger.messages_broadcast,
            "wsClients": len(self._broadcaster.clients),
            "aggregationsProcessed": ledger.aggregations,
            "errors": ledger.points_refused,
            "messageRate": round(self.rate.per_second, 1),
            "avgProcessingTimeMs": round(self._aggregation.took_s * 1000, 3),
            "ringBufferSize": len(self._hub.ring),
            "udpKernelDrops": self._udp.kernel_drops(),
            "aggregationMissed": ledger.aggregation_missed,
            "clientPointsSkipped": ledger.points_skipped,
            "clientPointsConflated": ledger.points_conflated,
            "clientsReduced": self._broadcaster.reduced,
            "subscriptions": len(self._broadcaster.streams),
            "flushIntervalMs": round(self._broadcaster.pace.interval_s * 1000, 1),
            "fieldStepMs": round(self._aggregation.field_s * 1000, 3),
            "forecasts": self._aggregation.forecasts(),
            "workerRestarts": self._aggregation.restarts,
            "cars": len(self._hub.cars),
            "carsEvicted": self._hub.cars.evicted,
            "connectionsRefused": dict(self._connections_refused()),
            "accepted": dict(ledger.accepted),
            "refused": refused_by_door(ledger.refused),
            "repairs": dict(ledger.repairs),
            "rows": rows_by_door(ledger.rows, self._pending()),
            "reactorLagMs": self._lag(),
        }
        for bucket in self._buckets:
            metrics["s3"] = bucket.figures()
        about = {"ok": well, "now": iso_utc(now), "demo": self._demo, "udpPort": self._udp_port}
        return well, {**about, "metrics": metrics}


def rows_by_door(rows: Mapping[str, Mapping[str, int]], pending: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Rows of the long form by door; a sample that is not in a point yet is pending."""
    found = {}
    for door, counts in rows.items():
        waits = pending.get(door, 0)
        found[door] = {**counts, "samples": counts["samples"] - waits, "pending": waits}
    return found


def refused_by_door(refused: dict[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Refusals by door and reason."""
    found: dict[str, dict[str, int]] = {}
    for (door, reason), count in refused.items():
        found.setdefault(door, {})[reason] = count
    return found
