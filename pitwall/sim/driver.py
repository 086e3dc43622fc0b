"""
The drivers: who is on the grid, how fast they are, and what their tires and fuel do.

The time of a flying lap is ``pace + degradation · age - fuel · age + noise``,
where age counts the laps done since the last stop: these slopes are what an
analysis of the race ought to find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import normal, stream_key, uniform

_FIELD = 1  # streams of the field's draw


@dataclass(frozen=True, slots=True)
class Driver:
    """
    One car and its driver; times in seconds, slopes in seconds per lap.

    ``pace_s`` is the flying lap on new tires and a full tank, ``noise_s`` the
    deviation from lap to lap. Every ``stint_laps`` laps (2 at least) the car
    stops for tires and fuel, never where that is None.
    """

    chassis: str
    pace_s: float
    degradation_s_per_lap: float = 0.0
    fuel_s_per_lap: float = 0.0
    noise_s: float = 0.0
    stint_laps: int | None = None

    @property
    def slope_s_per_lap(self) -> float:
        """How much slower each lap of a stint is than the one before, fuel burn included [s/lap]."""
        return self.degradation_s_per_lap - self.fuel_s_per_lap

    def tire_age(self, lap: int) -> int:
        """Laps done on this set when a lap begins; 0 on lap 1 and on each out-lap."""
        return (lap - 1) % self.stint_laps if self.stint_laps else lap - 1

    def stops_after(self, lap: int) -> bool:
        """Whether the car comes in at the end of a lap."""
        return bool(self.stint_laps) and lap > 0 and lap % (self.stint_laps or 1) == 0

    def lap_target_s(self, lap: int, noise: float = 0.0) -> float:
        """The time of a flying lap, with so many deviations of noise [s]."""
        return self.pace_s + self.slope_s_per_lap * self.tire_age(lap) + self.noise_s * noise


def draw_field(seed: int, cars: int, reference_s: float, stint_laps: int | None = None) -> tuple[Driver, ...]:
    """
    A field of drivers, the fastest of qualifying (not always the fastest) first.

    Most are within 2 % of the reference lap. Chassis look like ``GR86-004-78``:
    the number of the chassis, and that of the car, both unlike any other's.
    """
    each = np.arange(cars)
    pace_s = reference_s * (1.0 + 0.011 * np.abs(normal(stream_key(seed, _FIELD, 0), each)))
    qualified_s = pace_s + 0.004 * reference_s * normal(stream_key(seed, _FIELD, 1), each)
    degradation = 0.02 + 0.10 * uniform(stream_key(seed, _FIELD, 2), each)
    fuel = 0.012 + 0.018 * uniform(stream_key(seed, _FIELD, 3), each)
    noise_s = 0.10 + 0.20 * uniform(stream_key(seed, _FIELD, 4), each)
    early = np.floor(5 * uniform(stream_key(seed, _FIELD, 5), each)).astype(int) - 2
    frames = 1 + np.argsort(uniform(stream_key(seed, _FIELD, 6), np.arange(max(99, cars))))
    numbers = 2 + np.argsort(uniform(stream_key(seed, _FIELD, 7), np.arange(max(198, cars))))
    return tuple(
        Driver(
            chassis=f"GR86-{frames[car]:03d}-{numbers[car]}",
            pace_s=float(pace_s[car]),
            degradation_s_per_lap=float(degradation[car]),
            fuel_s_per_lap=float(fuel[car]),
            noise_s=float(noise_s[car]),
            # Not all in at once: the stops are spread over five laps.
            stint_laps=max(2, stint_laps + int(early[car])) if stint_laps else None,
        )
        for car in np.argsort(qualified_s)
    )
