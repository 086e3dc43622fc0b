"""
The speed profile: as fast as grip, engine and brakes let a car go round.

Between two nodes the acceleration is constant, so the square of the speed is
linear in distance, the speed linear in time, and time, distance, speed and
acceleration can be turned into each other without an integration error.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from . import car
from .noise import FloatArray

_BLEND_M: Final = 26.0  # over which a driver goes from the throttle to the brake


def smooth(values: FloatArray, width: int) -> FloatArray:
    """A closed lap's values, averaged over about ``width`` neighbors by a raised cosine; keeps the mean."""
    half = max(1, width // 2)
    weights = 1 + np.cos(np.pi * np.arange(-half, half + 1) / (half + 1))
    around = np.concatenate((values[-half:], values, values[:half]))
    return np.convolve(around, weights / weights.sum(), mode="valid")


def speed_profile(curvature: FloatArray, step_m: float) -> FloatArray:
    """
    The speed at each node of a flying lap, shape of ``curvature`` [m/s].

    From the slowest corner on, forward under the engine's limit and backward
    under the brakes', both shared with the lateral grip in use (the ellipse of
    friction); then blended a little, for no driver changes pedals in no time.
    """
    top = np.minimum(car.GRIP / np.maximum(np.abs(curvature), 1e-9), car.TOP_SPEED**2)
    slowest = int(np.argmin(top))
    limit = np.roll(top, -slowest).tolist()
    bend = np.roll(np.abs(curvature) / car.GRIP, -slowest).tolist()
    count = len(limit)

    squared = limit[:1]
    for node in range(count - 1):
        now = squared[node]
        grip_left = max(0.0, 1.0 - (now * bend[node]) ** 2) ** 0.5
        speed = now**0.5
        gain = min(car.drive(speed), (car.TRACTION + car.ROLLING_DRAG) * grip_left) - car.drag(speed)
        squared.append(min(limit[node + 1], max(now + 2 * gain * step_m, 25.0)))
    ahead = squared[0]
    for node in range(count - 1, -1, -1):
        grip_left = max(0.0, 1.0 - (ahead * bend[(node + 1) % count]) ** 2) ** 0.5
        squared[node] = ahead = min(squared[node], ahead + 2 * car.BRAKING * grip_left * step_m)
    blended = smooth(np.roll(np.array(squared), slowest), round(_BLEND_M / step_m))
    speed_m_s: FloatArray = np.sqrt(blended)
    return speed_m_s


def launch_profile(step_m: float, cells: int) -> FloatArray:
    """The speed of a car that starts from a standstill, at each node of a straight; shape (cells + 1,) [m/s]."""
    squared = [0.0]
    for _ in range(cells):
        speed = squared[-1] ** 0.5
        squared.append(squared[-1] + 2 * step_m * max(0.0, car.drive(speed) - car.drag(speed)))
    launched: FloatArray = np.sqrt(np.array(squared))
    return launched


def node_times(speed: FloatArray, step_m: float) -> FloatArray:
    """When each node is reached, the first at 0; shape of ``speed``, which may be 0 at single nodes only [s]."""
    times = np.zeros(speed.size)
    np.cumsum(2 * step_m / (speed[1:] + speed[:-1]), out=times[1:])
    return times


def lap_duration_s(speed: FloatArray, step_m: float) -> float:
    """The time from the first node to the last [s]."""
    return float(node_times(speed, step_m)[-1])
