"""
A car's run: its laps, one after the other, each drawn when it is first needed.

A lap depends on the seed, the car and the lap's number only; the run keeps the
start of every lap (eight bytes each) and the last few laps whole, so a race
without an end is driven in next to no memory.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

import numpy as np

from .circuit import Circuit
from .driver import Driver
from .lap import Kind, Lap, Motion, join_motions, make_lap
from .noise import FloatArray, normal, stream_key, uniform
from .pit import in_lap_limit, out_lap_limit

_LAPS = 2  # streams of a lap's draw
_PARTS = 8  # of a lap, in each of which the driver is a little faster or slower
_PART_SPREAD = 0.006
_KEPT_LAPS = 4


class CarRun:
    """
    One car's way through the race.

    It starts from a standstill so many cells behind the line, and is no faster
    than ``launch``, the speed at each node from there [m/s], for a lap or more.
    """

    def __init__(
        self, circuit: Circuit, driver: Driver, seed: int, car: int, cells_behind: int, launch: FloatArray
    ) -> None:
        self.driver = driver
        self.grid_m = -cells_behind * circuit.step_m
        self._circuit = circuit
        self._key = stream_key(seed, _LAPS, car)
        self._cells = circuit.speed.size - 1
        self._cells_behind = cells_behind
        self._launch = launch
        self._slowness = driver.pace_s / circuit.lap_s
        self._starts = array("d", [0.0])
        self._laps: dict[int, Lap] = {}

        # Where on the lap pace may differ: not near the line, so that each lap
        # begins with the speed the last one ended with.
        share = np.arange(self._cells + 1) / self._cells
        self._part = np.minimum((share * _PARTS).astype(np.int64), _PARTS - 1)
        self._part_shape = 0.5 - 0.5 * np.cos(2 * np.pi * share * _PARTS)
        edge = np.minimum(np.minimum(share, 1 - share) * 25, 1.0)
        self._lap_shape = 0.5 - 0.5 * np.cos(np.pi * edge)
        self._lap_weight_s = float((self._lap_shape / circuit.speed).sum()) * circuit.step_m * self._slowness

    def start_s(self, lap: int) -> float:
        """When a lap begins [s since the start of the race]; lap 0 at 0, lap 1 at the line."""
        while len(self._starts) <= lap:
            self._starts.append(self._drive(len(self._starts) - 1).end_s)
        return self._starts[lap]

    def lap(self, number: int) -> Lap:
        """A lap of the car, 0 or later."""
        lap = self._laps.get(number)
        if lap is None:
            self.start_s(number)
            lap = self._laps.get(number) or self._drive(number)
        return lap

    def lap_number_at(self, time_s: float) -> int:
        """The lap the car is on."""
        while self._starts[-1] <= time_s:
            self.start_s(len(self._starts))
        return bisect_right(self._starts, time_s) - 1

    def motion(self, time_s: FloatArray) -> Motion:
        """The car at these moments, oldest first, 0 or later."""
        if time_s.size == 0:
            return Motion(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0))
        first, last = self.lap_number_at(float(time_s[0])), self.lap_number_at(float(time_s[-1]))
        if first == last:
            return self.lap(first).motion(time_s)
        ends = [0, *np.searchsorted(time_s, [self.start_s(lap) for lap in range(first + 1, last + 1)]), time_s.size]
        parts = [self.lap(first + i).motion(time_s[ends[i] : ends[i + 1]]) for i in range(last - first + 1)]
        return join_motions(parts)

    def when(self, distance_m: float) -> float:
        """When the car had covered a distance since the line [s]; NaN for what lies behind its grid slot."""
        if distance_m < self.grid_m:
            return float("nan")
        length_m = self._circuit.length_m
        number = max(0, int(distance_m // length_m) + 1)
        return self.lap(number).when(distance_m - (number - 1) * length_m)

    def kind(self, lap: int) -> Kind:
        """What kind of lap a lap is."""
        if lap < 2:
            return "start" if lap else "grid"
        if self.driver.stops_after(lap):
            return "in"
        return "out" if self.driver.stops_after(lap - 1) else "flying"

    def _drive(self, number: int) -> Lap:
        kind = self.kind(number)
        circuit, cells, behind = self._circuit, self._cells, self._cells_behind
        first_m = 0.0
        if kind == "grid":
            speed = np.minimum(circuit.speed[cells - behind :] / self._slowness, self._launch[: behind + 1])
            first_m = circuit.length_m - behind * circuit.step_m
        else:
            speed = self._flying_speed(number)
            if kind == "start":
                speed = np.minimum(speed, self._launch[behind : behind + cells + 1])
            elif kind == "in":
                speed = np.minimum(speed, in_lap_limit(cells, circuit.step_m))
            elif kind == "out":
                chance = float(uniform(stream_key(self._key, number), np.array([_PARTS + 1]))[0])
                speed = np.minimum(speed, out_lap_limit(cells, circuit.step_m, 12.0 + 10.0 * chance))
        lap = make_lap(number, kind, self._starts[number], circuit.step_m, speed, first_m)
        self._laps[number] = lap
        while len(self._laps) > _KEPT_LAPS:
            del self._laps[next(iter(self._laps))]
        return lap

    def _flying_speed(self, number: int) -> FloatArray:
        """The node speeds of a flying lap that takes exactly the driver's time for it."""
        draws = normal(stream_key(self._key, number), np.arange(_PARTS + 1))
        target_s = self.driver.lap_target_s(number, float(draws[_PARTS]))
        slower = 1.0 + _PART_SPREAD * draws[self._part] * self._part_shape
        step_m = self._circuit.step_m
        whole_lap = 0.0
        speed = self._circuit.speed
        for _ in range(20):  # Newton with a fixed slope: a digit or two a round
            speed = self._circuit.speed / (self._slowness * (slower + whole_lap * self._lap_shape))
            missing_s = target_s - 2 * step_m * float((1 / (speed[1:] + speed[:-1])).sum())
            if abs(missing_s) < 1e-9:
                break
            whole_lap += missing_s / self._lap_weight_s
        return speed
