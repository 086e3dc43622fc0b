"""What goes wrong, done on purpose, in short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.faults.datagrams import kinds
from pitwall.wire.points import PointDecoder
from tests.doubles import decode_datagrams

#: Those whose figures do not hang on how busy the test machine is.
_SCENARIOS = (
    "slow",
    "bodies",
    "halves",
    "answers",
    "fragments",
    "pings",
    "idle",
    "disk",
    "descriptors",
    "storage",
    "noise",
    "killed",
)


def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A run of a benchmark."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class FaultTests(SynchronousTestCase):
    """`python -m benchmarks.faults` and `python -m benchmarks.soak`."""

    def test_quick(self) -> None:
        """Whatever is done to a server, it serves the others, stays small and ends."""
        run = ended("benchmarks.faults", "--quick", *_SCENARIOS)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("all as wanted", run.stdout)

    def test_soak(self) -> None:
        """A minute in full flow, with clients that come and go, loses nothing and leaves nothing behind."""
        run = ended("benchmarks.soak", "--minutes", "1")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("| clients that came and went |", run.stdout)

    def test_kinds(self) -> None:
        """Each of the 135 bad datagrams is refused by itself, for more than ten reasons."""
        reasons = set()
        for datagram in kinds():
            decoded = decode_datagrams(PointDecoder(), [datagram], 0.0)
            self.assertEqual((decoded.points, len(decoded.refused)), ([], 1), datagram[:80])
            reasons.add(decoded.refused[0].error.reason)
        self.assertGreater(len(reasons), 10)

    def test_unknown_scenario(self) -> None:
        """A scenario that does not exist is named."""
        run = ended("benchmarks.faults", "warp")
        self.assertEqual(run.returncode, 2)
        self.assertIn("no such scenario: warp", run.stderr)
