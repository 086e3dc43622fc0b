"""The races on all tracks, and what is said of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from pitwall.model.track import Tracks
from pitwall.race.insights import InsightBook
from pitwall.race.race import RaceCar, TrackRace
from pitwall.race.report import CarTick
from pitwall.race.share import Told
from pitwall.race.sheet import LapRow, car_summary, lap_row

#: A tick of a race, that of its track.
TickKey = tuple[int, str, int]
#: Corrections kept until somebody takes them.
MOST_CORRECTIONS: Final = 1000


class RaceBook:
    """
    Every track's race.

    Args:
        tracks: the configured ones.
        loss_s: the loss that laps are counted to [s].
    """

    def __init__(self, tracks: Tracks, loss_s: float = 0.5) -> None:
        self._tracks = tracks
        self._loss_s = loss_s
        self.races: dict[str, TrackRace] = {}
        self.insights = InsightBook()
        self._track_of: dict[int, str] = {}
        self._pending: dict[TickKey, list[CarTick]] = defaultdict(list)
        self._changes: list[tuple[int, Tracks, tuple[str, ...]]] = []
        self._changed: dict[str, None] = {}

    def know(self, number: int, track: str, chassis: str) -> None:
        """A car is followed from now on."""
        race = self.races.get(track)
        if race is None:
            race = self.races[track] = TrackRace(track, None, self._loss_s)
            race.change_track(*self._measure(track))
        race.know(number, chassis)
        self._track_of[number] = track

    def followed(self) -> list[int]:
        """The numbers of the cars that are followed."""
        return list(self._track_of)

    def forget(self, number: int) -> list[dict[str, Any]]:
        """A car is not followed any more; returns the insights that end with it."""
        track = self._track_of.pop(number, None)
        if track is None:
            return []
        race = self.races[track]
        car = race.forget(number)
        if not race.cars:
            del self.races[track]
        return self.insights.forget(track, car.chassis) if car is not None else []

    def change_tracks(self, tracks: Tracks, names: tuple[str, ...], after_seq: int) -> None:
        """
        Other tracks are in force for the ticks after a row.

        Args:
            tracks: all of them.
            names: of those that have changed.
            after_seq: the last row that the others were in force for.
        """
        self._changes.append((after_seq, tracks, names))

    def take_changed_tracks(self) -> list[str]:
        """Which tracks of the track file have changed since this was asked last."""
        changed, self._changed = list(self._changed), {}
        return changed

    def _measure(self, track: str) -> tuple[float | None, int]:
        known = self._tracks.get(track)
        return (None, 0) if known is None else (known.total_m, known.layout)

    def _change_upto(self, seq: int) -> None:
        while self._changes and self._changes[0][0] <= seq:
            _, self._tracks, names = self._changes.pop(0)
            self._changed |= dict.fromkeys(names)
            for name, race in self.races.items():
                if self._measure(name) != (race.configured_m, race.layout):
                    race.change_track(*self._measure(name))

    def collect(self, told: Told) -> None:
        """Keep what a share of the cars told until its ticks are due."""
        at = {(mark.track, mark.at_ms): mark.seq for mark in told.marks}
        for mark in told.marks:
            self._pending.setdefault((mark.seq, mark.track, mark.at_ms), [])
        for report in told.cars:
            track = self._track_of.get(report.car)
            if track is not None and (track, report.at_ms) in at:
                self._pending[at[track, report.at_ms], track, report.at_ms].append(report)

    @property
    def pending(self) -> bool:
        """Whether ticks wait, or other tracks."""
        return bool(self._pending or self._changes)

    def due(self, upto_seq: int) -> Iterable[list[dict[str, Any]]]:
        """
        Work off the ticks up to a row, in order; yields the insights of each.

        Args:
            upto_seq: up to which row every share has told.
        """
        for key in sorted(key for key in self._pending if key[0] <= upto_seq):
            seq, track, at_ms = key
            self._change_upto(seq - 1)
            reports = self._pending.pop(key, None)
            race = self.races.get(track)
            if race is not None and reports is not None:
                cars = race.tick(at_ms, reports)
                yield self.insights.tick(track, race.at_ms, cars)
        self._change_upto(upto_seq)

    def fill(self, result: dict[str, Any], number: int) -> None:
        """Add to a car's result what comes of comparing it with the others."""
        race = self.races.get(result["track"])
        if race is not None:
            race.fill(result, number)

    def take_corrections(self) -> list[dict[str, Any]]:
        """What changed of laps that were told, since this was asked last."""
        found: list[dict[str, Any]] = []
        for race in self.races.values():
            found += race.corrections
            race.corrections = []
        return found[-MOST_CORRECTIONS:]

    def gaps(self, track: str | None = None) -> list[dict[str, Any]]:
        """The gaps of every car, track by track, in order of position."""
        return [gap for name in sorted(self.races) if track in (None, name) for gap in self.races[name].shown_gaps()]

    def laps(self, chassis: str | None = None, track: str | None = None) -> list[LapRow]:
        """The laps, oldest first."""
        rows = []
        for race, car in self._cars(chassis, track):
            for lap in car.laps.values():
                corrected = lap.number in car.corrected
                gap_s = race.gap_at_line_s(lap)
                row = lap_row(race.track, car.chassis, lap, car.best_s, race.best_s, corrected, gap_s)
                rows.append((lap.start_s, row))
        rows.sort(key=lambda each: each[0])
        return [row for _, row in rows]

    def cars(self, chassis: str | None = None, track: str | None = None) -> list[dict[str, Any]]:
        """What the laps of each car come to."""
        return [
            car_summary(race.track, car.chassis, list(car.laps.values()), race.stress_index(car), race.layout)
            for race, car in self._cars(chassis, track)
        ]

    def tracks(self, track: str | None = None) -> list[dict[str, Any]]:
        """Each track: its length, learnt where it is not configured, and the best of the field."""
        found = []
        for name, race in sorted(self.races.items()):
            if track not in (None, name):
                continue
            best = min(
                (car for car in race.cars.values() if car.best_s is not None),
                key=lambda car: (car.best_s, car.chassis),
                default=None,
            )
            known = self._tracks.get(name)
            found.append(
                {
                    "track": name,
                    "length_m": race.length_m,
                    "configured": race.configured_m is not None,
                    "layout": race.layout,
                    "sector_ends_m": [] if known is None else list(known.boundaries_m()),
                    "finish_line": None if known is None else known.finish_line,
                    "cars": len(race.cars),
                    "best_lap_s": race.best_s,
                    "best_chassis": None if best is None else best.chassis,
                    "best_sectors_s": race.sectors_s,
                    "best_minis_s": race.minis_s,
                }
            )
        return found

    def score(self) -> dict[str, Any]:
        """What the forecasts were worth, by track: see ``Scoreboard``."""
        return {"tracks": {name: race.pace.score() for name, race in sorted(self.races.items())}}

    def forecasts(self) -> dict[str, Any]:
        """The scores of each track without what they consist of: n, MAE [s], skill and coverage."""
        names = ("n", "discarded", "mae_s", "best_baseline", "skill", "coverage90", "weights")
        return {
            name: {each: value for each, value in race.pace.score().items() if each in names}
            for name, race in sorted(self.races.items())
        }

    def _cars(self, chassis: str | None, track: str | None) -> list[tuple[TrackRace, RaceCar]]:
        return [
            (race, car)
            for name, race in sorted(self.races.items())
            if track in (None, name)
            for car in sorted(race.cars.values(), key=lambda each: each.chassis)
            if chassis in (None, car.chassis)
        ]
