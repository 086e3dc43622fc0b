"""What became of the rows: the server's answers, added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

#: So many rejections of a file are kept.
MOST_REJECTIONS = 100


class Rejected(msgspec.Struct):
    """A row the server refused; ``index`` counts from 0 within the batch, None where it is no single row of it."""

    index: int | None
    reason: str
    message: str = ""
    field: str | None = None


class Answer(msgspec.Struct):
    """What the server says of a batch."""

    accepted: int
    rejected_total: int
    rows: int
    duplicates: int = 0
    points: int = 0
    rejected: list[Rejected] = []
    rejected_by_reason: dict[str, int] = {}
    repairs: dict[str, int] = {}


class Rejection(NamedTuple):
    """A row that was refused, by its number in the file, from 1; None where it is no single one."""

    row: int | None
    field: str | None
    reason: str
    message: str


@dataclass(slots=True)
class Tally:
    """
    What became of one file, or of several.

    Attributes:
        label: which.
        error: why it could not be sent as a whole; empty where it was.
    """

    label: str
    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    points: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    rejections: list[Rejection] = field(default_factory=list)
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether all of it was sent and nothing refused; duplicates are fine."""
        return not self.error and self.rejected == 0

    def add(self, answer: Answer, first_row: int) -> None:
        """Add what became of a batch that begins with a row of this number."""
        self.rows += answer.rows
        self.accepted += answer.accepted
        self.duplicates += answer.duplicates
        self.rejected += answer.rejected_total
        self.points += answer.points
        self.reasons.update(answer.rejected_by_reason)
        self.repairs.update(answer.repairs)
        for row in answer.rejected[: MOST_REJECTIONS - len(self.rejections)]:
            number = None if row.index is None else first_row + row.index
            self.rejections.append(Rejection(number, row.field, row.reason, row.message))

    def content(self) -> dict[str, Any]:
        """All of it, as JSON has it; without the rows that were refused and what is wrong with the file."""
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
            "points": self.points,
            "rejected_by_reason": dict(self.reasons.most_common()),
            "repairs": dict(self.repairs.most_common()),
        }


def total(tallies: Iterable[Tally]) -> Tally:
    """What became of all files together."""
    summed = Tally("total")
    for tally in tallies:
        summed.rows += tally.rows
        summed.accepted += tally.accepted
        summed.duplicates += tally.duplicates
        summed.rejected += tally.rejected
        summed.points += tally.points
        summed.reasons.update(tally.reasons)
        summed.repairs.update(tally.repairs)
    return summed


def report(tallies: list[Tally], ok: bool, error: str = "") -> dict[str, Any]:
    """What became of all files, as one JSON object; ``error`` says why the server was given up."""
    files = [
        {
            "file": tally.label,
            **tally.content(),
            "rejections": [rejection._asdict() for rejection in tally.rejections],
            "error": tally.error or None,
        }
        for tally in tallies
    ]
    return {"ok": ok, "files": files, "total": total(tallies).content(), "error": error or None}
