"""What is worth a line on the pit wall: said once, changed, cleared, and kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from twisted.python.monkey import MonkeyPatcher
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race import insights
from pitwall.race.evidence import MOST_INPUTS, inputs_of, recomputed
from pitwall.race.findings import CarMemory
from pitwall.race.formulas import SEVERITIES, TYPES
from pitwall.race.insights import MOST_KEPT, CarNow, InsightBook
from tests.unit.race.insight_cars import RACES, START_MS, TICK_MS, a_car, a_gap, a_lap, a_pace

Ticks = Sequence[tuple[int, Sequence[CarNow]]]


class BookCase(SynchronousTestCase):
    """A book that has heard nothing yet."""

    def setUp(self) -> None:
        """Nothing has been said."""
        self.book = InsightBook()
        self.now_ms = START_MS

    def tick(self, *cars: CarNow, after_s: float = TICK_MS / 1000) -> list[dict[str, Any]]:
        """What is new to say of cars, some time after the last tick."""
        self.now_ms += int(after_s * 1000)
        return self.book.tick("barber", self.now_ms, cars)

    def said(self, *cars: CarNow, after_s: float = TICK_MS / 1000) -> list[tuple[str, str, str]]:
        """Subject, state and severity of what is new."""
        return [(new["data"]["subject"], new["state"], new["severity"]) for new in self.tick(*cars, after_s=after_s)]


class InsightTests(BookCase):
    """An insight as clients get it."""

    def test_contract(self) -> None:
        """An insight has what it always had, and beside it its id, state, formula, inputs with units, and points."""
        (wear,) = self.tick(a_car(pace=a_pace(0.05, 0.01)))
        self.assertEqual(
            wear,
            {
                "id": "i1",
                "type": "tire_wear",
                "severity": "low",
                "state": "raised",
                "message": "losing 0.05 s a lap (0.04 to 0.06, 8 laps)",
                "chassis": "GR86-004-78",
                "track": "barber",
                "timestamp": START_MS + TICK_MS,
                "formula": "tire_wear.loss",
                "data": {
                    "subject": "loss",
                    "predicted_loss_per_lap_seconds": 0.05,
                    "loss_low": 0.04,
                    "loss_high": 0.06,
                    "laps": 8,
                    "stress_g2m": 1800.0,
                },
                "inputs": {
                    "loss_per_lap_s": {"value": 0.05, "unit": "s/lap"},
                    "loss_low": {"value": 0.04, "unit": "s/lap"},
                    "loss_high": {"value": 0.06, "unit": "s/lap"},
                    "laps": {"value": 8, "unit": "laps"},
                    "stress_g2m": {"value": 1800.0, "unit": "g²·m"},
                    "standing": {"value": "none", "unit": "severity"},
                    "lasted_s": {"value": 0.0, "unit": "s"},
                    "lasted_laps": {"value": 0, "unit": "laps"},
                    "points": {"value": 60, "unit": "points"},
                },
                "first_seq": 101,
                "last_seq": 1300,
            },
        )

    def test_healthy(self) -> None:
        """Of a car that runs well nothing is said, nor of one that nothing is known of yet."""
        self.assertEqual(self.said(a_car(), CarNow("GR86-001-1", 1, 2)), [])

    def test_raised_changed_cleared(self) -> None:
        """It is said when it arises, when its severity changes, and when it is over, and not in between."""
        for loss, said in (
            (0.05, [("loss", "raised", "low")]),
            (0.07, []),
            (0.09, [("loss", "changed", "medium")]),
            (0.06, []),
            (0.05, [("loss", "changed", "low")]),
            (0.03, []),
            (0.01, [("loss", "cleared", "low")]),
            (0.01, []),
            (0.05, [("loss", "raised", "low")]),
        ):
            self.assertEqual(self.said(a_car(pace=a_pace(loss))), said, loss)

    def test_over(self) -> None:
        """What is over shows the figures it is over by."""
        self.tick(a_car(pace=a_pace(0.05)))
        (over,) = self.tick(a_car(pace=a_pace(0.01)))
        self.assertEqual(over["message"], "the pace holds again, losing 0.01 s a lap")
        self.assertEqual(over["inputs"]["loss_per_lap_s"]["value"], 0.01)
        self.assertEqual(over["inputs"]["standing"]["value"], "low")

    def test_stop(self) -> None:
        """Tires that last a few laps only are said with the laps that are left."""
        self.assertEqual(self.said(a_car(pace=a_pace(0.2))), [("loss", "raised", "high"), ("stop", "raised", "medium")])

    def test_fight(self) -> None:
        """A car that can attack is said when that has lasted four seconds, and is over after eight."""
        near = a_car(gap=a_gap(0.6))
        self.assertEqual(self.said(near), [])
        self.assertEqual(self.said(a_car(), after_s=1.0), [])
        self.assertEqual(self.said(near, after_s=1.5), [])
        self.assertEqual(self.said(near, after_s=4.0), [("attack:GR86-022-13", "raised", "medium")])
        self.assertEqual(self.said(a_car(gap=a_gap(1.2))), [])
        self.assertEqual(self.said(a_car()), [])
        self.assertEqual(self.said(near, after_s=2.9), [])
        self.assertEqual(self.said(a_car()), [])
        self.assertEqual(self.said(a_car(), after_s=8.0), [("attack:GR86-022-13", "cleared", "medium")])

    def test_from_both_sides(self) -> None:
        """A car that attacks while it is attacked is in a worse place."""
        both = a_car(gap=a_gap(0.6, 0.5))
        self.tick(both)
        self.assertEqual(
            self.said(both, after_s=4.0),
            [("attack:GR86-022-13", "raised", "high"), ("pressure:GR86-033-46", "raised", "medium")],
        )

    def test_next_rival(self) -> None:
        """Past one car and behind the next, that is another fight."""
        self.tick(a_car(gap=a_gap(0.6)))
        self.tick(a_car(gap=a_gap(0.6)), after_s=4.0)
        past = a_car(gap=a_gap(0.6, ahead="GR86-005-5"))
        self.assertEqual(self.said(past), [])
        self.assertEqual(self.said(past, after_s=4.0), [("attack:GR86-005-5", "raised", "medium")])
        (over,) = self.tick(past, after_s=4.0)
        self.assertEqual(
            (over["state"], over["message"]), ("cleared", "no more fight with GR86-022-13, now at position 2")
        )

    def test_trend(self) -> None:
        """Where the pace is heading is said when it still is a lap later."""
        worse = a_pace(trend="degrading")
        self.assertEqual(self.said(a_car(pace=worse, last_lap=a_lap(7))), [])
        self.assertEqual(self.said(a_car(pace=worse, last_lap=a_lap(7)), after_s=90), [])
        self.assertEqual(self.said(a_car(pace=worse, last_lap=a_lap(8))), [("trend:degrading", "raised", "low")])
        better = a_pace(trend="improving")
        self.assertEqual(self.said(a_car(pace=better, last_lap=a_lap(9))), [])
        self.assertEqual(
            self.said(a_car(pace=better, last_lap=a_lap(10))),
            [("trend:degrading", "cleared", "low"), ("trend:improving", "raised", "low")],
        )

    def test_slow_lap(self) -> None:
        """A lap is held against what was foretold for it, not against what was foretold after it."""
        self.tick(a_car(last_lap=a_lap(7), pace=a_pace(forecast_high_s=98.6)))
        slow = a_car(last_lap=a_lap(8, 99.9), pace=a_pace(forecast_high_s=100.5))
        self.assertEqual(self.said(slow), [("slow", "raised", "medium")])
        self.assertEqual(self.said(slow), [])
        self.assertEqual(self.said(a_car(last_lap=a_lap(9, 98.2))), [("slow", "cleared", "medium")])

    def test_no_forecast(self) -> None:
        """A lap that nothing was foretold for, or that was an in-lap, is not slow."""
        self.assertEqual(self.said(a_car(last_lap=a_lap(7, 140.0))), [])
        self.assertEqual(self.said(a_car(last_lap=a_lap(9, 140.0))), [])
        self.assertEqual(self.said(a_car(last_lap=a_lap(10, 140.0, ("in",)))), [])

    def test_fastest_lap(self) -> None:
        """The fastest lap is said of the car that drove it, until another one is faster."""
        self.assertEqual(self.said(a_car(best_lap_s=97.0)), [("best", "raised", "low")])
        self.assertEqual(
            self.said(
                a_car(best_lap_s=97.0, field_best_s=96.9), a_car("GR86-022-13", best_lap_s=96.9, field_best_s=96.9)
            ),
            [("best", "cleared", "low"), ("best", "raised", "low")],
        )

    def test_anomalies(self) -> None:
        """What is wrong with a car's data is said for each thing by itself."""
        bad = a_car(stuck=("speed_kmh", "rpm"), flipped=("accx_can",), clock="stopped", silent_s=6.0)
        self.assertEqual(
            self.said(bad),
            [
                ("stuck:rpm", "raised", "medium"),
                ("stuck:speed_kmh", "raised", "high"),
                ("flipped:accx_can", "raised", "medium"),
                ("silent", "raised", "medium"),
            ],
        )
        self.assertEqual(self.said(bad, after_s=2.0), [("clock:stopped", "raised", "medium")])
        self.assertEqual(self.said(a_car(stuck=("rpm",))), [("silent", "cleared", "medium")])
        self.assertEqual(self.said(a_car(stuck=("rpm",)), after_s=2.0), [("stuck:speed_kmh", "cleared", "high")])
        self.assertEqual(
            self.said(a_car(stuck=("rpm",)), after_s=10.0),
            [("flipped:accx_can", "cleared", "medium"), ("clock:stopped", "cleared", "medium")],
        )
        self.assertEqual([each["data"]["subject"] for each in self.book.standing()], ["stuck:rpm"])

    def test_clock_set(self) -> None:
        """A clock that is set is said for a minute; the first session of a car is no setting."""
        self.assertEqual(self.said(a_car(sessions=0)), [])
        self.assertEqual(self.said(a_car(sessions=1)), [])
        self.assertEqual(self.said(a_car(sessions=2)), [("clock:set", "raised", "low")])
        self.assertEqual(self.said(a_car(sessions=3), after_s=59.0), [])
        self.assertEqual(self.said(a_car(sessions=3), after_s=59.0), [])
        self.assertEqual(self.said(a_car(sessions=3), after_s=1.0), [("clock:set", "cleared", "low")])
        self.assertEqual(self.said(a_car(sessions=1), after_s=1.0), [])

    def test_each_car(self) -> None:
        """Each car has its own, also where the same chassis is on two tracks."""
        worn = a_car(pace=a_pace(0.05))
        self.assertEqual(len(self.said(worn, a_car("GR86-022-13", pace=a_pace(0.05)))), 2)
        self.assertEqual(len(self.book.tick("cota", self.now_ms, [worn])), 1)
        self.assertEqual(self.book.tick("cota", self.now_ms, [worn]), [])

    def test_forgotten(self) -> None:
        """What stands of a car that is not followed any more is cleared, and nothing is remembered of it."""
        for number in range(1000):
            self.tick(a_car(f"GR86-{number}", pace=a_pace(0.05)))
            (over,) = self.book.forget("barber", f"GR86-{number}")
            self.assertEqual((over["state"], over["severity"]), ("cleared", "low"))
            self.assertTrue(recomputed(over)["agrees"])
        self.assertEqual((self.book._cars, self.book._tick_ms), ({}, {}))
        self.assertEqual(self.book.forget("barber", "GR86-0"), [])


class KeptTests(BookCase):
    """What was said can be asked for again."""

    def test_by_id(self) -> None:
        """An insight is found by its id, as it was sent."""
        (sent,) = self.tick(a_car(pace=a_pace(0.05)))
        self.assertEqual(self.book.get(sent["id"]), sent)
        self.assertIsNone(self.book.get("i2"))
        self.assertIsNone(self.book.recomputed("i2"))

    def test_last_ones(self) -> None:
        """The last 500 are kept, and what stands, however old; nothing else."""
        (old,) = self.tick(a_car("GR86-022-13", pace=a_pace(0.05)))
        for number in range(MOST_KEPT + 100):
            self.tick(a_car(pace=a_pace(0.05 if number % 2 else 0.0)))
        newest = self.book.newest(10_000)
        self.assertEqual(len(newest), MOST_KEPT)
        self.assertEqual([each["id"] for each in newest], [f"i{number}" for number in range(101, 601)])
        self.assertIsNone(self.book.get("i50"))
        self.assertEqual(self.book.get(old["id"]), old)
        self.assertEqual([each["id"] for each in self.book.standing()], ["i1", "i600"])
        self.assertEqual(len(self.book._kept), MOST_KEPT)

    def test_chosen(self) -> None:
        """They can be asked for by track, chassis and type, and as many as are wanted."""
        self.tick(a_car(pace=a_pace(0.2)), a_car("GR86-022-13", pace=a_pace(0.05)))
        self.book.tick("cota", self.now_ms, [a_car(silent_s=9.0)])

        def ids(found: list[dict[str, Any]]) -> list[str]:
            return [insight["id"] for insight in found]

        for asked in (self.book.newest, self.book.standing):
            self.assertEqual(ids(asked(10)), ["i1", "i2", "i3", "i4"])
            self.assertEqual(ids(asked(2)), ["i3", "i4"])
            self.assertEqual(ids(asked(0)), [])
            self.assertEqual(ids(asked(10, track="cota")), ["i4"])
            self.assertEqual(ids(asked(10, chassis="GR86-004-78")), ["i1", "i2", "i4"])
            self.assertEqual(ids(asked(1, chassis="GR86-004-78", track="barber")), ["i2"])
            self.assertEqual(ids(asked(10, type_="tire_wear")), ["i1", "i3"])

    def test_tampered(self) -> None:
        """An insight that does not follow from its inputs is found out."""
        (sent,) = self.tick(a_car(pace=a_pace(0.05)))
        self.assertTrue(recomputed(sent)["agrees"])
        for spoilt in (
            {**sent, "severity": "high"},
            {**sent, "state": "changed"},
            {**sent, "message": "losing 0.06 s a lap"},
            {**sent, "inputs": {**sent["inputs"], "loss_per_lap_s": {"value": 0.01, "unit": "s/lap"}}},
            {**sent, "inputs": {**sent["inputs"], "standing": {"value": "low", "unit": "severity"}}},
        ):
            self.assertFalse(recomputed(spoilt)["agrees"])

    def test_long_inputs(self) -> None:
        """Inputs over 64 KiB are cut, which they say, and still agree with what was said."""
        long = a_gap(0.6, ahead="x" * 100_000)
        self.tick(a_car(gap=long))
        (sent,) = self.tick(a_car(gap=long), after_s=4.0)
        self.assertLess(len(json.dumps(sent)), 4096)
        self.assertEqual(sent["inputs"]["cut"]["value"], "ahead")
        self.assertEqual(sent["inputs"]["ahead"]["value"], "x" * 64)
        self.assertTrue(recomputed(sent)["agrees"])

    def test_cut_as_needed(self) -> None:
        """Only what must be is cut, the longest first."""
        values: dict[str, Any] = {"a": "x" * 40_000, "b": "y" * 50_000, "c": 1.0}
        inputs = inputs_of(values, {"c": "s"})
        self.assertEqual(inputs["cut"]["value"], "b")
        self.assertEqual((inputs["a"]["value"], inputs["c"]), (values["a"], {"value": 1.0, "unit": "s"}))
        self.assertLessEqual(len(json.dumps(inputs)), MOST_INPUTS)


def run(ticks: Ticks, turned: bool = False) -> tuple[InsightBook, list[dict[str, Any]]]:
    """A book after ticks, the cars of each in turn or the other way round, and what it said."""
    book, now_ms, said = InsightBook(), START_MS, []
    for after_ms, cars in ticks:
        now_ms += after_ms
        said += book.tick("barber", now_ms, cars[::-1] if turned else cars)
    return book, said


class AnyRaceTests(SynchronousTestCase):
    """What holds whatever happens in a race."""

    @settings(max_examples=25)
    @given(RACES)
    def test_states(self, ticks: Ticks) -> None:
        """Nothing is raised twice, changed or cleared without having been raised, or changed to what it was."""
        book, said = run(ticks)
        standing: dict[tuple[str, str], str] = {}
        for new in said:
            key = new["chassis"], f"{new['formula']} {new['data']['subject']}"
            if new["state"] == "raised":
                self.assertNotIn(key, standing)
            elif new["state"] == "changed":
                self.assertNotEqual(standing[key], new["severity"])
            else:
                self.assertEqual((new["state"], standing.pop(key)), ("cleared", new["severity"]))
                continue
            standing[key] = new["severity"]
        told = {
            (new["chassis"], f"{new['formula']} {new['data']['subject']}"): new["severity"] for new in book.standing()
        }
        self.assertEqual(told, standing)

    @settings(max_examples=25)
    @given(RACES)
    def test_agrees(self, ticks: Ticks) -> None:
        """Each insight follows from the inputs that are kept of it, also after a journey through JSON."""
        book, said = run(ticks)
        for new in said:
            again = book.recomputed(new["id"])
            assert again is not None
            self.assertTrue(again["agrees"], (new, again))
            self.assertTrue(recomputed(json.loads(json.dumps(new)))["agrees"])
            self.assertEqual(book.get(new["id"]), new)

    @settings(max_examples=25)
    @given(RACES)
    def test_same_again(self, ticks: Ticks) -> None:
        """The same race says the same, byte for byte, whatever the order of the cars within a tick."""
        first = json.dumps(run(ticks)[1])
        self.assertEqual(json.dumps(run(ticks)[1]), first)
        self.assertEqual(json.dumps(run(ticks, turned=True)[1]), first)

    @settings(max_examples=25)
    @given(RACES)
    def test_shortcut(self, ticks: Ticks) -> None:
        """That a car's laps are not looked at where they tell nothing new changes nothing."""

        class Restless(CarMemory):
            """Has news of laps at every tick."""

            def note(self, car: CarNow, at_ms: int) -> None:
                super().note(car, at_ms)
                self.lap_is_news = True

        def told(said: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
            return [(new["id"], new["state"], new["severity"], new["data"], new["timestamp"]) for new in said]

        quick = told(run(ticks)[1])
        patch = MonkeyPatcher((insights, "CarMemory", Restless))
        self.assertEqual(told(patch.runWithPatches(run, ticks)[1]), quick)

    @settings(max_examples=25)
    @given(RACES)
    def test_shape(self, ticks: Ticks) -> None:
        """Types, severities and states are those of the contract, and every input has a value and a unit."""
        for new in run(ticks)[1]:
            self.assertIn(new["type"], TYPES)
            self.assertIn(new["severity"], SEVERITIES)
            self.assertIn(new["state"], ("raised", "changed", "cleared"))
            for held in new["inputs"].values():
                self.assertEqual(list(held), ["value", "unit"])

    @settings(max_examples=25)
    @given(RACES)
    def test_bounded(self, ticks: Ticks) -> None:
        """A car is watched for no more than there is to say of it, and not at all once it is forgotten."""
        book, _ = run(ticks)
        for car in book._cars.values():
            self.assertLess(len(car.watched), 40)
        for chassis in ("GR86-004-78", "GR86-022-13"):
            for over in book.forget("barber", chassis):
                self.assertEqual(over["state"], "cleared")
                self.assertTrue(recomputed(over)["agrees"])
        self.assertEqual((book._cars, book.standing()), ({}, []))
