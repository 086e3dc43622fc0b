"""
Pace from clean lap times: level and slope, how even it is, where it is heading.

Level and slope come from a Kalman filter over the car's latest clean laps, each taken
relative to the field's median about the time it ended, because what all cars have in
common (fuel burnt, the track, the weather) cancels so in a spec series. Between two laps
the level grows by the slope, and both may wander a little. A pit stop gives the slope
its prior back, and puts the level near to where the stint began: the driver is the same.
The filter is run anew over what is kept whenever a lap ends, so that a lap that is
corrected or judged anew counts as what it is now.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from statistics import fmean, linear_regression, median, pstdev
from typing import Final, NamedTuple

#: Laps a figure rests on at least, and at most.
FEWEST_LAPS: Final = 3
LATEST_LAPS: Final = 40
TREND_LAPS: Final = 5
#: A lap that took more or less than this share of the usual was no racing lap (caution, pit), or wrongly timed;
#: 107 % is also what the rule books let start.
SLOW_LAP: Final = 1.07
SHORT_LAP: Final = 0.9
#: Pace that changes by less than this is stable [s/lap].
STABLE_S_PER_LAP: Final = 0.05
#: The loss whose lap is foretold, and the longest foretelling.
LOSS_S: Final = 0.5
MOST_LAPS_AHEAD: Final = 99.0
#: Before any lap: how far slopes lie about 0 [s/lap], and what one lap is off its level by, as a share of its time.
SLOPE_PRIOR_S: Final = 0.1
NOISE_SHARE: Final = 0.004
#: The laps of a car that this share weighs as much as.
NOISE_LAPS: Final = 4
#: What level and slope wander by from lap to lap [s], [s/lap], and the level by a pit stop [s].
LEVEL_WANDER_S: Final = 0.03
SLOPE_WANDER_S: Final = 0.003
STOP_WANDER_S: Final = 0.5
#: A lap that is further off than this many deviations is taken to be so far off only: a mistake, or traffic.
MOST_DEVIATIONS: Final = 2.0
#: Of a normal distribution, 90 % lie within so many deviations.
DEVIATIONS_90: Final = 1.645


class CleanLap(NamedTuple):
    """
    A racing lap.

    Attributes:
        number: the how many-th it was.
        time_s: how long it took [s].
        field_s: the median of the others about its end [s]; None where there are too few.
        stint: goes up by one with each pit stop.
    """

    number: int
    time_s: float
    field_s: float | None = None
    stint: int = 0


class Level(NamedTuple):
    """
    Where a car's pace stands after its last clean lap.

    Attributes:
        level_s: the lap time it is at, relative to the field's where ``relative`` [s].
        slope_s: what it loses a lap; negative when it gets quicker [s/lap].
        level_sd_s, slope_sd_s: their standard deviations.
        laps: clean laps of this stint, which the slope rests on.
        relative: whether the level is relative to the field.
    """

    level_s: float
    slope_s: float
    level_sd_s: float
    slope_sd_s: float
    laps: int
    relative: bool


def level(laps: Sequence[CleanLap]) -> Level:
    """
    Level and slope after clean laps, oldest first, one at least.

    Relative to the field when most laps have one to compare with; those that have none
    are then left out.
    """
    laps = laps[-LATEST_LAPS:]
    beside = [lap for lap in laps if lap.field_s is not None]
    relative = len(beside) > len(laps) / 2
    if relative:
        laps = beside
    values_s = [lap.time_s - (lap.field_s or 0.0) if relative else lap.time_s for lap in laps]
    noise = _noise_s(laps, values_s) ** 2
    at, slope_s = median(values_s[:FEWEST_LAPS]), 0.0
    # The variances of level and slope, and their covariance. The first laps are the level's prior.
    p_level, p_both, p_slope = 4 * noise, 0.0, SLOPE_PRIOR_S**2
    first = last = laps[0]
    for value_s, lap in zip(values_s, laps, strict=True):
        if lap.stint != last.stint:
            # What the tires lost is given back; what the car gained was the track, or the driver.
            at -= max(slope_s, 0.0) * (last.number - first.number)
            slope_s, p_both, p_slope = 0.0, 0.0, SLOPE_PRIOR_S**2
            p_level += STOP_WANDER_S**2
            first = lap
        elif lap is not last:
            ahead = lap.number - last.number
            at += ahead * slope_s
            p_level += ahead * (2 * p_both + ahead * p_slope) + ahead * LEVEL_WANDER_S**2
            p_both += ahead * p_slope
            p_slope += ahead * SLOPE_WANDER_S**2
        last = lap
        spread = p_level + noise
        most = MOST_DEVIATIONS * sqrt(spread)
        off_s = min(max(value_s - at, -most), most)
        at += p_level / spread * off_s
        slope_s += p_both / spread * off_s
        p_slope -= p_both * p_both / spread
        p_both -= p_level * p_both / spread
        p_level -= p_level * p_level / spread
    of_stint = sum(lap.stint == laps[-1].stint for lap in laps)
    return Level(at, slope_s, sqrt(p_level), sqrt(p_slope), of_stint, relative)


def _noise_s(laps: Sequence[CleanLap], values_s: Sequence[float]) -> float:
    """What one lap is off by [s]: of this car by the median step between two laps, with the usual share as a prior."""
    prior_s = NOISE_SHARE * median(lap.time_s for lap in laps)
    steps_s = [abs(later - sooner) for sooner, later in pairwise(values_s)]
    if not steps_s:
        return prior_s
    # Of two laps' difference, half are within 0.674·√2 deviations of one.
    own_s = median(steps_s) / 0.954
    return sqrt((NOISE_LAPS * prior_s**2 + len(steps_s) * own_s**2) / (NOISE_LAPS + len(steps_s)))


def loss_interval(found: Level) -> tuple[float, float]:
    """Where the slope lies with 90 % [s/lap]."""
    return found.slope_s - DEVIATIONS_90 * found.slope_sd_s, found.slope_s + DEVIATIONS_90 * found.slope_sd_s


def slope(laps: Sequence[CleanLap]) -> float:
    """The least-squares change of lap time from lap to lap [s/lap]; 0 below three laps."""
    if len(laps) < FEWEST_LAPS:
        return 0.0
    return linear_regression([lap.number for lap in laps], [lap.time_s for lap in laps]).slope


def laps_until_loss(loss_per_lap_s: float, loss_s: float = LOSS_S) -> float:
    """The laps until the level is so much slower than now [laps], at most 99, which also says never."""
    if loss_per_lap_s * MOST_LAPS_AHEAD <= loss_s:
        return MOST_LAPS_AHEAD
    return loss_s / loss_per_lap_s


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
