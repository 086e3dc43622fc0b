"""Samples as points: the fields of the contract, rounded as loggers round, and their JSON and CSV datagrams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from pitwall.model.channels import CSV_FIELDS

from .noise import FloatArray
from .sampler import Samples

#: A point, ready to be encoded: field names of the contract and scalar values.
Point = dict[str, str | float | int]

#: Decimal places of each channel, those of the recordings or one better.
DIGITS: Final = {
    "lapdist_m": 2,
    "speed_kmh": 2,
    "accx_can": 3,
    "accy_can": 3,
    "Steering_Angle": 1,
    "pbrake_f": 2,
    "rpm": 0,
    "pbrake_r": 2,
    "gear": 0,
    "aps": 1,
    "VBOX_Lat_Min": 7,
    "VBOX_Long_Minutes": 7,
}

_encoder: Final = msgspec.json.Encoder()


def to_points(
    samples: Samples,
    chassis: Sequence[str],
    track: str,
    raw_source: str,
    meta_time: FloatArray,
    car_time: FloatArray | None = None,
) -> Iterator[Point]:
    """The points of some samples; both times in epoch seconds, the cars' own left out where None."""
    columns: dict[str, list[str] | list[float] | list[int]] = {
        "meta_time": iso_times(meta_time),
        "track": [track] * meta_time.size,
        "chassis": [chassis[car] for car in samples.car.tolist()],
        "lap": samples.lap.tolist(),
    }
    channels = samples.channels
    columns |= {name: _rounded(channels[name], DIGITS[name]) for name in CSV_FIELDS if name in channels}
    columns["raw_source"] = [raw_source] * meta_time.size
    columns |= {
        name: _rounded(channels[name], DIGITS[name]) for name in DIGITS if name not in columns and name in channels
    }
    if car_time is not None:
        columns["timestamp"] = iso_times(car_time)
    complete = not any(np.isnan(values).any() for values in channels.values())
    names = tuple(columns)
    for row in zip(*columns.values(), strict=True):
        if complete:
            yield dict(zip(names, row, strict=True))
        else:
            # NaN, an absent channel, is what does not equal itself.
            yield {name: value for name, value in zip(names, row, strict=True) if value == value}


def encode_point(point: Point) -> bytes:
    """A point as a JSON datagram."""
    return _encoder.encode(point)


def encode_csv(point: Point) -> bytes:
    """A point as a CSV datagram, its eleven fields in the order of the contract; empty where absent."""
    return ",".join(str(point.get(name, "")) for name in CSV_FIELDS).encode()


def iso_times(epoch_s: FloatArray) -> list[str]:
    """Moments in UTC as ISO 8601 with milliseconds and a Z."""
    milliseconds: npt.NDArray[np.datetime64] = np.rint(epoch_s * 1000).astype(np.int64).astype("datetime64[ms]")
    texts: list[str] = np.datetime_as_string(milliseconds, timezone="UTC").tolist()
    return texts


def _rounded(values: FloatArray, digits: int) -> list[float] | list[int]:
    if digits:
        # Adding 0 turns -0.0 into 0.0.
        decimals: list[float] = (np.round(values, digits) + 0.0).tolist()
        return decimals
    if np.isnan(values).any():
        return [round(value) if value == value else value for value in values.tolist()]
    integers: list[int] = np.rint(values).astype(np.int64).tolist()
    return integers
