"""The tick: what is asked of the workers, and what clients are told."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pitwall.hub import Hub
from pitwall.model.point import iso_utc
from pitwall.model.track import Sector, Track, Tracks, packaged_tracks
from pitwall.pool import service
from pitwall.pool.checkpoint import CheckpointStore, checkpoints_size
from pitwall.pool.commands import Aggregate, Fetch, Know, Lay, in_parts
from pitwall.pool.process import REPLY_S, START_S
from pitwall.pool.service import AggregationService
from pitwall.pool.worker import SharedShare, partition_of
from pitwall.ring import PointRing
from pitwall.rows import RowReader, SharedRows
from pitwall.shared import shared_file, shared_path
from pitwall.wire.points import PointDecoder

TICK_S = 0.6
ONE_SECTOR = Tracks([Track("barber", 3674.7, (Sector("S1", 0.0, 3674.7),), layout=1)])
#: The first two belong to the first of two workers, the others to the second.
CARS = ("GR86-010", "GR86-011", "GR86-000", "GR86-001")


class FakePool:
    """A worker in this process, which answers at once, when it is let, or with an error."""

    def __init__(self, test: SynchronousTestCase, hub: Hub, number: int, workers: int) -> None:
        self._hub, self._number, self._workers = hub, number, workers
        self._fd = shared_file("pitwall-test", checkpoints_size(workers, 100))
        test.addCleanup(os.close, self._fd)
        self._cleanup = test.addCleanup
        self.running, self.answered, self.started_count = True, False, 0
        self.ends = 0
        self.error: Exception | None = None
        self.slow = False
        self.waiting: list[tuple[Deferred[Any], Any, dict[str, Any]]] = []
        self.asked: list[tuple[Any, float | None]] = []
        self.most_reports = 1000
        self.replace()

    def replace(self) -> None:
        """Be a new worker, which knows nothing but the checkpoint."""
        reader = RowReader(self._hub.rows.path, self._hub.rows.capacity)
        store = CheckpointStore(shared_path(self._fd), self._number, self._workers)
        self._cleanup(reader.close)
        self._cleanup(store.close)
        self._parts: list[bytes] = []
        self._tracks = b""
        self._share = SharedShare(
            reader, Tracks([]), self._number, self._workers, store, self._hub.rows.capacity, TICK_S
        )
        self.started_count += 1
        self.answered = False

    def start(self) -> None:
        """It has been started."""

    def kill(self) -> list[Any]:
        """End for good: what was asked fails."""
        self.running = False
        self.fail_waiting()
        return []

    def end_process(self) -> None:
        """Note that it was to be replaced."""
        self.ends += 1

    def fail_waiting(self) -> None:
        """Fail what was asked, as when the process has ended."""
        waiting, self.waiting = self.waiting, []
        for deferred, _, _ in waiting:
            deferred.errback(Failure(ProcessTerminated(signal=9)))

    def answer_waiting(self) -> None:
        """Answer what was asked."""
        self.slow = False
        waiting, self.waiting = self.waiting, []
        for deferred, command, arguments in waiting:
            deferred.callback(self._answer(command, **arguments))

    def doWork(self, command: Any, _timeout: float | None = None, **arguments: Any) -> Deferred[Any]:
        """As Ampoule's pool does."""
        self.asked.append((command, _timeout))
        if self.error is not None:
            return fail(self.error)
        if self.slow:
            self.waiting.append((Deferred(), command, arguments))
            return self.waiting[-1][0]
        return succeed(self._answer(command, **arguments))

    def _answer(self, command: Any, **arguments: Any) -> dict[str, Any]:
        if command is Know:
            decode = msgspec.msgpack.decode
            self._share.know([tuple(car) for car in decode(arguments["cars"])], decode(arguments["forget"]))
            return {}
        if command is Lay:
            self._tracks += arguments["part"]
            if arguments["last"]:
                tracks, self._tracks = msgspec.msgpack.decode(self._tracks, type=list[Track]), b""
                self._share.lay(Tracks(tracks), arguments["after_seq"])
            return {}
        if command is Fetch:
            return {"part": self._parts[arguments["index"]]}
        missed, reports = self._share.aggregate(**arguments)
        self._parts = [part for report in reports for part in in_parts([report])] or in_parts([])
        answer = {"read": self._share.read_seq, "missed": missed, "took_us": 1000}
        return {**answer, "parts": len(self._parts), "part": self._parts[0]}


class ServiceTests(SynchronousTestCase):
    """Clients are told once a tick what is new."""

    def setUp(self) -> None:
        """Two workers, and a hub that has heard nothing."""
        self.start_service()

    def start_service(self, capacity: int = 65_536, most_cars: int = 100) -> None:
        """Start a service with two workers."""
        self.patch(service, "PHASE_S", 0.0)
        self.clock = Clock()
        self.clock.advance(1_757_184_000.0)
        rows = SharedRows(capacity)
        self.addCleanup(rows.close)
        self.hub = Hub(PointRing(100), rows, "epoch", most_cars)
        self.told: list[dict[str, Any]] = []
        self.pools = [FakePool(self, self.hub, number, 2) for number in range(2)]
        self.service = AggregationService(self.hub, self.clock, 2, TICK_S, self.tell)
        self.patch(self.service, "_pool", lambda number: self.pools[number])
        self.service.startService()
        self.decoder = PointDecoder()
        self.tell_error: Exception | None = None
        self.clock.advance(0.2)

    def tearDown(self) -> None:
        """Nothing is left for the clock to do."""
        if self.service.running:
            self.successResultOf(self.service.stopService())
        self.assertEqual([call for call in self.clock.getDelayedCalls() if call.active()], [])

    def tell(self, message: dict[str, Any]) -> None:
        """Take a message as clients get it."""
        if self.tell_error is not None:
            raise self.tell_error
        self.told.append(msgspec.json.decode(msgspec.json.encode(message)))

    def publish(self, *chassis: str, **channels: Any) -> None:
        """Publish a point of each of these cars."""
        self.publish_points([{"track": "barber", "chassis": name, "speed_kmh": 100.0, **channels} for name in chassis])

    def publish_points(self, points: Sequence[dict[str, Any]]) -> None:
        """Publish points."""
        now = self.clock.seconds()
        decoded = self.decoder.objects([msgspec.json.encode(point) for point in points], now)
        self.hub.publish("test", decoded.points, decoded.raws, now)

    def tick(self, ticks: int = 1) -> list[dict[str, Any]]:
        """Let ticks go by, each with the time to wait for slow workers; returns what was told."""
        before = len(self.told)
        for _ in range(ticks):
            self.clock.advance(TICK_S - 0.2)
            self.clock.advance(0.2)
        return self.told[before:]

    def counts(self, message: dict[str, Any]) -> dict[str, int]:
        """The points of each car of a message."""
        return {result["chassis"]: result["meta"]["pointCount"] for result in message["data"]}

    def test_partitions(self) -> None:
        """The cars of these tests belong to two workers."""
        self.assertEqual([partition_of(chassis, 2) for chassis in CARS], [0, 0, 1, 1])

    def test_message(self) -> None:
        """A message has results, gaps, insights and its meta, as the contract says."""
        self.publish(*CARS)
        (message,) = self.tick()
        self.assertEqual(message.keys(), {"data", "gaps", "insights", "meta"})
        self.assertEqual(self.counts(message), dict.fromkeys(CARS, 1))
        self.assertEqual([gap["position"] for gap in message["gaps"]], [1, 2, 3, 4])
        self.assertEqual(
            message["meta"],
            {"generated_at": "2025-09-06T18:40:00.600Z", "vehicle_count": 4, "analysis_version": "3.0"},
        )
        self.assertEqual(self.hub.ledger.aggregations, 1)

    def test_only_what_is_new(self) -> None:
        """It lists the cars with new points, and the gaps of all on their track; without new points there is none."""
        self.publish(*CARS)
        self.tick()
        self.assertEqual(self.tick(3), [])
        self.publish(CARS[1], CARS[1])
        (message,) = self.tick()
        self.assertEqual(self.counts(message), {CARS[1]: 2})
        self.assertEqual(len(message["gaps"]), 4)
        self.assertEqual(message["meta"]["vehicle_count"], 1)

    def test_other_track(self) -> None:
        """Gaps are those of the tracks where there is something new."""
        self.publish(CARS[0])
        self.tick()
        self.publish(CARS[0], track="cota")
        (message,) = self.tick()
        self.assertEqual([(gap["track"], gap["position"]) for gap in message["gaps"]], [("cota", 1)])

    def test_once_a_tick(self) -> None:
        """However many points come, there is one message a tick."""
        for _ in range(60):
            self.publish(*CARS)
            self.clock.advance(0.05)
        self.tick()
        self.assertTrue(5 <= len(self.told) <= 6, len(self.told))
        self.assertEqual(sum(sum(self.counts(message).values()) for message in self.told), 240)

    def test_slow_worker(self) -> None:
        """A message does not wait for a slow worker; what that reports late is in a later one, every point once."""
        self.publish(*CARS)
        self.tick()
        self.pools[1].slow = True
        self.publish(*CARS)
        (message,) = self.tick()
        self.assertEqual(self.counts(message), dict.fromkeys(CARS[:2], 1))
        self.assertEqual(len(message["gaps"]), 4)
        self.publish(*CARS)
        (message,) = self.tick()
        self.assertEqual(self.counts(message), dict.fromkeys(CARS[:2], 1))
        self.assertEqual(len(self.pools[1].waiting), 1)
        self.pools[1].answer_waiting()
        self.assertEqual(len(self.told), 3)
        (message,) = self.tick()
        self.assertEqual(self.counts(message), dict.fromkeys(CARS[2:], 2))

    def test_grace(self) -> None:
        """It does wait a little."""
        self.publish(*CARS)
        self.pools[1].slow = True
        self.clock.advance(TICK_S)
        self.assertEqual(self.told, [])
        self.pools[1].answer_waiting()
        self.assertEqual([len(message["data"]) for message in self.told], [4])

    def test_failing_worker(self) -> None:
        """A worker that fails is killed, told all cars anew and asked for the same points; the other goes on."""
        self.publish(*CARS)
        self.tick()
        self.pools[0].error = ValueError("a fault nobody foresaw")
        self.publish(*CARS)
        (message,) = self.tick()
        self.assertEqual(self.counts(message), dict.fromkeys(CARS[2:], 1))
        self.assertEqual(self.pools[0].ends, 1)
        self.pools[0].error = None
        self.pools[0].replace()
        self.assertFalse(self.service.warm)
        (message,) = self.tick()
        self.assertEqual(self.counts(message), dict.fromkeys(CARS[:2], 1))
        self.assertTrue(self.service.warm)

    def test_killed_worker(self) -> None:
        """A worker that ends while it is asked is not killed once more."""
        self.publish(*CARS)
        self.tick()
        self.pools[0].slow = True
        self.publish(*CARS)
        self.clock.advance(TICK_S)
        self.pools[0].fail_waiting()
        self.assertEqual(self.counts(self.told[-1]), dict.fromkeys(CARS[2:], 1))
        self.assertEqual(self.pools[0].ends, 0)

    def test_without_worker(self) -> None:
        """While there is no worker nothing is asked of it."""
        self.pools[0].running = False
        asked = len(self.pools[0].asked)
        self.publish(*CARS)
        (message,) = self.tick()
        self.assertEqual(self.counts(message), dict.fromkeys(CARS[2:], 1))
        self.assertEqual(len(self.pools[0].asked), asked)
        self.assertFalse(self.service.warm)

    def test_time_to_answer(self) -> None:
        """A worker that has just been started is given longer to answer."""
        self.assertEqual(self.pools[0].asked, [(Lay, START_S), (Aggregate, START_S)])
        self.publish(*CARS)
        self.tick()
        self.assertEqual(self.pools[0].asked[2:], [(Know, REPLY_S), (Aggregate, REPLY_S), (Fetch, None)])

    def sectors(self, message: dict[str, Any]) -> dict[str, int]:
        """How many sectors each car of a message has."""
        return {result["chassis"]: len(result["perSectorStress"]) for result in message["data"]}

    def test_other_tracks(self) -> None:
        """Other tracks are told to every worker, before the rows they are in force for; screens hear of it once."""
        self.service.change_tracks(ONE_SECTOR, ("barber",))
        self.publish(*CARS)
        (message,) = self.tick()
        self.assertEqual(self.sectors(message), dict.fromkeys(CARS, 1))
        self.assertEqual(message["meta"]["tracksChanged"], ["barber"])
        self.publish(*CARS)
        (message,) = self.tick()
        self.assertNotIn("tracksChanged", message["meta"])
        for pool in self.pools:
            self.assertEqual([command for command, _ in pool.asked].count(Lay), 2)

    def test_other_tracks_in_time(self) -> None:
        """The lap that goes on is not touched, and rows that were there before count for the tracks before."""
        self.publish(*CARS)
        self.service.change_tracks(ONE_SECTOR, ("barber",))
        self.publish("GR86-099")
        (message,) = self.tick()
        self.assertEqual(self.sectors(message), {**dict.fromkeys(CARS, 3), "GR86-099": 1})
        self.assertEqual(self.service.book.tracks()[0]["sector_ends_m"], [3674.7])

    def test_other_tracks_for_a_new_worker(self) -> None:
        """A worker that takes another's place has the tracks that were in force at each row."""
        self.publish(*CARS)
        for number in range(3):
            self.service.change_tracks(ONE_SECTOR, ("barber",))
            self.publish(f"GR86-10{number}")
            self.service.change_tracks(packaged_tracks(), ("barber",))
            self.publish(f"GR86-20{number}")
        self.tick()
        for pool in self.pools:
            pool.replace()
        self.publish(*CARS, "GR86-100", "GR86-102", "GR86-201")
        (message,) = self.tick()
        one, three = dict.fromkeys(("GR86-100", "GR86-102"), 1), dict.fromkeys((*CARS, "GR86-201"), 3)
        self.assertEqual(self.sectors(message), one | three)

    def test_other_tracks_again_and_again(self) -> None:
        """However often the tracks have changed, a worker that takes another's place is told of few, and the last."""
        for _ in range(3 * service.MOST_LAID):
            for tracks in (packaged_tracks(), ONE_SECTOR):
                self.service.change_tracks(tracks, ("barber",))
                self.publish("GR86-010")
        self.tick()
        self.pools[1].replace()
        before = len(self.pools[1].asked)
        self.publish(*CARS)
        (message,) = self.tick()
        asked = [command for command, _ in self.pools[1].asked[before:]]
        self.assertEqual(asked.count(Lay), service.MOST_LAID)
        self.assertEqual({car: self.sectors(message)[car] for car in CARS[2:]}, dict.fromkeys(CARS[2:], 1))

    def test_long_track_file(self) -> None:
        """However many tracks there are, workers get them all."""
        many = [Track(f"track {number}", 1000.0, (Sector("x" * 90, 0.0, 1000.0),)) for number in range(1000)]
        self.service.change_tracks(Tracks([*many, *ONE_SECTOR]), ("barber",))
        self.publish(*CARS)
        (message,) = self.tick()
        self.assertEqual(self.sectors(message), dict.fromkeys(CARS, 1))

    def test_bad_tick(self) -> None:
        """A tick that fails is logged, and the next one comes."""
        self.tell_error = RuntimeError("a fault nobody foresaw")
        self.publish(*CARS)
        self.assertEqual(self.tick(), [])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.tell_error = None
        self.publish(*CARS)
        self.assertEqual(len(self.tick()), 1)

    def test_between_ticks(self) -> None:
        """When a quarter of the rows is unread, the workers read on before the tick."""
        self.service.stopService()
        self.start_service(capacity=4096)
        for _ in range(8):
            self.publish(*CARS * 128)
        self.assertEqual(self.told, [])
        self.assertEqual(len([command for command, _ in self.pools[0].asked if command is Aggregate]), 1 + 4)
        for _ in range(32):
            self.publish(*CARS * 128)
        (message,) = self.tick()
        self.assertEqual(self.counts(message), dict.fromkeys(CARS, 40 * 128))
        self.assertEqual(self.hub.ledger.aggregation_missed, 0)

    def test_evicted(self) -> None:
        """Cars that are not followed any more are in no message, and forgotten; a returning one is new."""
        self.service.stopService()
        self.start_service(most_cars=4)
        self.publish(*CARS)
        self.tick()
        self.clock.advance(1)
        self.publish("GR86-002")
        (message,) = self.tick()
        self.assertEqual(len(message["gaps"]), 4)
        gone = set(CARS) - {gap["chassis"] for gap in message["gaps"]}
        self.assertEqual(len(gone), 1)
        self.clock.advance(1)
        self.publish(*gone)
        (message,) = self.tick()
        self.assertEqual(self.counts(message), dict.fromkeys(gone, 1))
        self.assertEqual(len(message["gaps"]), 4)
        self.assertEqual(sum(len(pool._share.share.cars) for pool in self.pools), 4)

    def test_whole_track_evicted(self) -> None:
        """A track whose cars are all evicted is not spoken of any more."""
        self.service.stopService()
        self.start_service(most_cars=2)
        self.publish(*CARS[:2], track="cota")
        self.tick()
        self.clock.advance(1)
        self.publish(*CARS[2:])
        (message,) = self.tick()
        self.assertEqual([gap["track"] for gap in message["gaps"]], ["barber", "barber"])
        self.assertEqual(len(self.service.book.followed()), 2)

    def test_evicted_while_asked(self) -> None:
        """A car that is evicted while its worker computes it is in no message."""
        self.service.stopService()
        self.start_service(most_cars=2)
        self.publish(CARS[0], CARS[2])
        self.tick()
        self.pools[0].slow = True
        self.publish(CARS[0])
        self.tick()
        self.clock.advance(1)
        self.publish(CARS[2], CARS[3])
        self.hub.write_rows()
        self.pools[0].answer_waiting()
        (message,) = self.tick()
        self.assertEqual(self.counts(message), {CARS[2]: 1, CARS[3]: 1})
        self.assertEqual(sorted(gap["chassis"] for gap in message["gaps"]), [CARS[3], CARS[2]][::-1])

    def test_insights(self) -> None:
        """What is worth a line is said once, with the results, in the time of the track."""
        start_s = self.clock.seconds()
        for tick in range(20):
            self.publish_points(
                [
                    {
                        "track": "barber",
                        "chassis": CARS[0],
                        "meta_time": iso_utc(start_s + tick * TICK_S + step / 10),
                        "speed_kmh": 120.0,
                        "lapdist_m": 100 + 9 * tick + 1.5 * step,
                    }
                    for step in range(6)
                ]
            )
            self.tick()
        insights = [insight for message in self.told for insight in message["insights"]]
        self.assertEqual(
            [(each["type"], each["state"], each["chassis"]) for each in insights], [("anomaly", "raised", CARS[0])]
        )
        self.assertEqual(insights[0]["timestamp"] % 600, 0)
        self.assertTrue(5 < insights[0]["timestamp"] / 1000 - start_s < 8)
        self.assertEqual(self.hub.cars.known(start_s)[0]["stuck"], ["speed_kmh"])

    def test_idle(self) -> None:
        """When nothing comes any more, workers are asked once for what waits for more points."""
        self.publish(*CARS)
        self.tick()
        asked = len(self.pools[0].asked)
        self.tick(10)
        self.assertEqual([command for command, _ in self.pools[0].asked[asked:]].count(Aggregate), 1)

    def test_workers(self) -> None:
        """Of each worker it is known whether it is up, how often it was replaced, and how far it is behind."""
        self.publish(*CARS)
        self.tick()
        self.assertEqual(self.service.workers(), [(True, 0, 0, 0.0)] * 2)
        for _ in range(100):
            self.clock.advance(TICK_S)
        self.pools[0].slow = True
        self.publish(*CARS)
        behind, _ = self.service.workers()
        self.assertEqual(behind.unread, len(CARS))
        self.assertLessEqual(behind.lag_s, TICK_S)  # the quiet spell before does not count
        self.tick()
        self.tick()
        behind, other = self.service.workers()
        self.assertEqual((behind.unread, other.unread, other.lag_s), (len(CARS), 0, 0.0))
        self.assertAlmostEqual(behind.lag_s, 2 * TICK_S, places=2)
        waited_s = behind.lag_s
        self.publish(*CARS)
        self.pools[0].answer_waiting()
        behind, _ = self.service.workers()
        # What it was asked for it has told of; what came since waits no longer than since it was asked.
        self.assertEqual(behind.unread, len(CARS))
        self.assertTrue(TICK_S < behind.lag_s < waited_s, behind.lag_s)
        self.pools[1].replace()
        self.assertEqual([each[:2] for each in self.service.workers()], [(True, 0), (False, 1)])
        answers = [command for pool in self.pools for command, _ in pool.asked].count(Aggregate)
        self.assertEqual(sum(self.hub.ledger.aggregation.counts), answers)
        self.assertGreater(sum(self.hub.ledger.field_step.counts), 0)

    def test_nothing_after_the_end(self) -> None:
        """When the service has ended nothing is told, nor asked, any more."""
        self.publish(*CARS)
        self.tick()
        self.pools[1].slow = True
        self.publish(*CARS)
        self.clock.advance(TICK_S)
        self.successResultOf(self.service.stopService())
        told, asked = len(self.told), len(self.pools[0].asked)
        self.publish(*CARS * 20_000)
        self.clock.advance(10)
        self.assertEqual((len(self.told), len(self.pools[0].asked)), (told, asked))
