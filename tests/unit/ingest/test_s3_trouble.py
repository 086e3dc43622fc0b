"""``pitwall.ingest.s3`` when a bucket fails, and what is left of it after a restart."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
from botocore.exceptions import EndpointConnectionError

from pitwall.ingest import s3object
from pitwall.ingest.s3reader import back_off
from tests.unit.ingest.s3_doubles import MemoryStore, refusal
from tests.unit.ingest.s3cases import HEADER, KEY, S3TestCase, rows


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
