"""
The long form of the official recordings: one row of thirteen columns per channel sample.

``meta_time`` is the receiver's UTC, ``timestamp`` the car's own clock; the track
is told by the event alone. Lap distance comes in full metres.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .points import Point

#: The name and the place of a season's events, by track.
EVENTS: Final = {
    "sonoma": "I_R01_2025-03-30",
    "cota": "I_R02_2025-04-27",
    "sebring": "I_R03_2025-05-18",
    "virginia": "I_R04_2025-07-20",
    "road_america": "I_R05_2025-08-17",
    "barber": "I_R06_2025-09-07",
    "indianapolis": "I_R07_2025-10-19",
}

#: The loggers' name of each channel of a point, in the order they are sent.
LOGGER_NAMES: Final = {
    "accx_can": "accx_can",
    "accy_can": "accy_can",
    "aps": "aps",
    "pbrake_r": "pbrake_r",
    "pbrake_f": "pbrake_f",
    "gear": "gear",
    "VBOX_Long_Minutes": "VBOX_Long_Minutes",
    "VBOX_Lat_Min": "VBOX_Lat_Min",
    "Steering_Angle": "Steering_Angle",
    "lapdist_m": "Laptrigger_lapdist_dls",
    "rpm": "nmot",
    "speed_kmh": "speed",
}


class LongRow(NamedTuple):
    """One row, its columns as text in the order of the files."""

    expire_at: str
    lap: str
    meta_event: str
    meta_session: str
    meta_source: str
    meta_time: str
    original_vehicle_id: str
    outing: str
    telemetry_name: str
    telemetry_value: str
    timestamp: str
    vehicle_id: str
    vehicle_number: str


def long_rows(point: Point) -> list[LongRow]:
    """The rows of one point of the real rates, which carries the car's clock as ``timestamp``."""
    chassis, track = str(point["chassis"]), str(point["track"])
    number = chassis.rsplit("-", 1)[-1]
    rows = []
    for name, logger_name in LOGGER_NAMES.items():
        value = point.get(name)
        if value is None:
            continue
        if logger_name == "Laptrigger_lapdist_dls":
            value = round(float(value))
        rows.append(
            LongRow(
                expire_at="",
                lap=str(point["lap"]),
                meta_event=EVENTS.get(track, f"I_R00_{point['meta_time']!s:.10}"),
                meta_session="R1",
                meta_source=str(point["raw_source"]),
                meta_time=str(point["meta_time"]),
                original_vehicle_id=chassis,
                outing="0",
                telemetry_name=logger_name,
                telemetry_value=_number(value),
                timestamp=str(point["timestamp"]),
                vehicle_id=chassis,
                vehicle_number=number,
            )
        )
    return rows


def _number(value: str | float) -> str:
    """A value as the files have it: whole numbers without a point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
