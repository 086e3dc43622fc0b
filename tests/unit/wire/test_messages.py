"""What clients are told, as JSON."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pitwall.wire.messages import insight_update, recent, telemetry_update
from tests.strategies import read_strictly

RAWS = [b'{"track":"a","chassis":"b","n":%d}' % n for n in range(3)]
POINTS = [read_strictly(raw) for raw in RAWS]


class MessageTests(SynchronousTestCase):
    """Each message is one JSON object of the contract."""

    def test_telemetry(self) -> None:
        """Telemetry carries its points, and the numbers of its last one and of the one before its first."""
        self.assertEqual(
            read_strictly(telemetry_update("0a1b", 38, RAWS)),
            {
                "type": "telemetry_update",
                "epoch": "0a1b",
                "seq": 40,
                "prev": 37,
                "data": POINTS,
            },
        )

    def test_recent(self) -> None:
        """The recent points come with the numbers of the first and the last."""
        self.assertEqual(
            read_strictly(recent("0a1b", 38, RAWS)),
            {"recent": POINTS, "first_seq": 38, "last_seq": 40, "epoch": "0a1b"},
        )

    def test_recent_of_none(self) -> None:
        """Before the first point the answer is an empty list, and the last number is 0."""
        self.assertEqual(
            read_strictly(recent("0a1b", 1, [])), {"recent": [], "first_seq": 1, "last_seq": 0, "epoch": "0a1b"}
        )

    def test_insight(self) -> None:
        """Insights say their type; a number that is none is null, for JSON has no NaN."""
        told = read_strictly(insight_update({"data": [{"lap": None, "loss": float("nan")}], "gaps": []}, "e", 7))
        self.assertEqual(told.pop("data"), [{"lap": None, "loss": None}])
        self.assertEqual(told, {"type": "insight_update", "epoch": "e", "insight_seq": 7, "gaps": []})
