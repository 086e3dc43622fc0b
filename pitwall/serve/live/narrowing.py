"""An insight message for clients that want some of the cars: the same message, with what is of these cars."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from msgspec import json

from pitwall.serve.live.frames import Frame, payload_of
from pitwall.serve.live.subscription import Subscription


class Narrowing:
    """
    One ``insight_update``, decoded once and encoded once for each choice of cars.

    Args:
        frame: the whole message.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._made: dict[Any, Frame] = {}

    def of(self, subscription: Subscription) -> Frame:
        """
        The message for a subscription.

        It keeps its number though nothing is left in it: a client sees by the numbers
        whether it has missed one.
        """
        if subscription.every_car:
            return self._frame
        key = subscription.chassis, subscription.track
        frame = self._made.get(key)
        if frame is None:
            frame = self._made[key] = Frame(json.encode(self._narrowed(subscription)))
        return frame

    @cached_property
    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.decode(payload_of(self._frame.plain))
        return content

    def _narrowed(self, subscription: Subscription) -> dict[str, Any]:
        def of_cars(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [each for each in told if subscription.wants(each["track"], each["chassis"])]

        content = dict(self._content)
        for name in ("data", "gaps", "insights"):
            if name in content:
                content[name] = of_cars(content[name])
        meta = content.get("meta")
        if meta is not None:
            meta = content["meta"] = {**meta, "vehicle_count": len(content["data"])}
            corrections = of_cars(meta.pop("corrections", []))
            if corrections:
                meta["corrections"] = corrections
        return content
