"""
The rows of a car in the order of its own clock, before the race is computed from them.

What a car sends comes out of order by up to a second or two. A row of a car that tells
its own clock is held until rows two seconds newer have come, or for two seconds; a car
whose rows have come in order for a minute is not made to wait, until one steps back again.
The points themselves have gone out to the screens long before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pitwall.cars import CarTable
from pitwall.race.clock import CarClock

#: How far back a row may step and still be put in order [s].
HOLD_S: Final = 2.0
#: A car that has sent in order for so long is trusted to go on [s of its clock].
TRUST_S: Final = 60.0

Rows = NDArray[np.void]


class _Held(NamedTuple):
    rows: Rows
    until: float


class CarOrder:
    """
    Places rows by their car's clock.

    Args:
        cars: whose facts have the clocks.
    """

    def __init__(self, cars: CarTable) -> None:
        self._cars = cars
        self._held: dict[int, _Held] = {}

    @property
    def holding(self) -> bool:
        """Whether rows are held."""
        return bool(self._held)

    def put(self, rows: Rows, stamps: Sequence[Any], now: float) -> Rows:
        """
        The rows that may go on to the workers, each car's in order.

        Args:
            rows: as they came; their ``time_s`` is set here where the car tells its own.
            stamps: what each row's point has as ``timestamp``; shape (n,).
            now: when they came [s since 1970].
        """
        placed: dict[int, list[int]] = {}
        times, cars = rows["time_s"].tolist(), rows["car"].tolist()
        for index, stamp in enumerate(stamps):
            car_s = car_time_s(stamp)
            facts = self._cars.facts.get(cars[index])
            if car_s is None or facts is None:
                continue
            if facts.clock is None:
                facts.clock = CarClock()
            times[index] = facts.clock.place(car_s, times[index])
            placed.setdefault(cars[index], []).append(index)
        if not placed:
            return rows
        rows["time_s"] = times
        apart = np.ones(len(rows), np.bool_)
        parts = []
        for car, indexes in placed.items():
            apart[indexes] = False
            parts.append(self._release(car, rows[indexes], now))
        return np.concatenate([rows[apart], *parts])

    def overdue(self, now: float) -> list[Rows]:
        """The rows that have been held for long enough."""
        over = [car for car, held in self._held.items() if now >= held.until]
        return [self._held.pop(car).rows for car in over]

    def _release(self, car: int, rows: Rows, now: float) -> Rows:
        held = self._held.pop(car, None)
        if held is not None:
            rows = np.concatenate([held.rows, rows])
        rows = rows[np.argsort(rows["time_s"], kind="stable")]
        clock = self._cars.facts[car].clock
        assert clock is not None
        if clock.newest_s - clock.orderly_from_s >= TRUST_S:
            return rows
        cut = int(np.searchsorted(rows["time_s"], rows["time_s"][-1] - HOLD_S, side="right"))
        self._held[car] = _Held(rows[cut:], now + HOLD_S)
        return rows[:cut]


def car_time_s(stamp: Any) -> float | None:
    """A car's own time [s since 1970], from the ISO 8601 text of a point's ``timestamp``; None for anything else."""
    if not isinstance(stamp, str):
        return None
    try:
        told = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    seconds = (told if told.tzinfo is not None else told.replace(tzinfo=UTC)).timestamp()
    return seconds if math.isfinite(seconds) else None
