"""
Many points made few, without a peak lost: the newest of each car, and the range of each channel.

A ``Digest`` is what a flush comes to, made once for whoever needs it; a ``Conflation``
adds digests up for one stream or one client until the next message may be sent::

    points  ──▶ Digest ──┬──▶ Conflation (10 Hz)        ──▶ newest points, counts, ranges
              (a flush)  └──▶ Conflation (slow client)  ──▶ …

Channels are numeric fields of a point, vendor's own included. Those of the catalogue have a column; others
are given one as they are first seen, until there are ``MOST_CHANNELS``: beyond it a channel has no range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from msgspec import json
from numpy.typing import NDArray

from pitwall.model.channels import CHANNELS

#: Channels that get ranges, in all.
MOST_CHANNELS = 256
#: Cars that are conflated at a time; a stream that has more is cut off there, see ``Conflation.add``.
MOST_CARS = 1024

#: (track, chassis)
Car = tuple[str, str]


class Columns:
    """The column of each channel, the same in every digest of a server."""

    def __init__(self, most: int = MOST_CHANNELS) -> None:
        self._most = most
        # Whatever names a vendor makes up, these have a range.
        self._columns = {name: column for column, name in enumerate(CHANNELS)}

    def __len__(self) -> int:
        return len(self._columns)

    def of(self, channel: str) -> int | None:
        """The column of a channel, given to it if it has none; None where there are no more."""
        column = self._columns.get(channel)
        if column is None and len(self._columns) < self._most:
            column = self._columns[channel] = len(self._columns)
        return column

    @property
    def names(self) -> Sequence[str]:
        """The channels in the order of their columns."""
        return list(self._columns)


class Digest(NamedTuple):
    """
    What some points come to, by car.

    Attributes:
        first: the number of the first of these points.
        last: of the last.
        cars: whose they are.
        newest: the JSON of the newest of each car.
        seqs: its number.
        counts: how many points each car has.
        low: the least value of each channel; shape (cars, columns), NaN where not sent.
        high: the greatest.
    """

    first: int
    last: int
    cars: Sequence[Car]
    newest: Sequence[bytes]
    seqs: Sequence[int]
    counts: Sequence[int]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def digest_of(first: int, raws: Sequence[bytes], points: Sequence[Mapping[str, Any]], columns: Columns) -> Digest:
    """
    The digest of points numbered from ``first`` on.

    Args:
        first: the number of the first point.
        raws: their JSON.
        points: the same decoded.
        columns: of the server; new channels are added to them.
    """
    seen: dict[Car, list[Any]] = {}
    for index, point in enumerate(points):
        car = point["track"], point["chassis"]
        entry = seen.get(car)
        if entry is None:
            entry = seen[car] = [0, 0, {}, {}]
        entry[0] = index
        entry[1] += 1
        low, high = entry[2], entry[3]
        for name, value in point.items():
            kind = type(value)
            if kind is not float and kind is not int:
                continue
            if name not in low:
                low[name] = high[name] = value
            elif value < low[name]:
                low[name] = value
            elif value > high[name]:
                high[name] = value
    known = [{name: columns.of(name) for name in entry[2]} for entry in seen.values()]
    lows = np.full((len(seen), len(columns)), np.nan)
    highs = lows.copy()
    for row, (entry, places) in enumerate(zip(seen.values(), known, strict=True)):
        for name, column in places.items():
            if column is not None:
                lows[row, column], highs[row, column] = entry[2][name], entry[3][name]
    return Digest(
        first,
        first + len(raws) - 1,
        list(seen),
        [raws[entry[0]] for entry in seen.values()],
        [first + entry[0] for entry in seen.values()],
        [entry[1] for entry in seen.values()],
        lows,
        highs,
    )


class Conflated(NamedTuple):
    """
    What a conflation comes to.

    Attributes:
        newest: the JSON of the newest point of each car, oldest first.
        counts: how many points each stands for.
        ranges: by channel, its least and greatest value; those that the newest point tells by itself, since they
            did not change, are left out.
    """

    newest: Sequence[bytes]
    counts: Sequence[int]
    ranges: Sequence[Mapping[str, tuple[float, float]]]


class Conflation:
    """
    Adds digests up.

    Args:
        after: the last point before the first to be added.
        wants: whether a car's points are wanted, by track and chassis.
        columns: of the server.
    """

    def __init__(self, after: int, wants: Callable[[str, str], bool], columns: Columns) -> None:
        self._wants = wants
        self._columns = columns
        self.restart(after)

    def restart(self, after: int) -> None:
        """Begin anew behind a point."""
        self.after = after
        self.last = after
        self._rows: dict[Car, int] = {}
        self._newest: list[bytes] = []
        self._seqs: list[int] = []
        self._counts: list[int] = []
        self._low = self._high = np.empty((0, 0))

    @property
    def empty(self) -> bool:
        """Whether no point that is wanted has been added."""
        return not self._newest

    def add(self, digest: Digest) -> int:
        """
        Add the points after ``last``.

        Returns:
            The points that had to be let go since there were too many cars: all before this digest.
        """
        lost = 0
        wanted = [row for row, car in enumerate(digest.cars) if car in self._rows or self._wants(*car)]
        new = [row for row in wanted if digest.cars[row] not in self._rows]
        if len(self._rows) + len(new) > MOST_CARS and self._rows:
            lost = self.last - self.after
            self.restart(self.last)
            new = wanted
        self.last = digest.last
        if not wanted:
            return lost
        for row in new:
            self._rows[digest.cars[row]] = len(self._newest)
            self._newest.append(b"")
            self._seqs.append(0)
            self._counts.append(0)
        self._grow(digest.low.shape[1])
        places = [self._rows[digest.cars[row]] for row in wanted]
        for row, place in zip(wanted, places, strict=True):
            self._newest[place] = digest.newest[row]
            self._seqs[place] = digest.seqs[row]
            self._counts[place] += digest.counts[row]
        width = digest.low.shape[1]
        at = np.array(places)
        self._low[at, :width] = np.fmin(self._low[at, :width], digest.low[wanted])
        self._high[at, :width] = np.fmax(self._high[at, :width], digest.high[wanted])
        return lost

    def take(self, channels: frozenset[str] | None = None) -> Conflated:
        """What all that was added comes to, with the ranges of these channels; the next begins empty behind it."""
        order = sorted(range(len(self._newest)), key=self._seqs.__getitem__)
        names = self._columns.names
        ranges = []
        changed = (self._low != self._high) & ~np.isnan(self._low)
        constant = (self._low == self._high).tolist()
        lows, highs = self._low.tolist(), self._high.tolist()
        for row in order:
            point = json.decode(self._newest[row])
            told = {}
            for column, name in enumerate(names[: len(lows[row])]):
                if channels is not None and name not in channels:
                    continue
                if changed[row, column] or (constant[row][column] and type(point.get(name)) not in (int, float)):
                    told[name] = (lows[row][column], highs[row][column])
            ranges.append(told)
        found = Conflated([self._newest[row] for row in order], [self._counts[row] for row in order], ranges)
        self.restart(self.last)
        return found

    def _grow(self, width: int) -> None:
        cars, had = self._low.shape
        if cars < len(self._newest) or had < width:
            shape = max(len(self._newest), cars), max(width, had)
            low = np.full((len(self._newest), shape[1]), np.nan)
            high = low.copy()
            low[:cars, :had], high[:cars, :had] = self._low, self._high
            self._low, self._high = low, high
