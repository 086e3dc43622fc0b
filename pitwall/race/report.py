"""What is reported of a car: at each tick what the cross-car step needs, and what clients get of it."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from msgspec import Struct

from pitwall.race.car import Car, LapChange
from pitwall.race.pits import in_pits

#: The most points of a trace in one report.
MOST_TRACE: Final = 1500


class CarTick(Struct, array_like=True, tag="c"):
    """
    A car at a tick of its track.

    Times are the car's own; ``shift_s`` makes them those that all cars share.

    Attributes:
        car: its number.
        at_ms: the tick [ms since 1970].
        heard_s: its latest ``meta_time`` [s since 1970].
        ahead: laps it had done when it was first heard; with the lines crossed since, the laps done.
        trace_from_s: what was told of the trace after this is replaced [s].
        trace: time, lines crossed and distance in the lap, of moments since then, oldest first [s, 1, m].
        laps: that ended or changed.
        length_m: what its distance makes of a lap; None where that is not known.
        sigma_m: how well its place is known; None where nothing but its laps is [m].
        clock_sigma_s: how well its clock is [s].
        average_kmh: its average speed in the lap so far; None where none was sent.
        lap_sent: the lap number it sends; None where it sends none.
        clock, sessions: its clock, 0 while it tells none, and how often it was set.
        stuck, flipped: channels that are.
        first_seq, last_seq: the first point of the lap that goes on, and the newest.
    """

    car: int
    at_ms: int
    heard_s: float
    shift_s: float
    ahead: int
    trace_from_s: float
    trace: list[tuple[float, int, float]]
    laps: list[LapChange]
    length_m: float | None
    sigma_m: float | None
    clock_sigma_s: float
    speed_kmh: float | None
    average_kmh: float | None
    lap_sent: int | None
    clock: int
    sessions: int
    stuck: tuple[str, ...]
    flipped: tuple[str, ...]
    first_seq: int
    last_seq: int


class CarReport(Struct, array_like=True, tag="r"):
    """A car's ``result`` as clients get it, but for what its pace is compared with others for."""

    car: int
    track: str
    chassis: str
    result: dict[str, Any]


def car_tick(number: int, car: Car, at_ms: int, laps: list[LapChange]) -> CarTick:
    """A car at a tick; what it says of the trace counts as told."""
    tracker = car.tracker
    place = tracker.place
    told_s = car.told_s
    trace = tracker.trace
    first = len(trace)
    while first and trace[first - 1][0] > told_s:
        first -= 1
    if trace:
        car.told_s = trace[-1][0]
    own_m = tracker.length(math.nan)
    lap = car.lap_so_far()
    speeds = lap["speed_kmh"]
    speeds = speeds[np.isfinite(speeds)]
    return CarTick(
        number,
        at_ms,
        car.heard_s,
        car.shift_s,
        place.laps_done - place.lines,
        told_s if told_s > -math.inf else 0.0,
        trace[max(first, len(trace) - MOST_TRACE) :],
        laps,
        own_m if math.isfinite(own_m) else None,
        _finite(tracker.sigma_m(car.length_m), 6),
        car.clock_sigma_s,
        _finite(place.speed_m_s * 3.6),
        float(speeds.mean(dtype=float)) if speeds.size else None,
        place.lap,
        car.clock,
        car.sessions,
        car.axes.stuck,
        car.axes.flipped,
        int(lap["seq"][0]) if lap.size else car.last_seq,
        car.last_seq,
    )


def car_report(number: int, track_name: str, chassis: str, car: Car) -> CarReport:
    """The figures of a car now; its count of points starts anew with this."""
    lap = car.lap_so_far()
    now = car.current()
    last = car.laps[-1] if car.laps else None
    layout = car.layout
    stress = {str(index): 0.0 for index in range(layout.sectors)}
    times: dict[str, float] = {}
    # Where the sectors lie elsewhere now, the last lap's times are those of others.
    if last is not None and last.layout == layout.number:
        times = {str(index): time_s for index, time_s in enumerate(last.sectors_s) if time_s is not None}
    if now is not None:
        stress = {str(index): round(float(value), 3) for index, value in enumerate(now.stress)}
        spans = np.diff(now.crossings)
        for index in np.flatnonzero(np.isfinite(spans)).tolist():
            times[str(index)] = round(float(spans[index]), 3)
        # A boundary behind the car whose time is not known has no time any more.
        for index in np.flatnonzero(np.isfinite(now.crossings[1:]) & ~np.isfinite(spans)).tolist():
            times.pop(str(index), None)
    steering = np.abs(lap["Steering_Angle"])
    meta: dict[str, Any] = {}
    for name, values in (
        ("Speed", lap["speed_kmh"]),
        ("Acceleration", lap["accx_can"]),
        ("Braking", lap["pbrake_f"]),
        ("Cornering", steering),
    ):
        known = values[np.isfinite(values)]
        if known.size:
            meta[f"avg{name}"] = round(float(known.mean(dtype=float)), 3)
            meta[f"max{name}"] = round(float(known.max()), 3)
    meta["sectorTimes"] = dict(sorted(times.items()))
    meta["pointCount"] = car.points
    car.points = 0
    result: dict[str, Any] = {
        "chassis": chassis,
        "track": track_name,
        "lap": car.tracker.place.lap,
        "inPits": in_pits(last, lap),
        "lap_tire_stress": round(sum(stress.values()), 3),
        "perSectorStress": stress,
        "meta": meta,
    }
    return CarReport(number, track_name, chassis, result)


def _finite(value: float, digits: int = 3) -> float | None:
    return round(value, digits) if math.isfinite(value) else None
