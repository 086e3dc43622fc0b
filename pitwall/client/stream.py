"""
Where a client is in the stream, and what its messages mean for it; no network here.

Points are numbered within an epoch, one run of the server. A first connection asks
for ``?snapshot=1``, which tells the epoch and the numbers there are; from then on
there is a position to resume from, even if no point has come yet::

    ?snapshot=1                       snapshot, telemetry_update, insight_update, …
                                      -- the connection breaks --
    ?since=EPOCH:SEQ&insight_seq=N    resumed, [gap,] what was missed, and so on

After a restart of the server (another epoch) it answers the position with a gap of
unknown length and goes on live. The points since its start are in its ring though,
so the client asks for them: it connects once more, from point 0 of the new epoch.

A subscription leaves points out: then a message has fewer points than numbers, and
nothing is lost by that. Where the numbers go on is said by ``subscribed``, and after a
break by ``resumed``. That may be before the last number that was seen, for the server
thins several points to one message; a message of which all numbers were seen is left out.

A server that does not know these questions just sends what is live. That works too;
what is missing then shows by ``prev`` and ``epoch``, and is told as a ``gap`` likewise.
``pitwall/serve/static/pitwall-client.js`` is the same in JavaScript.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class StreamError(Exception):
    """What came is no message of PitWall; the text says what was seen."""


class Position(NamedTuple):
    """
    A place in the stream, to resume from.

    Attributes:
        epoch: the run of the server.
        seq: the last point seen.
        insight_seq: the last insight_update seen; None asks for none that were missed.
    """

    epoch: str
    seq: int
    insight_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """
    A message of the stream.

    Attributes:
        type: telemetry_update, insight_update, gap, resumed, snapshot, subscribed, quality, error, or what a later
            server may send.
        content: the message itself.
        recovered: whether all is there between the message before and this one. It is False of a gap, of the
            first telemetry_update after one, of an insight_update before which others are missing, and of
            ``resumed`` when something could not be had.
        position: where the stream is after this message, to resume from; None as long as that is not known.
    """

    type: str
    content: Mapping[str, Any]
    recovered: bool
    position: Position | None

    @property
    def points(self) -> list[dict[str, Any]]:
        """The points of a telemetry_update or a snapshot, oldest first; none of any other."""
        found: list[dict[str, Any]] = self.content["data"] if self.type in ("telemetry_update", "snapshot") else []
        return found


@dataclass(slots=True)
class Counters:
    """
    What has come and what has not, since the client was made.

    Attributes:
        connections: how often the server was reached.
        points: those of telemetry_update.
        points_lost: those that are known to be missing.
        points_repeated: those that came again and were left out.
        points_conflated: those that others stand for, in messages that are thinned.
        gaps: how often points were missing.
        unknown_gaps: those of the gaps of which nobody knows how many points they are.
        insights: messages of insight_update.
        insights_lost: those that are known to be missing.
    """

    connections: int = 0
    points: int = 0
    points_lost: int = 0
    points_repeated: int = 0
    points_conflated: int = 0
    gaps: int = 0
    unknown_gaps: int = 0
    insights: int = 0
    insights_lost: int = 0


@dataclass(slots=True)
class Stream:
    """
    Follows the numbers of a stream over all its connections.

    Attributes:
        position: what to resume from; None before anything is known.
        resume: whether a new connection asks for what was missed, or goes on with what is newest.
        snapshot: whether the snapshot is of interest, and not only its numbers.
        counters: what has come and what has not.
        again: the connection is to be closed, and a new one made at once.
    """

    position: Position | None = None
    resume: bool = True
    snapshot: bool = False
    counters: Counters = field(default_factory=Counters)
    again: bool = False
    _complete: bool = True
    _joining: bool = False

    def query(self) -> dict[str, str]:
        """What to ask the server for; to be asked before each connection."""
        self.again = False
        self._joining = True
        if self.position is None or not self.resume:
            return {"snapshot": "1"}
        query = {"since": f"{self.position.epoch}:{self.position.seq}"}
        if self.position.insight_seq is not None:
            query["insight_seq"] = str(self.position.insight_seq)
        return query

    def take(self, content: Any) -> list[Message]:
        """
        What a message of the server means: itself, mostly; a gap before it; nothing, when it is a repetition.

        Raises:
            StreamError: it is no message of PitWall.
        """
        try:
            by_kind = _BY_TYPE.get(_checked(content))
            return [self._message(content)] if by_kind is None else by_kind(self, content)
        except (KeyError, TypeError, AttributeError) as error:
            raise StreamError(f"no message of PitWall: {_shown(content)}") from error

    def _message(self, content: Mapping[str, Any], recovered: bool = True) -> Message:
        return Message(content["type"], content, recovered, self.position)

    def _snapshot(self, content: dict[str, Any]) -> list[Message]:
        epoch, seq = content["epoch"], content["seq"]
        found = self._catch_up(epoch, seq, "not_resumed")
        self.position = Position(epoch, seq, content["insight_seq"])
        self._complete, self._joining = True, False
        return [*found, self._message(content)] if self.snapshot else found

    def _resumed(self, content: dict[str, Any]) -> list[Message]:
        position, recovered = self.position, bool(content["recovered"])
        self._joining = False
        if position is not None and position.epoch == content["epoch"]:
            if position.insight_seq is None:
                position = position._replace(insight_seq=content["insight_seq"])
            if recovered:  # nothing that is wanted lies between
                position = position._replace(seq=max(position.seq, content["seq"]))
            self.position = position
        return [self._message(content, recovered)]

    def _subscribed(self, content: dict[str, Any]) -> list[Message]:
        position, seq = self.position, content["seq"]
        # Before the server has said what it makes of our position, this is not where we are.
        if position is not None and position.epoch == content["epoch"] and not self._joining:
            self.position = position._replace(seq=seq)
        return [self._message(content)]

    def _gap(self, content: dict[str, Any]) -> list[Message]:
        position, epoch, points = self.position, content["epoch"], content["points"]
        if position is not None and position.epoch != epoch:
            # All there is of the new epoch can be had.
            self.position = Position(epoch, 0, 0)
            self.again = True
        elif position is not None and content["last"] is not None:
            self.position = position._replace(seq=max(position.seq, content["last"]))
        return [self._lost(content, points)]

    def _telemetry(self, content: dict[str, Any]) -> list[Message]:
        epoch, seq, prev, data = content["epoch"], content["seq"], content["prev"], content["data"]
        found = self._catch_up(epoch, prev, "skipped")
        position = self.position or Position(epoch, prev)
        repeated = position.seq - prev
        if repeated > 0 and seq <= position.seq:
            self.counters.points_repeated += len(data)
            return found
        # A message of fewer points than numbers has left some out on purpose; which of them are known can't be told.
        if repeated > 0 and len(data) == seq - prev:
            self.counters.points_repeated += repeated
            content = {**content, "prev": position.seq}
            for name in content.keys() & {"data", "counts", "ranges"}:
                content[name] = content[name][repeated:]
            data = content["data"]
        self.position = position._replace(seq=max(seq, position.seq))
        self.counters.points += len(data)
        self.counters.points_conflated += content.get("conflated", 0)
        complete, self._complete = self._complete, True
        return [*found, self._message(content, complete)]

    def _insight(self, content: dict[str, Any]) -> list[Message]:
        epoch, number = content.get("epoch"), content.get("insight_seq")
        position, found, lost = self.position, [], 0
        if position is not None and epoch is not None and position.epoch != epoch:
            found = self._catch_up(epoch, 0, "other_epoch")
            self.position = position = None
        if position is not None and number is not None:
            if position.insight_seq is not None:
                if number <= position.insight_seq:
                    return found
                lost = number - position.insight_seq - 1
            self.position = position._replace(insight_seq=number)
        self.counters.insights += 1
        self.counters.insights_lost += lost
        return [*found, self._message(content, not lost)]

    def _catch_up(self, epoch: str, seq: int, reason: str) -> list[Message]:
        """Go to a place in the stream that the server has gone to without saying why; the gap, if it is one."""
        position = self.position
        if position is None:
            return []
        if position.epoch != epoch:
            self.position = Position(epoch, seq)
            first = last = points = None
            reason = "other_epoch"
        elif position.seq < seq:
            self.position = position._replace(seq=seq)
            first, last, points = position.seq + 1, seq, seq - position.seq
        else:
            return []
        gap = {"type": "gap", "epoch": epoch, "first": first, "last": last, "points": points, "reason": reason}
        return [self._lost(gap, points)]

    def _lost(self, gap: Mapping[str, Any], points: int | None) -> Message:
        self.counters.gaps += 1
        if points is None:
            self.counters.unknown_gaps += 1
        else:
            self.counters.points_lost += points
        self._complete = False
        return self._message(gap, recovered=False)


#: What the members are that are looked at; most may be missing, or null.
_MEMBERS: dict[str, type] = {
    **dict.fromkeys(("seq", "prev", "insight_seq", "first", "last", "points", "conflated"), int),
    **dict.fromkeys(("data", "counts", "ranges"), list),
    "epoch": str,
}
_NEEDED = {
    "snapshot": ("epoch", "seq", "insight_seq", "data"),
    "resumed": ("epoch", "seq", "insight_seq", "recovered"),
    "subscribed": ("epoch", "seq"),
    "gap": ("epoch", "points", "last"),
    "telemetry_update": ("epoch", "seq", "prev", "data"),
}
_NULL = ("points", "last")


def _checked(content: Any) -> str:
    """
    The type of a message whose members are what they should be; nothing of a broken one is to be taken.

    Raises:
        KeyError, TypeError, AttributeError: they are not.
    """
    kind = content["type"]
    if type(kind) is not str:
        raise TypeError("type")
    needed = _NEEDED.get(kind)
    if needed is None and kind != "insight_update":
        return kind
    for name, wanted in _MEMBERS.items():
        value = content.get(name)
        if value is not None and type(value) is not wanted and not (kind == "insight_update" and wanted is list):
            raise TypeError(name)
    if not (content.get("epoch") or "").isascii():  # it goes into an address
        raise TypeError("epoch")
    for name in needed or ():
        if content[name] is None and name not in _NULL:
            raise TypeError(name)
    if kind in ("snapshot", "telemetry_update") and not all(type(point) is dict for point in content["data"]):
        raise TypeError("data")
    return kind


def _shown(content: Any) -> str:
    try:
        return f"{str(content)[:80]!a}"
    except RecursionError:  # lists in lists in lists
        return "nested too deeply"


_BY_TYPE: dict[str, Callable[[Stream, dict[str, Any]], list[Message]]] = {
    "snapshot": Stream._snapshot,
    "resumed": Stream._resumed,
    "subscribed": Stream._subscribed,
    "gap": Stream._gap,
    "telemetry_update": Stream._telemetry,
    "insight_update": Stream._insight,
}
