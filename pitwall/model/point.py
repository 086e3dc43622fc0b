"""The telemetry point, as the doors hand it to the hub."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from pitwall.model.channels import CORE, EXTRA

_NAN = math.nan


class Point(Struct, gc=False):
    """
    What one car said at one moment; NaN stands for a channel that was not sent.

    Only what the race computation reads is here: the client sees the JSON the
    point came as. Channels are in the order and the units of the catalogue.
    ``meta_time`` is the logger's UTC; a point in the hub always has one.
    ``timestamp`` is as it was sent: the car's own clock where it is ISO 8601 text,
    whatever a vendor means by it otherwise.
    """

    track: str
    chassis: str
    meta_time: datetime | UnsetType = UNSET
    lap: float = _NAN
    lapdist_m: float = _NAN
    speed_kmh: float = _NAN
    accx_can: float = _NAN
    accy_can: float = _NAN
    Steering_Angle: float = _NAN
    pbrake_f: float = _NAN
    rpm: float = _NAN
    pbrake_r: float = _NAN
    gear: float = _NAN
    aps: float = _NAN
    ath: float = _NAN
    VBOX_Lat_Min: float = _NAN
    VBOX_Long_Minutes: float = _NAN
    timestamp: float | str | bool | None = None

    def time_s(self) -> float:
        """``meta_time`` [s since 1970]; NaN where it is missing."""
        return _NAN if isinstance(self.meta_time, UnsetType) else self.meta_time.timestamp()


# The shared rows rely on this order.
assert Point.__struct_fields__[3:] == (*(channel.name for channel in CORE + EXTRA), "timestamp")


#: UTC in moments that no sender told: those of the arrival of points without ``meta_time``.
ARRIVAL: Final = timezone(timedelta(0), "arrival")


def moment_at(epoch_s: float, zone: tzinfo = UTC) -> datetime:
    """A moment [s since 1970] in UTC; whole milliseconds, for that is what clients are told."""
    moment = datetime.fromtimestamp(epoch_s, zone)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def iso_text(moment: datetime) -> str:
    """A moment in UTC as ISO 8601 text with milliseconds, or with microseconds where it has them."""
    timespec = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def iso_utc(epoch_s: float) -> str:
    """A moment [s since 1970] as ISO 8601 UTC text with milliseconds."""
    return iso_text(moment_at(epoch_s))
