"""
What an accelerometer shows too much, by what a car must do in the long run.

Along the car that is the change of speed: what is left over is the offset, and the
slopes of a track, which cancel over a lap when weighed by distance.

Across it, that a lap is a circle. ``∫ ay/v dt`` over one lap's length of driving, begun
anywhere, is one full turn, to the left or to the right; what is left over is the offset.
The steering can't tell: its own zero is off by up to 15 degrees on recorded cars, which
looks like 0.25 g. Corners banked to their inside make 0.02 to 0.03 g of it at some tracks.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

GRAVITY: Final = 9.80665
#: Below this a car stands: what its accelerometers show is their offset [m/s].
STANDING_M_S: Final = 0.2
#: A car slower than this tells nothing of a turn [m/s].
MOVING_M_S: Final = 8.0

#: How long it takes until the weight of what was seen has fallen to a third [s].
_FORGET_S = 300.0
#: Standing weighs like a drive so slow [m/s].
_STANDING_WEIGHT_M_S = 10.0
#: An offset along the car takes so much driving [m].
_ENOUGH_M = 1500.0
#: An offset across it, before there was a lap, so much standing [s].
_ENOUGH_S = 10.0
#: The share of what earlier laps told that a further one leaves.
_KEPT = 0.7
#: No more than this is taken for an offset [g].
_MOST_G = 0.3


class AlongOffset(Struct):
    """What ``accx_can`` shows beyond the change of speed; sums over distance [g·m]."""

    weight_m: float = 0.0
    rate: float = 0.0
    shown: float = 0.0

    def add(self, rate_g: float, shown_g: float, seconds: float, speed_m_s: float) -> None:
        """Take a stretch in: the rate at which speed changed over the gravity, and the mean of what was shown."""
        if speed_m_s < MOVING_M_S:
            if speed_m_s >= STANDING_M_S:
                return
            speed_m_s = _STANDING_WEIGHT_M_S
        kept, weight_m = math.exp(-seconds / _FORGET_S), seconds * speed_m_s
        self.weight_m = kept * self.weight_m + weight_m
        self.rate = kept * self.rate + weight_m * rate_g
        self.shown = kept * self.shown + weight_m * shown_g

    def offset_g(self, flipped: bool) -> float:
        """What is shown where nothing should be [g]; 0 before there was enough to know it."""
        if self.weight_m < _ENOUGH_M:
            return 0.0
        return _bounded((self.shown + self.rate if flipped else self.shown - self.rate) / self.weight_m)


class AcrossOffset(Struct):
    """
    What ``accy_can`` shows beyond one turn a lap.

    Attributes:
        driven_m: of the lap under way, from anywhere.
        turned: what was shown came to, as a turn of the car [rad].
        turned_per_g: what 1 g more would have added [rad/g].
        excess, excess_per_g: the same of the laps before, the full turns taken off, the older the less.
        standing, standing_s: sums over the time the car stood [g·s], [s].
        laps: how many there were.
    """

    driven_m: float = 0.0
    turned: float = 0.0
    turned_per_g: float = 0.0
    excess: float = 0.0
    excess_per_g: float = 0.0
    standing: float = 0.0
    standing_s: float = 0.0
    laps: int = 0

    def add(self, shown_g: float, seconds: float, speed_m_s: float, length_m: float) -> None:
        """Take a stretch in, on a track of this length [m]; NaN where it is not known."""
        if speed_m_s < MOVING_M_S:
            self.interrupt()
            if speed_m_s < STANDING_M_S:
                kept = math.exp(-seconds / _FORGET_S)
                self.standing = kept * self.standing + seconds * shown_g
                self.standing_s = kept * self.standing_s + seconds
            return
        self.driven_m += seconds * speed_m_s
        self.turned += seconds * shown_g * GRAVITY / speed_m_s
        self.turned_per_g += seconds * GRAVITY / speed_m_s
        if self.driven_m >= length_m:
            # Which way round the lap goes: the way that leaves less.
            self.excess = _KEPT * self.excess + self.turned - math.copysign(2 * math.pi, self.turned)
            self.excess_per_g = _KEPT * self.excess_per_g + self.turned_per_g
            self.laps += 1
            self.interrupt()

    def interrupt(self) -> None:
        """A part of the lap was not seen: begin another."""
        self.driven_m = self.turned = self.turned_per_g = 0.0

    @property
    def offset_g(self) -> float:
        """What is shown where the car goes straight on [g]; 0 before there was enough to know it."""
        if self.laps:
            return _bounded(self.excess / self.excess_per_g)
        return _bounded(self.standing / self.standing_s) if self.standing_s >= _ENOUGH_S else 0.0


def _bounded(offset_g: float) -> float:
    return min(max(offset_g, -_MOST_G), _MOST_G)
