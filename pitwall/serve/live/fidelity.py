"""
How much a client can take, by what it has read.

What a socket has taken says little: kernels on both sides hold seconds of data. So pings
go between the messages, and the pong to one says that all before it was read (every
browser and every library answers by itself, in order)::

    written  ──────────■ping────────■ping────■ping──▶
    read     ─────pong▲                              │
                      └──── not known to be read ────┘   at most ``limit`` bytes

A client begins with a limit of 64 KiB, and each pong in time makes it four times as much
until it is none: a fast client never notices, a slow one has a second or two of data under
way where it would have had ten. A pong that takes over 250 ms sets the limit to 64 KiB again, and
telemetry waits for it. Points that have waited for half a second are not sent one by one
any more (level *reduced*): the client gets the newest point of each car with the ranges
of what was between, a message at a time, the next one when it has read the last. Before
the first of these a ping goes alone, for what the way takes at that time. It
climbs back when its pongs have been quick for a while and the stream is not more than
what it was seen to read; a climb that fails makes the while longer.

Pings cost some 45 us each with their pongs: a client in doubt (one with a limit, or in
reduced quality) is pinged every 32 KiB or 250 ms; others every 500 ms or less often, such
that all of them together make some 100 pings a second.

No network and no clock here; all times are in s, all sizes in bytes.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

#: A client in doubt is pinged after so much.
PING_BYTES = 32 << 10
PING_S = 0.25
#: One that is not, after so long at least.
TRUSTED_PING_S = 0.5
#: Pings to clients that are not in doubt, all together [1/s].
PINGS_PER_S = 100.0
#: A pong that takes so much longer than with nothing under way is late.
LATE_S = 0.25
#: A ping with less before it has nothing under way; a pong that takes no longer tells nothing of a rate.
LITTLE_BYTES = 8 << 10
LITTLE_S = 0.02
#: With less than a message before it a ping goes alone.
ALONE_BYTES = 64
#: What a pong takes in any case is the least of so many with nothing under way: routes change, and one may be hindered.
MOST_BASES, LEAST_BASES = 8, 3
#: It counts up to this.
LONGEST_BASE_S = 1.0
#: So many pings may be unanswered.
MOST_PINGS = 16
#: What may be unread of a client whose pong was late, and what a new one begins with.
LEAST_LIMIT = 64 << 10
#: A client that was never late may have more unread while its oldest ping is younger than this: when many come
#: at once, their first pongs take a while.
GRACE_S = 0.1
#: Above it there is no limit.
MOST_LIMIT = 1 << 20
#: A client that never answers a ping is let off after this: its socket alone tells how it does.
NEVER_S = 2.0
#: A limit that has not been grown out of goes after so long without a late pong.
TRUST_S = 2.0
#: Telemetry that has waited for so long is conflated; for longer where pongs take long: they are what raises the limit.
BEHIND_S = 0.5
MOST_BEHIND_S = 0.9
#: Snapshots of a client in reduced quality follow each other after so long at least.
SNAPSHOT_S = 0.1
#: In reduced quality for so long at least; doubled by each climb that fails, up to the longest.
CLIMB_S = 2.0
LONGEST_CLIMB_S = 32.0
#: A climb has failed when the client is behind again within this; if not, the next may be as quick as the first.
PROOF_S = 10.0
#: What it reads, against the bytes of the stream, for a climb.
MARGIN = 1.25


class _Ping(NamedTuple):
    payload: bytes
    written: int
    before: int  # not known to be read then [bytes]
    at: float


class Fidelity:
    """
    One client's.

    Args:
        now: when it came.

    Attributes:
        reduced: whether it gets snapshots in place of every point.
        changed_at: since when.
        written: bytes written to it; who writes adds to it.
        read: bytes of them that it is known to have read.
        trusted_until: until then it need not be asked whether something may be written, or a ping is due.
        read_at: when it was last seen to have read, or was pinged with nothing unread.
    """

    def __init__(self, now: float) -> None:
        self.reduced = False
        self.changed_at = now
        self.written = 0
        self.read = 0
        self.read_at = now
        self.trusted_until = 0.0
        self._joined = now
        self._pings: deque[_Ping] = deque(maxlen=MOST_PINGS)
        self._pinged = 0  # written when the last ping went
        self._pinged_at = now - PING_S
        self._answers = False  # has answered a ping once
        self._limit: int | None = LEAST_LIMIT
        self._doubted_at = now
        self._bases: deque[float] = deque(maxlen=MOST_BASES)  # what pongs took with nothing under way [s]
        self._rates: deque[float] = deque(maxlen=5)  # what it was seen to read in reduced quality [bytes/s]
        self._slow_at = now  # the last late pong, or the beginning of reduced quality
        self._snapshot_at = now - SNAPSHOT_S
        self._climb_s = CLIMB_S

    @property
    def waits(self) -> bool:
        """Whether a pong is to come."""
        return bool(self._pings)

    def ping_due(self, now: float, clients: int) -> bool:
        """Whether a ping is to follow what was written last; ``clients``: of the server."""
        size = self.written - self._pinged
        if not size or len(self._pings) >= MOST_PINGS:
            return False
        if self._in_doubt():
            return size >= PING_BYTES or now - self._pinged_at >= PING_S
        interval_s = max(TRUSTED_PING_S, clients / PINGS_PER_S)
        if self._pings:
            return False
        self.trusted_until = self._pinged_at + interval_s
        return now >= self.trusted_until

    def pinged(self, payload: bytes, now: float) -> None:
        """A ping was written behind all else."""
        self.trusted_until = 0.0
        if not self._pings:
            self.read_at = now
        self._pings.append(_Ping(payload, self.written, self.written - self.read, now))
        self._pinged, self._pinged_at = self.written, now

    def ponged(self, payload: bytes, now: float) -> bool:
        """
        A pong came.

        Returns:
            Whether it answers a ping of ours; one answers those before it too (RFC 6455, section 5.5.3).
        """
        if not any(ping.payload == payload for ping in self._pings):
            return False
        while True:
            ping = self._pings.popleft()
            if ping.payload == payload:
                break
        took_s = max(now - ping.at, 0.0)  # a clock may be set back
        size = ping.before
        self._answers = True
        self.read, self.read_at = ping.written, now
        if size < LITTLE_BYTES:
            self._bases.append(took_s)
        late_s = max(took_s - self._least_s, 0.0)
        if self.reduced and size >= ALONE_BYTES:
            self._rates.append(size / late_s if late_s > LITTLE_S else float("inf"))
        if late_s > LATE_S:
            self._limit = LEAST_LIMIT
            self._doubted_at = self._slow_at = now
        elif self._limit is not None and size >= min(PING_BYTES, self._limit // 2):
            self._limit = self._limit * 4 if self._limit * 4 < MOST_LIMIT else None
        elif now - self._doubted_at >= TRUST_S:
            self._limit = None
        return True

    def late(self, now: float) -> bool:
        """Whether a pong is waited for longer than it should take."""
        return bool(self._pings) and now - self._pings[0].at > LATE_S + self._least_s

    def open(self, now: float) -> bool:
        """Whether telemetry may be written now."""
        if not self._answers and now - self._joined > NEVER_S:
            return True
        if self.late(now):
            self._limit = LEAST_LIMIT
            self._doubted_at = now
        if self._limit is None or self.written - self.read < self._limit:
            return True
        return self._slow_at == self._joined and bool(self._pings) and now - self._pings[0].at < GRACE_S

    def stuck(self, now: float) -> None:
        """Its socket would take no more."""
        self.trusted_until = 0.0
        self._limit = LEAST_LIMIT
        self._doubted_at = self._slow_at = now

    def reduce(self, now: float) -> None:
        """It is behind: snapshots from now on."""
        self.trusted_until = 0.0
        if not self.reduced:
            quickly = now - self.changed_at < PROOF_S and self.changed_at > self._joined
            self._climb_s = min(self._climb_s * 2, LONGEST_CLIMB_S) if quickly else CLIMB_S
            self.reduced, self.changed_at = True, now
        self._limit = LEAST_LIMIT
        self._slow_at = self._doubted_at = now
        self._rates.clear()
        self._bases.clear()  # what was taken for late may be a longer way

    def ready(self, now: float) -> bool:
        """Whether all that was pinged for has been read, as far as this client tells."""
        return not self._pings or (not self._answers and now - self._joined > NEVER_S)

    @property
    def behind_s(self) -> float:
        """How long telemetry may wait for it."""
        return min(BEHIND_S + self._least_s, MOST_BEHIND_S)

    @property
    def to_measure(self) -> bool:
        """Whether a ping is to go alone before the next snapshot."""
        return self._answers and not self._pings and len(self._bases) < LEAST_BASES

    def snapshot_wait(self, now: float, interval_s: float = 0.0) -> float:
        """How long until the next snapshot, ``interval_s`` at least after the last."""
        interval_s = max(SNAPSHOT_S, interval_s)
        return min(max(self._snapshot_at + interval_s - now, 0.0), interval_s)

    def snapped(self, now: float) -> None:
        """A snapshot was sent, and a ping with it."""
        self._snapshot_at = now

    def may_climb(self, now: float, bytes_per_s: float) -> bool:
        """Whether it may get every point again; ``bytes_per_s`` is what these come to."""
        if 0.0 <= now - self._slow_at < self._climb_s:
            return False
        if not self._answers:  # its socket is all there is to go by
            return True
        if self._pings:
            return False
        # Where next to nothing comes there are no snapshots to measure by, and no need to.
        return bytes_per_s < LITTLE_BYTES or min(self._rates, default=0.0) >= MARGIN * bytes_per_s

    def climb(self, now: float) -> None:
        """It gets every point from now on, in doubt at first."""
        self.trusted_until = 0.0
        self.reduced, self.changed_at = False, now
        self._limit = LEAST_LIMIT
        self._doubted_at = now

    def stalled_for(self, now: float) -> float:
        """How long it has read nothing though there is something to read."""
        return now - self.read_at if self._pings else 0.0

    @property
    def _least_s(self) -> float:
        """What a pong takes in any case."""
        return min(min(self._bases, default=0.0), LONGEST_BASE_S)

    def _in_doubt(self) -> bool:
        return self.reduced or self._limit is not None
