"""When a car was where: its distance over the race, looked up by time, and the time by distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

#: Moments kept of a car: at five a second, ten minutes; up to twice as many for a while.
MOST_MOMENTS: Final = 3000
_FIRST_ROOM: Final = 128


class Trace:
    """
    The trace of one car; times are its own [s], distances since the start of the race [m].

    What lies further back than ``MOST_MOMENTS`` is dropped.
    """

    def __init__(self) -> None:
        self._room = np.empty((3, _FIRST_ROOM))
        self._way = np.empty(_FIRST_ROOM)
        self._end = 0
        self._placed = (math.nan, 0)

    def __len__(self) -> int:
        return self._end

    @property
    def newest_s(self) -> float:
        """The time of the newest moment; -infinity without one."""
        return float(self._room[0, self._end - 1]) if self._end else -math.inf

    def replace(self, from_s: float, moments: Sequence[tuple[float, int, float]], length_m: float, ahead: int) -> None:
        """
        Put moments in the place of all after a time.

        Args:
            from_s: what is later than this is dropped.
            moments: time, lines crossed and distance in the lap, oldest first.
            length_m: of a lap.
            ahead: laps the car had done when it was first heard.
        """
        while self._end and self._room[0, self._end - 1] > from_s:
            self._end -= 1
        moments = moments[-MOST_MOMENTS:]
        if self._end + len(moments) > self._room.shape[1]:
            self._make_room(len(moments))
        first = self._end
        if moments:
            self._end += len(moments)
            self._room[:, first : self._end] = np.array(moments).T
        if self._placed != (length_m, ahead):
            self._placed, first = (length_m, ahead), 0
        part = self._room[:, first : self._end]
        way = (part[1] + ahead) * length_m + np.minimum(part[2], length_m)
        if first:
            way = np.maximum(way, self._way[first - 1])
        self._way[first : self._end] = np.maximum.accumulate(way)

    def _make_room(self, count: int) -> None:
        if self._end + count > 2 * MOST_MOMENTS:
            keep = MOST_MOMENTS
            self._room[:, :keep] = self._room[:, self._end - keep : self._end].copy()
            self._way[:keep] = self._way[self._end - keep : self._end].copy()
            self._end = keep
            return
        size = min(max(2 * self._room.shape[1], self._end + count), 2 * MOST_MOMENTS)
        room, way = np.empty((3, size)), np.empty(size)
        room[:, : self._end], way[: self._end] = self._room[:, : self._end], self._way[: self._end]
        self._room, self._way = room, way

    def distance(self, time_s: float) -> float:
        """How far the car was at a time; after the newest moment, as far as then [m]."""
        return float(np.interp(time_s, self._room[0, : self._end], self._way[: self._end])) if self._end else -math.inf

    def time(self, distance_m: float) -> float:
        """When it was there; NaN where that is further than it came or further back than is kept [s]."""
        way = self._way[: self._end]
        if not self._end or not way[0] <= distance_m <= way[-1]:
            return math.nan
        after = int(np.searchsorted(way, distance_m, "left"))
        if after == 0:
            return float(self._room[0, 0])
        gone_m = way[after] - way[after - 1]
        share = (distance_m - way[after - 1]) / gone_m
        return float(self._room[0, after - 1] + share * (self._room[0, after] - self._room[0, after - 1]))

    def speed(self, time_s: float) -> float:
        """How fast it was around a time, from the moments before and after; 0 where it stood [m/s]."""
        at = int(np.searchsorted(self._room[0, : self._end], time_s))
        first, last = max(at - 2, 0), min(at + 1, self._end - 1)
        span_s = self._room[0, last] - self._room[0, first]
        return float((self._way[last] - self._way[first]) / span_s) if last > first and span_s > 0 else 0.0
