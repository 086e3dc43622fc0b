"""The official timing as the benchmark of the forecast reads it."""

from __future__ import annotations

import os
from contextlib import redirect_stderr
from io import StringIO
from itertools import pairwise
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.forecast import forecast, play, scored_laps
from benchmarks.official import DATA_VARIABLE, OfficialLap, OfficialRace, laps_in, races, seconds
from pitwall.race.forecast import DEFAULT
from tests.unit.race.fields import a_race

HEADER = (
    "NUMBER; DRIVER_NUMBER; LAP_NUMBER; LAP_TIME; CROSSING_FINISH_LINE_IN_PIT; ELAPSED; HOUR;FLAG_AT_FL;"
    "S1_SECONDS;S2_SECONDS;S3_SECONDS;"
)
ROWS = (
    "3;1;1;1:54.168;;1:54.168;13:42:35.322;FCY;33.413;43.534;37.221;",
    "3;1;2;1:50.000;;3:44.168;13:44:25.322;GF;33.000;43.000;34.000;",
    "3;1;3;1:40.500;B;5:24.668;13:46:05.822;GF;33.000;43.000;24.500;",
    "3;1;4;2:10.000;;7:34.668;13:48:15.822;GF;;43.000;24.500;",
    "3;1;5;1:39.000;;9:13.668;13:49:54.822;FF;33.000;43.000;23.000;",
    "3;1;1;1:54.000;;1:54.000;13:42:35.000;GF;33.413;43.534;37.053;",
    "03;1;1;1:55.000;;1:55.000;13:42:36.000;GF;33.413;43.534;37.053;",
)


class OfficialTests(SynchronousTestCase):
    """Official timing files."""

    def laps(self, end: str = "\n", mark: bytes = b"") -> list[OfficialLap]:
        """Those of a small file."""
        return laps_in(mark + end.join((HEADER, *ROWS)).encode())

    def test_laps(self) -> None:
        """Laps come in the order of their ends, with times, sectors and marks, and lead from one to the next."""
        laps = [one for one in self.laps() if one.chassis == "3"]
        self.assertEqual([one.lap.number for one in laps], [1, 2, 3, 4, 5])
        self.assertEqual([one.lap.marks for one in laps], [("first",), (), ("in",), ("out",), ()])
        self.assertEqual(laps[1].lap.time_s, 110.0)
        self.assertEqual((laps[1].lap.sectors_s, laps[3].lap.sectors_s[0]), ((33.0, 43.0, 34.0), None))
        for before, after in pairwise(laps):
            self.assertAlmostEqual(before.lap.end_s or 0.0, after.lap.start_s, 3)

    def test_green(self) -> None:
        """A lap is green if it began and ended so or at the finish flag, away from the pits, and is not the first."""
        self.assertEqual([one.lap.number for one in self.laps() if one.green], [5])

    def test_bytes(self) -> None:
        """A byte order mark and CRLF make no difference."""
        self.assertEqual(self.laps("\r\n", b"\xef\xbb\xbf"), self.laps())

    def test_cars(self) -> None:
        """3 and 03 are two cars, and so are two whose numbers are printed alike."""
        self.assertEqual([one.chassis for one in self.laps() if one.lap.number == 1], ["3'", "3", "03"])

    def test_seconds(self) -> None:
        """Times of a lap and of a day."""
        self.assertAlmostEqual(seconds("1:54.168"), 114.168)
        self.assertAlmostEqual(seconds("13:42:35.322"), 49355.322)
        self.assertAlmostEqual(seconds("59.5"), 59.5)

    def test_no_data(self) -> None:
        """Without the recordings the benchmark says so, and measures nothing."""
        printed = StringIO()
        with patch.dict(os.environ), redirect_stderr(printed):
            os.environ.pop(DATA_VARIABLE, None)
            self.assertRaises(LookupError, races)
            self.assertEqual(forecast(), {})
        self.assertIn("PITWALL_DATA is not set", printed.getvalue())

    def test_played(self) -> None:
        """A race is scored on its green laps that had a green one before, and each method's error is told."""
        laps = [OfficialLap(chassis, lap, "GF", lap.number > 1) for chassis, lap in a_race(cars=6, laps=9)]
        race = OfficialRace("made up", tuple(laps))
        self.assertEqual(len(scored_laps(race)), 48)
        result = play(race, DEFAULT)
        self.assertEqual(result.n, 42)
        self.assertEqual(result.mae_s["published"], result.flags_mae_s["published"])
        self.assertAlmostEqual(result.mae_s["last_lap"], result.flags_mae_s["last_lap"])
        self.assertTrue(0 < result.mae_s["published"] < 1)
