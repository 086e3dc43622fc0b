"""Where a car is, what lines it crossed, and what it measures a lap to be: the values that the tracker works on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import Struct

_NAN: Final = math.nan


class Line(Struct, array_like=True):
    """
    The line, as it was crossed.

    Attributes:
        number: how many lines the car had crossed with it.
        before_s, after_s: the samples between which it was crossed [s].
        by: what told it: "distance", "number", or "length" where nothing was reset.
        read_m: what the car's distance made of the lap that ended; NaN where it does not tell.
        length_m: what the car's distance makes of a lap by then, from the last few; NaN where not known.
        sure: whether the last few agree on that.
        laps: how many laps ended there; more than one after a hole.
        whole: whether the lap that ended had no jump in it, and began at a line.
        lap: the how many-th of the race ended there, as far as could be told; it rises from line to line.
    """

    number: int
    before_s: float
    after_s: float
    by: str
    read_m: float
    length_m: float
    sure: bool
    laps: int
    whole: bool
    lap: int

    @property
    def hole_s(self) -> float:
        """Between the samples around it [s]."""
        return self.after_s - self.before_s


class Sample(NamedTuple):
    """What the tracker reads of a row; NaN = not sent."""

    time_s: float
    lap: float
    lapdist_m: float
    speed_kmh: float


class Place(Struct, array_like=True):
    """What is remembered of where a car is; plain values. Distances are as the car measures them [m]."""

    time_s: float = _NAN
    speed_m_s: float = _NAN
    speed_at_s: float = -math.inf
    driven_m: float = 0.0
    read_at_s: float = _NAN
    read_before_s: float = _NAN
    driven_at_reading_m: float = 0.0
    offset_m: float = _NAN
    averaged: int = 0
    noise_m2: float = _NAN
    counted: int = 0
    burst_m: float = 0.0
    burst_from_s: float = _NAN
    burst_at_s: float = -math.inf
    odd_m: float = _NAN
    odd: int = 0
    lines: int = 0
    line_at_s: float = _NAN
    line_driven_m: float = 0.0
    line_by: str = ""
    jumped: bool = False
    starved: bool = False
    stepped: bool = False
    lengths_m: tuple[float, ...] = ()
    driven_laps_m: tuple[float, ...] = ()
    lap_sent: float = _NAN
    lap_sent_s: float = _NAN
    lap: int | None = None
    lap_known_s: float = _NAN
    lap_offset: int | None = None
    offset_sure: bool = False
    offset_next: int | None = None
    offset_checked: int = -1
    on_grid: bool = False
    counts_ahead: int | None = None
    crossed: int = 0
    lap_ended: int = 0
    traced_s: float = -math.inf

    @property
    def laps_done(self) -> int:
        """Laps completed since the start of the race, as far as the lap number tells it; -1 on the grid."""
        return self.lines + (-int(self.on_grid) if self.lap_offset is None else self.lap_offset)


def driven_scale(place: Place, length_m: float) -> float:
    """What a distance driven is to be taken times, for a lap to come out as long as it is."""
    driven_m = median(place.driven_laps_m)
    return length_m / driven_m if driven_m == driven_m else 1.0


def own_length(place: Place, length_m: float) -> float:
    """What the car's own distance makes of a lap, else the track's [m]; NaN where neither is known."""
    own_m = median(place.lengths_m)
    return own_m if own_m == own_m else length_m


def median(values: Sequence[float]) -> float:
    """Of plain numbers, for which numpy would take longer; NaN of none."""
    if not values:
        return _NAN
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
