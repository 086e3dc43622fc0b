"""What the logger's sensors read from a moving car, each with its noise."""

from __future__ import annotations

from typing import Final

import numpy as np

from . import car
from .circuit import Circuit
from .lap import Motion
from .noise import FloatArray, IntArray, normal

#: Deviation of each sensor's noise, in its own unit; the lap distance is exact.
NOISE: Final = {
    "speed_kmh": 0.12,
    "accx_can": 0.025,
    "accy_can": 0.03,
    "Steering_Angle": 0.5,
    "pbrake_f": 0.4,
    "pbrake_r": 0.4,
    "rpm": 15.0,
    "aps": 0.4,
}


def read_sensors(motion: Motion, circuit: Circuit, key: int, index: IntArray) -> dict[str, FloatArray]:
    """
    The channels of some samples, by their names in the catalogue; shape of ``index`` each.

    ``index`` numbers the samples of the race; with the key it settles their noise.
    """
    speed, acceleration = motion.speed, motion.acceleration
    curvature = circuit.curvature_at(motion.lapdist_m)
    channel = np.arange(len(NOISE))[:, np.newaxis]
    drawn = normal(key, index + (channel << 56))
    noise = {name: deviation * row for (name, deviation), row in zip(NOISE.items(), drawn, strict=True)}

    pressure = car.brake_pressure(speed, acceleration)
    braking = pressure > 1.0
    pedal = car.pedal(speed, acceleration)
    partly = (pedal > 1.0) & (pedal < 99.0)
    in_gear = car.gear(speed)
    return {
        "lapdist_m": motion.lapdist_m,
        "speed_kmh": np.maximum(3.6 * speed + noise["speed_kmh"], 0.0),
        "accx_can": acceleration / car.GRAVITY + noise["accx_can"],
        "accy_can": speed**2 * curvature / car.GRAVITY + noise["accy_can"],
        "Steering_Angle": car.steering(speed, curvature) + noise["Steering_Angle"],
        "pbrake_f": np.where(braking, np.maximum(pressure + noise["pbrake_f"], 0.0), 0.0),
        "pbrake_r": np.where(braking, np.maximum(1.01 * pressure + noise["pbrake_r"], 0.0), 0.0),
        "rpm": car.engine_speed(speed, in_gear) + noise["rpm"],
        "gear": in_gear,
        "aps": np.where(partly, np.clip(pedal + noise["aps"], 0.0, 100.0), pedal),
    }
