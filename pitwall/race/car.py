"""
One car: its distance, laps, sectors, stress and averages, kept up to date row by row.

Boundaries are those of the track's sectors, the last one the line. The time at a
boundary is interpolated between the samples around it; what had to be interpolated
over more than a second is marked as estimated, and over more than five it is not known.

Tire stress is ``∫ (ax² + ay²) ds`` [g²·m]: it does not depend on the sample rate.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from pitwall.model.channels import CHANNELS, UNKNOWN_LAPS
from pitwall.model.track import Track
from pitwall.race.series import FloatArray, crossing_time, held, or_zero
from pitwall.race.way import Way

#: No interpolation over a hole of more than this: a second, and what a logger with one point a second is late by [s].
HOLE_S = 1.05
#: Nothing is said about what happened in a hole of more than this; no distance is integrated over more [s].
LONGEST_HOLE_S = 5.0
#: A car that goes on faster than this, and further, was not driven there: another outing, a recording begun anew.
_FASTEST_M_S = 100.0
_JUMP_M = 100.0
#: A car whose rows were all this late for that long has had its clock put back [s].
_LATE_S = 10.0
_LATE_FOR_S = 5.0
#: A lap number holds for this long while the car says that it has none [s].
_LAP_HOLDS_S = 10.0
#: A car's lap counter may be so many laps ahead of the race.
_LAPS_AHEAD = 2
_LONGEST_LAP_M = CHANNELS["lapdist_m"].high
#: Lap times kept for pace and consistency.
MOST_LAPS = 60

_NAN = math.nan


class Extent(Struct):
    """Sum, count and maximum of a channel over the current lap."""

    total: float = 0.0
    count: int = 0
    largest: float = -math.inf

    def add(self, values: FloatArray) -> None:
        """Take samples in; NaN is left out."""
        values = values[np.isfinite(values)]
        if values.size:
            self.total += float(values.sum())
            self.count += values.size
            self.largest = max(self.largest, float(values.max()))

    @property
    def mean(self) -> float | None:
        """None before there is a sample."""
        return self.total / self.count if self.count else None

    @property
    def maximum(self) -> float | None:
        """None before there is a sample."""
        return self.largest if self.count else None


class Averages(Struct):
    """What the current lap's figures are made of."""

    speed_kmh: Extent = field(default_factory=Extent)
    accx_can: Extent = field(default_factory=Extent)
    pbrake_f: Extent = field(default_factory=Extent)
    steering_deg: Extent = field(default_factory=Extent)

    def add(self, rows: NDArray[np.void]) -> None:
        """Take rows of the current lap in."""
        if rows.size:
            self.speed_kmh.add(rows["speed_kmh"].astype(float))
            self.accx_can.add(rows["accx_can"].astype(float))
            self.pbrake_f.add(rows["pbrake_f"].astype(float))
            self.steering_deg.add(np.abs(rows["Steering_Angle"].astype(float)))


class Lap(Struct):
    """A lap from line to line; estimated where its time is not well known, first where it began on the grid."""

    time_s: float
    estimated: bool
    first: bool = False


class Crossing(Struct):
    """When a boundary was crossed [s since 1970]; NaN where it is not known, estimated where no sample was near."""

    time_s: float
    estimated: bool


class CarState(Struct):
    """
    All that is remembered of a car; plain values, so that it can be stored.

    Distances are on the way that ``race.way`` unwraps: ``way_m`` is where the car is,
    ``line_m`` where its current lap began, the last of ``lines`` that it has crossed,
    ``base_m`` where the lap began that its lap distance counts from. Without lap
    distances ``driven_m`` is what its speed makes of the current lap, and ``scale`` what
    that is to be taken times. ``lap_offset`` is how many laps it had behind it when its
    way began; -1 on the grid, behind the line.
    """

    points: int = 0
    lap: int | None = None
    lap_known_s: float = _NAN
    lap_offset: int | None = None
    on_grid: bool = False
    time_s: float = _NAN
    late_from_s: float = _NAN
    way_m: float = 0.0
    line_m: float = 0.0
    lines: int = 0
    base_m: float = 0.0
    lapdist_m: float = _NAN
    driven_m: float = 0.0
    scale: float = 1.0
    speed_kmh: float = _NAN
    accx_can: float = _NAN
    accy_can: float = _NAN
    lap_sent: float = _NAN
    stress: list[float] = field(default_factory=list)
    averages: Averages = field(default_factory=Averages)
    sector: int = 0
    sector_times: list[float | None] = field(default_factory=list)
    sector_at: Crossing | None = None
    line_at: Crossing | None = None
    laps: list[Lap] = field(default_factory=list)

    @property
    def laps_done(self) -> int:
        """Laps completed since the start of the race, as far as the lap number tells it; -1 on the grid."""
        return self.lines + (-int(self.on_grid) if self.lap_offset is None else self.lap_offset)

    def covered_m(self, length_m: float) -> float:
        """The distance covered since the start of the race; an unknown lap counts as the longest there is [m]."""
        return self.laps_done * min(length_m, _LONGEST_LAP_M) + self.way_m - self.line_m

    def start_anew(self, sectors: int) -> None:
        """Forget all but the count of points."""
        fresh = CarState(points=self.points, stress=[0.0] * sectors, sector_times=[None] * sectors)
        for name in self.__struct_fields__:
            setattr(self, name, getattr(fresh, name))


def update(state: CarState, rows: NDArray[np.void], track: Track | None, counted_after: int) -> None:
    """
    Take a car's new rows in.

    A row that is late, older than one that was taken in before, counts for the
    averages alone: the car's way has been gone already. A car that sends nothing but
    late rows has had its clock put back, and starts anew.

    Args:
        state: changed in place.
        rows: of that car, of ``pitwall.rows.ROW``; sorted by time here.
        track: None where it is not configured: the lap is then one sector.
        counted_after: rows numbered up to this were reported before and are not counted again.
    """
    state.points += int(np.count_nonzero(rows["seq"] > counted_after))
    rows = rows[np.argsort(rows["time_s"], kind="stable")]
    ends = track.boundaries_m() if track is not None else (math.inf,)
    if len(state.stress) != len(ends) or _clock_put_back(state, rows):
        state.start_anew(len(ends))
    if math.isfinite(state.time_s):
        late = int(np.searchsorted(rows["time_s"], state.time_s, side="left"))
        state.averages.add(rows[:late])
        rows = rows[late:]
    if rows.size:
        _Advance(state, rows, ends).run()


def _clock_put_back(state: CarState, rows: NDArray[np.void]) -> bool:
    first_s, last_s = float(rows["time_s"][0]), float(rows["time_s"][-1])
    if not last_s < state.time_s - _LATE_S:
        state.late_from_s = _NAN
        return False
    if not abs(first_s - state.late_from_s) < 2 * _LATE_FOR_S:
        state.late_from_s = first_s
    return last_s - state.late_from_s > _LATE_FOR_S


class _Advance:
    """The work of one update: from samples to a way, from the way to crossings."""

    def __init__(self, state: CarState, rows: NDArray[np.void], ends: tuple[float, ...]) -> None:
        self.state = state
        self.rows = rows
        self.ends = ends
        self.length_m = ends[-1]
        if not math.isfinite(state.time_s):
            state.time_s = float(rows["time_s"][0])
        #: The last sample of before leads, so that what lies between is counted too.
        self.times = np.concatenate(([state.time_s], rows["time_s"]))

    def run(self) -> None:
        state, rows = self.state, self.rows
        speed, driven = self._driven()
        laps = self._lap_numbers()
        distances = rows["lapdist_m"].astype(float)
        known = np.flatnonzero(np.isfinite(distances))
        if known.size and not math.isfinite(state.lapdist_m):
            first = int(known[0])
            self._place(float(distances[first]), state.way_m + float(driven[first]), float(laps[first]))
        way = Way(state, self.length_m, self.times, speed, driven)
        if known.size:
            ways = way.by_distance(known, distances[known])
        elif math.isfinite(state.lapdist_m):
            ways = way.by_speed()
        else:
            ways = way.by_lap_number(laps)
        ways = np.concatenate(([state.way_m], ways))
        in_lap = self._cross(ways, self._stress(ways), way.lines)
        state.averages.add(rows[in_lap:])
        state.time_s, state.way_m, state.speed_kmh = float(self.times[-1]), float(ways[-1]), float(speed[-1])
        self._count_laps(float(laps[-1]))

    def _driven(self) -> tuple[FloatArray, FloatArray]:
        """The speed, held, and what was driven since the last row before; shape (n,) each [km/h, m]."""
        before = self.state.speed_kmh
        speed = held(self.rows["speed_kmh"].astype(float), before)
        led = or_zero(np.concatenate(([before if math.isfinite(before) else speed[0]], speed)))
        gone = np.minimum(self.times[1:] - self.times[:-1], LONGEST_HOLE_S) * (led[1:] + led[:-1])
        return speed, np.cumsum(gone) / 7.2

    def _lap_numbers(self) -> FloatArray:
        """The last known lap number at each row; NaN before there is one; shape (n,)."""
        state, times = self.state, self.times[1:]
        laps = self.rows["lap"].astype(float)
        without = (laps == UNKNOWN_LAPS[0]) | (laps == UNKNOWN_LAPS[1])
        laps[without] = _NAN
        known = np.flatnonzero(np.isfinite(laps))
        if known.size:
            state.lap, state.lap_known_s = int(laps[known[-1]]), float(times[known[-1]])
        if without.any() and times[np.flatnonzero(without)[-1]] - state.lap_known_s > _LAP_HOLDS_S:
            state.lap = None
        return held(laps, state.lap_sent)

    def _place(self, lapdist_m: float, expected_m: float, lap: float) -> None:
        """Put the car where its first lap distance says, in the lap it is on by now."""
        state = self.state
        state.base_m, into_m = state.line_m, lapdist_m
        if math.isfinite(self.length_m):
            begun = max(round((expected_m - state.line_m - lapdist_m) / self.length_m), 0)
            state.base_m += begun * self.length_m
            begun += int(lapdist_m // self.length_m)
            into_m = lapdist_m % self.length_m
            state.on_grid = not state.lines and into_m > self.length_m / 2 and not math.isfinite(lap)
            if begun:
                state.lines, state.line_m, state.line_at = state.lines + begun, state.base_m + lapdist_m - into_m, None
        state.way_m = state.base_m + lapdist_m
        state.sector = min(int(np.searchsorted(self.ends, into_m, side="right")), len(self.ends) - 1)
        state.sector_at = None

    def _stress(self, ways: FloatArray) -> FloatArray:
        """The stress summed up along the way, from 0 at its start; shape of ``ways`` [g²·m]."""
        state = self.state
        accx = np.concatenate(([state.accx_can], held(self.rows["accx_can"].astype(float), state.accx_can)))
        accy = np.concatenate(([state.accy_can], held(self.rows["accy_can"].astype(float), state.accy_can)))
        state.accx_can, state.accy_can = float(accx[-1]), float(accy[-1])
        squares = or_zero(accx) ** 2 + or_zero(accy) ** 2
        return np.concatenate(([0.0], np.cumsum((squares[1:] + squares[:-1]) / 2 * (ways[1:] - ways[:-1]))))

    def _cross(self, ways: FloatArray, stress: FloatArray, lines: list[float]) -> int:
        """Book every boundary that was crossed; returns the first row of the lap the car is in then."""
        state = self.state
        spans_s = self.times[1:] - self.times[:-1]
        jumps = np.flatnonzero(ways[1:] - ways[:-1] > _JUMP_M + _FASTEST_M_S * spans_s)
        # A lap number says when the lap ended, however far from the line the way had come by then.
        by_number = bool(lines) and math.isfinite(self.length_m)
        booked, in_lap, seen = 0.0, 0, 0
        while (boundary := self._next_boundary(lines)) <= ways[-1]:
            time_s, after = crossing_time(ways, self.times, boundary)
            total = float(np.interp(boundary, ways, stress))
            state.stress[state.sector] += max(total - booked, 0.0)
            booked = total
            if np.any((jumps >= seen) & (jumps < after)) and not by_number:
                self._lose_time()
            seen = after
            span_s = spans_s[after - 1]
            lost = span_s > LONGEST_HOLE_S or (after - 1 in jumps and boundary not in lines)
            self._end_sector(Crossing(_NAN if lost else time_s, bool(lost or span_s > HOLE_S)))
            if state.sector == len(self.ends):
                self._end_lap(boundary)
                in_lap = after - 1
        if jumps.size and jumps[-1] >= seen and not by_number:
            self._lose_time()
        state.stress[state.sector] += max(float(stress[-1]) - booked, 0.0)
        return in_lap

    def _next_boundary(self, lines: list[float]) -> float:
        state = self.state
        if math.isfinite(self.length_m):
            return state.line_m + self.ends[state.sector]
        return next((line for line in lines if line > state.line_m), math.inf)

    def _lose_time(self) -> None:
        """The car was put elsewhere: the sector and the lap it is on have no time."""
        self.state.sector_at = None
        if self.state.line_at is not None:
            self.state.line_at = Crossing(_NAN, True)

    def _end_sector(self, crossing: Crossing) -> None:
        state = self.state
        took_s = crossing.time_s - state.sector_at.time_s if state.sector_at is not None else _NAN
        state.sector_times[state.sector] = took_s if math.isfinite(took_s) else None
        state.sector_at = crossing
        state.sector += 1

    def _end_lap(self, line_m: float) -> None:
        state, crossing = self.state, self.state.sector_at
        assert crossing is not None
        if state.line_at is not None:
            estimated = crossing.estimated or state.line_at.estimated
            lap = Lap(crossing.time_s - state.line_at.time_s, estimated, first=state.laps_done == 0)
            state.laps = [*state.laps[1 - MOST_LAPS :], lap]
        state.line_at, state.line_m = crossing, line_m
        state.lines += 1
        state.sector = 0
        state.stress = [0.0] * len(self.ends)
        state.averages = Averages()

    def _count_laps(self, lap: float) -> None:
        """
        Compare the lap number with the laps seen here, away from the line, where it may tick early.

        A car that was seen on the grid was seen to begin: its counter may be ahead.
        """
        state = self.state
        state.lap_sent = lap
        if not math.isfinite(lap):
            return
        share = (state.way_m - state.line_m) / self.length_m if math.isfinite(self.length_m) else 0.5
        if state.lap_offset is None or 0.2 < share < 0.8:
            offset = int(lap) - 1 - state.lines
            state.lap_offset = -1 if state.on_grid and 0 <= offset + 1 <= _LAPS_AHEAD else offset
