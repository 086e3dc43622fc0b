"""The races on all tracks: who is told what, in which order, and what is known of whom."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import Tracks
from pitwall.race.book import MOST_CORRECTIONS, RaceBook
from pitwall.race.report import CarTick
from pitwall.race.share import TickMark, Told
from tests.unit.race.recordings import SHORT, SHORTWAY, START_S, analysis, in_parts, recording
from tests.unit.race.test_analysis import late, real_race

SHORTWAY_NAME = "shortway"


def a_tick(car: int, at_ms: int, way_m: float) -> CarTick:
    """A car that is so far in its first lap."""
    at_s = at_ms / 1000
    moment = (at_s, 0, way_m)
    return CarTick(car, at_ms, at_s, 0.0, 0, 0.0, [moment], [], None, 1.0, 0.0, 90.0, 90.0, 1, 0, 0, (), (), 1, 9)


class RaceBookTests(SynchronousTestCase):
    """`RaceBook` works ticks off once all have told of them."""

    def setUp(self) -> None:
        """Two cars on a track that is configured, and one on another."""
        self.book = RaceBook(Tracks([SHORT]))
        for number, track, chassis in ((0, "short", "A"), (1, "short", "B"), (2, "elsewhere", "A")):
            self.book.know(number, track, chassis)
        self.at_ms = round(START_S * 1000)

    def told(self, seq: int, *cars: CarTick, after_ms: int = 0, track: str = "short") -> None:
        """A worker tells of a tick."""
        self.book.collect(Told([TickMark(track, self.at_ms + after_ms, seq)], list(cars)))

    def positions(self, track: str | None = "short") -> list[str]:
        """The order on a track."""
        return [gap["chassis"] for gap in self.book.gaps(track)]

    def test_once_all_have_told(self) -> None:
        """A tick waits until every worker has read as far; what the workers told of it is taken together."""
        self.told(100, a_tick(0, self.at_ms, 50.0))
        self.assertEqual(list(self.book.due(99)), [])
        self.assertTrue(self.book.pending)
        self.told(100, a_tick(1, self.at_ms, 80.0))
        self.assertEqual(list(self.book.due(100)), [[]])
        self.assertFalse(self.book.pending)
        self.assertEqual(self.positions(), ["B", "A"])
        self.assertEqual(self.book.races["short"].at_ms, self.at_ms)

    def test_in_order(self) -> None:
        """Ticks are worked off in the order of the points, whoever told of them first."""
        self.told(200, a_tick(0, self.at_ms + 600, 70.0), after_ms=600)
        self.told(100, a_tick(0, self.at_ms, 50.0))
        self.told(150, a_tick(2, self.at_ms, 10.0), track="elsewhere")
        seen = []
        for _ in self.book.due(300):
            seen.append({track: race.at_ms - self.at_ms for track, race in self.book.races.items() if race.at_ms})
        self.assertEqual(seen, [{"short": 0}, {"short": 0, "elsewhere": 0}, {"short": 600, "elsewhere": 0}])

    def test_tracks_apart(self) -> None:
        """Cars are compared with those on their own track alone, also where a chassis is on two."""
        self.told(100, a_tick(0, self.at_ms, 70.0), a_tick(1, self.at_ms, 50.0))
        self.told(100, a_tick(2, self.at_ms, 10.0), track="elsewhere")
        self.assertEqual(len(list(self.book.due(100))), 2)
        places = [(gap["track"], gap["chassis"], gap["position"]) for gap in self.book.gaps()]
        self.assertEqual(places, [("elsewhere", "A", 1), ("short", "A", 1), ("short", "B", 2)])

    def test_forgotten(self) -> None:
        """A car that is not followed any more is in no table, and a track without cars is gone."""
        self.told(100, a_tick(0, self.at_ms, 70.0), a_tick(1, self.at_ms, 50.0))
        list(self.book.due(100))
        self.assertEqual(self.book.forget(0), [])
        self.assertEqual((self.positions(), self.book.followed()), (["B"], [1, 2]))
        self.book.forget(2)
        self.assertEqual(list(self.book.races), ["short"])
        self.assertEqual(self.book.forget(2), [])
        # What was told of it on the way is nobody's.
        self.told(200, a_tick(2, self.at_ms, 70.0), track="elsewhere")
        self.assertEqual(list(self.book.due(200)), [])

    def test_unknown_car(self) -> None:
        """A result of a car that is not known is left as it is but for what the contract wants."""
        result: dict[str, Any] = {"track": "short", "meta": {}}
        self.book.fill(result, 77)
        self.assertEqual(result["laps_until_0_5s_loss"], 99.0)
        nowhere: dict[str, Any] = {"track": "nowhere", "meta": {}}
        self.book.fill(nowhere, 77)
        self.assertEqual(nowhere, {"track": "nowhere", "meta": {}})

    def test_corrections_taken(self) -> None:
        """Corrections are told once, and only so many are kept for one who never asks."""
        race = self.book.races["short"]
        race.corrections = [{"lap": number} for number in range(MOST_CORRECTIONS + 5)]
        taken = self.book.take_corrections()
        self.assertEqual((len(taken), taken[-1]), (MOST_CORRECTIONS, {"lap": MOST_CORRECTIONS + 4}))
        self.assertEqual(self.book.take_corrections(), [])


class TablesTests(SynchronousTestCase):
    """What the tables of a race have in them."""

    def test_sheet(self) -> None:
        """Laps, oldest first; what they come to; the track; and the score."""
        made = real_race(150.0)
        book = analysis(in_parts(made.rows, 999), made.numbers, made.race.track).book
        chassis = sorted(made.numbers)
        self.assertEqual(
            sorted((row["chassis"], row["lap"]) for row in book.laps()),
            [(car, lap) for car in chassis for lap in (1, 2, 3, 4)],
        )
        starts = [row["start"] for row in book.laps()]
        self.assertEqual(starts, sorted(starts))
        self.assertEqual([row["lap"] for row in book.laps(chassis[1], SHORTWAY_NAME)], [1, 2, 3, 4])
        self.assertEqual(book.laps(track="elsewhere"), [])
        for summary in book.cars():
            rows = book.laps(summary["chassis"])
            self.assertEqual((summary["laps"], summary["clean_laps"]), (4, 3))
            self.assertEqual(summary["best_lap_s"], min(row["lap_time_s"] for row in rows[1:]))
            self.assertLessEqual(summary["theoretical_best_s"], summary["best_lap_s"])
        (track,) = book.tracks()
        self.assertEqual((track["track"], track["length_m"], track["configured"]), (SHORTWAY_NAME, 1200.0, True))
        self.assertEqual((track["sector_ends_m"][-1], track["finish_line"]), (1200.0, None))
        self.assertEqual(track["best_lap_s"], min(row["lap_time_s"] for row in book.laps() if row["kind"] == "clean"))
        self.assertEqual(book.score()["tracks"].keys(), {SHORTWAY_NAME})

    def test_corrections_add_up(self) -> None:
        """Whoever keeps the laps as they were told, and corrects them as they are told, has the tables."""
        made = recording(150, track=SHORTWAY, cars=3, seed=4, rate_hz=22)
        kept: dict[tuple[str, int], dict[str, Any]] = {}
        found = analysis([], made.numbers, made.race.track, finish=False)
        names = {
            "lapTime": "lap_time_s",
            "sectorTimes": "sector_times_s",
            "stress": "sector_stress_g2m",
            "marks": "marks",
        }
        said = 0

        def listen() -> None:
            nonlocal said
            for row in found.book.laps():
                kept.setdefault((row["chassis"], row["lap"]), {name: row[name] for name in names.values()})
            for each in found.corrections[said:]:
                told = kept[each["chassis"], each["lap"]]
                for name, (_, now) in each["changed"].items():
                    if name in names:
                        told[names[name]] = now
            said = len(found.corrections)

        for part in in_parts(late(made, 5), 300):
            found.take(part)
            listen()
        found.finish()
        listen()
        self.assertGreater(said, 3)
        self.assertEqual(
            kept,
            {(row["chassis"], row["lap"]): {name: row[name] for name in names.values()} for row in found.book.laps()},
        )
