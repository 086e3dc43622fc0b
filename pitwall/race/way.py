"""
The way of a car: from lap distances and speeds to one distance that only grows.

It begins at the line before the first sample, and has a lap's length more at each
line. A lap distance stands on the line it was counted from; which that is follows
from where the car was before: a car goes on by less than a lap. Between two lap
distances the way is shared out by the speed, after the last one speed is
integrated on.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitwall.race.series import FloatArray

#: How far a car may be ahead of where it was, as a share of the lap; what seems more is a step back.
_AHEAD = 0.35
#: The same after a hole of any length: a lap that nobody saw can't be told from none.
_FURTHEST_AHEAD = 0.9
#: What a car does whose speed is not known [m/s].
_NOMINAL_M_S = 40.0
#: A track whose length is not known is at least so long [m].
_SHORTEST_LAP_M = 400.0
#: A lap number that rises sooner than this after it rose is a trigger that repeats itself [s].
_SHORTEST_LAP_S = 10.0
#: A car that waits for its lap number to rise does so this far before the line [m].
_BEFORE_LINE_M = 0.1
#: The way that speed gives in a lap may be off by this share; more is a lap cut short or a lap missed.
_SCALE_OFF = 0.1
#: Between two rows at least so much is driven, so that the way is shared out where speed or time stand still [m].
_CREEP_M = 1e-6


class Way:
    """
    The way over some rows of one car.

    Args:
        state: of the car, ``CarState``; what concerns lap distances is kept up to date.
        length_m: of a lap; infinite where it is not known.
        times: of the last row before and of each row; shape (n + 1,) [s].
        speed: at each row, the last known one; shape (n,), NaN before there is one [km/h].
        driven: speed integrated from the last row before; shape (n,) [m].
    """

    def __init__(self, state: Any, length_m: float, times: FloatArray, speed: FloatArray, driven: FloatArray) -> None:
        self.state = state
        self.length_m = length_m
        self.times = times
        self.speed = speed
        self.driven = driven
        #: Where laps began in these rows, for a track whose length is not known [m].
        self.lines: list[float] = []

    def by_distance(self, at: NDArray[np.intp], distances: FloatArray) -> FloatArray:
        """
        The way at each row, where lap distances were sent with some or all of them.

        Args:
            at: the rows that have one, rising; not empty.
            distances: their lap distances; same shape [m].

        Returns:
            Shape (n,), non-decreasing [m].
        """
        state, driven = self.state, self.driven
        bases = self._bases(at, distances)
        known = np.maximum.accumulate(np.maximum(bases + distances, state.way_m))
        state.base_m, state.lapdist_m = float(bases[-1]), float(distances[-1])
        gone = driven + _CREEP_M * np.arange(1, driven.size + 1)
        ways: FloatArray = np.interp(gone, np.concatenate(([0.0], gone[at])), np.concatenate(([state.way_m], known)))
        last = int(at[-1])
        ways[last:] = known[-1] + driven[last:] - driven[last]
        return ways

    def by_speed(self) -> FloatArray:
        """The way at each row where none of them has a lap distance, but earlier ones had."""
        ways: FloatArray = self.state.way_m + self.driven
        return ways

    def by_lap_number(self, laps: FloatArray) -> FloatArray:
        """
        The way at each row of a car that never sent a lap distance.

        It is what was driven, scaled by what the last lap came to, and held before
        the line until the lap number rises.

        Args:
            laps: the last known lap number at each row; shape (n,).
        """
        state, driven = self.state, self.driven
        before = np.concatenate(([state.lap_sent], laps[:-1]))
        ways = np.empty(driven.size)
        line_m, start = state.line_m, 0
        line_s = -math.inf if state.line_at is None else state.line_at.time_s
        begin_m, begun_m = state.way_m, 0.0
        for end in (*np.flatnonzero(laps > before).tolist(), driven.size):
            ended = end < driven.size
            if ended and self.times[end + 1] - line_s < _SHORTEST_LAP_S:
                continue
            gone = driven[start:end] - begun_m
            ways[start:end] = np.minimum(begin_m + state.scale * gone, line_m + self.length_m - _BEFORE_LINE_M)
            if ended:
                reached_m = float(ways[end - 1]) if end > start else begin_m
                if math.isfinite(self.length_m):
                    self._scale(state.driven_m + float(driven[end]) - begun_m)
                    line_m += self.length_m
                else:
                    line_m = max(reached_m, line_m + 1.0)
                state.driven_m = 0.0
                begin_m, begun_m, start, line_s = line_m, float(driven[end]), end, float(self.times[end + 1])
                self.lines.append(line_m)
        state.driven_m += float(driven[-1]) - begun_m
        held: FloatArray = np.maximum.accumulate(np.maximum(ways, state.way_m))
        return held

    def _scale(self, driven_m: float) -> None:
        """Learn from a lap that was driven from line to line how much speed is to be scaled by."""
        if self.state.lines and abs(driven_m / self.length_m - 1) < _SCALE_OFF:
            self.state.scale = self.length_m / driven_m

    def _bases(self, at: NDArray[np.intp], distances: FloatArray) -> FloatArray:
        """The line that each lap distance is counted from; same shape [m]."""
        state = self.state
        before = np.concatenate(([state.lapdist_m], distances[:-1]))
        if math.isfinite(self.length_m):
            odd = np.abs(distances - before) > self.length_m / 4
            # Long without a lap distance, the car may be laps from where it sent its last one.
            expected = state.way_m + self.driven[at[0]]
            odd[0] = abs(state.base_m + distances[0] - expected) > self.length_m / 4
        else:
            odd = before - distances > _SHORTEST_LAP_M / 2
        base, furthest, start = state.base_m, state.way_m, 0
        ends, bases = [0], [base]
        for index in np.flatnonzero(odd).tolist():
            if index > start:
                furthest = max(furthest, base + float(distances[start:index].max()))
                start = index
            base = self._base(base, furthest, float(distances[index]), at, index)
            ends.append(index)
            bases.append(base)
        return np.repeat(bases, np.diff((*ends, distances.size)))

    def _base(self, base: float, furthest: float, distance: float, at: NDArray[np.intp], index: int) -> float:
        """The line for a lap distance that does not go on from the one before."""
        row, row_before = int(at[index]), int(at[index - 1]) if index else -1
        length = self.length_m
        if math.isfinite(length):
            speed = max(self.speed[row], self.speed[max(row_before, 0)]) / 3.6
            gone = (self.times[row + 1] - self.times[row_before + 1]) * (speed if speed >= 0 else _NOMINAL_M_S)
            ahead = min(max(1.2 * gone / length, _AHEAD), _FURTHEST_AHEAD)
            return float(math.floor(ahead + (furthest - distance) / length) * length)
        lap = furthest - base
        if lap - distance <= max(lap / 2, _SHORTEST_LAP_M / 2):
            return base
        # The line lies as far behind the car as the lap distance says, and not before where the car was seen last.
        gone = float(self.driven[row] - (self.driven[row_before] if row_before >= 0 else 0.0))
        line_m = furthest + max(gone - distance, 0.0)
        self.lines.append(line_m)
        return line_m
