"""What is worth a line on the pit wall: each said once when it arises, and again when its severity changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

#: Pace lost a lap from which a tire is said to go away, and the severity [s/lap].
_WEAR = ((0.30, "critical"), (0.15, "high"), (0.08, "medium"), (0.04, "low"))
#: Laps until half a second is lost, from which a stop is worth a thought [laps].
_STOP = ((2.0, "high"), (5.0, "medium"))
#: Consistency of lap times below which it is said [0 to 100].
_UNEVEN = ((97.0, "medium"), (98.5, "low"))
#: A speed above this that never changes over many points is a stuck channel [km/h].
_STUCK_ABOVE_KMH = 5.0


class Insight(NamedTuple):
    """A finding about a car, before it has a time."""

    type: str
    severity: str
    message: str
    data: dict[str, Any]


class InsightBook:
    """Remembers what was said of each car, so that nothing is said twice."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], dict[str, str]] = {}

    def news(
        self, results: Iterable[Mapping[str, Any]], gaps: Iterable[Mapping[str, Any]], now_ms: int
    ) -> list[dict[str, Any]]:
        """
        The insights that are new with these results.

        Args:
            results: the cars' results, as clients get them.
            gaps: the gaps of the field.
            now_ms: the time they are stamped with [ms since 1970].
        """
        by_car = {(gap["track"], gap["chassis"]): gap for gap in gaps}
        found: list[dict[str, Any]] = []
        for result in results:
            car = (result["track"], result["chassis"])
            said = self._said.get(car, {})
            standing = list(_findings(result, by_car.get(car)))
            self._said[car] = {insight.type: insight.severity for insight in standing}
            found += [
                {**insight._asdict(), "chassis": result["chassis"], "timestamp": now_ms}
                for insight in standing
                if said.get(insight.type) != insight.severity
            ]
        return found

    def forget(self, track: str, chassis: str) -> None:
        """Drop what was said of a car that is no longer followed."""
        self._said.pop((track, chassis), None)


def _findings(result: Mapping[str, Any], gap: Mapping[str, Any] | None) -> Iterable[Insight]:
    meta = result["meta"]
    loss = result["predicted_loss_per_lap_seconds"]
    severity = _from(_WEAR, loss)
    if severity is not None:
        data = {"predicted_loss_per_lap_seconds": loss, "lap_tire_stress": result["lap_tire_stress"]}
        yield Insight("tire_wear", severity, f"losing {loss:.2f} s a lap", data)
    laps = result["laps_until_0_5s_loss"]
    severity = _below(_STOP, laps) if loss > 0 else None
    if severity is not None:
        yield Insight("strategy", severity, f"half a second slower in {laps:.1f} laps", {"laps_until_0_5s_loss": laps})
    consistency = meta.get("consistency")
    severity = _below(_UNEVEN, consistency) if consistency is not None else None
    if severity is not None:
        data = {"consistency": consistency, "performanceTrend": meta["performanceTrend"]}
        yield Insight("performance", severity, f"uneven laps, consistency {consistency:.1f}", data)
    if gap is not None and (gap["overtakingOpportunity"] or gap["underPressure"]):
        both = gap["overtakingOpportunity"] and gap["underPressure"]
        message = "can attack the car ahead" if gap["overtakingOpportunity"] else "under pressure from behind"
        data = {name: gap[name] for name in ("position", "overtakingOpportunity", "underPressure")}
        yield Insight("gap_analysis", "high" if both else "medium", message, data)
    top = meta.get("maxSpeed")
    if top is not None and top > _STUCK_ABOVE_KMH and meta.get("avgSpeed") == top and meta["pointCount"] > 20:
        yield Insight("anomaly", "medium", f"speed has stayed at {top:.1f} km/h", {"maxSpeed": top})


def _from(steps: Iterable[tuple[float, str]], value: float) -> str | None:
    return next((severity for limit, severity in steps if value >= limit), None)


def _below(steps: Iterable[tuple[float, str]], value: float) -> str | None:
    return next((severity for limit, severity in steps if value <= limit), None)
