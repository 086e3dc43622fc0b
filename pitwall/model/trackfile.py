"""
A track file with other sector boundaries: what else is in it stays as it is.

`pitwall.model.track` says what a track file is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pitwall.model.track import Track, parse_tracks, track_key


def with_boundaries(content: str | bytes, track: Track, ends_m: Sequence[float]) -> str:
    """
    A track file's text with new boundaries of one track.

    Other tracks stay as they are, as do the names of the sectors and what else is said of
    the track. One that is not in the file is added.

    Args:
        content: of the file; empty where there is none yet.
        track: the track, for its length and aliases where the file does not have it.
        ends_m: of all sectors but the last [m]; rounded to 0.1 m.

    Raises:
        TrackFileError: the content is no track file, or the boundaries do not rise from 0 to the track's length.
    """
    tracks: dict[str, Any] = {}
    if content:
        parse_tracks(content)
        tracks = json.loads(content)
    name = next((known for known in tracks if track_key(known) == track_key(track.name)), track.name)
    entry = tracks.get(name)
    if entry is None:
        entry = {"total_m": track.total_m}
        if track.aliases:
            entry["aliases"] = list(track.aliases)
    before = entry.get("sectors", [])
    marks = [0, *(round(float(end), 1) for end in ends_m), entry["total_m"]]
    sectors = []
    for index, (start_m, end_m) in enumerate(pairwise(marks)):
        kept = before[index] if len(before) == len(marks) - 1 else {"name": f"S{index + 1}"}
        sectors.append({**kept, "start_m": start_m, "end_m": end_m})
    text = _text({**tracks, name: {**entry, "sectors": sectors}})
    parse_tracks(text)
    return text


def _text(tracks: dict[str, Any]) -> str:
    """The JSON of track files as they are packaged: a sector a line."""
    lines = []
    for name, entry in tracks.items():
        fields = []
        for key, value in entry.items():
            told = json.dumps(value, ensure_ascii=False)
            if key == "sectors":
                rows = ",\n".join(f"      {json.dumps(sector, ensure_ascii=False)}" for sector in value)
                told = f"[\n{rows}\n    ]"
            fields.append(f"    {json.dumps(key, ensure_ascii=False)}: {told}")
        lines.append(f"  {json.dumps(name, ensure_ascii=False)}: {{\n" + ",\n".join(fields) + "\n  }")
    return "{\n" + ",\n".join(lines) + "\n}\n"
