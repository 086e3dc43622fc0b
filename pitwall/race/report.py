"""A car's figures as the workers report them and as clients get them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from pitwall.model.track import Track
from pitwall.race import pace
from pitwall.race.car import CarState


class CarReport(Struct, array_like=True):
    """What the cross-car step needs of a car, and the ``result`` that clients get."""

    car: int
    track: str
    chassis: str
    covered_m: float
    speed_kmh: float
    average_kmh: float | None
    result: dict[str, Any]


def report(number: int, track_name: str, chassis: str, state: CarState, track: Track | None) -> CarReport:
    """The figures of a car now; its count of points starts anew with this."""
    length_m = track.total_m if track is not None else float("inf")
    clean = pace.clean_laps(state.laps)
    loss = pace.slope(clean[-pace.LATEST_LAPS :])
    sectors = {str(index): round(stress, 3) for index, stress in enumerate(state.stress)}
    averages = state.averages
    meta: dict[str, Any] = {
        "avgSpeed": _rounded(averages.speed_kmh.mean),
        "maxSpeed": _rounded(averages.speed_kmh.maximum),
        "avgAcceleration": _rounded(averages.accx_can.mean),
        "maxAcceleration": _rounded(averages.accx_can.maximum),
        "avgBraking": _rounded(averages.pbrake_f.mean),
        "maxBraking": _rounded(averages.pbrake_f.maximum),
        "avgCornering": _rounded(averages.steering_deg.mean),
        "maxCornering": _rounded(averages.steering_deg.maximum),
        "consistency": _rounded(pace.consistency(clean)),
        "performanceTrend": pace.trend(clean),
        "sectorTimes": {
            str(index): round(time_s, 3) for index, time_s in enumerate(state.sector_times) if time_s is not None
        },
        "pointCount": state.points,
    }
    result = {
        "chassis": chassis,
        "track": track_name,
        "lap": state.lap,
        "lap_tire_stress": round(sum(sectors.values()), 3),
        "perSectorStress": sectors,
        "predicted_loss_per_lap_seconds": round(loss, 4),
        "laps_until_0_5s_loss": round(pace.laps_until_loss(loss), 1),
        "meta": {name: value for name, value in meta.items() if value is not None},
    }
    state.points = 0
    speed = state.speed_kmh if state.speed_kmh == state.speed_kmh else 0.0
    return CarReport(number, track_name, chassis, state.covered_m(length_m), speed, averages.speed_kmh.mean, result)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
