"""
What really happened: lap and sector times, distances, order and gaps, to the last digit.

All of it follows from the laps in closed form, nothing from the points: it is
what an analysis of the points is measured against. Times are seconds since
lights out, distances metres since the line; a car starts behind it, below 0,
and in the truth it goes on after the flag.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .circuit import Circuit
from .driver import Driver
from .lap import Kind, quantized
from .noise import FloatArray
from .run import CarRun


@dataclass(frozen=True, slots=True)
class LapTruth:
    """
    A lap as it was; ``crossings_s`` are the line, each sector's end, and so the line again.

    The sector times add up to the lap time exactly, bit by bit.
    """

    lap: int
    kind: Kind
    tire_age: int
    crossings_s: tuple[float, ...]

    @property
    def start_s(self) -> float:
        """When it began at the line."""
        return self.crossings_s[0]

    @property
    def end_s(self) -> float:
        """When it ended at the line."""
        return self.crossings_s[-1]

    @property
    def lap_time_s(self) -> float:
        """From line to line."""
        return self.end_s - self.start_s

    @property
    def sector_times_s(self) -> tuple[float, ...]:
        """The time of each sector."""
        return tuple(b - a for a, b in zip(self.crossings_s, self.crossings_s[1:], strict=False))


@dataclass(frozen=True, slots=True)
class Standing:
    """A car's place at a moment; the gaps are None for the leader, and where the other started further ahead."""

    position: int
    chassis: str
    distance_m: float
    gap_to_leader_s: float | None
    gap_to_ahead_s: float | None


class RaceTruth:
    """The ground truth of a race, by chassis."""

    def __init__(self, circuit: Circuit, runs: Sequence[CarRun]) -> None:
        self.circuit = circuit
        self._runs = {run.driver.chassis: run for run in runs}

    @property
    def chassis(self) -> tuple[str, ...]:
        """The cars, from pole to the back of the grid."""
        return tuple(self._runs)

    def driver(self, chassis: str) -> Driver:
        """Base pace, tire degradation, fuel burn and noise, as the laps were made from."""
        return self._runs[chassis].driver

    def lap(self, chassis: str, lap: int) -> LapTruth:
        """A lap of a car, from 1 on."""
        run = self._runs[chassis]
        driven = run.lap(lap)
        boundaries_m = self.circuit.track.boundaries_m()[:-1]
        inner = (quantized(driven.when(boundary_m)) for boundary_m in boundaries_m)
        return LapTruth(lap, driven.kind, run.driver.tire_age(lap), (driven.start_s, *inner, driven.end_s))

    def lap_at(self, chassis: str, time_s: float) -> int:
        """The lap a car is on, 0 before it first crosses the line."""
        return self._runs[chassis].lap_number_at(time_s)

    def distance_m(self, chassis: str, time_s: FloatArray) -> FloatArray:
        """The distance a car has covered at some moments, oldest first: continuous, and always growing."""
        motion = self._runs[chassis].motion(time_s)
        covered: FloatArray = (motion.lap - 1) * self.circuit.length_m + motion.lapdist_m
        return covered

    def speed_m_s(self, chassis: str, time_s: FloatArray) -> FloatArray:
        """The rate of that distance [m/s]."""
        return self._runs[chassis].motion(time_s).speed

    def time_at_s(self, chassis: str, distance_m: float) -> float:
        """When a car had covered a distance; NaN for what lies behind its grid slot."""
        return self._runs[chassis].when(distance_m)

    def order(self, time_s: float) -> tuple[Standing, ...]:
        """The field at a moment, the leader first; gap = now - when the other was where this car is."""
        now = np.array([time_s])
        covered = {chassis: float(self.distance_m(chassis, now)[0]) for chassis in self._runs}
        ranked = sorted(covered, key=covered.__getitem__, reverse=True)
        standings = []
        for place, chassis in enumerate(ranked):
            here_m = covered[chassis]
            to_leader_s = self._gap_s(ranked[0], here_m, time_s) if place else None
            to_ahead_s = self._gap_s(ranked[place - 1], here_m, time_s) if place else None
            standings.append(Standing(place + 1, chassis, here_m, to_leader_s, to_ahead_s))
        return tuple(standings)

    def _gap_s(self, other: str, here_m: float, time_s: float) -> float | None:
        was_here_s = self.time_at_s(other, here_m)
        return None if np.isnan(was_here_s) else time_s - was_here_s
