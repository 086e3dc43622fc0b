"""Insights: what is said of a car, what it rests on, and whether that holds."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Struct, UnsetType, defstruct

from pitwall.contract.terms import Chassis, Count, Scalar, Seq, Track, among, told
from pitwall.race.formulas import FORMULAS, SEVERITIES, TYPES

Severity = Annotated[str, among(SEVERITIES)]
State = Annotated[str, among(("raised", "changed", "cleared"), "whether it arises, is of another severity, or is over")]
FormulaName = Annotated[str, among(tuple(FORMULAS), "how it was come by")]


def _figures() -> list[tuple[str, Any, Any]]:
    """The members of ``data``: the inputs of all formulas by the names they have there, with their units."""
    units: dict[str, str] = {}
    for formula in FORMULAS.values():
        for name, unit in formula.units.items():
            units.setdefault(formula.wire.get(name, name), unit)
    return [(name, _figure(unit) | UnsetType, UNSET) for name, unit in units.items()]


def _figure(unit: str) -> Any:
    if not unit:
        return float | int | str
    return bool if unit == "boolean" else Annotated[float, told("", unit)]


_Figures: Any = defstruct("_Figures", _figures(), kw_only=True)


class InsightData(_Figures):
    """The figures behind an insight, those that its formula has and that are known."""

    subject: Annotated[str, told("tells apart what one formula finds of one car")]


class Input(Struct):
    """What a formula was given."""

    value: Annotated[Scalar, told("in its unit")]
    unit: Annotated[str, told("empty where it has none")]


class Insight(Struct):
    """What is worth a line on the pit wall."""

    id: Annotated[str, told("names it within the epoch")]
    type: Annotated[str, among(TYPES)]
    severity: Annotated[Severity, told("of one that is over, what it was")]
    state: State
    message: Annotated[str, told("for a person")]
    chassis: Chassis
    track: Track
    timestamp: Annotated[int, told("the track's time, since 1970", "ms")]
    formula: FormulaName
    data: InsightData
    inputs: Annotated[dict[str, Input], told("what the formula was given, by name")]
    first_seq: Annotated[Seq, told("the first point it rests on")]
    last_seq: Annotated[Seq, told("the last point it rests on")]


class InsightsAnswer(Struct):
    """Insights, oldest first."""

    insights: list[Insight]


class Recomputed(Struct):
    """What the formula of an insight says to its inputs now."""

    severity: Annotated[Severity | None, told("null for one that is over")]
    state: Annotated[str, among(("raised", "changed", "cleared", "standing"), "standing: it would not be said")]
    message: Annotated[str, told("for a person")]
    agrees: Annotated[bool, told("whether these are the insight's own")]


class Checks(Struct):
    """What of the points was looked at, and whether it holds."""

    points: Annotated[bool, told("the car has as many points as were counted")] | UnsetType = UNSET
    constant: Annotated[bool, told("a stuck channel has one value")] | UnsetType = UNSET
    sign: Annotated[bool, told("a flipped channel has the wrong sign")] | UnsetType = UNSET
    stamps: Annotated[bool, told("a clock that stands still shows the same")] | UnsetType = UNSET
    silence: Annotated[bool, told("the next point came as late as was said")] | UnsetType = UNSET


class Ring(Struct):
    """What the points that are kept say to an insight."""

    verdict: Annotated[str, among(("confirmed", "contradicted", "gone"), "gone: not all of the points are kept")]
    looked_at: Annotated[list[int] | None, told("the first and the last number that was", minItems=2, maxItems=2)]
    points: Annotated[Count, told("points of the car among them")]
    checks: Checks


class InsightAnswer(Struct):
    """One insight, computed again from its inputs and held against the points."""

    insight: Insight
    recomputed: Recomputed
    ring: Ring
