"""Tracks and the file they come from."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import CurrentTracks, Track, TrackFileError, packaged_tracks, parse_tracks

#: Length and sector ends [m] by the official track maps, which give inches.
OFFICIAL = {
    "barber": (3674.7, [1029.0, 2609.4, 3674.7]),
    "cota": (5498.3, [1308.8, 3548.8, 5498.3]),
    "indianapolis": (3925.2, [1364.3, 2751.2, 3925.2]),
    "road_america": (6459.6, [2058.6, 4266.6, 6459.6]),
    "sebring": (6018.9, [1824.2, 3687.9, 6018.9]),
    "sonoma": (4031.4, [1384.8, 2806.6, 4031.4]),
    "virginia": (5262.6, [1652.6, 3810.6, 5262.6]),
}


def sectors(*ends_m: Any, start_m: Any = 0) -> list[dict[str, Any]]:
    """Sectors that follow one another."""
    starts = (start_m, *ends_m[:-1])
    return [{"name": f"S{n}", "start_m": a, "end_m": b} for n, (a, b) in enumerate(zip(starts, ends_m, strict=True), 1)]


class PackagedTests(SynchronousTestCase):
    """The tracks that come with PitWall."""

    def test_official(self) -> None:
        """The seven GR Cup tracks have the lengths and the sectors of their official maps."""
        found = {track.name: (track.total_m, list(track.boundaries_m())) for track in packaged_tracks()}
        self.assertEqual(found, OFFICIAL)

    def test_names(self) -> None:
        """A track is found however a team spells it."""
        tracks = packaged_tracks()
        for name, wanted in (
            ("VIR", "virginia"),
            ("Road America", "road_america"),
            (" road-america ", "road_america"),
            ("ROAD_AMERICA", "road_america"),
        ):
            found = tracks.get(name)
            assert found is not None, name
            self.assertEqual(found.name, wanted)
        self.assertIsNone(tracks.get("Nordschleife"))


class FollowTests(SynchronousTestCase):
    """Tracks take the place of others."""

    def test_layouts(self) -> None:
        """Those with another length or other sectors get a new layout; all that are not the same are named."""
        before = parse_tracks(
            json.dumps({name: {"total_m": 1000, "sectors": sectors(400, 1000)} for name in ("a", "b", "c", "gone")})
        )
        entry = {"total_m": 1000, "sectors": sectors(400, 1000)}
        text = {
            "a": entry,
            "b": {**entry, "sectors": sectors(500, 1000)},
            "c": {**entry, "aliases": ["d"]},
            "new": entry,
        }
        tracks, names = parse_tracks(json.dumps(text)).follow(before, 3)
        self.assertEqual([track.layout for track in tracks], [0, 3, 0, 3])
        self.assertEqual(names, ("b", "c", "new", "gone"))
        again, names = parse_tracks(json.dumps(text)).follow(tracks, 4)
        self.assertEqual((list(again), names), (list(tracks), ()))

    def test_current(self) -> None:
        """Who holds the current ones sees the change."""
        current = CurrentTracks(packaged_tracks())
        current.change(parse_tracks(json.dumps({"a": {"total_m": 1000, "sectors": sectors(1000)}})))
        self.assertIsNone(current.get("barber"))
        self.assertEqual([track.name for track in current], ["a"])


class ParseTests(SynchronousTestCase):
    """`parse_tracks` reads a team's own track file."""

    def parse(self, entry: Any) -> Track:
        """The track of a file that holds one."""
        (track,) = parse_tracks(json.dumps({"home": entry}))
        return track

    def test_own(self) -> None:
        """A track with its sectors and further names."""
        track = self.parse(
            {
                "total_m": 1000,
                "sectors": sectors(400, 1000),
                "aliases": ["Home Track"],
                "finish_line": [33.5, -86.25],
            }
        )
        self.assertEqual(track.finish_line, (33.5, -86.25))
        self.assertEqual(
            (track.total_m, track.boundaries_m(), track.aliases), (1000.0, (400.0, 1000.0), ("Home Track",))
        )

    def test_rounding(self) -> None:
        """Half a metre of rounding between sectors and at the end is closed."""
        rows = sectors(400.2, 999.8)
        rows[1]["start_m"] = 400.0
        track = self.parse({"total_m": 1000, "sectors": rows})
        self.assertEqual(track.sectors[1][1:], (400.2, 1000.0))

    def test_wrong(self) -> None:
        """What is wrong is said with its place."""
        good = sectors(400, 1000)
        beyond = [{"start_m": 0, "end_m": 400.4}, {"start_m": 400.4, "end_m": 400.45}]
        slipped = [{"start_m": 0, "end_m": 400.4}, {"start_m": 400, "end_m": 400.2}, {"start_m": 400.2, "end_m": 1000}]
        for entry, message in (
            (7, "home: wanted an object with total_m and sectors"),
            ({}, "home: total_m is None, wanted metres"),
            ({"total_m": True}, "home: total_m is True, wanted metres"),
            ({"total_m": "1000"}, "home: total_m is '1000', wanted metres"),
            ({"total_m": float("nan")}, "home: total_m is nan, wanted a finite number of metres"),
            ({"total_m": 10**400}, "home: total_m is inf, wanted a finite number of metres"),
            ({"total_m": 99}, "home: total_m is 99.0, wanted 100 to 30000"),
            ({"total_m": 1000}, "home: wanted a list of 1 to 20 sectors"),
            ({"total_m": 1000, "sectors": []}, "home: wanted a list of 1 to 20 sectors"),
            ({"total_m": 1000, "sectors": sectors(*range(1, 22))}, "home: wanted a list of 1 to 20 sectors"),
            ({"total_m": 1000, "sectors": [7]}, "home: sector 1: wanted an object with name, start_m and end_m"),
            ({"total_m": 1000, "sectors": sectors(1000, start_m=3)}, "home: sector 1: start_m is 3.0, wanted 0.0"),
            ({"total_m": 1000, "sectors": sectors(400, "far")}, "home: sector 2: end_m is 'far', wanted metres"),
            ({"total_m": 1000, "sectors": sectors(400, 300, 1000)}, "home: sector 2: end_m is 300.0, wanted more"),
            ({"total_m": 1000, "sectors": sectors(400, 900)}, "home: the sectors end at 900.0 m, wanted total_m"),
            ({"total_m": 1000, "sectors": slipped}, "home: sector 2: end_m is 400.2, wanted more than where it starts"),
            ({"total_m": 400, "sectors": beyond}, "home: the sectors end at 400.45 m, wanted total_m, 400.0"),
            ({"total_m": 1000, "sectors": good, "aliases": "h"}, "home: aliases is not a list of names"),
            ({"total_m": 1000, "sectors": good, "aliases": [1]}, "home: aliases is not a list of names"),
            ({"total_m": 1000, "sectors": good, "aliases": ["\ud800"]}, "home: the alias '\\ud800' can't be printed"),
            (
                {"total_m": 1000, "sectors": [{**good[0], "name": "\udfff"}, good[1]]},
                "home: sector 1: the name '\\udfff' can't be printed",
            ),
            (
                {"total_m": 1000, "sectors": good, "finish_line": [33.5]},
                "home: finish_line is [33.5], wanted latitude and",
            ),
            (
                {"total_m": 1000, "sectors": good, "finish_line": [91, 0]},
                "home: finish_line is [91, 0], wanted latitude",
            ),
            ({"total_m": 1000, "sectors": good, "finish_line": ["N", 0]}, "home: finish_line is 'N', wanted degrees"),
        ):
            error = self.assertRaises(TrackFileError, self.parse, entry)
            self.assertTrue(str(error).startswith(message), f"{error} for {entry}")

    def test_no_file_of_tracks(self) -> None:
        """A file that is no JSON object of tracks is refused, whatever its bytes."""
        for text in (
            b"",
            b"[]",
            b"{}",
            b"null",
            b"{",
            b"\xff",
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b'{"a":1' + b"0" * 5000,
            b'{"\\ud800": {"total_m": 1000, "sectors": [{"start_m": 0, "end_m": 1000}]}}',
        ):
            self.assertRaises(TrackFileError, parse_tracks, text)

    @given(
        st.lists(st.floats(-1, 3000), min_size=1, max_size=5), st.lists(st.floats(-0.7, 0.7), min_size=6, max_size=6)
    )
    def test_covers_the_lap(self, lengths: list[float], slips: list[float]) -> None:
        """Whatever is accepted covers the lap from the line to the line, each sector longer than nothing."""
        ends = [sum(lengths[: n + 1]) for n in range(len(lengths))]
        rows = sectors(*ends)
        for row, slip in zip(rows, slips, strict=False):
            row["start_m"] += slip
        try:
            track = self.parse({"total_m": ends[-1] + slips[-1], "sectors": rows})
        except TrackFileError:
            return
        self.assertEqual((track.sectors[0].start_m, track.sectors[-1].end_m), (0.0, track.total_m))
        for before, after in pairwise(track.sectors):
            self.assertEqual(before.end_m, after.start_m)
        for sector in track.sectors:
            self.assertGreater(sector.end_m, sector.start_m)
