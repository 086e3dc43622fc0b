"""
The careful way to a point: each field of a decoded JSON object looked at by itself.

The quick way (``pitwall.wire.points``) refuses whatever it does not know; what
it refused comes here, and leaves as a point in canonical form or with an error
that names the field.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec

from pitwall.model.channels import (
    ALIASES,
    CAR_CLOCK,
    CHANNELS,
    MAX_FIELDS,
    MAX_NAME,
    MAX_POINT,
    MAX_TEXT,
    TEXT_ALIASES,
    Channel,
)
from pitwall.model.point import ARRIVAL, Point, iso_text, moment_at
from pitwall.wire.errors import WireError, shown

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,4})?", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?\s?(Z|z|UTC|[+-]\d\d:?\d\d)?", re.ASCII)
#: Names that would change an object's prototype in a browser that merges points.
_FORBIDDEN_NAMES = frozenset(("__proto__", "constructor", "prototype"))
_IDENTITY = ("track", "chassis")
#: Objects say their track and chassis themselves.
NOTHING_LACKING: Mapping[str, str] = MappingProxyType({})


def canonical(
    sent: Mapping[str, Any], received_at: float, lacking: Mapping[str, str] = NOTHING_LACKING
) -> tuple[Point, bytes, list[str]]:
    """
    A point from the fields of an object as they were sent.

    Aliases get their channel's name (unless the channel was sent as well: then
    both stay), numeric text becomes a number, null means not sent, and a missing
    ``meta_time`` becomes ``received_at`` [s since 1970]. ``lacking`` has the track
    or the chassis for objects that do not say it.

    Returns:
        The point, the JSON that clients get, and the names of its vendor fields
        (an alias that stayed is none: alone, it must go on to mean its channel).

    Raises:
        WireError: what is wrong, and with which field.
    """
    if len(sent) > MAX_FIELDS:
        raise WireError("too_many_fields", f"{len(sent)} fields, wanted {MAX_FIELDS} at most")
    clean: dict[str, Any] = {}
    vendor: list[str] = []
    for name, value in sent.items():
        known = ALIASES.get(name, name)
        if known != name and (sent.get(known) is not None or known in clean):
            known = name
        if value is None and (known in CHANNELS or known in TEXT_ALIASES):
            continue
        channel = CHANNELS.get(known)
        if channel is not None:
            clean[known] = number(channel, value, name)
        elif known == "meta_time":
            clean[known] = moment(value, name)
        elif known in _IDENTITY:
            clean[known] = text(value, name, MAX_NAME)
        elif known == "raw_source":
            clean[known] = text(value, name, MAX_TEXT)
        else:
            known = vendor_name(name)  # before its value: an error there prints the name
            clean[known] = scalar(value, name)
            if name not in ALIASES and name != CAR_CLOCK:
                vendor.append(name)
    for name in _IDENTITY:
        if not clean.get(name) and name in lacking:
            clean[name] = lacking[name]
        if not clean.get(name):
            raise WireError("missing_field", f"{name} is missing", name)
    sent_at = clean.pop("meta_time", None)
    if sent_at is None:
        sent_at = moment_at(received_at, ARRIVAL)
    point = Point(meta_time=sent_at, **{name: value for name, value in clean.items() if name in _POINT_FIELDS})
    relayed = msgspec.json.encode({"meta_time": iso_text(sent_at), **clean})
    if len(relayed) > MAX_POINT:
        raise WireError("too_long", f"the point has {len(relayed)} bytes, wanted {MAX_POINT} at most")
    return point, relayed, vendor


_POINT_FIELDS = frozenset(Point.__struct_fields__)


def number(channel: Channel, value: Any, name: str) -> int | float:
    """
    A channel's value, checked; numeric text is taken for the number it shows.

    Raises:
        WireError: not a number, not finite, or outside the channel's range.
    """
    if isinstance(value, str):
        stripped = value.strip()
        if len(stripped) > MAX_NAME or not _NUMBER.fullmatch(stripped):
            raise WireError("wrong_type", f"{name} is {shown(value)}, wanted a number", name)
        value = float(stripped)
    checked = _finite(value, name)
    if channel.integer:
        if checked != math.floor(checked):
            raise WireError("wrong_type", f"{name} is {shown(checked)}, wanted a whole number", name)
        checked = int(checked)
    if not channel.low <= checked <= channel.high:
        wanted = f"{channel.low:g} to {channel.high:g}"
        raise WireError("out_of_range", f"{name} is {shown(checked)}, wanted {wanted}", name)
    return checked


def text(value: Any, name: str, longest: int) -> str:
    """
    A text without control characters and of at most ``longest`` characters.

    Raises:
        WireError: it is something else.
    """
    if isinstance(value, dict | list):
        raise WireError("nested_value", f"{name} is an object or a list, wanted text", name)
    if not isinstance(value, str):
        raise WireError("wrong_type", f"{name} is {shown(value)}, wanted text", name)
    if len(value) > longest:
        raise WireError("too_long", f"{name} has {len(value)} characters, wanted {longest} at most", name)
    if _CONTROL.search(value):
        raise WireError("bad_text", f"{name} is {shown(value)}, wanted no control characters", name)
    return value


def _finite(value: Any, name: str) -> int | float:
    if isinstance(value, dict | list):
        raise WireError("nested_value", f"{name} is an object or a list, wanted a number", name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WireError("wrong_type", f"{name} is {shown(value)}, wanted a number", name)
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an integer of more than 308 digits
        finite = False
    if not finite:
        raise WireError("out_of_range", f"{name} is not a finite number", name)
    return value


def scalar(value: Any, name: str) -> Any:
    """
    The value of a vendor's own field: a finite number, a text, true, false or null.

    Raises:
        WireError: it is something else.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _finite(value, name)
    if isinstance(value, dict | list):
        raise WireError("nested_value", f"{name} is an object or a list, wanted a scalar", name)
    return text(value, name, MAX_TEXT)


def vendor_name(name: str) -> str:
    """
    A field name of a vendor's own, checked.

    Raises:
        WireError: it is empty, too long, or not allowed.
    """
    if not 0 < len(name) <= MAX_NAME:
        raise WireError("bad_name", f"a field name has {len(name)} characters, wanted 1 to {MAX_NAME}", name)
    if name in _FORBIDDEN_NAMES or _CONTROL.search(name):
        raise WireError("bad_name", f"{shown(name)} is not allowed as a field name", name)
    return name


def moment(value: Any, name: str) -> datetime:
    """
    A time in UTC from ISO 8601 text; without a zone it is UTC.

    Raises:
        WireError: it is something else.
    """
    if isinstance(value, str) and len(value) <= MAX_NAME:
        stripped = value.strip()
        if _ISO_TIME.fullmatch(stripped):
            try:
                told = datetime.fromisoformat(re.sub(r"\s?(UTC|z)$", "Z", stripped.replace(",", ".")))
                return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
            except (ValueError, OverflowError):
                pass
    raise WireError("bad_time", f"{name} is {shown(value)}, wanted an ISO 8601 time", name)
