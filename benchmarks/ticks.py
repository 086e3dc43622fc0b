"""
A race in real time through one real worker: what it costs, and from a tick to its insight message.

The points are published in this process, as a door does it, as they would be sampled.
It runs in a process of its own, ``python -m benchmarks.ticks SECONDS``.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

CARS = 31
RATE_HZ = 22.0
_STEP_S = 0.02
_TICK_S = 0.6
_HERTZ = os.sysconf("SC_CLK_TCK")


def ticks(quick: bool) -> dict[str, dict[str, float]]:
    """31 cars at 22 Hz."""
    seconds = 20 if quick else 120
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.ticks", str(seconds)], check=True, capture_output=True, text=True
    )
    return {f"{CARS} cars at {RATE_HZ:g} Hz, one worker": json.loads(answer.stdout)}


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _HERTZ


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def main() -> None:
    """Run the race for so many seconds and print the figures as JSON."""
    from twisted.internet import reactor as _reactor
    from twisted.internet.task import LoopingCall

    from pitwall.hub import Hub
    from pitwall.pool.service import AggregationService
    from pitwall.ring import PointRing
    from pitwall.rows import SharedRows
    from pitwall.sim import Race, RaceConfig, encode_point
    from pitwall.wire.points import PointDecoder

    reactor: Any = _reactor
    seconds = float(sys.argv[1])
    hub = Hub(PointRing(20_000), SharedRows(65_536), "epoch")
    began: list[float] = []
    took_ms: list[float] = []
    main_ms: list[float] = []

    def tell(message: dict[str, Any]) -> None:
        if began:
            took_ms.append(1000 * (time.perf_counter() - began[-1]))
            main_ms.append(1000 * service.field_s)

    service = AggregationService(hub, reactor, 1, _TICK_S, tell)
    write_rows = hub.write_rows

    def tick() -> None:
        # A tick begins with what is staged being written.
        began.append(time.perf_counter())
        write_rows()

    service._hub.write_rows = tick  # type: ignore[method-assign]
    race = Race(RaceConfig(cars=CARS, rate_hz=RATE_HZ, start=time.time() + 2.0))
    encoded = [(arrival.arrival_s, encode_point(arrival.point)) for arrival in race.arrivals(0.0, seconds)]
    decoder = PointDecoder()
    sent = 0
    started: list[tuple[float, float]] = []
    worker: list[int] = []

    def publish() -> None:
        nonlocal sent
        now = time.time()
        end = sent
        while end < len(encoded) and encoded[end][0] <= now - race.config.start:
            end += 1
        if end > sent:
            if not started:
                worker.append(_children(os.getpid())[0])
                own = resource.getrusage(resource.RUSAGE_SELF)
                started.append((_cpu_s(worker[0]), own.ru_utime + own.ru_stime))
            decoded = decoder.objects([raw for _, raw in encoded[sent:end]], now)
            hub.publish("bench", decoded.points, decoded.raws, now)
            sent = end
        if sent == len(encoded):
            reactor.stop()

    reactor.callWhenRunning(service.startService)
    publishing = LoopingCall(publish).start(_STEP_S, now=False)
    publishing.addErrback(lambda failure: (failure.printTraceback(), reactor.stop()))
    reactor.callLater(seconds + 10, reactor.stop)
    reactor.run()
    own = resource.getrusage(resource.RUSAGE_SELF)
    busy = {
        "worker, share of a core [%]": 100 * (_cpu_s(worker[0]) - started[0][0]) / seconds,
        "main process with the points' decoding [%]": 100 * (own.ru_utime + own.ru_stime - started[0][1]) / seconds,
    }
    for name, values in (("a tick to its message", took_ms), ("comparing cars", main_ms)):
        p50, p99 = np.percentile(values, (50, 99)).tolist()
        busy |= {f"{name}, p50 [ms]": p50, f"{name}, p99 [ms]": p99, f"{name}, most [ms]": max(values)}
    print(json.dumps({**busy, "messages": len(took_ms)}))
    for child in _children(os.getpid()):
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
