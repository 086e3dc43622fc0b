"""A worker's state, as its successor finds it."""

from __future__ import annotations

import os

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from pitwall.pool.checkpoint import Checkpoint, CheckpointStore, checkpoints_size
from pitwall.race.car import MOST_LAPS, CarState, Lap
from pitwall.shared import shared_file, shared_path


def a_checkpoint(read_seq: int, cars: int = 1) -> Checkpoint:
    """Of cars that have driven for as long as is remembered, on a track of twenty sectors."""
    laps = [Lap(100.0 + number / 7, False) for number in range(MOST_LAPS)]
    state = CarState(points=3, lap=7, way_m=1234.5, laps=laps, stress=[1 / 3] * 20, sector_times=[25.1] * 20)
    return Checkpoint(read_seq, {1000 + car: state for car in range(cars)})


def same(found: Checkpoint | None) -> bytes:
    """What can be compared: a number that is not known, NaN, equals nothing."""
    return msgspec.msgpack.encode(found)


class CheckpointTests(SynchronousTestCase):
    """What was stored is found, whole or not at all."""

    def setUp(self) -> None:
        """Memory for two partitions of a hundred cars."""
        self.fd = shared_file("pitwall-test", checkpoints_size(2, most_cars=100))
        self.addCleanup(os.close, self.fd)

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
            self.assertTrue(first.save(a_checkpoint(read_seq)))
        second = self.store()
        self.assertEqual(same(second.load()), same(a_checkpoint(30)))
        second.save(a_checkpoint(40))
        self.assertEqual(same(self.store().load()), same(a_checkpoint(40)))

    def test_partitions(self) -> None:
        """Each partition has its own."""
        self.store(0).save(a_checkpoint(10))
        self.store(1).save(a_checkpoint(20))
        for partition, read_seq in ((0, 10), (1, 20)):
            self.assertEqual(same(self.store(partition).load()), same(a_checkpoint(read_seq)))

    def test_torn(self) -> None:
        """Of a worker that was killed while it stored, the one before is found."""
        store = self.store()
        for read_seq in (10, 20):
            store.save(a_checkpoint(read_seq))
        slot = checkpoints_size(2, 100) // 4
        torn = 0  # the second one went to the first slot
        self.assertEqual(os.pread(self.fd, 1, torn * slot), b"\2")
        os.pwrite(self.fd, b"\0" * 5, torn * slot + 300)
        self.assertEqual(same(self.store().load()), same(a_checkpoint(10)))

    def test_another_version(self) -> None:
        """What can't be understood is no checkpoint."""
        (store := self.store()).save(a_checkpoint(10))
        store.save(Checkpoint("ten", {}))  # type: ignore[arg-type]
        self.assertIsNone(self.store().load())

    def test_room(self) -> None:
        """There is room for as many cars as are followed, however much is remembered of them, and no more is taken."""
        store = self.store(0)
        self.assertTrue(store.save(a_checkpoint(10, cars=100)))
        self.assertFalse(store.save(a_checkpoint(20, cars=10_000)))
        self.assertIsNone(self.store(1).load())
        self.assertEqual(same(self.store(0).load()), same(a_checkpoint(10, cars=100)))
