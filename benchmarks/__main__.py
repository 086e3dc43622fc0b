"""
Measure PitWall: ``python -m benchmarks [--quick] [scenario …]``, all of them by default.

They are idle, race, udp, fanout, http, slow, subscribed, throttled, long, micro, forecast, sectors, ticks, dashboard
(with Chromium) and accuracy.
Starts servers of its own on loopback ports, one after the other, and prints a table;
``accuracy`` prints tables of its own, with what each figure is wanted to be. Figures of
one run compare with one another; those of two machines, or of two hours on a shared one,
do not. All of it takes some twenty minutes.
"""

from __future__ import annotations

import argparse
import os
import platform
import time

from benchmarks.accuracy import accuracy
from benchmarks.dashboard import dashboard
from benchmarks.delivery import subscribed, throttled
from benchmarks.forecast import forecast
from benchmarks.longrows import long
from benchmarks.micro import micro
from benchmarks.scenarios import SCENARIOS
from benchmarks.sectors import sectors
from benchmarks.ticks import ticks


def main() -> None:
    """Run what was asked for and print it."""
    known = {
        **SCENARIOS,
        "subscribed": subscribed,
        "throttled": throttled,
        "long": long,
        "micro": micro,
        "forecast": forecast,
        "sectors": sectors,
        "ticks": ticks,
        "dashboard": dashboard,
    }
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [*known, "accuracy"]
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=f"of {', '.join(names)}; all by default")
    parser.add_argument("--quick", action="store_true", help="shorter, and less exact")
    given = parser.parse_args()
    unknown = set(given.scenarios) - set(names)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    print(f"{time.strftime('%F %R')}, Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores\n")
    wanted = given.scenarios or names
    if "accuracy" in wanted:
        accuracy(given.quick)
    wanted = [name for name in wanted if name in known]
    if not wanted:
        return
    print("\n| what | figure | |\n| --- | --- | ---: |")
    for name in wanted:
        for what, figures in known[name](given.quick).items():
            for figure, value in figures.items():
                print(f"| {what} | {figure} | {value:,.{2 if abs(value) < 100 else 0}f} |", flush=True)
                what = ""


if __name__ == "__main__":
    main()
