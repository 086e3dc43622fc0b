"""The rows of one car in the order of its clock, for as long as a late one may come between them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pitwall.model.row import ROW

Rows = NDArray[np.void]

#: The most rows kept of a car: five minutes at the highest rate, for a long lap and the late points of the one before;
#: 88 bytes each.
MOST_ROWS: Final = 20_000
_FIRST_ROOM: Final = 256


class RowBuffer:
    """
    Rows sorted by time, the oldest dropped.

    Attributes:
        kept_from_s: rows older than this were dropped, or may have been [s].
    """

    def __init__(self, rows: Rows | None = None, kept_from_s: float = -np.inf) -> None:
        self._room = np.empty(_FIRST_ROOM, ROW)
        self._first = self._end = 0
        self.kept_from_s = kept_from_s
        if rows is not None:
            self.add(rows)

    def __len__(self) -> int:
        return self._end - self._first

    @property
    def rows(self) -> Rows:
        """All of them, oldest first; a view."""
        return self._room[self._first : self._end]

    @property
    def times(self) -> NDArray[np.float64]:
        """When they were [s]; a view."""
        return self._room["time_s"][self._first : self._end]

    def add(self, rows: Rows) -> None:
        """Take rows in, in any order; of the same moment, those that came first stay first."""
        if not rows.size:
            return
        if np.any(np.diff(rows["time_s"]) < 0):
            rows = rows[np.argsort(rows["time_s"], kind="stable")]
        held = self.times
        if held.size and rows["time_s"][0] < held[-1]:
            at = self._first + int(np.searchsorted(held, rows["time_s"][0], "right"))
            behind = np.concatenate([self._room[at : self._end], rows])
            rows = behind[np.argsort(behind["time_s"], kind="stable")]
            self._end = at
        self._make_room(rows.size)
        self._room[self._end : self._end + rows.size] = rows
        self._end += rows.size
        if len(self) > MOST_ROWS:
            self._first = self._end - MOST_ROWS
            self.kept_from_s = max(self.kept_from_s, float(self.times[0]))

    def between(self, from_s: float, to_s: float) -> Rows:
        """The rows of a span of time, its ends included; a view."""
        first, last = np.searchsorted(self.times, from_s, "left"), np.searchsorted(self.times, to_s, "right")
        return self.rows[first:last]

    def after(self, time_s: float) -> Rows:
        """The rows later than that; a view."""
        return self.rows[int(np.searchsorted(self.times, time_s, "right")) :]

    def drop_before(self, time_s: float) -> None:
        """Drop the rows before that."""
        self._first += int(np.searchsorted(self.times, time_s, "left"))
        self.kept_from_s = max(self.kept_from_s, time_s)

    def _make_room(self, count: int) -> None:
        if self._end + count <= self._room.size:
            return
        held = self.rows
        size = max(_FIRST_ROOM, 2 * (held.size + count))
        if size <= self._room.size:
            size = self._room.size
        room = np.empty(size, ROW)
        room[: held.size] = held
        self._room, self._first, self._end = room, 0, held.size
