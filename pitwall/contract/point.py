"""
A point, by the channel catalogue: as clients get it, and as it may be sent.

The names, units and ranges are those of ``pitwall.model.channels``; nothing of them is
written here again.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct

from pitwall.contract.terms import UNIT, told
from pitwall.model.channels import (
    CAR_CLOCK,
    CORE,
    EXTRA,
    MAX_NAME,
    MAX_TEXT,
    TEXT_ALIASES,
    Channel,
)

#: What a vendor's own field may be.
VENDOR_VALUE: Final[dict[str, Any]] = {
    "description": "a vendor's own field, kept and relayed as it came",
    "anyOf": [{"type": "number"}, {"type": "string", "maxLength": MAX_TEXT}, {"type": "boolean"}, {"type": "null"}],
}

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]


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


class SentSample(Struct):
    """One sample of a bundle."""

    name: Name
    value: float | str | bool | None = None


class SentBundle(Struct):
    """A row of the long form with several samples."""

    value: list[SentSample]
    vehicle_id: str
    timestamp: Annotated[str | None, told("the car's own clock, ISO 8601")] = None
    meta_time: Annotated[str | None, told("the receiver's UTC, ISO 8601")] = None


def sent_point() -> dict[str, Any]:
    """The schema of a point as it may be sent: with the aliases, numbers as text, and null for what was not sent."""
    properties: dict[str, Any] = {}
    for channel in CORE + EXTRA:
        kind = "integer" if channel.integer else "number"
        forms = [
            {"type": kind, "minimum": channel.low, "maximum": channel.high},
            {"type": "string", "description": "the number as text", "maxLength": MAX_NAME},
            {"type": "null"},
        ]
        unit = {UNIT: channel.unit} if channel.unit else {}
        properties[channel.name] = {"description": channel.meaning, **unit, "anyOf": forms}
        for alias in channel.aliases:
            properties[alias] = {"description": f"{channel.name} by another name", **unit, "anyOf": forms}
    for name, aliases in TEXT_ALIASES.items():
        text = {"type": ["string", "null"], "maxLength": MAX_TEXT if name == "raw_source" else MAX_NAME}
        properties[name] = text
        for alias in aliases:
            properties[alias] = {"description": f"{name} by another name", **text}
    return {
        "title": "SentPoint",
        "description": "A point as it may be sent. The track and the chassis must be there, by one of their names,"
        " unless the address of the post tells them.",
        "type": "object",
        "properties": properties,
        "additionalProperties": VENDOR_VALUE,
    }
