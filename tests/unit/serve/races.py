"""A race whose tables a test can fill."""

from __future__ import annotations

from typing import Any

from pitwall.race.insights import InsightBook
from pitwall.race.lap import Lap
from pitwall.race.sheet import LapRow, best_lap_s, car_summary, lap_row


class ARace:
    """Tables of laps that were put in; gaps, score and insights are whatever a test sets them to."""

    def __init__(self) -> None:
        self.insights = InsightBook()
        self.driven: dict[tuple[str, str], list[Lap]] = {}
        self.now: list[dict[str, Any]] = []
        self.scored: dict[str, Any] = {}

    def _cars(self, chassis: str | None, track: str | None) -> list[tuple[str, str]]:
        cars = sorted(self.driven)
        return [car for car in cars if track in (None, car[0]) and chassis in (None, car[1])]

    def laps(self, chassis: str | None, track: str | None) -> list[LapRow]:
        """The laps of the cars that are asked for."""
        rows = []
        for car in self._cars(chassis, track):
            field_s = best_lap_s(lap for (at, _), laps in self.driven.items() if at == car[0] for lap in laps)
            own_s = best_lap_s(self.driven[car])
            rows += [lap_row(*car, lap, own_s, field_s) for lap in self.driven[car]]
        return sorted(rows, key=lambda row: (row["start"], row["chassis"]))

    def cars(self, chassis: str | None, track: str | None) -> list[dict[str, Any]]:
        """What they come to."""
        return [car_summary(*car, self.driven[car]) for car in self._cars(chassis, track)]

    def gaps(self, track: str | None) -> list[dict[str, Any]]:
        """The gaps."""
        return [gap for gap in self.now if track in (None, gap["track"])]

    def score(self) -> dict[str, Any]:
        """The score."""
        return self.scored
