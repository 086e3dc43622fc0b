"""When which car is sampled, and what its logger then has: the whole field, a stretch of time at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .circuit import Circuit
from .config import REAL_RATE_HZ, RaceConfig
from .lap import Motion, join_motions
from .noise import FloatArray, IntArray, normal, stream_key, uniform
from .outline import GPS_NOISE_M, Outline
from .run import CarRun
from .sensors import read_sensors

_PHASE, _SENSORS, _EAST, _NORTH = 10, 11, 12, 13  # streams of the samples' draws
_SLOW: Final = 5  # of so many instants one carries the slow channels
_FIXES_HZ: Final = 6.25  # new positions a second at the real rates


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """
    Some samples, column by column; NaN where a channel is absent. Shape (n,) each.

    ``index`` is a number that no other sample of the race has, ``copy`` marks those
    that are sent a second time.
    """

    car: IntArray
    index: IntArray
    time_s: FloatArray
    lap: IntArray
    channels: dict[str, FloatArray]
    copy: npt.NDArray[np.bool_]

    def take(self, chosen: IntArray) -> Samples:
        """The chosen samples, in that order."""
        return replace(
            self,
            car=self.car[chosen],
            index=self.index[chosen],
            time_s=self.time_s[chosen],
            lap=self.lap[chosen],
            channels={name: values[chosen] for name, values in self.channels.items()},
            copy=self.copy[chosen],
        )


class _Stretch(NamedTuple):
    """The samples of one car: their numbers and times, and where the car and its last GPS fix were."""

    number: IntArray
    time_s: FloatArray
    motion: Motion
    fix_m: FloatArray


class Sampler:
    """Samples a field of cars at its rate, each car at instants of its own."""

    def __init__(
        self, config: RaceConfig, circuit: Circuit, runs: Sequence[CarRun], outline: Outline | None = None
    ) -> None:
        self._circuit = circuit
        self._runs = runs
        self._outline = outline
        self._last_lap = config.laps
        self._real_rates = config.real_rates
        self._rate_hz = REAL_RATE_HZ if config.real_rates else config.rate_hz
        self._phase_s = uniform(stream_key(config.seed, _PHASE), np.arange(len(runs))) / self._rate_hz
        self._key = stream_key(config.seed, _SENSORS)
        self._east, self._north = stream_key(config.seed, _EAST), stream_key(config.seed, _NORTH)

    def sample(self, from_s: float, to_s: float) -> Samples:
        """
        All samples of a stretch of time, car after car.

        Taken at full milliseconds, so that the time in a point is the true one; a
        sample on the edge may lie half a millisecond outside.
        """
        stretches = [self._stretch(car, from_s, to_s) for car in range(len(self._runs))]
        number = np.concatenate([stretch.number for stretch in stretches])
        time_s = np.concatenate([stretch.time_s for stretch in stretches])
        car = np.repeat(np.arange(len(stretches)), [stretch.number.size for stretch in stretches])
        motion = join_motions([stretch.motion for stretch in stretches])
        index = (car << 36) + number
        channels = read_sensors(motion, self._circuit, self._key, index)
        if not self._real_rates:
            del channels["pbrake_r"]
        if self._outline is not None:
            fix = (car << 36) + np.floor(time_s * _FIXES_HZ).astype(np.int64) if self._real_rates else index
            fix_m = np.concatenate([stretch.fix_m for stretch in stretches])
            east_m, north_m = GPS_NOISE_M * normal(self._east, fix), GPS_NOISE_M * normal(self._north, fix)
            latitude, longitude = self._outline.fix(fix_m, east_m, north_m)
            channels |= {"VBOX_Lat_Min": latitude, "VBOX_Long_Minutes": longitude}
        if self._real_rates:
            turn = (number + car) % _SLOW
            for name, its_turn in (("lapdist_m", 0), ("rpm", 0), ("speed_kmh", 1)):
                channels[name] = np.where(turn == its_turn, channels[name], np.nan)
        return Samples(car, index, time_s, motion.lap, channels, np.zeros(car.size, np.bool_))

    def _stretch(self, car: int, from_s: float, to_s: float) -> _Stretch:
        run, phase_s = self._runs[car], float(self._phase_s[car])
        first = max(0, ceil((from_s - phase_s) * self._rate_hz))
        end = max(first, ceil((to_s - phase_s) * self._rate_hz))
        number = np.arange(first, end)
        time_s = np.round((phase_s + number / self._rate_hz) * 1000) / 1000
        motion = run.motion(time_s)
        if self._last_lap is not None and motion.lap.size and motion.lap[-1] > self._last_lap:
            running = int(np.searchsorted(motion.lap, self._last_lap, side="right"))
            number, time_s = number[:running], time_s[:running]
            motion = motion.first(running)
        fix_m = motion.lapdist_m
        if self._outline is not None and self._real_rates:
            # A receiver shows its last fix until the next.
            fix_m = run.motion(np.floor(time_s * _FIXES_HZ) / _FIXES_HZ).lapdist_m
        return _Stretch(number, time_s, motion, fix_m)
