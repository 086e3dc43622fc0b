"""The S3 door reads a bucket, each whole row once, whatever becomes of its objects."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, cast

import msgspec
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from pitwall.hub import Hub
from pitwall.ingest import s3object
from pitwall.ingest.s3 import Handover, S3Service
from pitwall.ingest.s3reader import Stopped, back_off
from pitwall.model.point import Point
from pitwall.ring import PointRing
from pitwall.rows import SharedRows
from pitwall.serve.books import Books
from pitwall.serve.live.broadcast import Broadcaster, Pace
from pitwall.wire.errors import WireError
from pitwall.wire.pieces import WINDOW, Lines, inflated
from pitwall.wire.points import PointDecoder
from tests.doubles import told_of
from tests.unit.ingest.s3_doubles import FakeBucket, FakePool, MemoryStore, ThreadlessReactor, refusal

HEADER = "track,vehicle_id,speed\n"
KEY = "telemetry/a.csv"


def rows(*speeds: int) -> str:
    """CSV rows of one car at these speeds."""
    return "".join(f"barber,GR86-1,{speed}\n" for speed in speeds)


class S3TestCase(SynchronousTestCase):
    """A door to a bucket in memory, looked at every minute."""

    def setUp(self) -> None:
        """Empty bucket, door not started."""
        self.reactor = ThreadlessReactor()
        self.bucket = FakeBucket()
        self.events: list[Any] = []
        self.patch(S3Service, "log", Logger(observer=cast(Any, self.events.append)))
        self.begin()

    def begin(self, **settings: Any) -> None:
        """A new door to the bucket."""
        self.hub = Hub(PointRing(100_000), SharedRows(1024), epoch="e")
        self.pool = FakePool()
        wanted: dict[str, Any] = {
            "bucket": "race",
            "prefix": "telemetry/",
            "poll_s": 60,
            "region": "us-east-1",
            "endpoint_url": None,
            "state_dir": None,
            "told": told_of(),
            "connect": lambda: self.bucket,
            "make_pool": lambda: self.pool,
            "chance": random.Random(1),
        }
        self.door = S3Service(self.hub, PointDecoder(), self.reactor, **{**wanted, **settings})
        self.addCleanup(self.assert_exact, self.hub, self.door)

    def assert_exact(self, hub: Hub, door: S3Service) -> None:
        """Whatever became of the bucket, the books of the door are exact."""
        for line in self.lines_of(hub, door).values():
            parts = line["accepted"] + sum(line["refused"].values()) + line["duplicate"] + line["pending"]
            self.assertEqual(line["received"], parts, line)

    @staticmethod
    def lines_of(hub: Hub, door: S3Service) -> dict[str, Any]:
        """The lines of the books of a door, by their unit."""
        books = Books(hub, Broadcaster(hub, Clock(), Pace(0.008, 0.12)), lambda: {"s3": door.held()})
        return {line["unit"]: line for line in books.answer(0.0)["doors"]}

    def start(self) -> None:
        """Start the door, which looks at once; it is stopped after the test."""
        door = self.door
        door.startService()
        self.addCleanup(lambda: door.stopService() if door.running else None)

    def look(self) -> None:
        """Let a minute pass, and so the next look begin."""
        self.reactor.advance(60)

    def before_publish(self, work: Callable[[Sequence[Point]], object]) -> None:
        """Have something done with the points before they reach the hub."""
        publish = self.hub.publish

        def working(door: str, points: Sequence[Point], raws: Sequence[bytes], received_at: float) -> None:
            work(points)
            publish(door, points, raws, received_at)

        self.patch(self.hub, "publish", working)

    def speeds(self) -> list[float]:
        """The speeds of the points that came, in their order."""
        return [json.loads(raw)["speed_kmh"] for raw in self.hub.ring.newest(100_000)]

    def lines(self) -> list[str]:
        """What was logged, from a warning on or about the way back."""
        found = [event for event in self.events if event["log_level"].name != "debug"]
        self.events.clear()
        return [event["log_format"].format(**event) for event in found]


class ReadingTests(S3TestCase):
    """Every whole row of every object becomes a point, once."""

    def test_each_row_once(self) -> None:
        """The rows of an object are published, and never again while the object stays as it is."""
        self.bucket.put(KEY, HEADER + rows(1, 2, 3))
        self.start()
        self.assertEqual(self.speeds(), [1, 2, 3])
        self.assertEqual(len(self.bucket.gets()), 1)
        self.look()
        self.look()
        self.assertEqual(self.speeds(), [1, 2, 3])
        self.assertEqual(self.bucket.requests, ["list", "list"])
        self.assertEqual((self.door.objects_read, self.door.rows_read, self.door.errors), (1, 3, 0))
        self.assertEqual(self.hub.ledger.accepted, {"s3": 3})

    def test_new_objects(self) -> None:
        """An object that is new at a later look is read then."""
        self.start()
        self.bucket.put(KEY, HEADER + rows(1))
        self.reactor.advance(59)
        self.assertEqual(self.speeds(), [])
        self.reactor.advance(1)
        self.assertEqual(self.speeds(), [1])

    def test_oldest_first(self) -> None:
        """Objects are read in the order in which they were written."""
        self.bucket.put("telemetry/b.csv", HEADER + rows(1))
        self.bucket.put("telemetry/c.csv", HEADER + rows(2))
        self.bucket.put("telemetry/a.csv", HEADER + rows(3))
        self.start()
        self.assertEqual(self.speeds(), [1, 2, 3])

    def test_prefix_and_empty_objects(self) -> None:
        """Only keys with the prefix are read; folders and empty objects are not asked for."""
        self.bucket.put("other/a.csv", HEADER + rows(1))
        self.bucket.put("telemetry/", "")
        self.start()
        self.assertEqual((self.speeds(), self.bucket.gets(), self.door.failing), ([], [], False))

    def test_listing_in_pages(self) -> None:
        """A bucket with more keys than one answer holds is read whole."""
        self.bucket = FakeBucket(page=7)
        for n in range(40):
            self.bucket.put(f"telemetry/{n:02}.csv", HEADER + rows(n))
        self.start()
        self.assertEqual(self.speeds(), list(range(40)))
        self.assertEqual(self.bucket.requests.count("list"), 6)

    def test_bad_rows(self) -> None:
        """A bad row is counted with its reason and never costs the good ones."""
        self.bucket.put(KEY, f"{HEADER}{rows(1)}barber,GR86-1,fast\nbarber\n{rows(2)}")
        self.start()
        self.assertEqual(self.speeds(), [1, 2])
        self.assertEqual(self.hub.ledger.refused, {("s3", "wrong_type"): 1, ("s3", "csv_fields"): 1})
        self.assertEqual((self.door.rows_read, self.door.failing), (4, False))

    def test_track_in_the_key(self) -> None:
        """Rows without a track get the one that the file or a folder is named after."""
        plain = "chassis,speed\nA,1\n"
        for key in ("barber/x.csv", "2025/Road America/r1/x.csv", "vir.csv.gz", "nowhere/x.csv"):
            self.bucket.put(f"telemetry/{key}", plain)
        self.start()
        raws = self.hub.ring.newest(10)
        self.assertEqual([json.loads(raw)["track"] for raw in raws], ["barber", "road_america", "virginia"])
        self.assertEqual(self.hub.ledger.refused, {("s3", "missing_field"): 1})

    def test_gzip(self) -> None:
        """Packed objects are read, by whatever name and in however many parts."""
        text = (HEADER + rows(*range(300))).encode()
        self.bucket.put("telemetry/a.csv.gz", gzip.compress(text))
        self.bucket.put("telemetry/b", gzip.compress(text[:500]) + gzip.compress(text[500:]) + b"\0" * 40)
        self.bucket.put("telemetry/c.gz", text)
        self.start()
        self.assertEqual(self.speeds(), [*range(300)] * 3)

    def test_large_objects_in_ranges(self) -> None:
        """A large object is fetched in ranges of one version and handed over in small slices, each row once."""
        self.patch(s3object, "FIRST_RANGE", 1000)
        self.patch(s3object, "RANGE", 7000)
        batches: list[int] = []
        self.before_publish(lambda points: batches.extend([len(points)]))
        speeds = [n % 400 for n in range(5000)]
        self.bucket.put(KEY, HEADER + rows(*speeds))
        self.start()
        self.assertEqual(self.speeds(), speeds)
        self.assertTrue(200 < max(batches) <= 500, max(batches))
        ranges = self.bucket.gets()
        self.assertEqual(ranges[:3], [(KEY, 0, 999), (KEY, 1000, 7999), (KEY, 8000, 14999)])

    def test_small_slices_on_a_slow_machine(self) -> None:
        """Where rows take long to decode, fewer are handed over at a time."""
        batches: list[int] = []

        def slow(points: Sequence[Point]) -> None:
            batches.append(len(points))
            self.reactor.rightNow += len(points) * 20e-6

        self.before_publish(slow)
        # The pause after each slice would be real time.
        self.patch(Handover, "__call__", lambda handover, work, *args: work(*args))
        self.bucket.put(KEY, HEADER + rows(*range(400)) * 10)
        self.start()
        self.assertEqual(len(self.speeds()), 4000)
        self.assertEqual((min(batches[1:-1]), max(batches)), (100, 100))


class ChangingObjectTests(S3TestCase):
    """An object that grows is read on; one with another content is read anew."""

    def test_grown(self) -> None:
        """Of an object that was written again and is longer, only the new rows are read."""
        self.bucket.put(KEY, HEADER + rows(1, 2))
        self.start()
        self.bucket.put(KEY, HEADER + rows(1, 2, 3))
        self.look()
        self.assertEqual(self.speeds(), [1, 2, 3])

    def test_grown_large(self) -> None:
        """Reading on in a large object fetches its beginning and its end, not what is between."""
        self.patch(s3object, "FIRST_RANGE", 1000)
        self.patch(s3object, "RANGE", 100_000)
        speeds = [n % 400 for n in range(30_000)]
        self.bucket.put(KEY, HEADER + rows(*speeds))
        self.start()
        self.bucket.gets()
        self.bucket.put(KEY, HEADER + rows(*speeds, 1, 2))
        self.look()
        self.assertEqual(self.speeds(), [*speeds, 1, 2])
        self.assertLess(sum(last - first for _, first, last in self.bucket.gets()), 70_000)

    def test_grown_gzip(self) -> None:
        """A packed object that grows is read on as well."""
        self.bucket.put(KEY, gzip.compress((HEADER + rows(1, 2) + "barber,GR").encode()))
        self.start()
        self.bucket.put(KEY, gzip.compress((HEADER + rows(1, 2, 3)).encode()))
        self.look()
        self.assertEqual(self.speeds(), [1, 2, 3])

    def test_half_line_waits(self) -> None:
        """A last line that is not whole yet counts once it is."""
        self.bucket.put(KEY, HEADER + rows(1) + "barber,GR86-1,2")
        self.start()
        self.assertEqual(self.speeds(), [1])
        self.bucket.put(KEY, HEADER + rows(1) + "barber,GR86-1,250\n")
        self.look()
        self.assertEqual(self.speeds(), [1, 250])
        self.assertEqual(self.hub.ledger.points_refused, 0)

    def test_last_line_without_line_feed(self) -> None:
        """The last line of an object that no longer changes is taken without its line feed, once."""
        self.bucket.put(KEY, HEADER + rows(1) + "barber,GR86-1,2")
        self.start()
        self.look()
        self.assertEqual(self.speeds(), [1, 2])
        self.bucket.gets()
        self.look()
        self.assertEqual((self.speeds(), self.bucket.gets()), ([1, 2], []))
        self.assertEqual(self.door.objects_read, 1)

    def test_taken_line_gets_its_line_feed(self) -> None:
        """A line that was taken without its line feed is not taken again when the object goes on behind it."""
        self.bucket.put(KEY, HEADER + rows(1) + "barber,GR86-1,2")
        self.start()
        self.look()
        self.bucket.put(KEY, HEADER + rows(1) + "barber,GR86-1,2\r\n" + rows(3))
        self.look()
        self.assertEqual(self.speeds(), [1, 2, 3])

    def test_taken_line_becomes_longer(self) -> None:
        """A line that was taken too early is a row once more when it is whole."""
        self.bucket.put(KEY, HEADER + rows(1) + "barber,GR86-1,2")
        self.start()
        self.look()
        self.bucket.put(KEY, HEADER + rows(1, 25, 3))
        self.look()
        self.assertEqual(self.speeds(), [1, 2, 25, 3])

    def test_header_alone(self) -> None:
        """An object that is only a header, whole or half, has no rows and is no trouble."""
        self.bucket.put(KEY, HEADER)
        self.bucket.put("telemetry/b.csv", HEADER.strip())
        self.bucket.put("telemetry/c.csv", "trac")
        self.start()
        self.look()
        self.bucket.gets()
        self.look()
        self.assertEqual((self.speeds(), self.bucket.gets(), self.lines()), ([], [], []))
        self.bucket.put("telemetry/c.csv", HEADER + rows(1))
        self.look()
        self.assertEqual(self.speeds(), [1])

    def test_replaced(self) -> None:
        """An object that now has another content is read anew, whether that is shorter, longer or as long."""
        self.bucket.put(KEY, HEADER + rows(11, 12, 13))
        self.start()
        for speeds in ([21], [31, 32, 33], [41, 42, 43, 44, 45]):
            self.bucket.put(KEY, HEADER + rows(*speeds))
            self.look()
        self.assertEqual(self.speeds(), [11, 12, 13, 21, 31, 32, 33, 41, 42, 43, 44, 45])

    def test_other_columns(self) -> None:
        """The same rows under another header are other rows."""
        self.bucket.put(KEY, "track,chassis,speed\n" + rows(1))
        self.start()
        self.bucket.put(KEY, "track,chassis,power\n" + rows(1, 2))
        self.look()
        self.assertEqual(self.hub.last_seq, 3)

    def test_written_again_unchanged(self) -> None:
        """The same content written once more repeats nothing, half line or not."""
        for end in ("", "barber,GR86-1,3"):
            self.bucket.put(KEY, HEADER + rows(1, 2) + end)
        self.start()
        self.look()
        self.bucket.put(KEY, HEADER + rows(1, 2) + end)
        self.look()
        self.look()
        self.assertEqual(self.speeds(), [1, 2, 3])

    def test_replaced_while_it_is_read(self) -> None:
        """An object that is replaced between the listing and the reading is read at the next look, without a word."""
        self.bucket.put(KEY, HEADER + rows(1))
        self.bucket.failures[KEY] = refusal(412, "PreconditionFailed")
        self.start()
        self.bucket.failures[KEY] = refusal(404, "NoSuchKey")
        self.look()
        del self.bucket.failures[KEY]
        self.look()
        self.assertEqual((self.speeds(), self.lines(), self.door.errors), ([1], [], 0))

    def test_service_that_ignores_conditions(self) -> None:
        """Where the service sends another version than the one listed, nothing of it is taken before the next look."""
        self.bucket.put(KEY, HEADER + rows(1))
        get = self.bucket.get_object
        self.patch(self.bucket, "get_object", lambda **wanted: {**get(**wanted), "ETag": '"other"'})
        self.start()
        self.assertEqual((self.speeds(), self.door.failing), ([], False))
        self.patch(self.bucket, "get_object", get)
        self.look()
        self.assertEqual(self.speeds(), [1])

    @given(st.data())
    def test_grown_in_any_steps(self, data: st.DataObject) -> None:
        """However an object grows from look to look, every row comes once and in order."""
        self.bucket = FakeBucket()
        self.begin()
        self.door.startService()
        text = HEADER + rows(*range(100, 120))
        ends = data.draw(st.lists(st.integers(0, len(text)), max_size=6))
        for end in sorted(ends):
            self.bucket.put(KEY, text[:end])
            self.look()
        self.bucket.put(KEY, text)
        self.look()
        self.door.stopService()
        self.assertEqual(self.speeds(), list(range(100, 120)))


class FailureTests(S3TestCase):
    """What goes wrong is counted, told once, and tried again."""

    def test_one_line_on_change(self) -> None:
        """A bucket that can't be listed is one line in the log, and one when it can be again."""
        self.bucket.put(KEY, HEADER + rows(1))
        self.bucket.failures["list"] = refusal(403, "AccessDenied", "ListObjectsV2")
        self.start()
        self.assertTrue(self.door.failing)
        self.reactor.pump([1] * 300)
        self.assertGreater(self.door.errors, 5)
        self.assertEqual(self.lines(), ["S3 bucket race fails: 'AccessDenied' (HTTP 403)"])
        self.bucket.failures.clear()
        self.reactor.pump([1] * 300)
        self.assertEqual((self.speeds(), self.door.failing), ([1], False))
        self.assertEqual(self.lines(), ["S3 bucket race can be read again"])

    def test_back_off(self) -> None:
        """A failing bucket is tried at growing intervals, up to five minutes, that are never quite the same."""
        self.bucket.failures["list"] = EndpointConnectionError(endpoint_url="http://127.0.0.1:1/")
        self.start()
        tried: list[int] = []
        for second in range(3000):
            if self.bucket.requests:
                tried.append(second)
                self.bucket.requests.clear()
            self.reactor.advance(1)
        waits = [later - earlier for earlier, later in pairwise(tried)]
        self.assertTrue(1 <= waits[0] <= 2 and all(wait <= 301 for wait in waits), waits)
        self.assertTrue(all(wait >= 150 for wait in waits[9:]) and len(set(waits[9:])) > 3, waits)

    def test_back_off_is_bounded(self) -> None:
        """The wait after many failures stays between two and a half and five minutes."""
        delays = back_off(random.Random(7))
        waits = [next(delays) for _ in range(200)]
        self.assertTrue(all(150 <= wait <= 300 for wait in waits[10:]))

    def test_one_object_fails(self) -> None:
        """An object that can't be read leaves the others unharmed, and is read when it can be."""
        for n in range(4):
            self.bucket.put(f"telemetry/{n}.csv", HEADER + rows(n))
        self.bucket.failures["telemetry/1.csv"] = refusal(403, "AccessDenied")
        self.start()
        self.assertEqual(self.speeds(), [0, 2, 3])
        self.look()
        self.assertEqual(
            self.lines(),
            ["S3 bucket race fails: 1 objects can't be read, 'telemetry/1.csv': 'AccessDenied' (HTTP 403)"],
        )
        self.bucket.failures.clear()
        self.look()
        self.assertEqual((self.speeds(), self.door.failing), ([0, 2, 3, 1], False))
        self.assertEqual(self.lines(), ["S3 bucket race can be read again"])

    def test_failing_object_is_asked_for_less_and_less(self) -> None:
        """An object that fails for hours is tried every few minutes, the others at every look."""
        self.bucket.put(KEY, HEADER)
        self.bucket.failures[KEY] = refusal(403, "AccessDenied")
        self.start()
        for _ in range(120):
            self.look()
        self.assertEqual(self.bucket.requests.count("list"), 121)
        self.assertLess(len(self.bucket.gets()), 60)

    def test_failing_object_is_removed(self) -> None:
        """A failing object that is removed or emptied is no trouble any more."""
        for key in (KEY, "telemetry/b.csv"):
            self.bucket.put(key, HEADER)
            self.bucket.failures[key] = refusal(403, "AccessDenied")
        self.start()
        self.bucket.delete(KEY)
        self.look()
        self.assertTrue(self.door.failing)
        self.bucket.put("telemetry/b.csv", "")
        self.look()
        self.assertFalse(self.door.failing)

    def test_some_objects_fail(self) -> None:
        """Many failing objects among good ones do not keep the good ones from being read."""
        for n in range(20):
            self.bucket.put(f"telemetry/{n:02}.csv", HEADER + rows(n))
            if n % 2:
                self.bucket.failures[f"telemetry/{n:02}.csv"] = refusal(403, "AccessDenied")
        self.start()
        self.assertEqual(self.speeds(), list(range(0, 20, 2)))

    def test_everything_fails(self) -> None:
        """Where one object after the other fails, the rest is not tried in vain."""
        for n in range(20):
            self.bucket.put(f"telemetry/{n:02}.csv", HEADER + rows(n))
            self.bucket.failures[f"telemetry/{n:02}.csv"] = refusal(500, "InternalError")
        self.start()
        self.assertEqual(len(self.bucket.gets()), 3)
        self.bucket.failures.clear()
        self.reactor.pump([5] * 60)
        self.assertEqual(sorted(self.speeds()), list(range(20)))

    def test_truncated(self) -> None:
        """When a connection breaks off in the middle, what came stands, and the rest follows."""
        self.patch(s3object, "FIRST_RANGE", 300)
        self.patch(s3object, "RANGE", 300)
        self.bucket.put(KEY, HEADER + rows(*range(50)))
        get, answers = self.bucket.get_object, iter([None, None, 100])

        def breaking(**wanted: Any) -> dict[str, Any]:
            self.bucket.cut_to = {KEY: cut} if (cut := next(answers, None)) else {}
            return get(**wanted)

        self.patch(self.bucket, "get_object", breaking)
        self.start()
        self.assertTrue(0 < len(self.speeds()) < 50 and self.door.failing)
        self.look()
        self.assertEqual((self.speeds(), self.door.failing), (list(range(50)), False))

    def test_no_telemetry(self) -> None:
        """An object that is no CSV of telemetry is refused once, with its reason, until it is another one."""
        self.bucket.put(KEY, b"PAR1\x15\x04\xff\xfe\n" * 100)
        self.bucket.put("telemetry/b.csv", "a" * 3_000_000)
        self.bucket.put("telemetry/c.gz", gzip.compress((HEADER + rows(1, 2)).encode())[:-12])
        self.bucket.put("telemetry/d.gz", gzip.compress(b"")[:10] + b"no deflate at all")
        self.start()
        self.look()
        self.assertEqual(self.hub.ledger.refused, {("s3", "not_utf8"): 1, ("s3", "too_long"): 1, ("s3", "bad_gzip"): 2})
        told = self.lines()
        self.assertEqual((len(told), self.door.failing, self.door.errors), (1, False, 4))
        self.assertIn("'telemetry/a.csv' is refused: byte", told[0])
        self.bucket.put(KEY, HEADER + rows(7))
        self.look()
        self.assertIn(7, self.speeds())

    def test_broken_in_the_middle(self) -> None:
        """Rows before a fault stand, and are not read again when the object is mended."""
        begin, end = (gzip.compress(text.encode()) for text in (HEADER + rows(*range(200)), rows(*range(200, 400))))
        self.bucket.put(KEY, begin + end[:-20])
        self.start()
        self.bucket.put(KEY, begin + end)
        self.look()
        self.assertEqual(self.speeds(), list(range(400)))
        self.assertEqual(self.hub.ledger.refused, {("s3", "bad_gzip"): 1})

    def test_no_client(self) -> None:
        """Without a client, for want of a usable endpoint, it is tried again like any failure."""
        clients: Iterator[Any] = iter([ValueError("Invalid endpoint: http://"), self.bucket])

        def connect() -> Any:
            client = next(clients)
            if isinstance(client, Exception):
                raise client
            return client

        self.begin(connect=connect)
        self.bucket.put(KEY, HEADER + rows(1))
        self.start()
        self.assertEqual(self.lines(), ["S3 bucket race fails: ValueError: Invalid endpoint: http://"])
        self.reactor.advance(2)
        self.assertEqual(self.speeds(), [1])

    def test_a_fault_of_ours(self) -> None:
        """Even a fault in the reading itself does not end it."""
        self.bucket.put(KEY, HEADER + rows(1))
        self.bucket.failures[KEY] = RuntimeError("unforeseen")
        self.start()
        self.assertEqual([event["log_level"].name for event in self.events], ["critical", "warn"])
        self.bucket.failures.clear()
        self.look()
        self.assertEqual((self.speeds(), self.door.failing, self.door.errors), ([1], False, 1))


class ProgressTests(S3TestCase):
    """What was read is remembered, over a restart too where there is a place for it."""

    def restart(self, store: MemoryStore, **settings: Any) -> None:
        """A new server with the same store."""
        if self.door.running:
            self.door.stopService()
        self.begin(store=store, **settings)
        self.start()

    def test_nothing_again_after_a_restart(self) -> None:
        """A server that is started again reads on where the last one ended."""
        store = MemoryStore()
        self.bucket.put(KEY, HEADER + rows(1, 2) + "barber,GR86-1,3")
        self.restart(store)
        self.restart(store)
        self.assertEqual(self.speeds(), [3])
        self.bucket.put(KEY, HEADER + rows(1, 2, 3, 4))
        self.restart(store)
        self.assertEqual(self.speeds(), [4])

    def test_everything_again_without_a_place(self) -> None:
        """Without STATE_DIR, a new server reads everything."""
        self.bucket.put(KEY, HEADER + rows(1, 2))
        self.start()
        self.begin()
        self.start()
        self.assertEqual(self.speeds(), [1, 2])

    def test_kept_while_an_object_is_read(self) -> None:
        """A server that dies in the middle of an object goes on behind the last slice that was saved."""
        store = MemoryStore()
        speeds = [n % 400 for n in range(5000)]
        self.bucket.put(KEY, HEADER + rows(*speeds))
        saved: list[tuple[int, bytes | None]] = []
        self.begin(store=store)
        self.before_publish(lambda _: saved.extend([(self.hub.last_seq, store.content)]))
        self.start()
        taken, content = saved[5]
        self.restart(MemoryStore(content))
        self.assertTrue(0 < taken < 5000)
        self.assertEqual(self.speeds(), speeds[taken:])

    def test_another_bucket(self) -> None:
        """The progress in one bucket is none in another, or in one of that name elsewhere."""
        store = MemoryStore()
        self.bucket.put(KEY, HEADER + rows(1))
        for settings in ({}, {"bucket": "test"}, {"endpoint_url": "http://127.0.0.1:9000"}):
            self.restart(store, **settings)
            self.assertEqual(self.speeds(), [1])

    def test_gone_objects_are_forgotten(self) -> None:
        """Objects that are no longer in the bucket take no room, and count anew when they come back."""
        store = MemoryStore()
        for n in range(50):
            self.bucket.put(f"telemetry/{n:02}.csv", HEADER + rows(n))
        self.restart(store)
        for n in range(50):
            self.bucket.delete(f"telemetry/{n:02}.csv")
        self.bucket.put(KEY, HEADER + rows(99))
        self.look()
        self.assertEqual(list(msgspec.json.decode(store.content or b"")["objects"]), [KEY])
        self.bucket.delete(KEY)
        self.look()
        self.assertEqual(msgspec.json.decode(store.content or b"")["objects"], {})

    def test_unusable_progress(self) -> None:
        """Where the saved progress is garbage, that is told, and all is read anew."""
        self.bucket.put(KEY, HEADER + rows(1))
        store = MemoryStore(b'{"place":"/race","objects":[')
        self.restart(store)
        self.assertEqual(self.speeds(), [1])
        self.assertIn("can't be used", self.lines()[0])
        self.restart(store)
        self.assertEqual(self.speeds(), [])
        self.restart(MemoryStore(b'{"place":"/race","x":' + b"[" * 5000))
        self.assertEqual(self.speeds(), [1])

    def test_disk_full(self) -> None:
        """Where progress can't be saved, reading goes on, and the log says so once."""
        store = MemoryStore()
        store.broken = True
        self.bucket.put(KEY, HEADER + rows(1))
        self.restart(store)
        self.bucket.put(KEY, HEADER + rows(1, 2))
        self.look()
        self.assertEqual(self.speeds(), [1, 2])
        self.assertEqual(
            self.lines(), ["S3 bucket race fails: the progress can't be saved: [Errno 28] No space left on device"]
        )
        store.broken = False
        self.look()
        self.assertEqual((self.lines(), store.writings), (["S3 bucket race can be read again"], 1))


class LifeTests(S3TestCase):
    """The door starts and stops with the server and never holds it up."""

    def test_looks_do_not_overlap(self) -> None:
        """While a look takes long, no other one begins."""
        self.pool.hangs = True
        self.start()
        self.look()
        self.look()
        self.assertEqual(len(self.pool.held), 1)
        self.pool.held.pop()()
        self.look()
        self.assertEqual(len(self.pool.held), 1)
        self.pool.held.pop()()

    def test_stopped(self) -> None:
        """A stopped door looks no more, and its thread has ended."""
        self.door.startService()
        self.successResultOf(self.door.stopService())
        self.bucket.requests.clear()
        self.look()
        self.assertEqual((self.pool.started, self.bucket.requests, self.reactor.getDelayedCalls()), (False, [], []))

    def test_stopped_while_it_waits_to_try_again(self) -> None:
        """A door that waits after a failure stops at once."""
        self.bucket.failures["list"] = refusal(503, "SlowDown")
        self.door.startService()
        self.successResultOf(self.door.stopService())
        self.assertEqual((self.pool.started, self.reactor.getDelayedCalls()), (False, []))

    def test_stopped_while_a_request_hangs(self) -> None:
        """The end waits a second for a request that hangs, and no longer; what it brings later is not published."""
        self.bucket.put(KEY, HEADER + rows(1))
        self.pool.hangs = True
        self.door.startService()
        stopped = self.door.stopService()
        self.assertNoResult(stopped)
        self.reactor.advance(1.0)
        self.successResultOf(stopped)
        self.pool.held.pop()()
        self.assertEqual((self.speeds(), self.pool.started), ([], False))

    def test_started_again(self) -> None:
        """A door that was stopped can be started again."""
        self.bucket.put(KEY, HEADER + rows(1))
        self.door.startService()
        self.successResultOf(self.door.stopService())
        self.start()
        self.assertEqual(self.hub.last_seq, 2)

    def test_health(self) -> None:
        """Health shows how the bucket does."""
        self.bucket.put(KEY, HEADER + rows(1, 2))
        self.start()
        self.assertEqual(self.door.figures(), {"failing": False, "objectsRead": 1, "rowsRead": 2, "errors": 0})


class HandoverTests(SynchronousTestCase):
    """The reading thread has its rows taken by the reactor, one slice at a time."""

    def test_done_and_answered(self) -> None:
        """The work is done, and its answer comes back."""
        self.assertEqual(Handover(ThreadlessReactor())(lambda a, b: a - b, 3, 3), 0)

    def test_faults_come_back(self) -> None:
        """What the work raises is raised where it was asked for."""
        self.assertRaises(ZeroDivisionError, Handover(ThreadlessReactor()), lambda: 1 / 0)

    def test_stopped_before(self) -> None:
        """Once stopped, nothing is done any more."""
        handover = Handover(ThreadlessReactor())
        handover.stop()
        self.assertRaises(Stopped, handover.check)
        self.assertRaises(Stopped, handover, self.fail)

    def test_stopped_while_it_waits(self) -> None:
        """Work that the reactor has not got to when it stops is left undone, and the thread is told so."""

        class BusyReactor(ThreadlessReactor):
            def callFromThread(self, work: Any, *args: Any) -> None:
                handover.stop()
                work(*args)

        handover = Handover(BusyReactor())
        done: list[int] = []
        self.assertRaises(Stopped, handover, done.append, 1)
        self.assertEqual(done, [])


class LinesTests(SynchronousTestCase):
    """A text that comes in pieces is cut into whole lines."""

    @given(st.binary(), st.lists(st.integers(0, 200)), st.integers(1, 5))
    def test_any_pieces(self, text: bytes, cuts: list[int], most: int) -> None:
        """However a text comes, its whole lines come out, its half line is left, and the place is known."""
        ends = sorted(min(cut, len(text)) for cut in cuts)
        pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
        lines = Lines(iter(pieces))
        found: list[bytes] = []
        while batch := lines.take(most):
            self.assertLessEqual(len(batch), most)
            found += batch
            self.assertEqual(lines.offset, sum(map(len, found)) + len(found))
            self.assertEqual(lines.window, text[: lines.offset])
        self.assertEqual([*found, lines.rest], text.split(b"\n"))

    def test_window(self) -> None:
        """The last 64 KiB that were taken are at hand, however long the text is."""
        text = b"".join(b"%d\n" % n for n in range(100_000))
        lines = Lines(text[start : start + 9999] for start in range(0, len(text), 9999))
        while lines.take(300):
            self.assertEqual(lines.window, text[max(0, lines.offset - WINDOW) : lines.offset])
        self.assertEqual(lines.offset, len(text))

    def test_endless_line(self) -> None:
        """A megabyte without a line feed is no line."""
        lines = Lines(iter([b"track\n"] + [b"x" * 100_000] * 30))
        self.assertEqual(lines.take(10), [b"track"])
        self.assertRaises(WireError, lines.take, 10)

    @given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.integers(1, 100))
    def test_any_gzip(self, members: list[bytes], size: int) -> None:
        """Packed members come out whole, however they are cut and however far they unfold."""
        self.patch(s3object, "RANGE", 64)
        packed = b"".join(map(gzip.compress, members))
        pieces = (packed[start : start + size] for start in range(0, len(packed), size))
        found = list(inflated(pieces))
        self.assertEqual(b"".join(found), b"".join(members))
        self.assertLessEqual(max(map(len, found), default=0), 64)

    def test_bomb(self) -> None:
        """A small object that unfolds to a huge one is unpacked piece by piece."""
        pieces = inflated(iter([gzip.compress(b"\0" * 50_000_000)]))
        self.assertEqual({len(piece) for piece in pieces} - {s3object.RANGE}, {50_000_000 % s3object.RANGE})
