"""
A worker process: reads rows from the shared memory and computes its share of the cars.

It writes a checkpoint of all it remembers now and then, so that a worker that takes
its place goes on where it was. It ends with the main
process, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
import zlib
from typing import Any

import msgspec
from ampoule.child import AMPChild
from twisted.logger import Logger

from pitwall.model.track import Track, Tracks
from pitwall.pool.checkpoint import Checkpoint, CheckpointStore
from pitwall.pool.commands import Aggregate, Fetch, Know, Lay, in_parts
from pitwall.race.share import Share
from pitwall.rows import RowReader

#: Rows taken at one go; a call reads on until it has all it was asked for.
_ROWS_AT_ONCE = 16_384
#: How often the state is stored, at least [s].
CHECKPOINT_S = 2.0
#: And at most so often that it takes this part of the time: a hundredth.
CHECKPOINT_COST = 100
_PR_SET_PDEATHSIG = 1
#: The doors and the screens come first where there are not enough cores.
_NICE = 5


def partition_of(chassis: str, partitions: int) -> int:
    """Which worker computes a car: the same one in every run."""
    return zlib.crc32(chassis.encode()) % partitions


class SharedShare:
    """
    The cars of one partition, computed from the shared rows.

    Args:
        reader: of the shared rows.
        tracks: the configured ones, until others are laid.
        partition: this worker's, from 0.
        partitions: how many there are.
        store: where checkpoints go.
        rows_held: how many rows the shared memory holds; a checkpoint must not be older than they are.
        tick_s: from one tick of a track to the next [s].
    """

    log = Logger()

    def __init__(
        self,
        reader: RowReader,
        tracks: Tracks,
        partition: int,
        partitions: int,
        store: CheckpointStore,
        rows_held: int,
        tick_s: float,
    ) -> None:
        self._reader = reader
        self._store = store
        self._most_since = rows_held // 4
        checkpoint = store.load()
        self.read_seq = checkpoint.read_seq if checkpoint is not None else 0
        self.share = Share(
            tracks,
            tick_s,
            lambda chassis: partition_of(chassis, partitions) == partition,
            self._car_failed,
            checkpoint.share if checkpoint is not None else None,
        )
        self._stored_at, self._stored_seq = time.monotonic(), self.read_seq
        self._every_s = CHECKPOINT_S
        self._failures = 0
        self._laid: list[tuple[int, Tracks]] = []

    def lay(self, tracks: Tracks, after_seq: int) -> None:
        """Learn other tracks, in force for the rows after one."""
        self._laid.append((after_seq, tracks))
        self._change_tracks()

    def _change_tracks(self) -> None:
        """Take those over that are in force by now; a worker that takes another's place begins in the midst of them."""
        while self._laid and self._laid[0][0] <= self.read_seq:
            self.share.change_tracks(self._laid.pop(0)[1])

    def know(self, cars: list[tuple[int, str, str]], forget: list[int]) -> None:
        """Learn cars' names, in the order of their numbers, and drop those no longer followed."""
        self.share.know(cars, forget)

    def aggregate(self, upto: int, counted: int, flush: bool = False) -> tuple[int, list[Any]]:
        """
        Read on up to row ``upto``; returns how many rows were missed, and all there is to tell.

        Rows up to ``counted`` were reported and the report has arrived; they are
        counted neither as points nor as missed. ``flush``: nothing more comes for now.
        """
        if counted >= self.read_seq:
            # Before anything new is read: what is stored must be what the reports that arrived have told.
            self._checkpoint()
        missed = 0
        items: list[Any] = []
        while self.read_seq < upto:
            self._change_tracks()
            end = min(upto, self._laid[0][0]) if self._laid else upto
            rows, lost = self._reader.read(self.read_seq, min(_ROWS_AT_ONCE, end - self.read_seq))
            if not rows.size and not lost:
                break
            missed += max(self.read_seq + lost - max(self.read_seq, counted), 0)
            self.read_seq += lost + rows.size
            if rows.size:
                told = self.share.take(rows, counted)
                items += told.marks
                items += told.cars
        if flush:
            told = self.share.flush()
            items += told.marks
            items += told.cars
        return missed, items + self.share.reports()

    def _car_failed(self, track: str, chassis: str) -> None:
        self._failures += 1
        if self._failures == 1:
            self.log.failure("the rows of {car} could not be computed", car=(track, chassis))

    def _checkpoint(self) -> None:
        now = time.monotonic()
        if now - self._stored_at >= self._every_s or self.read_seq - self._stored_seq > self._most_since:
            self._store.save(Checkpoint(self.read_seq, self.share.store()))
            took_s = time.monotonic() - now
            # A large field takes longer: it is stored the less often.
            self._every_s = max(CHECKPOINT_S, CHECKPOINT_COST * took_s)
            self._stored_at, self._stored_seq = time.monotonic(), self.read_seq


class Worker(AMPChild):
    """The worker's end of the AMP connection; its arguments come on the command line."""

    def __init__(
        self,
        parent: str,
        rows: str,
        capacity: str,
        checkpoints: str,
        partition: str,
        partitions: str,
        tick_s: str,
    ) -> None:
        super().__init__()
        end_with(int(parent))
        os.nice(_NICE)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends its workers
        store = CheckpointStore(checkpoints, int(partition), int(partitions))
        reader = RowReader(rows, int(capacity))
        share = SharedShare(reader, Tracks([]), int(partition), int(partitions), store, int(capacity), float(tick_s))
        self._share = share
        self._parts: list[bytes] = []
        self._laid = b""

    @Know.responder
    def know(self, cars: bytes, forget: bytes) -> dict[str, Any]:
        """See ``Know``."""
        self._share.know(
            msgspec.msgpack.decode(cars, type=list[tuple[int, str, str]]),
            msgspec.msgpack.decode(forget, type=list[int]),
        )
        return {}

    @Lay.responder
    def lay(self, part: bytes, last: bool, after_seq: int) -> dict[str, Any]:
        """See ``Lay``."""
        self._laid += part
        if last:
            tracks, self._laid = msgspec.msgpack.decode(self._laid, type=list[Track]), b""
            self._share.lay(Tracks(tracks), after_seq)
        return {}

    @Aggregate.responder
    def aggregate(self, upto: int, counted: int, flush: bool) -> dict[str, Any]:
        """See ``Aggregate``."""
        started = time.perf_counter()
        missed, items = self._share.aggregate(upto, counted, flush)
        self._parts = in_parts(items)
        return {
            "read": self._share.read_seq,
            "missed": missed,
            "took_us": int((time.perf_counter() - started) * 1e6),
            "parts": len(self._parts),
            "part": self._parts[0],
        }

    @Fetch.responder
    def fetch(self, index: int) -> dict[str, Any]:
        """See ``Fetch``."""
        return {"part": self._parts[index]}


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, and end now if it has ended already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
