"""Positions and gaps."""

from __future__ import annotations

import math
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.field import gaps
from pitwall.race.report import CarReport


def car(chassis: str, covered_m: float, average_kmh: float | None = 100.0, **more: Any) -> CarReport:
    """A car on a track, at its average speed unless told otherwise."""
    speed_kmh = more.get("speed_kmh", average_kmh or 0.0)
    return CarReport(0, more.get("track", "barber"), chassis, covered_m, speed_kmh, average_kmh, {})


class GapTests(SynchronousTestCase):
    """Who is ahead of whom, and by how much."""

    def test_contract(self) -> None:
        """Every field of a gap is as the contract says: percent of average speeds, positions from 1."""
        field = gaps([car("B", 900, 96.0), car("A", 1000, 100.0), car("C", 500, 90.0)])
        self.assertEqual(
            field,
            [
                {
                    "chassis": "A",
                    "track": "barber",
                    "position": 1,
                    "gapToLeader": 0.0,
                    "relativeSpeed": 0.0,
                    "gapToAhead": None,
                    "gapToBehind": 4.0,
                    "overtakingOpportunity": False,
                    "underPressure": False,
                },
                {
                    "chassis": "B",
                    "track": "barber",
                    "position": 2,
                    "gapToLeader": 4.0,
                    "relativeSpeed": -4.0,
                    "gapToAhead": 4.167,
                    "gapToBehind": 6.25,
                    "overtakingOpportunity": False,
                    "underPressure": False,
                },
                {
                    "chassis": "C",
                    "track": "barber",
                    "position": 3,
                    "gapToLeader": 10.0,
                    "relativeSpeed": -10.0,
                    "gapToAhead": 6.667,
                    "gapToBehind": None,
                    "overtakingOpportunity": False,
                    "underPressure": False,
                },
            ],
        )

    def test_grid(self) -> None:
        """A car behind the line is behind one that has crossed it."""
        self.assertEqual([gap["chassis"] for gap in gaps([car("A", -20), car("B", 5), car("C", -8)])], ["B", "C", "A"])

    def test_tracks(self) -> None:
        """Cars are compared with those on their own track alone, also where a chassis is on two."""
        field = gaps([car("A", 100, track="cota"), car("B", 50), car("A", 70), car("C", 10, track="cota")])
        places = [(gap["track"], gap["chassis"], gap["position"]) for gap in field]
        self.assertEqual(places, [("barber", "A", 1), ("barber", "B", 2), ("cota", "A", 1), ("cota", "C", 2)])

    def test_close_and_faster(self) -> None:
        """A faster car within a second can overtake, and puts the one ahead under pressure."""
        # 100 km/h are 27.8 m/s.
        for apart_m, hunter_kmh, attacks in ((27, 101.0, True), (30, 101.0, False), (27, 99.0, False)):
            ahead, behind = gaps([car("A", 1000, 100.0), car("B", 1000 - apart_m, hunter_kmh, speed_kmh=100.0)])
            self.assertEqual((ahead["underPressure"], behind["overtakingOpportunity"]), (attacks, attacks))
            self.assertFalse(ahead["overtakingOpportunity"] or behind["underPressure"])

    def test_no_speed(self) -> None:
        """A car that sends no speed has a position; what its speed would tell is left out, or null where it may be."""
        _, gap, last = gaps([car("A", 1000), car("B", 900, None), car("C", 800)])
        self.assertEqual(
            gap,
            {
                "chassis": "B",
                "track": "barber",
                "position": 2,
                "gapToAhead": None,
                "gapToBehind": None,
                "overtakingOpportunity": False,
                "underPressure": False,
            },
        )
        self.assertEqual(last["gapToLeader"], 0.0)

    def test_standing(self) -> None:
        """Cars that stand divide by no zero."""
        for gap in gaps([car("A", 10, 0.0), car("B", 5, 0.0), car("C", 2, 50.0)]):
            self.assertTrue(all(math.isfinite(value) for value in gap.values() if isinstance(value, float)))

    def test_large_field(self) -> None:
        """Sixty cars take less than five milliseconds."""
        field = [car(f"GR86-{number}", 1000.0 * number, 100 + number / 10) for number in range(60)]
        took_s = []
        for _ in range(5):
            started = time.perf_counter()
            gaps(field)
            took_s.append(time.perf_counter() - started)
        self.assertLess(min(took_s), 0.005)
