"""The race on one track: laps, bests, corrections, and the track's length where it is not configured."""

from __future__ import annotations

from typing import Any

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.car import LapChange
from pitwall.race.lap import MINI_SECTORS, Lap
from pitwall.race.race import MOST_LAPS, TrackRace
from pitwall.race.report import CarTick
from pitwall.sim import Faults
from tests.unit.race.recordings import SHORTWAY, START_S, analysis, in_parts, recording


def a_lap(number: int, time_s: float | None, marks: tuple[str, ...] = (), **more: Any) -> Lap:
    """A lap of about a hundred seconds, in two sectors."""
    sectors = (None, None) if time_s is None else (40.0, round(time_s - 40.0, 3))
    minis = (None if time_s is None else round(time_s / MINI_SECTORS, 3),) * MINI_SECTORS
    start_s = START_S + 100 * number
    return Lap(number, start_s, time_s, more.pop("sectors_s", sectors), minis, (600.0, 400.0), marks=marks, **more)


class TrackRaceTests(SynchronousTestCase):
    """`TrackRace` takes the reports of a tick in."""

    def setUp(self) -> None:
        """Two cars on a track of a kilometre."""
        self.race = self.a_race(1000.0)

    def a_race(self, length_m: float | None) -> TrackRace:
        """A race that knows two cars."""
        race = TrackRace("short", length_m, 0.5)
        race.know(0, "A")
        race.know(1, "B")
        return race

    def ends(self, *laps: Lap, car: int = 0, corrected: bool = False, race: TrackRace | None = None) -> None:
        """Laps of a car end, at one tick."""
        at_ms = round(1000 * (laps[-1].end_s or laps[-1].start_s)) + 1000
        changes = [LapChange(lap, corrected) for lap in laps]
        tick = CarTick(
            car, at_ms, at_ms / 1000, 0.0, 0, 0.0, [], changes, None, 1.0, 0.0, 100.0, 100.0, None, 0, 0, (), (), 1, 9
        )
        (race or self.race).tick(at_ms, [tick])

    def result(self, car: int = 0) -> dict[str, Any]:
        """What is added to a car's result."""
        result: dict[str, Any] = {"meta": {}}
        self.race.fill(result, car)
        return result

    def test_bests(self) -> None:
        """The best lap, and the sum of the best sectors, are those of clean laps."""
        self.ends(
            a_lap(1, 99.0, ("first",)),
            a_lap(2, 101.0),
            a_lap(3, 100.0, sectors_s=(39.0, 61.0)),
            a_lap(4, 90.0, ("out",)),
        )
        self.assertEqual(self.result()["bestLapSeconds"], 100.0)
        self.assertEqual(self.result()["theoreticalBestSeconds"], 100.0)
        self.ends(a_lap(5, 102.0, sectors_s=(42.0, 60.0)))
        self.assertEqual(self.result()["bestLapSeconds"], 100.0)
        self.assertEqual(self.result()["theoreticalBestSeconds"], 99.0)
        self.assertEqual(self.result()["lastLap"], {"lap": 5, "time": 102.0, "kind": "clean"})
        self.assertNotIn("bestLapSeconds", self.result(1))
        self.ends(a_lap(2, 98.0), car=1)
        self.assertEqual((self.race.best_s, self.race.sectors_s, self.race.minis_s[0]), (98.0, [39.0, 58.0], 3.92))

    def test_corrected(self) -> None:
        """A lap that is told again takes the place of what it was told to be, also as the best one."""
        self.ends(a_lap(1, 95.0), a_lap(2, 101.0))
        self.ends(a_lap(1, 102.0), corrected=True)
        self.assertEqual(self.result()["bestLapSeconds"], 101.0)
        self.assertEqual(self.race.best_s, 101.0)
        (correction,) = self.race.corrections
        self.assertEqual((correction["track"], correction["chassis"], correction["lap"]), ("short", "A", 1))
        self.assertEqual(correction["changed"]["lapTime"], [95.0, 102.0])
        self.assertEqual(correction["changed"]["sectorTimes"], [[40.0, 55.0], [40.0, 62.0]])
        self.assertNotIn("stress", correction["changed"])
        self.assertEqual(list(self.race.cars[0].laps), [1, 2])
        self.assertEqual(self.race.cars[0].corrected, {1})

    def test_gap_at_the_line(self) -> None:
        """How far behind the first of that lap a car ended it; a correction says when that has changed."""
        self.ends(a_lap(1, 100.0))
        self.ends(a_lap(1, 101.5), car=1)
        self.assertEqual(self.race.gap_at_line_s(self.race.cars[0].laps[1]), 0.0)
        self.assertEqual(self.race.gap_at_line_s(self.race.cars[1].laps[1]), 1.5)
        self.assertIsNone(self.race.gap_at_line_s(a_lap(1, None)))
        self.ends(a_lap(1, 100.5), car=1, corrected=True)
        self.assertEqual(self.race.corrections[0]["changed"]["gapAtLineSeconds"], [1.5, 0.5])

    def test_late_lap(self) -> None:
        """A lap that is told after later ones is put in its place."""
        self.ends(a_lap(1, 100.0), a_lap(3, 100.0))
        self.ends(a_lap(2, 100.0))
        self.assertEqual(list(self.race.cars[0].laps), [1, 2, 3])
        self.assertEqual(self.result()["lastLap"]["lap"], 3)

    def test_own_laps_unmarked(self) -> None:
        """What the field says of a lap is not written into what a worker told."""
        lap = a_lap(1, 100.0)
        self.ends(lap)
        self.assertIsNot(self.race.cars[0].laps[1], lap)
        self.assertEqual(lap, a_lap(1, 100.0))

    def test_stress_index(self) -> None:
        """The stress of a car's last clean lap, 100 for the median of the field."""
        self.assertNotIn("tireStressIndex", self.result())
        self.ends(a_lap(1, 100.0))
        self.assertEqual(self.result()["tireStressIndex"], 100.0)
        more = a_lap(1, 100.0)
        more.stress = (900.0, 600.0)
        self.ends(more, car=1)
        self.assertEqual((self.result()["tireStressIndex"], self.result(1)["tireStressIndex"]), (80.0, 120.0))

    def test_bounded(self) -> None:
        """Only so many laps are kept of a car."""
        for number in range(1, MOST_LAPS + 50):
            self.ends(a_lap(number, 100.0, length_m=1000.0))
        self.assertEqual(len(self.race.cars[0].laps), MOST_LAPS)
        self.assertEqual(next(iter(self.race.cars[0].laps)), 50)

    def test_forgotten(self) -> None:
        """A car that is not followed any more is in no table."""
        self.ends(a_lap(1, 100.0))
        self.ends(a_lap(1, 100.0), car=1)
        self.race.forget(0)
        self.assertEqual([gap["chassis"] for gap in self.race.gaps], ["B"])
        self.assertIsNone(self.race.forget(0))
        self.race.fill({"meta": {}}, 0)

    def test_length(self) -> None:
        """The length of a track that is not configured is the median of what the laps of all cars came to."""
        race = self.a_race(None)
        self.ends(a_lap(1, 100.0, ("first",), length_m=500.0), race=race)
        self.ends(a_lap(2, 100.0, length_m=1001.0), race=race)
        self.assertIsNone(race.length_m)
        self.ends(a_lap(2, 100.0, length_m=999.0), car=1, race=race)
        self.assertEqual(race.length_m, 1000.0)
        self.ends(a_lap(3, 100.0, length_m=1004.0), car=1, race=race)
        self.assertEqual(race.length_m, 1001.0)
        # A lap that is told again counts once, and as it is.
        self.ends(a_lap(3, 100.0, length_m=990.0), car=1, corrected=True, race=race)
        self.assertEqual(race.length_m, 999.0)
        self.ends(a_lap(3, 100.0, ("estimated",), length_m=990.0), car=1, corrected=True, race=race)
        self.assertEqual(race.length_m, 1000.0)

    def test_configured(self) -> None:
        """That of one that is configured is what it is."""
        for number in (1, 2, 3):
            self.ends(a_lap(number, 100.0, length_m=900.0))
        self.assertEqual(self.race.length_m, 1000.0)


class SimulatedRaceTests(SynchronousTestCase):
    """Whole races, from points to tables."""

    def test_learnt_length(self) -> None:
        """The length of a track that is not configured is learnt within half a metre, in spite of noise."""
        faults = Faults(lapdist_noise_m=0.5)
        made = recording(150, track=SHORTWAY, cars=4, seed=2, real_rates=True, faults=faults)
        found = analysis([made.rows], made.numbers, SHORTWAY, configured=False)
        (track,) = found.book.tracks()
        self.assertFalse(track["configured"])
        self.assertEqual((track["sector_ends_m"], track["finish_line"]), ([], None))
        self.assertApproximates(track["length_m"], 1200.0, 0.5)

    def test_laps_of_all(self) -> None:
        """Each lap of each car is there once, timed right, and the best ones are the best."""
        made = recording(150, track=SHORTWAY, cars=4, seed=2, rate_hz=22)
        book = analysis(in_parts(made.rows, 700), made.numbers, SHORTWAY).book
        truth = made.race.truth
        best = {}
        for chassis in truth.chassis:
            rows = book.laps(chassis)
            self.assertEqual([row["lap"] for row in rows], [1, 2, 3, 4])
            wanted = [truth.lap(chassis, lap).lap_time_s for lap in (1, 2, 3, 4)]
            np.testing.assert_allclose([row["lap_time_s"] for row in rows], wanted, atol=0.002)
            best[chassis] = min(wanted[1:])
            (fastest,) = (row for row in rows if row["best"])
            self.assertApproximates(fastest["lap_time_s"], best[chassis], 0.002)
            for row in rows:
                self.assertApproximates(
                    row["gap_at_line_s"],
                    truth.lap(chassis, row["lap"]).end_s
                    - min(truth.lap(each, row["lap"]).end_s for each in truth.chassis),
                    0.003,
                )
        self.assertEqual(
            [row["chassis"] for row in book.laps() if row["field_best"]], [min(best, key=best.__getitem__)]
        )
        self.assertEqual(len(book.tracks()[0]["best_minis_s"]), MINI_SECTORS)
