"""
How good the next-lap forecast is, on the official lap times of recorded races under ``PITWALL_DATA``.

``python -m benchmarks.forecast`` prints a table. Each race is played lap by lap in the
order of the ends, and forecast with settings chosen on the others. The product's own
judgement decides what a forecast is made from; the official flags decide which laps are
scored: those that began and ended under green (or the finish), not the first, not into
or out of the pits, at most 107 % of a lap that a quarter of the race's such laps were
quicker than; and that the car had driven such a lap before, for all methods rest on
one. The baselines are those that the product keeps, and, as a second opinion, the same
three made of the laps that the official flags call clean. Skill is 1 − MAE / MAE of the best of the
three baselines, picked in hindsight.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from statistics import fmean, median
from typing import Final, NamedTuple

from benchmarks.official import OfficialRace, races
from pitwall.race.forecast import BASELINES, DEFAULT, MODEL, Settings, baselines
from pitwall.race.pace import SLOW_LAP
from pitwall.race.paces import PaceBook
from pitwall.race.score import PUBLISHED, skill

#: What settings are chosen from.
GRID: Final = tuple(
    DEFAULT._replace(warm_decay=warm_decay, power=power, keep=keep)
    for warm_decay, power, keep in product((0.3, 0.45, 0.6), (4.0, 8.0, 16.0), (0.98, 0.99))
)

_SUMMARIES: Final[tuple[tuple[str, Callable[[list[float]], float]], ...]] = (
    ("mean", fmean),
    ("least", min),
    ("most", max),
)


class Result(NamedTuple):
    """
    A race played with some settings.

    Attributes:
        n: laps scored.
        mae_s: by ``PUBLISHED``, ``MODEL`` and the product's baselines [s].
        flags_mae_s: by ``PUBLISHED`` and the baselines of the laps that the flags call clean [s].
        coverage: the share of laps inside the interval.
    """

    n: int
    mae_s: dict[str, float]
    flags_mae_s: dict[str, float]
    coverage: float

    @property
    def skill(self) -> float:
        """Against the best of the product's baselines in hindsight."""
        return skill(self.mae_s) or 0.0


class FlagBaselines:
    """The three baselines of the laps that are scored, the field's median being that of the same lap number."""

    def __init__(self) -> None:
        self._cars: dict[str, list[tuple[int, float]]] = {}
        self._numbers: dict[int, list[float]] = {}
        self._latest: dict[str, float] = {}

    def lap_ended(self, chassis: str, number: int, time_s: float) -> None:
        """A lap that is clean by the flags ended."""
        self._cars.setdefault(chassis, []).append((number, time_s))
        self._numbers.setdefault(number, []).append(time_s)
        self._latest[chassis] = time_s

    def now(self, chassis: str) -> dict[str, float]:
        """What they expect of a car's next lap [s]; nothing before a first one."""
        laps = self._cars.get(chassis)
        if laps is None:
            return {}
        to_field_s = [time_s - median(self._numbers[number]) for number, time_s in laps]
        return baselines([time_s for _, time_s in laps], to_field_s, median(self._latest.values()))


def scored_laps(race: OfficialRace) -> set[tuple[str, int]]:
    """Car and number of the laps that are scored."""
    green_s = sorted(one.lap.time_s or 0.0 for one in race.laps if one.green)
    most_s = SLOW_LAP * green_s[len(green_s) // 4]
    return {(one.chassis, one.lap.number) for one in race.laps if one.green and (one.lap.time_s or 0.0) <= most_s}


def play(race: OfficialRace, settings: Settings) -> Result:
    """Forecast each lap of a race when the one before ends."""
    wanted = scored_laps(race)
    book, flags = PaceBook(settings=settings), FlagBaselines()
    wrong_s = dict.fromkeys((PUBLISHED, MODEL, *BASELINES), 0.0)
    flags_wrong_s = dict.fromkeys(BASELINES, 0.0)
    count = inside = 0
    by_flags: dict[str, dict[str, float]] = {}
    for chassis, lap, _, _ in race.laps:
        forecast, time_s = book.forecast(chassis), lap.time_s
        if time_s is not None and (chassis, lap.number) in wanted:
            if forecast is not None and by_flags.get(chassis):
                count += 1
                inside += forecast.low_s <= time_s <= forecast.high_s
                for name, said_s in {PUBLISHED: forecast.time_s, **forecast.parts_s}.items():
                    wrong_s[name] += abs(said_s - time_s)
                for name, said_s in by_flags[chassis].items():
                    flags_wrong_s[name] += abs(said_s - time_s)
            flags.lap_ended(chassis, lap.number, time_s)
        by_flags[chassis] = flags.now(chassis)
        book.lap_ended(chassis, lap)
    mae_s = {name: total_s / count for name, total_s in wrong_s.items()}
    flags_mae_s = {name: total_s / count for name, total_s in flags_wrong_s.items()}
    return Result(count, mae_s, {PUBLISHED: mae_s[PUBLISHED], **flags_mae_s}, inside / count)


def chosen(results: Mapping[str, Sequence[Result]], without: str = "") -> int:
    """Which of ``GRID`` has the best mean skill on all races but one."""
    others = [of_race for name, of_race in results.items() if name != without]
    return max(range(len(GRID)), key=lambda index: sum(of_race[index].skill for of_race in others))


def forecast(quick: bool = False) -> dict[str, dict[str, float]]:
    """The figures of each race and their mean; ``quick``: with the default settings, not chosen ones."""
    try:
        found = races()
    except LookupError as error:
        print(f"forecast: not measured, {error.args[0]}", file=sys.stderr)
        return {}
    if quick:
        best = {race.name: play(race, DEFAULT) for race in found}
    else:
        results = {race.name: [play(race, settings) for settings in GRID] for race in found}
        picks = {name: chosen(results, name) for name in results}
        best = {name: results[name][pick] for name, pick in picks.items()}
        for name, pick in (*picks.items(), ("all", chosen(results))):
            settings = GRID[pick]
            told = f"warm_decay {settings.warm_decay}, power {settings.power}, keep {settings.keep}"
            # Not among the rows of the table.
            print(f"forecast: for {name} {told}", file=sys.stderr)
    table = {f"forecast of {name}": _figures(result) for name, result in best.items()}
    columns = {name: [figures[name] for figures in table.values()] for name in next(iter(table.values()))}
    for which, summary in _SUMMARIES:
        table[f"forecast, {which} of the races"] = {name: summary(values) for name, values in columns.items()}
    return table


def _figures(result: Result) -> dict[str, float]:
    return {
        "laps": result.n,
        **{f"MAE of {name} [s]": error_s for name, error_s in result.mae_s.items()},
        "skill": result.skill,
        "coverage of the 90 % interval": result.coverage,
        **{f"MAE of {name} by flags [s]": result.flags_mae_s[name] for name in BASELINES},
        "skill by flags": skill(result.flags_mae_s) or 0.0,
    }


def main() -> None:
    """Print the table with a line for each race."""
    table = forecast()
    for number, (name, figures) in enumerate(table.items()):
        if not number:
            print("| race |", " | ".join(figures), "|")
            print("| --- |", " | ".join("---:" for _ in figures), "|")
        print(f"| {name} |", " | ".join(f"{value:.3f}" for value in figures.values()), "|", flush=True)


if __name__ == "__main__":
    main()
