"""What clients are told, as JSON."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pitwall.wire.messages import (
    Thinned,
    error,
    filtered_update,
    insight_update,
    quality,
    recent,
    subscribed,
    telemetry_update,
    thinned_update,
)
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

    def test_filtered(self) -> None:
        """A message that leaves points out says which numbers it covers, with whatever is in it."""
        for raws in (RAWS, []):
            told = read_strictly(filtered_update("0a1b", 37, 99, raws))
            numbers = {"epoch": "0a1b", "seq": 99, "prev": 37}
            self.assertEqual(told, {"type": "telemetry_update", **numbers, "data": POINTS[: len(raws)]})

    def test_thinned(self) -> None:
        """A thinned message says what its points stand for."""
        thinned = Thinned((9, 1, 2), [{"speed_kmh": (101.2, 188.0)}, {}, {}])
        told = read_strictly(thinned_update("0a1b", 37, 49, RAWS, thinned))
        self.assertEqual(list(told), ["type", "epoch", "seq", "prev", "conflated", "counts", "ranges", "data"])
        self.assertEqual((told["prev"], told["seq"], told["conflated"]), (37, 49, 9))
        self.assertEqual((told["counts"], told["data"]), ([9, 1, 2], POINTS))
        self.assertEqual(told["ranges"], [{"speed_kmh": [101.2, 188.0]}, {}, {}])

    def test_subscription(self) -> None:
        """The answer to a subscription has its members; a refusal says what was refused, where that is known."""
        members = {"chassis": ["a"], "types": ["telemetry_update"]}
        told = read_strictly(subscribed("0a1b", 40, members))
        self.assertEqual(told, {"type": "subscribed", "epoch": "0a1b", "seq": 40, **members})
        self.assertEqual(
            read_strictly(error("max_hz is 0", "subscribe")),
            {"type": "error", "request": "subscribe", "error": "max_hz is 0"},
        )
        self.assertEqual(read_strictly(error("x")), {"type": "error", "error": "x"})

    def test_quality(self) -> None:
        """What a client gets, since when, and how much was not told itself."""
        numbers = {"epoch": "0a1b", "seq": 40, "level": "reduced", "since": 1757184130431, "conflated": 0}
        self.assertEqual(
            read_strictly(quality("0a1b", 40, "reduced", 1757184130431, 0)), {"type": "quality", **numbers}
        )
