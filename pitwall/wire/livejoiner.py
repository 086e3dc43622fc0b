"""Joins rows as they come: an instant is complete when a later one of its car begins, or its time is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pitwall.model.cars import CarNames
from pitwall.wire.instants import MOST_REMEMBERED, RECALL_S, US, Followed, Instant
from pitwall.wire.joiner import Joiner
from pitwall.wire.tally import NOTHING, Lacking

#: A live instant is complete so long after its first row, at the latest [s].
WAIT_S: Final = 0.05
#: A car whose rows are so much older than its newest one has had its clock put back [s].
_PUT_BACK_S: Final = 10.0


class LiveJoiner(Joiner):
    """For rows as they come: an instant leaves as soon as it is complete."""

    def __init__(self, names: CarNames, events: Mapping[str, str], lacking: Lacking = NOTHING) -> None:
        super().__init__(names, events, lacking)
        self._late: list[Instant] = []
        self._waiting: dict[Followed, float] = {}

    @property
    def waiting(self) -> bool:
        """Whether an instant waits for its time to be over."""
        return bool(self._waiting)

    def overdue(self, now: float) -> None:
        """Complete the instants that have waited long enough; ``now`` as in ``received_at``."""
        for car, deadline_s in tuple(self._waiting.items()):
            if now >= deadline_s:
                self._complete(car)

    def _open(self) -> Iterable[Instant]:
        return [car.open for car in self._waiting if car.open is not None]

    def _complete(self, car: Followed) -> None:
        if car.open is not None:
            self._done.append(car.open)
            car.open = None
        self._waiting.pop(car, None)

    def _forget(self, car: Followed) -> None:
        self._complete(car)

    def _entered(self, instant: Instant, received_at: float) -> None:
        car = instant.car
        if not instant.sent:
            car.ages.append(instant.at_us)
        if car.newest_us - _PUT_BACK_S * US <= instant.at_us <= car.newest_us:
            if instant is not car.open:
                self._late.append(instant)
            return
        self._complete(car)
        car.open, car.newest_us = instant, instant.at_us
        self._waiting[car] = received_at + WAIT_S
        oldest_us = car.newest_us - RECALL_S * US
        while car.ages[0] < oldest_us or len(car.ages) > MOST_REMEMBERED:
            # Should it have something to leave with, whoever lets it leave has it too.
            car.instants.pop(car.ages.popleft(), None)

    def _taken(self) -> None:
        self._done += self._late
        self._late.clear()

    def _left(self, instant: Instant) -> None:
        """It stays remembered for as long as its car's clock says."""
