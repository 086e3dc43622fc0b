"""
The messages clients get over the WebSocket, as JSON text.

``telemetry_update`` carries points as they came. Points are numbered from 1
within an ``epoch`` (one run of the server): ``seq`` is the number of the last
point in the message, ``prev`` the number before its first one. A client has
lost something exactly when ``prev`` differs from the last ``seq`` it saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec


class Thinned(NamedTuple):
    """
    What the points of a thinned message stand for, each for the points of its car since the one before.

    Attributes:
        counts: how many points each stands for, itself included; by index of the points.
        ranges: the least and the greatest value over these, by channel; a channel that did not change is left out.
    """

    counts: Sequence[int]
    ranges: Sequence[Mapping[str, tuple[float, float]]]


def telemetry_update(epoch: str, first_seq: int, raws: Sequence[bytes]) -> bytes:
    """
    The message for points numbered from ``first_seq`` on.

    Args:
        epoch: plain ASCII, without quotes.
        first_seq: the number of the first point.
        raws: the points' JSON, oldest first; at least one.
    """
    head = b'{"type":"telemetry_update","epoch":"%b","seq":%d,"prev":%d,"data":[' % (
        epoch.encode(),
        first_seq + len(raws) - 1,
        first_seq - 1,
    )
    return b"%b%b]}" % (head, b",".join(raws))


def filtered_update(epoch: str, prev: int, seq: int, raws: Sequence[bytes]) -> bytes:
    """
    The message of those points after ``prev`` up to ``seq`` that a client has asked for.

    Args:
        epoch: plain ASCII, without quotes.
        prev: the number before the first point that was looked at.
        seq: the number of the last one.
        raws: the points' JSON, oldest first.
    """
    head = b'{"type":"telemetry_update","epoch":"%b","seq":%d,"prev":%d,"data":[' % (epoch.encode(), seq, prev)
    return b"%b%b]}" % (head, b",".join(raws))


def thinned_update(epoch: str, prev: int, seq: int, raws: Sequence[bytes], thinned: Thinned) -> bytes:
    """
    The message of the newest points of the cars, which stand for all after ``prev`` up to ``seq``.

    ``conflated`` in it is how many points are not told themselves. The other
    arguments are those of `filtered_update`.
    """
    head = b'{"type":"telemetry_update","epoch":"%b","seq":%d,"prev":%d,"conflated":%d' % (
        epoch.encode(),
        seq,
        prev,
        sum(thinned.counts) - len(raws),
    )
    counts, ranges = msgspec.json.encode(thinned.counts), msgspec.json.encode(thinned.ranges)
    return b'%b,"counts":%b,"ranges":%b,"data":[%b]}' % (head, counts, ranges, b",".join(raws))


def recent(epoch: str, first_seq: int, raws: Sequence[bytes]) -> bytes:
    """The answer to ``GET /api/recent/:n``, oldest first; ``first_seq`` is that of the first point."""
    tail = b'],"first_seq":%d,"last_seq":%d,"epoch":"%b"}' % (first_seq, first_seq + len(raws) - 1, epoch.encode())
    return b'{"recent":[%b%b' % (b",".join(raws), tail)


def insight_update(content: dict[str, Any], epoch: str, insight_seq: int) -> bytes:
    """The message for the results of one aggregation tick; NaN, which JSON has not, becomes null."""
    return msgspec.json.encode({"type": "insight_update", "epoch": epoch, "insight_seq": insight_seq, **content})


def resumed(epoch: str, seq: int, insight_seq: int, recovered: bool) -> bytes:
    """A client goes on after point ``seq`` and insight ``insight_seq``; ``recovered``: with nothing between lost."""
    return msgspec.json.encode(
        {"type": "resumed", "epoch": epoch, "seq": seq, "insight_seq": insight_seq, "recovered": recovered}
    )


def gap(epoch: str, first: int | None, last: int | None, reason: str) -> bytes:
    """Points ``first`` to ``last`` can't be had any more; None where it is not known how many they are."""
    points = None if first is None or last is None else last - first + 1
    told = {"type": "gap", "epoch": epoch, "first": first, "last": last, "points": points, "reason": reason}
    return msgspec.json.encode(told)


def snapshot(epoch: str, seq: int, insight_seq: int, raws: Sequence[bytes], insight: bytes | None) -> bytes:
    """The newest point of each car, oldest first, and the newest ``insight_update``, or null."""
    head = b'{"type":"snapshot","epoch":"%b","seq":%d,"insight_seq":%d,"data":[' % (epoch.encode(), seq, insight_seq)
    return b'%b%b],"insight":%b}' % (head, b",".join(raws), insight or b"null")


def subscribed(epoch: str, seq: int, members: Mapping[str, Any]) -> bytes:
    """The points after ``seq`` are those of the subscription with these members."""
    return msgspec.json.encode({"type": "subscribed", "epoch": epoch, "seq": seq, **members})


def quality(epoch: str, seq: int, level: str, since_ms: int, conflated: int) -> bytes:
    """
    From ``seq`` on a client gets telemetry that is thinned, ``reduced``, or all of it again, ``full``.

    Args:
        epoch: the run of the server.
        seq: the last point the client was sent.
        level: ``reduced`` or ``full``.
        since_ms: since when [ms since 1970].
        conflated: points not told themselves meanwhile.
    """
    told = {"type": "quality", "epoch": epoch, "seq": seq, "level": level, "since": since_ms, "conflated": conflated}
    return msgspec.json.encode(told)


def error(reason: str, request: str | None = None) -> bytes:
    """What a client said was not understood; ``request`` is the type of what it said, where that is known."""
    told = (
        {"type": "error", "error": reason}
        if request is None
        else {"type": "error", "request": request, "error": reason}
    )
    return msgspec.json.encode(told)
