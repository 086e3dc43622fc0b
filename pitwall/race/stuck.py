"""
Channels that are stuck: they repeat one value while the car demonstrably drives.

Repeating is not enough. A standing car repeats everything, a coarse sensor much, and a
lateral acceleration of 0.0 is right on a straight. So each channel has a witness, which
must have moved so far meanwhile that the channel can't be right:

==================  =========================================================
``accx_can``        the rate at which speed changes
``accy_can``        the lateral acceleration that steering and speed make
``Steering_Angle``  ``accy_can``
``rpm``             speed
``lapdist_m``       the distance that a changing speed comes to
``speed_kmh``       lap distance that goes on at another rate, or an
                    acceleration at which no speed stays as it is
==================  =========================================================

Without its witness a channel is stuck after a distance on which no car drives straight on.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

#: What is watched, in the order of a row of `pitwall.race.axes`.
WATCHED: Final = ("speed_kmh", "accx_can", "accy_can", "Steering_Angle", "lapdist_m", "rpm")

#: A value must repeat for longer, and more often, to be stuck [s], [samples].
_STUCK_S = 5.0
_STUCK_SAMPLES = 20
#: How far the witness of each channel must have moved meanwhile, in its own unit [g, g, g, km/h].
_MOVED: Final = {"accx_can": 0.4, "accy_can": 0.5, "Steering_Angle": 0.5, "rpm": 25.0}
#: Lap distance stands still when so much was driven [m]; it may come in steps of ten.
_DRIVEN_M = 100.0
#: So far no car goes with one lateral or longitudinal acceleration, or engine speed [m].
_FAR_M = 1500.0
#: Speed and lap distance contradict each other by so much, and by this share: it jumps by some 40 m at the line [m].
_APART_M = 60.0
_APART_SHARE = 0.05
#: No speed stays as it is at this acceleration, held for so long in all: more than offset and slope together [g], [s].
_FORCE_G = 0.45
_FORCED_S = 2.0
#: A speed that came so often in a row says nothing of other channels [samples].
_SPEED_REPEATS = 5


class Run(Struct):
    """
    One value of a channel, repeated; plain values.

    Attributes:
        value: it; NaN before there is one.
        since_s: when it came first.
        count: how often it came.
        low, high: of its witness, since then.
        driven_m: since then, by speed.
        lapdist_m: how far lap distance had come at its begin, summed up over laps.
        forced_s: how long the car was accelerated or braked since then.
        stuck: whether it can't be right; ends when the value changes.
    """

    value: float = math.nan
    since_s: float = 0.0
    count: int = 0
    low: float = math.inf
    high: float = -math.inf
    driven_m: float = 0.0
    lapdist_m: float = 0.0
    forced_s: float = 0.0
    stuck: bool = False

    def begin(self, value: float, time_s: float, lapdist_m: float) -> None:
        """Another value has come, or the same after a hole."""
        if value != self.value:
            self.value = value
            self.stuck = False
        self.since_s = time_s
        self.count = 1
        self.low, self.high = math.inf, -math.inf
        self.driven_m = self.forced_s = 0.0
        self.lapdist_m = lapdist_m


class Stretch(Struct):
    """
    A fraction of a second of driving, as the witnesses saw it; NaN where they did not.

    Attributes:
        begin_s, end_s: from when to when.
        speed_m_s: the mean.
        rate_g: at which speed changed, over the gravity.
        accx_g, accy_g: the mean of what was sent.
        model_g: the lateral acceleration that steering and speed make.
    """

    begin_s: float
    end_s: float
    speed_m_s: float
    rate_g: float
    accx_g: float
    accy_g: float
    model_g: float


class StuckWatch:
    """
    The rules, over the runs of one car.

    Args:
        runs: of ``WATCHED``, in that order; kept up to date.
    """

    def __init__(self, runs: list[Run]) -> None:
        self._runs = runs

    def stretch(self, seen: Stretch, offset_g: float, lapdist_m: float) -> bool:
        """
        Take a stretch in; returns whether a channel has become stuck.

        Args:
            seen: it.
            offset_g: of ``accx_can``, as far as it is known.
            lapdist_m: how far lap distance has come, summed up over laps.
        """
        runs = self._runs
        driven_m = seen.speed_m_s * (seen.end_s - seen.begin_s) if runs[0].count <= _SPEED_REPEATS else 0.0
        found = False
        for name, run in zip(WATCHED, runs, strict=True):
            if run.count < 2 or run.since_s > seen.begin_s:
                continue
            witness = self._witness(name, seen)
            if witness < run.low:
                run.low = witness
            if witness > run.high:
                run.high = witness
            run.driven_m += driven_m
            if abs(seen.accx_g - offset_g) > _FORCE_G:
                run.forced_s += seen.end_s - seen.begin_s
            if run.count > _STUCK_SAMPLES and seen.end_s - run.since_s > _STUCK_S and not run.stuck:
                run.stuck = self._contradicted(name, run, seen.end_s, lapdist_m)
                found = found or run.stuck
        return found

    @staticmethod
    def _witness(name: str, seen: Stretch) -> float:
        """What a channel is held against; NaN where nothing was sent or it says nothing, as of a slow car."""
        if name == "accx_can":
            return seen.rate_g
        if name == "accy_can":
            return seen.model_g
        if name == "Steering_Angle":
            return seen.accy_g
        return 3.6 * seen.speed_m_s if name == "rpm" else math.nan

    @staticmethod
    def _contradicted(name: str, run: Run, end_s: float, lapdist_m: float) -> bool:
        if name == "lapdist_m":
            return run.driven_m > _DRIVEN_M
        if name != "speed_kmh":
            return run.high - run.low > _MOVED[name] or run.driven_m > _FAR_M
        if run.forced_s > _FORCED_S:
            return True
        told_m = run.value / 3.6 * (end_s - run.since_s)
        gone_m = lapdist_m - run.lapdist_m
        return gone_m > _APART_M and abs(gone_m - told_m) > _APART_M + _APART_SHARE * told_m
