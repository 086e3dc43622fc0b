"""
What a client asks for when it comes, or comes back.

By the query of the WebSocket's address, or the first of them by a message::

    ?since=5f0c2a9e:4242        {"type":"resume","since":"5f0c2a9e:4242"}
    ?since=…&insight_seq=17     {"type":"resume","since":"…","insight_seq":17}
    ?snapshot=1

``docs/websocket.md`` tells what is answered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import MsgspecError, Struct, json

from pitwall.hub import Hub

_SINCE = re.compile(r"([0-9A-Za-z_-]{1,64}):(\d{1,18})", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


class AskError(ValueError):
    """What was asked makes no sense; the message says what was seen and what was wanted."""


class Since(NamedTuple):
    """Where a client was: the epoch, the last point it has, and the last insight if it says so."""

    epoch: str
    seq: int
    insight_seq: int | None


class Asked(NamedTuple):
    """What a client asks for by its address."""

    since: Since | None = None
    snapshot: bool = False


def asked_by(query: Mapping[str, Sequence[str]]) -> Asked:
    """
    What the query of the address asks for; parameters that are not known are ignored.

    Raises:
        AskError: one makes no sense, or comes twice.
    """
    given = {}
    for name in ("since", "insight_seq", "snapshot"):
        values = query.get(name, ())
        if len(values) > 1:
            raise AskError(f"{name} is there {len(values)} times, wanted once")
        given[name] = values[0] if values else ""
    if given["snapshot"] not in ("", "0", "1"):
        raise AskError(f"snapshot is {given['snapshot'][:40]!a}, wanted 1 or 0")
    since = None
    if given["since"]:
        since = _since(given["since"], given["insight_seq"] or None)
    elif given["insight_seq"]:
        raise AskError("insight_seq without since: of which epoch?")
    return Asked(since, given["snapshot"] == "1")


def resume_message(payload: bytes) -> Since | None:
    """
    What a ``resume`` message asks for; None where it is another message, or none at all.

    Raises:
        AskError: it makes no sense.
    """
    try:
        message = json.decode(payload)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("type") != "resume":
        return None
    insight_seq = message.get("insight_seq")
    if insight_seq is not None and (isinstance(insight_seq, bool) or not isinstance(insight_seq, int)):
        raise AskError("insight_seq is no whole number")
    return _since(message.get("since"), None if insight_seq is None else str(insight_seq))


def newest_points(hub: Hub) -> list[bytes]:
    """The newest point of each car that the ring has, oldest first."""
    hub.write_rows()
    wanted = {(car.track, car.chassis) for car in hub.cars}
    found: list[bytes] = []
    name = json.Decoder(_Name)
    for raw in reversed(hub.ring.newest(hub.ring.capacity)):
        if not wanted:
            break
        point = name.decode(raw)
        key = (point.track, point.chassis)
        if key in wanted:
            wanted.discard(key)
            found.append(raw)
    return found[::-1]


class _Name(Struct):
    track: str
    chassis: str


def _since(text: Any, insight_seq: str | None) -> Since:
    found = _SINCE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise AskError(f"since is {str(text)[:40]!a}, wanted EPOCH:SEQ such as 5f0c2a9e:4242")
    if insight_seq is not None and not _NUMBER.fullmatch(insight_seq):
        raise AskError(f"insight_seq is {insight_seq[:40]!a}, wanted a whole number of 0 or more")
    return Since(found[1], int(found[2]), None if insight_seq is None else int(insight_seq))
