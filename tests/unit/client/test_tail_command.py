"""``pitwall tail``: what it prints."""

from __future__ import annotations

import argparse
import io
import json
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall import cli
from pitwall.client.stream import Message
from pitwall.client.subscription import Subscription
from pitwall.client.tail_command import (
    Wanted,
    gap_sentence,
    insight_line,
    line,
    lines,
    quality_sentence,
    subscription,
)

A_POINT = {
    "meta_time": "2025-09-06T18:42:10.250Z",
    "track": "barber",
    "chassis": "GR86-004-78",
    "lap": 3,
    "lapdist_m": 815.6,
    "speed_kmh": 141.04,
    "accx_can": 0.12,
    "rpm": 5920,
}
EVERYTHING = Wanted(frozenset(), frozenset())


def update(*points: dict[str, Any]) -> Message:
    """A telemetry_update."""
    return Message("telemetry_update", {"type": "telemetry_update", "data": list(points)}, True, None)


class LineTests(SynchronousTestCase):
    """The lines."""

    def test_aligned(self) -> None:
        """A point is a line of aligned columns with units; what is not there leaves its place empty."""
        self.assertEqual(
            line(A_POINT),
            "18:42:10.250  barber        GR86-004-78       3     815.6 m   141.0 km/h    5920 rpm   +0.12 g",
        )
        other = line({**A_POINT, "lap": None, "lapdist_m": 5, "speed_kmh": "fast", "pbrake_f": 12.25})
        self.assertEqual(other.index("5.0 m"), line(A_POINT).index("5.6 m"))
        self.assertTrue(other.endswith("12.2 bar"))

    def test_terminal(self) -> None:
        """Nothing that a terminal would obey reaches it."""
        for text in (line({"chassis": "\x1b[2J\r\n"}), insight_line({"message": "\x1b]0;x\x07"})):
            self.assertTrue(text.isprintable(), repr(text))

    def test_json(self) -> None:
        """With ``--json`` a line is the point as it came."""
        (text,) = lines(update(A_POINT), EVERYTHING, insights=False, as_json=True)
        self.assertEqual(json.loads(text), A_POINT)

    def test_wanted(self) -> None:
        """Only the cars, and the track, that were asked for."""
        points = [{"track": track, "chassis": chassis} for track in ("barber", "cota") for chassis in "abc"]
        wanted = Wanted(frozenset("ac"), frozenset(("cota",)))
        self.assertEqual(wanted.of(points), [points[3], points[5]])
        self.assertEqual(EVERYTHING.of(points), points)

    def test_insights(self) -> None:
        """Insights are printed when they are wanted, those of a snapshot too."""
        said = {"type": "tire_wear", "severity": "low", "state": "raised", "chassis": "a", "track": "t", "message": "m"}
        message = Message("insight_update", {"insights": [said]}, True, None)
        self.assertEqual(lines(message, EVERYTHING, insights=False, as_json=False), [])
        (text,) = lines(message, EVERYTHING, insights=True, as_json=False)
        self.assertRegex(text, r"^low +t +a +tire_wear raised: m$")
        first = Message("snapshot", {"data": [], "insight": {"insights": [said]}}, True, None)
        self.assertEqual(lines(first, EVERYTHING, insights=True, as_json=False), [text])
        nothing_said = Message("snapshot", {"data": [], "insight": None}, True, None)
        self.assertEqual(lines(nothing_said, EVERYTHING, insights=True, as_json=False), [])

    def test_gap(self) -> None:
        """A gap is a sentence: how many, which, and why."""
        one = {"first": 5, "last": 5, "points": 1, "reason": "skipped"}
        self.assertEqual(gap_sentence(one), "1 point is missing, 5 to 5: this client is too slow")
        many = {"first": 5, "last": 9, "points": 5, "reason": "overwritten"}
        self.assertEqual(gap_sentence(many), "5 points are missing, 5 to 9: the server has no longer got them")
        self.assertIn("started anew", gap_sentence({"points": None, "reason": "other_epoch"}))

    def test_quality(self) -> None:
        """What the server says of how much it sends is a sentence."""
        self.assertIn("too slow", quality_sentence({"level": "reduced", "conflated": 0}))
        self.assertIn("every point again; 13 points", quality_sentence({"level": "full", "conflated": 13}))

    def test_subscription(self) -> None:
        """The server is asked for what the options say, and for nothing where they do not."""

        def asked(*arguments: str) -> Subscription | None:
            parser = argparse.ArgumentParser()
            cli.tail_options(parser)
            return subscription(parser.parse_args(arguments))

        self.assertIsNone(asked())
        self.assertIsNone(asked("--insights", "--snapshot"))
        types = ["telemetry_update", "quality"]
        self.assertEqual(
            asked("--chassis", "a,b", "--chassis", "c", "--track", "cota"),
            Subscription(["a", "b", "c"], ["cota"], types=types),
        )
        types = ["telemetry_update", "insight_update", "quality"]
        self.assertEqual(
            asked("--channels", "rpm", "--max-hz", "10", "--insights"),
            Subscription(channels=["rpm"], max_hz=10.0, types=types),
        )


class WithoutWebsocketsTests(SynchronousTestCase):
    """Where the extra ``client`` is not installed."""

    def test_said(self) -> None:
        """``pitwall tail`` says in a sentence what to install."""
        modules = dict(sys.modules)
        self.addCleanup(sys.modules.update, modules)
        for name in modules:
            if name.partition(".")[0] == "websockets":
                sys.modules[name] = None  # type: ignore[assignment]
            elif name.startswith("pitwall.client"):
                del sys.modules[name]
        sys.modules["websockets"] = None  # type: ignore[assignment]
        errors = io.StringIO()
        self.patch(sys, "stderr", errors)
        self.assertEqual(cli.main(["tail"]), 1)
        self.assertEqual(errors.getvalue(), "pitwall: tail needs the package websockets: pip install websockets\n")
