"""
Telemetry as clients with one subscription get it: encoded once for all of them.

A stream takes each flush of points and appends to its log what its clients are to get.
The numbers in its messages are those of the points considered, whether they are in the
message or not: ``prev`` is the ``seq`` of the stream's message before, and a flush of
which nothing is wanted makes no message. With ``max_hz`` points are conflated in between.

What one client alone is to get (it catches up, or is behind) a stream encodes as well,
without appending it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pitwall.serve.live.batch import Batch, decoded, narrowed
from pitwall.serve.live.conflation import Columns, Conflation
from pitwall.serve.live.frames import BINARY, TEXT, Frame, FrameLog
from pitwall.serve.live.subscription import TELEMETRY, Subscription
from pitwall.wire import columnar, messages

#: A telemetry message is cut at this size [bytes of the points' JSON].
MESSAGE_BYTES = 256 << 10
#: The rate of a stream is averaged over so long [s].
_RATE_S = 1.0
#: A message may come so much before it is due: half a flush early is better than a flush late [s].
_EARLY_S = 0.004


class StreamKey(NamedTuple):
    """
    What makes streams different.

    Attributes:
        subscription: what is wanted of telemetry; its ``types`` do not matter.
        packed: MessagePack in place of JSON.
    """

    subscription: Subscription
    packed: bool = False


#: What a stream has looked out for that no telemetry is wanted of: of no car.
_NOTHING = Subscription(chassis=frozenset(), types=frozenset())

#: What a client gets that asks for nothing; there is always room for this stream.
PLAIN_KEY = StreamKey(Subscription(types=frozenset((TELEMETRY,))))


def key_of(subscription: Subscription, packed: bool) -> StreamKey | None:
    """The stream for a subscription; None where no telemetry is wanted."""
    if TELEMETRY not in subscription.types:
        return None
    return StreamKey(subscription._replace(types=frozenset((TELEMETRY,))), packed)


class Stream:
    """
    One subscription's telemetry.

    Args:
        key: which; None: no telemetry, every point is left out.
        epoch: of the hub.
        seq: the last point before it.
        columns: of the server.

    Attributes:
        frames: its messages.
        considered: the last point it has looked at.
        sent_seq: the ``seq`` of its last message, or ``lost_to`` where that is behind it: ``prev`` of the next.
        lost_to: the last point that was lost before it could be looked at.
        interval_s: from one message to the next, at least, for ``max_hz`` [s]; 0 without it.
        clients: who gets them, in the order they came; each has ``pump()``.
    """

    def __init__(self, key: StreamKey | None, epoch: str, seq: int, columns: Columns) -> None:
        self.key = key
        self.subscription = _NOTHING if key is None else key.subscription
        self.frames = FrameLog() if key == PLAIN_KEY else FrameLog(max_bytes=1 << 20)
        self.considered = self.sent_seq = seq
        self.lost_to = 0
        self.clients: dict[Any, None] = {}
        self._bytes_per_s = 0.0
        self._packed = key is not None and key.packed
        self._epoch = epoch
        self._columns = columns
        self._rated_at = 0.0
        self.interval_s = 0.0 if self.subscription.max_hz is None else 1 / self.subscription.max_hz
        self._emitted_at = float("-inf")
        self._conflation = self.conflation(seq) if self.interval_s else None

    @property
    def settled(self) -> int:
        """The last point of which nothing is to come: the messages up to it are made, and the rest is not wanted."""
        if self._conflation is not None and not self._conflation.empty:
            return self.sent_seq
        return self.considered

    def wait(self, now: float) -> float | None:
        """How long until what was conflated is to be sent, 0 when it is due [s]; None without any."""
        if self._conflation is None or self._conflation.empty:
            return None
        wait = self._emitted_at + self.interval_s - now
        # It is more than an interval when the clock was set back, which must not silence the stream.
        return wait if _EARLY_S < wait <= self.interval_s + _EARLY_S else 0.0

    def take(self, batch: Batch, now: float) -> None:
        """Take a flush; what the ring had lost before it is missing, which ``prev`` then shows."""
        if self.key is None:
            self.considered = self.sent_seq = batch.last
            return
        if batch.first - 1 > self.considered:
            self.emit(now)
            self.sent_seq = self.lost_to = batch.first - 1
            if self._conflation is not None:
                self._conflation.restart(self.lost_to)
        self.considered = batch.last
        if self._conflation is None:
            self._append(self.messages(batch, self.sent_seq), now)
            return
        if self._conflation.add(batch.digest):
            self.sent_seq = self.lost_to = self._conflation.after
        if self.wait(now) == 0:
            self.emit(now)

    def emit(self, now: float) -> None:
        """Send what was conflated."""
        if self._conflation is None or self._conflation.empty:
            return
        self._append([self.thinned(self._conflation, self.sent_seq, self._conflation.last)], now)
        due_at = self._emitted_at + self.interval_s
        # One that was early makes the next no earlier.
        self._emitted_at = due_at if now < due_at <= now + _EARLY_S else now

    def conflation(self, after: int) -> Conflation:
        """A conflation of the points after that one, as this stream wants them."""
        return Conflation(after, self.subscription.wants, self._columns)

    def batch(self, first: int, raws: Sequence[bytes]) -> Batch:
        """Points for ``messages`` or a conflation, numbered on from ``first``."""
        return Batch(first, raws, self._columns)

    def messages(self, batch: Batch, prev: int, most_bytes: int = MESSAGE_BYTES) -> list[Frame]:
        """
        The messages for these points; none where none of them is wanted.

        Args:
            batch: the points.
            prev: the ``seq`` of the message before.
            most_bytes: a message is cut at this size [bytes of the points' JSON].
        """
        indices = batch.wanted(self.subscription)
        if not indices:
            return []
        channels = self.subscription.channels
        whole = channels is None and len(indices) == len(batch.raws)
        raws = batch.raws if whole else batch.projected(indices, channels)
        points: Sequence[dict[str, Any]] = ()
        if self._packed:
            points = [batch.points[index] for index in indices] if channels is None else decoded(raws)
        frames: list[Frame] = []
        start = 0
        for end in _cuts(raws, most_bytes):
            # The last message goes as far as was looked.
            seq = batch.last if end == len(raws) else batch.first + indices[end - 1]
            if self._packed:
                payload = columnar.telemetry_update(self._epoch, prev, seq, points[start:end])
            else:
                payload = messages.filtered_update(self._epoch, prev, seq, raws[start:end])
            frames.append(Frame(payload, prev, seq, end - start, opcode=self._opcode))
            prev, start = seq, end
        return frames

    def thinned(self, conflation: Conflation, prev: int, seq: int) -> Frame:
        """
        The message for what was conflated, which is emptied by it.

        Args:
            conflation: the points.
            prev: the ``seq`` of the message before.
            seq: the last point of it, or one before behind which nothing is wanted.
        """
        channels = self.subscription.channels
        found = conflation.take(channels)
        raws = found.newest if channels is None else narrowed(found.newest, channels)
        thinned = messages.Thinned(found.counts, found.ranges)
        if self._packed:
            payload = columnar.telemetry_update(self._epoch, prev, seq, decoded(raws), thinned)
        else:
            payload = messages.thinned_update(self._epoch, prev, seq, raws, thinned)
        kept = len(raws)
        return Frame(payload, prev, seq, kept, sum(found.counts) - kept, opcode=self._opcode)

    def nothing(self, prev: int, seq: int) -> Frame:
        """A message without points: nothing between is wanted."""
        if self._packed:
            return Frame(columnar.telemetry_update(self._epoch, prev, seq, ()), prev, seq, opcode=BINARY)
        return Frame(messages.filtered_update(self._epoch, prev, seq, ()), prev, seq)

    def rate(self, now: float) -> float:
        """What its messages come to [bytes/s], on average over a second or so."""
        return self._bytes_per_s if now - self._rated_at < _RATE_S else 0.0

    def _append(self, frames: Sequence[Frame], now: float) -> None:
        elapsed = now - self._rated_at
        if elapsed > 0:
            size = sum(len(frame.plain) for frame in frames)
            share = min(elapsed / _RATE_S, 1.0)
            self._bytes_per_s += share * (size / elapsed - self._bytes_per_s)
            self._rated_at = now
        if not frames:
            return
        self.frames.append(frames, now)
        self.sent_seq = frames[-1].seq

    @property
    def _opcode(self) -> int:
        return BINARY if self._packed else TEXT


def _cuts(raws: Sequence[bytes], most_bytes: int) -> list[int]:
    """Where to cut points into messages: the index behind the last point of each."""
    if sum(map(len, raws)) + len(raws) <= most_bytes:
        return [len(raws)]
    cuts = []
    size = start = 0
    for index, raw in enumerate(raws):
        size += len(raw) + 1
        if size > most_bytes and index > start:
            cuts.append(index)
            start, size = index, len(raw) + 1
    return [*cuts, len(raws)]
