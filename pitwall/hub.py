"""
The hub: every door publishes here, every screen is served from here.

It numbers the points, keeps their JSON in the ring and their numbers in the
shared rows, and tells its listeners that there is something new. It knows no
reactor: whoever calls says what time it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pitwall.cars import CarTable
from pitwall.ledger import Ledger
from pitwall.model.point import Point
from pitwall.ring import PointRing
from pitwall.rows import STAMPS, SharedRows, channels_of, columns_of, numbered, pack_rows, stamped_of
from pitwall.times import place
from pitwall.wire.tally import Tally

#: Points held back before they are made rows at one go: ten columns cost as much for one point as for a hundred.
_STAGED_AT_MOST = 1024


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
    def staged(self) -> int:
        """Points that are not rows for the workers yet."""
        return len(self._staged)

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

    def receive(self, door: str, count: int = 1) -> None:
        """Count what came to be a point, good or not."""
        self.ledger.received[door] += count

    def book(self, door: str, tally: Tally) -> None:
        """Note what came, and what became of rows that a door joined to points."""
        ledger = self.ledger
        if tally.came:
            ledger.received[door] += tally.came
            tally.came = 0
        if tally.left:
            ledger.rows_joined[door] += tally.left
            ledger.points_joined[door] += tally.joined
            tally.left = tally.joined = 0
        if not tally:
            return
        for reason, count in tally.reasons.items():
            ledger.rows_refused[door, reason] += count
        rows = ledger.rows[door]
        rows["rows"] += tally.rows
        rows["samples"] += tally.samples
        rows["duplicates"] += tally.duplicates
        rows["refused"] += tally.refused
        for repair, count in tally.repairs.items():
            self.ledger.repairs[repair.name] += count
            self.cars.repaired(repair.track, repair.chassis, repair.name, count)

    def write_rows(self) -> None:
        """Let the workers see every point published so far; a row has the number of its point."""
        staged, self._staged = self._staged, []
        for start in range(0, len(staged), self.rows.capacity):
            columns = columns_of(staged[start : start + self.rows.capacity])
            numbers = self.cars.numbers(list(zip(columns[0], columns[1], strict=True)), self.newest_at)
            channels = channels_of(columns)
            rows = pack_rows(columns, channels, numbers)
            self.cars.count(numbers, channels, rows["meta_s"], stamped_of(columns), self.newest_at)
            stamps = columns[STAMPS]
            if stamps.count(None) < len(stamps):
                place(rows, stamps, self.cars)
            self.rows.write(numbered(rows, self.rows.published + 1))
