"""Another track file while the race goes on: laps that began before keep their sectors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import Sector, Track, Tracks
from pitwall.race.analysis import Analysis
from pitwall.race.car import Car, Stored
from pitwall.race.layouts import MOST_LAYOUTS, Layouts
from pitwall.race.report import car_report
from tests.unit.race.recordings import SHORT, SHORTWAY, START_S, Rows, hand_made, in_parts, names_of
from tests.unit.race.test_analysis import real_race

#: The same kilometre in three sectors, and of another length.
THIRDS = Track(
    "short", 1000.0, (Sector("S1", 0.0, 300.0), Sector("S2", 300.0, 700.0), Sector("S3", 700.0, 1000.0)), layout=1
)
LONGER = SHORT._replace(total_m=1020.0, sectors=(Sector("S1", 0.0, 400.0), Sector("S2", 400.0, 1020.0)), layout=2)
#: Elsewhere, but as many.
MOVED = SHORTWAY._replace(
    sectors=(Sector("S1", 0.0, 300.0), Sector("S2", 300.0, 900.0), Sector("S3", 900.0, 1200.0)), layout=1
)


def driven(from_s: float, to_s: float) -> Rows:
    """The short track at 30 m/s."""
    times = np.arange(from_s, to_s, 0.05)
    return hand_made(times, lapdist_m=(200 + 30 * times) % 1000, speed_kmh=108.0, accy_can=1.0)


class CarTests(SynchronousTestCase):
    """A car of whose track another length or other sectors come to be told."""

    def laps(self, car: Car) -> dict[int, tuple[int, int]]:
        """How many sectors each lap has, and its layout."""
        for lap in car.laps:
            if lap.time_s is not None and None not in lap.sectors_s:
                self.assertAlmostEqual(sum(each for each in lap.sectors_s if each is not None), lap.time_s, 6)
        return {lap.number: (len(lap.sectors_s), lap.layout) for lap in car.laps}

    def test_next_lap(self) -> None:
        """The lap that goes on keeps its sectors; the next one has those of now, and each adds up to its lap."""
        car = Car(SHORT)
        car.take(driven(0, 70))
        car.tick()
        car.change_track(THIRDS)
        self.assertEqual(len(car_report(0, "short", "car", car).result["perSectorStress"]), 2)
        car.take(driven(70, 140))
        car.tick()
        self.assertEqual(self.laps(car), {2: (2, 0), 3: (2, 0), 4: (3, 1)})
        shown = car_report(0, "short", "car", car).result
        self.assertEqual((len(shown["perSectorStress"]), len(shown["meta"]["sectorTimes"])), (3, 3))

    def test_sector_times_shown(self) -> None:
        """At the beginning of the first lap with other sectors, the times of the last lap's are not shown as theirs."""
        car = Car(SHORT)
        car.take(driven(0, 70))
        car.change_track(THIRDS)
        # The line is at 93.3 s.
        car.take(driven(70, 97))
        car.tick()
        shown = car_report(0, "short", "car", car).result
        self.assertEqual((list(shown["perSectorStress"]), shown["meta"]["sectorTimes"]), (["0", "1", "2"], {}))

    def test_late(self) -> None:
        """A lap that late points touch is computed again with the sectors that it began with."""
        rows = driven(0, 140)
        rows["accy_can"][800:814] = 2.0
        late = (rows["time_s"] > START_S + 40) & (rows["time_s"] < START_S + 40.7)
        car = Car(SHORT)
        car.take(rows[~late & (rows["time_s"] < START_S + 100)])
        car.change_track(THIRDS)
        car.take(rows[~late & (rows["time_s"] >= START_S + 100)])
        car.tick()
        before = self.laps(car)
        car.take(rows[late])
        (change,) = car.tick(final=True)
        self.assertEqual((change.lap.number, change.corrected, len(change.lap.sectors_s)), (2, True, 2))
        self.assertEqual(self.laps(car), before)

    def test_another_length(self) -> None:
        """Another length is that of laps that begin from then on; their sectors end where the file says."""
        car = Car(SHORT)
        car.take(driven(0, 70))
        car.change_track(LONGER)
        car.take(driven(70, 140))
        car.tick()
        times = {lap.number: lap.sectors_s[0] for lap in car.laps}
        # 400 m of 1,000 and of 1,020.
        self.assertAlmostEqual(times[3] or 0, 400 / 30, 1)
        self.assertAlmostEqual(times[4] or 0, 400 / 30.6, 1)
        self.laps(car)

    def test_configured_and_not(self) -> None:
        """A track that comes into the file has its sectors; one that is taken out of it has one."""
        car = Car(None)
        for index, track in enumerate((THIRDS, None, None)):
            car.take(driven(70 * index, 70 * (index + 1)))
            car.change_track(track)
        car.tick()
        self.assertEqual(self.laps(car), {2: (1, 0), 3: (1, 0), 4: (3, 1), 5: (3, 1), 6: (1, 0)})

    def test_stored(self) -> None:
        """A car that is stored and read again in the midst of it goes on the same."""

        def told(store: bool) -> bytes:
            car, said = Car(SHORT), []
            for index, part in enumerate(in_parts(driven(0, 200), 331)):
                if index == 4:
                    car.change_track(THIRDS)
                if store:
                    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(car.store()), type=Stored)
                    car = Car(car.track, stored)
                car.take(part)
                said += [car.tick(), car_report(0, "short", "car", car)]
            return msgspec.json.encode(said)

        self.assertEqual(told(True), told(False))

    def test_before_it_is_heard(self) -> None:
        """A car that has told nothing yet has the tracks of now."""
        car = Car(SHORT)
        car.change_track(THIRDS)
        car.take(driven(0, 20))
        self.assertEqual(len(car_report(0, "short", "car", car).result["perSectorStress"]), 3)

    def test_again_and_again(self) -> None:
        """However often the tracks change, a car remembers few."""
        layouts = Layouts(SHORT)
        for number in range(1000):
            layouts.change(THIRDS._replace(layout=number), float(number))
        self.assertEqual(len(layouts.store()), MOST_LAYOUTS)
        self.assertEqual(layouts.at(1e9).number, 999)
        layouts.drop_before(998.5)
        self.assertEqual([at for at, _ in layouts.store()], [998.0, 999.0])
        layouts.begin_anew()
        self.assertEqual(layouts.at(-1.0).number, 999)


class RaceTests(SynchronousTestCase):
    """The whole computation, with other sectors after so many rows."""

    at = 5000

    def analysed(self, before: Iterable[Rows], after: Iterable[Rows]) -> Analysis:
        """A race whose track is another after the first rows."""
        analysis = Analysis(Tracks([SHORTWAY]), 0.6)
        analysis.know(names_of(real_race(150.0).numbers, SHORTWAY.name))
        for part in before:
            analysis.take(part)
        analysis.change_tracks(Tracks([MOVED]), (SHORTWAY.name,))
        for part in after:
            analysis.take(part)
        analysis.finish()
        return analysis

    def test_cut(self) -> None:
        """How rows are cut into batches makes no difference to any lap."""
        rows = real_race(150.0).rows
        whole = self.analysed([rows[: self.at]], [rows[self.at :]]).book
        cut = self.analysed(in_parts(rows[: self.at], 37), in_parts(rows[self.at :], 41)).book
        self.assertEqual(cut.laps(), whole.laps())
        self.assertEqual({row["layout"] for row in whole.laps()}, {0, 1})

    def test_best_sectors(self) -> None:
        """The best of a sector is of laps that have it: of the field's, and of each car's."""
        rows = real_race(150.0).rows
        book = self.analysed([rows[: self.at]], [rows[self.at :]]).book
        self.assertEqual(book.take_changed_tracks(), [SHORTWAY.name])
        (track,) = book.tracks()
        self.assertEqual((track["layout"], track["sector_ends_m"]), (1, [300.0, 900.0, 1200.0]))
        clean = [row for row in book.laps() if row["kind"] == "clean" and row["layout"] == 1]
        self.assertGreater(len(clean), 2)
        self.assertEqual(track["best_sectors_s"], best(clean))
        for car in book.cars():
            own = [row for row in clean if row["chassis"] == car["chassis"]]
            self.assertAlmostEqual(car["theoretical_best_s"], round(sum(best(own)), 3), 6)
        self.assertEqual(track["best_lap_s"], min(row["lap_time_s"] for row in book.laps() if row["kind"] == "clean"))

    def test_before_any_lap(self) -> None:
        """Until a lap with the new sectors has ended, no time is told of them."""
        rows = real_race(150.0).rows
        analysis = Analysis(Tracks([SHORTWAY]), 0.6)
        analysis.know(names_of(real_race(150.0).numbers, SHORTWAY.name))
        analysis.take(rows)
        self.assertEqual(len(analysis.book.tracks()[0]["best_sectors_s"]), 3)
        analysis.change_tracks(Tracks([MOVED]))
        (track,) = analysis.book.tracks()
        self.assertEqual((track["best_sectors_s"], track["sector_ends_m"]), ([], [300.0, 900.0, 1200.0]))
        self.assertEqual({car["theoretical_best_s"] for car in analysis.book.cars()}, {None})
        self.assertIsNotNone(track["best_lap_s"])


def best(rows: list[dict[str, Any]]) -> list[float]:
    """The best time of each sector."""
    return [min(row["sector_times_s"][index] for row in rows) for index in range(3)]
