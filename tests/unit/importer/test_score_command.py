"""``pitwall score``, from recordings to laps and scores."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.cli import main
from pitwall.model.trackfile import with_boundaries
from pitwall.sim import Faults, Race, RaceConfig
from pitwall.sim.longform import LongRow
from tests.unit.race.timed import TRUE, official_csv

#: A car says nothing after the flag, so that the end of its last lap is not in the points.
LAPS = 6
SEEN = LAPS - 1


@cache
def a_race() -> Race:
    """Six laps of three cars whose clocks are days apart."""
    return Race(RaceConfig(track=TRUE, cars=3, laps=LAPS, real_rates=True, faults=Faults(clock_behind_h=(20, 90))))


@cache
def points() -> list[dict[str, Any]]:
    """What they send."""
    race = a_race()
    assert race.duration_s is not None
    return race.points(0, race.duration_s + 3)


@cache
def long_rows() -> bytes:
    """The same in the long form."""
    race = a_race()
    assert race.duration_s is not None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LongRow._fields)
    writer.writerows(race.rows(0, race.duration_s + 3))
    return gzip.compress(text.getvalue().encode())


def wide(rows: Iterable[dict[str, Any]]) -> bytes:
    """Points as CSV."""
    text = io.StringIO()
    names = ("meta_time", "track", "chassis", "timestamp", "lap", "lapdist_m", "speed_kmh", "accx_can", "accy_can")
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


class ScoreTests(SynchronousTestCase):
    """A simulated race on a track of its own, recorded in several forms."""

    def setUp(self) -> None:
        """The files, in a folder of their own."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        other = {"elsewhere": {"total_m": 500, "sectors": [{"name": "A", "start_m": 0, "end_m": 500}]}}
        self.write("tracks.json", with_boundaries(json.dumps(other), TRUE, TRUE.boundaries_m()[:-1]).encode())

    def write(self, name: str, content: bytes) -> str:
        """A file; returns its name."""
        (self.folder / name).write_bytes(content)
        return name

    def score(self, *arguments: str) -> tuple[int, str, str]:
        """The status, standard output and standard error."""
        output, errors = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", output)
        self.patch(sys, "stderr", errors)
        files = [str(self.folder / name) if "." in name else name for name in arguments]
        status = main(["score", "--tracks", str(self.folder / "tracks.json"), *files])
        return status, output.getvalue(), errors.getvalue()

    def told(self, *arguments: str) -> dict[str, Any]:
        """What it says as JSON, the names of the files left out."""
        status, output, errors = self.score("--json", *arguments)
        self.assertEqual((status, errors), (0, ""))
        found: dict[str, Any] = json.loads(output)
        self.assertTrue(found["ok"])
        for file in found["files"]:
            file["file"] = Path(file["file"]).name
        return found

    def check_laps(self, found: dict[str, Any]) -> None:
        """All laps of each car are there, the best of them as it was."""
        (race,) = found["races"]
        truth = a_race().truth
        self.assertEqual([car["chassis"] for car in race["cars"]], sorted(truth.chassis))
        for car in race["cars"]:
            self.assertEqual(car["laps"], SEEN)
            times = [truth.lap(car["chassis"], lap).lap_time_s for lap in range(2, SEEN + 1)]
            self.assertApproximates(car["best_lap_s"], min(times), 0.05)
            self.assertLessEqual(car["theoretical_best_s"], car["best_lap_s"])

    def test_forms(self) -> None:
        """The long form, wide CSV and JSON, packed or not, come to the same laps."""
        self.check_laps(self.told("--track", TRUE.name, self.write("long.csv.gz", long_rows())))
        self.check_laps(self.told(self.write("wide.csv", wide(points()))))
        self.check_laps(self.told(self.write("race.json", json.dumps({"telemetry": points()}).encode())))
        lines = b"".join(json.dumps(point).encode() + b"\n" for point in points())
        self.check_laps(self.told(self.write("race.ndjson", lines)))

    def test_order(self) -> None:
        """One file for each car, or a file with car after car and the newest first, is the same race."""
        whole = self.told(self.write("race.csv", wide(points())))
        names = []
        for index, chassis in enumerate(a_race().truth.chassis):
            own = [point for point in points() if point["chassis"] == chassis]
            names.append(self.write(f"car{index}.csv", wide(own)))
        self.assertEqual(self.told(*names)["races"], whole["races"])
        newest_first = points()[::-1]
        mixed = sorted(newest_first, key=lambda point: str(point["chassis"]))
        self.assertEqual(self.told(self.write("mixed.csv", wide(mixed)))["races"], whole["races"])

    def test_score(self) -> None:
        """The forecasts are scored, and the baselines and weights told, as by a server."""
        (race,) = self.told(self.write("race.csv", wide(points())))["races"]
        self.assertEqual((race["track"], race["length_m"]), (TRUE.name, TRUE.total_m))
        score = race["score"]
        self.assertGreater(score["n"], 0)
        self.assertEqual(score["mae_s"].keys(), {"published", *score["weights"]})
        self.assertApproximates(sum(score["weights"].values()), 1.0, 0.001)

    def test_said(self) -> None:
        """For people there is a line a car, and a line a method."""
        status, output, _ = self.score(self.write("race.csv", wide(points())))
        self.assertEqual(status, 0)
        self.assertIn(f"race.csv: {len(points())} points\n", output)
        self.assertEqual(output.count("GR86-"), 3)
        self.assertRegex(output, r"\nforecasts: \d+ scored")
        self.assertRegex(output, r"\npublished +\d\.\d{3}\nmodel +\d\.\d{3} +\d\.\d{3}\n")
        self.assertRegex(output, r"skill -?\d\.\d+ against \w+; the 90 % interval held \d+\.\d %")

    def test_timing(self) -> None:
        """Official timing has laps already, and is a race by itself beside the telemetry."""
        name = self.write(f"{TRUE.name}_23_Analysis.CSV", official_csv(a_race()))
        packed = self.write(f"{TRUE.name}_23_Analysis.CSV.gz", gzip.compress(official_csv(a_race())))
        found = self.told(name, packed, self.write("race.csv", wide(points())))
        self.assertEqual([file["kind"] for file in found["files"]], ["timing", "timing", "telemetry"])
        telemetry, timed, again = found["races"]
        self.assertEqual((telemetry["source"], timed["track"]), ("telemetry", TRUE.name))
        self.assertEqual((timed["cars"], timed["score"]), (again["cars"], again["score"]))
        self.assertEqual({car["laps"] for car in timed["cars"]}, {LAPS})
        self.assertEqual(timed["score"]["n"], telemetry["score"]["n"] + len(timed["cars"]))

    def test_cars_alike(self) -> None:
        """Cars whose numbers are printed alike are told apart by laps that begin again; a race may pass midnight."""
        rows = ["NUMBER;LAP_NUMBER;LAP_TIME;S1_SECONDS;HOUR;CROSSING_FINISH_LINE_IN_PIT"]
        for pit in ("", "B"):
            for lap, hour in enumerate(("23:59:00.000", "0:00:30.000", "0:02:00.000"), 1):
                rows.append(f"3;{lap};1:30.000;90;{hour};{pit if lap == 2 else ''}")
        (race,) = self.told(self.write("timing.csv", "\n".join(rows).encode()))["races"]
        self.assertEqual([(car["chassis"], car["laps"]) for car in race["cars"]], [("3", 3), ("3'", 3)])
        self.assertEqual([car["clean_laps"] for car in race["cars"]], [2, 0])

    def test_no_time(self) -> None:
        """Points without any time are counted and left out; a car's clock stands in for a ``meta_time``."""
        own = [{**point, "meta_time": ""} for point in points() if point["chassis"] == a_race().truth.chassis[0]]
        lost = [{**point, "timestamp": ""} for point in own[:7]]
        found = self.told(self.write("race.csv", wide([*lost, *own])))
        self.assertEqual([(file["points"], file["untimed"]) for file in found["files"]], [(len(own), 7)])
        self.assertEqual(found["races"][0]["cars"][0]["laps"], SEEN)
        status, _, errors = self.score(self.write("lost.csv", wide(lost)))
        self.assertEqual(status, 1)
        self.assertIn("lost.csv: 7 points, all without a time\n", errors)

    def test_what_is_wrong(self) -> None:
        """What can't be read ends with status 1 and one line that names it."""
        good = self.write("race.csv", wide(points()[:100]))
        self.write("cut.csv.gz", long_rows()[:2000])
        self.write("bad.gz", b"\x1f\x8b" + b"\xff" * 100)
        self.write("empty.csv", b"")
        self.write("letter.txt", b"Dear team,\nwe won.\n")
        self.write("timing.csv", b"NUMBER;LAP_NUMBER;LAP_TIME\n")
        for name, words in (
            ("missing.csv", "missing.csv: no such file"),
            ("cut.csv.gz", "cut.csv.gz: broken gzip"),
            ("bad.gz", "bad.gz: broken gzip"),
            ("empty.csv", "empty.csv: has no points in it"),
            ("letter.txt", "letter.txt: "),
            ("timing.csv", "timing.csv: no column S1_SECONDS"),
        ):
            status, output, errors = self.score(good, name)
            self.assertEqual((status, output), (1, ""), name)
            self.assertIn(words, errors)
            self.assertTrue(errors.startswith("pitwall score: "))
            self.assertEqual(errors.count("\n"), 1)
        self.write("tracks.json", b"{")
        self.assertIn("tracks.json: not JSON", self.score(good)[2])

    def test_unknown_track(self) -> None:
        """On a track that is not configured the length is learnt, and the lap is one sector."""
        other = [{**point, "track": "nowhere"} for point in points()]
        (race,) = self.told(self.write("race.csv", wide(other)))["races"]
        self.assertApproximates(race["length_m"], TRUE.total_m, 5.0)
        self.assertEqual({car["laps"] for car in race["cars"]}, {SEEN})
