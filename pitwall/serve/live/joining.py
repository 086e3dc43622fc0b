"""
What a client asks for when it comes, or comes back.

By the query of the WebSocket's address, or the first of them by a message::

    ?since=5f0c2a9e:4242        {"type":"resume","since":"5f0c2a9e:4242"}
    ?since=…&insight_seq=17     {"type":"resume","since":"…","insight_seq":17}
    ?snapshot=1

and with these, or alone, a subscription: see ``pitwall.serve.live.subscription``.

``docs/websocket.md`` tells what is answered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import MsgspecError, Struct, json, msgpack

from pitwall.hub import Hub
from pitwall.serve.live.batch import narrowed
from pitwall.serve.live.subscription import UNASKED, AskError, Subscription, from_message, from_query, shown

_SINCE = re.compile(r"([0-9A-Za-z_-]{1,64}):(\d{1,18})", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


class Since(NamedTuple):
    """Where a client was: the epoch, the last point it has, and the last insight if it says so."""

    epoch: str
    seq: int
    insight_seq: int | None


class Asked(NamedTuple):
    """What a client asks for by its address."""

    since: Since | None = None
    snapshot: bool = False
    subscription: Subscription = UNASKED
    #: Whether the address limits it.
    subscribes: bool = False


def asked_by(query: Mapping[str, Sequence[str]], anything: bool = False) -> Asked:
    """
    What the query of the address asks for; parameters that are not known are ignored.

    Args:
        query: the values by name.
        anything: whether the client has asked for something by other means already.

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
    snapshot = given["snapshot"] == "1"
    subscription = from_query(query)
    if subscription is not None:
        return Asked(since, snapshot, subscription, True)
    anything = anything or since is not None or snapshot
    return Asked(since, snapshot, Subscription() if anything else UNASKED)


def said_by(payload: bytes, packed: bool = False) -> Mapping[str, Any]:
    """The message of a client, by its members; empty where it is none of ours. ``packed``: as MessagePack."""
    try:
        message = msgpack.decode(payload) if packed else json.decode(payload)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(message, dict) or message.get("type") not in ("resume", "subscribe"):
        return {}
    if not all(isinstance(name, str) for name in message):
        return {}
    return message


def wanted_by(message: Mapping[str, Any]) -> Since | Subscription:
    """
    What a ``resume`` or ``subscribe`` message asks for.

    Raises:
        AskError: it makes no sense.
    """
    if message["type"] == "subscribe":
        return from_message(message)
    insight_seq = message.get("insight_seq")
    if insight_seq is not None and (isinstance(insight_seq, bool) or not isinstance(insight_seq, int)):
        raise AskError("insight_seq is no whole number")
    return _since(message.get("since"), None if insight_seq is None else str(insight_seq))


def newest_points(hub: Hub, subscription: Subscription) -> list[bytes]:
    """The newest point of each car that is wanted and that the ring has, oldest first, with its wanted channels."""
    hub.write_rows()
    wanted = {(car.track, car.chassis) for car in hub.cars if subscription.wants(car.track, car.chassis)}
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
    found.reverse()
    return found if subscription.channels is None else narrowed(found, subscription.channels)


class _Name(Struct):
    track: str
    chassis: str


def _since(text: Any, insight_seq: str | None) -> Since:
    found = _SINCE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise AskError(f"since is {shown(text)!a}, wanted EPOCH:SEQ such as 5f0c2a9e:4242")
    if insight_seq is not None and not _NUMBER.fullmatch(insight_seq):
        raise AskError(f"insight_seq is {insight_seq[:40]!a}, wanted a whole number of 0 or more")
    return Since(found[1], int(found[2]), None if insight_seq is None else int(insight_seq))
