"""One lap of one car: time, distance, speed and acceleration, each from another, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from .noise import FloatArray, IntArray
from .profile import node_times

#: What kind of lap: ``grid`` is the way to the line (lap 0), ``start`` the first lap from
#: there, ``in`` ends in the pits, ``out`` begins there, ``flying`` is any other.
Kind = Literal["grid", "start", "flying", "in", "out"]

#: Crossing times are multiples of this [s], so that their differences, and sums of
#: those, are exact in floating point: the sectors add up to the lap to the last bit.
QUANTUM_S: Final = 2.0**-24


class Motion(NamedTuple):
    """A car at some instants; shape (n,) each. ``lapdist_m`` counts from the line, speed in m/s, m/s²."""

    lap: IntArray
    lapdist_m: FloatArray
    speed: FloatArray
    acceleration: FloatArray

    def first(self, count: int) -> Motion:
        """The first so many instants."""
        return Motion(self.lap[:count], self.lapdist_m[:count], self.speed[:count], self.acceleration[:count])


def join_motions(parts: Sequence[Motion]) -> Motion:
    """The instants of all the parts, one part after the other."""
    return Motion(
        np.concatenate([part.lap for part in parts]),
        np.concatenate([part.lapdist_m for part in parts]),
        np.concatenate([part.speed for part in parts]),
        np.concatenate([part.acceleration for part in parts]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Lap:
    """
    A lap as times and speeds at evenly spaced nodes, constant acceleration between them.

    ``node_s`` counts from the lap's start, the first is 0; ``first_m`` is where the
    first node lies, 0 but for lap 0, which begins on the grid.
    """

    number: int
    kind: Kind
    start_s: float
    first_m: float
    step_m: float
    node_s: FloatArray
    node_speed: FloatArray

    @property
    def end_s(self) -> float:
        """When the lap ends at the line [s since the start of the race]."""
        return self.start_s + float(self.node_s[-1])

    def motion(self, time_s: FloatArray) -> Motion:
        """The car at moments of this lap; beyond its ends the outermost acceleration goes on."""
        since = time_s - self.start_s
        cell = np.clip(np.searchsorted(self.node_s, since, side="right") - 1, 0, self.node_s.size - 2)
        before_s, before = self.node_s[cell], self.node_speed[cell]
        acceleration = (self.node_speed[cell + 1] - before) / (self.node_s[cell + 1] - before_s)
        since = since - before_s
        gained = acceleration * since
        lapdist_m = self.first_m + self.step_m * cell + (before + 0.5 * gained) * since
        return Motion(np.full(cell.shape, self.number), lapdist_m, before + gained, acceleration)

    def when(self, lapdist_m: float) -> float:
        """When the car was so far since the line [s since the start of the race]."""
        cells = self.node_s.size - 1
        position = (lapdist_m - self.first_m) / self.step_m
        cell = min(max(int(position), 0), cells - 1)
        into_m = (position - cell) * self.step_m
        before, after = float(self.node_speed[cell]), float(self.node_speed[cell + 1])
        squared = before * before + (after * after - before * before) * into_m / self.step_m
        reached = max(squared, 0.0) ** 0.5
        spent_s = 2.0 * into_m / (before + reached) if into_m > 0 else 0.0
        return self.start_s + float(self.node_s[cell]) + spent_s


def make_lap(number: int, kind: Kind, start_s: float, step_m: float, speed: FloatArray, first_m: float = 0.0) -> Lap:
    """A lap from its node speeds, stretched by less than a tenth of a microsecond to end on the quantum."""
    times = node_times(speed, step_m)
    lap_time_s = quantized(float(times[-1]))
    stretch = lap_time_s / float(times[-1])
    times *= stretch
    times[-1] = lap_time_s  # the product may miss it by the last bit
    return Lap(number, kind, start_s, first_m, step_m, times, speed / stretch)


def quantized(time_s: float) -> float:
    """The nearest multiple of the quantum [s]."""
    return round(time_s / QUANTUM_S) * QUANTUM_S
