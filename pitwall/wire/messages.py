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


def insight_update(content: dict[str, Any]) -> bytes:
    """The message for the results of one aggregation tick; NaN, which JSON has not, becomes null."""
    return msgspec.json.encode({"type": "insight_update", **content})
