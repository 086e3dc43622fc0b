"""What became of rows, counted until somebody fetches it; and what rows may lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from pitwall.wire.errors import WireError


class Repair(NamedTuple):
    """A repair by its name, on the rows of one car."""

    name: str
    track: str
    chassis: str


class Tally:
    """
    What became of rows, for whoever keeps the books; counted up until it is fetched.

    Attributes:
        rows: rows that came.
        samples: rows whose value is in a point, or will be.
        duplicates: rows that were dropped because they had come before, with the same value or another.
        refused: rows that were refused.
        reasons: and why.
        left: rows whose value is in a point that has left.
        joined: points made of rows that have left.
        singles: points that came by themselves, beside the rows.
        came: what came to be a point by itself, good or not; counted where the text is cut, before it is decoded.
        repairs: what was repaired.
    """

    __slots__ = (
        *("came", "duplicates", "joined", "left", "reasons", "refused", "repairs", "rows", "samples", "singles"),
    )

    def __init__(self) -> None:
        self.rows = self.samples = self.duplicates = self.refused = self.singles = 0
        self.came = self.left = self.joined = 0
        self.reasons: Counter[str] = Counter()
        self.repairs: Counter[Repair] = Counter()

    def refuse(self, errors: Iterable[WireError]) -> None:
        """Count rows that are refused, one for each error."""
        for error in errors:
            self.refused += 1
            self.reasons[error.reason] += 1

    def __bool__(self) -> bool:
        """Whether anything became of rows; points that came by themselves do not count."""
        return bool(self.rows or self.samples or self.duplicates or self.refused or self.repairs)


class Lacking(NamedTuple):
    """What is to be taken for rows that do not say it: the track, the car."""

    track: str | None = None
    chassis: str | None = None

    def fields(self) -> dict[str, str]:
        """By field name, those there are."""
        return {name: value for name, value in self._asdict().items() if value is not None}


#: Rows say everything themselves.
NOTHING: Final = Lacking()
