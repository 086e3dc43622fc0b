"""
How good the next-lap forecast is, on the official lap times of recorded races under ``PITWALL_DATA``.

``python -m benchmarks.forecast`` prints a table. Each race is played lap by lap in the
order of the ends, and forecast with settings chosen on the others. The product's own
judgement decides what a forecast is made from; the official flags decide which laps are
scored: those that began and ended under green (or the finish), not the first, not into
or out of the pits, at most 107 % of a lap that a quarter of the race's such laps were
quicker than; and that the car had driven such a lap before, for all methods rest on
one. Skill is 1 − MAE / MAE of the best of the
three baselines, picked in hindsight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final, NamedTuple

from benchmarks.official import OfficialRace, races
from pitwall.race.forecast import BASELINES, DEFAULT, MODEL, Settings
from pitwall.race.pace import SLOW_LAP
from pitwall.race.paces import PaceBook
from pitwall.race.score import PUBLISHED, skill

#: What settings are chosen from.
GRID: Final = tuple(
    DEFAULT._replace(warm_decay=warm_decay, power=power, keep=keep)
    for warm_decay, power, keep in product((0.3, 0.45, 0.6), (4.0, 8.0, 16.0), (0.98, 0.99))
)
_COVERAGE: Final = "coverage of the 90 % interval"


class Result(NamedTuple):
    """A race played with some settings: laps scored, MAE by method [s], the share of laps inside the interval."""

    n: int
    mae_s: dict[str, float]
    coverage: float

    @property
    def skill(self) -> float:
        """Against the best baseline in hindsight."""
        return skill(self.mae_s) or 0.0


def scored_laps(race: OfficialRace) -> set[tuple[str, int]]:
    """Car and number of the laps that are scored."""
    green_s = sorted(one.lap.time_s or 0.0 for one in race.laps if one.green)
    most_s = SLOW_LAP * green_s[len(green_s) // 4]
    return {(one.chassis, one.lap.number) for one in race.laps if one.green and (one.lap.time_s or 0.0) <= most_s}


def play(race: OfficialRace, settings: Settings) -> Result:
    """Forecast each lap of a race when the one before ends."""
    wanted = scored_laps(race)
    book = PaceBook(settings=settings)
    wrong_s = dict.fromkeys((PUBLISHED, MODEL, *BASELINES), 0.0)
    count = inside = 0
    begun: set[str] = set()
    for chassis, lap, _, _ in race.laps:
        forecast, time_s = book.forecast(chassis), lap.time_s
        if time_s is not None and (chassis, lap.number) in wanted:
            if forecast is not None and chassis in begun:
                count += 1
                inside += forecast.low_s <= time_s <= forecast.high_s
                for name, said_s in {PUBLISHED: forecast.time_s, **forecast.parts_s}.items():
                    wrong_s[name] += abs(said_s - time_s)
            begun.add(chassis)
        book.lap_ended(chassis, lap)
    return Result(count, {name: total_s / count for name, total_s in wrong_s.items()}, inside / count)


def chosen(results: Mapping[str, Sequence[Result]], without: str = "") -> int:
    """Which of ``GRID`` has the best mean skill on all races but one."""
    others = [of_race for name, of_race in results.items() if name != without]
    return max(range(len(GRID)), key=lambda index: sum(of_race[index].skill for of_race in others))


def forecast(quick: bool = False) -> dict[str, dict[str, float]]:
    """The figures of each race and their mean; ``quick``: with the default settings, not chosen ones."""
    try:
        found = races()
    except LookupError as error:
        print(f"forecast: not measured, {error.args[0]}")
        return {}
    if quick:
        best = {race.name: play(race, DEFAULT) for race in found}
    else:
        results = {race.name: [play(race, settings) for settings in GRID] for race in found}
        picks = {name: chosen(results, name) for name in results}
        best = {name: results[name][pick] for name, pick in picks.items()}
        for name, pick in (*picks.items(), ("all", chosen(results))):
            print(
                f"<!-- {name}: warm_decay, power, keep {GRID[pick].warm_decay, GRID[pick].power, GRID[pick].keep} -->"
            )
    table = {f"forecast of {name}": _figures(result) for name, result in best.items()}
    columns = {name: [figures[name] for figures in table.values()] for name in next(iter(table.values()))}
    table["forecast, mean of the races"] = {name: sum(values) / len(values) for name, values in columns.items()}
    table["forecast, worst of the races"] = {
        "skill": min(columns["skill"]),
        **{f"{which} coverage": pick(columns[_COVERAGE]) for which, pick in (("least", min), ("most", max))},
    }
    return table


def _figures(result: Result) -> dict[str, float]:
    errors = {f"MAE of {name} [s]": error_s for name, error_s in result.mae_s.items()}
    return {"laps": result.n, **errors, "skill": result.skill, _COVERAGE: result.coverage}


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
