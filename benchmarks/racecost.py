"""What computing a race costs: a worker that has all the cars, and the main process's part of a tick."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.checks import Check
from benchmarks.simulated import TICK_S, in_ticks, recorded
from pitwall.model.track import packaged_tracks
from pitwall.race.book import RaceBook
from pitwall.race.share import Share
from pitwall.sim import Race, RaceConfig

CARS = 31
RATE_HZ = 22.0


def of_cost(quick: bool) -> list[Check]:
    """A field of 31 cars at 22 Hz; CPU time of the worker, wall time of the main process."""
    seconds = 120.0 if quick else 330.0
    race = Race(RaceConfig(cars=CARS, rate_hz=RATE_HZ))
    given = recorded(race.points(0, seconds))
    share, book = Share(packaged_tracks(), TICK_S), RaceBook(packaged_tracks())
    cars = [(number, race.track.name, chassis) for chassis, number in given.numbers.items()]
    share.know(cars, [])
    for car in cars:
        book.know(*car)
    worker_s: list[float] = []
    main_ms: list[float] = []
    for rows in in_ticks(given.rows):
        began_s = time.process_time()
        told, reports = share.take(rows), share.reports()
        worker_s.append(time.process_time() - began_s)
        began_ms = 1000 * time.perf_counter()
        book.collect(told)
        for _ in book.due(2**63):
            pass
        for report in reports:
            book.fill(report.result, report.car)
        main_ms.append(1000 * time.perf_counter() - began_ms)
    p50_ms, p99_ms = np.percentile(main_ms, (50, 99)).tolist()
    return [
        Check("rows", len(given.rows)),
        Check("worker, share of a core [%]", 100 * sum(worker_s) / seconds, "<", 10),
        Check("worker, a tick, p50 [ms]", 1000 * float(np.percentile(worker_s, 50))),
        Check("worker, a tick, p99 [ms]", 1000 * float(np.percentile(worker_s, 99))),
        Check("main process, a tick, p50 [ms]", p50_ms, "<", 5),
        Check("main process, a tick, p99 [ms]", p99_ms, "<", 5),
        Check("main process, a tick, largest [ms]", max(main_ms), "<", 5),
    ]
