"""A worker's state, as its successor finds it."""

from __future__ import annotations

import os
import struct
import zlib

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import packaged_tracks
from pitwall.pool.checkpoint import Checkpoint, CheckpointStore, checkpoints_size
from pitwall.race.share import Share, StoredShare
from pitwall.shared import shared_file, shared_path
from pitwall.sim import Race, RaceConfig
from tests.unit.race.recordings import rows_of


def a_share(cars: int = 1, seconds: float = 20.0) -> StoredShare:
    """What is remembered of some cars after so long."""
    rows, numbers = rows_of(Race(RaceConfig(cars=cars, rate_hz=10)).points(0, seconds))
    share = Share(packaged_tracks(), 0.6)
    share.know([(number, "barber", chassis) for chassis, number in numbers.items()], [])
    share.take(rows)
    return share.store()


def same(found: Checkpoint | None) -> bytes:
    """What can be compared: a number that is not known, NaN, equals nothing."""
    return msgspec.msgpack.encode(found)


class CheckpointTests(SynchronousTestCase):
    """What was stored is found, whole or not at all."""

    def setUp(self) -> None:
        """Memory for two partitions of ten cars."""
        self.fd = shared_file("pitwall-test", checkpoints_size(2, most_cars=10))
        self.addCleanup(os.close, self.fd)
        self.remembered = a_share()

    def a_checkpoint(self, read_seq: int) -> Checkpoint:
        """Of a car."""
        return Checkpoint(read_seq, self.remembered)

    def store(self, partition: int = 0) -> CheckpointStore:
        """A worker's access to it."""
        store = CheckpointStore(shared_path(self.fd), partition, 2)
        self.addCleanup(store.close)
        return store

    def test_none(self) -> None:
        """The first worker finds nothing."""
        self.assertIsNone(self.store().load())

    def test_newest(self) -> None:
        """A successor finds the newest, and stores on from there."""
        first = self.store()
        for read_seq in (10, 20, 30):
            self.assertTrue(first.save(self.a_checkpoint(read_seq)))
        second = self.store()
        self.assertEqual(same(second.load()), same(self.a_checkpoint(30)))
        second.save(self.a_checkpoint(40))
        self.assertEqual(same(self.store().load()), same(self.a_checkpoint(40)))

    def test_partitions(self) -> None:
        """Each partition has its own."""
        self.store(0).save(self.a_checkpoint(10))
        self.store(1).save(self.a_checkpoint(20))
        for partition, read_seq in ((0, 10), (1, 20)):
            self.assertEqual(same(self.store(partition).load()), same(self.a_checkpoint(read_seq)))

    def test_torn(self) -> None:
        """Of a worker that was killed while it stored, the one before is found."""
        store = self.store()
        for read_seq in (10, 20):
            store.save(self.a_checkpoint(read_seq))
        slot = checkpoints_size(2, 10) // 4
        torn = 0  # the second one went to the first slot
        self.assertEqual(os.pread(self.fd, 1, torn * slot), b"\2")
        os.pwrite(self.fd, b"\x5a" * 5, torn * slot + 300)
        self.assertEqual(same(self.store().load()), same(self.a_checkpoint(10)))

    def test_another_version(self) -> None:
        """What can't be understood is no checkpoint."""
        (store := self.store()).save(self.a_checkpoint(10))
        store.save(Checkpoint("ten", self.remembered))  # type: ignore[arg-type]
        self.assertIsNone(self.store().load())

    def test_spoilt(self) -> None:
        """A content that is whole and yet can't be read is none either."""
        for content in (b"\x82\xa1\x80", b"\x82\xa1x" + b"\x91" * 5000, b""):
            head = struct.pack("<QQQ", 1, len(content), zlib.crc32(content))
            os.pwrite(self.fd, head + content, 0)
            self.assertIsNone(self.store().load(), content[:9])

    def test_room(self) -> None:
        """There is room for what is remembered of as many cars as are followed, and no more is taken."""
        store = self.store(0)
        # As many rows as are ever kept of each.
        (number,) = self.remembered.cars
        stored = self.remembered.cars[number]
        most = msgspec.structs.replace(stored, rows=b"\0" * (20_000 * 88), laps=stored.laps * 60)
        full = msgspec.structs.replace(self.remembered, cars=dict.fromkeys(range(10), most))
        self.assertTrue(store.save(Checkpoint(10, full)))
        over = msgspec.structs.replace(self.remembered, cars=dict.fromkeys(range(100), most))
        self.assertFalse(store.save(Checkpoint(20, over)))
        self.assertIsNone(self.store(1).load())
        self.assertEqual(same(self.store(0).load()), same(Checkpoint(10, full)))
