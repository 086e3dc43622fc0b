"""
The circuit: curvature and the speed of a reference lap, metre by metre.

A track file tells a length and sectors, not where the corners are, so they are
made up: a closed polygon around a center, its size and shape drawn from the
track's name, every vertex rounded to an arc. Straights and arcs are then known
exactly and the outline closes by itself. How wide the arcs are is solved for,
such that a reference lap takes about as long as the real one.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import exp, log
from typing import Final

import numpy as np

from pitwall.model.track import Track

from .noise import FloatArray, normal, stream_key, uniform
from .profile import lap_duration_s, smooth, speed_profile

#: Lap time of a good GR86 in the race [s] and number of corners, where known.
REFERENCE: Final = {
    "barber": (97.6, 17),
    "cota": (149.5, 20),
    "indianapolis": (102.0, 14),
    "road_america": (153.5, 14),
    "sebring": (147.0, 17),
    "sonoma": (112.0, 12),
    "virginia": (126.5, 17),
}

_USUAL_SPEED: Final = 37.5  # [m/s], over a lap of a track that is not in the table
_CORNER_EVERY_M: Final = 260.0
_STEP_M: Final = 2.0  # distance between nodes, about
_CLOSE_ENOUGH_S: Final = 0.1  # to the lap time wanted
_TURN_IN_M: Final = 36.0  # over which the steering goes in and out of a corner


@dataclass(frozen=True, slots=True, eq=False)
class Circuit:
    """
    A track with its corners, at evenly spaced nodes from the line.

    ``curvature`` is left positive [1/m] and ``speed`` that of the reference lap
    [m/s]; both have one value more than there are cells, the last equal to the first.
    """

    track: Track
    step_m: float
    curvature: FloatArray
    speed: FloatArray

    @property
    def length_m(self) -> float:
        """The length of a lap [m]."""
        return self.track.total_m

    @property
    def lap_s(self) -> float:
        """The time of the reference lap [s]."""
        return lap_duration_s(self.speed, self.step_m)

    def curvature_at(self, lapdist_m: FloatArray) -> FloatArray:
        """The curvature at distances since the line, linear between the nodes [1/m]."""
        return at_nodes(self.curvature, lapdist_m / self.step_m)


def at_nodes(values: FloatArray, position: FloatArray) -> FloatArray:
    """Node values at fractional node numbers, linear in between."""
    cell = np.clip(position.astype(np.int64), 0, values.size - 2)
    below = values[cell]
    between: FloatArray = below + (values[cell + 1] - below) * (position - cell)
    return between


def build_circuit(track: Track) -> Circuit:
    """The circuit of a track: the same one for the same name and length, always."""
    usual_s = track.total_m / _USUAL_SPEED
    wanted_s, corners = REFERENCE.get(track.name, (usual_s, max(6, round(track.total_m / _CORNER_EVERY_M))))
    cells = max(200, round(track.total_m / _STEP_M))
    step_m = track.total_m / cells

    def with_corners(width: float) -> Circuit:
        curvature = _curvature(track, corners, cells, width)
        return Circuit(track, step_m, _closed(curvature), _closed(speed_profile(curvature, step_m)))

    # Secants: a lap's time falls about evenly with the logarithm of the width.
    width, next_width = 1.0, 1.4
    before, circuit = with_corners(width), with_corners(next_width)
    for _ in range(6):
        missing_s = wanted_s - circuit.lap_s
        slope_s = (circuit.lap_s - before.lap_s) / log(next_width / width)
        if abs(missing_s) < _CLOSE_ENOUGH_S or abs(slope_s) < _CLOSE_ENOUGH_S:
            break
        step = max(-1.0, min(1.0, missing_s / slope_s))
        width, next_width = next_width, max(0.2, min(15.0, next_width * exp(step)))
        if width == next_width:
            break
        before, circuit = circuit, with_corners(next_width)
    circuit.curvature.setflags(write=False)
    circuit.speed.setflags(write=False)
    return circuit


def _closed(values: FloatArray) -> FloatArray:
    return np.append(values, values[0])


def _curvature(track: Track, corners: int, cells: int, width: float) -> FloatArray:
    """Curvature at the nodes, shape (cells,) [1/m], for corners this many times as wide as drawn."""
    key = stream_key(zlib.crc32(track.name.encode()), round(track.total_m))
    each = np.arange(corners)
    direction = (each + 0.5 * (uniform(stream_key(key, 1), each) - 0.5)) * (2 * np.pi / corners)
    reach = 0.45 + 0.55 * uniform(stream_key(key, 2), each)
    radius = width * 38.0 * np.exp(0.8 * normal(stream_key(key, 3), each))
    x, y = reach * np.cos(direction), reach * np.sin(direction)
    side_x, side_y = np.roll(x, -1) - x, np.roll(y, -1) - y  # from vertex i to i + 1
    heading = np.arctan2(side_y, side_x)
    turn = (heading - np.roll(heading, 1) + np.pi) % (2 * np.pi) - np.pi  # at vertex i
    side = np.hypot(side_x, side_y)

    # The larger the polygon, the more of each corner fits, which in turn cuts its
    # length: a few rounds settle it.
    scale = track.total_m / side.sum()
    tangent = np.tan(np.abs(turn) / 2)
    for _ in range(40):
        room = 0.47 * scale * np.minimum(side, np.roll(side, 1))
        arc_radius = np.minimum(radius, room / tangent)
        cut = 2 * arc_radius * tangent - arc_radius * np.abs(turn)
        scale = (track.total_m + cut.sum()) / side.sum()
    arc = arc_radius * np.abs(turn)
    straight = scale * side - arc_radius * tangent - np.roll(arc_radius * tangent, -1)

    # Heading turned so far, at the end of each straight and of each arc, beginning at the
    # start of the longest straight; the line lies six tenths down it.
    first = int(np.argmax(straight))
    order = (np.arange(corners) + first) % corners
    lengths = np.column_stack((straight[order], arc[(order + 1) % corners])).ravel()
    turned = np.column_stack((np.zeros(corners), turn[(order + 1) % corners])).ravel()
    reached_m = np.concatenate(([0.0], np.cumsum(lengths)))
    total_turn = np.concatenate(([0.0], np.cumsum(turned)))
    reached_m *= track.total_m / reached_m[-1]
    line_m = 0.6 * float(straight[first])
    # Half a step early, for a node's curvature is the mean over the half cells around it.
    edges_m = line_m + (np.arange(cells + 1) - 0.5) * (track.total_m / cells)
    lap = np.floor(edges_m / track.total_m)
    total = np.interp(edges_m - lap * track.total_m, reached_m, total_turn) + lap * total_turn[-1]
    return smooth(np.diff(total) * (cells / track.total_m), round(_TURN_IN_M * cells / track.total_m))
