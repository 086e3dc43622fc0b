"""``pitwall calibrate``, from files to a track file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import stat
import sys
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pitwall.cli import main
from pitwall.model.track import parse_tracks
from pitwall.model.trackfile import with_boundaries
from pitwall.sim.longform import LongRow
from tests.unit.race.timed import MAPPED, TRUE, official_csv, timed_race

OTHER = {"elsewhere": {"total_m": 500, "mine": [1], "sectors": [{"name": "A", "start_m": 0, "end_m": 500}]}}


@cache
def recorded() -> tuple[bytes, bytes]:
    """The recording of the race, packed, and its official timing."""
    race = timed_race(cars=2, laps=4)
    assert race.duration_s is not None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LongRow._fields)
    wanted = ("speed", "Laptrigger_lapdist_dls")
    writer.writerows(row for row in race.rows(0, race.duration_s + 1) if row.telemetry_name in wanted)
    return gzip.compress(text.getvalue().encode()), official_csv(race)


class CalibrateTests(SynchronousTestCase):
    """A simulated race of two cars, recorded in the long form, and a track file whose lines are 30 to 40 m off."""

    def setUp(self) -> None:
        """The files, in a folder of their own."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        (self.folder / "race.csv.gz").write_bytes(recorded()[0])
        (self.folder / "official.csv").write_bytes(recorded()[1])
        self.tracks = self.folder / "tracks.json"
        self.tracks.write_text(with_boundaries(json.dumps(OTHER), MAPPED, MAPPED.boundaries_m()[:-1]))

    def calibrate(
        self, *arguments: str, track: str = "SHORTWAY", official: str = "official.csv"
    ) -> tuple[int, str, str]:
        """The status, standard output and standard error."""
        output, errors = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", output)
        self.patch(sys, "stderr", errors)
        files = [str(self.folder / name) if not name.startswith("-") else name for name in arguments]
        status = main(["calibrate", "--track", track, "--official", str(self.folder / official), *files])
        return status, output.getvalue(), errors.getvalue()

    def test_written(self) -> None:
        """The track file gets the true boundaries, its other tracks stay, and its mode; nothing else is left behind."""
        self.tracks.chmod(0o640)
        status, output, errors = self.calibrate("--write", "tracks.json", "race.csv.gz")
        self.assertEqual((status, errors), (0, ""))
        found = parse_tracks(self.tracks.read_bytes()).get("shortway")
        assert found is not None
        for end_m, true_m in zip(found.boundaries_m(), TRUE.boundaries_m(), strict=True):
            self.assertLess(abs(end_m - true_m), 3.0)
        self.assertEqual(json.loads(self.tracks.read_text())["elsewhere"], OTHER["elsewhere"])
        self.assertEqual(stat.S_IMODE(self.tracks.stat().st_mode), 0o640)
        self.assertEqual(sorted(os.listdir(self.folder)), ["official.csv", "race.csv.gz", "tracks.json"])
        self.assertIn("written to", output)

    def test_said(self) -> None:
        """What was fitted is said: laps, old and new boundaries, each lap, and errors before and after."""
        _, output, _ = self.calibrate("--write", "tracks.json", "race.csv.gz")
        self.assertIn("8 laps, 0 lines refused", output)
        self.assertIn("shortway, 1200.0 m: 6 laps of 2 cars, 2 laps not used", output)
        self.assertRegex(output, r"S1/S2 +430\.0 +3(8[789]|9[0123])\.\d +\d\.\d")
        self.assertEqual(output.count("not used: no official lap of that time"), 2)
        self.assertRegex(output, r"by the old boundaries: +median \d\.\d+ s")
        self.assertRegex(output, r"by those of the other laps: +median 0\.\d+ s.* 100% within 0\.3 s")

    def test_again(self) -> None:
        """Calibrated once more, nothing changes."""
        self.calibrate("--write", "tracks.json", "race.csv.gz")
        first = self.tracks.read_bytes()
        self.calibrate("--write", "tracks.json", "race.csv.gz", "race.csv.gz")
        self.assertEqual(self.tracks.read_bytes(), first)

    def test_not_asked_to_write(self) -> None:
        """Without --write nothing is written; the track is one of the packaged ones then."""
        before = sorted(os.listdir(self.folder))
        status, _, errors = self.calibrate("race.csv.gz")
        self.assertEqual(status, 1)
        self.assertIn("no track 'SHORTWAY', wanted one of barber", errors)
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_what_is_wrong(self) -> None:
        """What can't be read or fitted ends with status 1 and a sentence, and leaves the track file alone."""
        before = self.tracks.read_bytes()
        (self.folder / "empty.csv").write_bytes(b"meta_time,telemetry_name,telemetry_value\n")
        for recording, official, words in (
            ("missing.csv", "official.csv", "missing.csv: no such file"),
            ("race.csv.gz", "missing.csv", "missing.csv: no such file"),
            ("race.csv.gz", "tracks.json", "tracks.json: no column NUMBER"),
            ("empty.csv", "official.csv", "0 laps, wanted 3 or more"),
        ):
            status, _, errors = self.calibrate("--write", "tracks.json", recording, official=official)
            self.assertEqual(status, 1)
            self.assertIn(words, errors)
            self.assertTrue(errors.startswith("pitwall calibrate: "))
        self.assertEqual(self.tracks.read_bytes(), before)
        self.tracks.write_text("{")
        self.assertIn("not JSON", self.calibrate("--write", "tracks.json", "race.csv.gz")[2])

    def test_new_file(self) -> None:
        """Where nothing could be fitted no track file is made."""
        status, output, errors = self.calibrate("--write", "new.json", "race.csv.gz", track="barber")
        self.assertEqual((status, errors), (1, "pitwall calibrate: 0 laps, wanted 3 or more\n"))
        self.assertNotIn("written", output)
        self.assertFalse((self.folder / "new.json").exists())

    def test_other_track(self) -> None:
        """Points of other tracks are counted and left out."""
        rows = "track,chassis,meta_time,lap,speed_kmh\nbarber,GR86-001-1,2025-09-06T18:40:00Z,1,100\n"
        (self.folder / "other.csv").write_text(rows)
        status, output, _ = self.calibrate("--write", "tracks.json", "other.csv", "race.csv.gz")
        self.assertEqual(status, 0)
        self.assertIn("1 points are of another track and were left out", output)
