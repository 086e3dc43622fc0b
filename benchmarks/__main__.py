"""
Measure PitWall: ``python -m benchmarks [--quick] [idle race udp fanout http long slow micro forecast sectors]``.

Starts servers of its own on loopback ports, one after the other, and prints a
table. Figures of one run compare with one another; those of two machines, or of
two hours on a shared one, do not. All of it takes some five minutes.
"""

from __future__ import annotations

import argparse
import os
import platform
import time

from benchmarks.forecast import forecast
from benchmarks.longrows import long
from benchmarks.micro import micro
from benchmarks.scenarios import SCENARIOS
from benchmarks.sectors import sectors


def main() -> None:
    """Run what was asked for and print it."""
    known = {**SCENARIOS, "long": long, "micro": micro, "forecast": forecast, "sectors": sectors}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--quick", action="store_true", help="shorter, and less exact")
    given = parser.parse_args()
    unknown = set(given.scenarios) - set(known)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    print(f"{time.strftime('%F %R')}, Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores\n")
    print("| what | figure | |\n| --- | --- | ---: |")
    for name in given.scenarios or known:
        for what, figures in known[name](given.quick).items():
            for figure, value in figures.items():
                print(f"| {what} | {figure} | {value:,.{2 if abs(value) < 100 else 0}f} |", flush=True)
                what = ""


if __name__ == "__main__":
    main()
