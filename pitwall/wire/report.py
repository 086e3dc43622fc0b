"""What the answer to a request says: how many of its rows were taken, and which were not, and why."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from msgspec import json

from pitwall.wire.points import NO_ROW, Decoded
from pitwall.wire.tally import Tally

#: How many refused rows an answer lists.
MOST_REFUSALS: Final = 100


class Report:
    """
    What became of the rows of one request.

    Attributes:
        rows: rows looked at; the next ones are numbered from here.
        points: points that were published.
        joined: set where rows were joined to points, or may have been; the answer then tells of that too.
    """

    def __init__(self, joined: bool = False) -> None:
        self.rows = 0
        self.points = 0
        self.joined = joined
        self._accepted = 0
        self._refused = 0
        self._duplicates = 0
        self._reasons: Counter[str] = Counter()
        self._repairs: Counter[str] = Counter()
        self._listed: list[dict[str, Any]] = []

    @property
    def empty(self) -> bool:
        """Whether no row came at all."""
        return not (self._accepted or self._refused or self._duplicates)

    def note(self, decoded: Decoded) -> None:
        """What was published and refused; the refusals' rows count from `rows`."""
        self.points += len(decoded.points)
        for row, error in decoded.refused:
            self._refused += 1
            self._reasons[error.reason] += 1
            if len(self._listed) < MOST_REFUSALS:
                index = None if row == NO_ROW else self.rows + row
                self._listed.append(
                    {"index": index, "field": error.field, "reason": error.reason, "message": error.message}
                )

    def book(self, tally: Tally) -> None:
        """What became of rows and of points that came by themselves; takes the latter out of the tally."""
        self._accepted += tally.singles
        tally.singles = 0
        if tally:
            self.joined = True
            self._accepted += tally.samples
            self._duplicates += tally.duplicates
            for repair, count in tally.repairs.items():
                self._repairs[repair.name] += count

    def answer(self) -> tuple[int, bytes]:
        """The status and the JSON of the answer."""
        # Nothing but duplicates is a batch that was sent again: all is well.
        good = self._accepted + self._duplicates > 0 or not self._refused
        content: dict[str, Any] = {
            "ok": good,
            "accepted": self._accepted,
            "rejected": self._listed,
            "rejected_total": self._refused,
        }
        if self.joined:
            content |= {
                "rows": self._accepted + self._duplicates + self._refused,
                "duplicates": self._duplicates,
                "points": self.points,
                "rejected_by_reason": dict(self._reasons),
                "repairs": dict(self._repairs),
            }
        return (200 if good else 400), json.encode(content)
