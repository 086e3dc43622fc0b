"""
What a client wants of the stream: which cars, channels and messages, and how often.

By the query of the WebSocket's address, or at any time by a message, which replaces
all of what was asked before::

    ?chassis=GR86-004-78,GR86-002-2&channels=speed_kmh,rpm&max_hz=10
    {"type":"subscribe","chassis":["GR86-004-78"],"track":["barber"],"types":["telemetry_update"],"max_hz":10}

What is not said is not limited. Clients that want the same share one encoding, so a
subscription is a value that compares equal, however it was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pitwall.contract.messages import LEAST_HZ, MOST_HZ, SUBSCRIBABLE
from pitwall.model.channels import MAX_NAME

#: What a client may choose among; answers to what it says come in any case.
TELEMETRY, INSIGHTS, QUALITY = TYPES = SUBSCRIBABLE
#: What a client gets that asks for nothing at all.
PLAIN = frozenset((TELEMETRY, INSIGHTS))

#: So many names may be asked for in one member.
MOST_NAMES = 256

#: What a point keeps whatever the channels asked for: whose it is, and when.
ALWAYS = ("meta_time", "track", "chassis")

_LISTS = ("chassis", "track", "channels", "types")
_MEMBERS = (*_LISTS, "max_hz")


class AskError(ValueError):
    """What was asked makes no sense; the message says what was seen and what was wanted."""


class FullError(AskError):
    """There is no room for another subscription."""


class Subscription(NamedTuple):
    """
    What a client wants.

    Attributes:
        chassis: of these cars; None: of all.
        track: of cars on these tracks; None: on all.
        channels: besides ``ALWAYS``; None: all that there are.
        types: messages, of ``TYPES``.
        max_hz: telemetry at most so often, the newest point of each car [1/s]; None: every point.
    """

    chassis: frozenset[str] | None = None
    track: frozenset[str] | None = None
    channels: frozenset[str] | None = None
    types: frozenset[str] = frozenset(TYPES)
    max_hz: float | None = None

    @property
    def every_car(self) -> bool:
        """Whether no car is left out."""
        return self.chassis is None and self.track is None

    def wants(self, track: str, chassis: str) -> bool:
        """Whether points of a car are wanted."""
        return (self.track is None or track in self.track) and (self.chassis is None or chassis in self.chassis)

    def members(self) -> dict[str, Any]:
        """What is limited, as a message says it; ``types`` always."""
        said: dict[str, Any] = {}
        for name in ("chassis", "track", "channels"):
            names = getattr(self, name)
            if names is not None:
                said[name] = sorted(names)
        said["types"] = [name for name in TYPES if name in self.types]
        if self.max_hz is not None:
            said["max_hz"] = self.max_hz
        return said


#: What a client wants that asks for nothing at all; it may still come to ask for something.
UNASKED = Subscription(types=PLAIN)


def from_query(query: Mapping[str, Sequence[str]]) -> Subscription | None:
    """
    What the query of an address asks for; None where it says nothing of all this.

    A list is written by commas, or its parameter more than once; empty is as good as absent.

    Raises:
        AskError: something makes no sense.
    """
    asked: dict[str, Any] = {}
    for name in _LISTS:
        names = [part for value in query.get(name, ()) for part in value.split(",") if part]
        if names:
            asked[name] = names
    rates = [value for value in query.get("max_hz", ()) if value]
    if len(rates) > 1:
        raise AskError(f"max_hz is there {len(rates)} times, wanted once")
    if rates:
        try:
            asked["max_hz"] = float(rates[0])
        except ValueError:
            raise AskError(f"max_hz is {rates[0][:40]!a}, wanted {LEAST_HZ:g} to {MOST_HZ:g}") from None
    return _checked(asked) if asked else None


def from_message(message: Mapping[str, Any]) -> Subscription:
    """
    What a ``subscribe`` message asks for.

    Raises:
        AskError: something makes no sense, or has a name that is not known.
    """
    asked = {name: value for name, value in message.items() if name != "type" and value is not None}
    unknown = next((name for name in asked if name not in _MEMBERS), None)
    if unknown is not None:
        raise AskError(f"subscribe has {unknown[:40]!a}, wanted {', '.join(_MEMBERS)}")
    return _checked(asked)


def _checked(asked: Mapping[str, Any]) -> Subscription:
    lists = {name: _names(name, asked[name]) for name in _LISTS if name in asked}
    unknown = sorted(lists.get("types", frozenset()).difference(TYPES))
    if unknown:
        raise AskError(f"types has {unknown[0][:40]!a}, wanted {', '.join(TYPES)}")
    rate = asked.get("max_hz")
    if rate is not None:
        known = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not known or not LEAST_HZ <= rate <= MOST_HZ:
            raise AskError(f"max_hz is {shown(rate)}, wanted {LEAST_HZ:g} to {MOST_HZ:g}")
        rate = float(rate)
    return Subscription(**lists, max_hz=rate)


def shown(value: Any) -> str:
    """What was sent, for a message that says so: the beginning of it."""
    try:
        return str(value)[:40]
    except (RecursionError, ValueError):  # lists in lists in lists, or a number of thousands of digits
        return f"a long {type(value).__name__}"


def _names(member: str, value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not value:
        raise AskError(f"{member} is {shown(value)!a}, wanted a list of names")
    if len(value) > MOST_NAMES:
        raise AskError(f"{member} has {len(value)} names, wanted {MOST_NAMES} at most")
    for name in value:
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
            raise AskError(f"{member} has {shown(name)!a}, wanted names of 1 to {MAX_NAME} characters")
        if not name.isprintable() or '"' in name or "\\" in name:
            raise AskError(
                f"{member} has {name[:40]!a}, wanted names without quotes, backslashes and control characters"
            )
    return frozenset(value)
