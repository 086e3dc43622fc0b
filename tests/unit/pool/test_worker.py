"""A worker's share of the cars, computed without a process."""

from __future__ import annotations

import os
from operator import attrgetter
from typing import Any

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import packaged_tracks
from pitwall.pool import worker
from pitwall.pool.checkpoint import CheckpointStore, checkpoints_size
from pitwall.pool.worker import SharedShare, partition_of
from pitwall.race.car import Car
from pitwall.race.report import CarReport, CarTick
from pitwall.race.share import TickMark
from pitwall.rows import RowReader, SharedRows
from pitwall.shared import shared_file, shared_path
from pitwall.sim import Race, RaceConfig
from tests.unit.race.recordings import rows_of


def counts(items: list[Any]) -> dict[str, int]:
    """The points of each chassis that is reported."""
    return {item.chassis: item.result["meta"]["pointCount"] for item in items if isinstance(item, CarReport)}


def ticks(items: list[Any]) -> list[CarTick]:
    """What is told of cars at ticks."""
    return [item for item in items if isinstance(item, CarTick)]


class PartitionTests(SynchronousTestCase):
    """Each car belongs to one worker."""

    def test_stable(self) -> None:
        """The same one in every run, and they share the cars about evenly."""
        self.assertEqual([partition_of("GR86-004-78", workers) for workers in (1, 2, 3, 4)], [0, 1, 2, 1])
        shares = [sum(partition_of(f"GR86-{car:03}", 4) == number for car in range(400)) for number in range(4)]
        self.assertTrue(all(60 < share < 140 for share in shares), shares)


class ShareTests(SynchronousTestCase):
    """What a worker reports of its cars, and what its successor makes of it."""

    def setUp(self) -> None:
        """Twenty seconds of a race of six cars, to be written to shared rows; checkpoints are stored at each call."""
        self.patch(worker, "CHECKPOINT_S", 0.0)
        self.patch(worker, "CHECKPOINT_COST", 0)
        race = Race(RaceConfig(cars=6, rate_hz=10))
        self.rows, self.numbers = rows_of(race.points(0, 20))
        self.rows = self.rows[:1200]
        self.names = [(number, "barber", chassis) for chassis, number in self.numbers.items()]
        self.shared = SharedRows(4096)
        self.addCleanup(self.shared.close)
        self.fd = shared_file("pitwall-test", checkpoints_size(2, 100))
        self.addCleanup(os.close, self.fd)

    def share(self, partition: int = 0, partitions: int = 1, known: bool = True) -> SharedShare:
        """A worker that has just been started, and knows the cars."""
        reader = RowReader(self.shared.path, self.shared.capacity)
        self.addCleanup(reader.close)
        store = CheckpointStore(shared_path(self.fd), partition, 2)
        self.addCleanup(store.close)
        share = SharedShare(reader, packaged_tracks(), partition, partitions, store, self.shared.capacity, 0.6)
        if known:
            share.know(self.names, [])
        return share

    def write(self, upto: int) -> None:
        """Publish the race up to a row; beyond its end it is raced again."""
        numbers = np.arange(self.shared.published, upto)
        rows = self.rows[numbers % len(self.rows)]
        rows["seq"] = numbers + 1
        for name in ("time_s", "meta_s"):
            rows[name] += 20.0 * (numbers // len(self.rows))
        self.shared.write(rows)

    def test_partitions(self) -> None:
        """Two workers report the figures that one would, each car once."""
        self.write(1200)
        _, alone = self.share().aggregate(1200, 0)
        shared = [self.share(partition, 2).aggregate(1200, 0)[1] for partition in (0, 1)]
        self.assertTrue(all(shared))
        for kind in (CarReport, CarTick):
            split = [item for item in shared[0] + shared[1] if isinstance(item, kind)]
            whole = [item for item in alone if isinstance(item, kind)]
            key = attrgetter(*("at_ms", "car") if kind is CarTick else ("car",))
            self.assertEqual(sorted(split, key=key), sorted(whole, key=key))
        marks = [[item for item in items if isinstance(item, TickMark)] for items in (alone, *shared)]
        self.assertEqual(marks[0], marks[1])
        self.assertEqual(marks[0], marks[2])
        self.assertEqual(counts(alone), dict.fromkeys(self.numbers, 200))

    def test_new_rows_only(self) -> None:
        """A car that has no new rows is not reported."""
        share = self.share()
        self.write(600)
        share.aggregate(600, 0)
        self.assertEqual(share.aggregate(600, 600), (0, []))
        self.write(601)
        _, reports = share.aggregate(601, 600)
        self.assertEqual(list(counts(reports).values()), [1])

    def test_others_only(self) -> None:
        """When only the other worker's cars have new rows there is nothing to report."""
        mine = np.array([partition_of(chassis, 2) == 0 for chassis in self.numbers])
        others = self.rows[~mine[self.rows["car"]]]
        self.shared.write(others)
        missed, items = self.share(0, 2).aggregate(len(others), 0)
        self.assertEqual((missed, counts(items), ticks(items)), (0, {}, []))

    def test_not_further(self) -> None:
        """It reads as far as it is asked to, and what came since with the next call."""
        self.write(1200)
        share = self.share()
        self.assertEqual(sum(counts(share.aggregate(700, 0)[1]).values()), 700)
        self.assertEqual(share.read_seq, 700)
        self.assertEqual(sum(counts(share.aggregate(1200, 700)[1]).values()), 500)

    def test_unknown_car(self) -> None:
        """Rows of a car that it was not told of, evicted by now, are passed over."""
        self.write(1200)
        share = self.share(known=False)
        share.know(self.names[:1], [])
        _, reports = share.aggregate(1200, 0)
        self.assertEqual(list(counts(reports)), [self.names[0][2]])

    def test_many_numbers(self) -> None:
        """Car numbers grow for ever; few are followed."""
        share = self.share(known=False)
        for number in range(0, 100_000, 500):
            share.know([(number, "barber", f"GR86-{number}")], [number - 500] if number else [])
        self.rows["car"] = 99_500
        self.write(10)
        self.assertEqual(counts(share.aggregate(10, 0)[1]), {"GR86-99500": 10})
        self.assertEqual(len(share.share.cars), 1)

    def test_forgotten(self) -> None:
        """A car that is not followed any more is not reported, nor remembered."""
        self.write(600)
        share = self.share()
        share.aggregate(600, 0)
        share.know([], [0])
        self.write(1200)
        _, reports = share.aggregate(1200, 600)
        self.assertNotIn(self.names[0][2], counts(reports))
        self.assertEqual(len(share.share.cars), 5)

    def test_successor(self) -> None:
        """A successor goes on from the checkpoint: figures as without a change, each point counted once."""
        wanted = self.share()
        self.write(1200)
        _, undisturbed = wanted.aggregate(1200, 0)
        os.ftruncate(self.fd, 0)
        os.ftruncate(self.fd, checkpoints_size(2, 100))
        first = self.share()
        told = 0
        for upto in (300, 600, 900):
            told += sum(counts(first.aggregate(upto, upto - 300)[1]).values())
        # Killed now. Its last checkpoint holds 600 rows, for it did not know that its last answer arrived.
        second = self.share()
        self.assertEqual(second.read_seq, 600)
        _, reports = second.aggregate(1200, 900)
        self.assertEqual(told + sum(counts(reports).values()), 1200)
        mine = {report.car: report for report in reports if isinstance(report, CarReport)}
        for other in undisturbed:
            if isinstance(other, CarReport):
                result = mine[other.car].result
                result["meta"]["pointCount"] = other.result["meta"]["pointCount"]
                self.assertEqual(result, other.result)

    def test_often_enough(self) -> None:
        """The faster the rows come, the more often the state is stored: before they are overwritten."""
        self.patch(worker, "CHECKPOINT_S", 3600.0)
        first = self.share()
        for upto in range(200, 6001, 200):
            self.write(upto)
            first.aggregate(upto, upto - 200)
        self.assertGreater(self.share().read_seq, 6000 - 4096 // 2)

    def test_answer_lost(self) -> None:
        """What was computed but never arrived is computed, and counted, by the successor."""
        self.write(1200)
        first = self.share()
        first.aggregate(300, 0)
        first.aggregate(600, 300)
        lost = first.aggregate(900, 600)
        self.assertTrue(lost)
        _, reports = self.share().aggregate(1200, 600)
        self.assertEqual(sum(counts(reports).values()), 600)

    def test_takes_over_the_followed(self) -> None:
        """Of its predecessor's cars a successor keeps those that are still followed."""
        self.write(600)
        first = self.share()
        first.aggregate(300, 0)
        first.aggregate(600, 300)
        second = self.share(known=False)
        second.know(self.names[:2], [])
        second.aggregate(600, 600)
        self.assertEqual(len(second.share.cars), 2)
        self.assertEqual(second.share._left, {})

    def test_missed(self) -> None:
        """Rows that were overwritten are counted as missed, unless they had been reported."""
        for upto in (3000, 6000):
            self.write(upto)
        missed, reports = self.share().aggregate(6000, 0)
        self.assertEqual(missed, 6000 - 4096)
        self.assertEqual(sum(counts(reports).values()), 4096)
        self.assertEqual(self.share(known=False).aggregate(6000, 1000)[0], 6000 - 4096 - 1000)
        self.assertEqual(self.share(known=False).aggregate(6000, 5000)[0], 0)

    def test_one_car_fails(self) -> None:
        """A car that can't be computed, for whatever reason, costs the other cars nothing."""
        take = Car.take

        def fails(car: Car, rows: Any, *others: Any) -> None:
            if rows["car"][0] == 2:
                raise ArithmeticError("a fault nobody foresaw")
            take(car, rows, *others)

        patched = self.patch(Car, "take", fails)
        self.write(1200)
        share = self.share()
        _, reports = share.aggregate(1200, 0)
        self.assertEqual(len(counts(reports)), 5)
        self.assertEqual(len(self.flushLoggedErrors(ArithmeticError)), 1)
        patched.restore()
        self.write(2400)
        _, reports = share.aggregate(2400, 1200)
        self.assertEqual(len(counts(reports)), 6)
