"""
A share of the cars: all rows go in, and out come its cars' reports, tick by tick.

Every share sees all rows, in the order in which they were accepted, and so knows each
track's clock; it computes only the cars that are its own. What is said at a tick depends
on the rows before it alone, however they are cut into calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from pitwall.model.track import Track, Tracks
from pitwall.race.car import Car, Stored
from pitwall.race.report import CarReport, CarTick, car_report, car_tick
from pitwall.race.trackclock import TrackClock

Rows = NDArray[np.void]

#: A car that is not heard for so long has nothing more to say for now [s].
SILENT_S: Final = 3.0
#: In the list of tracks, the place of one that is gone.
_NO_TRACK: Final = ""


class TickMark(Struct, array_like=True, tag="t"):
    """A moment at which a track's race is looked at [ms since 1970], and the last row before it."""

    track: str
    at_ms: int
    seq: int


class Told(Struct, array_like=True):
    """What came of some rows: the ticks in order, and the cars at each."""

    marks: list[TickMark] = field(default_factory=list)
    cars: list[CarTick] = field(default_factory=list)


class StoredShare(Struct, array_like=True):
    """All that a share remembers, as it is stored."""

    clocks: dict[str, TrackClock]
    cars: dict[int, Stored]
    due: dict[str, list[int]]
    last_seq: int


class Share:
    """
    Some of the cars.

    Args:
        tracks: the configured ones.
        tick_s: from one tick of a track to the next, by its clock [s].
        mine: whether a car of that name is one of this share's.
        failed: is told of a car that could not be computed, within the exception's handler.
        stored: what a predecessor remembered.
    """

    def __init__(
        self,
        tracks: Tracks,
        tick_s: float,
        mine: Callable[[str], bool] = lambda chassis: True,
        failed: Callable[[str, str], None] | None = None,
        stored: StoredShare | None = None,
    ) -> None:
        self._tracks = tracks
        self._tick_s = tick_s
        self._is_mine = mine
        self._failed = failed
        self._names: dict[int, tuple[str, str]] = {}
        self._track_of = np.empty(0, np.int32)
        self._track_names: list[str] = []
        self._own = np.empty(0, np.bool_)
        self.cars: dict[int, Car] = {}
        self._clocks: dict[str, TrackClock] = {}
        #: Cars with rows since the last tick of their track, and since the last reports.
        self._due: dict[str, set[int]] = {}
        self._touched: set[int] = set()
        self._last_seq = 0
        #: Of a predecessor's cars those are taken over that are made known again.
        self._left: dict[int, Stored] = {}
        if stored is not None:
            self._clocks, self._left = stored.clocks, stored.cars
            self._due = {track: set(cars) for track, cars in stored.due.items()}
            self._last_seq = stored.last_seq

    def know(self, cars: list[tuple[int, str, str]], forget: list[int]) -> None:
        """Learn the cars' numbers, tracks and names, and drop those no longer followed."""
        for number, track, chassis in cars:
            if number >= self._own.size:
                room = max(2 * self._own.size, number + 1, 64)
                own, track_of = np.zeros(room, np.bool_), np.full(room, -1, np.int32)
                own[: self._own.size], track_of[: self._track_of.size] = self._own, self._track_of
                self._own, self._track_of = own, track_of
            if track not in self._track_names:
                if _NO_TRACK in self._track_names:
                    self._track_names[self._track_names.index(_NO_TRACK)] = track
                else:
                    self._track_names.append(track)
            self._track_of[number] = self._track_names.index(track)
            if self._is_mine(chassis):
                self._names[number] = (track, chassis)
                self._own[number] = True
                self.cars[number] = Car(self._track(track), self._left.pop(number, None))
        for number in forget:
            if number < self._own.size:
                self._own[number] = False
                self._track_of[number] = -1
            self._names.pop(number, None)
            self.cars.pop(number, None)
            self._touched.discard(number)
            for due in self._due.values():
                due.discard(number)
        if forget:
            self._forget_tracks()

    def change_tracks(self, tracks: Tracks) -> None:
        """Other tracks are in force for laps that begin from now on."""
        self._tracks = tracks
        for number, car in self.cars.items():
            car.change_track(self._track(self._names[number][0]))

    def _forget_tracks(self) -> None:
        """Remember nothing of tracks that no car is followed on: anybody can name one."""
        used = set(np.unique(self._track_of).tolist())
        for index, track in enumerate(self._track_names):
            if index not in used and track != _NO_TRACK:
                self._track_names[index] = _NO_TRACK
                self._clocks.pop(track, None)
                self._due.pop(track, None)

    def take(self, rows: Rows, counted_after: int = 0) -> Told:
        """
        Take rows of any cars in, in the order in which they were accepted.

        Rows numbered up to ``counted_after`` were reported before: they are computed, but
        neither counted nor are their ticks told.
        """
        self._left.clear()
        told = Told()
        if rows.size:
            self._last_seq = int(rows["seq"][-1])
        numbers = rows["car"]
        known = numbers < self._own.size
        tracks = np.full(rows.size, -1, np.int32)
        tracks[known] = self._track_of[numbers[known]]
        for track in np.unique(tracks).tolist():
            if track >= 0:
                at = np.flatnonzero(tracks == track)
                self._take_track(self._track_names[track], rows[at], counted_after, told)
        told.marks.sort(key=lambda mark: (mark.seq, mark.track))
        return told

    def reports(self) -> list[CarReport]:
        """The cars with rows since the last call, by number."""
        touched, self._touched = sorted(self._touched), set()
        return [
            car_report(number, *self._names[number], self.cars[number])
            for number in touched
            if self.cars[number].points
        ]

    def flush(self) -> Told:
        """Nothing more comes for now: say what would otherwise wait for further rows."""
        told = Told()
        for track in sorted({track for track, _ in self._names.values()}):
            clock = self._clocks.get(track)
            if clock is None:
                continue
            at_ms = math.floor(clock.now_s * 1000) + 1  # after every tick so far
            due = self._due.pop(track, set())
            told.marks.append(TickMark(track, at_ms, self._last_seq))
            for number in sorted(self.cars):
                if self._names[number][0] == track and (number in due or self.cars[number].unsettled):
                    self._tell(number, at_ms, told, final=True)
        return told

    def store(self) -> StoredShare:
        """All that is remembered."""
        cars = {number: car.store() for number, car in self.cars.items()}
        due = {track: sorted(numbers) for track, numbers in self._due.items()}
        return StoredShare(self._clocks, cars, due, self._last_seq)

    def _track(self, name: str) -> Track | None:
        return self._tracks.get(name)

    def _take_track(self, track: str, rows: Rows, counted_after: int, told: Told) -> None:
        clock = self._clocks.setdefault(track, TrackClock())
        before_s = clock.now_s
        shown = clock.take(rows["car"], rows["meta_s"])
        if math.isnan(before_s):
            before_s = float(shown[0])
        ticks = np.floor(np.concatenate(([before_s], shown)) / self._tick_s)
        # A tick falls before the row that brings the clock to it.
        ends = np.flatnonzero(np.diff(ticks) > 0)
        start = 0
        for end in ends.tolist():
            self._take_cars(rows[start:end], counted_after)
            at_ms = round(float(ticks[end + 1]) * self._tick_s * 1000)
            # Told with the row that brought the clock there.
            seq = int(rows["seq"][end])
            self._tick(track, at_ms, seq - 1, seq > counted_after, told)
            start = end
        self._take_cars(rows[start:], counted_after)

    def _take_cars(self, rows: Rows, counted_after: int) -> None:
        rows = rows[self._own[rows["car"]]]
        if not rows.size:
            return
        order = np.argsort(rows["car"], kind="stable")
        rows = rows[order]
        starts = np.flatnonzero(np.concatenate(([True], rows["car"][1:] != rows["car"][:-1])))
        for number, part in zip(rows["car"][starts].tolist(), np.split(rows, starts[1:]), strict=True):
            self._touched.add(number)
            self._due.setdefault(self._names[number][0], set()).add(number)
            try:
                self.cars[number].take(part, counted_after)
            except Exception:
                self._begin_anew(number)

    def _tick(self, track: str, at_ms: int, seq: int, tell: bool, told: Told) -> None:
        due = self._due.pop(track, set())
        if tell:
            told.marks.append(TickMark(track, at_ms, seq))
        for number in sorted(self.cars):
            if self._names[number][0] != track:
                continue
            car = self.cars[number]
            silent = number not in due and car.unsettled and at_ms / 1000 - car.heard_s > SILENT_S
            if number in due or silent:
                self._tell(number, at_ms, told if tell else Told(), final=silent)

    def _tell(self, number: int, at_ms: int, told: Told, final: bool) -> None:
        car = self.cars[number]
        try:
            laps = car.tick(final)
            told_s = car.told_s
            told.cars.append(car_tick(number, car, at_ms, laps))
            if not told.marks:
                car.told_s = told_s
        except Exception:
            self._begin_anew(number)

    def _begin_anew(self, number: int) -> None:
        """Nothing foreseen: this car begins anew, and the others lose nothing."""
        track, chassis = self._names[number]
        if self._failed is not None:
            self._failed(track, chassis)
        points = self.cars[number].points
        self.cars[number] = Car(self._track(track))
        self.cars[number].points = points
