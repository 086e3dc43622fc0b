"""Track files with other boundaries."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import Track, TrackFileError, packaged_tracks, parse_tracks
from pitwall.model.trackfile import with_boundaries

CONTENT = resources.files("pitwall.model").joinpath("tracks.json").read_text()


class TrackFileTests(SynchronousTestCase):
    """``with_boundaries``."""

    def setUp(self) -> None:
        """A packaged track."""
        track = packaged_tracks().get("barber")
        assert track is not None
        self.track: Track = track

    def test_replaced(self) -> None:
        """Only the boundaries of the one track change, in tenths of a metre; all else stays."""
        text = with_boundaries(CONTENT, self.track, (1037.94, 2613.4))
        before, after = json.loads(CONTENT), json.loads(text)
        self.assertEqual([sector["end_m"] for sector in after["barber"]["sectors"]], [1037.9, 2613.4, 3674.7])
        self.assertEqual([sector["start_m"] for sector in after["barber"]["sectors"]], [0, 1037.9, 2613.4])
        before["barber"]["sectors"] = after["barber"]["sectors"]
        self.assertEqual(after, before)
        self.assertEqual(list(after), list(before))

    def test_unchanged(self) -> None:
        """The packaged file with the boundaries it has comes out byte by byte."""
        self.assertEqual(with_boundaries(CONTENT, self.track, self.track.boundaries_m()[:-1]), CONTENT)

    def test_unknown_keys(self) -> None:
        """What PitWall does not know of a track or a sector stays, and the sectors' names."""
        first: dict[str, Any] = {"name": "Esses", "start_m": 0, "end_m": 400, "colour": "red"}
        second: dict[str, Any] = {"name": "Rest", "start_m": 400, "end_m": 1000}
        entry = {
            "total_m": 1000,
            "surface": {"grip": 0.9},
            "sectors": [first, second],
            "aliases": ["Kürzel"],
        }
        track = Track("Short Way", 1000.0, ())
        text = with_boundaries(json.dumps({"short-way": entry}), track, [390])
        wanted = {**entry, "sectors": [{**first, "end_m": 390.0}, {**second, "start_m": 390.0}]}
        self.assertEqual(json.loads(text), {"short-way": wanted})

    def test_new(self) -> None:
        """A track that is not in the file is added, and a file that is not there begins with it."""
        for content in ("", json.dumps({"other": {"total_m": 500, "sectors": [{"start_m": 0, "end_m": 500}]}})):
            tracks = parse_tracks(with_boundaries(content, self.track._replace(aliases=("alias",)), (1000, 2000)))
            found = tracks.get("alias")
            assert found is not None
            self.assertEqual((found.name, found.total_m), ("barber", 3674.7))
            self.assertEqual(found.boundaries_m(), (1000.0, 2000.0, 3674.7))

    def test_refused(self) -> None:
        """What is no track file, and boundaries that do not rise to the track's length, are refused."""
        self.assertRaises(TrackFileError, with_boundaries, "[]", self.track, (1000, 2000))
        for ends_m in ((2000, 1000), (0, 2000), (1000, 4000)):
            self.assertRaises(TrackFileError, with_boundaries, CONTENT, self.track, ends_m)
