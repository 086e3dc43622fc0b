"""
What one client has got of its stream, and what it gets next.

A client is in one of three ways::

    live      has a place in the log of its stream, and gets the messages as they are made
    behind    catches up from the ring (it came back, or wants something else), as fast as it reads
    reduced   reads too slowly: the newest point of each car with ranges, one message at a time

What became of each point for it is in its account (``pitwall.serve.live.account``).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall

from pitwall.serve.live.account import Account
from pitwall.serve.live.batch import at_most
from pitwall.serve.live.broadcast import STEP, Broadcaster
from pitwall.serve.live.conflation import Conflation
from pitwall.serve.live.fidelity import Fidelity
from pitwall.serve.live.frames import Frame
from pitwall.serve.live.insightlane import InsightLane
from pitwall.serve.live.joining import Since
from pitwall.serve.live.narrowing import Narrowing
from pitwall.serve.live.outlet import Outlet
from pitwall.serve.live.stream import key_of
from pitwall.serve.live.subscription import INSIGHTS, QUALITY, UNASKED, Subscription
from pitwall.wire import messages

#: What the points of a step of catching up may come to, and what a message of it may have [bytes].
STEP_BYTES = 256 << 10
STEP_MESSAGE_BYTES = 64 << 10
#: Insights of a step of sending them again.
STEP_INSIGHTS = 4
#: Who has not caught up after so long, or has read nothing for the shorter, goes on in reduced quality [s].
CATCH_UP_S = 10.0
STUCK_S = 2.0
#: In reduced quality so many insight messages may wait for their turn; five seconds of them, by default.
MOST_TURNS = 8
#: Nothing is said of quality before a client is so old [s].
QUIET_S = 1.0


class Delivery(Account):
    """
    One client's.

    Args:
        broadcaster: the streams.
        clock: seconds and callLater.
        outlet: where messages go.
        subscription: what is wanted.
        packed: whether it reads MessagePack.
        most_waiting: insights that may wait for their turn [bytes].

    Attributes:
        subscription: what is wanted.
        stream: where it comes from.
        fidelity: how much it can take.

    Raises:
        AskError: there are too many subscriptions.
    """

    def __init__(
        self,
        broadcaster: Broadcaster,
        clock: Any,
        outlet: Outlet,
        subscription: Subscription,
        packed: bool,
        most_waiting: int,
    ) -> None:
        self._broadcaster = broadcaster
        self._clock = clock
        self._outlet = outlet
        self._packed = packed
        self._left = False
        self.subscription = subscription
        self.stream = broadcaster.streams.get(key_of(subscription, packed), broadcaster.flushed_seq)
        self.stream.clients[outlet] = None
        self._next = self.stream.frames.end
        self._besides = -self._next
        super().__init__(self.stream.settled, self.stream.sent_seq, broadcaster.hub.ledger)
        self._joined_at = clock.seconds()
        self.fidelity = Fidelity(self._joined_at)
        self._live = True
        self._behind_since: float | None = None
        self._conflation: Conflation | None = None
        self._timer: IDelayedCall | None = None
        self._said_reduced = False
        self._insights = InsightLane(most_waiting)
        self._pings = 0
        self._pinged = -1
        self._insights_next = False  # in reduced quality: insights, after a snapshot
        self._conflated_before = 0

    @property
    def messages(self) -> int:
        """Messages of telemetry written to it; its place in the log counts those that it took from there."""
        return self._next + self._besides

    @property
    def state(self) -> str:
        """Which of the three ways it is in."""
        if self.fidelity.reduced:
            return "reduced"
        return "live" if self._behind_since is None else "behind"

    def pump(self) -> None:
        """Send what there is for this client, as far as it takes it."""
        log = self.stream.frames
        # A log may be empty: where a client that is not live was in it means nothing.
        if self._live and self.fidelity.trusted_until > self._broadcaster.flushed_at and self._next == log.end - 1:
            # The one new message, to one of many clients that keep up: this is all there is to it.
            frame = log.newest
            if frame.prev == self._seq and not self._outlet.paused:
                self._next += 1
                self._seq = self._told = frame.seq
                self.delivered += frame.points
                self.conflated += frame.conflated
                self.filtered += frame.filtered
                self._outlet.write(frame)
                return
        if self._left:
            return
        if self.fidelity.reduced:
            self._reduced_turn(self._clock.seconds())
            return
        if self._insights and not self._outlet.paused:
            self._later(0.0)
        if self._behind_since is not None:
            self._catch_up()
            if self._behind_since is not None or self.fidelity.reduced:
                return
        self._follow()

    def look(self, now: float) -> None:
        """Go on, and say how it goes; to be called every second or so. ``now`` is in s."""
        self.pump()
        self._tell_quality(now)

    def tell(self, narrowing: Narrowing) -> bool:
        """
        Write insights, or have them wait for their turn.

        Returns:
            Whether there is room for them; else the client is too slow.
        """
        if self.fidelity.reduced or self._insights:
            return self._insights.put(narrowing, self.subscription)
        self._outlet.say(narrowing.of(self.subscription))
        return True

    def tell_waiting(self) -> None:
        """Write all insights that wait."""
        while self._insights:
            self._outlet.say(self._insights.take(self.subscription))

    def settle(self) -> None:
        """Account for what was looked at and not wanted."""
        stream = self.stream
        if not self._live or self._next < stream.frames.end:
            return
        self._drop_to(stream.lost_to)
        self._pass(stream.settled)
        if stream.key is None:
            self._told = self._seq

    def resume(self, since: Since) -> None:
        """Say from where it goes on, what can't be had any more, and the insights it has not."""
        broadcaster = self._broadcaster
        hub, insights = broadcaster.hub, broadcaster.insights
        broadcaster.flush_for(since.epoch, since.seq)
        # A client can't have what was not sent yet: another server had its epoch.
        same = since.epoch == hub.epoch and since.seq <= broadcaster.flushed_seq
        first = hub.ring.first_seq
        seq = max(since.seq, first - 1) if same else broadcaster.flushed_seq
        insight_seq = insights.seq - len(self._insights)
        lost = not same or seq > since.seq
        if since.insight_seq is not None and same:
            insight_seq = max(min(since.insight_seq, insights.seq), insights.first_seq - 1)
            lost = lost or insight_seq > since.insight_seq
            if INSIGHTS in self.subscription.types:
                self._insights.restart(insights.after(insight_seq))
        self._go_to(seq)
        self._outlet.say(Frame(messages.resumed(hub.epoch, self._told, insight_seq, not lost)))
        if not same:
            self._outlet.say(Frame(messages.gap(hub.epoch, None, None, "other_epoch")))
        elif seq > since.seq:
            self._outlet.say(Frame(messages.gap(hub.epoch, since.seq + 1, seq, "overwritten")))
        if self.subscription is UNASKED:
            self.subscription = Subscription()
        if not self.fidelity.reduced:
            self._tell_some()

    def subscribe(self, subscription: Subscription) -> None:
        """
        Want something else from now on, and say so.

        Raises:
            AskError: there are too many subscriptions.
        """
        streams, old = self._broadcaster.streams, self.stream
        new = streams.get(key_of(subscription, self._packed), self._broadcaster.flushed_seq, old)
        self.subscription = subscription
        if INSIGHTS not in subscription.types:
            self._insights.clear()
        if new is not old:
            self.settle()
            del old.clients[self._outlet]
            self._broadcaster.left(old)
            self.stream = new
            new.clients[self._outlet] = None
            self._go_to(self._seq)
        said = messages.subscribed(self._broadcaster.hub.epoch, self._told, subscription.members())
        self._outlet.say(Frame(said))

    def leave(self) -> None:
        """It is gone: what it has not got was dropped."""
        if self._left:
            return
        self.settle()
        self._left, self._live = True, False
        if self._timer is not None:
            self._timer.cancel()
        del self.stream.clients[self._outlet]
        self._broadcaster.left(self.stream)
        self._drop_to(self._broadcaster.flushed_seq)

    def _go_to(self, seq: int) -> None:
        """Go on after a point, by its stream as it is now."""
        # What the stream has looked at beyond its last message was not wanted, or is still to come.
        seq = min(seq, self.stream.sent_seq)
        self._go_back(seq)
        now = self._clock.seconds()
        if self.stream.key is None:  # there is nothing for it to be behind with
            if self.fidelity.reduced:
                self.fidelity.climb(now)
            self._conflation = None
            self._pass(self.stream.settled)
            self._told = self._seq
            self._go_live(0)
        elif self.fidelity.reduced:
            self._conflation = self.stream.conflation(seq)
        else:
            self._behind_since = now
            self._live = False

    def _go_live(self, index: int) -> None:
        """Go on in the log of its stream."""
        self._besides += self._next - index
        self._next = index
        self._behind_since = None
        self._live = True

    def _follow(self) -> None:
        log = self.stream.frames
        if self._next < log.start:  # it has waited for longer than they are kept
            self._reduce()
            return
        while self._next < log.end:
            now = self._clock.seconds()
            frame = log.get(self._next)
            if not self._open(now):
                if now - frame.sent_at > self.fidelity.behind_s:
                    self._reduce()
                return
            self._next += 1
            self._besides -= 1
            self._send(frame, now)

    def _catch_up(self) -> None:
        """Take a step from the ring, or into the log where it goes on from there."""
        stream, log, ring = self.stream, self.stream.frames, self._broadcaster.hub.ring
        now = self._clock.seconds()
        if not self._open(now):
            waited = now - (self._behind_since or now)
            if waited > CATCH_UP_S or self.fidelity.stalled_for(now) > STUCK_S:
                self._reduce()
            return
        if self._seq >= stream.sent_seq:
            if self._told < stream.sent_seq:
                self._send(stream.nothing(self._told, stream.sent_seq), now)
            self._go_live(log.end)
            return
        index = log.after(self._told)
        if index is not None:
            self._go_live(index)
            return
        if self._timer is not None and self._timer.getTime() <= now:
            return  # a step a turn, however often it is asked for
        if self._seq + 1 < ring.first_seq:  # the ring went round meanwhile
            gap = messages.gap(self._broadcaster.hub.epoch, self._seq + 1, ring.first_seq - 1, "overwritten")
            self._drop_to(ring.first_seq - 1)
            self._outlet.say(Frame(gap))
        last = min(self._seq + STEP, log.end_of(self._seq + 1) or stream.sent_seq)
        batch = stream.batch(self._seq + 1, at_most(STEP_BYTES, ring.between(self._seq + 1, last)))
        if stream.interval_s:
            conflation = stream.conflation(self._seq)
            conflation.add(batch.digest)
            frames = [] if conflation.empty else [stream.thinned(conflation, self._told, batch.last)]
        else:
            frames = stream.messages(batch, self._told, STEP_MESSAGE_BYTES)
        for frame in frames:
            if self._left or not self._open(now):
                return
            self._send(frame, now)
        self._pass(batch.last)
        self._later(0.0)

    def _reduce(self) -> None:
        """It is behind."""
        now = self._clock.seconds()
        self.fidelity.reduce(now)
        self._behind_since = None
        self._live = False
        self._conflation = self.stream.conflation(self._seq)
        self._conflated_before = self.conflated
        self._tell_quality(now)
        self._reduced_turn(now)

    def _reduced_turn(self, now: float) -> None:
        """
        Send one thing when all that was sent has been read: a snapshot, or insights.

        They take turns. When more than ``MOST_TURNS`` insight messages wait, these come first: the client reads
        too slowly for both, and old insights are no better than old points.
        """
        conflation, stream, fidelity = self._conflation, self.stream, self.fidelity
        if conflation is None:
            return
        if not self._broadcaster.fold(conflation):
            self._later(0.0)
            return
        if self._outlet.paused or not fidelity.ready(now):
            return
        if fidelity.to_measure:
            self._ping(now)
            return
        wait = fidelity.snapshot_wait(now, stream.interval_s)
        if self._insights and (self._insights_next or wait > 0 or conflation.empty or len(self._insights) > MOST_TURNS):
            self._insights_next = False
            self._outlet.say(self._insights.take(self.subscription))
            self._ping(now)
            self._later(0.0 if fidelity.ready(now) else wait)
            return
        if wait > 0:
            self._later(wait)
            return
        climbs = fidelity.may_climb(now, stream.rate(now))
        # Whether nothing is to come of what was conflated: it can go on with the stream behind its last message.
        level = conflation.last <= stream.settled
        if climbs and not level:
            return  # it goes on with the next message of its stream, which is to come in an instant
        self._drop_to(conflation.after)
        if conflation.empty:
            conflation.restart(conflation.last)
        else:
            fidelity.snapped(now)
            before = self.conflated
            self._insights_next = True
            seq = stream.sent_seq if level else conflation.last
            self._send(stream.thinned(conflation, self._told, seq), now, ping=True)
            self._broadcaster.hub.ledger.points_conflated += self.conflated - before
        self._pass(conflation.last)
        if climbs:
            if self._told < stream.sent_seq:
                self._send(stream.nothing(self._told, stream.sent_seq), now)
            self._told = stream.sent_seq  # what was lost behind it was not wanted
            fidelity.climb(now)
            self._conflation = None
            self._go_live(stream.frames.end)
            self._tell_quality(now)
            self._later(0.0)

    def _open(self, now: float) -> bool:
        """Whether telemetry may be written now; where that depends on what it has read, a ping asks."""
        if self._outlet.paused:
            return False
        if self.fidelity.open(now):
            return True
        if not self.fidelity.waits:
            self._ping(now)
        return False

    def _send(self, frame: Frame, now: float, ping: bool = False) -> None:
        self._besides += 1
        self._count(frame)
        self._outlet.write(frame)
        if ping or self.fidelity.ping_due(now, len(self._broadcaster.clients)):
            self._ping(now)

    def _ping(self, now: float) -> None:
        # Each tells itself apart, also when nothing came between: a client may answer the newest alone.
        again = self._told == self._pinged
        self._pings = self._pings + 1 if again else 0
        self._pinged = self._told
        payload = b"%d+%d" % (self._told, self._pings) if again else b"%d" % self._told
        self.fidelity.pinged(payload, now)
        self._outlet.ping(payload)

    def _later(self, wait: float) -> None:
        if self._left:
            return
        if self._timer is None:
            self._timer = self._clock.callLater(wait, self._again)
        elif self._timer.getTime() > self._clock.seconds() + wait:
            self._timer.reset(wait)

    def _again(self) -> None:
        self._timer = None
        try:
            self.pump()
            if not self.fidelity.reduced:
                self._tell_some()
        except Exception:
            self._outlet.fail()

    def _tell_some(self) -> None:
        """Write some of the insights that wait, as its socket takes them."""
        for _ in range(STEP_INSIGHTS):
            if not self._insights or self._outlet.paused:
                return
            self._outlet.say(self._insights.take(self.subscription))
        self._later(0.0)

    def _tell_quality(self, now: float) -> None:
        reduced = self.fidelity.reduced
        if reduced == self._said_reduced or now - self._joined_at < QUIET_S or QUALITY not in self.subscription.types:
            return
        self._said_reduced = reduced
        told = messages.quality(
            self._broadcaster.hub.epoch,
            self._told,
            "reduced" if reduced else "full",
            round(self.fidelity.changed_at * 1000),
            0 if reduced else self.conflated - self._conflated_before,
        )
        self._outlet.say(Frame(told))
