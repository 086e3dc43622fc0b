"""Making a clean recording as bad as real ones are, reproducibly; `Faults` says what is wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from pitwall.model.channels import UNKNOWN_LAPS

from .config import Faults
from .noise import FloatArray, IntArray, normal, stream_key, uniform
from .sampler import Samples

#: The longest an upload is under way [s].
MAX_LATENCY_S: Final = 64.0

_LATENCY_SPREAD: Final = 0.6  # deviation of its logarithm
_STREAM: Final = 20
_BEHIND, _DRIFT, _AHEAD, _OFFSET_X, _OFFSET_Y, _LAP, _DISTANCE, _BLIND, _TWICE, _OTHER, _LATENCY, _STALL, _TURN = range(
    13
)


class FaultyRecorder:
    """
    Spoils the samples of a race, and says when they arrive.

    What it drew for each car can be looked up, shape (cars,) each: ``behind_s`` and
    ``drift_ppm`` of the clock, ``laps_ahead``, ``sign`` (-1 where flipped) and
    ``offset_x_g``, ``offset_y_g`` of the accelerometer.
    """

    def __init__(self, faults: Faults, seed: int, cars: int) -> None:
        self.faults = faults
        self._seed = seed
        each = np.arange(cars)
        low, high = faults.clock_behind_h or (0.0, 0.0)
        self.behind_s = np.round((low + (high - low) * uniform(self._key(_BEHIND), each)) * 3600, 3)
        self.drift_ppm = faults.clock_drift_ppm * (2 * uniform(self._key(_DRIFT), each) - 1)
        self.laps_ahead = np.floor((faults.laps_ahead + 1) * uniform(self._key(_AHEAD), each)).astype(np.int64)
        self.sign = np.where(np.isin(each, faults.flipped_cars), -1.0, 1.0)
        self.offset_x_g = faults.acceleration_offset_g * normal(self._key(_OFFSET_X), each)
        self.offset_y_g = faults.acceleration_offset_g * normal(self._key(_OFFSET_Y), each)
        self._frozen = np.isin(each, faults.frozen_clocks)

    @property
    def max_delay_s(self) -> float:
        """The longest that a sample may be under way [s]."""
        faults = self.faults
        latency_s = MAX_LATENCY_S if faults.latency_s else 0.0
        shuffle_s = faults.shuffle_s if faults.shuffled_share else 0.0
        return faults.burst_s + latency_s + faults.stall_s + shuffle_s

    def spoil(self, samples: Samples) -> Samples:
        """The samples as recorded: values spoiled, some of them twice, one right after the other."""
        faults, index = self.faults, samples.index
        lap = samples.lap + np.where(samples.lap > 0, self.laps_ahead[samples.car], 0)
        lap = np.where(uniform(self._key(_LAP), index) < faults.unknown_lap_share, max(UNKNOWN_LAPS), lap)
        channels = dict(samples.channels)
        sign = self.sign[samples.car]
        channels["accx_can"] = sign * channels["accx_can"] + self.offset_x_g[samples.car]
        channels["accy_can"] = sign * channels["accy_can"] + self.offset_y_g[samples.car]
        if faults.lapdist_noise_m:
            error_m = faults.lapdist_noise_m * normal(self._key(_DISTANCE), index)
            channels["lapdist_m"] = np.maximum(channels["lapdist_m"] + error_m, 0.0)
        if faults.missing_lapdist_share:
            blind = uniform(self._key(_BLIND), index) < faults.missing_lapdist_share
            channels["lapdist_m"] = np.where(blind, np.nan, channels["lapdist_m"])
        spoiled = replace(samples, lap=lap, channels=channels)
        return self._repeat(spoiled) if faults.duplicate_share else spoiled

    def arrival_s(self, samples: Samples) -> FloatArray:
        """When each sample reaches the receiver, in full milliseconds [s since the start of the race]."""
        faults = self.faults
        arrival_s = samples.time_s
        if faults.burst_s or faults.latency_s:
            arrival_s = self._upload_s(samples)
        if faults.stall_s:
            period = np.floor(arrival_s / faults.stall_every_s).astype(np.int64)
            room_s = faults.stall_every_s - faults.stall_s
            begin_s = period * faults.stall_every_s + room_s * uniform(self._key(_STALL), period)
            stalled = (begin_s <= arrival_s) & (arrival_s < begin_s + faults.stall_s)
            arrival_s = np.where(stalled, begin_s + faults.stall_s, arrival_s)
        if faults.shuffled_share:
            chance = uniform(self._key(_TURN), samples.index) / faults.shuffled_share
            arrival_s = arrival_s + np.where(chance < 1.0, chance * faults.shuffle_s, 0.0)
        return np.round(arrival_s * 1000) / 1000

    def car_clock_s(self, samples: Samples) -> FloatArray:
        """What the cars' own clocks show beyond the start of the race [s]; mostly far below 0."""
        gone_s = np.where(self._frozen[samples.car], 0.0, samples.time_s)
        return gone_s * (1 + 1e-6 * self.drift_ppm[samples.car]) - self.behind_s[samples.car]

    def _upload_s(self, samples: Samples) -> FloatArray:
        """When the upload that carries each sample is through: not before any earlier one of the same car."""
        every_s = self.faults.burst_s or 0.1
        phase_s = every_s * uniform(self._key(_TURN, 1), np.arange(self.sign.size))
        upload = np.floor((samples.time_s + phase_s[samples.car]) / every_s).astype(np.int64)
        arrival_s = np.empty(samples.time_s.size)
        for car in np.unique(samples.car):
            its = samples.car == car
            first = int(upload[its].min())
            # An upload on its way may hold up all that were sent within its latency.
            earlier = int(MAX_LATENCY_S / every_s) + 1
            number = np.arange(first - earlier, int(upload[its].max()) + 1)
            sent_s = (number + 1) * every_s - phase_s[car]
            through_s = np.maximum.accumulate(sent_s + self._latency_s(int(car), number))
            arrival_s[its] = through_s[upload[its] - number[0]]
        return arrival_s

    def _latency_s(self, car: int, upload: IntArray) -> FloatArray:
        if not self.faults.latency_s:
            return np.zeros(upload.size)
        drawn = np.exp(_LATENCY_SPREAD * normal(self._key(_LATENCY, car), upload))
        return np.minimum(self.faults.latency_s * drawn, MAX_LATENCY_S)

    def _repeat(self, samples: Samples) -> Samples:
        twice = uniform(self._key(_TWICE), samples.index) < self.faults.duplicate_share
        repeated = samples.take(np.repeat(np.arange(twice.size), 1 + twice))
        copy = np.zeros(repeated.car.size, np.bool_)
        copy[1:] = repeated.index[1:] == repeated.index[:-1]
        other = copy & (uniform(self._key(_OTHER), repeated.index) < self.faults.conflicting_share)
        channels = dict(repeated.channels)
        for stream, (name, deviation) in enumerate({"accx_can": 0.1, "accy_can": 0.1, "Steering_Angle": 3.0}.items()):
            error = deviation * normal(self._key(_OTHER, stream), repeated.index)
            channels[name] = channels[name] + np.where(other, error, 0.0)
        return replace(repeated, channels=channels, copy=copy)

    def _key(self, *parts: int) -> int:
        return stream_key(self._seed, _STREAM, *parts)
