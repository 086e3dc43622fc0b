"""
``pitwall calibrate``: sector boundaries by the official timing.

Reads recordings of a race and its official timing, says where the timing loops lie and
how good that is, and writes a track file only where it is told to. No server is needed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np

from pitwall.importer.formats import ReadError, read_error
from pitwall.importer.recorded import read_cars
from pitwall.importer.sources import find_sources
from pitwall.model.cars import CarNames
from pitwall.model.events import EVENTS
from pitwall.model.track import Track, TrackFileError, Tracks, parse_tracks
from pitwall.model.trackfile import with_boundaries
from pitwall.race.calibrate import CalibrationError
from pitwall.race.series import FloatArray
from pitwall.race.survey import Calibration, calibrate
from pitwall.wire.errors import WireError
from pitwall.wire.tables import Told
from pitwall.wire.timing import Timing, parse_timing


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its status: 0 when boundaries were fitted, and written where that was asked for."""
    try:
        content = _track_file(arguments.write)
        tracks = parse_tracks(content)
        track = _track(tracks, arguments.track)
        timing = _timing(arguments.official)
        told = Told(CarNames(), EVENTS, tracks)
        recorded = read_cars(find_sources(arguments.recordings), told, track)
        if recorded.elsewhere:
            _say(f"{recorded.elsewhere} points are of another track and were left out")
        found = calibrate(recorded.cars, timing, track)
        _say(*report(found, track))
        if arguments.write:
            _replace(Path(arguments.write), with_boundaries(content, track, found.fitted.ends_m.tolist()))
            _say(f"written to {arguments.write}; a server takes it by TRACK_SECTORS_PATH")
        else:
            _say("nothing was written; --write TRACKFILE does")
    except (CalibrationError, ReadError, TrackFileError) as error:
        sys.stderr.write(f"pitwall calibrate: {error}\n")
        return 1
    return 0


def report(found: Calibration, track: Track) -> Iterator[str]:
    """What came of a calibration, line by line."""
    laps, left = found.survey
    cars = len({lap.vehicle_id for lap in laps})
    yield f"{track.name}, {track.total_m:.1f} m: {len(laps)} laps of {cars} cars, {len(left)} laps not used"
    yield ""
    yield "boundary       old [m]   new [m]   ± [m]"
    old_m = track.boundaries_m()[:-1]
    same = len(old_m) == found.fitted.ends_m.size
    for index, (end_m, uncertain_m) in enumerate(zip(found.fitted.ends_m, found.fitted.uncertain_m, strict=True)):
        old = f"{old_m[index]:9.1f}" if same else "        -"
        yield f"S{index + 1}/S{index + 2}       {old} {end_m:9.1f} {uncertain_m:7.1f}"
    yield ""
    yield "sector time minus the official one [s], by the old boundaries and by those of the other laps"
    sectors = found.fitted.errors_s.shape[1]
    heads = "".join(f"{f'S{index + 1}':>16}" for index in range(sectors))
    yield f"{'car':<14} {'lap':>4} {'official':>8} {'lap time':>9}{heads}"
    for lap, before_s, after_s in zip(laps, found.before_s, found.fitted.errors_s, strict=True):
        pairs = "".join(
            f"  {before:+6.2f} {after:+6.2f} "
            for before, after in zip(before_s.tolist(), after_s.tolist(), strict=True)
        )
        apart_s = lap.sent.time_s - lap.official.time_s
        yield f"{lap.vehicle_id:<14} {lap.sent.number:>4} {lap.official.number:>8} {apart_s:>+9.3f}{pairs}"
    for other in left:
        yield f"{other.vehicle_id:<14} {other.number:>4}        - {other.time_s:>9.3f}  not used: {other.why}"
    yield ""
    yield f"by the old boundaries:      {summary(found.before_s)}"
    yield f"by those of the other laps: {summary(found.fitted.errors_s)}"


def summary(errors_s: FloatArray) -> str:
    """How large errors are; shape (laps, sectors) [s]."""
    sizes = np.abs(errors_s[np.isfinite(errors_s)])
    if not sizes.size:
        return "another number of sectors"
    return (
        f"median {np.median(sizes):.3f} s, 95 % within {np.quantile(sizes, 0.95):.3f} s, "
        f"largest {sizes.max():.3f} s, {np.mean(sizes <= 0.3):.0%} within 0.3 s"
    )


def _say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _track_file(path: str | None) -> bytes:
    """What the track file to write holds now; the packaged one where there is none, for it takes that one's place."""
    if path is not None:
        try:
            return Path(path).read_bytes()
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            raise ReadError(f"{path}: {read_error(error)}") from None
    return resources.files("pitwall.model").joinpath("tracks.json").read_bytes()


def _track(tracks: Tracks, name: str) -> Track:
    track = tracks.get(name)
    if track is None:
        raise TrackFileError(f"no track {name!a}, wanted one of {', '.join(known.name for known in tracks)}")
    return track


def _timing(path: str) -> Timing:
    try:
        timing = parse_timing(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        why = error.message if isinstance(error, WireError) else read_error(error)
        raise ReadError(f"{path}: {why}") from None
    _say(f"{path}: {len(timing.laps)} laps, {len(timing.refused)} lines refused")
    for refused in timing.refused[:3]:
        _say(f"  {refused.message}")
    return timing


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old one or the new one, and never a part."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, path.stat().st_mode & 0o777 if path.exists() else 0o644)
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise ReadError(f"{path}: {read_error(error)}") from None
