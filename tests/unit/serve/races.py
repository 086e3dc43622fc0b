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
        #: Told of every lap, every car and every track.
        self.gap_at_line_s: float | None = None
        self.stress_index: float | None = None
        self.bests: dict[str, Any] = {"best_sectors_s": [], "best_minis_s": []}

    def _cars(self, chassis: str | None, track: str | None) -> list[tuple[str, str]]:
        cars = sorted(self.driven)
        return [car for car in cars if track in (None, car[0]) and chassis in (None, car[1])]

    def laps(self, chassis: str | None, track: str | None) -> list[LapRow]:
        """The laps of the cars that are asked for."""
        rows = []
        for car in self._cars(chassis, track):
            field_s = best_lap_s(lap for (at, _), laps in self.driven.items() if at == car[0] for lap in laps)
            own_s = best_lap_s(self.driven[car])
            rows += [lap_row(*car, lap, own_s, field_s, gap_at_line_s=self.gap_at_line_s) for lap in self.driven[car]]
        return sorted(rows, key=lambda row: (row["start"], row["chassis"]))

    def cars(self, chassis: str | None, track: str | None) -> list[dict[str, Any]]:
        """What they come to."""
        return [car_summary(*car, self.driven[car], self.stress_index) for car in self._cars(chassis, track)]

    def tracks(self, track: str | None) -> list[dict[str, Any]]:
        """The tracks, with what a test set."""
        found = []
        for name in sorted({each for each, _ in self.driven if track in (None, each)}):
            own = [car for car in self.cars(None, name) if car["best_lap_s"] is not None]
            best = min(own, key=lambda car: (car["best_lap_s"], car["chassis"]), default=None)
            found.append(
                {
                    "track": name,
                    "length_m": 3674.7,
                    "configured": True,
                    "layout": 0,
                    "sector_ends_m": [1029.0, 2609.4, 3674.7],
                    "finish_line": [33.5326722, -86.6196083],
                    "cars": len(self.cars(None, name)),
                    "best_lap_s": None if best is None else best["best_lap_s"],
                    "best_chassis": None if best is None else best["chassis"],
                    **self.bests,
                }
            )
        return found

    def gaps(self, track: str | None) -> list[dict[str, Any]]:
        """The gaps."""
        return [gap for gap in self.now if track in (None, gap["track"])]

    def score(self) -> dict[str, Any]:
        """The score."""
        return self.scored
