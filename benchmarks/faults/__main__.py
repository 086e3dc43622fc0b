"""
Do what goes wrong on purpose: ``python -m benchmarks.faults [--quick] [scenario …]``, all of them by default.

Each scenario has a fresh server on loopback ports, a table with what was measured and
what is wanted. The status is 1 when anything is not as wanted. All of it takes some two
minutes, ``--quick`` (fewer peers, shorter deadlines) half of that.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from benchmarks.checks import Check, show
from benchmarks.faults.datagrams import bad_datagrams, storage_down
from benchmarks.faults.ends import ended, killed, restarted, wrong_settings
from benchmarks.faults.machine import descriptors, full_disk, workers
from benchmarks.faults.requests import half_bodies, large_bodies, slow_senders, unread_answers
from benchmarks.faults.screens import endless_fragments, idle_clients, ping_flood, unread

SCENARIOS: dict[str, Callable[[bool], list[Check]]] = {
    "slow": slow_senders,
    "bodies": large_bodies,
    "halves": half_bodies,
    "answers": unread_answers,
    "fragments": endless_fragments,
    "pings": ping_flood,
    "idle": idle_clients,
    "unread": unread,
    "workers": workers,
    "settings": wrong_settings,
    "disk": full_disk,
    "descriptors": descriptors,
    "storage": storage_down,
    "noise": bad_datagrams,
    "ends": ended,
    "killed": killed,
    "restart": restarted,
}


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for, print it, and say whether all is as wanted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=f"of {', '.join(SCENARIOS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer peers, shorter deadlines")
    given = parser.parse_args(arguments)
    unknown = set(given.scenarios) - SCENARIOS.keys()
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    missed = 0
    for name in given.scenarios or SCENARIOS:
        checks = SCENARIOS[name](given.quick)
        show((SCENARIOS[name].__doc__ or name).strip().split("\n")[0].rstrip("."), checks)
        missed += sum(check.verdict == "NO" for check in checks)
    print(f"\n{missed} not as wanted" if missed else "\nall as wanted")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
