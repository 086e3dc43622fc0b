"""
A track's clock, and the moments at which its race is looked at.

The clock is the largest ``meta_time`` seen, so that a recording gives the same whether it
is played in an hour or a second. A car that says a time far ahead of every other does not
move it, unless a second one comes to say so too, or the car goes on like that by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

#: What is further ahead of the clock than this is not believed at once [s].
AHEAD_S: Final = 10.0


class TrackClock(Struct, array_like=True):
    """
    One track's clock; plain values.

    Attributes:
        now_s: what it shows [s since 1970]; NaN before there is a point.
        cars: the cars heard, at most two are kept: with one alone there is nobody to disagree.
        ahead: since when, by its own word, and until when each car is ahead, and what the clock showed first [s].
    """

    now_s: float = math.nan
    cars: list[int] = field(default_factory=list)
    ahead: dict[int, tuple[float, float, float]] = field(default_factory=dict)

    def take(self, cars: NDArray[Any], times: NDArray[np.float64]) -> NDArray[np.float64]:
        """
        Move the clock by points.

        Args:
            cars: the number of each point's car; shape (n,), not empty.
            times: the ``meta_time`` of each [s].

        Returns:
            What the clock shows after each; same shape.
        """
        if math.isnan(self.now_s):
            self.now_s = float(times[0])
        shown = np.maximum.accumulate(np.concatenate(([self.now_s], times)))
        if self.ahead or np.max(np.diff(shown)) > AHEAD_S:
            return self._carefully(cars.tolist(), times.tolist())
        if len(self.cars) < 2:
            self.cars = sorted({*self.cars, *np.unique(cars)[:2].tolist()})[:2]
        self.now_s = float(shown[-1])
        return shown[1:]

    def _carefully(self, cars: Sequence[int], times: Sequence[float]) -> NDArray[np.float64]:
        shown = []
        for car, time_s in zip(cars, times, strict=True):
            if len(self.cars) < 2 and car not in self.cars:
                self.cars = sorted([*self.cars, car])
            if time_s > self.now_s + AHEAD_S and len(self.cars) > 1:
                since_s, last_s, then_s = self.ahead.get(car, (time_s, time_s, self.now_s))
                if not last_s - AHEAD_S <= time_s <= last_s + AHEAD_S:
                    since_s, then_s = time_s, self.now_s
                if time_s - since_s > AHEAD_S and self.now_s - then_s > (time_s - since_s) / 2:
                    # Others go on meanwhile: it is this car's time that is wrong.
                    since_s, then_s = time_s, self.now_s
                self.ahead[car] = (since_s, time_s, then_s)
                others = (last for other, (_, last, _) in self.ahead.items() if other != car)
                if time_s - since_s > AHEAD_S or any(abs(last - time_s) <= AHEAD_S for last in others):
                    self.now_s = time_s
            else:
                self.ahead.pop(car, None)
                self.now_s = max(self.now_s, time_s)
            if self.ahead:
                self.ahead = {each: span for each, span in self.ahead.items() if span[1] > self.now_s + AHEAD_S}
            shown.append(self.now_s)
        return np.array(shown)
