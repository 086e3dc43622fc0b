"""How telemetry is delivered to screens that ask for some of it, or read it slowly."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from benchmarks.scenarios import Figures, result_of, start, watched
from benchmarks.server import serving

_RATE = 5000


def subscribed(quick: bool) -> dict[str, Figures]:
    """Five hundred screens with fifty different subscriptions, and the same without."""
    found = {}
    seconds = 4 if quick else 15
    for name, options in (("50 subscriptions", ("--subscriptions",)), ("no subscription", ())):
        with serving() as server:
            figures, seen = watched(server, seconds, 500, _RATE, fan=options)
            wanted = ("points lost", "main, cores", "missed by clients", "p50 ms", "p99 ms", "main, µs a message")
            found[f"5,000 points/s, 500 clients, {name}"] = {
                **{each: figures[each] for each in wanted},
                "MB/s to clients": seen["bytes"] / 1e6 / seconds,
                "flush interval, ms": server.health()["metrics"]["flushIntervalMs"],
            }
    return found


def throttled(quick: bool) -> dict[str, Figures]:
    """A screen that reads 64 kB/s at 5,000 points/s of 30 cars, then as fast as they come."""
    slow_s, after_s = (20, 8) if quick else (60, 15)
    alone_mb, _ = _read_slowly(slow_s, 0, screen=False)
    grown_mb, seen = _read_slowly(slow_s, after_s, screen=True)
    levels = [(moment, level) for moment, level, _ in seen["qualities"]]
    return {
        f"64 kB/s for {slow_s} s": {
            "growth of main, MB": grown_mb,
            "the same without it, MB": alone_mb,
            "points missed": seen["missed"],
            "conflated": seen["conflated"],
            "insights missing": seen["insights_missing"],
            "kB an insight message": seen["insight_bytes"] / 1000,
            "age of a car's state, p50 s": seen["ages_p50_s"],
            "p95 s": seen["ages_p95_s"],
            "max s": seen["ages_max_s"],
            "quality changes": len(levels),
            "first reduced, s": next((moment for moment, level in levels if level == "reduced"), float("nan")),
            "last full, s": max((moment for moment, level in levels if level == "full"), default=float("nan")),
        }
    }


def _read_slowly(slow_s: float, after_s: float, screen: bool) -> tuple[float, dict[str, Any]]:
    """What the main process grows by [MB], and what the screen saw, if there is one."""
    with serving() as server:
        # What the ring takes is not what the client takes: let it fill up first.
        result_of(start("udp", "--port", server.udp_port, "--rate", _RATE, "--seconds", 6))
        server.wait_quiet()
        before = server.rss_mb()
        watching = None
        if screen:
            command = [sys.executable, "-m", "benchmarks.throttled", "--port", server.port]
            command += ["--seconds", slow_s, "--after", after_s]
            watching = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
            assert watching.stdout is not None
            watching.stdout.readline()
        sender = start("udp", "--port", server.udp_port, "--rate", _RATE, "--seconds", slow_s + after_s)
        time.sleep(slow_s - 1)
        grown = server.rss_mb() - before
        seen = {} if watching is None else json.loads(watching.communicate(timeout=300)[0].splitlines()[-1])
        result_of(sender)
        return grown, seen
