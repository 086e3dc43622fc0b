"""
Lap and sector times and the stress of a lap, from its rows.

Everything here is a function of the rows between two lines, sorted by time: however
they came, the same rows give the same figures. The way is the speed integrated, moved
by the lap distances read around each moment (their errors average out, and the shape
between them is the speed's); a boundary is crossed where that way reaches it. Moments
are kept in whole milliseconds, so that sectors and mini-sectors add up to the lap exactly.

Tire stress is ``∫ (ax² + ay²) ds`` [g²·m], which depends neither on the sample rate nor
on other cars. What an accelerometer shows on average beyond what the lap explains is its
static offset, and taken off: see ``static_offsets``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pitwall.model.channels import UNKNOWN_LAPS
from pitwall.race.lap import MINI_SECTORS
from pitwall.race.place import Line
from pitwall.race.series import FloatArray, held, or_zero
from pitwall.race.tracker import HOLE_S, LENGTH_OFF, LONGEST_HOLE_S

Rows = NDArray[np.void]

#: Rows are wanted so long before and after a lap, for its lines [s].
MARGIN_S: Final = 1.5
#: The line is where the readings of so long after it say [s].
AFTER_LINE_S: Final = 1.0
#: And of so long before it, where the car is known to measure evenly [s].
BEFORE_LINE_S: Final = 1.0
#: Lap distances are averaged over so long to either side [s].
_AVERAGED_S: Final = 0.7
#: Readings that differ by more from what was driven are not averaged [m].
_APART_M: Final = 8.0
#: The most that is taken off an accelerometer [g].
_MOST_OFFSET_G: Final = 0.3
_MOVING_M_S: Final = 8.0
#: The lap number rises at the line, so far at most from where the lap distance says it is [s].
_RISE_S: Final = 0.2
#: Rows stamped on arrival come all within so long [s], and the speed over the hole is off by such a share.
_BURST_S: Final = 0.3
_BURST_SHARE: Final = 0.1
_G: Final = 9.80665
#: Speed alone tells the way while its samples are no further apart; recorded laps have holes of two seconds [s].
_SPEED_HOLE_S: Final = 2.1
#: Lap distances that scatter by more around what speed says are worse than that; recorded ones do, by 2 to 4 [m].
_SCATTER_M: Final = 1.5
_NAN = math.nan


class LineTime(NamedTuple):
    """When a line was crossed [s], to the millisecond; NaN where not known; estimated where no sample was near."""

    time_s: float
    estimated: bool


class Boundaries(NamedTuple):
    """
    What divides a lap.

    Attributes:
        length_m: of the lap; NaN where not known.
        sectors_m: the sector ends, the line left out; shape (sectors - 1,) [m].
    """

    length_m: float
    sectors_m: tuple[float, ...]


class Figures(NamedTuple):
    """
    The figures of a lap, or of what there is of it so far.

    Attributes:
        crossings: when each sector began, the last one's end last; NaN where not known or not yet;
            shape (sectors + 1,).
        minis: likewise of the mini-sectors; shape (26,).
        stress: of each sector; shape (sectors,) [g²·m].
        estimated: whether a boundary lies in a hole of more than a second.
        offsets_g: what was taken off the accelerometers, along and across [g].
    """

    crossings: FloatArray
    minis: FloatArray
    stress: FloatArray
    estimated: bool
    offsets_g: tuple[float, float]


class Way:
    """
    The way over some rows of a car, between two resets of its lap distance.

    Args:
        rows: sorted by time.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.times = rows["time_s"].astype(float)
        self.driven = _driven(self.times, rows["speed_kmh"])
        self.timed = bool(self.driven.size and self.driven[-1] > self.driven[0])

    def speaks(self, begin_s: float, end_s: float) -> bool:
        """Whether the speed is known from one moment to another, without a hole that matters."""
        known = self.times[np.isfinite(self.rows["speed_kmh"])]
        around = known[(known > begin_s - _SPEED_HOLE_S) & (known < end_s + _SPEED_HOLE_S)]
        if around.size < 2 or around[0] > begin_s or around[-1] < end_s:
            return False
        return bool(np.diff(around).max() <= _SPEED_HOLE_S)

    def readings(self, after_s: float, until_s: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Time, distance and what was driven of the lap distances read in a span of time, its ends included."""
        first, last = np.searchsorted(self.times, after_s, "left"), np.searchsorted(self.times, until_s, "right")
        distances = self.rows["lapdist_m"][first:last].astype(float)
        at = np.flatnonzero(np.isfinite(distances))
        return self.times[first:last][at], distances[at], self.driven[first:last][at]


def line_time(rows: Rows, line: Line) -> LineTime:
    """
    When a line was crossed.

    Args:
        rows: from ``MARGIN_S`` before to ``AFTER_LINE_S`` after it at least.
        line: as the tracker saw it.
    """
    estimated = line.hole_s > HOLE_S or line.by == "length"
    if line.hole_s > LONGEST_HOLE_S:
        return LineTime(_NAN, True)
    if line.by != "distance":
        return LineTime(_to_ms((line.before_s + line.after_s) / 2), estimated)
    way = Way(rows)
    times, distances, driven = way.readings(line.after_s, line.after_s + AFTER_LINE_S)
    if not times.size:
        return LineTime(_to_ms(line.after_s), True)
    if way.timed:
        offsets = distances - driven
        if line.sure and line.laps == 1:
            # Of readings before the line it is known how far they are from it.
            _, to_line, driven_to = way.readings(line.before_s - BEFORE_LINE_S, line.before_s)
            offsets = np.concatenate([to_line - line.length_m - driven_to, offsets])
        offset_m = _robust_mean(offsets)
        if -offset_m < way.driven[0]:
            return LineTime(_to_ms(line.before_s), True)
        at_s = float(np.interp(-offset_m, way.driven, way.times))
        if line.hole_s > HOLE_S:
            at_s = _in_burst(way, line, at_s)
    else:
        before = way.readings(line.before_s, line.before_s)[1]
        to_line_m = line.length_m - float(before[-1]) if before.size and math.isfinite(line.length_m) else 0.0
        share = max(to_line_m, 0.0) / max(max(to_line_m, 0.0) + float(distances[0]), 1e-3)
        at_s = line.before_s + share * line.hole_s
    rise = _lap_rise(rows, line)
    if rise is not None:
        by_number_s = min(max(at_s, rise[0]), rise[1])
        # One that is further off is a counter that ticks early.
        if abs(by_number_s - at_s) <= _RISE_S:
            return LineTime(_to_ms(by_number_s), estimated)
    return LineTime(_to_ms(min(max(at_s, line.before_s), line.after_s)), estimated)


def _in_burst(way: Way, line: Line, at_s: float) -> float:
    """
    When a line in a hole was crossed, where the rows after the hole came all at once.

    Their times are of their arrival, and the speed integrated over the hole is not the way
    between two rows. The way is shared out evenly over the hole then.
    """
    _, before, driven_before = way.readings(line.before_s - MARGIN_S, line.before_s)
    times, after, driven_after = way.readings(line.after_s, line.after_s + _BURST_S)
    if not (before.size and after.size and math.isfinite(line.length_m)):
        return at_s
    to_line_m, beyond_m = max(line.length_m - float(before[-1]), 0.0), max(float(after[-1]), 0.0)
    gone_m = to_line_m + beyond_m
    if gone_m <= 0 or abs(float(driven_after[-1] - driven_before[-1]) - gone_m) < _BURST_SHARE * gone_m:
        return at_s
    return line.before_s + to_line_m / gone_m * (float(times[-1]) - line.before_s)


def _lap_rise(rows: Rows, line: Line) -> tuple[float, float] | None:
    """
    Between which rows the lap number rose at a line; None where it did not rise there, once and by one.

    Recorded lap distances are a fifth of a second old, by more or less, when they are
    sent: lines by them alone are 0.1 s off. The lap number comes with every row.
    """
    first = np.searchsorted(rows["time_s"], line.before_s - _RISE_S, "left")
    last = np.searchsorted(rows["time_s"], line.after_s + _RISE_S, "right")
    laps = rows["lap"][first:last]
    known = np.flatnonzero((laps > 0) & (laps < max(UNKNOWN_LAPS)))
    steps = np.diff(laps[known])
    rose = np.flatnonzero(steps)
    if rose.size != 1 or steps[rose[0]] != 1:
        return None
    times = rows["time_s"][first:last][known]
    return float(times[rose[0]]), float(times[rose[0] + 1])


def figures(
    rows: Rows,
    begin_s: float,
    end_s: float,
    bounds: Boundaries,
    read: Sequence[float],
    scale: float,
    offsets_g: tuple[float, float] | None = None,
) -> Figures:
    """
    The figures of a lap.

    Args:
        rows: of the lap and ``MARGIN_S`` around it.
        begin_s: when its first line was crossed; NaN: before the first row [s].
        end_s: when it ended; NaN while it goes on [s].
        bounds: what divides it.
        read: first and last time of the lap distances that belong to it [s].
        scale: the track's metres per metre of the lap distance, or of what was driven without one.
        offsets_g: of the accelerometers, along and across; None: from this lap.
    """
    way = Way(rows)
    times, rows = way.times, way.rows
    ended, begun = math.isfinite(end_s), math.isfinite(begin_s)
    path = _path(way, begin_s, end_s, bounds.length_m, read, scale)
    if ended and begun and math.isfinite(bounds.length_m) and bounds.length_m > 0:
        lap = path[(times > begin_s) & (times < end_s)]
        if lap.size and abs(float(lap[-1]) / bounds.length_m - 1) > LENGTH_OFF:
            path = np.full_like(path, _NAN)  # not the lap's way: its boundaries can't be told
        elif read and way.speaks(begin_s, end_s):
            by_speed = _path(way, begin_s, end_s, bounds.length_m, (), scale)
            if _scatter_m(way, by_speed, read, scale) > _SCATTER_M:
                path = by_speed
    # The lines are at their times, whatever the way says there.
    inside = np.ones(times.size, np.bool_)
    if begun:
        inside &= times > begin_s
    if ended:
        inside &= times < end_s
    knots_s = np.concatenate(([begin_s] if begun else [], times[inside], [end_s] if ended else []))
    length_m = bounds.length_m
    if not math.isfinite(length_m):
        length_m = max(float(path[inside].max(initial=0.0)), 0.0) if not np.isnan(path).any() else 0.0
    knots_m = np.concatenate(([0.0] if begun else [], path[inside], [length_m] if ended else []))
    # Where the way is not known, nothing between the lines is.
    knots_m = np.full_like(knots_m, _NAN) if np.isnan(path).any() else np.maximum.accumulate(knots_m)
    crossings, estimated = _crossings((*bounds.sectors_m,), knots_m, knots_s, begin_s, end_s)
    minis, _ = _crossings(
        [length_m * part / MINI_SECTORS for part in range(1, MINI_SECTORS)] if length_m > 0 else (),
        knots_m,
        knots_s,
        begin_s,
        end_s,
    )
    if minis.size != MINI_SECTORS + 1 or not (ended or math.isfinite(bounds.length_m)):
        minis = np.full(MINI_SECTORS + 1, _NAN)
    if offsets_g is None:
        offsets_g = static_offsets(rows[inside], times[inside])
    ends_m = np.array([0.0, *bounds.sectors_m, math.inf])
    stress = _stress(
        rows[inside], path[inside] if not np.isnan(path).any() else way.driven[inside] * scale, ends_m, offsets_g
    )
    return Figures(crossings, minis, stress, estimated, offsets_g)


def static_offsets(rows: Rows, times: FloatArray) -> tuple[float, float]:
    """
    The static offset of the accelerometers over a lap, along and across, 0 where it can't be told [g].

    Along, the mean of the acceleration over time less the change of speed over the
    time. Across, the lateral acceleration over the speed is how fast the car turns, and
    in a lap it turns round once: ``∫ g·ay/v dt = ±2π``, of the two the nearer.
    """
    if times.size < 100 or not times[-1] - times[0] > 20.0:
        return 0.0, 0.0
    known = np.flatnonzero(np.isfinite(rows["speed_kmh"]))
    if known.size < 20:
        return 0.0, 0.0
    speed = np.interp(times, times[known], rows["speed_kmh"][known].astype(float) / 3.6)
    if np.count_nonzero(speed > _MOVING_M_S) < 0.9 * times.size or np.diff(times).max() > LONGEST_HOLE_S:
        return 0.0, 0.0
    span_s = float(times[-1] - times[0])
    accx, accy = held(rows["accx_can"].astype(float), _NAN), held(rows["accy_can"].astype(float), _NAN)
    offset_x = offset_y = 0.0
    if np.isfinite(accx).all():
        offset_x = _integral(accx, times) / span_s - float(speed[-1] - speed[0]) / (_G * span_s)
    if np.isfinite(accy).all():
        inverse = _G / np.maximum(speed, _MOVING_M_S)
        turned, unit = _integral(accy * inverse, times), _integral(inverse, times)
        offset_y = min((turned - 2 * math.pi) / unit, (turned + 2 * math.pi) / unit, key=abs)
    limit = _MOST_OFFSET_G
    return min(max(offset_x, -limit), limit), min(max(offset_y, -limit), limit)


def _integral(values: FloatArray, times: FloatArray) -> float:
    return float(np.sum((values[1:] + values[:-1]) / 2 * np.diff(times)))


def _driven(times: FloatArray, speed_kmh: NDArray[np.float32]) -> FloatArray:
    """The speed integrated, interpolated between its samples; 0 at the first row [m]."""
    known = np.flatnonzero(np.isfinite(speed_kmh))
    if not known.size:
        return np.zeros(times.size)
    speed = np.interp(times, times[known], speed_kmh[known].astype(float) / 3.6)
    spans = np.minimum(np.diff(times), LONGEST_HOLE_S)
    return np.concatenate(([0.0], np.cumsum(spans * (speed[1:] + speed[:-1]) / 2)))


def _path(way: Way, begin_s: float, end_s: float, length_m: float, read: Sequence[float], scale: float) -> FloatArray:
    """How far into the lap each row is, in the track's metres, NaN where nothing tells it; shape (n,)."""
    times, distances, driven = way.readings(read[0], read[1]) if read else way.readings(math.inf, -math.inf)
    path: FloatArray
    if not way.times.size:
        return np.empty(0)
    if times.size and not way.timed:
        path = np.interp(way.times, times, distances)
    elif times.size:
        path = way.driven + np.interp(way.times, times, _averaged(times, distances - driven))
    elif not way.timed:
        return np.full(way.times.size, _NAN)
    else:
        begun = float(np.interp(begin_s, way.times, way.driven)) if math.isfinite(begin_s) else float(way.driven[0])
        if math.isfinite(end_s) and math.isfinite(begin_s):
            whole = float(np.interp(end_s, way.times, way.driven)) - begun
            if whole > 0:
                scale = length_m / whole if math.isfinite(length_m) else 1.0
        path = way.driven - begun
    path *= scale
    return path


def _scatter_m(way: Way, path: FloatArray, read: Sequence[float], scale: float) -> float:
    """How far lap distances lie from a way, but for what they have in common, as a standard deviation [m]."""
    times, distances, _ = way.readings(read[0], read[1])
    if not times.size or np.isnan(path).any():
        return 0.0
    off_m = scale * distances - np.interp(times, way.times, path)
    return float(np.std(off_m))


def _averaged(times: FloatArray, offsets: FloatArray) -> FloatArray:
    """Each offset averaged with those around it in time, where they agree."""
    first = np.searchsorted(times, times - _AVERAGED_S, "left")
    last = np.searchsorted(times, times + _AVERAGED_S, "right")
    # From one side as many as from the other: an average must not lean.
    index = np.arange(times.size)
    reach = np.minimum(index - first, last - 1 - index)
    first, last = index - reach, index + reach + 1
    summed = np.concatenate(([0.0], np.cumsum(offsets)))
    squares = np.concatenate(([0.0], np.cumsum((offsets - offsets[0]) ** 2)))
    means = (summed[last] - summed[first]) / (last - first)
    spread = (squares[last] - squares[first]) / (last - first) - (means - offsets[0]) ** 2
    averaged: FloatArray = np.where(spread <= _APART_M**2 / 4, means, offsets)
    return averaged


def _robust_mean(values: FloatArray) -> float:
    middle = float(np.median(values))
    near = np.abs(values - middle) <= _APART_M
    if not near.any():
        # Two halves that disagree, their median between them; what the last lap left over reads too high.
        near = np.abs(values - np.sort(values)[(values.size - 1) // 2]) <= _APART_M
    return float(values[near].mean())


def _crossings(
    bounds_m: Sequence[float], knots_m: FloatArray, knots_s: FloatArray, begin_s: float, end_s: float
) -> tuple[FloatArray, bool]:
    """When each boundary was crossed, the lines around; and whether one lies in a hole."""
    found = np.full(len(bounds_m) + 2, _NAN)
    found[0], found[-1] = begin_s, end_s
    estimated = False
    if knots_m.size > 1 and not np.isnan(knots_m).any():
        after = np.searchsorted(knots_m, bounds_m, "left")
        for at, index in enumerate(after.tolist()):
            if not 0 < index < knots_m.size:
                continue
            hole_s = float(knots_s[index] - knots_s[index - 1])
            if hole_s > LONGEST_HOLE_S:
                estimated = True
                continue
            estimated = estimated or hole_s > HOLE_S
            gone_m = float(knots_m[index] - knots_m[index - 1])
            share = (bounds_m[at] - float(knots_m[index - 1])) / gone_m if gone_m > 0 else 1.0
            found[at + 1] = _to_ms(float(knots_s[index - 1]) + share * hole_s)
    return found, estimated


def _stress(rows: Rows, path: FloatArray, ends_m: FloatArray, offsets_g: tuple[float, float]) -> FloatArray:
    """The stress of each sector; shape (sectors,) [g²·m]."""
    if path.size < 2:
        return np.zeros(ends_m.size - 1)
    accx, accy = rows["accx_can"].astype(float), rows["accy_can"].astype(float)
    squares = or_zero(held(accx, _NAN) - offsets_g[0]) ** 2 + or_zero(held(accy, _NAN) - offsets_g[1]) ** 2
    path = np.maximum.accumulate(path)
    summed = np.concatenate(([0.0], np.cumsum((squares[1:] + squares[:-1]) / 2 * np.diff(path))))
    at_ends = np.interp(np.minimum(ends_m, path[-1]), path, summed)
    at_ends[0] = 0.0
    return np.diff(at_ends)


def _to_ms(time_s: float) -> float:
    return round(time_s * 1000) / 1000
