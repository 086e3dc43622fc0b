"""What is worth a line on the pit wall."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.insights import InsightBook


def result(chassis: str = "GR86-001", track: str = "barber", loss: float = 0.0, **meta: Any) -> dict[str, Any]:
    """A car's result, with this pace lost a lap and these figures in its meta."""
    return {
        "chassis": chassis,
        "track": track,
        "lap_tire_stress": 1500.0,
        "predicted_loss_per_lap_seconds": loss,
        "laps_until_0_5s_loss": min(0.5 / loss, 99.0) if loss > 0 else 99.0,
        "meta": {"performanceTrend": "stable", "pointCount": 13, "avgSpeed": 130.0, "maxSpeed": 200.0, **meta},
    }


def gap(overtaking: bool, pressure: bool, track: str = "barber") -> dict[str, Any]:
    """A car's gap."""
    return {
        "chassis": "GR86-001",
        "track": track,
        "position": 2,
        "overtakingOpportunity": overtaking,
        "underPressure": pressure,
    }


class InsightTests(SynchronousTestCase):
    """Findings are said once, and again when they change."""

    def setUp(self) -> None:
        """Nothing has been said."""
        self.book = InsightBook()

    def said(self, *results: dict[str, Any], gaps: tuple[dict[str, Any], ...] = ()) -> list[tuple[str, str]]:
        """Type and severity of what is new with these results."""
        return [(new["type"], new["severity"]) for new in self.book.news(results, gaps, 1000)]

    def test_contract(self) -> None:
        """An insight has a type, a severity, a message, the chassis, a time in ms and data."""
        (wear,) = self.book.news([result(loss=0.05)], [], 1_757_184_000_123)
        self.assertEqual(
            wear,
            {
                "type": "tire_wear",
                "severity": "low",
                "message": "losing 0.05 s a lap",
                "data": {"predicted_loss_per_lap_seconds": 0.05, "lap_tire_stress": 1500.0},
                "chassis": "GR86-001",
                "timestamp": 1_757_184_000_123,
            },
        )

    def test_healthy(self) -> None:
        """Of a car that runs well nothing is said."""
        self.assertEqual(self.said(result(consistency=99.5), gaps=(gap(False, False),)), [])

    def test_wear(self) -> None:
        """Tires that go away are said with their severity, and with the laps that are left."""
        self.assertEqual(self.said(result(loss=0.09)), [("tire_wear", "medium")])
        self.assertEqual(self.said(result(loss=0.2)), [("tire_wear", "high"), ("strategy", "medium")])
        self.assertEqual(self.said(result(loss=0.4)), [("tire_wear", "critical"), ("strategy", "high")])

    def test_uneven(self) -> None:
        """Uneven laps are said, from three clean laps on."""
        self.assertEqual(self.said(result(consistency=98.0)), [("performance", "low")])
        self.assertEqual(self.said(result(consistency=96.0)), [("performance", "medium")])

    def test_attack(self) -> None:
        """A car that can attack, and one that is attacked from behind."""
        self.assertEqual(self.said(result(), gaps=(gap(True, False),)), [("gap_analysis", "medium")])
        self.assertEqual(self.said(result(), gaps=(gap(True, True),)), [("gap_analysis", "high")])

    def test_stuck(self) -> None:
        """A speed that never changes is a channel that is stuck; a parked car is none."""
        stuck: dict[str, Any] = {"avgSpeed": 120.0, "maxSpeed": 120.0}
        self.assertEqual(self.said(result(pointCount=21, **stuck)), [("anomaly", "medium")])
        self.assertEqual(self.said(result("GR86-002", pointCount=3, **stuck)), [])
        self.assertEqual(self.said(result("GR86-003", pointCount=30, avgSpeed=0.0, maxSpeed=0.0)), [])

    def test_once(self) -> None:
        """What stands is not said again; what has gone and comes back is."""
        self.assertEqual(self.said(result(loss=0.05)), [("tire_wear", "low")])
        self.assertEqual(self.said(result(loss=0.06)), [])
        self.assertEqual(self.said(result(loss=0.0)), [])
        self.assertEqual(self.said(result(loss=0.05)), [("tire_wear", "low")])

    def test_each_car(self) -> None:
        """Each car has its own, also where the same chassis is on two tracks."""
        self.assertEqual(len(self.said(result(loss=0.05), result("GR86-002", loss=0.05))), 2)
        self.assertEqual(len(self.said(result(track="cota", loss=0.05))), 1)
        self.assertEqual(self.said(result(), gaps=(gap(True, False, track="cota"),)), [])

    def test_forgotten(self) -> None:
        """Nothing is remembered of a car that is not followed any more."""
        for number in range(1000):
            self.said(result(f"GR86-{number}", loss=0.05))
            self.book.forget("barber", f"GR86-{number}")
        self.assertEqual(self.book._said, {})
