"""A car's clock: its offset by the quickest rows, its sessions, and when it stands still."""

from __future__ import annotations

import math
import random
from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.clock import CarClock

BEHIND = 151_000.0


class CarClockTests(SynchronousTestCase):
    """`CarClock` follows a clock that is days behind."""

    def setUp(self) -> None:
        """A clock not seen yet."""
        self.clock = CarClock()
        self.chance = random.Random(3)

    def drive(self, from_s: int, to_s: int, set_by: float = 0.0) -> list[float]:
        """Points twenty times a second, late by 0.7 s and more; returns when they were placed."""
        placed = []
        for n in range(from_s * 20, to_s * 20):
            late = 0.7 + self.chance.expovariate(0.5)
            placed.append(self.clock.place(n / 20 - BEHIND + set_by, n / 20 + late))
        return placed

    def test_offset(self) -> None:
        """The offset is that of the row that came the quickest, within some hundredths of a second."""
        self.drive(0, 100)
        self.assertLess(abs(self.clock.offset_s - (BEHIND + 0.7)), 0.05)
        self.assertEqual((self.clock.sessions, self.clock.steps_back, self.clock.stopped), (1, 0, False))
        self.assertLess(abs(self.clock.spread_s - (4.6)), 1.5)

    def test_differences(self) -> None:
        """Where points are placed, differences are those of the car's clock, however late each came."""
        placed = self.drive(0, 100)
        for before, after in pairwise(placed):
            self.assertAlmostEqual(after - before, 0.05, places=5)

    def test_logger_off(self) -> None:
        """A clock that went on 271 s later than it stopped begins a new session within a minute or so."""
        self.drive(0, 100)
        self.drive(371, 500, set_by=-271)
        self.assertEqual(self.clock.sessions, 2)
        self.assertLess(abs(self.clock.offset_s - (BEHIND + 271.7)), 0.05)

    def test_set_forward(self) -> None:
        """A clock that is set forward begins a new session at once."""
        self.drive(0, 100)
        self.drive(100, 101, set_by=400)
        self.assertEqual(self.clock.sessions, 2)
        self.assertLess(abs(self.clock.offset_s - (BEHIND - 399.3)), 0.5)

    def test_silence(self) -> None:
        """A clock that ran on while nothing came is in its old session."""
        self.drive(0, 100)
        self.drive(900, 1000)
        self.assertEqual(self.clock.sessions, 1)

    def test_late_burst(self) -> None:
        """A receiver that stalls for half a minute does not make a session."""
        self.drive(0, 100)
        for n in range(600):
            self.clock.place(100 + n / 20 - BEHIND, 130 + n / 1000)
        self.drive(130, 200)
        self.assertEqual(self.clock.sessions, 1)

    def test_stopped(self) -> None:
        """A clock that shows the same for 0.2 s stands still, and points go by meta_time until it moves."""
        self.drive(0, 10)
        at = [self.clock.place(10 - BEHIND, 11 + n / 8) for n in range(5)]
        self.assertEqual(at[2:], [11.25, 11.375, 11.5])
        self.assertTrue(self.clock.stopped)
        self.clock.place(10.5 - BEHIND, 11.6)
        self.assertFalse(self.clock.stopped)
        self.assertEqual(self.clock.sessions, 1)

    def test_steps_back(self) -> None:
        """Points before an earlier one are counted."""
        for car_s in (0.0, 1.0, 0.5, 2.0, 3.0):
            self.clock.place(car_s, car_s + 10)
        self.assertEqual(self.clock.steps_back, 1)
        self.assertEqual(self.clock.newest_s, 3.0)

    def test_nothing_yet(self) -> None:
        """Before the first point nothing is known."""
        self.assertEqual(self.clock.sessions, 0)
        self.assertTrue(math.isnan(self.clock.offset_s) and math.isnan(self.clock.spread_s))
