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
