"""
Numeric rows of the last points, in memory that worker processes read.

The memory is an anonymous file (``memfd_create``) that nothing leaves behind,
not even after ``kill -9``; workers open it through ``/proc/PID/fd/N``. It is
read and written by ``pread`` and ``pwrite`` rather than mapped: one call a
batch costs less than it saves, and neither side's resident memory grows by it.

::

    0         8          64
    reserved  published  row 0  row 1  …  row capacity-1

A writer raises ``reserved`` to the last number of a batch, writes the rows, then
raises ``published``. A reader takes rows up to ``published``, reads ``reserved``
again, and drops what may have been overwritten meanwhile: all rows numbered
``reserved - capacity`` or less.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec.structs import astuple
from numpy.typing import NDArray

from pitwall.model.channels import CAR_CLOCK, CORE, EXTRA
from pitwall.model.point import ARRIVAL, Point
from pitwall.model.row import ROW
from pitwall.shared import shared_file, shared_path

_HEADER: Final = 64
_COUNTER: Final = struct.Struct("<Q")
_CORE: Final = tuple(channel.name for channel in CORE)
_CORE_EXTRA: Final = tuple(channel.name for channel in CORE + EXTRA)
#: The column of the cars' own clocks, as they were sent.
STAMPS: Final = Point.__struct_fields__.index(CAR_CLOCK)
_CHANNELS: Final = slice(3, 3 + len(CORE + EXTRA))
_LATITUDE, _LONGITUDE = (_CORE_EXTRA.index(name) for name in ("VBOX_Lat_Min", "VBOX_Long_Minutes"))

Rows = NDArray[np.void]


class Slice(NamedTuple):
    """Rows that were read, oldest first, and how many were overwritten before they could be."""

    rows: NDArray[np.void]
    missed: int


def columns_of(points: Sequence[Point]) -> list[tuple[Any, ...]]:
    """The fields of points, a tuple a field, those of ``Point`` first, in its order; empty without points."""
    return list(zip(*map(astuple, points), strict=False))


def channels_of(columns: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
    """The channels of points, in the order of the catalogue, NaN where not sent; shape (channels, n)."""
    picked = columns[_CHANNELS]
    count = len(columns[0])
    # Packing a column of floats is 4 ns a value; an array from tuples takes ten times that.
    packed = struct.Struct(f"{count * len(picked)}d").pack(*chain.from_iterable(picked))
    return np.frombuffer(packed).reshape(len(picked), count)


def stamped_of(columns: Sequence[tuple[Any, ...]]) -> NDArray[np.bool_]:
    """Which points had no ``meta_time`` and got that of their arrival; shape (n,)."""
    moments = columns[2]
    return np.fromiter((moment.tzinfo is ARRIVAL for moment in moments), np.bool_, len(moments))


def pack_rows(columns: Sequence[tuple[Any, ...]], channels: NDArray[np.float64], cars: Sequence[int]) -> Rows:
    """
    The rows of points, not numbered yet; shape (n,) of ``ROW``.

    Args:
        columns: the fields of stamped points, oldest first, as ``columns_of`` gives them.
        channels: of the same points, as ``channels_of`` gives them.
        cars: the number of each point's car.
    """
    rows = np.empty(len(cars), ROW)
    rows["car"] = cars
    rows["meta_s"] = rows["time_s"] = list(map(datetime.timestamp, columns[2]))
    rows["clock"] = rows["shift_s"] = rows["clock_sigma_s"] = 0
    rows["latitude"], rows["longitude"] = channels[_LATITUDE], channels[_LONGITUDE]
    for name, values in zip(_CORE, channels, strict=False):
        rows[name] = values
    return rows


def numbered(rows: Rows, first_seq: int) -> Rows:
    """The same rows, numbered from ``first_seq`` on."""
    rows["seq"] = np.arange(first_seq, first_seq + len(rows), dtype=np.uint64)
    return rows


class SharedRows:
    """The writer's side, in the main process."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.published = 0
        self._fd = shared_file("pitwall-rows", _HEADER + capacity * ROW.itemsize)

    def write(self, rows: NDArray[np.void]) -> None:
        """Append rows, numbered on from the last ones, at most ``capacity`` of them."""
        count = len(rows)
        if not count:
            return
        last = self.published + count
        os.pwrite(self._fd, _COUNTER.pack(last), 0)
        at = self.published % self.capacity
        fits = min(count, self.capacity - at)
        os.pwrite(self._fd, rows[:fits].tobytes(), _HEADER + at * ROW.itemsize)
        if fits < count:
            os.pwrite(self._fd, rows[fits:].tobytes(), _HEADER)
        os.pwrite(self._fd, _COUNTER.pack(last), 8)
        self.published = last

    @property
    def path(self) -> str:
        """What workers open."""
        return shared_path(self._fd)

    def close(self) -> None:
        """Give the memory back; workers that have it open keep it until they close it."""
        os.close(self._fd)


class RowReader:
    """The reader's side, in a worker."""

    def __init__(self, path: str, capacity: int) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._capacity = capacity

    def published(self) -> int:
        """The number of the last complete row; 0 before there is one."""
        return self._counter(8)

    def read(self, after_seq: int, most: int) -> Slice:
        """
        The rows numbered ``after_seq + 1`` and on, ``most`` at most.

        Rows that were overwritten before or during the read are counted as
        missed, and the slice begins behind them.
        """
        published = self.published()
        first = max(after_seq + 1, published - self._capacity + 1)
        last = min(published, first + most - 1)
        if last < first:
            return Slice(np.empty(0, ROW), 0)
        at = (first - 1) % self._capacity
        fits = min(last - first + 1, self._capacity - at)
        content = self._pread(at, fits) + self._pread(0, last - first + 1 - fits)
        rows = np.frombuffer(content, ROW)
        oldest_whole = self._counter(0) - self._capacity + 1
        if oldest_whole > first:
            rows = rows[oldest_whole - first :]
            first = min(oldest_whole, last + 1)
        return Slice(rows, first - after_seq - 1)

    def close(self) -> None:
        """Let go of the memory."""
        os.close(self._fd)

    def _counter(self, offset: int) -> int:
        return int(_COUNTER.unpack(os.pread(self._fd, 8, offset))[0])

    def _pread(self, row: int, count: int) -> bytes:
        return os.pread(self._fd, count * ROW.itemsize, _HEADER + row * ROW.itemsize) if count else b""
