"""
A worker process: reads rows from the shared memory and computes its share of the cars.

It keeps the state of its cars and writes a checkpoint of it now and then, so
that a worker that takes its place goes on where it was. It ends with the main
process, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from ampoule.child import AMPChild
from numpy.typing import NDArray
from twisted.logger import Logger

from pitwall.model.track import Track, Tracks, packaged_tracks, parse_tracks
from pitwall.pool.checkpoint import Checkpoint, CheckpointStore
from pitwall.pool.commands import Aggregate, Fetch, Know, in_parts
from pitwall.race.car import CarState, update
from pitwall.race.report import CarReport, report
from pitwall.rows import RowReader

#: Rows taken at one go; a call reads on until it has all it was asked for.
_ROWS_AT_ONCE = 16_384
#: How often the state is stored, at least [s].
CHECKPOINT_S = 2.0
_PR_SET_PDEATHSIG = 1


def partition_of(chassis: str, partitions: int) -> int:
    """Which worker computes a car: the same one in every run."""
    return zlib.crc32(chassis.encode()) % partitions


class Share:
    """
    The cars of one partition, computed from the shared rows.

    Args:
        reader: of the shared rows.
        tracks: the configured ones.
        partition: this worker's, from 0.
        partitions: how many there are.
        store: where checkpoints go.
        rows_held: how many rows the shared memory holds; a checkpoint must not be older than they are.
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
    ) -> None:
        self._reader = reader
        self._tracks = tracks
        self._partition = partition
        self._partitions = partitions
        self._store = store
        self._most_since = rows_held // 4
        self._names: dict[int, tuple[str, str, Track | None]] = {}
        self._mine = np.empty(0, np.uint32)
        checkpoint = store.load()
        self.read_seq = checkpoint.read_seq if checkpoint is not None else 0
        #: Of a predecessor's cars those are taken over that are made known again.
        self._left: dict[int, CarState] = checkpoint.states if checkpoint is not None else {}
        self._states: dict[int, CarState] = {}
        self._stored_at, self._stored_seq = time.monotonic(), self.read_seq
        self._failures = 0

    def know(self, cars: list[tuple[int, str, str]], forget: list[int]) -> None:
        """Learn cars' names, in the order of their numbers, and drop those no longer followed."""
        for number, track, chassis in cars:
            if partition_of(chassis, self._partitions) == self._partition:
                self._names[number] = (track, chassis, self._tracks.get(track))
                self._states[number] = self._left.pop(number, CarState())
        for number in forget:
            self._names.pop(number, None)
            self._states.pop(number, None)
        self._mine = np.fromiter(self._names, np.uint32, len(self._names))

    def aggregate(self, upto: int, counted: int) -> tuple[int, list[CarReport]]:
        """
        Read on up to row ``upto``; returns how many rows were missed, and the cars with new ones.

        Rows up to ``counted`` were reported and the report has arrived; they are
        counted neither as points nor as missed.
        """
        self._left.clear()
        if counted >= self.read_seq:
            # Before anything new is read: what is stored must be what the reports that arrived have told.
            self._checkpoint()
        missed, touched = 0, set[int]()
        while self.read_seq < upto:
            rows, lost = self._reader.read(self.read_seq, min(_ROWS_AT_ONCE, upto - self.read_seq))
            if not rows.size and not lost:
                break
            missed += max(self.read_seq + lost - max(self.read_seq, counted), 0)
            self.read_seq += lost + rows.size
            rows = rows[np.isin(rows["car"], self._mine, kind="sort")]
            if not rows.size:
                continue
            rows = rows[np.argsort(rows["car"], kind="stable")]
            cars, starts = np.unique(rows["car"], return_index=True)
            for number, part in zip(cars.tolist(), np.split(rows, starts[1:]), strict=True):
                self._update(number, part, counted)
                touched.add(number)
        return missed, [self._report(number) for number in sorted(touched) if self._states[number].points]

    def _update(self, number: int, rows: NDArray[np.void], counted: int) -> None:
        track = self._names[number][2]
        try:
            update(self._states[number], rows, track, counted)
        except Exception:
            # Nothing foreseen: this car begins anew, and the others lose nothing.
            self._failures += 1
            if self._failures == 1:
                self.log.failure("the rows of {car} could not be computed", car=self._names[number][:2])
            self._states[number].start_anew(len(track.sectors) if track is not None else 1)

    def _report(self, number: int) -> CarReport:
        name, chassis, track = self._names[number]
        return report(number, name, chassis, self._states[number], track)

    def _checkpoint(self) -> None:
        now = time.monotonic()
        if now - self._stored_at >= CHECKPOINT_S or self.read_seq - self._stored_seq > self._most_since:
            self._stored_at, self._stored_seq = now, self.read_seq
            self._store.save(Checkpoint(self.read_seq, self._states))


class Worker(AMPChild):
    """The worker's end of the AMP connection; its arguments come on the command line."""

    def __init__(
        self, parent: str, rows: str, capacity: str, checkpoints: str, tracks: str, partition: str, partitions: str
    ) -> None:
        super().__init__()
        end_with(int(parent))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends its workers
        known = parse_tracks(Path(tracks).read_bytes()) if tracks else packaged_tracks()
        store = CheckpointStore(checkpoints, int(partition), int(partitions))
        reader = RowReader(rows, int(capacity))
        self._share = Share(reader, known, int(partition), int(partitions), store, int(capacity))
        self._parts: list[bytes] = []

    @Know.responder
    def know(self, cars: bytes, forget: bytes) -> dict[str, Any]:
        """See ``Know``."""
        self._share.know(
            msgspec.msgpack.decode(cars, type=list[tuple[int, str, str]]),
            msgspec.msgpack.decode(forget, type=list[int]),
        )
        return {}

    @Aggregate.responder
    def aggregate(self, upto: int, counted: int) -> dict[str, Any]:
        """See ``Aggregate``."""
        started = time.perf_counter()
        missed, reports = self._share.aggregate(upto, counted)
        self._parts = in_parts(reports)
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
