"""What is measured: each scenario has a fresh server, and gives figures by name."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.server import BenchServer, serving

Figures = dict[str, float]


def start(*arguments: Any) -> subprocess.Popen[str]:
    """Begin a load."""
    command = [sys.executable, "-m", "benchmarks.load", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def result_of(load: subprocess.Popen[str]) -> Any:
    """What a load came to, when it has ended."""
    output, _ = load.communicate(timeout=300)
    return json.loads(output.splitlines()[-1])


def watched(
    server: BenchServer,
    seconds: float,
    clients: int,
    rate: float,
    *udp: Any,
    fan: tuple[Any, ...] = (),
    **frozen: float,
) -> tuple[Figures, Any]:
    """Send by UDP while clients watch; the cost of the main process, and what the clients saw."""
    options = [option for name, value in frozen.items() for option in (f"--{name.replace('_', '-')}", value)]
    options += fan
    watch = None
    if clients:
        watch = start(
            "fan", "--port", server.port, "--clients", clients, "--seconds", seconds + 3 + clients / 500, *options
        )
        assert watch.stdout is not None
        watch.stdout.readline()
    before, workers_before = server.cpu_s(), server.workers_cpu_s()
    sent = result_of(start("udp", "--port", server.udp_port, "--rate", rate, "--seconds", seconds, *udp))
    server.wait_quiet()
    cost, workers = server.cpu_s() - before, server.workers_cpu_s() - workers_before
    accepted = server.health()["metrics"]["messagesReceived"]
    figures = {
        "datagrams/s": sent["rate"],
        "points lost": sent["points"] - accepted,
        "kernel drops": server.kernel_drops(),
        "main, cores": cost / sent["seconds"],
        "workers, cores": workers / sent["seconds"],
        "main, µs a point": cost / sent["points"] * 1e6,
    }
    seen = None if watch is None else result_of(watch)
    if seen is not None:
        figures |= {
            "missed by clients": seen["missed"],
            "p50 ms": seen["p50_ms"],
            "p99 ms": seen["p99_ms"],
            "main, µs a message": cost / max(seen["messages"], 1) * 1e6,
        }
    return figures, seen


def idle(quick: bool) -> dict[str, Figures]:
    """Nothing comes and nobody watches."""
    seconds = 3 if quick else 10
    with serving() as server:
        before = server.cpu_s()
        time.sleep(seconds)
        cores = (server.cpu_s() - before) / seconds
        return {"idle": {"main, MB": server.rss_mb(), "main, cores": cores, "with workers, MB": server.tree_rss_mb()}}


def race(quick: bool) -> dict[str, Figures]:
    """A thousand points a second in single datagrams, twenty screens."""
    with serving() as server:
        return {"1,000 points/s, 20 clients": watched(server, 5 if quick else 15, 20, 1000)[0]}


def udp(quick: bool) -> dict[str, Figures]:
    """Five thousand datagrams a second in each form, one screen; then as fast as they can be sent, no screen."""
    seconds = 3 if quick else 6
    forms: dict[str, tuple[float, tuple[Any, ...]]] = {
        "5,000 JSON datagrams/s": (5000, ()),
        "5,000 CSV datagrams/s": (5000, ("--form", "csv")),
        "250 datagrams/s of 20 points": (250, ("--form", "array")),
        "5,000 datagrams/s, a tenth bad": (5000, ("--bad-share", 0.1)),
    }
    found = {}
    for name, (rate, options) in forms.items():
        with serving() as server:
            found[name] = watched(server, seconds, 0 if "CSV" in name else 1, rate, *options)[0]
    with serving() as server:
        found["as fast as one sender can"] = watched(server, seconds, 0, 0)[0]
    return found


def fanout(quick: bool) -> dict[str, Figures]:
    """A thousand points a second to many screens."""
    found = {}
    for clients in (50, 500) if quick else (50, 500, 2000):
        with serving() as server:
            found[f"1,000 points/s, {clients} clients"] = watched(server, 3 if quick else 8, clients, 1000)[0]
    return found


def http(quick: bool) -> dict[str, Figures]:
    """Posts one after the other, on a few connections."""
    found = {}
    for batch, connections in ((1, 16), (100, 8), (1000, 4)):
        with serving() as server:
            before = server.cpu_s()
            options = ("--batch", batch, "--connections", connections, "--seconds", 2 if quick else 5)
            posted = result_of(start("http", "--port", server.port, *options))
            server.wait_quiet()
            cost = server.cpu_s() - before
        found[f"posts of {batch:,}"] = {
            "posts/s": posted["requests_per_s"],
            "points/s": posted["requests_per_s"] * batch,
            "main, µs a point": cost / posted["points"] * 1e6,
            "refused": posted["refused"],
        }
    return found


def slow(quick: bool) -> dict[str, Figures]:
    """Ten of fifty screens stop reading for a minute."""
    freeze_s = 10.0 if quick else 60.0
    with serving() as server:
        # What the ring takes is not what the frozen clients take: let it fill up first.
        watched(server, 5, 0, 5000)
        before = server.tree_rss_mb()
        figures, seen = watched(server, freeze_s + 8, 50, 1000, frozen=10, freeze_s=freeze_s)
        return {
            f"10 of 50 clients frozen for {freeze_s:g} s": {
                "growth, MB": server.tree_rss_mb() - before,
                "missed by the others": figures["missed by clients"],
                "p99 ms of the others": figures["p99 ms"],
                "missed by the frozen": seen["frozen_missed"],
                "conflated for the frozen": seen["frozen_conflated"],
                "frozen ones closed": seen["frozen_closed"],
                "counted as skipped": server.health()["metrics"]["clientPointsSkipped"],
                "counted as conflated": server.health()["metrics"]["clientPointsConflated"],
            }
        }


SCENARIOS: dict[str, Callable[[bool], dict[str, Figures]]] = {
    "idle": idle,
    "race": race,
    "udp": udp,
    "fanout": fanout,
    "http": http,
    "slow": slow,
}
