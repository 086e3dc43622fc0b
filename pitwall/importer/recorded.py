"""Recordings read offline: the samples of each car, of whatever form a server would take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from pitwall.importer.batches import BatchSize, batches
from pitwall.importer.formats import CSV, ReadError, read_error
from pitwall.importer.sources import Source
from pitwall.model.channels import UNKNOWN_LAPS
from pitwall.model.point import Point
from pitwall.model.track import Track, track_key
from pitwall.race.survey import CarSamples
from pitwall.wire.errors import WireError
from pitwall.wire.points import PointDecoder
from pitwall.wire.tables import JsonTable, Told, open_table

#: So much is read at a time [bytes].
_BATCH = 1 << 20


class Recorded(NamedTuple):
    """
    The samples of some recordings on one track.

    Attributes:
        cars: by their ``vehicle_id``.
        elsewhere: points of other tracks, which are left out.
    """

    cars: dict[str, CarSamples]
    elsewhere: int


def points_of(source: Source, told: Told, track: str | None = None) -> Iterator[Point]:
    """
    The points of a recording; lines that are none are left out, as a server refuses them.

    Args:
        source: it.
        told: what is known beforehand.
        track: of rows that do not say it.

    Raises:
        ReadError: it can't be read, or is no telemetry.
    """
    decoder = PointDecoder()
    table = None
    for batch, _ in batches(source.open(), source.name, BatchSize(_BATCH)):
        lines = batch.lines.removesuffix(b"\n").split(b"\n")
        if table is None:
            try:
                if batch.media_type == CSV:
                    first = batch.header.rstrip(b"\r\n") or lines[0]
                    table = open_table(first, told, source.name, track)[0]
                else:
                    table = JsonTable(told, told.lacking(source.name, track))
            except WireError as error:
                raise ReadError(error.message) from None
        table.take(lines, 0.0)
        yield from table.leave(decoder, 0.0).points
    if table is not None:
        table.finish()
        yield from table.leave(decoder, 0.0).points


def read_cars(sources: Iterable[Source], told: Told, track: Track) -> Recorded:
    """
    The samples of each car on a track, of all recordings together, what comes twice once.

    Raises:
        ReadError: one can't be read; the message begins with its name.
    """
    keys = {track_key(name) for name in (track.name, *track.aliases)}
    samples: dict[str, dict[float, list[float]]] = {}
    elsewhere = 0
    for source in sources:
        try:
            for point in points_of(source, told, track.name):
                if track_key(point.track) not in keys:
                    elsewhere += 1
                    continue
                name = told.cars.name(point.chassis)
                received_s = point.time_s()
                time_s = _clock_s(point.timestamp)
                if math.isnan(time_s):
                    time_s = received_s
                sample = [received_s, math.nan if point.lap in UNKNOWN_LAPS else point.lap, point.speed_kmh]
                known = samples.setdefault(name, {}).setdefault(time_s, sample)
                if math.isnan(known[2]):
                    known[2] = point.speed_kmh
        except (ReadError, OSError) as error:
            raise ReadError(f"{source.label}: {read_error(error)}") from None
    return Recorded({name: _columns(its) for name, its in samples.items()}, elsewhere)


def _clock_s(timestamp: float | str | bool | None) -> float:
    """The car's own clock [s]; NaN where it tells none."""
    if not isinstance(timestamp, str):
        return math.nan
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _columns(samples: dict[float, list[float]]) -> CarSamples:
    rows = np.array([(time_s, *sample) for time_s, sample in sorted(samples.items()) if not math.isnan(time_s)])
    time_s, received_s, lap, speed_kmh = rows.reshape(-1, 4).T
    return CarSamples(time_s, received_s, lap, speed_kmh)
