"""
``pitwall score``: what recordings come to, and what the forecasts of their laps are worth.

Plays them through the same computation that a server runs, as fast as it goes. No server
is needed. See ``pitwall.importer.playing`` for the order.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pitwall.importer.formats import ReadError, is_packed, read_error
from pitwall.importer.playing import Spool, play
from pitwall.importer.recorded import points_of
from pitwall.importer.sources import Source, find_sources
from pitwall.importer.timed import peeked, play_timing
from pitwall.model.cars import CarNames
from pitwall.model.events import EVENTS
from pitwall.model.filenames import track_of
from pitwall.model.track import TrackFileError, Tracks, packaged_tracks, parse_tracks
from pitwall.race.score import PUBLISHED
from pitwall.race.sheet import car_summary
from pitwall.wire.tables import Told


class Played(NamedTuple):
    """
    What came of some recordings.

    Attributes:
        files: what each was: its ``file`` and ``kind``, and how many ``points`` or ``laps`` it had.
        races: each with its ``track``, ``source``, ``cars``, and ``score`` as ``/api/score`` has it.
    """

    files: list[dict[str, Any]]
    races: list[dict[str, Any]]


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its status: 0 when all was played."""
    try:
        tracks = _tracks(arguments.tracks)
        played = score(find_sources(arguments.files), tracks, arguments.track)
    except (ReadError, TrackFileError) as error:
        sys.stderr.write(f"pitwall score: {error}\n")
        return 1
    if arguments.json:
        sys.stdout.write(json.dumps({"ok": True, **played._asdict()}) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in report(played))
    return 0


def score(sources: list[Source], tracks: Tracks, track: str | None = None) -> Played:
    """
    Play recordings: telemetry all together, and the official timing of each race by itself.

    Args:
        sources: they.
        tracks: the configured ones.
        track: of rows that do not say it.

    Raises:
        ReadError: one can't be read; the message begins with its name.
    """
    told = Told(CarNames(), EVENTS, tracks)
    files: list[dict[str, Any]] = []
    races: list[dict[str, Any]] = []
    spool = Spool()
    try:
        for source in sources:
            try:
                opened, timed = peeked(source)
                if timed:
                    race = _timed(opened, tracks, track)
                    laps = sum(car["laps"] for car in race["cars"])
                    races.append(race)
                    files.append({"file": source.label, "kind": "timing", "laps": laps})
                else:
                    untimed = spool.untimed
                    points = spool.add(points_of(opened, told, track))
                    untimed = spool.untimed - untimed
                    if not points:
                        raise ReadError(f"{untimed} points, all without a time" if untimed else "has no points in it")
                    files.append({"file": source.label, "kind": "telemetry", "points": points, "untimed": untimed})
            except (ReadError, OSError, EOFError) as error:
                raise ReadError(f"{source.label}: {read_error(error)}") from None
        if spool.count:
            races = [*_raced(spool, tracks), *races]
    except OSError as error:  # no room for the spool
        raise ReadError(f"temporary file: {read_error(error)}") from None
    finally:
        spool.close()
    return Played(files, races)


def report(played: Played) -> Iterator[str]:
    """What came of recordings, line by line."""
    for file in played.files:
        what = f"{file['laps']} laps, timed" if file["kind"] == "timing" else f"{file['points']} points"
        left = f", {file['untimed']} more without a time left out" if file.get("untimed") else ""
        yield f"{file['file']}: {what}{left}"
    for race in played.races:
        yield ""
        yield f"{race['track'] or 'unknown track'}, {race['source']}"
        yield f"{'car':<16} {'laps':>5} {'clean':>6} {'best [s]':>10} {'theoretical':>12}"
        for car in race["cars"]:
            best, ideal = _seconds(car["best_lap_s"]), _seconds(car["theoretical_best_s"])
            yield f"{car['chassis']:<16} {car['laps']:>5} {car['clean_laps']:>6} {best:>10} {ideal:>12}"
        yield from _score_lines(race["score"])


def _score_lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"forecasts: {found['n']} scored, {found['discarded']} of laps that were not clean or did not come"
    if found["mae_s"] is None:
        return
    weights = found["weights"]
    yield f"{'':<16} {'MAE [s]':>9} {'weight now':>11}"
    for name, mae_s in found["mae_s"].items():
        weight = "" if name == PUBLISHED else f"{weights[name]:.3f}"
        yield f"{name:<16} {mae_s:>9.3f} {weight:>11}".rstrip()
    skill = "unknown" if found["skill"] is None else f"{found['skill']:.3f}"
    yield f"skill {skill} against {found['best_baseline']}; the 90 % interval held {100 * found['coverage90']:.1f} %"


def _raced(spool: Spool, tracks: Tracks) -> list[dict[str, Any]]:
    book = play(spool, tracks).book
    scores = book.score()["tracks"]
    return [
        {
            "track": track["track"],
            "source": "telemetry",
            "length_m": track["length_m"],
            "cars": book.cars(track=track["track"]),
            "score": scores[track["track"]],
        }
        for track in book.tracks()
    ]


def _timed(source: Source, tracks: Tracks, track: str | None) -> dict[str, Any]:
    with source.open() as stream:
        content = stream.read()
    if content is not None and is_packed(content):
        content = gzip.GzipFile(fileobj=io.BytesIO(content)).read()
    race = play_timing(content or b"")
    known = tracks.get(track) if track else None
    name = known.name if known is not None else track or track_of(source.path, tracks) or ""
    cars = [car_summary(name, chassis, laps) for chassis, laps in sorted(race.laps.items())]
    return {
        "track": name,
        "source": f"official timing {source.label}",
        "refused": race.refused,
        "cars": cars,
        "score": race.book.score(),
    }


def _tracks(path: str | None) -> Tracks:
    if path is None:
        return packaged_tracks()
    try:
        return parse_tracks(Path(path).read_bytes())
    except TrackFileError as error:
        raise TrackFileError(f"{path}: {error}") from None
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: {read_error(error)}") from None


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
