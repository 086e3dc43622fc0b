"""What must hold of a point that was accepted, and of what is said in answer."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from benchmarks.fuzz.target import ACCEPTED, Broken
from pitwall.client.packed import in_rows
from pitwall.model.channels import (
    ALIASES,
    CAR_CLOCK,
    CHANNELS,
    MAX_FIELDS,
    MAX_NAME,
    MAX_POINT,
    MAX_TEXT,
    TEXT_ALIASES,
    UNKNOWN_LAPS,
)
from pitwall.model.point import Point
from pitwall.wire import columnar
from pitwall.wire.errors import WireError
from pitwall.wire.points import Decoded

#: When everything came [s since 1970].
NOW: Final = 1_757_184_100.0625
_FORBIDDEN: Final = {"__proto__", "constructor", "prototype"}


def strict(text: bytes) -> Any:
    """
    JSON as RFC 8259 has it, and as msgspec and Python both read it.

    Raises:
        Broken: it is none, or they do not agree.
    """

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    try:
        content = json.loads(text.decode("utf-8"), parse_constant=refuse)
        other = msgspec.json.decode(text)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise Broken(f"no JSON: {error}: {text[:200]!r}") from None
    if not _alike(content, other):
        raise Broken(f"{text[:200]!r} is {content!r:.200} to one, {other!r:.200} to another")
    return content


def decoded(found: Decoded) -> str:
    """What became of a message; checks all that is to be sent on."""
    points_hold(found)
    for refusal in found.refused:
        refusal_holds(refusal.error)
    if found.points:
        return ACCEPTED
    return found.refused[0].error.reason if found.refused else "nothing yet"


def points_hold(found: Decoded) -> list[dict[str, Any]]:
    """
    Check the points, their JSON, and how both travel further; returns them as clients read them.

    Raises:
        Broken: something does not hold.
    """
    if len(found.points) != len(found.raws):
        raise Broken(f"{len(found.points)} points, {len(found.raws)} texts")
    told = [_point_holds(point, raw) for point, raw in zip(found.points, found.raws, strict=True)]
    if told:
        _travels(told, found.raws)
    return told


def refusal_holds(error: WireError) -> None:
    """Check a refusal: a known reason, and words that can be printed and sent."""
    if error.reason not in WireError.REASONS:
        raise Broken(f"the reason {error.reason!r} is not known")
    if not error.message.isascii() or not error.message.isprintable() or len(error.message) > 600:
        raise Broken(f"the message {error.message!r} can't be printed")
    strict(msgspec.json.encode({"field": error.field, "message": error.message}))


def alike(one: Decoded, other: Decoded) -> bool:
    """Whether two results of the same bytes say the same, however it is written."""
    if _reasons(one) != _reasons(other):
        return False
    return one.raws == other.raws or list(map(_said, one.raws)) == list(map(_said, other.raws))


def _reasons(found: Decoded) -> list[tuple[int, str]]:
    """Of what is nested very deeply it depends on the stack by then, whether that or another fault is found first."""
    return [(row, error.reason.replace("too_deep", "not_json")) for row, error in found.refused]


def as_many(one: Decoded, other: Decoded) -> bool:
    """Whether they have the same points, in whatever order, and refuse the same rows, whatever they call the reason."""
    if sorted(row for row, _ in one.refused) != sorted(row for row, _ in other.refused):
        return False
    return sorted(map(_said, one.raws)) == sorted(map(_said, other.raws))


def _said(raw: bytes) -> str:
    fields = msgspec.json.decode(raw)
    fields["meta_time"] = msgspec.convert(fields["meta_time"], datetime).isoformat()
    return repr(sorted((name, _number(value)) for name, value in fields.items()))


def _point_holds(point: Point, raw: bytes) -> dict[str, Any]:
    fields = strict(raw)
    if not isinstance(fields, dict) or len(raw) > MAX_POINT + 100 or not 2 <= len(fields) <= MAX_FIELDS + 1:
        raise Broken(f"no point: {len(raw)} bytes, {raw[:200]!r}")
    if b"\n" in raw or b"\r" in raw:
        raise Broken(f"a line's end in {raw[:200]!r}")
    for name, value in fields.items():
        _field_holds(name, value)
    for name in ("track", "chassis"):
        if fields.get(name) != getattr(point, name) or not 0 < len(fields[name]) <= MAX_NAME:
            raise Broken(f"{name} is {fields.get(name)!r} to clients, {getattr(point, name)!r} to the race")
    for name in CHANNELS:
        value = getattr(point, name)
        # A number that says that the lap is not known goes to the race alone; a lap's end counts to the next lap there.
        told = name == "lap" and ((name not in fields and value in UNKNOWN_LAPS) or "lap_event" in fields)
        if fields.get(name) != (None if value != value else value) and not told:
            raise Broken(f"{name} is {fields.get(name)!r} to clients, {value!r} to the race")
    moment = point.meta_time
    if not isinstance(moment, datetime) or not isinstance(fields.get("meta_time"), str):
        raise Broken(f"meta_time is {fields.get('meta_time')!r} to clients, {moment!r} to the race")
    if msgspec.convert(fields["meta_time"], datetime) != moment:
        raise Broken(f"meta_time is {fields['meta_time']!r} to clients, {moment!r} to the race")
    if fields.get(CAR_CLOCK) != point.timestamp and not isinstance(point.timestamp, float):
        raise Broken(f"timestamp is {fields.get(CAR_CLOCK)!r} to clients, {point.timestamp!r} to the race")
    return fields


def _field_holds(name: str, value: Any) -> None:
    if not 0 < len(name) <= MAX_NAME or name in _FORBIDDEN or not _plain(name):
        raise Broken(f"a field named {name!r}")
    if isinstance(value, str):
        # A time may have any number of digits after the second's.
        longest = MAX_NAME if name in ("track", "chassis") else MAX_TEXT
        if len(value) > longest or not _plain(value):
            raise Broken(f"{name} is {value!r:.200}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if not _finite(value):
            raise Broken(f"{name} is {value!r:.200}")
        channel = CHANNELS.get(ALIASES.get(name, name)) if name in CHANNELS else None
        if channel is not None and not channel.low <= value <= channel.high:
            raise Broken(f"{name} is {value!r}, outside {channel.low} to {channel.high}")
        if name in TEXT_ALIASES:
            raise Broken(f"{name} is the number {value!r}")
    elif value is not None and not isinstance(value, bool):
        raise Broken(f"{name} is {value!r:.200}")


def _travels(told: list[dict[str, Any]], raws: Sequence[bytes]) -> None:
    """Check that the points come out of columns, at a client, as they went in."""
    points = [msgspec.json.decode(raw) for raw in raws]
    message = columnar.telemetry_update("abcd", 0, len(points), points)
    read = in_rows(msgspec.msgpack.decode(message))["data"]
    for sent, came in zip(told, read, strict=True):
        wanted = {name: value for name, value in sent.items() if value is not None}
        wanted["meta_time"] = came.get("meta_time")
        if {name: _number(value) for name, value in wanted.items()} != {k: _number(v) for k, v in came.items()}:
            raise Broken(f"{sent!r:.300} came as {came!r:.300}")


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _plain(text: str) -> bool:
    return not any(c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in text)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other) or (
        isinstance(one, int) and isinstance(other, float) and _finite(one) and float(one) == other
    )
