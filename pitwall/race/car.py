"""
One car: its distance, laps, sectors, stress and averages, kept up to date row by row.

The car's way is unwrapped into one distance that only grows: the lap distance
plus a lap's length for each time the lap distance fell by more than half a lap.
Where no lap distance is sent, speed is integrated on, and a lap ends when the
lap number rises. Times at the line and at sector ends are interpolated; what
had to be interpolated over more than a second is marked as estimated.

Tire stress is ``∫ (ax² + ay²) ds`` [g²·m]: it does not depend on the sample rate.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from pitwall.model.channels import UNKNOWN_LAPS
from pitwall.model.track import Track
from pitwall.race.series import FloatArray, crossing_time, held

#: No interpolation over a hole of more than this [s].
HOLE_S = 1.0
#: Lap times kept for pace and consistency.
MOST_LAPS = 60
#: A lap slower than the best by this factor was no racing lap (caution, pit).
SLOW_LAP = 1.15
#: Where a lap's distance is unknown because the track is, half of this is a wrap [m].
_SHORTEST_LAP_M = 400.0

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
        self.speed_kmh.add(rows["speed_kmh"].astype(float))
        self.accx_can.add(rows["accx_can"].astype(float))
        self.pbrake_f.add(rows["pbrake_f"].astype(float))
        self.steering_deg.add(np.abs(rows["Steering_Angle"].astype(float)))


class Lap(Struct):
    """A lap from line to line."""

    time_s: float
    estimated: bool


class Crossing(Struct):
    """When a boundary was crossed [s since 1970]; estimated where no sample was near."""

    time_s: float
    estimated: bool


class CarState(Struct):
    """
    All that is remembered of a car; plain values, so that it can be stored.

    Distances are on the unwrapped way, which begins at the line before the first
    sample: ``way_m`` is where the car is, ``line_m`` where its current lap began,
    ``base_m`` where the lap began that its lap distance counts from.
    """

    points: int = 0
    lap: int | None = None
    lap_offset: int | None = None
    offset_guess: int = 0
    time_s: float = _NAN
    way_m: float = 0.0
    line_m: float = 0.0
    base_m: float = 0.0
    lapdist_m: float = _NAN
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

    def covered_m(self, length_m: float) -> float:
        """The distance covered since the start of the race, as far as the lap number tells it [m]."""
        if not math.isfinite(length_m):
            return self.way_m
        offset = self.offset_guess if self.lap_offset is None else self.lap_offset
        return self.way_m + offset * length_m


def update(state: CarState, rows: NDArray[np.void], track: Track | None, counted_after: int) -> None:
    """
    Take a car's new rows in.

    Args:
        state: changed in place.
        rows: of that car, of ``pitwall.rows.ROW``; sorted by time here.
        track: None where it is not configured: the lap is then one sector.
        counted_after: rows numbered up to this were reported before and are not counted again.
    """
    state.points += int(np.count_nonzero(rows["seq"] > counted_after))
    rows = rows[np.argsort(rows["time_s"], kind="stable")]
    if math.isfinite(state.time_s):
        late = int(np.searchsorted(rows["time_s"], state.time_s, side="right"))
        # Late rows belong to the averages, but the way has been gone already.
        state.averages.add(rows[:late])
        rows = rows[late:]
    if not rows.size:
        return
    ends = track.boundaries_m() if track is not None else (math.inf,)
    if len(state.stress) != len(ends):
        state.stress = [0.0] * len(ends)
        state.sector_times = [None] * len(ends)
    _Advance(state, rows, ends).run()


class _Advance:
    """The work of one update: from samples to a way, from the way to crossings."""

    def __init__(self, state: CarState, rows: NDArray[np.void], ends: tuple[float, ...]) -> None:
        self.state = state
        self.rows = rows
        self.ends = ends
        self.length_m = ends[-1]
        #: Where laps began in these rows, for a track whose length is not known.
        self.lines: list[float] = []

    def run(self) -> None:
        state, rows = self.state, self.rows
        if not math.isfinite(state.time_s):
            self._begin()
        speed = held(rows["speed_kmh"].astype(float), state.speed_kmh)
        # The last sample of before leads, so that what lies between is counted too.
        times = np.concatenate(([state.time_s], rows["time_s"]))
        driven = np.cumsum(np.nan_to_num(speed) / 3.6 * np.minimum(np.diff(times), HOLE_S))
        laps = self._lap_numbers()
        ways = np.concatenate(([state.way_m], self._way(driven, laps)))
        in_lap = self._cross(times, ways, self._stress(ways))
        state.averages.add(rows[in_lap:])
        state.time_s, state.way_m, state.speed_kmh = float(times[-1]), float(ways[-1]), float(speed[-1])
        self._count_laps(float(laps[-1]))

    def _begin(self) -> None:
        """Place the car by its first known lap distance."""
        state = self.state
        distances = self.rows["lapdist_m"]
        known = np.flatnonzero(np.isfinite(distances))
        state.time_s = float(self.rows["time_s"][0])
        state.way_m = min(float(distances[known[0]]) if known.size else 0.0, self.length_m)
        if math.isfinite(self.length_m) and state.way_m > self.length_m / 2:
            state.offset_guess = -1  # until a lap number says otherwise: on the grid, behind the line
        state.sector = min(int(np.searchsorted(self.ends, state.way_m, side="right")), len(self.ends) - 1)

    def _lap_numbers(self) -> FloatArray:
        """The lap number at each row, held; NaN before one is known; shape (n,)."""
        state = self.state
        laps = self.rows["lap"].astype(float)
        laps[np.isin(laps, UNKNOWN_LAPS)] = _NAN
        laps = held(laps, state.lap_sent)
        if math.isfinite(laps[-1]):
            state.lap = int(laps[-1])
        return laps

    def _way(self, driven: FloatArray, laps: FloatArray) -> FloatArray:
        """The unwrapped distance at each row; shape (n,), non-decreasing [m]."""
        state = self.state
        distances = self.rows["lapdist_m"].astype(float)
        known = np.flatnonzero(np.isfinite(distances))
        if not known.size and not math.isfinite(state.lapdist_m):
            return self._way_by_lap_number(driven, laps)
        # Where the distance was sent the way is known; between, it is what was driven since.
        anchors, ways = self._anchors(known, distances[known], driven)
        since = np.searchsorted(anchors, np.arange(distances.size), side="right") - 1
        at = anchors[since]
        gone = driven - np.where(at >= 0, driven[np.maximum(at, 0)], 0.0)
        return np.maximum.accumulate(np.maximum(ways[since] + gone, state.way_m))

    def _anchors(
        self, known: NDArray[np.intp], distances: FloatArray, driven: FloatArray
    ) -> tuple[NDArray[np.intp], FloatArray]:
        state = self.state
        finite = math.isfinite(self.length_m)
        if known.size:
            if not math.isfinite(state.lapdist_m):  # the first one ever: fit it to what was driven so far
                expected = state.way_m + float(driven[known[0]])
                laps = round((expected - distances[0]) / self.length_m) if finite else 0
                state.base_m = max(laps, 0) * self.length_m if finite else 0.0
                state.lapdist_m = float(distances[0])
            before = np.concatenate(([state.lapdist_m], distances[:-1]))
            half = self.length_m / 2 if finite else np.maximum(before / 2, _SHORTEST_LAP_M / 2)
            wrapped = before - distances > half
            bases = state.base_m + np.cumsum(np.where(wrapped, self.length_m if finite else before, 0.0))
            self.lines = [float(base) for base in bases[wrapped]]
            state.base_m, state.lapdist_m = float(bases[-1]), float(distances[-1])
        else:
            bases = distances
        return np.concatenate(([-1], known)), np.concatenate(([state.way_m], bases + distances))

    def _way_by_lap_number(self, driven: FloatArray, laps: FloatArray) -> FloatArray:
        """Without a lap distance: what was driven, held before the line until the lap number rises."""
        state = self.state
        before = np.concatenate(([state.lap_sent], laps[:-1]))
        rises = np.flatnonzero(laps > before)
        way = np.empty(driven.size)
        begin_m, line_m, gone_m = state.way_m, state.line_m, 0.0
        for start, end in zip((0, *rises), (*rises, driven.size), strict=True):
            if end > start:
                way[start:end] = np.minimum(begin_m + driven[start:end] - gone_m, line_m + self.length_m - 0.1)
            if end < driven.size:
                gone_m = float(driven[end])
                line_m += self.length_m if math.isfinite(self.length_m) else float(way[end - 1] if end else begin_m)
                begin_m = line_m
                self.lines.append(line_m)
        return np.maximum.accumulate(np.maximum(way, state.way_m))

    def _stress(self, ways: FloatArray) -> FloatArray:
        """The stress summed up along the way, from 0 at its start; shape of ``ways`` [g²·m]."""
        state = self.state
        accx = np.concatenate(([state.accx_can], held(self.rows["accx_can"].astype(float), state.accx_can)))
        accy = np.concatenate(([state.accy_can], held(self.rows["accy_can"].astype(float), state.accy_can)))
        state.accx_can, state.accy_can = float(accx[-1]), float(accy[-1])
        squares = np.nan_to_num(accx) ** 2 + np.nan_to_num(accy) ** 2
        return np.concatenate(([0.0], np.cumsum((squares[1:] + squares[:-1]) / 2 * np.diff(ways))))

    def _cross(self, times: FloatArray, ways: FloatArray, stress: FloatArray) -> int:
        """Book every boundary that was crossed; returns the first row of the lap the car is in then."""
        state = self.state
        booked, in_lap = 0.0, 0
        while (boundary := self._next_boundary()) <= ways[-1]:
            if boundary <= ways[0]:  # passed already: the car began there
                time_s, after, total = float(times[0]), 1, 0.0
            else:
                time_s, after = crossing_time(ways, times, boundary)
                total = float(np.interp(boundary, ways, stress))
            crossing = Crossing(time_s, bool(times[after] - times[after - 1] > HOLE_S))
            state.stress[state.sector] += total - booked
            booked = total
            if state.sector_at is not None:
                state.sector_times[state.sector] = time_s - state.sector_at.time_s
            state.sector_at = crossing
            state.sector += 1
            if state.sector == len(self.ends):
                self._end_lap(crossing, boundary)
                in_lap = after - 1
        state.stress[state.sector] += float(stress[-1]) - booked
        return in_lap

    def _next_boundary(self) -> float:
        state = self.state
        if math.isfinite(self.length_m):
            return state.line_m + self.ends[state.sector]
        return next((line for line in self.lines if line > state.line_m), math.inf)

    def _end_lap(self, crossing: Crossing, line_m: float) -> None:
        state = self.state
        if state.line_at is not None:
            estimated = crossing.estimated or state.line_at.estimated
            state.laps = [*state.laps[1 - MOST_LAPS :], Lap(crossing.time_s - state.line_at.time_s, estimated)]
        state.line_at = crossing
        state.line_m = line_m
        state.sector = 0
        state.stress = [0.0] * len(self.ends)
        state.averages = Averages()

    def _count_laps(self, lap: float) -> None:
        """How far the lap number is ahead of the laps seen here, judged away from the line, where it may tick early."""
        state = self.state
        state.lap_sent = lap
        if not math.isfinite(lap) or not math.isfinite(self.length_m):
            return
        share = (state.way_m - state.line_m) / self.length_m
        if state.lap_offset is None or 0.2 < share < 0.8:
            state.lap_offset = int(lap) - 1 - round(state.line_m / self.length_m)
