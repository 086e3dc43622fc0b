"""The tables of the race: laps, what they come to, and how good the forecasts were."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from pitwall.contract.terms import Chassis, Count, Moment, Pair, Seq, Track, among, told
from pitwall.race.forecast import BASELINES, COMBINATION, METHODS
from pitwall.race.lap import MARKS, MINI_SECTORS
from pitwall.race.score import PUBLISHED

LapNumber = Annotated[int, told("the how many-th of the race", least=1)]
Mark = Annotated[str, among(MARKS)]
Kind = Annotated[str, among(("clean", *MARKS), "clean, or the most telling of its marks")]
Method = Annotated[str, among(METHODS)]
Chosen = Annotated[str, among((*METHODS, COMBINATION), "the method that has the say")]
Times = list[float | None]


class LapRow(Struct):
    """A lap of a car."""

    chassis: Chassis
    track: Track
    lap: LapNumber
    kind: Kind
    marks: Annotated[list[Mark], told("what is special about it")]
    start: Annotated[Moment, told("when it began")]
    lap_time_s: Annotated[float | None, told("from line to line", "s", 0)]
    sector_times_s: Annotated[Times, told("they add up to the lap", "s")]
    mini_times_s: Annotated[Times, told(f"{MINI_SECTORS} parts of equal length", "s", maxItems=MINI_SECTORS)]
    stress_g2m: Annotated[float, told("∫(ax² + ay²) ds", "g²·m", 0)]
    sector_stress_g2m: Annotated[list[float], told("the same by sector", "g²·m")]
    length_m: Annotated[float | None, told("by the car's own distance", "m", 0)]
    line_kmh: Annotated[float | None, told("the speed at its end", "km/h", 0)]
    best: Annotated[bool, told("the car's fastest clean lap")]
    field_best: Annotated[bool, told("the fastest clean lap on the track")]
    corrected: Annotated[bool, told("whether it was told otherwise before")]
    lap_sent: Annotated[int | None, told("the lap number that the car sent")]
    layout: Annotated[Count, told("the layout of its track that its sectors are of")]
    gap_at_line_s: Annotated[float | None, told("how long after the first car of that lap it ended", "s", 0)]
    first_seq: Annotated[Seq, told("its first point")]
    last_seq: Annotated[Seq, told("its last point")]


class CarSummary(Struct):
    """What the laps of a car come to."""

    chassis: Chassis
    track: Track
    laps: Annotated[Count, told("that were driven")]
    clean_laps: Annotated[Count, told("of these the clean ones")]
    best_lap_s: Annotated[float | None, told("the fastest clean lap", "s", 0)]
    theoretical_best_s: Annotated[float | None, told("the sum of the car's fastest sectors", "s", 0)]
    last_lap_s: Annotated[float | None, told("the last lap", "s", 0)]
    tire_stress_index: Annotated[float | None, told("of the last clean lap, 100 for the median of the field", "", 0)]


class TrackSummary(Struct):
    """A track, and the best of the field on it."""

    track: Track
    length_m: Annotated[float | None, told("of the lap; learnt where it is not in the track file", "m", 0)]
    configured: Annotated[bool, told("whether the length is that of the track file")]
    layout: Annotated[Count, told("names length and sectors: those of laps with the same can be compared")]
    sector_ends_m: Annotated[list[float], told("where each sector ends, the line last; none without a track file", "m")]
    finish_line: Annotated[Pair | None, told("where the line is, latitude and longitude", "deg")]
    cars: Annotated[Count, told("that drove on it")]
    best_lap_s: Annotated[float | None, told("the fastest clean lap", "s", 0)]
    best_chassis: Annotated[str | None, told("whose it is")]
    best_sectors_s: Annotated[Times, told("the fastest of each sector in clean laps", "s")]
    best_minis_s: Annotated[Times, told("the fastest of each mini-sector in clean laps", "s")]


class LapsAnswer(Struct):
    """The laps driven, oldest first, and what they come to."""

    laps: list[LapRow]
    cars: list[CarSummary]
    tracks: list[TrackSummary]


Errors = dict[
    Annotated[str, among((PUBLISHED, *METHODS))],
    Annotated[float, told("the mean error", "s", 0)],
]
Weights = dict[Method, Annotated[float, told("the share of a method", "", 0, 1)]]


class Figures(Struct, kw_only=True):
    """What forecasts were worth; what needs a scored one is null, or left out, without one."""

    n: Annotated[Count, told("forecasts that were scored")]
    discarded: Annotated[Count, told("those of a lap that was not clean, or never came")]
    mae_s: Annotated[Errors | None, told("mean absolute error: of what was published, and of each method", "s")]
    best_baseline: Annotated[str, among(BASELINES, "the simple method that was best")] | UnsetType = UNSET
    skill: Annotated[float | None, told("1 − error / error of the best baseline", "", most=1)]
    coverage90: Annotated[float | None, told("the share of laps inside the interval of 90 %", "", 0, 1)]


class TrackFigures(Figures, kw_only=True):
    """What the forecasts on a track were worth."""

    weights: Weights


class ScoredForecast(Struct):
    """A forecast and what became of it."""

    chassis: Chassis
    lap: LapNumber
    time_s: Annotated[float, told("what the lap took", "s", 0)]
    forecast_s: Annotated[float, told("what was foretold", "s", 0)]
    low_s: Annotated[float, told("where the interval of 90 % begins", "s")]
    high_s: Annotated[float, told("where it ends", "s")]
    method: Chosen
    parts_s: Annotated[dict[Method, float], told("what each method had said", "s")]


class TrackScore(TrackFigures, kw_only=True):
    """What the forecasts on a track were worth: of all cars, of each, and the latest one by one, oldest first."""

    cars: dict[Chassis, Figures]
    latest: list[ScoredForecast]


class ScoreAnswer(Struct):
    """How good the forecasts were, by track; empty where no race is computed."""

    tracks: dict[Track, TrackScore] | UnsetType = UNSET
