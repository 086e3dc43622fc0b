"""
When telemetry is sent: at once after a quiet spell, then at an interval that follows what a flush costs.

No point ever waits for the next one. Many clients make a flush dear, so the
interval is what keeps flushes at a share of a core; larger batches are what
makes many clients cheap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from pitwall.hub import Hub
from pitwall.serve.frames import Frame, FrameLog
from pitwall.serve.insightlog import InsightLog
from pitwall.wire.messages import insight_update, telemetry_update

#: A telemetry message is cut at this size; a larger flush is several messages [bytes].
MESSAGE_BYTES = 256 << 10
#: The longest interval between flushes, and the longest when a flush takes over half of it [s].
LONGEST_S = 0.1
LONGEST_LOADED_S = 0.2


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
    Cuts the hub's points into frames and hands them to the clients.

    Args:
        hub: where the points are.
        clock: seconds and callLater.
        pace: how often.
        cpu_time: the time this thread has used [s].
    """

    log = Logger()

    def __init__(self, hub: Hub, clock: Any, pace: Pace, cpu_time: Callable[[], float] = time.thread_time) -> None:
        self.hub = hub
        self._clock = clock
        self.pace = pace
        self._cpu_time = cpu_time
        self.frames = FrameLog()
        self.insights = InsightLog()
        #: Clients by the order they came; each has ``pump()`` and ``say(frame)``.
        self.clients: dict[Any, None] = {}
        self.flushed_seq = 0
        self._flushed_at = float("-inf")
        self._pending: IDelayedCall | None = None
        # A flush must come before the ring has gone round.
        self._urgent = max(hub.ring.capacity // 4, 1)
        hub.listeners.append(self.points_came)

    def points_came(self, last_seq: int) -> None:
        """Flush at once after a quiet spell, else when the interval is over."""
        if last_seq - self.flushed_seq >= self._urgent:
            self.flush()
        elif self._pending is None:
            wait = self._flushed_at + self.pace.interval_s - self._clock.seconds()
            # A clock that was set back must not silence the stream.
            self._pending = self._clock.callLater(min(max(wait, 0.0), LONGEST_LOADED_S), self._due)

    def flush(self) -> None:
        """Send every point not yet sent."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        self._flushed_at = self._clock.seconds()
        first, last = max(self.flushed_seq + 1, self.hub.ring.first_seq), self.hub.last_seq
        self.flushed_seq = last
        if first > last:
            return
        self.hub.ledger.messages_broadcast += 1
        if not self.clients:
            return
        started = self._cpu_time()
        self.frames.append(self._cut(first, last), self._flushed_at)
        for client in tuple(self.clients):
            client.pump()
        self.pace.spent(self._cpu_time() - started)

    def tell(self, content: dict[str, Any]) -> None:
        """Send an ``insight_update``, never left out, to every client, and keep it for those that come back."""
        frame = Frame(insight_update(content, self.hub.epoch, self.insights.seq + 1))
        self.insights.append(frame)
        for client in tuple(self.clients):
            client.say(frame)

    def _due(self) -> None:
        self._pending = None
        try:
            self.flush()
        except Exception:
            self.log.failure("a flush failed")

    def _cut(self, first: int, last: int) -> list[Frame]:
        raws = self.hub.ring.between(first, last)
        frames = []
        start = size = 0
        if sum(map(len, raws)) + len(raws) > MESSAGE_BYTES:
            for index, raw in enumerate(raws):
                size += len(raw) + 1
                if size > MESSAGE_BYTES and index > start:
                    frames.append(self._framed(first + start, raws[start:index]))
                    start, size = index, len(raw) + 1
        frames.append(self._framed(first + start, raws[start:]))
        return frames

    def _framed(self, first_seq: int, raws: Sequence[bytes]) -> Frame:
        payload = telemetry_update(self.hub.epoch, first_seq, raws)
        return Frame(payload, first_seq, first_seq + len(raws) - 1, self._flushed_at)
