"""A share of the cars: ticks by the tracks' clocks, and one car's trouble is not another's."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import Tracks
from pitwall.race.car import Car
from pitwall.race.share import Share, StoredShare, Told
from pitwall.rows import numbered
from tests.unit.race.recordings import (
    SHORT,
    START_S,
    Rows,
    field_of,
    hand_made,
    in_order,
    in_parts,
    names_of,
    recording,
)


def a_car(seconds: float, ahead_m: float = 0.0, from_s: float = 0.0) -> Rows:
    """A car on the short track at 30 m/s, ten points a second."""
    times = np.arange(from_s, seconds, 0.1)
    way = 200 + ahead_m + 30 * times
    return hand_made(times, lap=1 + way // 1000, lapdist_m=way % 1000, speed_kmh=108.0)


class ShareTests(SynchronousTestCase):
    """`Share` takes rows of any cars in."""

    def setUp(self) -> None:
        """Three cars on two tracks, of which one is configured."""
        self.share = self.a_share()

    def a_share(self, **more: Any) -> Share:
        """A share that knows its cars."""
        share = Share(Tracks([SHORT]), 0.6, **more)
        share.know([(0, "short", "A"), (1, "short", "B"), (2, "elsewhere", "C")], [])
        return share

    def test_ticks(self) -> None:
        """Ticks fall on multiples of 0.6 s of the track's clock, each before the point that brings it there."""
        rows = field_of([a_car(20), a_car(20, 50.0)])
        told = self.share.take(rows)
        self.assertEqual([mark.at_ms % 600 for mark in told.marks], [0] * 33)
        self.assertEqual(np.diff([mark.at_ms for mark in told.marks]).tolist(), [600] * 32)
        for mark in told.marks:
            self.assertLess(rows["meta_s"][mark.seq - 1], mark.at_ms / 1000)
            self.assertGreaterEqual(rows["meta_s"][mark.seq], mark.at_ms / 1000 - 1e-6)
        self.assertEqual(
            [(tick.at_ms, tick.car) for tick in told.cars][:3],
            [(told.marks[0].at_ms, 0), (told.marks[0].at_ms, 1), (told.marks[1].at_ms, 0)],
        )

    def test_tracks_apart(self) -> None:
        """Each track has its own clock."""
        other = a_car(20)
        other["meta_s"] += 5000.0
        other["time_s"] += 5000.0
        rows = field_of([a_car(20), a_car(20), other])
        rows = in_order(rows, rows["meta_s"] - np.where(rows["car"] == 2, 5000.0, 0.0))
        told = self.share.take(rows)
        ticks = {mark.track: mark.at_ms for mark in told.marks}
        self.assertApproximates(ticks["short"] / 1000, START_S + 20, 0.61)
        self.assertApproximates(ticks["elsewhere"] / 1000, START_S + 5020, 0.61)

    def test_quiet_hour(self) -> None:
        """After an hour in which nothing came there is one tick, and not thousands."""
        self.share.take(numbered(a_car(20), 1))
        later = a_car(3601, from_s=3600)
        self.assertEqual(len(self.share.take(numbered(later, 1000)).marks), 2)

    def test_only_its_own(self) -> None:
        """It follows the clock by all cars, and computes its own."""
        share = self.a_share(mine=lambda chassis: chassis == "B")
        rows = field_of([a_car(20), a_car(20)])
        told, all_told = share.take(rows), self.share.take(rows)
        self.assertEqual(told.marks, all_told.marks)
        self.assertEqual({tick.car for tick in told.cars}, {1})
        self.assertEqual([report.chassis for report in share.reports()], ["B"])

    def test_reported_once(self) -> None:
        """A car is reported when it has new points."""
        self.share.take(field_of([a_car(20), a_car(20)]))
        self.assertEqual([report.chassis for report in self.share.reports()], ["A", "B"])
        self.assertEqual(self.share.reports(), [])
        self.share.take(numbered(a_car(21, from_s=20), 1000))
        self.assertEqual([report.chassis for report in self.share.reports()], ["A"])

    def test_unknown_cars(self) -> None:
        """Points of cars that are not known, or not any more, are nobody's."""
        self.share.know([], [0])
        rows = field_of([a_car(20), a_car(20)])
        rows["car"][rows["car"] == 1] = 77
        told = self.share.take(rows)
        self.assertEqual((told.marks, told.cars, self.share.reports()), ([], [], []))

    def test_read_again(self) -> None:
        """What was told before a worker was replaced is computed again, and neither counted nor told again."""
        rows = field_of([a_car(60), a_car(60)])
        half = len(rows) // 2
        told = self.share.take(rows, counted_after=half)
        plain = self.a_share().take(rows)
        self.assertEqual(told.marks, [mark for mark in plain.marks if mark.seq >= half])
        points = [report.result["meta"]["pointCount"] for report in self.share.reports()]
        self.assertEqual(sum(points), len(rows) - half)
        # The first trace that is told has all that was not told.
        self.assertEqual(told.cars[0].trace[0][0], plain.cars[0].trace[0][0])

    def test_car_fails(self) -> None:
        """A car that can't be computed begins anew, and is told of; the others lose nothing, and its points count."""
        failed: list[tuple[str, str]] = []
        share = self.a_share(failed=lambda *car: failed.append(car))
        rows = field_of([a_car(20), a_car(20)])
        share.take(rows[:100])

        def broken(rows: Rows, counted_after: int = 0) -> None:
            share.cars[0].points += len(rows)
            raise ZeroDivisionError

        self.patch(share.cars[0], "take", broken)
        told = share.take(rows[100:])
        self.assertEqual(failed, [("short", "A")])
        self.assertTrue(any(tick.car == 1 for tick in told.cars))
        self.assertEqual({report.chassis for report in share.reports()}, {"A", "B"})
        self.assertIs(type(share.cars[0]), Car)

    def test_silent(self) -> None:
        """A car that falls silent just behind the line has its lap told by the clock the others keep going."""
        rows = field_of([a_car(60.2), a_car(80, 300.0)])
        told = self.share.take(rows)
        laps = [
            (tick.car, change.lap.number, tick.at_ms / 1000 - START_S) for tick in told.cars for change in tick.laps
        ]
        (silent,) = (each for each in laps if each[0] == 0)
        self.assertEqual(silent[1], 2)
        self.assertTrue(60.2 + 3 <= silent[2] <= 60.2 + 4)

    def test_flush(self) -> None:
        """When nothing more comes, what waits for more is told, after every tick so far; and only once."""
        rows = field_of([a_car(60.2), a_car(60.2)])
        told = self.share.take(rows)
        self.assertFalse([change for tick in told.cars for change in tick.laps])
        last = self.share.flush()
        self.assertEqual([change.lap.number for tick in last.cars for change in tick.laps], [2, 2])
        self.assertGreater((last.marks[0].seq, last.marks[0].at_ms), (told.marks[-1].seq, told.marks[-1].at_ms))
        self.assertEqual(last.marks[0].seq, len(rows))
        self.assertEqual(self.share.flush().cars, [])

    def test_stored(self) -> None:
        """A share that is stored and read again after every batch tells the same, to the last byte."""
        made = recording(90, cars=3, seed=3, rate_hz=22)
        names = names_of(made.numbers, "barber")

        def told(again: bool) -> list[bytes]:
            share, said = Share(Tracks([made.race.track]), 0.6), []
            share.know(names, [])
            for part in in_parts(made.rows, 500):
                if again:
                    stored = msgspec.msgpack.encode(share.store())
                    share = Share(
                        Tracks([made.race.track]), 0.6, stored=msgspec.msgpack.decode(stored, type=StoredShare)
                    )
                    share.know(names, [])
                    self.assertEqual(msgspec.msgpack.encode(share.store()), stored)
                said.append(msgspec.msgpack.encode([share.take(part), share.reports()]))
            return [*said, msgspec.msgpack.encode(share.flush())]

        self.assertEqual(told(True), told(False))

    def test_stored_of_others(self) -> None:
        """A car that is no longer known when a worker is replaced is not taken over."""
        self.share.take(field_of([a_car(20), a_car(20)]))
        share = Share(Tracks([SHORT]), 0.6, stored=self.share.store())
        share.know([(1, "short", "B")], [])
        share.take(numbered(a_car(21, from_s=20), 1000))
        self.assertEqual(list(share.cars), [1])
        self.assertEqual(list(share.store().cars), [1])

    def test_nothing(self) -> None:
        """Of no points nothing is told."""
        self.assertEqual(self.share.take(field_of([a_car(0)])), Told())
        self.assertEqual((self.share.flush(), self.share.reports()), (Told(), []))
        self.assertTrue(math.isinf(self.share.cars[0].heard_s))


class ManyTracksTests(SynchronousTestCase):
    """Tracks come and go."""

    def test_bounded(self) -> None:
        """Of tracks that no car is followed on nothing is remembered, and those that stay go on."""
        share = Share(Tracks([]), 0.6)
        share.know([(0, "stays", "A")], [])
        rows = hand_made(np.arange(0.0, 3.0, 0.1), speed_kmh=100.0)
        rows["meta_s"] = rows["time_s"]
        share.take(rows)
        for number in range(1, 200):
            share.know([(number, f"track {number}", "B")], [number - 1] if number > 1 else [])
            rows["car"] = number
            share.take(rows)
        self.assertEqual(len(share._track_names), 3)
        self.assertEqual(sorted(share._clocks), ["stays", "track 199"])
        rows["car"], rows["seq"] = 0, rows["seq"] + len(rows)
        rows["time_s"] += 3.0
        rows["meta_s"] += 3.0
        told = share.take(rows)
        self.assertEqual({mark.track for mark in told.marks}, {"stays"})
        self.assertEqual({tick.car for tick in told.cars}, {0})
