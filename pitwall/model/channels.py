"""
The channel catalogue: the one place that knows names, units, ranges and aliases.

The decoder takes its ranges from here, the shared rows their columns, and
``docs/telemetry.md`` its table. Units are those of the GR Cup loggers (TRD).
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Channel(NamedTuple):
    """One numeric channel of a point; values outside low..high are refused."""

    name: str
    unit: str
    low: float
    high: float
    meaning: str
    aliases: tuple[str, ...] = ()
    integer: bool = False


#: Lap numbers that loggers send when they have no lap.
UNKNOWN_LAPS: Final = (0, 32768)

#: The longest name of a vendor field, car or track [characters].
MAX_NAME: Final = 64

#: The longest text value of any field [characters].
MAX_TEXT: Final = 4096

#: The most fields one point may have.
MAX_FIELDS: Final = 64

#: The longest point, as the JSON that clients get: the ring holds thousands of them [bytes].
MAX_POINT: Final = 16 << 10

#: The numeric channels of the contract, in the order of the CSV datagram.
CORE: Final = (
    Channel("lap", "laps", 0, 32768, "lap number; 0 and 32768 mean unknown", ("lap_number",), integer=True),
    Channel(
        "lapdist_m",
        "m",
        0,
        30000,
        "distance since the start/finish line",
        ("lap_distance", "lapdist", "Laptrigger_lapdist_dls"),
    ),
    Channel("speed_kmh", "km/h", 0, 500, "speed over ground", ("speed", "speed_kph")),
    Channel("accx_can", "g", -10, 10, "longitudinal acceleration, + accelerating", ("ax", "acc_x")),
    Channel("accy_can", "g", -10, 10, "lateral acceleration, same sign as steering", ("ay", "acc_y")),
    Channel("Steering_Angle", "deg", -1800, 1800, "steering wheel angle", ("steering_deg", "steering_angle")),
    Channel("pbrake_f", "bar", -10, 500, "front brake pressure", ("brake_front_bar",)),
    Channel("rpm", "rpm", 0, 30000, "engine speed", ("nmot",)),
)

#: Further channels that the GR Cup loggers send: relayed, and checked when sent.
EXTRA: Final = (
    Channel("pbrake_r", "bar", -10, 500, "rear brake pressure", ("brake_rear_bar",)),
    Channel("gear", "", -1, 20, "gear, -1 reverse, 0 neutral"),
    Channel("aps", "%", -10, 110, "accelerator pedal position"),
    Channel("ath", "%", -10, 110, "throttle blade position"),
    Channel("VBOX_Lat_Min", "deg", -90, 90, "latitude, decimal degrees in spite of the name"),
    Channel("VBOX_Long_Minutes", "deg", -180, 180, "longitude, decimal degrees in spite of the name"),
)

CHANNELS: Final = {channel.name: channel for channel in CORE + EXTRA}

#: The text fields of the contract and the names they are also known by.
TEXT_ALIASES: Final = {
    "meta_time": ("time_utc",),
    "track": ("circuit",),
    "chassis": ("vehicle", "vehicle_id"),
    "raw_source": (),
}

#: Every alias and the name it stands for.
ALIASES: Final = {
    **{alias: channel.name for channel in CORE + EXTRA for alias in channel.aliases},
    **{alias: name for name, aliases in TEXT_ALIASES.items() for alias in aliases},
}

#: The field in which the loggers tell the car's own clock (ECU), ISO 8601; of another form it is a vendor's.
CAR_CLOCK: Final = "timestamp"

#: The fields of a CSV datagram, in order; at least the first six must be there.
CSV_FIELDS: Final = ("meta_time", "track", "chassis", *(channel.name for channel in CORE))
