"""
The hub: every door publishes here, every screen is served from here.

It numbers the points, keeps their JSON in the ring and their numbers in the
shared rows, and tells its listeners that there is something new. It knows no
reactor: whoever calls says what time it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pitwall.ledger import Ledger
from pitwall.model.point import Point
from pitwall.ring import PointRing
from pitwall.rows import SharedRows, columns_of, pack_rows

#: Points held back before they are made rows at one go: ten columns cost as much for one point as for a hundred.
_STAGED_AT_MOST = 1024


class Car(NamedTuple):
    """A car on a track; ``number`` stands for it in the shared rows and is never used again for another."""

    number: int
    track: str
    chassis: str


class CarTable:
    """
    The cars heard of, at most ``most`` of them.

    A further one takes the place of the car that has been silent for longest.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.evicted = 0
        self.heard_at: dict[int, float] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._by_number: dict[int, Car] = {}
        self._last_number = -1

    def __len__(self) -> int:
        return len(self._by_number)

    def numbers(self, names: Sequence[tuple[str, str]], now: float) -> list[int]:
        """The number of the car of each (track, chassis); a new car gets the next one."""
        found: list[Any] = list(map(self._numbers.get, names))
        heard = set(found)
        # Before anything is evicted, so that no car loses its place while it speaks.
        self.heard_at.update(dict.fromkeys(heard - {None}, now))
        if None in heard:
            pairs = zip(names, found, strict=True)
            found = [self._add(name, now) if number is None else number for name, number in pairs]
        return found

    def since(self, number: int) -> list[Car]:
        """The cars numbered above ``number``, in order; those evicted are left out."""
        return [car for car in self._by_number.values() if car.number > number]

    def get(self, number: int) -> Car | None:
        """The car of that number; None once it is evicted."""
        return self._by_number.get(number)

    @property
    def last_number(self) -> int:
        """The highest number given; -1 before there is one."""
        return self._last_number

    def _add(self, name: tuple[str, str], now: float) -> int:
        if name in self._numbers:  # a moment ago, in the same batch
            return self._numbers[name]
        if len(self._by_number) >= self.most:
            silent = min(self.heard_at, key=self.heard_at.__getitem__)
            del self.heard_at[silent]
            gone = self._by_number.pop(silent)
            del self._numbers[gone.track, gone.chassis]
            self.evicted += 1
        self._last_number += 1
        self._by_number[self._last_number] = Car(self._last_number, *name)
        self._numbers[name] = self._last_number
        self.heard_at[self._last_number] = now
        return self._last_number


class Hub:
    """
    What is known now: points, cars, counters.

    Args:
        ring: keeps the points' JSON.
        rows: keeps their numbers, for the workers.
        epoch: names this run of the server; sequence numbers start at 1 in each.
        most_cars: how many cars are followed at a time.
    """

    def __init__(self, ring: PointRing, rows: SharedRows, epoch: str, most_cars: int = 256) -> None:
        self.ring = ring
        self.rows = rows
        self.epoch = epoch
        self.cars = CarTable(most_cars)
        self.ledger = Ledger()
        #: Called after each publish with the last sequence number.
        self.listeners: list[Callable[[int], None]] = []
        self.newest_at = 0.0
        self._staged: list[Point] = []

    @property
    def last_seq(self) -> int:
        """The number of the newest point; 0 before there is one."""
        return self.ring.last_seq

    def publish(self, door: str, points: Sequence[Point], raws: Sequence[bytes], received_at: float) -> None:
        """
        Take accepted points in, oldest first.

        Args:
            door: who brings them, for the ledger.
            points: stamped, in the order of ``raws``.
            raws: the JSON of each, as clients are to get it.
            received_at: when they came [s since 1970].
        """
        if not points:
            return
        self.ledger.accepted[door] += len(points)
        self.newest_at = received_at
        self.ring.append(raws)
        self._staged += points
        if len(self._staged) >= _STAGED_AT_MOST:
            self.write_rows()
        for listener in self.listeners:
            listener(self.ring.last_seq)

    def refuse(self, door: str, reason: str, count: int = 1) -> None:
        """Count what was no point."""
        self.ledger.refused[door, reason] += count

    def write_rows(self) -> None:
        """Let the workers see every point published so far."""
        staged, self._staged = self._staged, []
        for start in range(0, len(staged), self.rows.capacity):
            columns = columns_of(staged[start : start + self.rows.capacity])
            numbers = self.cars.numbers(list(zip(columns[0], columns[1], strict=True)), self.newest_at)
            self.rows.write(pack_rows(columns, numbers, self.rows.published + 1))
