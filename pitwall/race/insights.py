"""
What is worth a line on the pit wall: said when it arises, when its severity changes, and when it is over.

The book keeps one state for each (track, chassis, formula, subject)::

              raised            changed
     nothing ───────► severity ◄───────► another severity
        ▲                │                   │
        └────────────────┴───────────────────┘  cleared

It knows no clock: time is that of the ticks. The same ticks in the same order give
the same insights, byte for byte, whatever the order of the cars within a tick.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import json

from pitwall.race.evidence import LEFT, MOST_INPUTS, NONE, OWN_INPUTS, inputs_of, recomputed, state_of
from pitwall.race.findings import CarMemory, CarNow, Finding, findings
from pitwall.race.formulas import decide, rank

__all__ = ["MOST_KEPT", "CarNow", "InsightBook"]

#: Insights kept with their inputs.
MOST_KEPT: Final = 500
#: The longest subject that is shown [characters].
_MOST_SUBJECT: Final = 128


class _Watch:
    """One subject of one car: its severity, and since when the formula wants another one."""

    __slots__ = ("finding", "rises", "said", "severity", "since_lap", "since_ms")

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        self.severity: str | None = None
        self.rises: bool | None = None
        self.since_ms = 0
        self.since_lap = 0
        #: The newest insight about it, as JSON.
        self.said = b""

    def lasted(self, wanted: str | None, at_ms: int, lap: int) -> tuple[float, int]:
        """For how long it has been wanted worse, or milder [s], and how many laps ended meanwhile."""
        rises = rank(wanted) > rank(self.severity)
        if rises is not self.rises:
            self.rises, self.since_ms, self.since_lap = rises, at_ms, lap
        # A track's time and a car's laps begin anew when a recording does.
        self.since_ms, self.since_lap = min(self.since_ms, at_ms), min(self.since_lap, lap)
        return (at_ms - self.since_ms) / 1000, lap - self.since_lap


class _Car:
    """One car: what is watched of it, and what was known of it at the last tick."""

    __slots__ = ("memory", "now", "watched")

    def __init__(self, now: CarNow) -> None:
        self.now = now
        self.memory = CarMemory()
        self.watched: dict[tuple[str, str], _Watch] = {}


class InsightBook:
    """
    What was said of each car, and what it rested on.

    An insight's id is the prefix and a number that counts up from 1, so it names an
    insight within one run of the server. The newest ``most_kept`` are kept, and those
    that stand, however old.

    Args:
        most_kept: insights kept.
        most_inputs: of the inputs of each, as JSON [bytes].
        prefix: what ids begin with.
    """

    def __init__(self, most_kept: int = MOST_KEPT, most_inputs: int = MOST_INPUTS, prefix: str = "i") -> None:
        self._most_inputs = most_inputs
        self._prefix = prefix
        self._count = 0
        self._kept: deque[tuple[str, bytes]] = deque(maxlen=most_kept)
        self._cars: dict[tuple[str, str], _Car] = {}
        self._tick_ms: dict[str, int] = {}

    @property
    def count(self) -> int:
        """So many were said."""
        return self._count

    def tick(self, track: str, at_ms: int, cars: Sequence[CarNow]) -> list[dict[str, Any]]:
        """
        What is new to say of cars, by chassis and then in the order of the formulas.

        Args:
            track: where they are.
            at_ms: the track's analysis time [ms since 1970].
            cars: those there is something new about; of others nothing changes.
        """
        self._tick_ms[track] = at_ms
        said: list[dict[str, Any]] = []
        for now in sorted(cars, key=lambda each: each.chassis):
            key = (track, now.chassis)
            car = self._cars.get(key)
            if car is None:
                car = self._cars[key] = _Car(now)
            car.now = now
            car.memory.note(now, at_ms)
            open_subjects = [subject for _, subject in car.watched]
            for finding in findings(now, car.memory, at_ms, open_subjects):
                new = self._weigh(track, car, finding, at_ms)
                if new is not None:
                    said.append(new)
        return said

    def forget(self, track: str, chassis: str) -> list[dict[str, Any]]:
        """Clear what stands of a car that is not followed any more, and drop it; the time is that of its last tick."""
        car = self._cars.pop((track, chassis), None)
        if car is None:
            return []
        at_ms = self._tick_ms[track]
        if not any(each == track for each, _ in self._cars):
            del self._tick_ms[track]
        return [
            self._say(track, car, watch, at_ms, None, {"lasted_s": 0.0, "lasted_laps": 0, "followed": False})
            for watch in car.watched.values()
            if watch.severity is not None
        ]

    def get(self, insight_id: str) -> dict[str, Any] | None:
        """The insight of this id; None for one that is not kept."""
        for each, said in reversed(self._kept):
            if each == insight_id:
                return _decoded(said)
        return next((insight for insight in self.standing() if insight["id"] == insight_id), None)

    def recomputed(self, insight_id: str) -> dict[str, Any] | None:
        """What the formula of an insight says to its inputs, and whether it ``agrees``; None for one not kept."""
        insight = self.get(insight_id)
        return None if insight is None else recomputed(insight)

    def newest(
        self,
        count: int = MOST_KEPT,
        track: str | None = None,
        chassis: str | None = None,
        type_: str | None = None,
    ) -> list[dict[str, Any]]:
        """The last ``count`` insights, of one track, chassis or type where these are told; oldest first."""
        kept = (_decoded(said) for _, said in self._kept)
        return _chosen(kept, count, track, chassis, type_)

    def standing(
        self,
        count: int | None = None,
        track: str | None = None,
        chassis: str | None = None,
        type_: str | None = None,
    ) -> list[dict[str, Any]]:
        """What has been raised and not cleared: the newest insight about each, oldest first."""
        watched = (watch for car in self._cars.values() for watch in car.watched.values() if watch.severity is not None)
        insights = sorted((_decoded(watch.said) for watch in watched), key=self._number)
        return _chosen(iter(insights), len(insights) if count is None else count, track, chassis, type_)

    def _number(self, insight: dict[str, Any]) -> int:
        return int(insight["id"][len(self._prefix) :])

    def _weigh(self, track: str, car: _Car, finding: Finding, at_ms: int) -> dict[str, Any] | None:
        formula, subject, values = finding
        key = (formula.name, subject)
        watch = car.watched.get(key)
        wanted = formula.judge(values, None if watch is None else watch.severity)
        if watch is None:
            if wanted is None:
                return None
            watch = car.watched[key] = _Watch(finding)
        watch.finding = finding
        if wanted == watch.severity:
            watch.rises = None
            if wanted is None:
                del car.watched[key]
            return None
        lap = 0 if car.now.last_lap is None else car.now.last_lap.number
        lasted_s, lasted_laps = watch.lasted(wanted, at_ms, lap)
        severity = decide(formula, values, watch.severity, lasted_s, lasted_laps)
        if severity == watch.severity:
            return None
        new = self._say(track, car, watch, at_ms, severity, {"lasted_s": lasted_s, "lasted_laps": lasted_laps})
        if severity is None:
            del car.watched[key]
        return new

    def _say(
        self, track: str, car: _Car, watch: _Watch, at_ms: int, severity: str | None, own: dict[str, Any]
    ) -> dict[str, Any]:
        formula, subject, values = watch.finding
        before = watch.severity
        self._count += 1
        own = {"standing": before or NONE, **own}
        if car.now.points is not None:
            own["points"] = car.now.points
        inputs = inputs_of({**values, **own}, {**OWN_INPUTS, **formula.units}, self._most_inputs)
        # What is told is told from the inputs as they are kept, so that it can be told again.
        values = {name: inputs[name]["value"] for name in formula.units}
        insight = {
            "id": f"{self._prefix}{self._count}",
            "type": formula.type,
            "severity": severity or before,
            "state": state_of(before, severity),
            "message": LEFT if own.get("followed") is False else formula.tell(values, severity),
            "chassis": car.now.chassis,
            "track": track,
            "timestamp": at_ms,
            "formula": formula.name,
            "data": {
                "subject": subject[:_MOST_SUBJECT],
                **{formula.wire.get(name, name): value for name, value in values.items() if value is not None},
            },
            "inputs": inputs,
            "first_seq": car.now.first_seq,
            "last_seq": car.now.last_seq,
        }
        watch.severity, watch.rises = severity, None
        watch.said = json.encode(insight)
        self._kept.append((str(insight["id"]), watch.said))
        return insight


def _decoded(said: bytes) -> dict[str, Any]:
    return dict(json.decode(said))


def _chosen(
    insights: Iterator[dict[str, Any]], count: int, track: str | None, chassis: str | None, type_: str | None
) -> list[dict[str, Any]]:
    wanted = {"track": track, "chassis": chassis, "type": type_}
    asked = [(name, value) for name, value in wanted.items() if value is not None]
    found = [insight for insight in insights if all(insight[name] == value for name, value in asked)]
    return found[-count:] if count > 0 else []
