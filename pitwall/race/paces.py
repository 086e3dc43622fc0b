"""
The pace of all cars on a track, the forecast of each one's next lap, and what the forecasts were worth.

Laps come in the order of their ends over the whole field. A lap is judged (``caution``),
the forecast that was kept for it is scored (``score``), the errors go into the weights
and the interval that the whole field shares, and the car gets its next forecast
(``forecast``). Nothing here knows of a lap before it ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from pitwall.race.caution import began_before, is_clean, quick_s, settled, under_caution, usual_s, with_caution
from pitwall.race.forecast import (
    COMBINATION,
    DEFAULT,
    METHODS,
    MODEL,
    SAY,
    AgedLap,
    Forecast,
    Interval,
    Settings,
    Weights,
    baselines,
    members,
    model,
)
from pitwall.race.history import DrivenLap, FieldLaps
from pitwall.race.lap import Lap
from pitwall.race.pace import (
    LATEST_LAPS,
    LOSS_S,
    SLOW_LAP,
    CleanLap,
    consistency,
    laps_until_loss,
    level,
    loss_interval,
    trend,
)
from pitwall.race.score import Scoreboard

#: The errors the methods begin with, relative to one another.
_HANDICAPS: Final = {MODEL: 1.0, "last_lap": 1.25, "median_of_3": 1.25, "field_relative": 1.3}
#: How many others must have ended a clean lap about the same time for the field to tell a level.
_OTHERS: Final = 3
#: A lap that is told again begins no further than this from where it began [s].
_SAME_S: Final = 10.0
#: The cars' latest laps ended within so many laps before now.
_LATEST_SPAN: Final = 1.2
_PIT: Final = frozenset(("in", "out"))


class Pace(NamedTuple):
    """
    The pace of a car after its last lap.

    Attributes:
        level_s: the lap time it is at, relative to the field's median where ``relative`` [s].
        relative: whether there is a field to compare with.
        loss_per_lap_s: what it loses a lap; negative when it gains [s/lap].
        loss_interval: where that lies with 90 % [s/lap].
        laps_until_loss: laps until its level is ``loss_s`` slower than now; 99 also says never.
        laps_interval: where that lies with 90 % [laps].
        laps: clean laps since the last pit stop, which loss and laps rest on.
        consistency: 0 to 100; None below three clean laps.
        trend: improving, stable or degrading.
        forecast: of the next lap; None where it is known not to be a racing lap.
    """

    level_s: float
    relative: bool
    loss_per_lap_s: float
    loss_interval: tuple[float, float]
    laps_until_loss: float
    laps_interval: tuple[float, float]
    laps: int
    consistency: float | None
    trend: str
    forecast: Forecast | None


class PaceBook:
    """
    Pace, forecasts and their scores on one track.

    Args:
        loss_s: the loss that ``laps_until_loss`` counts to [s].
        settings: of the forecast.
    """

    def __init__(self, loss_s: float = LOSS_S, settings: Settings = DEFAULT) -> None:
        self._loss_s = loss_s
        self._settings = settings
        self._field = FieldLaps()
        self._weights = Weights(_HANDICAPS, settings.power, settings.keep)
        self._members = members(settings)
        self._memories = Weights({member.name: 1.0 for member in self._members}, settings.power, settings.keep)
        self._interval = Interval(settings.window)
        self._scores = Scoreboard()
        self._forecasts: dict[str, tuple[Forecast, int]] = {}
        self._paces: dict[str, Pace] = {}

    def lap_ended(self, chassis: str, lap: Lap) -> tuple[str, ...]:
        """
        A lap ended; to be told in the order of the ends over the whole field, ties by chassis.

        Returns:
            its marks as they now are: "caution" among them where the field says so.
        """
        last = next(reversed(self._field.cars.get(chassis, [])), None)
        if last is not None and lap.number <= last.number and lap.start_s > last.start_s + _SAME_S:
            # A later lap with a number that was there before: another race.
            self.forget(chassis)
        driven = DrivenLap(lap.number, lap.start_s, lap.time_s, lap.marks)
        self._field.add(chassis, driven)
        quick = quick_s(self._field)
        if quick is not None:
            if under_caution(self._field, chassis, driven, quick):
                driven.marks = with_caution(driven.marks)
                before = self._field.find(chassis, lap.number - 1)
                if before is not None and began_before(before, usual_s(self._field.cars[chassis], quick)):
                    before.marks = with_caution(before.marks)
            self._judge(chassis, quick)
        self._score(chassis, driven)
        self._look_ahead(chassis, quick)
        return driven.marks

    def corrected(self, chassis: str, lap: Lap) -> None:
        """
        A lap's time was changed afterwards: it counts so from now on.

        Scores already made stay, a caution seen on it too, and the forecast that is out.
        """
        known = self._field.find(chassis, lap.number)
        if known is None:
            return
        marks = with_caution(lap.marks) if "caution" in known.marks else lap.marks
        self._field.add(chassis, DrivenLap(lap.number, lap.start_s, lap.time_s, marks))
        quick = quick_s(self._field)
        if quick is not None:
            self._judge(chassis, quick)
        self._look_ahead(chassis, quick, anew=False)

    def pace(self, chassis: str) -> Pace | None:
        """The pace of a car; None before its first clean lap."""
        return self._paces.get(chassis)

    def forecast(self, chassis: str) -> Forecast | None:
        """The forecast of a car's next lap; None before its first clean lap, and for the lap out of the pits."""
        kept = self._forecasts.get(chassis)
        return kept[0] if kept else None

    def score(self) -> dict[str, Any]:
        """What the forecasts were worth, for JSON: see ``Scoreboard``; and the weights now."""
        weights = {name: round(weight, 4) for name, weight in self._weights.now().items()}
        return {**self._scores.told(), "weights": weights}

    def forget(self, chassis: str) -> None:
        """Know nothing of a car any more; what the field learnt from it stays."""
        self._field.forget(chassis)
        self._scores.forget(chassis)
        self._forecasts.pop(chassis, None)
        self._paces.pop(chassis, None)

    def _judge(self, chassis: str, quick: float) -> None:
        """Judge a car's laps by what is known of the usual one now."""
        laps = self._field.cars[chassis]
        usual = usual_s(laps, quick)
        known = settled(self._field, quick)
        for lap in laps:
            self._field.judge(chassis, lap, known and is_clean(lap, usual))

    def _score(self, chassis: str, lap: DrivenLap) -> None:
        kept = self._forecasts.get(chassis)
        if kept is None or lap.number < kept[0].lap:
            return
        del self._forecasts[chassis]
        forecast, age = kept
        if forecast.lap != lap.number or not lap.clean or lap.time_s is None:
            self._scores.discard(chassis)
            return
        self._scores.add(chassis, forecast, lap.time_s)
        self._weights.learn(forecast.parts_s, lap.time_s)
        self._memories.learn(forecast.memories_s, lap.time_s)
        self._interval.learn(forecast.time_s, lap.time_s, age)

    def _look_ahead(self, chassis: str, quick: float | None, anew: bool = True) -> None:
        """Make a car's pace, and if ``anew`` its next forecast."""
        self._paces.pop(chassis, None)
        laps = self._field.cars[chassis]
        if quick is None or not any(lap.clean for lap in laps):
            return
        usual = usual_s(laps, quick)
        aged, next_age = _aged(laps, usual)
        if anew and "in" not in laps[-1].marks:
            self._forecasts[chassis] = (self._forecast(chassis, usual, aged, next_age), next_age)
        self._paces[chassis] = self._pace(chassis, usual, self.forecast(chassis))

    def _forecast(self, chassis: str, usual: float, aged: list[AgedLap], next_age: int) -> Forecast:
        clean = self._field.clean_laps(chassis)[-LATEST_LAPS:]
        times_s = [lap.time_s for lap in aged]
        # The car's own lap is among them, so that there always is a median.
        to_field_s = [
            lap.time_s - (self._field.median_about(lap.end_s, usual) or lap.time_s)
            for lap in clean
            if lap.time_s is not None and lap.end_s is not None
        ]
        field_s = self._field.latest(_LATEST_SPAN * usual) or times_s[-1]
        memories_s = {member.name: model(aged, next_age, member, self._settings) for member in self._members}
        model_s = _mean(memories_s, self._memories.now())
        parts_s = {MODEL: model_s, **baselines(times_s, to_field_s, field_s)}
        weights = self._weights.now()
        time_s = _mean(parts_s, weights)
        low_s, high_s = self._interval.around(time_s, next_age)
        strongest = max(METHODS, key=weights.__getitem__)
        method = strongest if weights[strongest] >= SAY else COMBINATION
        number = self._field.cars[chassis][-1].number + 1
        return Forecast(number, time_s, low_s, high_s, method, weights, parts_s, memories_s)

    def _pace(self, chassis: str, usual: float, forecast: Forecast | None) -> Pace:
        clean = self._with_field(chassis, usual)
        found = level(clean)
        low, high = loss_interval(found)
        return Pace(
            level_s=found.level_s,
            relative=found.relative,
            loss_per_lap_s=found.slope_s,
            loss_interval=(low, high),
            laps_until_loss=laps_until_loss(found.slope_s, self._loss_s),
            laps_interval=(laps_until_loss(high, self._loss_s), laps_until_loss(low, self._loss_s)),
            laps=found.laps,
            consistency=consistency(clean),
            trend=trend(clean),
            forecast=forecast,
        )

    def _with_field(self, chassis: str, usual: float) -> list[CleanLap]:
        """A car's clean laps; with what the field drove about the same time, the latest that a level rests on."""
        found: list[CleanLap] = []
        stint = 0
        laps = self._field.cars[chassis]
        early = sum(lap.clean for lap in laps) - LATEST_LAPS
        for lap in laps:
            stint += not _PIT.isdisjoint(lap.marks)
            if lap.clean and lap.time_s is not None and lap.end_s is not None:
                field_s = self._beside(chassis, lap.end_s, usual) if len(found) >= early else None
                found.append(CleanLap(lap.number, lap.time_s, field_s, stint))
        return found

    def _beside(self, chassis: str, end_s: float, usual: float) -> float | None:
        """The median of the others about the time a car's lap ended [s]; None where there are too few."""
        both_sides = self._field.median_about(end_s, usual, chassis, _OTHERS)
        if both_sides is not None:
            return both_sides
        # Who leads has nobody's lap beside the last one yet, but those before it.
        span_s = _LATEST_SPAN * usual
        return self._field.median_about(end_s - span_s / 2, span_s, chassis, _OTHERS)


def play(laps: Iterable[tuple[str, Lap]], loss_s: float = LOSS_S, settings: Settings = DEFAULT) -> PaceBook:
    """The book of a recording: cars and their laps, in any order."""
    book = PaceBook(loss_s, settings)
    timed = [(lap.start_s if lap.end_s is None else lap.end_s, chassis, lap.number, lap) for chassis, lap in laps]
    for _, chassis, _, lap in sorted(timed, key=lambda one: one[:3]):
        book.lap_ended(chassis, lap)
    return book


def _aged(laps: list[DrivenLap], usual: float) -> tuple[list[AgedLap], int]:
    """A car's clean laps with their ages, oldest first, and the age that the next lap will have."""
    found = []
    age = 1
    for lap in laps:
        if lap.clean and lap.time_s is not None:
            found.append(AgedLap(lap.time_s, age))
        slow = lap.time_s is not None and lap.time_s > SLOW_LAP * usual
        age = 1 if slow or "in" in lap.marks or "caution" in lap.marks else age + 1
    return found, age


def _mean(values: dict[str, float], weights: dict[str, float]) -> float:
    return sum(values[name] * weight for name, weight in weights.items())
