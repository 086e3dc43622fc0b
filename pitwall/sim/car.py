"""
The car: what a Toyota GR86 Cup can do, and how its logger would show it.

The constants were fitted to recorded laps: full throttle gives 0.29 g at
100 km/h and 0.07 g at 210, a bar of front brake pressure costs 0.011 g, and
the steering wheel turns 2,300 deg per unit of curvature plus 1.8 for each
(m/s)², which is the car's understeer.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .noise import FloatArray

#: Standard gravity [m/s²].
GRAVITY: Final = 9.80665

#: Lateral grip, braking and drive that the tires take [m/s²].
GRIP: Final = 1.30 * GRAVITY
BRAKING: Final = 1.15 * GRAVITY
TRACTION: Final = 3.7

#: Engine power over mass [W/kg], air drag [1/m] and rolling drag [m/s²].
POWER: Final = 90.0
AIR_DRAG: Final = 0.00021
ROLLING_DRAG: Final = 0.15

#: The fastest the car gets anywhere [m/s].
TOP_SPEED: Final = 62.0

#: Engine speed per road speed in each gear, first to sixth [rpm per km/h].
GEARS: Final = (76.4, 58.4, 47.1, 39.4, 34.0, 28.9)
SHIFT_RPM: Final = 7250.0
IDLE_RPM: Final = 950.0

_RATIOS: Final = np.array(GEARS)
_SHIFT_SPEEDS: Final = SHIFT_RPM / _RATIOS[:-1] / 3.6  # [m/s]

_ENGINE_BRAKING: Final = 1.5  # [m/s²] lost with the foot off the pedal, before the brake does anything
_BAR_PER_DECELERATION: Final = 1 / 0.108


def drive(speed_m_s: float) -> float:
    """The most the engine pushes at a speed, drag not yet taken off [m/s²]."""
    return min(TRACTION + ROLLING_DRAG, POWER / max(speed_m_s, 1.0))


def drag(speed_m_s: float) -> float:
    """What air and rolling take away at a speed [m/s²]."""
    return ROLLING_DRAG + AIR_DRAG * speed_m_s * speed_m_s


def pedal(speed_m_s: FloatArray, acceleration: FloatArray) -> FloatArray:
    """Accelerator pedal that gives this acceleration [%, 0 to 100]."""
    wanted = acceleration + ROLLING_DRAG + AIR_DRAG * speed_m_s**2 + _ENGINE_BRAKING
    available = np.minimum(TRACTION + ROLLING_DRAG, POWER / np.maximum(speed_m_s, 1.0)) + _ENGINE_BRAKING
    # Racing drivers are on the pedal or off it: the last tenth counts as flat out.
    flat_out: FloatArray = np.clip(110.0 * wanted / available, 0.0, 100.0)
    return flat_out


def brake_pressure(speed_m_s: FloatArray, acceleration: FloatArray) -> FloatArray:
    """Front brake pressure that gives this deceleration [bar, 0 or more]."""
    asked = -acceleration - ROLLING_DRAG - AIR_DRAG * speed_m_s**2 - _ENGINE_BRAKING
    pressure: FloatArray = np.maximum(asked, 0.0) * _BAR_PER_DECELERATION
    return pressure


def steering(speed_m_s: FloatArray, curvature: FloatArray) -> FloatArray:
    """Steering wheel angle that holds this curvature [deg]; the sign of the curvature."""
    angle: FloatArray = curvature * (2300.0 + 1.8 * speed_m_s**2)
    return angle


def gear(speed_m_s: FloatArray) -> FloatArray:
    """The lowest gear that keeps the engine under its shift speed, 1 to 6."""
    return np.searchsorted(_SHIFT_SPEEDS, speed_m_s).astype(np.float64) + 1.0


def engine_speed(speed_m_s: FloatArray, in_gear: FloatArray) -> FloatArray:
    """Engine speed in that gear [rpm], idle at least: the clutch slips at walking pace."""
    ratio = _RATIOS[in_gear.astype(np.int64) - 1]
    turning: FloatArray = np.maximum(3.6 * speed_m_s * ratio, IDLE_RPM)
    return turning
