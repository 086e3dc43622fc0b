"""
The paths of a recorded car's laps, cut where its lap number rises, for `pitwall.race.calibrate`.

The line lies half-way between the last sample of a lap and the first of the next. Where a
recording has single laps it lies half an interval outside. The distance is ``∫ v dt``,
scaled to the length of the track: on recorded laps that finds a timing loop again within
3 m, where the logger's own lap distance, in steps of a fifth of a second and not always
reset at the line, finds it within 6.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from pitwall.race.calibrate import LapPath
from pitwall.race.matching import SentLap
from pitwall.race.series import FloatArray

#: Samples further apart than this do not follow one another [s].
_NEXT_S = 0.5
#: A lap with a hole longer than this is not used; recorded laps have some of two seconds [s].
_HOLE_S = 2.5
#: After a hole like this the same lap number is of another outing [s].
_OUTING_S = 10.0
#: Shorter or longer is no lap [s].
_SHORTEST_S = 20.0
_LONGEST_S = 900.0
#: What speed comes to in a lap may be off by this share.
_SCALE_OFF: Final = 0.06


class RecordedLap(NamedTuple):
    """A lap and its path; ``scale`` is the track's length over what speed came to."""

    sent: SentLap
    path: LapPath
    scale: float


def recorded_laps(
    time_s: FloatArray, lap: FloatArray, speed_kmh: FloatArray, received_s: FloatArray, total_m: float
) -> list[RecordedLap]:
    """
    The whole laps of one car, in order.

    Args:
        time_s: of each sample, by the car's clock; shape (n,), non-decreasing [s].
        lap: the car's lap number, NaN where it told none; same shape.
        speed_kmh: NaN where not sent; same shape.
        received_s: when each sample was received [s, UTC], NaN where not known; same shape.
        total_m: the length of the track [m].
    """
    known = np.isfinite(lap)
    if known.any():
        # A lap number that is missing for a while is the one before, where that is also the one after.
        at = np.flatnonzero(known)
        before = np.maximum(np.searchsorted(at, np.arange(lap.size), side="right") - 1, 0)
        after = np.minimum(np.searchsorted(at, np.arange(lap.size), side="left"), at.size - 1)
        lap = np.where(lap[at[before]] == lap[at[after]], lap[at[before]], np.nan)
    chosen = np.isfinite(lap)
    time_s, lap, speed_kmh, received_s = (column[chosen] for column in (time_s, lap, speed_kmh, received_s))
    found = []
    starts = [0, *(np.flatnonzero((np.diff(lap) != 0) | (np.diff(time_s) > _OUTING_S)) + 1).tolist()]
    for start, end in zip(starts, [*starts[1:], lap.size], strict=True):
        if end - start < 2:
            continue
        half_s = float(np.median(np.diff(time_s[start:end]))) / 2
        begin_s, end_s = float(time_s[start]) - half_s, float(time_s[end - 1]) + half_s
        if start and time_s[start] - time_s[start - 1] < _NEXT_S:
            begin_s = float(time_s[start - 1] + time_s[start]) / 2
        if end < lap.size and time_s[end] - time_s[end - 1] < _NEXT_S:
            end_s = float(time_s[end - 1] + time_s[end]) / 2
        path = _path(time_s, speed_kmh, begin_s, end_s)
        if path is None:
            continue
        scale = total_m / float(path.distance_m[-1])
        if abs(scale - 1) > _SCALE_OFF:
            continue
        received = received_s[start:end]
        received = received[np.isfinite(received)]
        sent = SentLap(int(lap[start]), end_s - begin_s, float(received[-1]) if received.size else None)
        found.append(RecordedLap(sent, LapPath(path.time_s, path.distance_m * scale), scale))
    return found


def _path(time_s: FloatArray, speed_kmh: FloatArray, begin_s: float, end_s: float) -> LapPath | None:
    """What speed comes to between two moments, not scaled; None where it is not known all the way."""
    if not _SHORTEST_S <= end_s - begin_s <= _LONGEST_S:
        return None
    near = (time_s > begin_s - _HOLE_S) & (time_s < end_s + _HOLE_S) & np.isfinite(speed_kmh)
    at_s, speed = time_s[near], speed_kmh[near] / 3.6
    inside = np.unique(at_s[(at_s > begin_s) & (at_s < end_s)])
    times = np.concatenate(([begin_s], inside, [end_s]))
    if at_s.size < 2 or np.diff(times).max() > _HOLE_S:
        return None
    speed = np.interp(times, at_s, speed)
    distance_m = np.concatenate(([0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 * np.diff(times))))
    return LapPath(times - begin_s, distance_m) if distance_m[-1] > 0 else None
