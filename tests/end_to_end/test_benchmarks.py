"""The benchmarks run, and their figures are of what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase


class BenchmarkTests(SynchronousTestCase):
    """`python -m benchmarks`."""

    def test_quick_http(self) -> None:
        """A scenario prints a table with its figures; nothing that was posted was refused."""
        ended = subprocess.run(
            [sys.executable, "-m", "benchmarks", "--quick", "http"],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
        for batch in ("1", "100", "1,000"):
            self.assertIn(f"| posts of {batch} | posts/s |", ended.stdout)
        self.assertEqual(ended.stdout.count("| refused | 0.00 |"), 3)

    def test_quick_long(self) -> None:
        """Rows of the long form, by every door at their rates: none is lost, refused or unaccounted for."""
        ended = subprocess.run(
            [sys.executable, "-m", "benchmarks", "--quick", "long"],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=150,
            check=True,
        )
        for what in (
            "JSON rows, posts of 1,000",
            "CSV rows, posts of 1,000",
            "30 cars, 6,700 rows/s with bursts of 4,000",
        ):
            self.assertIn(f"| {what} | rows/s |", ended.stdout)
        self.assertEqual(ended.stdout.count("| rows not accounted for | 0.00 |"), 5)
        self.assertEqual(ended.stdout.count("| rows refused or repeated | 0.00 |"), 5)
        self.assertEqual(ended.stdout.count("| posts refused | 0.00 |"), 2)

    def test_unknown_scenario(self) -> None:
        """A scenario that does not exist is named."""
        ended = subprocess.run(
            [sys.executable, "-m", "benchmarks", "warp"],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        self.assertEqual(ended.returncode, 2)
        self.assertIn("no such scenario: warp", ended.stderr)
