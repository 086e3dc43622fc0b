"""A figure, what it is wanted to be, and whether it is."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

_WANTED: Final[dict[str, Callable[[float, float], bool]]] = {"<": operator.lt, "≤": operator.le, "≥": operator.ge}


class Check(NamedTuple):
    """
    A figure.

    Attributes:
        what: was measured.
        value: in the unit that ``what`` ends with.
        sign: one of ``<``, ``≤`` and ``≥``; empty where nothing is wanted.
        limit: what the value is held against.
    """

    what: str
    value: float
    sign: str = ""
    limit: float = 0.0

    @property
    def target(self) -> str:
        """What is wanted."""
        return f"{self.sign} {self.limit:g}" if self.sign else ""

    @property
    def verdict(self) -> str:
        """``yes``, ``NO``, or empty where nothing is wanted; a figure that is not known is a miss."""
        if not self.sign:
            return ""
        return "yes" if _WANTED[self.sign](self.value, self.limit) else "NO"


def within(what: str, value: float, low: float, high: float) -> list[Check]:
    """A figure that is wanted between two others."""
    return [Check(what, value, "≥", low), Check("", value, "≤", high)]


def show(title: str, checks: Iterable[Check]) -> None:
    """Print a table of figures."""
    print(f"\n**{title}**\n\n| figure | measured | target | met |\n| --- | ---: | ---: | --- |")
    for check in checks:
        digits = (
            0 if float(check.value).is_integer() else 1 if abs(check.value) >= 100 else 2 if check.value >= 1 else 3
        )
        print(f"| {check.what} | {check.value:,.{digits}f} | {check.target} | {check.verdict} |", flush=True)
