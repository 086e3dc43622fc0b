"""
Lap distance from where a car is, for one that sends its position and no distance.

The centre line is learnt from the car's first laps, timed by its lap number, or where it
sends none by when it passes the track's line; where that is not known, the place where it
was first seen at speed. Each fix of
such a lap has the distance that was driven since the line, scaled to the track; fixes of
up to three laps are averaged by distance. From then on a fix is projected on that line,
and its lap distance goes into the row as if the car had sent it.

Positions are in metres east and north of the first fix, on a sphere: within a track that
is off by less than a thousandth, and alike for the line and for what is projected on it.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from pitwall.race.series import FloatArray

Rows = NDArray[np.void]

_EARTH_M: Final = 6_371_000.0
#: The line's points are so far apart [m].
_STEP_M: Final = 5.0
#: Laps that it is learnt from.
LAPS: Final = 3
#: A lap with fewer fixes, or a longer way without one, teaches nothing [m].
_FEWEST_FIXES: Final = 50
_LONGEST_GAP_M: Final = 60.0
#: A fix further off is not on the track [m].
_OFF_M: Final = 60.0
#: The place whose passing counts laps: where this speed was seen, and passed within so far [m/s, m].
_SPEED_M_S: Final = 17.0
_WIDTH_M: Final = 30.0
#: So near to the line the car drives in the direction in which it passes it [m].
_NEAR_M: Final = 100.0
#: Sooner than this nothing is a lap [s].
_SHORTEST_LAP_S: Final = 20.0


class Gps(Struct, array_like=True):
    """
    What is learnt of a track from one car's positions; plain values.

    Attributes:
        origin: the first fix, latitude and longitude [deg].
        laps: how many it was learnt from.
        length_m: of the lap.
        east_m, north_m: of the line's points, one each ``_STEP_M``.
        gate: the place whose passing counts laps: east, north, and the direction of driving there.
        passed: how often it was passed.
    """

    origin: tuple[float, float] | None = None
    laps: int = 0
    length_m: float = math.nan
    east_m: list[float] = field(default_factory=list)
    north_m: list[float] = field(default_factory=list)
    gate: tuple[float, float, float, float] | None = None
    passed: int = 0
    passed_s: float = -math.inf
    last: tuple[float, float, float] | None = None
    numbered: bool = False

    def place(self, rows: Rows, finish_line: tuple[float, float] | None = None) -> Rows:
        """
        The same rows with the lap distance of each new fix, once the way around is known.

        Before that, where the car sends no lap number, they get one that counts its passing
        the line. A copy where anything changes.

        Args:
            rows: in the order in which they came.
            finish_line: where that is, latitude and longitude [deg]; None where it is not known.
        """
        fixed = np.flatnonzero(np.isfinite(rows["latitude"]) & np.isfinite(rows["longitude"]))
        if not fixed.size:
            return rows
        if self.origin is None:
            self.origin = (float(rows["latitude"][fixed[0]]), float(rows["longitude"][fixed[0]]))
        if not self.numbered:
            laps = rows["lap"]
            self.numbered = bool(np.any((laps > 0) & (laps < 32768)))
        rows = rows.copy()
        east, north = self._metres(rows["latitude"][fixed], rows["longitude"][fixed])
        times = rows["time_s"][fixed]
        before = self.last if self.last is not None else (math.nan, math.nan, math.nan)
        self.last = (float(times[-1]), float(east[-1]), float(north[-1]))
        if self.laps:
            # A receiver shows its last fix until the next.
            new = (np.diff(east, prepend=before[1]) != 0) | (np.diff(north, prepend=before[2]) != 0)
            at = fixed[new]
            if at.size:
                rows["lapdist_m"][at] = self.project(east[new], north[new])
        elif not self.numbered:
            line = None if finish_line is None else self._metres(np.array(finish_line[:1]), np.array(finish_line[1:]))
            fixes = list(zip(times.tolist(), east.tolist(), north.tolist(), strict=True))
            self._count(rows, fixed, fixes, before, None if line is None else (float(line[0][0]), float(line[1][0])))
        return rows

    def project(self, east_m: FloatArray, north_m: FloatArray) -> FloatArray:
        """
        The lap distance of positions, NaN for one that is not on the track; shape (n,) [m].

        Args:
            east_m: of the origin; shape (n,) [m].
            north_m: of the origin; same shape [m].
        """
        line = np.array([self.east_m, self.north_m])
        ahead = np.roll(line, -1, axis=1) - line
        lengths = np.maximum(np.sum(ahead**2, axis=0), 1e-9)
        found = np.empty(east_m.size)
        for index in range(east_m.size):
            off = np.array([[east_m[index]], [north_m[index]]]) - line
            share = np.clip(np.sum(off * ahead, axis=0) / lengths, 0.0, 1.0)
            apart = np.sum((off - share * ahead) ** 2, axis=0)
            nearest = int(np.argmin(apart))
            step_m = self.length_m / line.shape[1]
            distance_m = (nearest + float(share[nearest])) * step_m
            found[index] = distance_m % self.length_m if apart[nearest] <= _OFF_M**2 else math.nan
        return found

    def learn(self, rows: Rows, driven_m: FloatArray, length_m: float) -> None:
        """
        Learn from a lap.

        Args:
            rows: of the lap, sorted by time; shape (n,).
            driven_m: since the line, at each of them; shape (n,) [m].
            length_m: of the lap; the distances are in its measure.
        """
        fixed = np.flatnonzero(np.isfinite(rows["latitude"]) & np.isfinite(rows["longitude"]))
        if self.laps >= LAPS or fixed.size < _FEWEST_FIXES or not length_m > 0:
            return
        if self.origin is None:
            self.origin = (float(rows["latitude"][fixed[0]]), float(rows["longitude"][fixed[0]]))
        east, north = self._metres(rows["latitude"][fixed], rows["longitude"][fixed])
        # A receiver shows its last fix until the next.
        new = np.concatenate(([True], (np.diff(east) != 0) | (np.diff(north) != 0)))
        east, north, way = east[new], north[new], driven_m[fixed][new]
        if way.size < _FEWEST_FIXES or np.max(np.diff(way), initial=0.0) > _LONGEST_GAP_M:
            return
        way, east, north = (np.concatenate((values[-1:], values, values[:1])) for values in (way, east, north))
        way[0] -= length_m
        way[-1] += length_m
        if not self.laps:
            self.length_m = length_m
        count = max(round(self.length_m / _STEP_M), 1)
        points = self.length_m / count * np.arange(count)
        scaled = way * (self.length_m / length_m)
        share = 1.0 / (self.laps + 1)
        for known, values in ((self.east_m, east), (self.north_m, north)):
            lap = np.interp(points, scaled, values)
            known[:] = (lap if not self.laps else (1 - share) * np.array(known) + share * lap).tolist()
        self.laps += 1

    def _metres(self, latitude: FloatArray, longitude: FloatArray) -> tuple[FloatArray, FloatArray]:
        assert self.origin is not None
        north = np.radians(latitude - self.origin[0]) * _EARTH_M
        east = np.radians(longitude - self.origin[1]) * _EARTH_M * math.cos(math.radians(self.origin[0]))
        return east, north

    def _count(
        self,
        rows: Rows,
        fixed: NDArray[np.intp],
        fixes: list[tuple[float, float, float]],
        before: tuple[float, float, float],
        line: tuple[float, float] | None,
    ) -> None:
        """Number the laps by the passing of the gate; set it up when the car is first at speed."""
        for index, fix in enumerate(fixes):
            time_s, east_m, north_m = fix
            moved_e, moved_n = east_m - before[1], north_m - before[2]
            moved = math.hypot(moved_e, moved_n)
            if not moved > 0:
                if self.gate is not None:
                    rows["lap"][fixed[index]] = self.passed + 1
                continue
            if self.gate is None:
                at = (east_m, north_m) if line is None else line
                near = math.hypot(east_m - at[0], north_m - at[1]) < _NEAR_M
                if near and moved / max(time_s - before[0], 1e-3) > _SPEED_M_S:
                    self.gate = (*at, moved_e / moved, moved_n / moved)
                    self.passed_s = time_s if line is None else -math.inf
            else:
                at_e, at_n, along_e, along_n = self.gate
                was = (before[1] - at_e) * along_e + (before[2] - at_n) * along_n
                now = (east_m - at_e) * along_e + (north_m - at_n) * along_n
                across = abs((east_m - at_e) * along_n - (north_m - at_n) * along_e)
                if was < 0 <= now and across < _WIDTH_M and time_s - self.passed_s > _SHORTEST_LAP_S:
                    self.passed += 1
                    self.passed_s = time_s
            if self.gate is not None:
                rows["lap"][fixed[index]] = self.passed + 1
            before = fix
