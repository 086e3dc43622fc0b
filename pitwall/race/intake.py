"""Which of a car's rows are taken in when: those in time at once, late ones by the batch, one astray not at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from pitwall.race.tracker import LATE_S

#: Rows that are so much out of order are put in order at once; of later ones the laps are reopened by the batch [s].
NEAR_S: Final = 2.0
#: More rows a second than this say no more about a lap [s].
FINEST_S: Final = 0.015
#: Of a car that stands for longer a row this often will do [km/h, s, s].
_STANDING_KMH: Final = 1.0
_STOOD_S: Final = 60.0
_STOOD_EVERY_S: Final = 0.5
#: A row so far ahead of all others of its car is believed once the next one does not go back behind it [s].
_AHEAD_S: Final = 10.0
#: A car that sends nothing but rows from before for so long has had its clock put back, or begins again [s].
_BACK_FOR_S: Final = 5.0
_BACK_ROWS: Final = 5
_AGAIN_SHARE: Final = 0.7
#: From one such row to the next it is no further than this [s].
_BACK_STEP_S: Final = 2.5


class Sorted(NamedTuple):
    """
    What is to become of some rows, by their indexes.

    Attributes:
        near: to be taken in at once.
        close: those in time that are within ``FINEST_S`` of the last one in time that was not.
        late: to be taken in by the batch.
        waits: the last one, to be given again before the next rows; None if none waits.
        anew: whether the car begins anew with the rows in time.
    """

    near: list[int]
    close: list[int]
    late: list[int]
    waits: int | None
    anew: bool


class Intake(Struct, array_like=True):
    """
    Sorts the rows of one car by when they came; plain values.

    Attributes:
        newest_s: the latest time taken in [s].
        too_late: rows that were too late to be taken in.
        astray: rows so far ahead that they were not believed.
    """

    newest_s: float = -math.inf
    too_late: int = 0
    astray: int = 0
    back_from_s: float = math.nan
    back_to_s: float = math.nan
    back_rows: int = 0
    last_s: float = math.nan
    stood_from_s: float = math.nan
    stood_s: float = math.nan

    def sort(self, times: Sequence[float], known: Callable[[float, float], int]) -> Sorted:
        """
        Sort rows.

        Args:
            times: of the rows, in the order in which they came [s].
            known: how many rows of a span of time the car had sent already; -1 where that is too long ago to tell.
        """
        near: list[int] = []
        close: list[int] = []
        late: list[int] = []
        waits: int | None = None
        anew = False
        for index, time_s in enumerate(times):
            if waits is not None:
                if time_s >= times[waits] - _AHEAD_S:
                    # The car goes on from there.
                    near.append(waits)
                    self.newest_s = self.last_s = times[waits]
                else:
                    self.astray += 1
                waits = None
            newest_s = self.newest_s
            if time_s > newest_s + _AHEAD_S and newest_s > -math.inf:
                waits = index
                continue
            if time_s >= newest_s - NEAR_S:
                # Of a stream that is as thick all along every so-manieth is not.
                if abs(time_s - self.last_s) < FINEST_S:
                    close.append(index)
                else:
                    self.last_s = time_s
                near.append(index)
                self.newest_s = max(newest_s, time_s)
                self.back_from_s = self.back_to_s = math.nan
                continue
            # What is too late to be of use is no backlog, however the hole is filled.
            useless = time_s < newest_s - LATE_S
            if self._goes_on_from_before(time_s) and (useless or self._again(known(self.back_from_s, time_s))):
                near, close, late, anew = [index], [], [], True
                self.newest_s, self.last_s = time_s, time_s
                self.back_from_s = self.back_to_s = math.nan
            elif time_s >= newest_s - LATE_S:
                late.append(index)
            else:
                self.too_late += 1
        return Sorted(near, close, late, waits, anew)

    def worth(self, times: Sequence[float], speeds_kmh: Sequence[float]) -> list[int]:
        """
        The indexes of the rows in time that are worth keeping: of a car that has stood for a minute few are.

        Args:
            times: of the rows, in the order in which they came [s].
            speeds_kmh: at each of them, NaN where it was not sent.
        """
        kept = []
        for index, (time_s, speed_kmh) in enumerate(zip(times, speeds_kmh, strict=True)):
            if speed_kmh == speed_kmh:
                if speed_kmh >= _STANDING_KMH:
                    self.stood_from_s = math.nan
                elif self.stood_from_s != self.stood_from_s:
                    self.stood_from_s = self.stood_s = time_s
            if time_s - self.stood_from_s > _STOOD_S and 0 <= time_s - self.stood_s < _STOOD_EVERY_S:
                continue
            self.stood_s = time_s
            kept.append(index)
        return kept

    def _goes_on_from_before(self, time_s: float) -> bool:
        """Whether rows from before have come for a while, one after the other, and none in time between them."""
        if not 0 <= time_s - self.back_to_s < _BACK_STEP_S or time_s >= self.newest_s - _AHEAD_S:
            self.back_from_s, self.back_rows = time_s, 0
        self.back_to_s = time_s
        self.back_rows += 1
        return time_s - self.back_from_s > _BACK_FOR_S and self.back_rows >= _BACK_ROWS

    def _again(self, known: int) -> bool:
        """Whether as many rows come as had come of that time, so that they are neither a hole's nor a few late ones."""
        return known < 0 or _AGAIN_SHARE * known <= self.back_rows <= known / (1 - _AGAIN_SHARE)
