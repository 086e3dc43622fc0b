"""
The product's sector times on recorded races, by boundaries that the other laps of the track give.

Each lap is timed again on a track whose boundaries are the median of where all other laps
put them, so that none has a part in its own. Beside it stands what the path of
``pitwall calibrate`` makes of the same laps, and both by the lines of the track map.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.recorded_laps import TimedLap, count_of, laps_of
from pitwall.importer.recorded import read_cars
from pitwall.importer.sources import local_source
from pitwall.model.cars import CarNames
from pitwall.model.events import EVENTS
from pitwall.model.track import Sector, Track, packaged_tracks
from pitwall.race.matching import number_of
from pitwall.race.series import FloatArray
from pitwall.race.survey import Calibration, calibrate
from pitwall.wire.tables import Told
from pitwall.wire.timing import Timing


class SectorErrors(NamedTuple):
    """Errors of the sector times of a lap, shape (sectors,) each, NaN where there is none [s]."""

    name: str
    by_map: FloatArray
    by_others: FloatArray
    path_by_map: FloatArray
    path_by_others: FloatArray


def calibration(data: Path, patterns: Sequence[str], track: Track, timing: Timing) -> Calibration:
    """What ``pitwall calibrate`` makes of the recordings."""
    sources = [local_source(str(path)) for pattern in patterns for path in sorted(data.glob(pattern))]
    told = Told(CarNames(), EVENTS, packaged_tracks())
    return calibrate(read_cars(sources, told, track).cars, timing, track)


def sector_errors(laps: Sequence[TimedLap], found: Calibration, track: Track, timing: Timing) -> list[SectorErrors]:
    """Of each raced lap that both the product and the calibration have."""
    numbers = {lap.car for lap in timing.laps}
    at = {
        (number_of(lap.vehicle_id, numbers), lap.official.number): index for index, lap in enumerate(found.survey.found)
    }
    errors = []
    for lap in laps:
        if lap.official is None or not lap.official.racing:
            continue
        index = at.get((number_of(lap.chassis, numbers), lap.official.number))
        if index is None:
            continue
        others_m = np.median(np.delete(found.fitted.reached_m, index, axis=0), axis=0)
        errors.append(
            SectorErrors(
                lap.name,
                _off(lap, track),
                _off(lap, with_ends(track, others_m.tolist())),
                found.before_s[index],
                found.fitted.errors_s[index],
            )
        )
    return errors


def with_ends(track: Track, ends_m: Sequence[float]) -> Track:
    """The track with other sector boundaries."""
    edges = pairwise((0.0, *ends_m, track.total_m))
    return track._replace(sectors=tuple(Sector(f"S{n}", start, end) for n, (start, end) in enumerate(edges, 1)))


def _off(lap: TimedLap, track: Track) -> FloatArray:
    """The sector times that the product gives a lap on a track, less the official ones."""
    assert lap.official is not None
    official = np.array(lap.official.sectors_s)
    for again in laps_of(lap.rows, track):
        if count_of(again) == count_of(lap.lap) and again.time_s is not None:
            times = [np.nan if time_s is None else time_s for time_s in again.sectors_s]
            errors_s: FloatArray = np.array(times) - official
            return errors_s
    return np.full(official.size, np.nan)
