"""What is expected of the next lap."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.forecast import (
    BASELINES,
    COMBINATION,
    METHODS,
    AgedLap,
    Forecast,
    Interval,
    Memory,
    Weights,
    baselines,
    model,
    weighted_median,
)
from pitwall.race.lap import Lap
from pitwall.race.paces import PaceBook, play
from tests.unit.race.fields import START_S, a_lap, a_race

STEADY = Memory(0.6, 0.0)


def told(book: PaceBook, race: list[tuple[str, Lap]]) -> list[tuple[Forecast | None, float | None]]:
    """Of each lap what was expected of it, and what it took."""
    found = []
    for chassis, lap in race:
        found.append((book.forecast(chassis), lap.time_s))
        book.lap_ended(chassis, lap)
    return found


class MethodTests(SynchronousTestCase):
    """The model and the baselines."""

    def test_baselines(self) -> None:
        """Last lap, median of three, and the car's usual distance from the field with the field's latest lap."""
        self.assertEqual(
            baselines([100.0, 103.0, 101.0, 102.5], [1.0, 0.5, 1.5], 99.0),
            {"last_lap": 102.5, "median_of_3": 102.5, "field_relative": 100.0},
        )

    def test_one_lap(self) -> None:
        """One lap is enough for all of them."""
        self.assertEqual(baselines([100.0], [0.0], 100.0), dict.fromkeys(BASELINES, 100.0))
        self.assertAlmostEqual(model([AgedLap(100.0, 4)], 5, STEADY), 100.0)

    def test_steady(self) -> None:
        """A car that drives the same lap again and again will do so again."""
        self.assertAlmostEqual(model([AgedLap(100.0, age) for age in range(5, 15)], 15, Memory(0.6, 0.006)), 100.0, 3)

    def test_lately(self) -> None:
        """What was lately counts for more; the shorter the memory, the more."""
        aged = [AgedLap(100 + 0.1 * age, age) for age in range(10)]
        short, long = model(aged, 10, Memory(0.4, 0.0)), model(aged, 10, Memory(0.8, 0.0))
        self.assertTrue(100.45 < long < short < 100.9)

    def test_spoiled(self) -> None:
        """A lap spoiled by a mistake is pulled in."""
        aged = [AgedLap(100.0, age) for age in range(5, 12)]
        self.assertLess(model([*aged, AgedLap(105.0, 12)], 13, STEADY), 100.4)

    def test_cold(self) -> None:
        """After a slow first lap on cold tires a quicker one is expected, and after a caution a slower one."""
        warm_up = Memory(0.6, 0.01)
        self.assertLess(model([AgedLap(101.0, 1)], 2, warm_up), 100.5)
        self.assertGreater(model([AgedLap(100.0, age) for age in range(6, 12)], 1, warm_up), 100.9)

    def test_weighted_median(self) -> None:
        """Half the weight lies to either side."""
        self.assertEqual(weighted_median([3.0, 1.0, 2.0], [1, 1, 1]), 2.0)
        self.assertEqual(weighted_median([1.0, 2.0], [1, 1]), 1.5)
        self.assertEqual(weighted_median([1.0, 5.0], [9, 0]), 1.0)
        self.assertEqual(weighted_median([7.0], [0.1]), 7.0)

    @given(st.lists(st.tuples(st.floats(60, 200), st.floats(0.01, 1)), min_size=1, max_size=12))
    def test_median_is_inside(self, pairs: list[tuple[float, float]]) -> None:
        """It is never outside the values, in whatever order they come."""
        values, weights = [value for value, _ in pairs], [weight for _, weight in pairs]
        found = weighted_median(values, weights)
        self.assertTrue(min(values) - 1e-9 <= found <= max(values) + 1e-9)
        self.assertAlmostEqual(weighted_median(values[::-1], weights[::-1]), found)


class WeightTests(SynchronousTestCase):
    """How much say a method has."""

    def weights(self) -> Weights:
        """Of two methods that begin alike."""
        return Weights({"good": 1.0, "bad": 1.0}, power=16, keep=0.98)

    def test_begin(self) -> None:
        """Before any error those with the least handicap have the most say, and all weights are together 1."""
        weights = Weights({"model": 1.0, "last": 1.1}, power=16, keep=0.98).now()
        self.assertAlmostEqual(sum(weights.values()), 1.0)
        self.assertGreater(weights["model"], 0.7)
        self.assertGreater(weights["last"], 0.1)

    def test_no_say(self) -> None:
        """A method that keeps losing has no say at all."""
        weights = self.weights()
        for _ in range(60):
            weights.learn({"good": 100.2, "bad": 101.0}, 100.0)
        self.assertEqual(weights.now(), {"good": 1.0, "bad": 0.0})

    def test_comes_back(self) -> None:
        """Old errors fade: a method that gets better than the others gets the say."""
        weights = self.weights()
        for good_s, bad_s in ((100.2, 101.0), (101.0, 100.2)):
            for _ in range(200):
                weights.learn({"good": good_s, "bad": bad_s}, 100.0)
        self.assertEqual(weights.now()["bad"], 1.0)

    def test_one_spin(self) -> None:
        """One lap that nobody could expect decides nothing."""
        weights = self.weights()
        for _ in range(50):
            weights.learn({"good": 100.4, "bad": 100.4}, 100.0)
        weights.learn({"good": 130.0, "bad": 100.0}, 100.0)
        self.assertGreater(weights.now()["good"], 0.1)

    def test_never_wrong(self) -> None:
        """A method without any error is no trouble."""
        weights = self.weights()
        for _ in range(5000):
            weights.learn({"good": 100.0, "bad": 100.0}, 100.0)
        self.assertEqual(weights.now(), {"good": 0.5, "bad": 0.5})


class IntervalTests(SynchronousTestCase):
    """Where the next lap lies with 90 %."""

    def test_prior(self) -> None:
        """Before any error it is as wide as races usually are uncertain, wider soon after a slow lap."""
        interval = Interval(100)
        low_s, high_s = interval.around(100.0, 9)
        self.assertTrue(97 < low_s < 99.5)
        self.assertAlmostEqual(100 - low_s, high_s - 100)
        young_low_s, young_high_s = interval.around(100.0, 1)
        self.assertTrue(young_low_s < low_s and high_s < young_high_s)

    def test_coverage(self) -> None:
        """Nine of ten laps are inside, however uncertain they are; also when laps are slow more often than quick."""
        for scale_s in (0.1, 0.5, 2.0):
            random, interval = Random(4), Interval(150)
            inside = 0
            for _ in range(1000):
                low_s, high_s = interval.around(100.0, 9)
                time_s = 99.7 + random.expovariate(1 / scale_s)
                inside += low_s <= time_s <= high_s
                interval.learn(100.0, time_s, 9)
            self.assertTrue(870 < inside < 950, f"{inside} at {scale_s}")

    def test_holds_forecast(self) -> None:
        """The forecast is inside, even when all laps were slower than expected."""
        interval = Interval(20)
        for _ in range(40):
            interval.learn(100.0, 101.0, 9)
        low_s, high_s = interval.around(100.0, 9)
        self.assertLessEqual(low_s, 100.0)
        self.assertGreaterEqual(high_s, 101.0)


class ForecastTests(SynchronousTestCase):
    """The forecasts of a field."""

    def test_first_clean_lap(self) -> None:
        """A car has a forecast from its first clean lap on, not before."""
        book = PaceBook()
        seen: dict[str, list[bool]] = {}
        for chassis, lap in a_race(laps=3):
            book.lap_ended(chassis, lap)
            seen.setdefault(chassis, []).append(book.forecast(chassis) is not None)
        self.assertEqual(set(map(tuple, seen.values())), {(False, True, True)})

    def test_is_of_the_next(self) -> None:
        """A forecast is of the lap that runs now, says by what method, and what each of them expects."""
        book = play(a_race(laps=10))
        forecast = book.forecast("car-03")
        assert forecast is not None
        self.assertEqual(forecast.lap, 11)
        self.assertEqual((set(forecast.weights), set(forecast.parts_s)), (set(METHODS), set(METHODS)))
        self.assertAlmostEqual(sum(forecast.weights.values()), 1.0)
        self.assertIn(forecast.method, (COMBINATION, *METHODS))
        self.assertTrue(forecast.low_s < forecast.time_s < forecast.high_s)
        self.assertApproximates(forecast.time_s, 100.3, 0.7)

    def test_combined(self) -> None:
        """The time is the mean of the methods by their weights; one method is named where it has the say."""
        for forecast, _ in told(PaceBook(), a_race(laps=30)):
            if forecast is None:
                continue
            mean_s = sum(forecast.weights[name] * forecast.parts_s[name] for name in METHODS)
            self.assertAlmostEqual(forecast.time_s, mean_s)
            if forecast.method != COMBINATION:
                self.assertGreaterEqual(forecast.weights[forecast.method], 0.95)

    def test_out_of_the_pits(self) -> None:
        """The lap out of the pits is no racing lap and is not foretold; the one after it is."""
        book = PaceBook()
        seen = {}
        for chassis, lap in a_race(stops={4: 8}):
            book.lap_ended(chassis, lap)
            if chassis == "car-04":
                seen[lap.number + 1] = book.forecast(chassis) is not None
        self.assertEqual((seen[8], seen[9], seen[10]), (True, False, True))

    def test_future(self) -> None:
        """Shuffling what comes later changes no forecast: nothing of the future is used."""
        race = a_race(laps=16, cautions={7: 1.3}, stops={2: 10})
        random = Random(7)
        whole = told(PaceBook(), race)
        for cut in (40, 81, 130):
            later = race[cut:]
            times_s = [lap.time_s for _, lap in later]
            random.shuffle(times_s)
            shuffled = [
                (chassis, a_lap(lap.number, time_s, lap.start_s, lap.marks))
                for (chassis, lap), time_s in zip(later, times_s, strict=True)
            ]
            random.shuffle(shuffled)
            again = told(PaceBook(), race[:cut] + shuffled)
            self.assertEqual(whole[:cut], again[:cut])
            # The forecasts that are out at the cut are of laps to come.
            one, other = PaceBook(), PaceBook()
            told(one, race[:cut])
            told(other, race[:cut])
            told(other, shuffled[:1])
            for chassis in {chassis for chassis, _ in race} - {shuffled[0][0]}:
                self.assertEqual(one.forecast(chassis), other.forecast(chassis))

    def test_same_again(self) -> None:
        """The same laps give the same bytes."""
        race = a_race(cautions={5: 1.4}, stops={1: 9})
        one, other = (
            json.encode((told(PaceBook(), race), play(race).score(), play(race).pace("car-05"))) for _ in range(2)
        )
        self.assertEqual(one, other)

    def test_better_than_baselines(self) -> None:
        """In a field with noise, what is published is better than each baseline, and nine of ten laps are inside."""
        score = play(a_race(cars=20, laps=40, noise_s=0.4)).score()
        self.assertGreater(score["skill"], 0.01)
        self.assertTrue(0.85 <= score["coverage90"] <= 0.95, score["coverage90"])

    def test_laps_down(self) -> None:
        """A car whose laps have other numbers is compared with what the others drive at the same time."""
        race = a_race()
        moved = [
            (chassis, a_lap(lap.number + (5 if chassis == "car-03" else 0), lap.time_s, lap.start_s, lap.marks))
            for chassis, lap in race
        ]
        plain, renumbered = play(race).forecast("car-03"), play(moved).forecast("car-03")
        assert plain is not None and renumbered is not None
        self.assertEqual(renumbered._replace(lap=plain.lap), plain)

    @given(st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.floats(1, 500))), max_size=60))
    def test_any_laps(self, ends: list[tuple[int, float | None]]) -> None:
        """Whatever laps come, nothing raises, and what is foretold is finite and inside its interval."""
        book = PaceBook()
        at_s, numbers = dict.fromkeys(range(4), START_S), dict.fromkeys(range(4), 0)
        for car, time_s in ends:
            numbers[car] += 1
            book.lap_ended(str(car), a_lap(numbers[car], time_s, at_s[car]))
            at_s[car] += time_s or 100.0
            forecast = book.forecast(str(car))
            if forecast is not None:
                self.assertTrue(0 < forecast.low_s <= forecast.time_s <= forecast.high_s < 1000)
        json.encode(book.score())
