"""
A worker's state, stored where its successor finds it.

It lies in shared memory of the main process, so nothing is left behind on a
disk and a read-only one will do. Each partition has two slots that are written
in turn, each with its size and checksum: a worker killed while it writes leaves
the other slot whole. The state is msgpack of plain values; nothing is executed
when it is read.

::

    partition 0: slot A, slot B    partition 1: slot A, slot B    …
    slot: generation (8)  size (8)  crc32 (8)  content
"""

from __future__ import annotations

import os
import struct
import zlib

import msgspec
from msgspec import Struct

from pitwall.race.share import StoredShare

#: The most that the state of a car takes: 20,000 rows of 88 bytes, and its laps and trace [bytes].
_CAR_BYTES = 9 << 18
_HEAD = struct.Struct("<QQQ")


class Checkpoint(Struct):
    """The last row read, and what is remembered of the cars."""

    read_seq: int
    share: StoredShare


def checkpoints_size(partitions: int, most_cars: int) -> int:
    """How large the shared memory is to be [bytes]; it takes memory only where it is written."""
    return 2 * partitions * (_HEAD.size + (1 + most_cars) * _CAR_BYTES)


class CheckpointStore:
    """
    The two slots of one partition.

    Args:
        path: of the shared memory, ``/proc/PID/fd/N``.
        partition: from 0.
        partitions: how many share the memory.
    """

    def __init__(self, path: str, partition: int, partitions: int) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._slot_bytes = os.fstat(self._fd).st_size // (2 * partitions)
        self._offset = 2 * partition * self._slot_bytes
        self._generation = 0

    def load(self) -> Checkpoint | None:
        """The newest whole checkpoint; None where there is none."""
        newest = None
        for slot in (0, 1):
            found = self._read(slot)
            if found is not None and found[0] > self._generation:
                self._generation, newest = found
        try:
            return None if newest is None else msgspec.msgpack.decode(newest, type=Checkpoint)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # of another version
            return None

    def save(self, checkpoint: Checkpoint) -> bool:
        """Store a checkpoint over the older one; False when it is too large to be stored."""
        content = msgspec.msgpack.encode(checkpoint)
        if len(content) > self._slot_bytes - _HEAD.size:
            return False
        self._generation += 1
        at = self._offset + self._generation % 2 * self._slot_bytes
        os.pwrite(self._fd, _HEAD.pack(0, 0, 0), at)
        os.pwrite(self._fd, content, at + _HEAD.size)
        os.pwrite(self._fd, _HEAD.pack(self._generation, len(content), zlib.crc32(content)), at)
        return True

    def close(self) -> None:
        """Let go of the memory."""
        os.close(self._fd)

    def _read(self, slot: int) -> tuple[int, bytes] | None:
        at = self._offset + slot * self._slot_bytes
        head = os.pread(self._fd, _HEAD.size, at)
        if len(head) < _HEAD.size:
            return None
        generation, size, crc = _HEAD.unpack(head)
        if not 0 < size <= self._slot_bytes:
            return None
        content = os.pread(self._fd, size, at + _HEAD.size)
        return (generation, content) if zlib.crc32(content) == crc else None
