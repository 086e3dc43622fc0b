"""The circuit on the map: its outline around the start/finish line, for the GPS channels."""

from __future__ import annotations

import json
from importlib import resources
from typing import Final

import numpy as np

from .circuit import Circuit, at_nodes
from .noise import FloatArray

_METRES_PER_DEGREE: Final = 111_320.0

#: Deviation of a GPS fix in each direction [m].
GPS_NOISE_M: Final = 0.5


class Outline:
    """
    The closed line that the cars follow, its start at a given latitude and longitude.

    The heading is the integral of the curvature and the position that of the
    heading; the metre or two by which rounding leaves it open is spread over the lap.
    """

    def __init__(self, circuit: Circuit, origin: tuple[float, float]) -> None:
        step_m = circuit.step_m
        bend = circuit.curvature
        heading = np.concatenate(([0.0], np.cumsum((bend[:-1] + bend[1:]) / 2 * step_m)))
        middle = (heading[:-1] + heading[1:]) / 2
        self._step_m = step_m
        self.x_m = _closed(np.cos(middle) * step_m)
        self.y_m = _closed(np.sin(middle) * step_m)
        self._origin = origin
        self._metres_per_longitude = _METRES_PER_DEGREE * float(np.cos(np.radians(origin[0])))

    def fix(self, lapdist_m: FloatArray, east_m: FloatArray, north_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Latitude and longitude at distances since the line, off by so many metres [deg]."""
        node = lapdist_m / self._step_m
        latitude = self._origin[0] + (at_nodes(self.y_m, node) + north_m) / _METRES_PER_DEGREE
        longitude = self._origin[1] + (at_nodes(self.x_m, node) + east_m) / self._metres_per_longitude
        return latitude, longitude


def finish_line(track_name: str) -> tuple[float, float] | None:
    """Where a packaged track's line lies, latitude and longitude [deg]; None for other tracks."""
    tracks = json.loads(resources.files("pitwall.model").joinpath("tracks.json").read_bytes())
    line = tracks.get(track_name, {}).get("finish_line")
    return (float(line[0]), float(line[1])) if line else None


def _closed(steps: FloatArray) -> FloatArray:
    reached = np.concatenate(([0.0], np.cumsum(steps)))
    closed: FloatArray = reached - np.linspace(0.0, 1.0, reached.size) * reached[-1]
    return closed
