"""
Where the timing loops lie: sector boundaries from laps whose official sector times are known.

The lines of a track map are up to 1.6 s away from the loops. A lap tells where the car
was when the official sector ended; the median over laps is the boundary. How good it is
shows on each lap with the boundaries that the other laps alone would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from pitwall.race.series import FloatArray

#: The fewest laps boundaries are fitted to.
FEWEST_LAPS: Final = 3
#: Laps that put a boundary in so different places are not laps of one track; deviation, as a share of the lap.
_WIDEST_SHARE = 0.02
#: The median's uncertainty, over the deviation and the root of the number.
_OF_MEDIAN = 1.2533
#: A normal deviation over the median absolute one.
_OF_MAD = 1.4826


class CalibrationError(ValueError):
    """
    Boundaries that can't be fitted.

    Attributes:
        reason: ``too_few_laps``, ``bad_path``, ``bad_times`` or ``scattered``.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class LapPath(NamedTuple):
    """
    How a car went round, from the line to the line.

    Attributes:
        time_s: since the line; shape (n,), from 0 to the lap time, non-decreasing [s].
        distance_m: since the line; same shape, from 0 to the track's length, non-decreasing [m].
    """

    time_s: FloatArray
    distance_m: FloatArray


class Boundaries(NamedTuple):
    """
    Boundaries that were fitted.

    Attributes:
        ends_m: of all sectors but the last; shape (sectors - 1,) [m].
        uncertain_m: the standard error of each [m].
        reached_m: where each lap puts them; shape (laps, sectors - 1) [m].
        errors_s: sector times by the boundaries that the other laps give, minus the official
            ones; shape (laps, sectors) [s].
    """

    ends_m: FloatArray
    uncertain_m: FloatArray
    reached_m: FloatArray
    errors_s: FloatArray


def fit_boundaries(paths: Sequence[LapPath], sectors_s: Sequence[Sequence[float]]) -> Boundaries:
    """
    The boundaries that agree best with official sector times.

    Args:
        paths: of laps on one track.
        sectors_s: the official times of the same laps; shape (laps, sectors) [s].

    Raises:
        CalibrationError: fewer than ``FEWEST_LAPS``, one that is no lap, or laps that do not agree.
    """
    if len(paths) < FEWEST_LAPS:
        raise CalibrationError("too_few_laps", f"{len(paths)} laps, wanted {FEWEST_LAPS} or more")
    official = _official(paths, sectors_s)
    total_m = float(paths[0].distance_m[-1])
    ends_s = np.cumsum(official, axis=1)[:, :-1]
    reached_m = np.array([_places(path, row) for path, row in zip(paths, ends_s, strict=True)])
    ends_m = np.median(reached_m, axis=0)
    spread_m = _OF_MAD * np.median(np.abs(reached_m - ends_m), axis=0)
    if spread_m.size and float(spread_m.max()) > _WIDEST_SHARE * total_m:
        raise CalibrationError(
            "scattered",
            f"laps put a boundary {float(spread_m.max()):.0f} m apart, wanted at most {_WIDEST_SHARE * total_m:.0f}",
        )
    if (np.diff([0.0, *ends_m, total_m]) <= 1.0).any():
        raise CalibrationError("scattered", f"boundaries at {_listed(ends_m)}, wanted rising from 0 to {total_m:.1f} m")
    errors_s = np.array(
        [
            sector_times(path, np.median(np.delete(reached_m, index, axis=0), axis=0)) - official[index]
            for index, path in enumerate(paths)
        ]
    )
    return Boundaries(ends_m, _OF_MEDIAN * spread_m / np.sqrt(len(paths)), reached_m, errors_s)


def sector_times(path: LapPath, ends_m: FloatArray | Sequence[float]) -> FloatArray:
    """
    The time in each sector; shape (sectors,), together the lap [s].

    Args:
        path: of the lap.
        ends_m: of all sectors but the last [m].
    """
    inner = np.interp(np.asarray(ends_m, float), path.distance_m, path.time_s)
    times: FloatArray = np.diff(np.concatenate((path.time_s[:1], inner, path.time_s[-1:])))
    return times


def _places(path: LapPath, ends_s: FloatArray) -> FloatArray:
    """Where the car was at these moments since the line [m]."""
    places: FloatArray = np.interp(ends_s, path.time_s, path.distance_m)
    return places


def _official(paths: Sequence[LapPath], sectors_s: Sequence[Sequence[float]]) -> FloatArray:
    """The official times as one array, once they and the paths are what they should be."""
    if len(sectors_s) != len(paths) or len({len(row) for row in sectors_s}) != 1 or not len(sectors_s[0]):
        raise CalibrationError(
            "bad_times", f"{len(sectors_s)} rows of sector times for {len(paths)} laps, wanted one each, of one length"
        )
    official = np.asarray(sectors_s, float)
    total_m = float(paths[0].distance_m[-1]) if paths[0].distance_m.size else 0.0
    for index, (path, row) in enumerate(zip(paths, official, strict=True)):
        time_s, distance_m = path
        if time_s.shape != distance_m.shape or time_s.ndim != 1 or time_s.size < 2:
            raise CalibrationError("bad_path", f"lap {index}: wanted times and distances, as many of each, two or more")
        if not (np.isfinite(time_s).all() and np.isfinite(distance_m).all()):
            raise CalibrationError("bad_path", f"lap {index}: a time or a distance is not finite")
        if (np.diff(time_s) < 0).any() or (np.diff(distance_m) < 0).any() or time_s[0] or distance_m[0]:
            raise CalibrationError("bad_path", f"lap {index}: wanted times and distances that rise from 0")
        if abs(float(distance_m[-1]) - total_m) > 0.5:
            raise CalibrationError(
                "bad_path", f"lap {index} ends at {float(distance_m[-1]):.1f} m, wanted {total_m:.1f} as the first one"
            )
        if not (np.isfinite(row).all() and (row > 0).all()):
            raise CalibrationError("bad_times", f"lap {index}: sector times {_listed(row)}, wanted more than 0")
        if float(row[:-1].sum()) >= float(time_s[-1]):
            raise CalibrationError(
                "bad_times", f"lap {index}: its sectors but the last take longer than it, {float(time_s[-1]):.3f} s"
            )
    return official


def _listed(values: FloatArray) -> str:
    return ", ".join(f"{value:.3f}" for value in values.tolist()) or "none"
