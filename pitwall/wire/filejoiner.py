"""Joins the rows of a file: a window of instants, which leave in the order of their car's clock."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from itertools import chain
from operator import attrgetter
from types import MappingProxyType
from typing import Final

from pitwall.model.cars import CarNames
from pitwall.wire.instants import LONG_AGO_US, MOST_REMEMBERED, RECALL_S, US, Followed, Instant, fresh_rows
from pitwall.wire.joiner import Joiner
from pitwall.wire.longform import LongRow
from pitwall.wire.points import Decoded, PointDecoder
from pitwall.wire.tally import NOTHING, Lacking, Tally

#: Rows that a file's window holds: a lap of one car is some 25,000.
WINDOW_ROWS: Final = 131_072


class FileJoiner(Joiner):
    """
    For the rows of a file: instants are held, and leave in the order of their car's clock.

    Args:
        names, events, lacking: as for every joiner.
        window: so many rows are held at most.
        released: where an earlier reading of the same file stood, from `released`;
            its rows from `held_from` on come once more.

    Attributes:
        again: set while rows come that an earlier reading has seen: what it let leave is dropped.
    """

    def __init__(
        self,
        names: CarNames,
        events: Mapping[str, str],
        lacking: Lacking = NOTHING,
        window: int = WINDOW_ROWS,
        released: Mapping[str, Sequence[int | None]] = MappingProxyType({}),
    ) -> None:
        super().__init__(names, events, lacking)
        self.again = False
        self._window = window
        self._late: list[Instant] = []
        self._gone: list[Instant] = []
        self._ending = False
        self._recalling = False
        self._count = 0
        #: By car, in the order of its clock.
        self._held_by_car: dict[Followed, list[Instant]] = {}
        self._marks: Counter[int] = Counter()
        for chassis, (released_us, stopped_us, stopped_meta_us) in released.items():
            name = self._names.name(chassis)
            car = self._cars[name] = Followed(name)
            car.released_us = LONG_AGO_US if released_us is None else released_us
            car.stopped_us, car.stopped_meta_us = stopped_us, stopped_meta_us or 0

    @property
    def complete(self) -> bool:
        """Whether there are instants for `leave` to take."""
        return bool(self._done) or (self._ending and bool(self._held_by_car))

    @property
    def held_from(self) -> int | None:
        """The first mark whose rows are not all in points yet; None without such rows."""
        return min(self._marks, default=None)

    @property
    def released(self) -> dict[str, tuple[int | None, int | None, int]]:
        """How far each car's points have left, and whether its clock stands still, for a later reading."""
        return {
            car.chassis: (
                None if car.released_us == LONG_AGO_US else car.released_us,
                car.stopped_us,
                car.stopped_meta_us,
            )
            for car in self._cars.values()
        }

    def leave(self, decoder: PointDecoder, received_at: float, most: int | None = None) -> Decoded:
        """The points of the instants that are complete, at most so many instants."""
        if self._ending:
            self._release(0, most)
        return super().leave(decoder, received_at, most)

    def recall(self, rows: Sequence[LongRow]) -> None:
        """Remember rows that an earlier reading has taken, to know their duplicates; nothing else comes of them."""
        tally, self.tally = self.tally, Tally()
        self._recalling = True
        self.take(rows, 0.0)
        self._recalling = False
        self.tally = tally

    def finish(self) -> None:
        """There are no further rows: let all leave."""
        self._ending = True

    def _open(self) -> Iterable[Instant]:
        return chain.from_iterable(self._held_by_car.values())

    def _entered(self, instant: Instant, received_at: float) -> None:
        self._ending = False
        instant.mark = self.mark
        self._count += 1
        instant.number = self._count
        self._marks[self.mark] += 1
        car = instant.car
        if self._recalling:
            self._gone.append(instant)
            car.ages.append(instant.at_us)
        elif instant.at_us > car.released_us:
            held = self._held_by_car.setdefault(car, [])
            if held and held[-1].at_us > instant.at_us:
                insort(held, instant, key=attrgetter("at_us"))
            else:
                held.append(instant)
        elif self.again:
            self._gone.append(instant)
        else:
            self._late.append(instant)

    def _taken(self) -> None:
        for instant in self._gone:
            count = fresh_rows(instant)
            instant.sent = len(instant.values)
            instant.to_leave = False
            self.pending -= count
            self.tally.samples -= count
            self.tally.duplicates += count
            self._repaired("taken_before", instant, count)
            self._left(instant)
        self._gone.clear()
        self._done += self._late
        self._late.clear()
        if self.pending > self._window:
            self._release(self._window, None)

    def _forget(self, car: Followed) -> None:
        self._done += self._held_by_car.pop(car, [])

    def _release(self, keep: int, most: int | None) -> None:
        """Let the oldest instants leave, until only so many rows are held, or so many instants are on their way."""
        held_by_car = self._held_by_car
        excess = self.pending - keep - sum(map(fresh_rows, self._done))
        # Among cars, whose clocks are days apart, by arrival at the end. Until then, by what was read first: of the
        # car that is read now, a lap may be half there, however early that was.
        rank = attrgetter("meta_us" if self._ending else "number")
        heads = [(rank(held[0]), number, held, 0) for number, held in enumerate(held_by_car.values())]
        heapify(heads)
        taken: dict[int, int] = {}
        # At the end those go too of whose rows none was good.
        while heads and (excess > 0 or not keep) and (most is None or len(self._done) < most):
            latest, number, held, at = heads[0]
            instant = held[at]
            excess -= fresh_rows(instant)
            self._done.append(instant)
            instant.car.released_us = instant.at_us
            taken[number] = at = at + 1
            if at < len(held):
                heapreplace(heads, (max(latest, rank(held[at])), number, held, at))
            else:
                heappop(heads)
        for number, (car, held) in enumerate(tuple(held_by_car.items())):
            gone = held[: taken.get(number, 0)]
            del held[: len(gone)]
            if not held:
                del held_by_car[car]
            car.ages.extend(instant.at_us for instant in gone)
            while car.ages and (car.ages[0] < car.released_us - RECALL_S * US or len(car.ages) > MOST_REMEMBERED):
                car.instants.pop(car.ages.popleft(), None)

    def _left(self, instant: Instant) -> None:
        self._marks[instant.mark] -= 1
        if self._marks[instant.mark] <= 0:
            del self._marks[instant.mark]
