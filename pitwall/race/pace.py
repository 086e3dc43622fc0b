"""Pace from lap times: how it goes away, how even it is, where it is heading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pitwall.race.car import SLOW_LAP, Lap

#: Laps a figure rests on at least, and at most.
FEWEST_LAPS = 3
LATEST_LAPS = 8
TREND_LAPS = 5
#: Pace that changes by less than this is stable [s/lap].
STABLE_S_PER_LAP = 0.05
#: The loss whose lap is foretold, and the longest foretelling.
LOSS_S = 0.5
MOST_LAPS_AHEAD = 99.0


def clean_laps(laps: Sequence[Lap]) -> list[float]:
    """The times of racing laps [s], oldest first: none that was estimated, slow (caution, pit) or zero."""
    times = [lap.time_s for lap in laps if not lap.estimated and lap.time_s > 0]
    if not times:
        return []
    slow = min(times) * SLOW_LAP
    return [time_s for time_s in times if time_s <= slow]


def slope(times_s: Sequence[float]) -> float:
    """The least-squares change of lap time from lap to lap [s/lap]; 0 below three laps."""
    if len(times_s) < FEWEST_LAPS:
        return 0.0
    return float(np.polyfit(np.arange(len(times_s)), np.asarray(times_s), 1)[0])


def laps_until_loss(loss_per_lap_s: float) -> float:
    """The laps until half a second is lost [laps], at most 99, which also says never."""
    if loss_per_lap_s * MOST_LAPS_AHEAD <= LOSS_S:
        return MOST_LAPS_AHEAD
    return LOSS_S / loss_per_lap_s


def consistency(times_s: Sequence[float]) -> float | None:
    """100·(1 − σ/μ) of lap times, 0 to 100; None below three laps."""
    if len(times_s) < FEWEST_LAPS:
        return None
    times = np.asarray(times_s)
    return float(np.clip(100 * (1 - times.std() / times.mean()), 0, 100))


def trend(times_s: Sequence[float]) -> str:
    """Whether the last five laps get better or worse."""
    change = slope(times_s[-TREND_LAPS:])
    if change > STABLE_S_PER_LAP:
        return "degrading"
    return "improving" if change < -STABLE_S_PER_LAP else "stable"
