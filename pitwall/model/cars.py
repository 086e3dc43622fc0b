"""
Which car a ``vehicle_id`` means: ``GR86-002-2`` and ``GR86-002-002`` are one.

TRD writes series, chassis and car number. At some events the number is filled up
to three digits, at others not. A number of two digits with a zero in front is one
of its own: 3 and 03 are two cars, and so are 3 on one chassis and 3 on another.
"""

from __future__ import annotations

import re

_THREE_DIGITS = re.compile(r".*-\d{3}", re.DOTALL | re.ASCII)
#: A table of spellings that a stranger could fill is begun anew at so many.
_MOST_NAMES = 4096


def car_key(vehicle_id: str) -> str:
    """What all spellings of one car have in common: the number without what fills it up to three digits."""
    if not _THREE_DIGITS.fullmatch(vehicle_id):
        return vehicle_id
    head, number = vehicle_id[:-3], vehicle_id[-3:]
    return head + (number.lstrip("0") or "0")


class CarNames:
    """The name each car goes by: the spelling it was first seen in."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, vehicle_id: str) -> str:
        """The spelling that stands for this car."""
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        return self._names.setdefault(car_key(vehicle_id), vehicle_id)
