"""
Whether a car's sensors are to be believed: accelerometers the wrong way round, their offset, and stuck channels.

A logger may be built in turned round. Then ``accx_can`` falls when speed rises, and
``accy_can`` has the other sign than the steering. Each axis is judged by itself, over
stretches of a fifth of a second from one speed to another, by its correlation with what
it should show: dv/dt, and the lateral acceleration that steering and speed make by a
steady-state model of the car. The sums behind it forget, so that a verdict is withdrawn
some minutes after the logger was put right. A slow car adds nothing to them.

`pitwall.race.offsets` tells what is known of an axis' offset, and how.

All of it is computed row by row: how the rows are cut into calls makes no difference.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from pitwall.race.offsets import GRAVITY, MOVING_M_S, AcrossOffset, AlongOffset
from pitwall.race.stuck import WATCHED, Run, Stretch, StuckWatch

#: A stretch is from one speed to the next after so long, and no longer than the latter [s].
_STRETCH_S = 0.19
_LONGEST_STRETCH_S = 1.5
#: How long it takes until the weight of what was seen of a sign has fallen to a third [s].
_FORGET_S = 120.0
#: A verdict takes so much driving [s], so varied [g].
_ENOUGH_S = 30.0
_VARIED_G = 0.1
#: An axis is flipped below the first correlation, until it is above the second.
_FLIPPED = -0.6
_UPRIGHT = -0.2
#: The steering wheel of a GR86: degrees per curvature, standing and for each (m/s)² [deg·m].
_STEERING = 2300.0
_UNDERSTEER = 1.8

_X, _Y = "accx_can", "accy_can"
_NAN = math.nan


class Sums(Struct):
    """Sums over pairs of what an axis should show (x) and shows (y), the older the less [g]."""

    weight: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0

    def add(self, x: float, y: float, weight: float, kept: float) -> None:
        """Take a pair in; of what was there a share is kept."""
        self.weight = kept * self.weight + weight
        self.x = kept * self.x + weight * x
        self.y = kept * self.y + weight * y
        self.xx = kept * self.xx + weight * x * x
        self.xy = kept * self.xy + weight * x * y
        self.yy = kept * self.yy + weight * y * y

    def moments(self) -> tuple[float, float, float]:
        """The variance of x, the covariance, and the variance of y [g²]; 0 without pairs."""
        if self.weight <= 0.0:
            return 0.0, 0.0, 0.0
        x, y = self.x / self.weight, self.y / self.weight
        return (
            max(self.xx / self.weight - x * x, 0.0),
            self.xy / self.weight - x * y,
            max(self.yy / self.weight - y * y, 0.0),
        )

    @property
    def correlation(self) -> float:
        """From -1 to 1; 0 where there is none."""
        xx, xy, yy = self.moments()
        return xy / math.sqrt(xx * yy) if xx > 1e-9 and yy > 1e-9 else 0.0


class Axis(Struct):
    """
    The sign of one axis.

    Attributes:
        sums: pairs over the time the car was moving, weighed by time [s].
        flipped: the verdict.
    """

    sums: Sums = field(default_factory=Sums)
    flipped: bool = False

    def add(self, should_g: float, shows_g: float, seconds: float) -> None:
        """Take a stretch of driving in."""
        self.sums.add(should_g, shows_g, seconds, math.exp(-seconds / _FORGET_S))
        if self.sums.weight >= _ENOUGH_S and self.sums.moments()[0] >= _VARIED_G * _VARIED_G:
            self.flipped = self.sums.correlation < (_UPRIGHT if self.flipped else _FLIPPED)


class Axes(Struct):
    """
    The sensors of one car; plain values, so that it can be stored.

    ``axis_x`` and ``axis_y`` are the accelerometer's, ``along`` and ``across`` their offsets. The rest is the stretch
    under way: when it began and at what speed, sums over its samples, and what came last.
    """

    axis_x: Axis = field(default_factory=Axis)
    axis_y: Axis = field(default_factory=Axis)
    along: AlongOffset = field(default_factory=AlongOffset)
    across: AcrossOffset = field(default_factory=AcrossOffset)
    runs: list[Run] = field(default_factory=lambda: [Run() for _ in WATCHED])
    begin_s: float = _NAN
    speed_m_s: float = _NAN
    accx: float = 0.0
    accx_count: float = 0.0
    accy: float = 0.0
    accy_count: float = 0.0
    steering: float = 0.0
    steering_count: float = 0.0
    lapdist_m: float = _NAN
    covered_m: float = 0.0
    stuck: tuple[str, ...] = ()

    def add(self, rows: NDArray[np.void], length_m: float = _NAN) -> None:
        """
        Take rows in.

        Args:
            rows: shape (n,), in the order of ``time_s`` [s], with the fields of ``WATCHED`` in the units of the
                catalogue; NaN where one was not sent.
            length_m: of the track; NaN where it is not known, and then nothing is learned of ``offset_y_g`` in motion.
        """
        runs = self.runs
        watch = StuckWatch(runs)
        columns = [rows[name].tolist() for name in WATCHED]
        for time_s, *values in zip(rows["time_s"].tolist(), *columns, strict=True):
            for run, value in zip(runs, values, strict=True):
                if value == run.value:
                    run.count += 1
                elif value == value:  # NaN is not equal to itself
                    was_stuck = run.stuck
                    run.begin(value, time_s, self.covered_m)
                    if was_stuck:
                        self._list_stuck()
            speed, accx, accy, steering, lapdist, _ = values
            if lapdist == lapdist:
                if 0.0 <= lapdist - self.lapdist_m < 200.0:
                    self.covered_m += lapdist - self.lapdist_m
                self.lapdist_m = lapdist
            # A sample at the end of a stretch belongs by half to it, and by half to the next.
            closes = speed == speed and not 0.0 <= time_s - self.begin_s < _STRETCH_S
            share = 0.5 if closes else 1.0
            self._sample(accx, accy, steering, share)
            if closes:
                self._close(time_s, speed / 3.6, watch, length_m)
                self._sample(accx, accy, steering, share)

    @property
    def flipped(self) -> tuple[str, ...]:
        """The axes whose sign is the wrong way round."""
        return tuple(name for name, axis in ((_X, self.axis_x), (_Y, self.axis_y)) if axis.flipped)

    @property
    def offset_x_g(self) -> float:
        """
        What ``accx_can`` shows where it should show nothing, as it is sent, at most ±0.3 [g].

        The true value is sent - offset, and where the axis is flipped offset - sent. 0 before
        there was enough driving.
        """
        return self.along.offset_g(self.axis_x.flipped)

    @property
    def offset_y_g(self) -> float:
        """The same of ``accy_can``; 0 before the car has driven or stood enough [g]."""
        return self.across.offset_g

    def evidence(self) -> dict[str, Any]:
        """What the verdicts rest on, for each axis; as JSON takes it."""
        found: dict[str, Any] = {}
        for name, axis, offset_g in ((_X, self.axis_x, self.offset_x_g), (_Y, self.axis_y, self.offset_y_g)):
            found[name] = {
                "flipped": axis.flipped,
                "correlation": round(axis.sums.correlation, 3),
                "seconds": round(axis.sums.weight, 1),
                "spread_g": round(math.sqrt(axis.sums.moments()[0]), 3),
                "offset_g": round(offset_g, 4),
            }
        found[_X]["offset_driven_m"] = round(self.along.weight_m)
        found[_Y]["offset_laps"] = self.across.laps
        return found

    def _sample(self, accx: float, accy: float, steering: float, share: float) -> None:
        if accx == accx:
            self.accx += share * accx
            self.accx_count += share
        if accy == accy:
            self.accy += share * accy
            self.accy_count += share
        if steering == steering:
            self.steering += share * steering
            self.steering_count += share

    def _close(self, time_s: float, speed_m_s: float, watch: StuckWatch, length_m: float) -> None:
        """End the stretch under way at a speed, and begin another."""
        seconds = time_s - self.begin_s
        if 0.0 < seconds <= _LONGEST_STRETCH_S:
            self._stretch(time_s, seconds, speed_m_s, watch, length_m)
        else:
            self.across.interrupt()
            # What lies on both sides of a hole is not the same run of values.
            for run in self.runs:
                run.begin(run.value, time_s, self.covered_m)
        self.begin_s, self.speed_m_s = time_s, speed_m_s
        self.accx = self.accx_count = self.accy = self.accy_count = self.steering = self.steering_count = 0.0

    def _stretch(self, time_s: float, seconds: float, speed_m_s: float, watch: StuckWatch, length_m: float) -> None:
        mean_m_s = (self.speed_m_s + speed_m_s) / 2
        rate_g = (speed_m_s - self.speed_m_s) / seconds / GRAVITY
        accx_g = self.accx / self.accx_count if self.accx_count else _NAN
        accy_g = self.accy / self.accy_count if self.accy_count else _NAN
        model_g = _NAN
        if self.steering_count:
            square = mean_m_s * mean_m_s
            curvature = self.steering / self.steering_count / (_STEERING + _UNDERSTEER * square)
            model_g = square * curvature / GRAVITY
        speed_run, accx_run, accy_run, steering_run = self.runs[:4]
        # Where one of two channels is stuck nothing is learned from them.
        accx_good = accx_g == accx_g and not speed_run.stuck and not accx_run.stuck
        accy_good = accy_g == accy_g and not speed_run.stuck and not accy_run.stuck
        if accx_good:
            self.along.add(rate_g, accx_g, seconds, mean_m_s)
        if accy_good:
            self.across.add(accy_g, seconds, mean_m_s, length_m)
        else:
            self.across.interrupt()
        if mean_m_s >= MOVING_M_S:
            if accx_good:
                self.axis_x.add(rate_g, accx_g, seconds)
            if accy_good and model_g == model_g and not steering_run.stuck:
                self.axis_y.add(model_g, accy_g, seconds)
        seen = Stretch(self.begin_s, time_s, mean_m_s, rate_g, accx_g, accy_g, model_g)
        if watch.stretch(seen, self.offset_x_g, self.covered_m):
            self._list_stuck()

    def _list_stuck(self) -> None:
        self.stuck = tuple(name for name, run in zip(WATCHED, self.runs, strict=True) if run.stuck)
