"""What the small server of a stream knows of its clients: what they asked for, and in which encoding."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from websockets import Subprotocol

from pitwall.wire import columnar
from pitwall.wire.messages import Thinned

PACKED = Subprotocol("pitwall.msgpack")
LISTS = ("chassis", "track", "channels", "types")


@dataclass
class Client:
    """
    A connection.

    Attributes:
        packed: whether it gets MessagePack.
        wanted: the members of its subscription; None before it has asked for anything.
        told: the last number it was told.
        considered: the last point that was looked at for it.
        waiting: what is still to be sent, a message or plain text.
    """

    packed: bool
    wanted: dict[str, Any] | None = None
    told: int = 0
    considered: int = 0
    waiting: list[dict[str, Any] | str] = field(default_factory=list)

    def wants(self, kind: str) -> bool:
        """Whether it gets messages of a type."""
        return kind in (self.wanted or {}).get("types", [kind])


def asked(said: Mapping[str, Any]) -> dict[str, Any]:
    """
    The members of a subscription.

    Raises:
        ValueError: what makes no sense.
    """
    if not 0.1 <= said.get("max_hz", 1) <= 100:
        raise ValueError(f"max_hz is {said['max_hz']:g}, wanted 0.1 to 100")
    types = said.get("types", ["telemetry_update", "insight_update", "quality"])
    return {**{name: said[name] for name in (*LISTS, "max_hz") if name in said}, "types": types}


def asked_by(query: Mapping[str, str]) -> dict[str, Any] | None:
    """What the query of an address subscribes to; None where it says nothing of it."""
    said: dict[str, Any] = {name: query[name].split(",") for name in LISTS if name in query}
    if "max_hz" in query:
        said["max_hz"] = float(query["max_hz"])
    return asked(said) if said else None


def encoded(message: dict[str, Any] | str, packed: bool) -> str | bytes:
    """What is sent for a message, or a plain text."""
    if isinstance(message, str):
        return message
    if not packed:
        return json.dumps(message)
    if message["type"] == "telemetry_update":
        thinned = Thinned(message["counts"], message["ranges"]) if "counts" in message else None
        return columnar.telemetry_update(message["epoch"], message["prev"], message["seq"], message["data"], thinned)
    if message["type"] == "snapshot":
        numbers = message["seq"], message["insight_seq"]
        return columnar.snapshot(message["epoch"], *numbers, message["data"], message["insight"])
    return columnar.transcoded(json.dumps(message).encode())
