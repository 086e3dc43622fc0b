"""A race from end to end: windows of points, rows of the long form, and the truth."""

from __future__ import annotations

from bisect import bisect_left
from math import ceil
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np

from .circuit import Circuit, build_circuit
from .config import ENDLESS_STINT_LAPS, RaceConfig, SimError
from .driver import draw_field
from .faults import FaultyRecorder
from .longform import LongRow, long_rows
from .outline import Outline, finish_line
from .points import Point, to_points
from .profile import launch_profile
from .run import CarRun
from .sampler import Sampler
from .truth import RaceTruth

_SLOT_M: Final = 8.0  # from one place on the grid to the next
_when: Final = attrgetter("arrival_s")


class Arrival(NamedTuple):
    """A point, when it reaches the receiver and when it was sampled [s since the start of the race]."""

    arrival_s: float
    time_s: float
    point: Point


class Race:
    """
    A simulated race.

    Points are made second by second when a window first asks for them, and only the
    last seconds are kept: memory does not grow with the race, and windows may be
    asked for in any order, at a price when jumping back. Joined windows are the same
    points as one big one.
    """

    def __init__(self, config: RaceConfig) -> None:
        self.config = config
        self.track = config.resolve_track()
        circuit = build_circuit(self.track)
        stint_laps = config.stint_laps
        if stint_laps is None and config.laps is None:
            stint_laps = ENDLESS_STINT_LAPS
        self.drivers = config.drivers or draw_field(config.seed, config.cars, circuit.lap_s, stint_laps)
        cars = len(self.drivers)
        # A large field starts closer together: the last car within the last two fifths of the lap.
        slot_m = min(_SLOT_M, 0.4 * circuit.length_m / cars)
        cells_behind = [max(1, round((car + 1) * slot_m / circuit.step_m)) for car in range(cars)]
        launch = launch_profile(circuit.step_m, cells_behind[-1] + circuit.speed.size - 1)
        self._runs = tuple(
            CarRun(circuit, driver, config.seed, car, cells_behind[car], launch)
            for car, driver in enumerate(self.drivers)
        )
        self.truth = RaceTruth(circuit, self._runs)
        self.recorder = FaultyRecorder(config.faults, config.seed, cars)
        self._sampler = Sampler(config, circuit, self._runs, self._outline(circuit) if config.gps else None)
        self._seconds: dict[int, list[Arrival]] = {}

    @property
    def duration_s(self) -> float | None:
        """When the last car takes the flag [s]; None where the race has no end."""
        laps = self.config.laps
        return None if laps is None else max(run.start_s(laps + 1) for run in self._runs)

    def points(self, from_s: float, to_s: float) -> list[Point]:
        """
        The points that arrive from one moment up to another, in order of arrival.

        Without faults of arrival that is the order of time. Seconds since the start;
        the points are the caller's until the same window is asked for again.
        """
        return [arrival.point for arrival in self.arrivals(from_s, to_s)]

    def arrivals(self, from_s: float, to_s: float) -> list[Arrival]:
        """The same points, with the moments of arrival and of sampling beside them."""
        delay_s = self.recorder.max_delay_s
        found: list[Arrival] = []
        # What a second holds arrives from its begin to its end and the delay, both included.
        for second in range(max(0, ceil(from_s - delay_s) - 1), ceil(to_s)):
            arrivals = self._arrivals_of(second)
            found += arrivals[bisect_left(arrivals, from_s, key=_when) : bisect_left(arrivals, to_s, key=_when)]
            while len(self._seconds) > delay_s + 4:
                del self._seconds[next(iter(self._seconds))]
        found.sort(key=_when)
        return found

    def rows(self, from_s: float, to_s: float) -> list[LongRow]:
        """
        The rows of the long form that arrive from one moment up to another.

        Raises:
            SimError: the race is not sampled at the loggers' real rates.
        """
        if not self.config.real_rates:
            raise SimError("real_rates is off, wanted on for rows of the long form")
        return [row for arrival in self.arrivals(from_s, to_s) for row in long_rows(arrival.point)]

    def _arrivals_of(self, second: int) -> list[Arrival]:
        """All that is sampled in one second, in order of arrival: far cheaper at once than point by point."""
        arrivals = self._seconds.get(second)
        if arrivals is not None:
            return arrivals
        config, recorder = self.config, self.recorder
        samples = recorder.spoil(self._sampler.sample(second, second + 1))
        arrival_s = recorder.arrival_s(samples)
        order = np.lexsort((samples.car, samples.time_s, arrival_s))
        samples, arrival_s = samples.take(order), arrival_s[order]
        stamp_s = arrival_s if config.faults.stamped_on_arrival else samples.time_s
        has_clock = config.real_rates or config.faults.car_clock
        points = to_points(
            samples,
            self.truth.chassis,
            self.track.name,
            config.raw_source,
            meta_time=config.start + stamp_s,
            car_time=config.start + recorder.car_clock_s(samples) if has_clock else None,
        )
        arrivals = list(map(Arrival, arrival_s.tolist(), samples.time_s.tolist(), points))
        self._seconds[second] = arrivals
        return arrivals

    def _outline(self, circuit: Circuit) -> Outline:
        origin = self.config.gps_origin or finish_line(self.track.name)
        if origin is None:
            raise SimError(f"gps is on, wanted gps_origin: where the line of {self.track.name} lies is not known")
        return Outline(circuit, origin)
