"""Rows to compute, from simulated races and made by hand, and the truth of the stress in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitwall.model.channels import CORE
from pitwall.model.track import Sector, Track
from pitwall.model.row import ROW
from pitwall.rows import channels_of, columns_of, numbered, pack_rows
from pitwall.sim import Race, encode_point
from pitwall.wire.points import PointDecoder

#: A kilometre in two sectors.
SHORT = Track("short", 1000.0, (Sector("S1", 0.0, 400.0), Sector("S2", 400.0, 1000.0)))
START_S = 1_757_184_000.0
_G = 9.80665
CHANNELS = tuple(channel.name for channel in CORE)


def rows_of(points: Sequence[dict[str, Any]]) -> tuple[NDArray[np.void], dict[str, int]]:
    """The rows of points, by the way every point takes, and the number of each chassis."""
    decoded = PointDecoder().objects(list(map(encode_point, points)), 0.0)
    assert not decoded.refused
    numbers: dict[str, int] = {}
    cars = [numbers.setdefault(point.chassis, len(numbers)) for point in decoded.points]
    columns = columns_of(decoded.points)
    return numbered(pack_rows(columns, channels_of(columns), cars), 1), numbers


def hand_made(times_s: Any, **channels: Any) -> NDArray[np.void]:
    """Rows of one car at these moments since the start; channels that are not given were not sent."""
    rows = np.zeros(len(times_s), ROW)
    rows["seq"] = np.arange(1, len(times_s) + 1)
    rows["time_s"] = START_S + np.asarray(times_s)
    for name in CHANNELS:
        rows[name] = channels.get(name, np.nan)
    return rows


def in_ticks(rows: NDArray[np.void], tick_s: float) -> Iterator[NDArray[np.void]]:
    """Rows in the order of arrival, cut into ticks; infinite for all at once."""
    tick = np.maximum.accumulate(np.floor((rows["time_s"] - rows["time_s"][0]) / tick_s))
    yield from np.split(rows, np.flatnonzero(np.diff(tick)) + 1)


def true_stress(race: Race, chassis: str, until_s: float) -> list[float]:
    """The stress of each sector of the lap a car is on, from 1,000 samples a second, and the sensors' noise [g²·m]."""
    lap = race.truth.lap_at(chassis, until_s)
    times = np.arange(race.truth.lap(chassis, lap).start_s, until_s, 0.001)
    covered, speed = race.truth.distance_m(chassis, times), race.truth.speed_m_s(chassis, times)
    length_m = race.track.total_m
    accx = np.gradient(speed, times) / _G
    accy = speed**2 * race.truth.circuit.curvature_at(covered % length_m) / _G
    squares = accx**2 + accy**2 + 0.025**2 + 0.03**2
    summed = np.concatenate(([0.0], np.cumsum((squares[1:] + squares[:-1]) / 2 * np.diff(covered))))
    ends = [(lap - 1) * length_m + end for end in (0.0, *race.track.boundaries_m())]
    return np.diff(np.interp(ends, covered, summed)).tolist()
