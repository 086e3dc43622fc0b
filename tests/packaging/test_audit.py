"""`.ci/audit`, with a pip-audit that answers what the test says."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.packaging.shipping import ROOT, new_directory

#: Copies the answer of the service it is told to ask to where it is told to write; none is a service out of reach.
PIP_AUDIT = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in --vulnerability-service) service=$2 ;; --output) output=$2 ;; esac
    shift
done
cat "$ANSWERS/$service" > "$output"
"""
GOOD = {"name": "treq", "version": "26.7.0", "vulns": []}
BAD = {"name": "klein", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.0"], "aliases": []}]}
UNKNOWN = {"name": "treq", "skip_reason": "not found"}


class AuditTests(SynchronousTestCase):
    """What it makes of the answers."""

    def audit(self, **answers: Any) -> tuple[int, str]:
        """Its status, and the last thing it said, where the services list these packages."""
        directory = new_directory()
        tool = directory / "pip-audit"
        tool.write_text(PIP_AUDIT)
        tool.chmod(0o755)
        for service, packages in answers.items():
            Path(directory / service).write_text(json.dumps({"dependencies": packages, "fixes": []}))
        done = subprocess.run(
            [ROOT / ".ci/audit"],
            env={"PATH": f"{directory}:{os.environ['PATH']}", "ANSWERS": str(directory)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout.splitlines()[-1]

    def test_nothing_found(self) -> None:
        """Nothing against them: status 0, and how many were looked at."""
        self.assertEqual(self.audit(osv=[GOOD, UNKNOWN]), (0, "osv: 1 of 2 packages looked at, 0 vulnerabilities"))

    def test_found(self) -> None:
        """A vulnerability is told with the version that mends it, and the status is 1; so it is when PyPI knows it."""
        told = (1, "  klein 1.0: PYSEC-1, mended in 2.0")
        self.assertEqual(self.audit(osv=[GOOD, BAD]), told)
        self.assertEqual(self.audit(pypi=[GOOD, BAD]), told)

    def test_out_of_reach(self) -> None:
        """Where no service answers, or one that knows none of them, it says so, and the status is 0."""
        told = (0, "nothing was looked at: the advisories are out of reach here")
        self.assertEqual(self.audit(), told)
        self.assertEqual(self.audit(pypi=[UNKNOWN]), told)
