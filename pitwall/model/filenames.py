"""
What the name of a file tells of the rows in it: the track, the car, and which lap trigger.

A key of a bucket, a path or a bare name will do: ``telemetry/barber/GR86-013-80.csv.gz``,
``R1_barber_lap_start.csv``.
"""

from __future__ import annotations

import re

from pitwall.model.channels import MAX_NAME
from pitwall.model.track import Tracks

#: The lap triggers there are.
TRIGGERS = ("lap_start", "lap_end", "lap_time")

_VEHICLE = re.compile(r"[A-Za-z0-9]+-\d{3}-\d{1,3}(?!\d)", re.ASCII)
# sonoma_lap_end_time_R1.csv has the times of lap ends, sonoma_lap_time_R1.csv lap times.
_TRIGGER = re.compile(r"lap[_\- ]?(start|end|time)", re.IGNORECASE)
_WORD = re.compile(r"[_\-. ]+")


def track_of(path: str, tracks: Tracks) -> str | None:
    """
    The track that a file's name or a folder tells, the nearest first.

    The name counts up to its first dot, as a whole or as some words of it.
    """
    *folders, name = path.split("/")
    stem = name.split(".")[0]
    for whole in (stem, *_runs(stem), *reversed(folders)):
        track = tracks.get(whole) if whole else None
        if track is not None:
            return track.name
    return None


def car_of(path: str) -> str | None:
    """The car whose vehicle id stands in a file's name, such as GR86-013-80; None without one."""
    found = _VEHICLE.search(_stem(path))
    return found[0][:MAX_NAME] if found else None


def stem_of(path: str) -> str | None:
    """A file's name up to its first dot; None where that is empty."""
    return _stem(path)[:MAX_NAME] or None


def trigger_of(path: str) -> str | None:
    """Which lap trigger a file's name tells; None for another file."""
    found = _TRIGGER.search(path.rsplit("/", 1)[-1])
    return f"lap_{found[1].lower()}" if found else None


def _runs(stem: str) -> list[str]:
    """The words of a name, neighbours together, the longest first."""
    words = [word for word in _WORD.split(stem) if word][:12]
    spans = [(end - start, start, end) for start in range(len(words)) for end in range(start + 1, len(words) + 1)]
    return ["_".join(words[start:end]) for _, start, end in sorted(spans, key=lambda span: (-span[0], span[1]))]


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].split(".")[0].strip()
