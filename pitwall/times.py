"""When each row was: by its car's own clock, which is regular, rather than by when it got through."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitwall.cars import CarTable
from pitwall.race.clock import CarClock

Rows = NDArray[np.void]


def place(rows: Rows, stamps: Sequence[Any], cars: CarTable) -> None:
    """
    Place rows by their cars' clocks, where these tell the time.

    Args:
        rows: as they came; ``time_s`` and what is known of the clocks are set here.
        stamps: what each row's point has as ``timestamp``; shape (n,).
        cars: whose facts have the clocks.
    """
    place_at(rows, list(map(car_time_s, stamps)), cars)


def place_at(rows: Rows, car_times: Sequence[float | None], cars: CarTable) -> None:
    """As ``place``, by what each car's clock showed [s since 1970]; None where it tells nothing; shape (n,)."""
    times, numbers = rows["time_s"].tolist(), rows["car"].tolist()
    clocks, shifts, sigmas = [0] * len(times), [0.0] * len(times), [0.0] * len(times)
    for index, car_s in enumerate(car_times):
        facts = cars.facts.get(numbers[index])
        if car_s is None or facts is None:
            continue
        clock = facts.clock
        if clock is None:
            clock = facts.clock = CarClock()
        times[index] = clock.place(car_s, times[index])
        if not clock.stopped:
            clocks[index], shifts[index] = clock.sessions, clock.shift_s
            sigmas[index] = clock.sigma_s
    rows["time_s"], rows["clock"], rows["shift_s"], rows["clock_sigma_s"] = times, clocks, shifts, sigmas


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
