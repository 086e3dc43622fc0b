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

from pitwall.model.track import Tracks, packaged_tracks, parse_tracks
from pitwall.pool.checkpoint import Checkpoint, CheckpointStore
from pitwall.pool.commands import Aggregate, Fetch, Know, in_parts
from pitwall.race.car import CarState, update
from pitwall.race.report import CarReport, report
from pitwall.rows import RowReader

#: Rows taken at one go; a call reads on until it has all it was asked for.
_ROWS_AT_ONCE = 16_384
#: How often the state is stored [s].
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
    """

    def __init__(
        self, reader: RowReader, tracks: Tracks, partition: int, partitions: int, store: CheckpointStore
    ) -> None:
        self._reader = reader
        self._tracks = tracks
        self._partition = partition
        self._partitions = partitions
        self._store = store
        self._names: dict[int, tuple[str, str]] = {}
        self._mine = np.zeros(64, bool)
        self.known = -1
        checkpoint = store.load()
        self.read_seq = checkpoint.read_seq if checkpoint is not None else 0
        self._states: dict[int, CarState] = checkpoint.states if checkpoint is not None else {}
        self._stored_at = time.monotonic()

    def know(self, cars: list[tuple[int, str, str]], forget: list[int]) -> None:
        """Learn cars' names, in the order of their numbers, and drop those no longer followed."""
        for number, track, chassis in cars:
            self.known = max(self.known, number)
            if number >= self._mine.size:
                self._mine = np.concatenate((self._mine, np.zeros(number + 64 - self._mine.size, bool)))
            self._mine[number] = mine = partition_of(chassis, self._partitions) == self._partition
            if mine:
                self._names[number] = (track, chassis)
        for number in forget:
            self._names.pop(number, None)
            self._states.pop(number, None)
            if number < self._mine.size:
                self._mine[number] = False

    def aggregate(self, upto: int, counted: int) -> tuple[int, list[CarReport]]:
        """Read on up to row ``upto``; returns how many rows were missed, and the cars with new ones."""
        missed, touched = 0, set[int]()
        while self.read_seq < upto:
            rows, lost = self._reader.read(self.read_seq, min(_ROWS_AT_ONCE, upto - self.read_seq))
            missed += lost
            if not rows.size and not lost:
                break
            self.read_seq += lost + rows.size
            rows = rows[self._mine[np.minimum(rows["car"], self._mine.size - 1)]]
            rows = rows[np.argsort(rows["car"], kind="stable")]
            cars, starts = np.unique(rows["car"], return_index=True)
            for number, part in zip(cars.tolist(), np.split(rows, starts[1:]), strict=True):
                if number in self._names:
                    state = self._states.setdefault(number, CarState())
                    update(state, part, self._tracks.get(self._names[number][0]), counted)
                    touched.add(number)
        reports = [self._report(number) for number in sorted(touched) if self._states[number].points]
        self._checkpoint()
        return missed, reports

    def _report(self, number: int) -> CarReport:
        track, chassis = self._names[number]
        return report(number, track, chassis, self._states[number], self._tracks.get(track))

    def _checkpoint(self) -> None:
        now = time.monotonic()
        if now - self._stored_at >= CHECKPOINT_S:
            self._stored_at = now
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
        store = CheckpointStore(checkpoints, int(partition))
        self._share = Share(RowReader(rows, int(capacity)), known, int(partition), int(partitions), store)
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
            "known": self._share.known,
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
