"""
When telemetry is sent: at once after a quiet spell, then at an interval that follows what a flush costs.

No point ever waits for the next one. Many clients make a flush dear, so the
interval is what keeps flushes at a share of a core; larger batches are what
makes many clients cheap.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from pitwall.hub import Hub
from pitwall.serve.live.batch import Batch
from pitwall.serve.live.conflation import Conflation
from pitwall.serve.live.deliveries import DeliveryTimes, Totals
from pitwall.serve.live.frames import Frame
from pitwall.serve.live.insightlog import InsightLog
from pitwall.serve.live.narrowing import Narrowing
from pitwall.serve.live.stream import Stream
from pitwall.serve.live.streams import Streams
from pitwall.wire.messages import insight_update

#: The longest interval between flushes, and the longest when a flush takes over half of it [s].
LONGEST_S = 0.1
LONGEST_LOADED_S = 0.2
#: Points of a step of catching up.
STEP = 500
#: So many batches that were made again are kept until the next flush.
MOST_OLDER = 8


class Pace:
    """
    The interval between flushes.

    Args:
        shortest_s: never flush more often than that [s].
        share: of a core, to be spent on flushes.
    """

    def __init__(self, shortest_s: float, share: float) -> None:
        self._shortest_s = shortest_s
        self._share = share
        self.cost_s = 0.0

    def spent(self, cost_s: float) -> None:
        """Learn what a flush cost [s of a core]; a moving average over some ten flushes."""
        self.cost_s += 0.1 * (cost_s - self.cost_s)

    @property
    def interval_s(self) -> float:
        """The time from one flush to the next [s]."""
        wanted = max(self.cost_s / self._share, self._shortest_s)
        longest = LONGEST_LOADED_S if self.cost_s > LONGEST_S / 2 else LONGEST_S
        return min(wanted, max(longest, self._shortest_s))


class Broadcaster:
    """
    Hands the hub's points to the streams, and what these make of them to the clients.

    Args:
        hub: where the points are.
        clock: seconds and callLater.
        pace: how often.
        cpu_time: the time this thread has used [s].
        most_streams: how many different subscriptions there may be at a time.

    Attributes:
        batch: the points of the last flush; None before there is one.
        flushed_seq: the last point of it.
        flushed_at: when it was [s].
        clients: by the order they came, who has ``tell(narrowing)`` and ``fail()``, and its delivery, which has
            ``pump()``.
        gone: what clients got that have left.
    """

    log = Logger()

    def __init__(
        self,
        hub: Hub,
        clock: Any,
        pace: Pace,
        cpu_time: Callable[[], float] = time.thread_time,
        most_streams: int = 256,
    ) -> None:
        self.hub = hub
        self._clock = clock
        self.pace = pace
        self._cpu_time = cpu_time
        self.streams = Streams(hub.epoch, most_streams)
        self.insights = InsightLog()
        self.batch: Batch | None = None
        self._older: dict[tuple[int, int], Batch] = {}  # batches made again since the last flush
        self._timers: dict[Stream, IDelayedCall] = {}
        self.clients: dict[Any, Any] = {}
        self.gone = Totals()
        self._times = DeliveryTimes(hub.ledger.delivery, hub.last_seq)
        self.flushed_seq = 0
        self.flushed_at = float("-inf")
        self._pending: IDelayedCall | None = None
        # A flush must come before the ring has gone round.
        self._urgent = max(hub.ring.capacity // 4, 1)
        hub.listeners.append(self.points_came)

    @property
    def reduced(self) -> int:
        """How many clients are in reduced quality."""
        return sum(delivery.fidelity.reduced for delivery in self.clients.values())

    def points_came(self, last_seq: int) -> None:
        """Flush at once after a quiet spell, else when the interval is over."""
        self._times.came(self.hub.newest_at, last_seq)
        if last_seq - self.flushed_seq >= self._urgent:
            self.flush()
        elif self._pending is None:
            wait = self.flushed_at + self.pace.interval_s - self._clock.seconds()
            # A clock that was set back must not silence the stream.
            self._pending = self._clock.callLater(min(max(wait, 0.0), LONGEST_LOADED_S), self._due)

    def flush(self) -> None:
        """Send every point not yet sent."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        self.flushed_at = self._clock.seconds()
        first, last = max(self.flushed_seq + 1, self.hub.ring.first_seq), self.hub.last_seq
        self.flushed_seq = last
        arrivals = self._times.take()
        self._older.clear()
        if first > last:
            return
        self.hub.ledger.messages_broadcast += 1
        if not self.clients:
            return
        started = self._cpu_time()
        self.batch = Batch(first, self.hub.ring.between(first, last), self.streams.columns)
        for stream in self.streams:
            try:
                stream.take(self.batch, self.flushed_at)
                self._arm(stream)
            except Exception:
                self._stream_failed(stream)
        for client, delivery in tuple(self.clients.items()):
            try:
                delivery.pump()
            except Exception:
                client.fail()
        self._times.delivered(arrivals, self._clock.seconds())
        self.pace.spent(self._cpu_time() - started)

    def flush_for(self, epoch: str, seq: int) -> None:
        """Flush if that point is not sent yet: the ring, which REST answers from, is ahead of the streams."""
        if epoch == self.hub.epoch and self.flushed_seq < seq <= self.hub.last_seq:
            self.flush()

    def tell(self, content: dict[str, Any]) -> None:
        """Send an ``insight_update``, never left out, to every client, and keep it for those that come back."""
        frame = Frame(insight_update(content, self.hub.epoch, self.insights.seq + 1))
        self.insights.append(frame)
        narrowing = Narrowing(frame)
        for client in tuple(self.clients):
            try:
                client.tell(narrowing)
            except Exception:
                client.fail()

    def expire(self, now: float) -> None:
        """Let go of what no client wants any more; to be called every second or so."""
        for stream in self.streams:
            stream.frames.expire(now)

    def fold(self, conflation: Conflation) -> bool:
        """Conflate what was flushed since its last point; False where another step is needed."""
        flushed, batch = self.flushed_seq, self.batch
        if batch is not None and batch.first == conflation.last + 1 and batch.last == flushed:
            conflation.add(batch.digest)
            return True
        oldest = self.hub.ring.first_seq
        if conflation.last < min(flushed, oldest - 1):  # the ring went round meanwhile
            conflation.restart(min(flushed, oldest - 1))
        if conflation.last < flushed:
            # In steps that end at the same points for all clients that are here together.
            last = min(conflation.last - conflation.last % STEP + STEP, flushed)
            conflation.add(self.older(conflation.last + 1, last).digest)
        return conflation.last >= flushed

    def older(self, first: int, last: int) -> Batch:
        """Points of flushes before, which must be in the ring: many clients that fall behind together want the same."""
        batch = self._older.get((first, last))
        if batch is None:
            if len(self._older) >= MOST_OLDER:
                self._older.clear()
            batch = self._older[first, last] = Batch(first, self.hub.ring.between(first, last), self.streams.columns)
        return batch

    def left(self, stream: Stream) -> None:
        """A client has left a stream; without clients it goes, and its timer with it."""
        if self.streams.left(stream) and stream in self._timers:
            self._timers.pop(stream).cancel()

    def _due(self) -> None:
        self._pending = None
        try:
            self.flush()
        except Exception:
            self.log.failure("a flush failed")

    def _arm(self, stream: Stream) -> None:
        """See to it that what a stream has conflated is sent in time, also when nothing more comes."""
        wait = stream.wait(self._clock.seconds())
        if wait is not None and stream not in self._timers:
            self._timers[stream] = self._clock.callLater(wait, self._emit, stream)

    def _emit(self, stream: Stream) -> None:
        del self._timers[stream]
        try:
            now = self._clock.seconds()
            if stream.wait(now) == 0:
                stream.emit(now)
            self._arm(stream)
        except Exception:
            self._stream_failed(stream)
        for client in tuple(stream.clients):
            try:
                client.pump()
            except Exception:
                client.fail()

    def _stream_failed(self, stream: Stream) -> None:
        """A fault in what one subscription gets must not cost the others anything."""
        self.log.failure("a subscription could not be served")
        for client in tuple(stream.clients):
            client.fail()
