"""The race computed in real worker processes, whatever happens to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pitwall.cars import CarTable
from pitwall.hub import Hub
from pitwall.model.track import packaged_tracks
from pitwall.pool.commands import Aggregate
from pitwall.pool.service import AggregationService
from pitwall.pool.worker import partition_of
from pitwall.race.analysis import Analysis
from pitwall.race.book import RaceBook
from pitwall.ring import PointRing
from pitwall.rows import SharedRows, channels_of, columns_of, numbered, pack_rows
from pitwall.sim import Faults, Race, RaceConfig, encode_point
from pitwall.wire.points import PointDecoder
from tests.end_to_end.harness import alive, children, clean_environment, wait_for

reactor: Any = _reactor

TICK_S = 0.2
#: A loaded test machine gets so many times what is promised.
PATIENCE = 2


class RowsElsewhere(SharedRows):
    """Rows that the workers look for in another place than where they are."""

    def __init__(self, capacity: int, path: str) -> None:
        super().__init__(capacity)
        self._elsewhere = path

    @property
    def path(self) -> str:
        """Where the workers look."""
        return self._elsewhere

    def be_there(self) -> None:
        """Put them there."""
        os.symlink(super().path, self._elsewhere)


class Pit:
    """An aggregation service with real workers, what is published to it and what it tells."""

    def __init__(
        self, workers: int, capacity: int = 65_536, most_cars: int = 256, rows_path: str | None = None
    ) -> None:
        rows = SharedRows(capacity) if rows_path is None else RowsElsewhere(capacity, rows_path)
        self.hub = Hub(PointRing(1000), rows, "epoch", most_cars)
        self.told: list[tuple[float, dict[str, Any]]] = []
        self.service = AggregationService(self.hub, reactor, workers, TICK_S, self._tell)
        self._decoder = PointDecoder()
        self.others = set(children(os.getpid()))
        self.service.startService()

    def _tell(self, message: dict[str, Any]) -> None:
        # What clients get of it, and as it is then.
        self.told.append((reactor.seconds(), msgspec.json.decode(msgspec.json.encode(message))))

    @property
    def pids(self) -> list[int]:
        """The workers, in the order they were started in."""
        return sorted(pid for pid in children(os.getpid()) if pid not in self.others)

    def publish(self, points: Sequence[dict[str, Any]]) -> None:
        """Publish points, as a door does."""
        now = reactor.seconds()
        decoded = self._decoder.objects(list(map(encode_point, points)), now)
        assert not decoded.refused
        self.hub.publish("test", decoded.points, decoded.raws, now)

    @property
    def results(self) -> list[dict[str, Any]]:
        """All results so far, oldest first."""
        return [result for _, message in self.told for result in message["data"]]

    @property
    def newest(self) -> dict[str, dict[str, Any]]:
        """The newest result of each chassis."""
        return {result["chassis"]: result for result in self.results}

    @property
    def counted(self) -> int:
        """The points counted in all results so far."""
        return sum(result["meta"]["pointCount"] for result in self.results)

    async def until(self, what: str, true: Callable[[], Any], within_s: float) -> float:
        """Wait until it is true; returns how long that took [s]."""
        started = reactor.seconds()
        while not true():
            if reactor.seconds() - started > within_s:
                raise AssertionError(f"{what}: not within {within_s} s")
            await deferLater(reactor, 0.01)
        return float(reactor.seconds() - started)

    async def warm(self) -> None:
        """Wait until every worker has answered."""
        await self.until("warm workers", lambda: self.service.warm, 20)

    async def all_counted(self) -> None:
        """Wait until every point published is counted in a result."""
        await self.until("all points", lambda: self.counted >= self.hub.last_seq, 60)

    async def stop(self) -> None:
        """End the workers and give the memory back."""
        await self.service.stopService()
        self.hub.rows.close()


def undisturbed(points: Sequence[dict[str, Any]]) -> Undisturbed:
    """What comes of points when they are computed at one go, here."""
    decoded = PointDecoder().objects(list(map(encode_point, points)), 0.0)
    columns = columns_of(decoded.points)
    cars = CarTable(1000)
    numbers = cars.numbers([(point.track, point.chassis) for point in decoded.points], 0.0)
    analysis = Analysis(packaged_tracks(), TICK_S)
    analysis.know([(car.number, car.track, car.chassis) for car in cars])
    analysis.take(numbered(pack_rows(columns, channels_of(columns), numbers), 1))
    results = {result["chassis"]: result for result in analysis.results()}
    analysis.finish()
    return Undisturbed(results, tables(analysis.book))


class Undisturbed(NamedTuple):
    """Results by chassis, and the tables."""

    results: dict[str, dict[str, Any]]
    tables: list[bytes]


def tables(book: RaceBook) -> list[bytes]:
    """Laps, gaps, insights and scores, byte for byte."""
    encode = msgspec.json.encode
    return [encode(book.laps()), encode(book.gaps()), encode(book.insights.newest()), encode(book.score())]


class WorkerTests(TestCase):
    """Workers compute the cars' figures, and one that fails is replaced before anybody misses it."""

    timeout = 120

    def pit(self, workers: int, **settings: Any) -> Pit:
        """A service that is stopped when the test ends."""
        pit = Pit(workers, **settings)
        self.addCleanup(lambda: Deferred.fromCoroutine(pit.stop()))
        return pit

    def check_figures(self, found: dict[str, Any], wanted: dict[str, Any]) -> None:
        """The figures of a lap are those of a car that was computed at one go."""
        self.assertEqual((found["chassis"], found["lap"]), (wanted["chassis"], wanted["lap"]))
        for name in ("lap_tire_stress", "predicted_loss_per_lap_seconds", "laps_until_0_5s_loss"):
            self.assertApproximates(found[name], wanted[name], 0.002 + 1e-4 * abs(wanted[name]))
        self.assertEqual(found["meta"].keys(), wanted["meta"].keys())
        for name, value in wanted["meta"].items():
            if isinstance(value, float):
                self.assertApproximates(found["meta"][name], value, 0.002, msg=name)
        for sector, time_s in wanted["meta"]["sectorTimes"].items():
            self.assertApproximates(found["meta"]["sectorTimes"][sector], time_s, 0.002)

    async def drive(self, pit: Pit, race: Race, seconds: Sequence[float], pause_s: float = 0.02) -> None:
        """Publish a race, two seconds at a time: at a hundred times its pace unless the pauses are longer."""
        for from_s, to_s in pairwise(seconds):
            pit.publish(race.points(from_s, to_s))
            await deferLater(reactor, pause_s)

    async def settled(self, pit: Pit) -> None:
        """Wait until the workers were asked for what waits for more points, and all of it is in the book."""
        flushed = lambda: all(each.flushed_seq == pit.hub.last_seq for each in pit.service._partitions)  # noqa: E731
        await pit.until("a quiet spell", lambda: flushed() and not pit.service.book.pending, 20)

    async def test_same_figures(self) -> None:
        """Laps, gaps and insights are the same, byte for byte, with one worker, two and four, at any speed."""
        race = Race(RaceConfig(cars=6, rate_hz=10, faults=Faults(shuffled_share=0.1, lapdist_noise_m=0.5)))
        points = race.points(0, 230)
        wanted = undisturbed(points)
        for workers, pause_s in ((1, 0.02), (2, 0.0), (4, 0.05)):
            pit = self.pit(workers)
            await pit.warm()
            self.assertEqual(len(pit.pids), workers)
            await self.drive(pit, race, range(0, 231, 2), pause_s)
            await pit.all_counted()
            self.assertEqual(pit.counted, len(points))
            self.assertEqual(pit.newest.keys(), wanted.results.keys())
            for chassis, result in wanted.results.items():
                self.check_figures(pit.newest[chassis], result)
            await self.settled(pit)
            self.assertEqual(tables(pit.service.book), wanted.tables)
        self.assertEqual(len(msgspec.json.decode(wanted.tables[0])), 12)

    async def test_quiet(self) -> None:
        """There is an insight_update at most once a tick, and none while no points come."""
        pit = self.pit(1)
        await pit.warm()
        race = Race(RaceConfig(cars=2))
        for second in range(30):
            pit.publish(race.points(second, second + 1))
            await deferLater(reactor, TICK_S / 10)
        await pit.all_counted()
        times = [at for at, _ in pit.told]
        self.assertTrue(all(later - earlier > 0.5 * TICK_S for earlier, later in pairwise(times)), times)
        told = len(pit.told)
        await deferLater(reactor, 5 * TICK_S)
        self.assertEqual(len(pit.told), told)

    async def test_killed(self) -> None:
        """A worker killed in mid-lap is replaced within two seconds; laps, sectors and points are as if nothing was."""
        race = Race(RaceConfig(cars=6, rate_hz=10))
        # There are rows of the last 25 s alone: where the lap began is known from the checkpoint.
        pit = self.pit(2, capacity=1500)
        await pit.warm()
        await self.drive(pit, race, range(0, 121, 2))
        # Slower now: what comes between two ticks must be a small part of those rows, as it is in a real race.
        await self.drive(pit, race, range(120, 147, 2), pause_s=TICK_S / 2)
        before = len(pit.told)
        os.kill(pit.pids[0], signal.SIGKILL)
        pit.publish(race.points(146, 148))
        cars = set(race.truth.chassis)
        back = lambda: {result["chassis"] for _, message in pit.told[before:] for result in message["data"]} >= cars  # noqa: E731
        await pit.until("results of all cars", back, 2.0 * PATIENCE)
        await self.drive(pit, race, range(148, 155, 2))
        await pit.all_counted()
        points = race.points(0, 154)
        self.assertEqual(pit.counted, len(points))
        self.assertEqual(pit.service.restarts, 1)
        self.assertEqual(pit.hub.ledger.aggregation_missed, 0)
        wanted = undisturbed(points)
        for chassis, result in wanted.results.items():
            self.assertEqual(result["lap"], 2)
            self.check_figures(pit.newest[chassis], result)
        await self.settled(pit)
        self.assertEqual(tables(pit.service.book)[0], wanted.tables[0])

    async def test_killed_while_it_answers(self) -> None:
        """Killed before, while and after it computes, again and again: every point is counted once."""
        race = Race(RaceConfig(cars=4))
        points = race.points(0, 60)
        pit = self.pit(1)
        await pit.warm()
        pool = pit.service._pools[0]
        ask, delays_s = pool.doWork, [0.0, 0.003, 0.05, 0.001]

        def ask_and_kill(command: Any, **arguments: Any) -> Any:
            answer = ask(command, **arguments)
            if command is Aggregate and delays_s and pool.answered:
                time.sleep(delays_s.pop())
                os.kill(pit.pids[0], signal.SIGKILL)
            return answer

        self.patch(pool, "doWork", ask_and_kill)
        for second in range(0, 60, 5):
            pit.publish(race.points(second, second + 5))
            await pit.until("all points", lambda: pit.counted == pit.hub.last_seq, 20)
        self.assertEqual(delays_s, [])
        self.assertEqual(pit.service.restarts, 4)
        self.assertEqual(pit.counted, len(points))
        for chassis, result in undisturbed(points).results.items():
            self.check_figures(pit.newest[chassis], result)

    async def test_killed_while_idle(self) -> None:
        """A worker killed while there is nothing to do is there again when there is."""
        pit = self.pit(1)
        await pit.warm()
        race = Race(RaceConfig(cars=2))
        pit.publish(race.points(0, 5))
        await pit.all_counted()
        (pid,) = pit.pids
        os.kill(pid, signal.SIGKILL)
        await pit.until("the end of the worker", lambda: not pit.service.warm, 2)
        await pit.until("another worker", lambda: pit.service.warm, 2.0 * PATIENCE)
        self.assertEqual(len(pit.pids), 1)
        pit.publish(race.points(5, 6))
        await pit.until("results", lambda: pit.counted == pit.hub.last_seq, 1.0 * PATIENCE)

    async def test_stopped(self) -> None:
        """A worker that hangs is replaced within five seconds, and the other worker's cars do not wait for it."""
        race = Race(RaceConfig(cars=8, rate_hz=5))
        pit = self.pit(2)
        await pit.warm()
        await self.drive(pit, race, range(21))
        hung = pit.pids[0]
        os.kill(hung, signal.SIGSTOP)
        stopped_at, before = reactor.seconds(), len(pit.told)
        by_partition = {chassis: partition_of(chassis, 2) for chassis in race.truth.chassis}
        self.assertEqual(set(by_partition.values()), {0, 1})
        second, seen = 20, dict[int, list[float]]()
        while reactor.seconds() - stopped_at < 5.0 * PATIENCE and len(seen) < 2:
            pit.publish(race.points(second, second + 1))
            second += 1
            await deferLater(reactor, 0.05)
            seen = defaultdict(list)
            for at, message in pit.told[before:]:
                for partition in {by_partition[result["chassis"]] for result in message["data"]}:
                    # What was on its way when the worker was stopped does not count.
                    if at - stopped_at > 2 * TICK_S:
                        seen[partition].append(at - stopped_at)
        self.assertEqual(len(seen), 2, "no results of the cars of the worker that hung")
        _, prompt = sorted(seen.values(), key=lambda times: times[0], reverse=True)
        gaps = [later - earlier for earlier, later in pairwise(prompt)]
        self.assertLess(max(gaps), 3 * TICK_S * PATIENCE)
        self.assertFalse(alive(hung))
        await pit.all_counted()
        self.assertEqual(pit.counted, len(race.points(0, second)))

    async def test_crash_at_start(self) -> None:
        """A worker that can't start is tried again after a pause, and serves as soon as it can."""
        with tempfile.TemporaryDirectory() as directory:
            pit = self.pit(1, rows_path=f"{directory}/rows")
            await deferLater(reactor, 6)
            self.assertFalse(pit.service.warm)
            self.assertTrue(2 <= pit.service.restarts + 1 <= 4, pit.service.restarts)
            assert isinstance(pit.hub.rows, RowsElsewhere)
            pit.hub.rows.be_there()
            pit.publish([{"track": "short", "chassis": "GR86-001"}])
            await pit.until("results", lambda: pit.counted == 1, 10)

    async def test_many_cars(self) -> None:
        """Hundreds of cars with long names are known to the workers and reported, each once."""
        pit = self.pit(2, most_cars=500)
        await pit.warm()
        points = [{"track": "t" * 64, "chassis": f"{car:064}", "speed_kmh": 100.0 + car / 10} for car in range(500)]
        self.assertGreater(len(msgspec.msgpack.encode([[0, p["track"], p["chassis"]] for p in points])), 65_535)
        pit.publish(points)
        await pit.all_counted()
        self.assertEqual(len(pit.newest), 500)
        # In two messages where one of the workers is late.
        self.assertEqual(len(pit.results), 500)
        self.assertGreater(len(msgspec.json.encode(pit.results)), 2 * 65_535)
        self.assertEqual({gap["position"] for gap in pit.told[-1][1]["gaps"]}, set(range(1, 501)))
        self.assertEqual(pit.service.restarts, 0)

    async def test_evicted(self) -> None:
        """Of more cars than are followed, the longest silent leaves the results; when it returns it begins anew."""
        pit = self.pit(2, most_cars=3)
        await pit.warm()

        async def heard(*cars: int) -> list[str]:
            before = len(pit.told)
            pit.publish([{"track": "barber", "chassis": f"GR86-{car}", "speed_kmh": 100.0 + car} for car in cars])
            await pit.until("results", lambda: len(pit.told) > before, 10)
            await deferLater(reactor, 2 * TICK_S)
            return sorted(gap["chassis"] for gap in pit.told[-1][1]["gaps"])

        await heard(1)
        self.assertEqual(await heard(2, 3), ["GR86-1", "GR86-2", "GR86-3"])
        self.assertEqual(await heard(3, 4), ["GR86-2", "GR86-3", "GR86-4"])
        self.assertEqual(await heard(1), ["GR86-1", "GR86-3", "GR86-4"])
        result = pit.newest["GR86-1"]
        self.assertEqual((result["meta"]["avgSpeed"], result["meta"]["pointCount"]), (101.0, 1))
        self.assertEqual(len(pit.service.book.followed()), 3)
        for car in range(10, 15):
            await heard(car)
        self.assertEqual(len(pit.service.book.followed()), 3)
        self.assertLessEqual(sum(len(partition._told) for partition in pit.service._partitions), 6)

    async def test_two_tracks(self) -> None:
        """The same chassis on two tracks is two cars, each first on its track."""
        pit = self.pit(1)
        await pit.warm()
        pit.publish([{"track": track, "chassis": "GR86-1", "speed_kmh": 99.0} for track in ("barber", "cota", "cota")])
        await pit.all_counted()
        (message,) = [message for _, message in pit.told]
        counts = {result["track"]: result["meta"]["pointCount"] for result in message["data"]}
        self.assertEqual(counts, {"barber": 1, "cota": 2})
        self.assertEqual([gap["position"] for gap in message["gaps"]], [1, 1])

    async def test_overwritten(self) -> None:
        """Rows that were overwritten before a worker came to read them are counted as missed."""
        pit = self.pit(1, capacity=256)
        await pit.warm()
        (pid,) = pit.pids
        point = {"track": "barber", "chassis": "GR86-1", "speed_kmh": 99.0}
        pit.publish([point] * 10)
        await pit.all_counted()
        os.kill(pid, signal.SIGSTOP)
        for _ in range(10):
            pit.publish([point] * 100)
            pit.hub.write_rows()
        os.kill(pid, signal.SIGCONT)
        missed = pit.hub.ledger
        await pit.until("all points", lambda: pit.counted + missed.aggregation_missed == pit.hub.last_seq, 10)
        self.assertEqual(missed.aggregation_missed, 1000 - 256)
        self.assertEqual(pit.service.restarts, 0)

    async def test_end(self) -> None:
        """When the service ends its workers are gone at once, one that hangs too, and leave no memory behind."""
        files = set(os.listdir("/dev/shm"))
        pit = Pit(2)
        await pit.warm()
        pids = pit.pids
        os.kill(pids[0], signal.SIGSTOP)
        pit.publish(Race(RaceConfig(cars=4)).points(0, 1))
        await deferLater(reactor, TICK_S)
        started = reactor.seconds()
        await pit.stop()
        self.assertLess(reactor.seconds() - started, 0.5 * PATIENCE)
        self.assertEqual([pid for pid in pids if alive(pid)], [])
        self.assertEqual(set(os.listdir("/dev/shm")) - files, set())
        told = len(pit.told)
        await deferLater(reactor, 3 * TICK_S)
        self.assertEqual(len(pit.told), told)

    async def test_end_while_it_starts(self) -> None:
        """A service that ends while its workers start, or wait to be started again, leaves nothing running."""
        pit = Pit(2)
        await pit.stop()
        self.assertEqual(pit.pids, [])
        with tempfile.TemporaryDirectory() as directory:
            pit = Pit(1, rows_path=f"{directory}/rows")
            await pit.until("a pause", lambda: not pit.pids, 10)
            await pit.stop()
            self.assertEqual(pit.pids, [])


MAIN = """
from twisted.internet import reactor
from pitwall.hub import Hub
from pitwall.pool.commands import Aggregate
from pitwall.pool.service import AggregationService
from pitwall.ring import PointRing
from pitwall.rows import SharedRows

hub = Hub(PointRing(100), SharedRows(4096), "epoch")
service = AggregationService(hub, reactor, 2, 0.1, lambda message: None)

def warm():
    print("warm", flush=True) if service.warm else reactor.callLater(0.05, warm)

reactor.callWhenRunning(service.startService)
reactor.callWhenRunning(warm)
reactor.run()
"""


class MainProcessTests(SynchronousTestCase):
    """Workers never outlive their main process."""

    def test_killed(self) -> None:
        """A main process that is killed takes its workers along, also one that hangs, and leaves no memory behind."""
        files = set(os.listdir("/dev/shm"))
        root = str(Path(__file__).parents[2])
        environment = clean_environment(PYTHONPATH=root)
        with subprocess.Popen([sys.executable, "-c", MAIN], stdout=subprocess.PIPE, env=environment) as main:
            try:
                assert main.stdout is not None
                self.assertEqual(main.stdout.readline(), b"warm\n")
                workers = children(main.pid)
                self.assertEqual(len(workers), 2)
                os.kill(workers[0], signal.SIGSTOP)
            finally:
                main.kill()
        wait_for("the end of the workers", lambda: not any(alive(pid) for pid in workers), 3)
        self.assertEqual(set(os.listdir("/dev/shm")) - files, set())
