"""What forecasts were worth, and the book that keeps them."""

from __future__ import annotations

from msgspec import json
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.forecast import BASELINES, COMBINATION, METHODS, Forecast
from pitwall.race.history import MOST_LAPS
from pitwall.race.paces import PaceBook, play
from pitwall.race.score import LATEST_SCORED, Scoreboard, skill
from tests.unit.race.fields import START_S, a_lap, a_race


def a_forecast(lap: int, time_s: float, **parts_s: float) -> Forecast:
    """A forecast half a second to either side; methods not named expect 100 s."""
    parts = {**dict.fromkeys(METHODS, 100.0), **parts_s}
    return Forecast(lap, time_s, time_s - 0.5, time_s + 0.5, COMBINATION, dict.fromkeys(METHODS, 0.25), parts, {})


class ScoreboardTests(SynchronousTestCase):
    """Forecasts against the laps they were of."""

    def test_empty(self) -> None:
        """Before any lap was scored nothing is claimed."""
        told = Scoreboard().told()
        self.assertEqual((told["n"], told["skill"], told["coverage90"], told["mae_s"]), (0, None, None, None))

    def test_errors(self) -> None:
        """Mean absolute errors of what was published and of each method, and the share inside the interval."""
        board = Scoreboard()
        board.add("a", a_forecast(2, 100.2, last_lap=101.0), 100.0)
        board.add("a", a_forecast(3, 100.6, last_lap=98.0), 100.0)
        told = board.told()
        self.assertEqual((told["n"], told["coverage90"]), (2, 0.5))
        self.assertEqual((told["mae_s"]["published"], told["mae_s"]["last_lap"]), (0.4, 1.5))

    def test_skill(self) -> None:
        """Skill is against the baseline that turns out to have been the best."""
        mae_s = {"published": 0.6, "model": 0.1, "last_lap": 1.0, "median_of_3": 0.8, "field_relative": 2.0}
        self.assertAlmostEqual(skill(mae_s) or 0.0, 0.25)
        self.assertIsNone(skill({**mae_s, "median_of_3": 0.0}))
        board = Scoreboard()
        board.add("a", a_forecast(2, 100.3, last_lap=101.0, median_of_3=100.4, field_relative=99.0), 100.0)
        self.assertEqual((board.told()["best_baseline"], board.told()["skill"]), ("median_of_3", 0.25))

    def test_cars(self) -> None:
        """Each car has a score of its own; one that is forgotten keeps its part in that of all."""
        board = Scoreboard()
        board.add("b", a_forecast(2, 100.0), 100.0)
        board.add("a", a_forecast(2, 100.0), 101.0)
        board.discard("a")
        self.assertEqual(list(board.told()["cars"]), ["a", "b"])
        self.assertEqual([car["n"] for car in board.told()["cars"].values()], [1, 1])
        self.assertEqual((board.told()["discarded"], board.told()["cars"]["a"]["discarded"]), (1, 1))
        board.forget("a")
        self.assertEqual((list(board.told()["cars"]), board.told()["n"]), (["b"], 2))

    def test_latest(self) -> None:
        """The latest are told one by one, oldest first, and not more than there is room for."""
        board = Scoreboard()
        for lap in range(LATEST_SCORED + 7):
            board.add("a", a_forecast(lap, 100.0), 100.25)
        latest = board.told()["latest"]
        self.assertEqual((len(latest), latest[0]["lap"], latest[-1]["lap"]), (LATEST_SCORED, 7, LATEST_SCORED + 6))
        self.assertEqual((latest[0]["time_s"], latest[0]["forecast_s"], latest[0]["chassis"]), (100.25, 100.0, "a"))


class BookTests(SynchronousTestCase):
    """The book of a track."""

    def test_scored_and_discarded(self) -> None:
        """A forecast of a clean lap is scored, one of a lap under caution is discarded and counted."""
        score = play(a_race(cars=10, laps=12, cautions={8: 1.4})).score()
        # From lap 3 on, but lap 8.
        self.assertEqual((score["n"], score["discarded"]), (90, 10))
        self.assertEqual(set(score["weights"]), set(METHODS))
        self.assertEqual(set(score["mae_s"]), {"published", *METHODS})
        self.assertIn(score["best_baseline"], BASELINES)
        json.encode(score)

    def test_lap_missing(self) -> None:
        """A forecast of a lap that never came is discarded."""
        race = [(chassis, lap) for chassis, lap in a_race(cars=10, laps=12) if (chassis, lap.number) != ("car-01", 6)]
        score = play(race).score()
        self.assertEqual((score["n"], score["discarded"]), (98, 1))
        self.assertEqual(score["cars"]["car-01"]["discarded"], 1)

    def test_pace(self) -> None:
        """A car that loses a tenth a lap to the field is told to, and when half a second will be gone."""
        pace = play(a_race(cars=15, laps=25, noise_s=0.15, loss_s={5: 0.1})).pace("car-05")
        assert pace is not None
        self.assertTrue(pace.relative)
        self.assertApproximates(pace.loss_per_lap_s, 0.1, 0.03)
        self.assertTrue(pace.loss_interval[0] < 0.1 < pace.loss_interval[1])
        self.assertApproximates(pace.laps_until_loss, 5.0, 2.0)
        self.assertTrue(pace.laps_interval[0] < pace.laps_until_loss < pace.laps_interval[1] <= 99.0)
        self.assertEqual(pace.laps, 24)
        self.assertIn(pace.trend, ("improving", "stable", "degrading"))
        self.assertGreater(pace.consistency or 0, 99)

    def test_threshold(self) -> None:
        """How great a loss is waited for is a setting."""
        race = a_race(cars=15, laps=25, noise_s=0.15, loss_s={5: 0.1})
        half, whole = play(race).pace("car-05"), play(race, loss_s=1.0).pace("car-05")
        assert half is not None and whole is not None
        self.assertAlmostEqual(2 * half.laps_until_loss, whole.laps_until_loss)

    def test_stint(self) -> None:
        """A pit stop begins a stint: the loss is unknown again, the level is that of fresh tires."""
        race = a_race(cars=15, laps=17, noise_s=0.1, loss_s={5: 0.2}, stops={5: 14})
        before, after = play([one for one in race if one[1].number < 14]), play(race)
        worn, fresh = before.pace("car-05"), after.pace("car-05")
        assert worn is not None and fresh is not None
        self.assertEqual((worn.laps, fresh.laps), (12, 2))
        self.assertLess(fresh.level_s, worn.level_s - 1.0)
        width = worn.loss_interval[1] - worn.loss_interval[0]
        self.assertGreater(fresh.loss_interval[1] - fresh.loss_interval[0], 1.5 * width)

    def test_nothing_yet(self) -> None:
        """Of a car without a clean lap nothing is said."""
        book = PaceBook()
        self.assertEqual((book.pace("x"), book.forecast("x"), book.score()["n"]), (None, None, 0))
        self.assertEqual(book.lap_ended("x", a_lap(1, 104.0, marks=("first",))), ("first",))
        self.assertIsNone(book.pace("x"))

    def test_corrected(self) -> None:
        """A lap that is corrected counts as what it is now; the score that was made stays."""
        race = a_race(cars=8, laps=12)
        book = play(race)
        n, out = book.score()["n"], book.forecast("car-02")
        lap = next(lap for chassis, lap in race if (chassis, lap.number) == ("car-02", 12))
        book.corrected("car-02", a_lap(12, 100.2, lap.start_s))
        after = book.pace("car-02")
        assert after is not None
        self.assertEqual(after.forecast, out)
        self.assertEqual(book.score()["n"], n)
        book.corrected("car-02", a_lap(12, None, lap.start_s))
        without = book.pace("car-02")
        assert without is not None
        self.assertEqual((after.laps, without.laps), (11, 10))
        book.corrected("car-02", a_lap(77, 100.0))
        book.corrected("nobody", a_lap(1, 100.0))

    def test_told_twice(self) -> None:
        """A lap that is told again is the same lap; the forecast of the next one is scored when that one ends."""
        book = PaceBook()
        for chassis, lap in a_race(cars=8, laps=12):
            book.lap_ended(chassis, lap)
            book.lap_ended(chassis, lap)
        self.assertEqual((book.score()["n"], book.score()["discarded"]), (80, 0))

    def test_next_race(self) -> None:
        """A later lap with a number from before begins another race of the car."""
        race = a_race(cars=8, laps=12)
        again = [(chassis, a_lap(lap.number, lap.time_s, lap.start_s + 9000, lap.marks)) for chassis, lap in race]
        pace = play([*race, *again]).pace("car-03")
        assert pace is not None
        self.assertEqual(pace.laps, 11)

    def test_forget(self) -> None:
        """Of a car that is forgotten nothing is known; what the field learnt from it stays."""
        book = play(a_race(cars=8, laps=12))
        n = book.score()["n"]
        book.forget("car-03")
        self.assertEqual((book.pace("car-03"), book.forecast("car-03")), (None, None))
        self.assertNotIn("car-03", book.score()["cars"])
        self.assertEqual(book.score()["n"], n)
        book.forget("nobody")

    def test_bounded(self) -> None:
        """A car that drives on and on takes no more room."""
        book = PaceBook()
        for number in range(MOST_LAPS + 60):
            book.lap_ended("a", a_lap(number + 1, 100.0 + number % 3, START_S + 102 * number))
        pace = book.pace("a")
        assert pace is not None
        self.assertLessEqual(pace.laps, MOST_LAPS)
        self.assertLessEqual(len(json.encode(book.score())), 60_000)
