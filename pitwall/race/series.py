"""Small helpers over the samples of one car."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def held(values: FloatArray, before: float) -> FloatArray:
    """
    Each missing value replaced by the last one that was there.

    Args:
        values: shape (n,), NaN where missing.
        before: what the last value was before the first; NaN where there was none.
    """
    known = np.isfinite(values)
    if known.all():
        return values
    last = np.maximum.accumulate(np.where(known, np.arange(values.size), -1))
    return np.where(last >= 0, values[np.maximum(last, 0)], before)


def or_zero(values: FloatArray) -> FloatArray:
    """The values, 0 where one is missing (NaN)."""
    return np.where(np.isnan(values), 0.0, values)


def crossing_time(distance_m: FloatArray, time_s: FloatArray, at_m: float) -> tuple[float, int]:
    """
    When a distance was reached, interpolated between the samples around it.

    Args:
        distance_m: shape (n,), non-decreasing [m].
        time_s: shape (n,), rising [s].
        at_m: from the first to the last distance [m].

    Returns:
        The time [s], and the index of the first sample at or beyond the distance, 1 at least.
    """
    after = max(int(np.searchsorted(distance_m, at_m, side="left")), 1)
    before = after - 1
    span_m = distance_m[after] - distance_m[before]
    share = (at_m - distance_m[before]) / span_m if span_m > 0 else 1.0
    return float(time_s[before] + share * (time_s[after] - time_s[before])), after
