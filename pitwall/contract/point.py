"""
A point, by the channel catalogue: as clients get it, and as it may be sent.

The names, units and ranges are those of ``pitwall.model.channels``; nothing of them is
written here again.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct

from pitwall.contract.terms import PLAIN, UNIT, Scalar, told
from pitwall.model.channels import (
    CAR_CLOCK,
    CORE,
    EXTRA,
    MAX_FIELDS,
    MAX_NAME,
    MAX_TEXT,
    TEXT_ALIASES,
    Channel,
)

#: What a vendor's own field may be.
VENDOR_VALUE: Final[dict[str, Any]] = {
    "description": "a vendor's own field, kept and relayed as it came",
    "anyOf": [
        {"type": "number"},
        {"type": "string", "maxLength": MAX_TEXT, "pattern": PLAIN},
        {"type": "boolean"},
        {"type": "null"},
    ],
}

#: A number as text.
_NUMBER: Final = r"^\s*[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?\s*$"

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, pattern=PLAIN)]
Text = Annotated[str, Meta(max_length=MAX_TEXT, pattern=PLAIN)]


def _kind(channel: Channel) -> Any:
    kind = int if channel.integer else float
    return Annotated[kind, told(channel.meaning, channel.unit, channel.low, channel.high)]


_Channels: Any = defstruct(
    "_Channels", [(channel.name, _kind(channel) | UnsetType, UNSET) for channel in CORE + EXTRA], kw_only=True
)
_CarClock: Any = defstruct(
    "_CarClock",
    [
        (
            CAR_CLOCK,
            Annotated[float | Text | bool | None, told("the car's own clock where it is ISO 8601 text")] | UnsetType,
            UNSET,
        )
    ],
    bases=(_Channels,),
    kw_only=True,
)


class Point(_CarClock):
    """What one car said at one moment. A channel that was not sent is left out; further fields are a vendor's own."""

    meta_time: Annotated[str, told("the logger's UTC, or when the point arrived; ISO 8601", format="date-time")]
    track: Annotated[Name, told("a track of the track file, or any other name")]
    chassis: Annotated[Name, told("the car")]
    raw_source: Annotated[Text, told("where the point comes from")] | UnsetType = UNSET


class Shared(Struct, kw_only=True):
    """What a row of the long form tells besides samples; the track and the car may also come by the address."""

    vehicle_id: Annotated[str | None, told("the car")] = None
    timestamp: Annotated[str | None, told("the car's own clock, ISO 8601")] = None
    meta_time: Annotated[str | None, told("the receiver's UTC, ISO 8601")] = None
    lap: Annotated[float | str | None, told("lap number; 0 and 32768 mean unknown")] = None
    meta_event: Annotated[str | None, told("tells the track")] = None
    meta_source: Annotated[str | None, told("where the row comes from")] = None
    track: Annotated[str | None, told("the track")] = None


class SentRow(Shared, kw_only=True):
    """A row of the long form: one sample of one channel. There may be further columns, which mean nothing."""

    telemetry_name: Annotated[str, told("the channel")]
    telemetry_value: Annotated[Scalar, told("its value")]


class SentSample(Struct):
    """One sample of a bundle."""

    name: Annotated[Name, told("the channel")]
    value: Annotated[Scalar, told("its value")] = None


class SentBundle(Shared, kw_only=True):
    """A row of the long form with several samples."""

    value: list[SentSample]


def sent_point() -> dict[str, Any]:
    """The schema of a point as it may be sent: with the aliases, numbers as text, and null for what was not sent."""
    properties: dict[str, Any] = {}
    for channel in CORE + EXTRA:
        kind = "integer" if channel.integer else "number"
        forms = [
            {"type": kind, "minimum": channel.low, "maximum": channel.high},
            {"type": "string", "description": "the number as text", "maxLength": MAX_NAME, "pattern": _NUMBER},
            {"type": "null"},
        ]
        unit = {UNIT: channel.unit} if channel.unit else {}
        properties[channel.name] = {"description": channel.meaning, **unit, "anyOf": forms}
        for alias in channel.aliases:
            properties[alias] = {"description": f"{channel.name} by another name", **unit, "anyOf": forms}
    for name, aliases in TEXT_ALIASES.items():
        text: dict[str, Any] = {"type": ["string", "null"], "maxLength": MAX_TEXT if name == "raw_source" else MAX_NAME}
        text |= {"format": "date-time"} if name == "meta_time" else {"pattern": PLAIN}
        properties[name] = text
        for alias in aliases:
            properties[alias] = {"description": f"{name} by another name", **text}
    return {
        "title": "SentPoint",
        "description": "A point as it may be sent. The track and the chassis must be there, by one of their names,"
        " unless the address of the post tells them.",
        "type": "object",
        "properties": properties,
        "propertyNames": {"minLength": 1, "maxLength": MAX_NAME, "pattern": PLAIN},
        "maxProperties": MAX_FIELDS,
        "additionalProperties": VENDOR_VALUE,
    }
