"""What the field tells of usual laps and cautions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.caution import quick_s
from pitwall.race.history import MOST_LAPS, DrivenLap, FieldLaps
from pitwall.race.lap import Lap
from pitwall.race.paces import PaceBook
from tests.unit.race.fields import START_S, a_lap, a_race, in_order


def marks_of(race: list[tuple[str, Lap]]) -> dict[tuple[str, int], tuple[str, ...]]:
    """The marks of each lap as the book gives them back."""
    book = PaceBook()
    return {(chassis, lap.number): book.lap_ended(chassis, lap) for chassis, lap in race}


class CautionTests(SynchronousTestCase):
    """A caution is recognised from the field, as no flag is sent."""

    def cautions(self, race: list[tuple[str, Lap]]) -> set[int]:
        """The numbers of laps that all cars but one at most have marked; no others may be marked at all."""
        marks = marks_of(race)
        cars = {chassis for chassis, _ in marks}
        counts: dict[int, int] = {}
        for (_, number), found in marks.items():
            if "caution" in found:
                counts[number] = counts.get(number, 0) + 1
        for number, count in counts.items():
            self.assertGreaterEqual(count, len(cars) - 1, f"lap {number}")
        return set(counts)

    def test_all_slow(self) -> None:
        """When all cars are slow at once it is a caution, for the first of them to end such a lap too."""
        self.assertEqual(self.cautions(a_race(cautions={8: 1.3, 9: 1.5, 10: 1.2})), {8, 9, 10})

    def test_none(self) -> None:
        """A race without one has no caution marks."""
        self.assertEqual(self.cautions(a_race(laps=40, noise_s=0.8)), set())

    def test_start_under_caution(self) -> None:
        """A race may begin behind the safety car: what is slower than the lap before is no usual lap."""
        marks = marks_of(a_race(cautions={1: 1.1, 2: 1.35, 3: 1.2}))
        self.assertEqual({number for (_, number), found in marks.items() if "caution" in found}, {2, 3})

    def test_one_slow(self) -> None:
        """One car that is slow, by a mistake or in the pits, makes no caution."""
        marks = marks_of(a_race(stops={3: 9, 4: 12}))
        self.assertEqual([lap for lap, found in marks.items() if "caution" in found], [])
        self.assertEqual((marks["car-03", 9], marks["car-03", 10]), (("in",), ("out",)))

    def test_alone(self) -> None:
        """A car alone on the track is never under caution; its slow lap is just not clean."""
        book = PaceBook()
        for chassis, lap in a_race(cars=1, cautions={8: 1.4}):
            self.assertNotIn("caution", book.lap_ended(chassis, lap))
        pace = book.pace("car-00")
        assert pace is not None
        self.assertEqual(pace.laps, 18)

    def test_begun(self) -> None:
        """The lap during which a caution begins is not trusted, however little it was slowed."""
        with_it, without = PaceBook(), PaceBook()
        for chassis, lap in a_race(laps=9, cautions={8: 1.02, 9: 1.5}):
            with_it.lap_ended(chassis, lap)
        for chassis, lap in a_race(laps=9, cautions={8: 1.5, 9: 1.5}):
            without.lap_ended(chassis, lap)
        a, b = with_it.pace("car-05"), without.pace("car-05")
        assert a is not None and b is not None
        self.assertEqual((a.laps, b.laps), (6, 6))

    def test_order_of_marks(self) -> None:
        """The mark stands in its place among the others."""
        race = a_race(cautions={8: 1.4}, stops={6: 7})
        self.assertEqual(marks_of(race)["car-06", 8], ("out", "caution"))

    def test_rain(self) -> None:
        """A track that stays slow, as in rain, is raced on again after some laps."""
        book = PaceBook()
        for chassis, lap in a_race(laps=30, cautions=dict.fromkeys(range(10, 31), 1.12)):
            book.lap_ended(chassis, lap)
        forecast = book.forecast("car-04")
        assert forecast is not None
        self.assertApproximates(forecast.time_s, 112.4, 1.0)

    def test_wrong_time(self) -> None:
        """A lap that seems impossibly quick does not make the others slow."""
        cars: dict[str, list[Lap]] = {}
        for chassis, lap in a_race():
            if chassis == "car-02" and lap.number == 6:
                lap = a_lap(6, 70.0, lap.start_s)
            cars.setdefault(chassis, []).append(lap)
        book = PaceBook()
        for chassis, lap in in_order(cars):
            self.assertNotIn("caution", book.lap_ended(chassis, lap))
        paces = [book.pace(chassis) for chassis in sorted(cars)]
        self.assertEqual([pace.laps for pace in paces if pace is not None], [19, 19, 18, *[19] * 9])


class HistoryTests(SynchronousTestCase):
    """The laps that are kept."""

    def lap(self, number: int, time_s: float, start_s: float = START_S) -> DrivenLap:
        """A lap of a car."""
        return DrivenLap(number, start_s, time_s)

    def test_bounded(self) -> None:
        """A car's oldest laps are forgotten, also among the clean ones of the field."""
        field = FieldLaps()
        for number in range(MOST_LAPS + 50):
            lap = self.lap(number, 100.0, START_S + 100 * number)
            field.add("a", lap)
            field.judge("a", lap, True)
        self.assertEqual((len(field.cars["a"]), len(field.clean_laps("a"))), (MOST_LAPS, MOST_LAPS))
        self.assertIsNone(field.median_about(START_S, 500))
        self.assertEqual(field.median_about(START_S + 100 * MOST_LAPS, 500), 100.0)

    def test_same_number(self) -> None:
        """A lap that is told again takes the place of the one before."""
        field = FieldLaps()
        for time_s in (100.0, 101.0):
            lap = self.lap(1, time_s)
            field.add("a", lap)
            field.judge("a", lap, True)
        self.assertEqual([lap.time_s for lap in field.clean_laps("a")], [101.0])
        self.assertEqual(field.median_about(START_S + 100, 10), 101.0)

    def test_about(self) -> None:
        """Laps are compared by when they ended, whatever their numbers; a car that is laps down has its place."""
        field = FieldLaps()
        for chassis, number, end_s in (("a", 9, 0.0), ("b", 9, 20.0), ("c", 6, 30.0), ("a", 10, 100.0)):
            lap = self.lap(number, 100.0 + number, START_S + end_s - 100 - number)
            field.add(chassis, lap)
            field.judge(chassis, lap, True)
        self.assertEqual(field.median_about(START_S + 20, 100), 109.0)
        self.assertEqual(field.median_about(START_S + 20, 100, without="b"), 107.5)
        self.assertIsNone(field.median_about(START_S + 20, 100, without="b", fewest=3))
        self.assertEqual(field.latest(120), 109.0)
        field.forget("b")
        self.assertEqual(field.latest(120), 108.0)

    def test_usual_is_not_the_quickest(self) -> None:
        """One lap that was timed wrongly does not tell what is usual."""
        field = FieldLaps()
        for car in range(4):
            for number in range(2):
                field.add(str(car), self.lap(number, 60.0 if car == 3 else 100.0 + car, START_S + 110 * number))
        self.assertEqual(quick_s(field), 100.0)
