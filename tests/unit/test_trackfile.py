"""The track file of the settings, read again."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import Tracks
from pitwall.trackfile import LARGEST, TrackFile


def content(end_m: float) -> str:
    """A track of two sectors, and one that stays as it is."""
    loop = [{"start_m": 0, "end_m": end_m}, {"start_m": end_m, "end_m": 1000}]
    other = [{"start_m": 0, "end_m": 2000}]
    return json.dumps({"loop": {"total_m": 1000, "sectors": loop}, "other": {"total_m": 2000, "sectors": other}})


class TrackFileTests(SynchronousTestCase):
    """`TrackFile` changes the tracks while the server runs."""

    def setUp(self) -> None:
        """A file, and who is told of changes."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name, "tracks.json")
        self.path.write_text(content(400))
        self.file = TrackFile(str(self.path))
        self.told: list[tuple[Tracks, tuple[str, ...]]] = []
        self.file.changed = lambda tracks, names: self.told.append((tracks, names))
        self.said: list[str] = []

        observe: Any = lambda event: self.said.append(event["log_format"].format(**event))  # noqa: E731
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def end_m(self) -> float:
        """Where the first sector ends, for who holds on to the tracks."""
        loop = self.file.tracks.get("loop")
        assert loop is not None
        return loop.boundaries_m()[0]

    def test_changed(self) -> None:
        """What changed is told with its name and a new layout; who holds the tracks sees it."""
        self.path.write_text(content(500))
        self.file.reload()
        ((tracks, names),) = self.told
        self.assertEqual((names, [track.layout for track in tracks], self.end_m()), (("loop",), [1, 0], 500))
        self.assertEqual(self.said, ["TRACK_SECTORS_PATH read: loop changed, for laps that begin from now on"])
        self.path.write_text(content(600))
        self.file.reload()
        self.assertEqual([track.layout for track in self.told[1][0]], [2, 0])

    def test_same(self) -> None:
        """A file that says the same changes nothing, and says so."""
        self.file.reload()
        self.assertEqual((self.told, self.said), ([], ["TRACK_SECTORS_PATH read: the tracks are what they were"]))

    def test_wrong(self) -> None:
        """A file that is wrong, too large or gone leaves the tracks as they were, with a line that says what it is."""
        for wrong, said in (
            ('{"loop": {"total_m": 1000, "sectors": [{"start_m": 0, "end_m": 900}]}}', "loop: the sectors end at 900"),
            ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1") + "{", "not JSON"),
            ("[" * 100_000, "not JSON"),
            (" " * (LARGEST + 1), f"it has over {LARGEST} bytes"),
        ):
            self.path.write_text(wrong)
            self.file.reload()
            self.assertIn(f"TRACK_SECTORS_PATH is {self.path}: {said}", self.said[-1])
            self.assertIn("; the tracks stay as they were", self.said[-1])
        self.path.write_bytes(b"\xff\xfe\x00")
        self.file.reload()
        self.assertIn("not JSON", self.said[-1])
        self.path.unlink()
        self.file.reload()
        self.assertIn("it can't be read: No such file", self.said[-1])
        self.assertEqual((self.told, self.end_m()), ([], 400))

    def test_names_in_the_log(self) -> None:
        """However many tracks change, and whatever they are called, it is one short line."""
        sectors = [{"start_m": 0, "end_m": 1000}]
        names = ["a\u2028b", "x" * 1000, *(str(number) for number in range(98))]
        self.path.write_text(json.dumps({names[0]: {"total_m": 1000, "sectors": sectors}}))
        self.file.reload()
        self.assertIn("'a\\u2028b' can't be printed", self.said[-1])
        del names[0]
        self.path.write_text(json.dumps({name: {"total_m": 1000, "sectors": sectors} for name in names}))
        self.file.reload()
        self.assertLess(len(self.said[-1]), 300)
        self.assertNotIn("\n", self.said[-1])
        self.assertIn("and 96 more changed", self.said[-1])

    def test_packaged(self) -> None:
        """Without a file there is nothing to read again."""
        packaged = TrackFile(None)
        packaged.reload()
        self.assertEqual(self.said, [])
        self.assertIsNotNone(packaged.tracks.get("barber"))
