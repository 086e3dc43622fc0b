"""The cars heard of, and what is known of each: how often its channels come, its clock, what had to be repaired."""

from __future__ import annotations

import math
import statistics
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pitwall.model.channels import CORE, EXTRA
from pitwall.model.point import iso_utc
from pitwall.race.clock import CarClock

#: Rates are taken over so many looks, one a second.
_RATE_LOOKS: Final = 11
#: A clock that is so far from UTC runs ahead or behind, and was not just set roughly [s].
_FAR_S: Final = 3600.0
#: A clock that was set is said to have been for so long [s].
_SET_S: Final = 60.0
#: No point comes so late by itself: it is of another time [s].
_PAST_S: Final = 120.0
#: A car whose time is so far ahead, or so far from that of the cars around it, is not believed [s].
_APART_S: Final = 10.0
#: Among fewer cars nobody can tell whose time is wrong.
_FEWEST: Final = 3
_CHANNELS: Final = tuple(channel.name for channel in CORE + EXTRA)


class Car(NamedTuple):
    """A car on a track; ``number`` stands for it in the shared rows and is never used again for another."""

    number: int
    track: str
    chassis: str


class CarFacts:
    """
    What is known of one car.

    Attributes:
        first_at, last_at: when it was heard first and last [s since 1970].
        points: accepted points.
        stamped: those of them that had no ``meta_time`` and got that of their arrival.
        meta_s: the latest ``meta_time`` of what came last [s since 1970].
        counts: values of each channel, in the order of the catalogue; shape (channels,).
        value_at: when the last value of each came; shape (channels,), NaN before there is one [s since 1970].
        clock: its own clock; None while no point told it.
        flipped, stuck: channels with the wrong sign, and channels that do not change while the car moves.
    """

    __slots__ = (
        "_looks",
        "_stamped_looks",
        "clock",
        "counts",
        "first_at",
        "flipped",
        "last_at",
        "meta_s",
        "points",
        "stamped",
        "stuck",
        "value_at",
    )

    def __init__(self, now: float) -> None:
        self.first_at = self.last_at = now
        self.points = self.stamped = 0
        self.meta_s = math.nan
        self.counts: NDArray[np.int64] = np.zeros(len(_CHANNELS), np.int64)
        self.value_at: NDArray[np.float64] = np.full(len(_CHANNELS), math.nan)
        self.clock: CarClock | None = None
        self.flipped: tuple[str, ...] = ()
        self.stuck: tuple[str, ...] = ()
        self._looks: deque[tuple[float, NDArray[np.int64]]] = deque([(now, self.counts.copy())], _RATE_LOOKS)
        self._stamped_looks: deque[int] = deque([0], _RATE_LOOKS)

    def look(self, now: float) -> None:
        """Note the counts, for the rates; to be called once a second."""
        self._looks.append((now, self.counts.copy()))
        self._stamped_looks.append(self.stamped)

    def channels(self, now: float) -> dict[str, dict[str, float]]:
        """The rate [1/s] and the age of the last value [s] of each channel that was ever sent."""
        then, before = self._looks[0]
        rates = (self.counts - before) / max(now - then, 1.0)
        return {
            name: {
                "rate_hz": round(float(rates[index]), 2),
                "age_s": round(max(now - float(self.value_at[index]), 0.0), 3),
            }
            for index, name in enumerate(_CHANNELS)
            if self.counts[index]
        }

    def clock_state(self) -> dict[str, Any]:
        """The clock as ``/api/cars`` shows it."""
        clock = self.clock
        if clock is None or not clock.sessions:
            return {"state": "none"}
        return {
            "state": "stopped" if clock.stopped else "running",
            "offset_s": round(clock.offset_s, 3),
            "spread_s": round(clock.spread_s, 3),
            "far": abs(clock.offset_s) > _FAR_S,
            "sessions": clock.sessions,
            "steps_back": clock.steps_back,
        }

    @property
    def late_s(self) -> float:
        """How long after its ``meta_time`` the newest point came [s]; NaN before there is one."""
        return self.last_at - self.meta_s

    def time_state(self, tracks_late_s: float | None) -> dict[str, Any]:
        """
        What is known of the car's ``meta_time``, as ``/api/cars`` shows it.

        Args:
            tracks_late_s: how late the points of the track's cars are at the median [s]; None where nobody can tell.
        """
        late_s = None if math.isnan(self.late_s) else round(self.late_s, 3)
        apart_s = None if late_s is None or tracks_late_s is None else round(late_s - tracks_late_s, 3)
        clock = self.clock
        wrong = {
            "stamped": self.stamped > self._stamped_looks[0],
            "stopped": clock is not None and clock.stopped,
            "set": clock is not None and clock.sessions > 1 and self.meta_s - clock.began_s < _SET_S,
            "past": late_s is not None and late_s > _PAST_S,
            "ahead": late_s is not None and late_s < -_APART_S,
            "apart": apart_s is not None and abs(apart_s) > _APART_S,
        }
        trouble = [name for name, so in wrong.items() if so]
        return {"late_s": late_s, "apart_s": apart_s, "stamped": self.stamped, "trouble": trouble}


class CarTable:
    """
    The cars heard of, at most ``most`` of them.

    A further one takes the place of the car that has been silent for longest.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.evicted = 0
        self.heard_at: dict[int, float] = {}
        self.facts: dict[int, CarFacts] = {}
        self._repairs: dict[tuple[str, str], Counter[str]] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._by_number: dict[int, Car] = {}
        self._last_number = -1

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[Car]:
        return iter(self._by_number.values())

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

    def count(
        self,
        numbers: Sequence[int],
        channels: NDArray[np.float64],
        meta_s: NDArray[np.float64],
        stamped: NDArray[np.bool_],
        now: float,
    ) -> None:
        """
        Note what values came.

        Args:
            numbers: the car of each point; shape (n,).
            channels: in the order of the catalogue, NaN where not sent; shape (channels, n).
            meta_s: the ``meta_time`` of each point; shape (n,) [s since 1970].
            stamped: whether it is that of its arrival; shape (n,).
            now: when they came [s since 1970].
        """
        cars = np.array(numbers)
        order = np.argsort(cars, kind="stable")
        cars = cars[order]
        starts = np.flatnonzero(np.concatenate(([True], cars[1:] != cars[:-1])))
        sent = np.add.reduceat(np.isfinite(channels)[:, order], starts, axis=1, dtype=np.int64)
        points = np.diff(np.append(starts, cars.size))
        newest = np.maximum.reduceat(meta_s[order], starts).tolist()
        arrivals = np.add.reduceat(stamped[order], starts, dtype=np.int64).tolist()
        for at, number in enumerate(cars[starts].tolist()):
            facts = self.facts.get(number)
            if facts is None:  # evicted within this very batch
                continue
            facts.last_at = now
            facts.points += int(points[at])
            facts.stamped += arrivals[at]
            facts.meta_s = newest[at]
            facts.counts += sent[:, at]
            facts.value_at[sent[:, at] > 0] = now

    def repaired(self, track: str, chassis: str, name: str, count: int) -> None:
        """Note a repair on a car, which need not be followed yet."""
        repairs = self._repairs.get((track, chassis))
        if repairs is None:
            while len(self._repairs) >= 2 * self.most:
                del self._repairs[next(iter(self._repairs))]
            repairs = self._repairs[track, chassis] = Counter()
        repairs[name] += count

    def repairs(self, car: Car) -> Mapping[str, int]:
        """What was repaired on a car, by name."""
        return self._repairs.get((car.track, car.chassis), {})

    def look(self, now: float) -> None:
        """To be called once a second, for the rates."""
        for facts in self.facts.values():
            facts.look(now)

    def known(self, now: float) -> list[dict[str, Any]]:
        """What is known of each car, as ``/api/cars`` shows it; ``now`` is in s since 1970."""
        found = []
        late = self._late(now)
        for car in self:
            facts = self.facts[car.number]
            found.append(
                {
                    "chassis": car.chassis,
                    "track": car.track,
                    "first_heard": iso_utc(facts.first_at),
                    "last_heard": iso_utc(facts.last_at),
                    "silent_s": round(max(now - facts.last_at, 0.0), 3),
                    "points": facts.points,
                    "channels": facts.channels(now),
                    "clock": facts.clock_state(),
                    "time": facts.time_state(late.get(car.track)),
                    "flipped": list(facts.flipped),
                    "stuck": list(facts.stuck),
                    "repairs": dict(self.repairs(car)),
                }
            )
        return found

    def _late(self, now: float) -> dict[str, float]:
        """How late the points of the cars of each track are at the median [s]; only where enough of them are heard."""
        found: dict[str, list[float]] = {}
        for car in self:
            facts = self.facts[car.number]
            if now - facts.last_at < _APART_S and not math.isnan(facts.late_s):
                found.setdefault(car.track, []).append(facts.late_s)
        return {track: statistics.median(late) for track, late in found.items() if len(late) >= _FEWEST}

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
            del self.heard_at[silent], self.facts[silent]
            gone = self._by_number.pop(silent)
            del self._numbers[gone.track, gone.chassis]
            self._repairs.pop((gone.track, gone.chassis), None)
            self.evicted += 1
        self._last_number += 1
        self._by_number[self._last_number] = Car(self._last_number, *name)
        self._numbers[name] = self._last_number
        self.heard_at[self._last_number] = now
        self.facts[self._last_number] = CarFacts(now)
        return self._last_number
