"""
Recordings played through the race computation, without a server, as fast as it goes.

All points of all recordings are played in the order of ``meta_time``, which is that in
which a receiver had them: so one file for each car, a file with car after car, and one
with its newest lap first come to the same. To be put in order the points wait as rows in
a temporary file, some hundred bytes each, and not in memory.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pitwall.cars import CarTable
from pitwall.model.point import Point, moment_at
from pitwall.model.row import ROW
from pitwall.model.track import Tracks
from pitwall.race.analysis import Analysis
from pitwall.rows import STAMPS, channels_of, columns_of, numbered, pack_rows
from pitwall.times import car_time_s, place_at

Rows = NDArray[np.void]

#: Points that are made rows, and rows that are played, at one go.
_AT_ONCE: Final = 4096
#: More cars are not followed than this, a car that is written in many ways among them.
_MOST_CARS: Final = 4096


class Spool:
    """
    Rows that wait to be put in order.

    Attributes:
        cars: of the rows.
        count: rows so far.
        untimed: points that were left out, for neither ``meta_time`` nor a clock tells when they were.
    """

    def __init__(self) -> None:
        self.cars = CarTable(_MOST_CARS)
        self.count = self.untimed = 0
        self._file = tempfile.TemporaryFile(prefix="pitwall-")  # noqa: SIM115  # closed by `close`

    def add(self, points: Iterable[Point]) -> int:
        """Take points in, stamped with 0 where they have no ``meta_time``; returns how many."""
        before = self.count
        remaining = iter(points)
        while some := list(islice(remaining, _AT_ONCE)):
            self._write([point for point in some if self._timed(point)])
        return self.count - before

    def played(self) -> Iterator[Rows]:
        """All rows in the order of ``meta_time``, placed by their cars' clocks and numbered, some at a time."""
        if not self.count:
            return
        self._file.flush()
        waiting = np.memmap(self._file, ROW, "r", shape=(self.count,))
        order = np.argsort(waiting["meta_s"], kind="stable")
        for start in range(0, self.count, _AT_ONCE):
            rows = np.array(waiting[order[start : start + _AT_ONCE]])
            clocks = [None if math.isnan(car_s) else car_s for car_s in rows["time_s"].tolist()]
            rows["time_s"] = rows["meta_s"]
            if clocks.count(None) < len(clocks):
                place_at(rows, clocks, self.cars)
            yield numbered(rows, start + 1)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _timed(self, point: Point) -> bool:
        """Whether a point's moment is known; its car's clock stands in for a ``meta_time`` that was not sent."""
        if point.time_s() > 0:
            return True
        car_s = car_time_s(point.timestamp)
        if car_s is None or car_s <= 0:
            self.untimed += 1
            return False
        point.meta_time = moment_at(car_s)
        return True

    def _write(self, points: Sequence[Point]) -> None:
        if not points:
            return
        columns = columns_of(points)
        numbers = self.cars.numbers(list(zip(columns[0], columns[1], strict=True)), 0.0)
        rows = pack_rows(columns, channels_of(columns), numbers)
        # Until it is placed, a row's time is what its car's clock shows.
        rows["time_s"] = [math.nan if car_s is None else car_s for car_s in map(car_time_s, columns[STAMPS])]
        self._file.write(rows.tobytes())
        self.count += len(rows)


def play(spool: Spool, tracks: Tracks) -> Analysis:
    """The race of all points of a spool; cars are known from their first point on."""
    analysis = Analysis(tracks)
    known: set[int] = set()
    for rows in spool.played():
        fresh = sorted(set(np.unique(rows["car"]).tolist()) - known)
        if fresh:
            known.update(fresh)
            cars = (spool.cars.get(number) for number in fresh)
            analysis.know([tuple(car) for car in cars if car is not None])
        analysis.take(rows)
    analysis.finish()
    return analysis
