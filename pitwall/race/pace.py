"""Pace from lap times: how it goes away, how even it is, where it is heading."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, linear_regression, pstdev
from typing import NamedTuple

from pitwall.race.car import Lap

#: Laps a figure rests on at least, and at most.
FEWEST_LAPS = 3
LATEST_LAPS = 8
TREND_LAPS = 5
#: A lap that took more or less than this share of the usual was no racing lap (caution, pit), or wrongly timed;
#: 107 % is also what the rule books let start.
SLOW_LAP = 1.07
SHORT_LAP = 0.9
#: Pace that changes by less than this is stable [s/lap].
STABLE_S_PER_LAP = 0.05
#: The loss whose lap is foretold, and the longest foretelling.
LOSS_S = 0.5
MOST_LAPS_AHEAD = 99.0


class CleanLap(NamedTuple):
    """A racing lap: the how many-th it was, and how long it took [s]."""

    number: int
    time_s: float


def clean_laps(laps: Sequence[Lap]) -> list[CleanLap]:
    """
    The racing laps, oldest first: not the first of the race, none that was estimated, slow or short.

    The usual lap is one that a quarter of them were faster than: there may be many slow
    ones, and a few that look too fast because the points were late.
    """
    timed = [CleanLap(number, lap.time_s) for number, lap in enumerate(laps) if not (lap.estimated or lap.first)]
    if not timed:
        return []
    usual_s = sorted(lap.time_s for lap in timed)[len(timed) // 4]
    return [lap for lap in timed if SHORT_LAP * usual_s <= lap.time_s <= SLOW_LAP * usual_s]


def slope(laps: Sequence[CleanLap]) -> float:
    """The least-squares change of lap time from lap to lap [s/lap]; 0 below three laps."""
    if len(laps) < FEWEST_LAPS:
        return 0.0
    numbers, times_s = zip(*laps, strict=True)
    return linear_regression(numbers, times_s).slope


def laps_until_loss(loss_per_lap_s: float) -> float:
    """The laps until half a second is lost [laps], at most 99, which also says never."""
    if loss_per_lap_s * MOST_LAPS_AHEAD <= LOSS_S:
        return MOST_LAPS_AHEAD
    return LOSS_S / loss_per_lap_s


def consistency(laps: Sequence[CleanLap]) -> float | None:
    """100·(1 − σ/μ) of lap times, 0 to 100; None below three laps."""
    if len(laps) < FEWEST_LAPS:
        return None
    times_s = [lap.time_s for lap in laps]
    return max(100 * (1 - pstdev(times_s) / fmean(times_s)), 0.0)


def trend(laps: Sequence[CleanLap]) -> str:
    """Whether the last five laps get better or worse."""
    change = slope(laps[-TREND_LAPS:])
    if change > STABLE_S_PER_LAP:
        return "degrading"
    return "improving" if change < -STABLE_S_PER_LAP else "stable"
