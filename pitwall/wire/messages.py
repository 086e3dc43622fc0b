"""
The messages clients get over the WebSocket, as JSON text.

``telemetry_update`` carries points as they came. Points are numbered from 1
within an ``epoch`` (one run of the server): ``seq`` is the number of the last
point in the message, ``prev`` the number before its first one. A client has
lost something exactly when ``prev`` differs from the last ``seq`` it saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


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


def error(reason: str) -> bytes:
    """What a client said was not understood."""
    return msgspec.json.encode({"type": "error", "error": reason})
