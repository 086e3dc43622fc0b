"""Whether a lap began or ended in the pits, which nobody says: by how fast the car crossed the line."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pitwall.race.buffer import RowBuffer
from pitwall.race.lap import Lap
from pitwall.race.laptimer import AFTER_LINE_S, MARGIN_S
from pitwall.race.place import Line

Rows = NDArray[np.void]

#: A car that goes through the pits crosses the line at less than this share of its usual speed there.
_PIT_SPEED: Final = 0.6
_PIT_KMH: Final = 75.0
_SLOW_START_KMH: Final = 5.0
#: Nobody drives so fast in a pit lane.
_OUT_KMH: Final = 90.0


def pit_marks(rows: RowBuffer, first: Line, last: Line, inside: Rows, before: list[Lap]) -> list[str]:
    """Whether a lap began or ended in the pits, by the speed at the line."""
    usual = [
        lap.line_kmh
        for lap in before[-10:]
        if lap.line_kmh is not None and not {"in", "estimated"}.intersection(lap.marks)
    ]
    if not usual:
        return []
    least_kmh = min(_PIT_SPEED * float(np.median(usual)), _PIT_KMH)
    start_kmh = speed_at(rows.between(first.before_s - MARGIN_S, first.after_s + AFTER_LINE_S), first.after_s)
    end_kmh = speed_at(rows.between(last.before_s - MARGIN_S, last.after_s + AFTER_LINE_S), last.after_s)
    speeds = inside["speed_kmh"][np.isfinite(inside["speed_kmh"])]
    if not speeds.size:
        return []
    marks = []
    if start_kmh is not None and start_kmh < least_kmh:
        stood = float(speeds[: max(speeds.size // 4, 1)].min()) < _SLOW_START_KMH
        if stood or "in" in before[-1].marks:
            marks.append("out")
    if end_kmh is not None and end_kmh < least_kmh:
        # Behind the safety car all of the lap is slow.
        early = float(np.mean(speeds[: max(int(0.8 * speeds.size), 1)]))
        if early > 1.3 * end_kmh:
            marks.append("in")
    return marks


def in_pits(last: Lap | None, since: Rows) -> bool:
    """
    Whether a car is in the pits: its last lap ended there, and it has not been fast since.

    Args:
        last: the last lap that was told; None before there is one.
        since: the car's rows since it crossed the line.
    """
    if last is None or "in" not in last.marks:
        return False
    speeds = since["speed_kmh"]
    speeds = speeds[np.isfinite(speeds)]
    return bool(speeds.size and speeds.max() <= _OUT_KMH)


def speed_at(rows: Rows, time_s: float) -> float | None:
    """The speed sent nearest to a moment [km/h]; None where none was sent."""
    known = rows[np.isfinite(rows["speed_kmh"])]
    if not known.size:
        return None
    return round(float(known["speed_kmh"][np.argmin(np.abs(known["time_s"] - time_s))]), 1)
