"""
Tracks: length and sectors, read from a track file.

A track file is JSON: ``{"barber": {"total_m": 3674.7, "sectors": [{"name": "S1",
"start_m": 0, "end_m": 1029.0}, …], "aliases": ["…"], "finish_line": [33.53267,
-86.61961]}, …}``, the last two where there are any. The packaged one holds the seven
GR Cup circuits of 2025; its lengths are those of the official track maps (inches,
converted).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from importlib import resources
from typing import Any, NamedTuple


class TrackFileError(ValueError):
    """A track file that cannot be used; the message says where and why."""


class Sector(NamedTuple):
    """A piece of the lap, from its start up to its end [m since the line]."""

    name: str
    start_m: float
    end_m: float


class Track(NamedTuple):
    """
    A circuit: its length [m], its sectors, which cover the lap in order, and where its line is [deg].

    Times of sectors can be compared where ``layout`` is the same: it is 0, or names the
    reading of the track file that made its length or its sectors other than they were.
    """

    name: str
    total_m: float
    sectors: tuple[Sector, ...]
    aliases: tuple[str, ...] = ()
    finish_line: tuple[float, float] | None = None
    layout: int = 0

    def boundaries_m(self) -> tuple[float, ...]:
        """The sector ends, the line last; shape (sectors,) [m]."""
        return tuple(sector.end_m for sector in self.sectors)


def track_key(name: str) -> str:
    """A track's name as it is looked up: lower case, one underscore for each run of blanks or dashes."""
    return re.sub(r"[\s\-_]+", "_", name.strip().lower())


class Tracks:
    """The configured tracks, found by name or alias, in any case."""

    def __init__(self, tracks: Iterable[Track]) -> None:
        self._by_key: dict[str, Track] = {}
        self._tracks = tuple(tracks)
        for track in self._tracks:
            for name in (track.name, *track.aliases):
                self._by_key[track_key(name)] = track

    def __iter__(self) -> Iterator[Track]:
        return iter(self._tracks)

    def get(self, name: str) -> Track | None:
        """The track of that name or alias; None where it is not configured."""
        return self._by_key.get(track_key(name))

    def follow(self, before: Tracks, reading: int) -> tuple[Tracks, tuple[str, ...]]:
        """
        These tracks in the place of others; and the names of those that are other than they were, or gone, or new.

        Args:
            before: what was in force.
            reading: names those whose length or sectors have changed, more than 0.
        """
        tracks = []
        for track in self:
            known = before.get(track.name)
            kept = known is not None and known.boundaries_m() == track.boundaries_m()
            tracks.append(track._replace(layout=known.layout if known is not None and kept else reading))
        following = Tracks(tracks)
        names = dict.fromkeys(track.name for track in (*self, *before))
        return following, tuple(name for name in names if following.get(name) != before.get(name))


class CurrentTracks(Tracks):
    """Those that are in force, for who holds on to them: they change."""

    def change(self, tracks: Tracks) -> None:
        """Others are in force from now on."""
        self._tracks, self._by_key = tracks._tracks, tracks._by_key


def parse_tracks(text: str | bytes) -> Tracks:
    """
    The tracks of a track file.

    Raises:
        TrackFileError: not JSON, not of the form above, or sectors that do not
            cover the lap from 0 to ``total_m`` without a hole (0.5 m allowed).
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TrackFileError(f"not JSON: {error}") from None
    if not isinstance(content, dict) or not content:
        raise TrackFileError("wanted an object with a track or more in it")
    return Tracks(_track(name, entry) for name, entry in content.items())


def packaged_tracks() -> Tracks:
    """The seven GR Cup circuits that come with PitWall."""
    return parse_tracks(resources.files("pitwall.model").joinpath("tracks.json").read_bytes())


def _track(name: str, entry: Any) -> Track:
    _name(name, f"the track {name!a:.80}")
    if not isinstance(entry, dict):
        raise TrackFileError(f"{name}: wanted an object with total_m and sectors")
    total_m = _metres(entry.get("total_m"), f"{name}: total_m")
    if not 100 <= total_m <= 30000:
        raise TrackFileError(f"{name}: total_m is {total_m}, wanted 100 to 30000")
    rows = entry.get("sectors")
    if not isinstance(rows, list) or not 1 <= len(rows) <= 20:
        raise TrackFileError(f"{name}: wanted a list of 1 to 20 sectors")
    sectors: list[Sector] = []
    reached_m = 0.0
    for index, row in enumerate(rows):
        where = f"{name}: sector {index + 1}"
        if not isinstance(row, dict):
            raise TrackFileError(f"{where}: wanted an object with name, start_m and end_m")
        start_m, end_m = _metres(row.get("start_m"), f"{where}: start_m"), _metres(row.get("end_m"), f"{where}: end_m")
        if abs(start_m - reached_m) > 0.5:
            raise TrackFileError(f"{where}: start_m is {start_m}, wanted {reached_m}, where the last one ends")
        if end_m <= reached_m:
            raise TrackFileError(f"{where}: end_m is {end_m}, wanted more than where it starts, {reached_m}")
        sector = str(row.get("name", f"S{index + 1}"))
        _name(sector, f"{where}: the name {sector!a:.80}")
        sectors.append(Sector(sector, reached_m, end_m))
        reached_m = end_m
    if abs(reached_m - total_m) > 0.5 or total_m <= sectors[-1].start_m:
        raise TrackFileError(f"{name}: the sectors end at {reached_m} m, wanted total_m, {total_m}")
    sectors[-1] = sectors[-1]._replace(end_m=total_m)
    aliases = entry.get("aliases", [])
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise TrackFileError(f"{name}: aliases is not a list of names")
    for alias in aliases:
        _name(alias, f"{name}: the alias {alias!a:.80}")
    return Track(name, total_m, tuple(sectors), tuple(aliases), _finish_line(name, entry.get("finish_line")))


def _name(name: str, where: str) -> None:
    """JSON can say halves of characters, which no text can hold that is sent on, and what moves a terminal's cursor."""
    if not name.isprintable():
        raise TrackFileError(f"{where} can't be printed")


def _finish_line(name: str, value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise TrackFileError(f"{name}: finish_line is {value!r:.40}, wanted latitude and longitude")
    latitude, longitude = (_finite(each, f"{name}: finish_line", "degrees") for each in value)
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise TrackFileError(f"{name}: finish_line is {value!r:.40}, wanted latitude and longitude in degrees")
    return latitude, longitude


def _metres(value: Any, where: str) -> float:
    return _finite(value, where, "metres")


def _finite(value: Any, where: str, unit: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TrackFileError(f"{where} is {value!r:.40}, wanted {unit}")
    try:
        number = float(value)
    except OverflowError:  # an integer of more than 308 digits
        number = math.inf
    if not math.isfinite(number):
        raise TrackFileError(f"{where} is {number}, wanted a finite number of {unit}")
    return number
