"""
A car's own clock, and what it is on the receiver's.

The clocks of the cars run hours or days behind UTC, each by another amount, but
regularly; ``meta_time`` is UTC, but late by what the way to the receiver took,
up to a minute. The offset between the two is therefore the least difference that
was seen of late (the minimum filter of NTP's clock filter, RFC 5905 section 10):
the row that came the quickest tells it best.

A difference that stays higher by more than a second for a minute, or falls below
the least one by more, is a clock that was set or has stopped for a while: a new
session. A clock that shows the same while ``meta_time`` goes on stands still.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

#: The offset is the least difference within so long [s].
WINDOW_S: Final = 60.0
#: A clock that steps by more than this begins a new session [s].
STEP_S: Final = 1.0
#: A clock that shows the same for so long by ``meta_time`` stands still [s].
STOPPED_S: Final = 0.2
#: Nothing is as late as this: even a clock that is not known for long has been set when it seems so [s].
_NEVER_LATE_S: Final = 120.0
#: Differences kept for the spread.
_MOST_KEPT: Final = 512
_LATE_SHARE: Final = 0.9
#: The least difference is taken of each so long, and compared with the next so many [s].
_SLOT_S: Final = 5.0
_QUICKEST: Final = 4
#: How sure an offset is before there is anything to compare, and at best [s].
_UNSURE_S: Final = 0.5
_SURE_S: Final = 0.001


class CarClock:
    """
    What is known of one car's clock; fed with each of its points, in the order they came.

    Attributes:
        offset_s: UTC minus the car's clock, as well as is known; NaN before there is a point [s].
        sigma_s: how far off that may be, as a standard deviation [s].
        sessions: how often the clock was set or went on after a stop, and 1 for the first time.
        stopped: whether it stands still.
        steps_back: points whose car time was before that of an earlier one.
        newest_s: the latest car time of this session [s].
    """

    __slots__ = (
        "_above_from_s",
        "_anchor_s",
        "_began_s",
        "_differences",
        "_least",
        "_slots",
        "_stamp_meta_s",
        "_stamp_s",
        "newest_s",
        "offset_s",
        "sessions",
        "sigma_s",
        "steps_back",
        "stopped",
    )

    def __init__(self) -> None:
        self.offset_s = math.nan
        self.sessions = 0
        self.sigma_s = _UNSURE_S
        self.stopped = False
        self.steps_back = 0
        self.newest_s = -math.inf
        self._stamp_s = self._stamp_meta_s = math.nan
        self._anchor_s = self._began_s = math.nan
        self._above_from_s = math.nan
        self._least: deque[tuple[float, float]] = deque()
        self._differences: deque[tuple[float, float]] = deque(maxlen=_MOST_KEPT)
        #: The least difference of each few seconds, for how sure the least of all is.
        self._slots: deque[tuple[int, float]] = deque(maxlen=int(WINDOW_S / _SLOT_S))

    def place(self, car_s: float, meta_s: float) -> float:
        """
        When a point was, by the car's clock.

        Args:
            car_s: what the car's clock showed [s since 1970].
            meta_s: the receiver's time [s since 1970].

        Returns:
            The car's time moved by the offset as it was when the session began, so that
            differences are those of the car's clock [s since 1970]; ``meta_s`` while it stands still.
        """
        if car_s == self._stamp_s:
            self.stopped = self.stopped or meta_s - self._stamp_meta_s >= STOPPED_S
        else:
            self._stamp_s, self._stamp_meta_s, self.stopped = car_s, meta_s, False
        if self.stopped:
            return meta_s
        self._compare(car_s, meta_s)
        if car_s < self.newest_s:
            self.steps_back += 1
        else:
            self.newest_s = car_s
        return car_s + self._anchor_s

    @property
    def shift_s(self) -> float:
        """By how much the offset is known to be other than when the session began [s]; never above 0 by much."""
        return self.offset_s - self._anchor_s

    @property
    def began_s(self) -> float:
        """When this session began, by ``meta_time`` [s since 1970]."""
        return self._began_s

    @property
    def spread_s(self) -> float:
        """How much later than the quickest nine of ten points came within the window [s]; NaN before there is one."""
        late = sorted(difference - self.offset_s for _, difference in self._differences)
        return max(late[int(_LATE_SHARE * (len(late) - 1))], 0.0) if late else math.nan

    def _compare(self, car_s: float, meta_s: float) -> None:
        difference_s = meta_s - car_s
        if not self.sessions or difference_s < self.offset_s - (
            STEP_S if meta_s - self._began_s > WINDOW_S else _NEVER_LATE_S
        ):
            self._begin(difference_s, car_s, meta_s)
        elif difference_s > self.offset_s + STEP_S:
            if math.isnan(self._above_from_s):
                self._above_from_s = meta_s
            elif meta_s - self._above_from_s > WINDOW_S:
                least_s = min(
                    (each for at, each in self._differences if at >= self._above_from_s), default=difference_s
                )
                self._begin(min(least_s, difference_s), car_s, meta_s)
        else:
            self._above_from_s = math.nan
        slot = int(meta_s // _SLOT_S)
        if self._slots and self._slots[-1][0] == slot:
            if difference_s < self._slots[-1][1]:
                self._slots[-1] = (slot, difference_s)
        elif not self._slots or slot > self._slots[-1][0]:
            self._be_sure()
            self._slots.append((slot, difference_s))
        least = self._least
        while least and least[-1][1] >= difference_s:
            least.pop()
        least.append((meta_s, difference_s))
        while len(least) > 1 and least[0][0] < meta_s - WINDOW_S:
            least.popleft()
        if math.isnan(self._above_from_s):
            self.offset_s = least[0][1]
        self._differences.append((meta_s, difference_s))
        while self._differences[0][0] < meta_s - WINDOW_S:
            self._differences.popleft()

    def _be_sure(self) -> None:
        """The least of some samples is beyond the true least by about as much as the next ones are beyond it."""
        least = sorted(each for _, each in self._slots)[:_QUICKEST]
        self.sigma_s = max(sum(least) / len(least) - least[0], _SURE_S) if len(least) > 1 else _UNSURE_S

    def _begin(self, offset_s: float, car_s: float, meta_s: float) -> None:
        self.sessions += 1
        self.offset_s = self._anchor_s = offset_s
        self._began_s, self._above_from_s = meta_s, math.nan
        self.newest_s = car_s
        self._least.clear()
        self._slots.clear()
        self.sigma_s = _UNSURE_S
        self._differences.clear()
