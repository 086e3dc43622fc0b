"""What a client asks a server for: which cars, which channels, which messages, how often; and what became of it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

#: All types of messages that can be chosen among. Answers to what a client says come in any case.
TYPES = ("telemetry_update", "insight_update", "quality")


class Subscription(NamedTuple):
    """
    What is wanted of the stream; None is all there is.

    Attributes:
        chassis: of these cars.
        track: of cars on these tracks.
        channels: these of a point, besides ``track``, ``chassis`` and ``meta_time``.
        types: messages of these types: telemetry_update, insight_update, quality.
        max_hz: telemetry at most so often, the newest point of each car; 0.1 to 100 [1/s].
    """

    chassis: Sequence[str] | None = None
    track: Sequence[str] | None = None
    channels: Sequence[str] | None = None
    types: Sequence[str] | None = None
    max_hz: float | None = None

    @classmethod
    def told(cls, content: Mapping[str, Any]) -> Subscription:
        """
        What a ``subscribed`` message says that holds.

        Raises:
            ValueError, TypeError: it makes no sense.
        """
        told = cls(*map(content.get, cls._fields)).checked()
        if told.max_hz is not None and not 0 < told.max_hz < 1e6:
            raise ValueError("max_hz")
        return told

    def checked(self) -> Subscription:
        """
        A copy, if an address can say it.

        Raises:
            ValueError: a list is empty, or text in place of a list, or a name is empty or has a comma.
        """
        for name, names in zip(self._fields, self[:4], strict=False):
            if names is None:
                continue
            if isinstance(names, str) or not names or not all(names) or any("," in one for one in names):
                raise ValueError(f"{name} is {names!a}, wanted a list of names without commas")
        return Subscription(*self)

    def query(self) -> dict[str, str]:
        """The parameters of an address that ask for it; at least one, for who asks for nothing is told less."""
        said = {name: ",".join(names) for name, names in zip(self._fields, self[:4], strict=False) if names is not None}
        if self.max_hz is not None:
            said["max_hz"] = f"{self.max_hz:g}"
        return said or {"types": ",".join(TYPES)}

    def message(self) -> str:
        """The message that asks for it."""
        said = {name: list(names) for name, names in zip(self._fields, self[:4], strict=False) if names is not None}
        rate = {} if self.max_hz is None else {"max_hz": self.max_hz}
        return json.dumps({"type": "subscribe", **said, **rate})

    def means(self, other: Subscription) -> bool:
        """Whether both ask for the same, in whatever order."""
        return self._same() == other._same()

    def _same(self) -> tuple[Any, ...]:
        chassis, track, channels = (None if names is None else frozenset(names) for names in self[:3])
        return chassis, track, channels, frozenset(self.types or TYPES), self.max_hz


class Subscribing:
    """
    Keeps a subscription over all connections: the last one asked for that the server has not refused.

    Args:
        first: what the first connection asks for; None: nothing.

    Attributes:
        wanted: what the next connection is to ask for.
    """

    def __init__(self, first: Subscription | None = None) -> None:
        self.wanted = first
        self._held = first
        self._said = first
        self._asked: deque[Subscription] = deque()

    def connecting(self) -> dict[str, str]:
        """What the address of a new connection has to say."""
        self._asked.clear()
        self._said = self.wanted
        return {} if self.wanted is None else self.wanted.query()

    @property
    def unsaid(self) -> Subscription | None:
        """What a message has to ask for, since it is wanted by now."""
        return None if self.wanted is self._said else self.wanted

    def said(self, subscription: Subscription) -> None:
        """A message has asked for it."""
        self._said = subscription
        self._asked.append(subscription)

    def answered(self, content: Mapping[str, Any]) -> None:
        """A message of the server has come; those that are no answers are of no interest."""
        if content["type"] == "subscribed":
            self._held = Subscription.told(content)
            # Otherwise it answers the address.
            if self._asked and self._asked[0].means(self._held):
                self._asked.popleft()
        elif content["type"] == "error" and content.get("request") == "subscribe" and self._asked:
            self._asked.popleft()
            if not self._asked and self.unsaid is None:
                self.wanted = self._said = self._held
