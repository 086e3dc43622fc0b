"""
The race on one track: its cars' laps, pace, order and gaps, kept up to date tick by tick.

This is the small step that compares cars. It runs in the main process on what the
workers report, knows no clock but the track's, and gives the same for the same ticks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, Final

from msgspec.structs import replace

from pitwall.race.field import LONGEST_LAP_M, FieldCar, gaps
from pitwall.race.insights import CarNow
from pitwall.race.lap import MARKS, MINI_SECTORS, Lap
from pitwall.race.paces import Pace, PaceBook
from pitwall.race.report import CarTick

#: Laps kept of a car.
MOST_LAPS: Final = 500
#: A track's length is learnt from the last laps of all cars, and from so many at least.
_LENGTHS: Final = 200
_FEWEST_LENGTHS: Final = 2


class RaceCar(FieldCar):
    """A car of the race: what the field knows of it, and its laps."""

    def __init__(self, chassis: str) -> None:
        super().__init__(chassis)
        self.laps: dict[int, Lap] = {}
        self.corrected: set[int] = set()
        self.best_s: float | None = None
        self.sectors_s: list[float | None] = []
        self.stress: float | None = None
        self.tick: CarTick | None = None
        #: The ``Track.layout`` that the best sectors are of.
        self.layout = 0

    @property
    def last(self) -> Lap | None:
        """The last lap that ended."""
        return next(reversed(self.laps.values()), None)

    @property
    def theoretical_s(self) -> float | None:
        """The sum of its best sectors [s]; None before each has been driven in a clean lap."""
        known = [time_s for time_s in self.sectors_s if time_s is not None]
        return round(sum(known), 3) if known and len(known) == len(self.sectors_s) else None

    def keep(self, lap: Lap) -> None:
        """Keep a lap, in the place of the one of its number."""
        again = lap.number in self.laps
        self.laps[lap.number] = lap
        if again or (len(self.laps) > 1 and lap.number < max(self.laps)):
            self.laps = dict(sorted(self.laps.items()))
        while len(self.laps) > MOST_LAPS:
            del self.laps[next(iter(self.laps))]
        if again:
            self._judge(self.laps.values(), anew=True)
        else:
            self._judge((lap,))

    def change_layout(self, layout: int) -> None:
        """The best sectors are those of another layout from now on."""
        self.layout = layout
        self._judge(self.laps.values(), anew=True)

    def _judge(self, laps: Iterable[Lap], anew: bool = False) -> None:
        if anew:
            self.best_s, self.sectors_s, self.stress = None, [], None
        for lap in laps:
            if not lap.clean or lap.time_s is None:
                continue
            self.best_s = lap.time_s if self.best_s is None else min(self.best_s, lap.time_s)
            self.stress = sum(lap.stress)
            if lap.layout != self.layout:
                continue
            if len(self.sectors_s) != len(lap.sectors_s):
                self.sectors_s = [None] * len(lap.sectors_s)
            for index, time_s in enumerate(lap.sectors_s):
                best = self.sectors_s[index]
                if time_s is not None and (best is None or time_s < best):
                    self.sectors_s[index] = time_s


class TrackRace:
    """
    The race on one track.

    Args:
        track: its name.
        length_m: of the lap; None where the track is not configured, and its length is learnt.
        loss_s: the loss that laps are counted to [s].
        layout: the ``Track.layout`` of its sectors.

    Attributes:
        gaps: of every car, in order of position, at the last tick.
        corrections: what changed of laps told before, to be taken by whoever tells it.
        at_ms: the last tick [ms since 1970].
    """

    def __init__(self, track: str, length_m: float | None, loss_s: float, layout: int = 0) -> None:
        self.track = track
        self.configured_m = length_m
        self.cars: dict[int, RaceCar] = {}
        self.pace = PaceBook(loss_s)
        self.gaps: list[dict[str, Any]] = []
        self.corrections: list[dict[str, Any]] = []
        self.at_ms = 0
        self._begin_bests()
        #: Of laps, by car and number: their end, and what the car's distance made of them.
        self._lengths: dict[tuple[str, int], tuple[float, float]] = {}
        self._length_m = length_m
        self.layout = layout

    @property
    def length_m(self) -> float | None:
        """Of the lap; None while it is not known [m]."""
        return self._length_m

    def know(self, number: int, chassis: str) -> None:
        """A car is followed from now on."""
        self.cars[number] = RaceCar(chassis)
        self.cars[number].layout = self.layout

    def change_track(self, length_m: float | None, layout: int) -> None:
        """The track is another from now on: see ``__init__``."""
        self.configured_m, self.layout = length_m, layout
        if length_m is not None:
            self._length_m = length_m
            self._lengths.clear()
        for car in self.cars.values():
            car.change_layout(layout)
        self._judge_all()

    def forget(self, number: int) -> RaceCar | None:
        """A car is not followed any more."""
        car = self.cars.pop(number, None)
        if car is not None:
            self.pace.forget(car.chassis)
            self.gaps = [gap for gap in self.gaps if gap["chassis"] != car.chassis]
        return car

    def tick(self, at_ms: int, reports: Sequence[CarTick]) -> list[CarNow]:
        """Take the reports of a tick in, in any order; returns what is known of each car."""
        self.at_ms = max(self.at_ms, at_ms)
        reports = sorted((report for report in reports if report.car in self.cars), key=lambda report: report.car)
        ended = [
            (change.lap.end_s or change.lap.start_s, self.cars[report.car].chassis, report.car, change)
            for report in reports
            for change in report.laps
        ]
        for *_, number, change in sorted(ended, key=lambda each: each[:2]):
            self._lap(self.cars[number], change.lap, change.corrected)
        self._learn_length()
        length_m = self._length_m or LONGEST_LAP_M
        for report in reports:
            car = self.cars[report.car]
            car.tick = report
            car.take(report, length_m)
        self.gaps = gaps(self.track, list(self.cars.values()), at_ms / 1000, self._length_m)
        by_chassis = {gap["chassis"]: gap for gap in self.gaps}
        stress = [car.stress for car in self.cars.values() if car.stress]
        usual = median(stress) if stress else None
        return [
            self._now(car, by_chassis.get(car.chassis), usual)
            for _, car in sorted(self.cars.items())
            if car.tick is not None
        ]

    def shown_gaps(self) -> list[dict[str, Any]]:
        """The gaps of the last tick; before a car's first tick, with it at the end of its field."""
        if len(self.gaps) == len(self.cars):
            return self.gaps
        return gaps(self.track, list(self.cars.values()), self.at_ms / 1000, self._length_m, note=False)

    def fill(self, result: dict[str, Any], number: int) -> None:
        """Add to a car's result what its pace is, compared with the others."""
        car = self.cars.get(number)
        pace = self.pace.pace(car.chassis) if car is not None else None
        meta = result["meta"]
        if car is not None and car.tick is None:
            car.average_kmh = meta.get("avgSpeed")
        result["predicted_loss_per_lap_seconds"] = round(pace.loss_per_lap_s, 4) if pace else 0.0
        result["laps_until_0_5s_loss"] = round(pace.laps_until_loss, 1) if pace else 99.0
        meta["performanceTrend"] = pace.trend if pace else "stable"
        if pace is not None:
            if pace.consistency is not None:
                meta["consistency"] = round(pace.consistency, 3)
            result["lossInterval"] = [round(each, 4) for each in pace.loss_interval]
            result["lapsInterval"] = [round(each, 1) for each in pace.laps_interval]
            result["paceLaps"] = pace.laps
            if pace.forecast is not None:
                result["forecast"] = forecast_told(pace)
        if car is None:
            return
        last = car.last
        if last is not None:
            result["lastLap"] = {"lap": last.number, "time": last.time_s, "kind": last.kind}
        if car.best_s is not None:
            result["bestLapSeconds"] = car.best_s
        if car.theoretical_s is not None:
            result["theoreticalBestSeconds"] = car.theoretical_s
        index = self.stress_index(car)
        if index is not None:
            result["tireStressIndex"] = index

    def stress_index(self, car: RaceCar) -> float | None:
        """The stress of a car's last clean lap, 100 for the median of the field; None before there is one."""
        known = [each.stress for each in self.cars.values() if each.stress]
        usual = median(known) if known else None
        return round(100 * car.stress / usual, 1) if usual and car.stress else None

    def gap_at_line_s(self, lap: Lap) -> float | None:
        """How far behind the first car of that lap a lap ended [s]; None where not known."""
        if lap.end_s is None:
            return None
        same = (car.laps.get(lap.number) for car in self.cars.values())
        ends = [each.end_s for each in same if each is not None and each.end_s is not None]
        return round(lap.end_s - min(ends), 3) if ends else None

    def _lap(self, car: RaceCar, lap: Lap, corrected: bool) -> None:
        before = car.laps.get(lap.number)
        if before is None or not corrected:
            marks = self.pace.lap_ended(car.chassis, lap)
        else:
            self.pace.corrected(car.chassis, lap)
            marks = lap.marks
            if "caution" in before.marks:
                marks = tuple(sorted({*marks, "caution"}, key=MARKS.index))
        lap = replace(lap, marks=marks)
        if before is not None and corrected:
            was_s = self.gap_at_line_s(before)
            car.corrected.add(lap.number)
            car.keep(lap)
            self._correct(car, before, lap, was_s)
        else:
            car.keep(lap)
        if self.configured_m is None:
            self._keep_length(car.chassis, lap)
        if before is not None and corrected:
            self._judge_all()
        else:
            self._keep_best(lap)

    def _judge_all(self) -> None:
        self._begin_bests()
        for car in self.cars.values():
            for lap in car.laps.values():
                self._keep_best(lap)

    def _begin_bests(self) -> None:
        self.best_s: float | None = None
        self.minis_s: list[float | None] = [None] * MINI_SECTORS
        self.sectors_s: list[float | None] = []

    def _keep_best(self, lap: Lap) -> None:
        if not lap.clean or lap.time_s is None:
            return
        self.best_s = lap.time_s if self.best_s is None else min(self.best_s, lap.time_s)
        sectors_s = lap.sectors_s if lap.layout == self.layout else ()
        if sectors_s and len(self.sectors_s) != len(sectors_s):
            self.sectors_s = [None] * len(sectors_s)
        for bests, times in ((self.minis_s, lap.minis_s), (self.sectors_s, sectors_s)):
            for index, time_s in enumerate(times):
                best = bests[index]
                if time_s is not None and (best is None or time_s < best):
                    bests[index] = time_s

    def _correct(self, car: RaceCar, before: Lap, lap: Lap, was_s: float | None) -> None:
        changed: dict[str, list[Any]] = {}
        for name, was, now in (
            ("lapTime", before.time_s, lap.time_s),
            ("sectorTimes", list(before.sectors_s), list(lap.sectors_s)),
            ("stress", list(before.stress), list(lap.stress)),
            ("marks", list(before.marks), list(lap.marks)),
            ("gapAtLineSeconds", was_s, self.gap_at_line_s(lap)),
        ):
            if was != now:
                changed[name] = [was, now]
        if changed:
            self.corrections.append(
                {"track": self.track, "chassis": car.chassis, "lap": lap.number, "changed": changed}
            )

    def _keep_length(self, chassis: str, lap: Lap) -> None:
        lengths = self._lengths
        lengths.pop((chassis, lap.number), None)
        if lap.length_m is None or lap.end_s is None or {"estimated", "first"} & set(lap.marks):
            return
        lengths[chassis, lap.number] = (lap.end_s, lap.length_m)
        if len(lengths) > _LENGTHS:
            del lengths[min(lengths, key=lengths.__getitem__)]

    def _learn_length(self) -> None:
        if self.configured_m is None and len(self._lengths) >= _FEWEST_LENGTHS:
            # In steps of a decimetre: every other length moves all that was ever covered.
            self._length_m = round(median(length_m for _, length_m in self._lengths.values()), 1)

    def _now(self, car: RaceCar, gap: dict[str, Any] | None, usual: float | None) -> CarNow:
        tick = car.tick
        assert tick is not None
        pace = self.pace.pace(car.chassis)
        stress = None
        if car.stress is not None:
            stress = {
                "lap": round(car.stress, 3),
                "index": round(100 * car.stress / usual, 1) if usual else None,
            }
        return CarNow(
            car.chassis,
            tick.first_seq,
            tick.last_seq,
            gap,
            pace_told(pace) if pace is not None else None,
            stress,
            car.last,
            car.best_s,
            self.best_s,
            tick.stuck,
            tick.flipped,
            "none" if not tick.sessions else "running" if tick.clock else "stopped",
            tick.sessions,
            max(round(self.at_ms / 1000 - car.heard_s, 3), 0.0) if math.isfinite(car.heard_s) else 0.0,
        )


def pace_told(pace: Pace) -> dict[str, Any]:
    """A pace as formulas read it."""
    told: dict[str, Any] = {
        "loss_per_lap_s": round(pace.loss_per_lap_s, 4),
        "loss_low": round(pace.loss_interval[0], 4),
        "loss_high": round(pace.loss_interval[1], 4),
        "laps_until_loss": round(pace.laps_until_loss, 1),
        "laps_low": round(pace.laps_interval[0], 1),
        "laps_high": round(pace.laps_interval[1], 1),
        "laps": pace.laps,
        "consistency": None if pace.consistency is None else round(pace.consistency, 3),
        "trend": pace.trend,
        "level_s": round(pace.level_s, 3),
    }
    if pace.forecast is not None:
        told["forecast_s"] = round(pace.forecast.time_s, 3)
        told["forecast_low_s"] = round(pace.forecast.low_s, 3)
        told["forecast_high_s"] = round(pace.forecast.high_s, 3)
    return told


def forecast_told(pace: Pace) -> dict[str, Any]:
    """The forecast of the next lap as clients get it."""
    forecast = pace.forecast
    assert forecast is not None
    return {
        "lap": forecast.lap,
        "time": round(forecast.time_s, 3),
        "low": round(forecast.low_s, 3),
        "high": round(forecast.high_s, 3),
        "method": forecast.method,
        "weights": {name: round(weight, 3) for name, weight in forecast.weights.items()},
    }
