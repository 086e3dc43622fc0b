"""
A stop: what the pits allow a car, from the entry before the line to the exit after it.

The box lies behind the line, so the in-lap ends at the pit limit and the
out-lap holds the stop. There a car creeps through one cell for as long as it
stands: its distance never ceases to grow.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .noise import FloatArray

#: The pit limit [m/s]; entry before the line, exit and box after it [m].
LIMIT: Final = 60 / 3.6
ENTRY_M: Final = 250.0
EXIT_M: Final = 250.0
BOX_M: Final = 80.0

_BRAKING: Final = 9.0  # before the entry [m/s²]
_DRIVE: Final = 3.0  # out of the exit
_EASY: Final = 4.0  # to the box and away from it


def in_lap_limit(cells: int, step_m: float) -> FloatArray:
    """The most speed at each node of a lap that ends in the pits, shape (cells + 1,) [m/s]."""
    to_entry_m = np.maximum((cells - np.arange(cells + 1)) * step_m - ENTRY_M, 0.0)
    allowed: FloatArray = np.sqrt(LIMIT**2 + 2 * _BRAKING * to_entry_m)
    return allowed


def out_lap_limit(cells: int, step_m: float, stop_s: float) -> FloatArray:
    """The most speed at each node of a lap that begins in the pits, shape (cells + 1,) [m/s]."""
    node = np.arange(cells + 1)
    box = round(BOX_M / step_m)
    from_box_m = np.maximum(np.maximum(box - node, node - box - 1), 0) * step_m
    near_box = np.sqrt((step_m / stop_s) ** 2 + 2 * _EASY * from_box_m)
    from_exit_m = np.maximum(node * step_m - EXIT_M, 0.0)
    allowed: FloatArray = np.minimum(near_box, np.sqrt(LIMIT**2 + 2 * _DRIVE * from_exit_m))
    return allowed
