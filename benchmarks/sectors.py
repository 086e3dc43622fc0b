"""
How near sector times come to the official ones: recorded laps of six races, by the track maps and calibrated.

The recordings are those of ``PITWALL_DATA``, a folder; without it there is nothing to
measure. Each lap is judged by the boundaries that the other laps of its track give, and
every lap is listed, with those that were not used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pitwall.importer.recorded import read_cars
from pitwall.importer.sources import local_source
from pitwall.model.cars import CarNames
from pitwall.model.events import EVENTS
from pitwall.model.track import packaged_tracks
from pitwall.race.series import FloatArray
from pitwall.race.survey import calibrate
from pitwall.wire.tables import Told
from pitwall.wire.timing import parse_timing

#: The track, the folder of its official timing, and its recordings.
RACES = (
    ("barber", "barber/R1", ("telemetry_laps/barber_R1_*.gz", "telemetry_onelap/barber_R1_*.gz")),
    ("cota", "cota/R1", ("telemetry_laps/cota_R1_*.gz",)),
    ("indianapolis", "indianapolis/R2", ("telemetry_laps/indianapolis_R2_*.gz",)),
    ("road_america", "road_america/R2", ("telemetry_laps/road_america_R2_*.gz",)),
    ("sonoma", "sonoma/R1", ("telemetry_laps/sonoma_R1_*.gz",)),
    ("sebring", "sebring/R1", ("telemetry_long/sebring_R1_*.gz",)),
)
#: What an error may be [s].
WITHIN_S = 0.3

Figures = dict[str, dict[str, float]]


def sectors(quick: bool) -> Figures:
    """Errors of sector times, for each track and each lap [s]; Barber alone where it is to be quick."""
    data = os.environ.get("PITWALL_DATA")
    if not data:
        print("sectors: PITWALL_DATA is not set, wanted a folder of recordings", file=sys.stderr)
        return {}
    figures: Figures = {}
    for track_name, official, patterns in RACES[:1] if quick else RACES:
        figures.update(_of_track(Path(data), track_name, official, patterns))
    return figures


def _of_track(
    data: Path, track_name: str, official: str, patterns: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, float]]]:
    tracks = packaged_tracks()
    track = tracks.get(track_name)
    assert track is not None
    (timing_file,) = (data / "official" / official).glob("23_*")
    timing = parse_timing(timing_file.read_bytes())
    sources = [local_source(str(path)) for pattern in patterns for path in sorted(data.glob(pattern))]
    recorded = read_cars(sources, Told(CarNames(), EVENTS, tracks), track)
    found = calibrate(recorded.cars, timing, track)
    yield (
        f"sectors of {track_name}, {len(found.survey.found)} laps, {len(found.survey.left)} not used",
        {
            **{f"S{index + 1} ends, map [m]": end_m for index, end_m in enumerate(track.boundaries_m()[:-1])},
            **{f"S{index + 1} ends [m]": end_m for index, end_m in enumerate(found.fitted.ends_m.tolist())},
            **_errors("map", found.before_s),
            **_errors("other laps", found.fitted.errors_s),
        },
    )
    for lap, before_s, after_s in zip(found.survey.found, found.before_s, found.fitted.errors_s, strict=True):
        errors = {"lap time off [s]": lap.sent.time_s - lap.official.time_s}
        for index, (before, after) in enumerate(zip(before_s.tolist(), after_s.tolist(), strict=True)):
            errors[f"S{index + 1} off by the map [s]"] = before
            errors[f"S{index + 1} off by the other laps [s]"] = after
        yield f"{track_name} {lap.vehicle_id} lap {lap.sent.number}, official {lap.official.number}", errors
    for left in found.survey.left:
        yield f"{track_name} {left.vehicle_id} lap {left.number}, {left.why}", {"lap time [s]": left.time_s}


def _errors(what: str, errors_s: FloatArray) -> dict[str, float]:
    sizes = np.abs(errors_s)
    return {
        f"{what}, median error [s]": float(np.median(sizes)),
        f"{what}, 95 % within [s]": float(np.quantile(sizes, 0.95)),
        f"{what}, largest [s]": float(sizes.max()),
        f"{what}, within {WITHIN_S} s [%]": 100 * float(np.mean(sizes <= WITHIN_S)),
    }
