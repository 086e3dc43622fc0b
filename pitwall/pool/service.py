"""
The worker processes and the tick: rows go to the workers, insights come back.

Every car belongs to one worker, by a hash of its name. At each tick every
worker reads what is new and reports the cars that have new rows; the cross-car
step is done here, on the newest report of each car. A worker that does not
answer is killed and replaced; the others are not kept waiting for it, and what
it reports late goes into a later message.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ProcessTerminated
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from pitwall.hub import Hub
from pitwall.model.point import iso_utc
from pitwall.pool.checkpoint import checkpoints_size
from pitwall.pool.commands import Aggregate, Fetch, Know, in_parts
from pitwall.pool.process import REPLY_S, START_S, WorkerPool, WorkerStarter
from pitwall.pool.worker import Worker
from pitwall.race.field import gaps
from pitwall.race.insights import InsightBook
from pitwall.race.report import CarReport
from pitwall.shared import shared_file, shared_path

#: A message does not wait longer for a slow worker than this share of a tick.
_GRACE = 0.25
_NONE = msgspec.msgpack.encode([])
ANALYSIS_VERSION = "3.0"


class Partition:
    """
    One worker and what it has been told.

    Args:
        hub: whose rows and cars it reads.
        pool: its process.
        number: from 0.
    """

    log = Logger()

    def __init__(self, hub: Hub, pool: WorkerPool, number: int) -> None:
        self._hub = hub
        self._pool = pool
        self.number = number
        self.busy = False
        self.read_seq = 0
        self.took_s = 0.0
        self._generation = 0
        self._known = -1
        self._told: set[int] = set()

    @property
    def warm(self) -> bool:
        """Whether there is a worker, and it has answered before."""
        return self._pool.running and self._pool.answered

    @property
    def free(self) -> bool:
        """Whether there is a worker, and it has answered what it was asked."""
        return self._pool.running and not self.busy

    async def aggregate(self) -> list[CarReport]:
        """
        The reports of the cars with rows published since the last call.

        Empty when the worker failed; it is replaced then, and its successor
        reports the same rows.
        """
        self.busy = True
        try:
            return await self._ask()
        except ProcessTerminated:
            return []
        except Exception as error:
            # Whatever it was, a new worker that is told everything again begins where the last report ended.
            self.log.warn("worker {number} failed: {error}", number=self.number, error=str(error)[:200])
            self._pool.end_process()
            return []
        finally:
            self.busy = False

    async def _ask(self) -> list[CarReport]:
        if self._pool.started_count != self._generation:
            # A new worker knows no car.
            self._generation, self._known, self._told = self._pool.started_count, -1, set()
        limit_s = REPLY_S if self._pool.answered else START_S
        upto = self._hub.rows.published
        await self._tell_cars(limit_s)
        answer = await self._pool.doWork(Aggregate, upto=upto, counted=self.read_seq, _timeout=limit_s)
        parts = [answer["part"]]
        for index in range(1, answer["parts"]):
            parts.append((await self._pool.doWork(Fetch, index=index))["part"])
        reports = [report for part in parts for report in msgspec.msgpack.decode(part, type=list[CarReport])]
        self._hub.ledger.aggregation_missed += answer["missed"]
        self.took_s = answer["took_us"] / 1e6
        self.read_seq = max(answer["read"], self.read_seq)
        self._pool.answered = True
        return reports

    async def _tell_cars(self, limit_s: float) -> None:
        """Tell the worker which cars are new and which are not followed any more."""
        table = self._hub.cars
        cars = table.since(self._known)
        forget = [number for number in self._told if table.get(number) is None]
        if not cars and not forget:
            return
        if cars:
            self._known = cars[-1].number
        self._told.difference_update(forget)
        self._told.update(car.number for car in cars)
        gone = msgspec.msgpack.encode(forget)
        for part in in_parts(cars):
            await self._pool.doWork(Know, cars=part, forget=gone, _timeout=limit_s)
            gone = _NONE


class AggregationService(Service):
    """
    Runs the workers and the tick.

    Args:
        hub: points and cars.
        clock: the reactor.
        workers: how many processes.
        tick_s: from one tick to the next [s].
        tell: is given each ``insight_update``, without its type.
        tracks_path: the track file for the workers; None for the packaged one.
    """

    log = Logger()

    def __init__(
        self,
        hub: Hub,
        clock: Any,
        workers: int,
        tick_s: float,
        tell: Callable[[dict[str, Any]], None],
        tracks_path: str | None = None,
    ) -> None:
        self._hub = hub
        self._clock = clock
        self._workers = workers
        self._tick_s = tick_s
        self._tell = tell
        self._tracks_path = tracks_path
        self._partitions: list[Partition] = []
        self._pools: list[WorkerPool] = []
        self._loop = LoopingCall(self._tick_safely)
        self._loop.clock = clock
        self._newest: dict[int, CarReport] = {}
        self._fresh: dict[int, CarReport] = {}
        self._book = InsightBook()
        #: Processing time of the last ticks, for health [s].
        self.took_s = 0.0
        #: The cross-car step of the last tick [s].
        self.field_s = 0.0

    @property
    def warm(self) -> bool:
        """Whether every worker has answered."""
        return bool(self._partitions) and all(partition.warm for partition in self._partitions)

    @property
    def restarts(self) -> int:
        """How many workers had to be replaced."""
        return sum(pool.started_count for pool in self._pools) - len(self._pools)

    def startService(self) -> None:
        """Start the workers and the tick."""
        super().startService()
        size = checkpoints_size(self._workers, self._hub.cars.most)
        self._checkpoints = shared_file("pitwall-checkpoints", size)
        for number in range(self._workers):
            pool = self._pool(number)
            self._pools.append(pool)
            self._partitions.append(Partition(self._hub, pool, number))
            pool.start()
        self._hub.listeners.append(self._points_came)
        self._loop.start(self._tick_s, now=True)

    def stopService(self) -> Any:
        """End the workers, at once: their state is worth nothing without the server."""
        super().stopService()
        self._hub.listeners.remove(self._points_came)
        if self._loop.running:
            self._loop.stop()
        ended = DeferredList([ended for pool in self._pools for ended in pool.kill()])
        return ended.addCallback(lambda _: os.close(self._checkpoints))

    def _pool(self, number: int) -> WorkerPool:
        # A child gets only the environment it is given; it must find what this process found.
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        arguments = (
            str(os.getpid()),
            self._hub.rows.path,
            str(self._hub.rows.capacity),
            shared_path(self._checkpoints),
            self._tracks_path or "",
            str(number),
            str(self._workers),
        )
        starter = WorkerStarter(env=environment)
        return WorkerPool(
            self._clock,
            number,
            lambda: self._ask_replaced(number),
            ampChild=Worker,
            ampChildArgs=arguments,
            starter=starter,
        )

    def _ask_replaced(self, number: int) -> None:
        """Not only at the next tick: the new worker reads on while it is waited for."""
        if self._partitions[number].free:
            self._ask(self._partitions[number])

    def _points_came(self, last_seq: int) -> None:
        """Between ticks: let a worker read before the rows it has not read are overwritten."""
        rows = self._hub.rows
        for partition in self._partitions:
            if partition.free and rows.published - partition.read_seq >= rows.capacity // 4:
                self._ask(partition)

    async def _tick_safely(self) -> None:
        try:
            await self._tick()
        except Exception:
            # A LoopingCall ends for good with the first failure.
            self.log.failure("an aggregation tick failed")

    async def _tick(self) -> None:
        self._hub.write_rows(self._clock.seconds())
        published = self._hub.rows.published
        asked = [
            self._ask(partition)
            for partition in self._partitions
            if partition.free and (partition.read_seq < published or not partition.warm)
        ]
        if asked:
            await self._all_or_grace(asked)
        self._forget_evicted()
        if self._fresh and self.running:
            self._send()

    def _ask(self, partition: Partition) -> Deferred[None]:
        asked = Deferred.fromCoroutine(self._collect(partition))
        return asked.addErrback(lambda failure: self.log.failure("what a worker said could not be used", failure))

    async def _collect(self, partition: Partition) -> None:
        for report in await partition.aggregate():
            before = self._fresh.get(report.car)
            if before is not None:
                report.result["meta"]["pointCount"] += before.result["meta"]["pointCount"]
            self._fresh[report.car] = report
        self.took_s += 0.2 * (partition.took_s - self.took_s)

    def _all_or_grace(self, asked: list[Deferred[None]]) -> Deferred[None]:
        """Fires when all have answered or the grace is over; who is late goes on by itself."""
        done: Deferred[None] = Deferred()

        def finish(_: Any = None) -> None:
            if not done.called:
                if grace.active():
                    grace.cancel()
                done.callback(None)

        grace = self._clock.callLater(max(self._tick_s * _GRACE, 0.02), finish)
        DeferredList(asked, consumeErrors=True).addCallback(finish)
        return done

    def _forget_evicted(self) -> None:
        """Nothing is said of cars that are not followed any more."""
        cars = self._hub.cars
        for reports in (self._newest, self._fresh):
            for number in [number for number in reports if cars.get(number) is None]:
                report = reports.pop(number)
                self._book.forget(report.track, report.chassis)

    def _send(self) -> None:
        fresh, self._fresh = self._fresh, {}
        started = time.perf_counter()
        self._newest.update(fresh)
        tracks = {report.track for report in fresh.values()}
        field = gaps(report for report in self._newest.values() if report.track in tracks)
        results = [report.result for _, report in sorted(fresh.items())]
        now = self._clock.seconds()
        insights = self._book.news(results, field, int(now * 1000))
        self.field_s = time.perf_counter() - started
        self._hub.ledger.aggregations += 1
        meta = {"generated_at": iso_utc(now), "vehicle_count": len(results), "analysis_version": ANALYSIS_VERSION}
        self._tell({"data": results, "gaps": field, "insights": insights, "meta": meta})
