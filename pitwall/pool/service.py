"""
The worker processes and the tick: rows go to the workers, insights come back.

Every car belongs to one worker, by a hash of its name. At each tick of our clock every
worker reads what is new and tells, for each tick of a track's own clock that lies in
that, what became of its cars; the step that compares cars is done here, tick by tick,
once every worker has told. So the race is the same at any speed and with any number of
workers. A worker that does not answer is killed and replaced; the others are not kept
waiting for it, and what it tells late goes into a later message.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ProcessTerminated
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from pitwall.hub import Hub
from pitwall.model.point import iso_utc
from pitwall.model.track import Tracks, packaged_tracks
from pitwall.pool.checkpoint import checkpoints_size
from pitwall.pool.commands import PART_BYTES, Aggregate, Fetch, Know, Lay, in_parts
from pitwall.pool.process import REPLY_S, START_S, WorkerPool, WorkerStarter
from pitwall.pool.worker import Worker
from pitwall.race.book import RaceBook
from pitwall.race.report import CarReport, CarTick
from pitwall.race.share import TickMark, Told
from pitwall.shared import shared_file, shared_path

#: A message does not wait longer for a slow worker than this share of a tick.
_GRACE = 0.25
#: When a worker is late by this much the race goes on without what it has to tell [s]: it has been replaced by then,
#: and so has its successor.
_LATE_S = 2.5 * REPLY_S
#: When nothing has come for so long, workers are asked for what waits for more [s].
_IDLE_S = 2.0
#: The step that compares cars gives way to the doors after so long [s].
SLICE_S = 0.005
#: Our ticks are so long after the multiples of their interval [s].
PHASE_S = 0.05
#: So many tracks that were in force one after the other are remembered, for a worker that is behind them.
MOST_LAID = 16
_NONE = msgspec.msgpack.encode([])
_ITEMS = msgspec.msgpack.Decoder(list[CarReport | CarTick | TickMark])
ANALYSIS_VERSION = "3.0"


class WorkerFigures(NamedTuple):
    """
    How a worker is doing.

    Attributes:
        up: whether it is there and has answered.
        restarts: how often it was replaced.
        unread: points that it has not read yet.
        lag_s: how long the oldest of them has waited at most [s]; 0 where there is none.
    """

    up: bool
    restarts: int
    unread: int
    lag_s: float


class Laid(NamedTuple):
    """Tracks that are in force for the rows after one."""

    tracks: Tracks
    after_seq: int


class Partition:
    """
    One worker and what it has been told.

    Args:
        hub: whose rows and cars it reads.
        pool: its process.
        number: from 0.
        now: what time it is [s].
        laid: the tracks, each with the last row before it was in force, oldest first; more come to be there.

    Attributes:
        read_seq: the last row it has told of.
        read_at: every row that was published by then has been told of [s].
    """

    log = Logger()

    def __init__(self, hub: Hub, pool: WorkerPool, number: int, now: float, laid: deque[Laid]) -> None:
        self._hub = hub
        self._pool = pool
        self.number = number
        self.busy = False
        self.read_seq = 0
        self.read_at = now
        self.took_s = 0.0
        self.flushed_seq = 0
        self._generation = 0
        self._known = -1
        self._told: set[int] = set()
        self._laid = laid
        self._last_laid: Laid | None = None

    @property
    def warm(self) -> bool:
        """Whether there is a worker, and it has answered before."""
        return self._pool.running and self._pool.answered

    @property
    def free(self) -> bool:
        """Whether there is a worker, and it has answered what it was asked."""
        return self._pool.running and not self.busy

    def figures(self, now: float) -> WorkerFigures:
        """How it is doing; ``now`` is in s."""
        unread = self._hub.last_seq - self.read_seq
        lag_s = max(now - self.read_at, 0.0) if unread else 0.0
        return WorkerFigures(self.warm, max(self._pool.started_count - 1, 0), unread, lag_s)

    async def aggregate(self, flush: bool = False) -> list[CarReport | CarTick | TickMark]:
        """
        What came of the rows published since the last call.

        Empty when the worker failed; it is replaced then, and its successor
        tells of the same rows. ``flush``: nothing more comes for now.
        """
        self.busy = True
        try:
            return await self._ask(flush)
        except ProcessTerminated:
            return []
        except Exception as error:
            # Whatever it was, a new worker that is told everything again begins where the last report ended.
            self.log.warn("worker {number} failed: {error}", number=self.number, error=str(error)[:200])
            self._pool.end_process()
            return []
        finally:
            self.busy = False

    async def _ask(self, flush: bool) -> list[CarReport | CarTick | TickMark]:
        if self._pool.started_count != self._generation:
            # A new worker knows no track and no car.
            self._generation, self._known, self._told = self._pool.started_count, -1, set()
            self._last_laid = None
        limit_s = REPLY_S if self._pool.answered else START_S
        upto = self._hub.rows.published
        # Before the cars: what a predecessor stored of them goes on with the tracks that were in force then.
        await self._tell_tracks(limit_s)
        await self._tell_cars(limit_s)
        answer = await self._pool.doWork(Aggregate, upto=upto, counted=self.read_seq, flush=flush, _timeout=limit_s)
        parts = [answer["part"]]
        for index in range(1, answer["parts"]):
            parts.append((await self._pool.doWork(Fetch, index=index))["part"])
        items = [item for part in parts for item in _ITEMS.decode(part)]
        self._hub.ledger.aggregation_missed += answer["missed"]
        self.took_s = answer["took_us"] / 1e6
        self._hub.ledger.aggregation.observe(self.took_s)
        self.read_seq = max(answer["read"], self.read_seq)
        if flush:
            self.flushed_seq = self.read_seq
        self._pool.answered = True
        return items

    async def _tell_tracks(self, limit_s: float) -> None:
        """Tell the worker which tracks it has not been told of."""
        last = self._last_laid
        for each in list(self._laid):
            if last is not None and (each is last or each.after_seq < last.after_seq):
                continue
            # What was in force before the oldest that is remembered is not known any more.
            after_seq = each.after_seq if self._last_laid is not None else 0
            content = msgspec.msgpack.encode(list(each.tracks))
            for start in range(0, len(content), PART_BYTES):
                part, end = content[start : start + PART_BYTES], start + PART_BYTES >= len(content)
                await self._pool.doWork(Lay, part=part, last=end, after_seq=after_seq, _timeout=limit_s)
            self._last_laid = each

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
        tracks: the configured ones; the packaged ones by default.
        book: the races; made anew by default.
    """

    log = Logger()

    def __init__(
        self,
        hub: Hub,
        clock: Any,
        workers: int,
        tick_s: float,
        tell: Callable[[dict[str, Any]], None],
        tracks: Tracks | None = None,
        book: RaceBook | None = None,
    ) -> None:
        self._hub = hub
        self._clock = clock
        self._workers = workers
        self._tick_s = tick_s
        self._tell = tell
        tracks = packaged_tracks() if tracks is None else tracks
        self._laid = deque([Laid(tracks, 0)], maxlen=MOST_LAID)
        self._partitions: list[Partition] = []
        self._pools: list[WorkerPool] = []
        self._loop = LoopingCall(self._tick_safely)
        self._loop.clock = clock
        self._start: Any = None
        self._fresh: dict[int, CarReport] = {}
        self._known = -1
        self.book = RaceBook(tracks) if book is None else book
        self._insights: list[dict[str, Any]] = []
        self._published, self._came_at = 0, 0.0
        #: How many rows there were, over the last second and a little.
        self._history: deque[tuple[float, int]] = deque()
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

    def workers(self) -> list[WorkerFigures]:
        """How each worker is doing; none before the start."""
        now = self._clock.seconds()
        return [partition.figures(now) for partition in self._partitions]

    def change_tracks(self, tracks: Tracks, names: tuple[str, ...]) -> None:
        """
        Other tracks are in force from the next row on, for every worker, and for laps that begin then.

        Args:
            tracks: all of them.
            names: of those that have changed.
        """
        self._hub.write_rows()
        after_seq = self._hub.rows.published
        if self._laid[-1].after_seq == after_seq:
            self._laid.pop()  # nothing came while these were in force
        self._laid.append(Laid(tracks, after_seq))
        self.book.change_tracks(tracks, names, after_seq)

    def forecasts(self) -> dict[str, Any]:
        """What the forecasts of all tracks were worth, in figures that can be added up."""
        return self.book.forecasts()

    def startService(self) -> None:
        """Start the workers and the tick."""
        super().startService()
        size = checkpoints_size(self._workers, self._hub.cars.most)
        self._checkpoints = shared_file("pitwall-checkpoints", size)
        for number in range(self._workers):
            pool = self._pool(number)
            self._pools.append(pool)
            self._partitions.append(Partition(self._hub, pool, number, self._clock.seconds(), self._laid))
            pool.start()
        self._hub.listeners.append(self._points_came)
        Deferred.fromCoroutine(self._tick_safely())
        # A track's ticks are at multiples of its clock, which live is ours: to look just after them is to be soon.
        now = self._clock.seconds()
        wait_s = self._tick_s - (now - PHASE_S) % self._tick_s
        self._start = self._clock.callLater(wait_s, self._loop.start, self._tick_s)

    def stopService(self) -> Any:
        """End the workers, at once: their state is worth nothing without the server."""
        super().stopService()
        self._hub.listeners.remove(self._points_came)
        if self._start is not None and self._start.active():
            self._start.cancel()
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
            str(number),
            str(self._workers),
            str(self._tick_s),
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
        self._hub.write_rows()
        now, published = self._clock.seconds(), self._hub.rows.published
        if published != self._published:
            self._published, self._came_at = published, now
        for partition in self._partitions:
            if partition.read_seq >= published:
                partition.read_at = now
        idle = now - self._came_at >= _IDLE_S
        asked = [
            self._ask(partition, idle)
            for partition in self._partitions
            if partition.free
            and (partition.read_seq < published or not partition.warm or (idle and partition.flushed_seq < published))
        ]
        if asked:
            await self._all_or_grace(asked)
        self._forget_evicted()
        await self._compare(now)
        if self._fresh and self.running:
            self._send()

    def _ask(self, partition: Partition, flush: bool = False) -> Deferred[None]:
        asked = Deferred.fromCoroutine(self._collect(partition, flush))
        return asked.addErrback(lambda failure: self.log.failure("what a worker said could not be used", failure))

    async def _collect(self, partition: Partition, flush: bool) -> None:
        asked_at, published = self._clock.seconds(), self._hub.rows.published
        items = await partition.aggregate(flush)
        if partition.read_seq >= published:
            partition.read_at = asked_at
        self._know_cars()
        told = Told()
        for item in items:
            if isinstance(item, TickMark):
                told.marks.append(item)
            elif isinstance(item, CarTick):
                told.cars.append(item)
                facts = self._hub.cars.facts.get(item.car)
                if facts is not None:
                    facts.flipped, facts.stuck = item.flipped, item.stuck
            else:
                before = self._fresh.get(item.car)
                if before is not None:
                    item.result["meta"]["pointCount"] += before.result["meta"]["pointCount"]
                self._fresh[item.car] = item
        self.book.collect(told)
        self.took_s += 0.2 * (partition.took_s - self.took_s)

    def _know_cars(self) -> None:
        for car in self._hub.cars.since(self._known):
            self.book.know(car.number, car.track, car.chassis)
            self._known = car.number

    async def _compare(self, now: float) -> None:
        """Work the ticks off that every worker has told of, but for one that is late."""
        self._history.append((now, self._hub.rows.published))
        while len(self._history) > 1 and self._history[1][0] <= now - _LATE_S:
            self._history.popleft()
        overdue = self._history[0][1] if self._history[0][0] <= now - _LATE_S else 0
        read = [partition.read_seq for partition in self._partitions if partition.read_seq >= overdue]
        upto = min(read, default=self._hub.rows.published)
        if not self.book.pending:
            return
        started = step = time.perf_counter()
        took_s = 0.0
        for said in self.book.due(upto):
            self._insights += said
            ended = time.perf_counter()
            took_s = max(took_s, ended - step)
            if ended - started > SLICE_S:
                await deferLater(self._clock, 0.0)
                started = ended = time.perf_counter()
            step = ended
        self.field_s = took_s
        self._hub.ledger.field_step.observe(took_s)

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
        for number in [number for number in self._fresh if cars.get(number) is None]:
            del self._fresh[number]
        for number in self.book.followed():
            if cars.get(number) is None:
                self._insights += self.book.forget(number)

    def _send(self) -> None:
        fresh, self._fresh = self._fresh, {}
        insights, self._insights = self._insights, []
        results = []
        for number, report in sorted(fresh.items()):
            self.book.fill(report.result, number)
            results.append(report.result)
        field = [gap for track in sorted({report.track for report in fresh.values()}) for gap in self.book.gaps(track)]
        self._hub.ledger.aggregations += 1
        meta: dict[str, Any] = {
            "generated_at": iso_utc(self._clock.seconds()),
            "vehicle_count": len(results),
            "analysis_version": ANALYSIS_VERSION,
        }
        corrections = self.book.take_corrections()
        if corrections:
            meta["corrections"] = corrections
        changed = self.book.take_changed_tracks()
        if changed:
            meta["tracksChanged"] = changed
        self._tell({"data": results, "gaps": field, "insights": insights, "meta": meta})
