"""``pitwall.ingest.s3queue`` when a bucket or the queue fails, and from its start to its end."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from tests.unit.ingest.s3_doubles import FakeBucket, FakePool, refusal
from tests.unit.ingest.s3cases import HEADER, KEY, rows
from tests.unit.ingest.sqscases import NO_QUEUE, QueueTestCase, event


class TroubledBucketTests(QueueTestCase):
    """A message is deleted once its object has been read, however long that takes."""

    def test_object_fails(self) -> None:
        """A message about an object that can't be read comes again until it can be; the others are done."""
        self.start()
        for n in range(4):
            self.put(f"telemetry/{n}.csv", HEADER + rows(n))
        self.bucket.failures["telemetry/1.csv"] = refusal(403, "AccessDenied")
        self.second()
        self.assertEqual((self.speeds(), list(self.queue.in_flight.values())), ([0, 2, 3], [event("telemetry/1.csv")]))
        self.assertEqual((self.door.failing, self.notifications.failing), (True, False))
        for _ in range(5):
            self.queue.come_again()
            self.second(30)
        self.assertLess(len(self.bucket.gets()), 30)
        self.bucket.failures.clear()
        self.queue.come_again()
        self.second(60)
        self.assertEqual((self.speeds(), self.queue.in_flight), ([0, 2, 3, 1], {}))
        self.assertEqual(
            self.lines(),
            [
                "S3 bucket race fails: 1 objects can't be read, 'telemetry/1.csv': 'AccessDenied' (HTTP 403)",
                "S3 bucket race can be read again",
            ],
        )

    def test_object_is_not_told_of(self) -> None:
        """One object that may not even be asked for leaves the others unharmed; a look at the bucket may mend it."""
        self.start()
        for n in range(5):
            self.put(f"telemetry/{n}.csv", HEADER + rows(n))
        self.bucket.failures[("head", "telemetry/1.csv")] = refusal(403, "403", "HeadObject")
        self.second()
        self.assertEqual((self.speeds(), len(self.queue.in_flight), self.door.errors), ([0, 2, 3, 4], 1, 1))
        self.reactor.advance(3600)
        self.assertEqual((self.speeds(), self.door.failing), ([0, 2, 3, 4, 1], False))

    def test_object_is_told_of_again(self) -> None:
        """An object that was asked for in vain, but is read or gone by now, is no trouble any more."""
        self.start()
        for key in (KEY, "telemetry/b.csv"):
            self.put(key, HEADER + rows(1))
            self.second()
            self.bucket.failures[("head", key)] = refusal(403, "403", "HeadObject")
            self.queue.visible.append(event(key))
            self.second()
        self.assertTrue(self.door.failing)
        self.bucket.failures.clear()
        self.bucket.delete(KEY)
        self.queue.come_again()
        self.second(2)
        self.assertEqual((self.door.failing, self.queue.in_flight, self.speeds()), (False, {}, [1, 1]))

    def test_bucket_fails(self) -> None:
        """Where one object after the other fails, the queue is left alone at growing intervals, and nothing is lost."""
        self.start()
        self.asked()
        keys = [f"telemetry/{n}.csv" for n in range(9)]
        for n, key in enumerate(keys):
            self.put(key, HEADER + rows(n))
            self.bucket.failures[("head", key)] = refusal(500, "500", "HeadObject")
        self.second()
        self.assertEqual(len(self.asked()), 3)
        self.queue.requests.clear()
        for _ in range(300):
            self.queue.come_again()
            self.second()
        self.assertLess(len(self.queue.requests), 20)
        self.assertEqual((self.door.failing, self.notifications.failing), (True, False))
        self.bucket.failures.clear()
        self.queue.come_again()
        self.second(300)
        self.assertEqual((sorted(self.speeds()), self.queue.in_flight), (list(range(9)), {}))
        self.assertEqual(len(self.lines()), 2)

    def test_bucket_is_not_reached(self) -> None:
        """A service that is not to be reached is asked once a look, not once an object."""
        self.start()
        self.asked()
        for n in range(9):
            self.put(f"telemetry/{n}.csv", HEADER + rows(n))
            url = "http://127.0.0.1:1/"
            self.bucket.failures[("head", f"telemetry/{n}.csv")] = EndpointConnectionError(endpoint_url=url)
        self.second()
        self.assertEqual((len(self.asked()), len(self.queue.in_flight), self.door.errors), (1, 9, 1))
        self.assertEqual(len(self.lines()), 1)

    def test_replaced_while_it_is_read(self) -> None:
        """An object that is replaced between the question and the reading is read when its message comes again."""
        self.start()
        self.put(KEY, HEADER + rows(1))
        self.bucket.failures[KEY] = refusal(412, "PreconditionFailed")
        self.second()
        self.assertEqual(len(self.queue.in_flight), 1)
        self.bucket.failures.clear()
        self.queue.come_again()
        self.second(2)
        self.assertEqual((self.speeds(), self.queue.in_flight), ([1], {}))
        self.assertEqual((self.door.errors, self.lines()), (0, []))

    def test_removed_while_it_is_read(self) -> None:
        """An object that is removed between the question and the reading is done when its message comes again."""
        self.start()
        self.put(KEY, HEADER + rows(1))
        self.bucket.failures[KEY] = refusal(404, "NoSuchKey")
        self.second()
        self.bucket.delete(KEY)
        self.queue.come_again()
        self.second(2)
        self.assertEqual((self.queue.in_flight, self.door.errors, self.lines()), ({}, 0, []))

    def test_listing_forbidden(self) -> None:
        """A bucket that can't be listed fails as a whole, without a word each time that an object of it is read."""
        self.bucket.failures["list"] = refusal(403, "AccessDenied", "ListObjectsV2")
        self.start()
        for n in range(5):
            self.put(f"telemetry/{n}.csv", HEADER + rows(n))
            self.second(10)
        self.assertEqual((self.speeds(), self.door.failing), ([0, 1, 2, 3, 4], True))
        self.assertEqual(self.lines(), ["S3 bucket race fails: 'AccessDenied' (HTTP 403)"])
        self.bucket.failures.clear()
        self.second(300)
        self.assertEqual(self.lines(), ["S3 bucket race can be read again"])

    def test_a_fault_of_ours(self) -> None:
        """Even a fault in the reading itself ends neither, and the message comes again."""
        self.start()
        self.put(KEY, HEADER + rows(1))
        self.bucket.failures[("head", KEY)] = RuntimeError("unforeseen")
        self.second()
        self.assertEqual([event["log_level"].name for event in self.events], ["critical", "warn"])
        self.assertEqual(len(self.queue.in_flight), 1)
        self.bucket.failures.clear()
        self.queue.come_again()
        self.second(3)
        self.assertEqual((self.speeds(), self.queue.in_flight, self.door.failing), ([1], {}, False))


class TroubledQueueTests(QueueTestCase):
    """A queue that fails is told of once, and nothing else notices."""

    def test_one_line_on_change(self) -> None:
        """Whatever is wrong with the queue, it is one line, a figure, and one line when it is back; polling goes on."""
        url = "http://127.0.0.1:1/"
        for error, why in (
            (refusal(403, "AccessDenied", "ReceiveMessage"), "'AccessDenied' (HTTP 403)"),
            (NO_QUEUE, "'AWS.SimpleQueueService.NonExistentQu... (HTTP 400)"),
            (refusal(500, "InternalError", "ReceiveMessage"), "'InternalError' (HTTP 500)"),
            (ReadTimeoutError(endpoint_url=url), f'ReadTimeoutError: Read timeout on endpoint URL: "{url}"'),
            (ConnectTimeoutError(endpoint_url=url), f'ConnectTimeoutError: Connect timeout on endpoint URL: "{url}"'),
            (ValueError("Invalid endpoint: x"), "ValueError: Invalid endpoint: x"),
        ):
            self.bucket = FakeBucket()
            self.begin(poll_s=60)
            self.queue.failures["receive"] = error
            self.start()
            self.bucket.put(KEY, HEADER + rows(1))
            self.second(300)
            self.assertEqual(self.lines(), [f"S3 queue race-events fails: {why}"])
            self.assertTrue(self.notifications.failing and self.notifications.errors > 5)
            self.assertEqual((self.speeds(), self.door.failing, self.door.errors), ([1], False, 0))
            self.queue.failures.clear()
            self.put(KEY, HEADER + rows(1, 2))
            self.second(300)
            self.assertEqual(self.lines(), ["S3 queue race-events can be read again"])
            self.assertEqual((self.speeds(), self.notifications.failing), ([1, 2], False))
            self.door.stopService()

    def test_back_off(self) -> None:
        """A failing queue is asked at growing intervals, up to five minutes, that are never quite the same."""
        self.queue.failures["receive"] = NO_QUEUE
        self.start()
        tried: list[int] = []
        for second in range(3000):
            if self.queue.requests:
                tried.append(second)
                self.queue.requests.clear()
            self.second()
        waits = [later - earlier for earlier, later in pairwise(tried)]
        self.assertTrue(1 <= waits[0] <= 2 and all(wait <= 301 for wait in waits), waits)
        self.assertTrue(all(wait >= 150 for wait in waits[9:]) and len(set(waits[9:])) > 3, waits)

    def test_no_client(self) -> None:
        """Without a client, it is tried again like any failure."""
        clients: Any = iter([ValueError("Invalid endpoint: http://"), self.queue])

        def connect() -> Any:
            client = next(clients)
            if isinstance(client, Exception):
                raise client
            return client

        self.patch(self.notifications._reader, "_connect", connect)
        self.start()
        self.put(KEY, HEADER + rows(1))
        self.second(3)
        self.assertEqual((self.speeds(), len(self.lines())), ([1], 2))

    def test_no_deleting(self) -> None:
        """Where messages can be received but not deleted, rows come once, and the queue fails until it deletes."""
        self.queue.failures["delete"] = refusal(403, "AccessDenied", "DeleteMessageBatch")
        self.start()
        self.put(KEY, HEADER + rows(1))
        for _ in range(20):
            self.second(30)
            self.queue.come_again()
        self.assertEqual((self.speeds(), self.notifications.failing), ([1], True))
        self.assertEqual(self.lines(), ["S3 queue race-events fails: 'AccessDenied' (HTTP 403)"])
        self.queue.failures.clear()
        self.second(300)
        self.assertEqual((self.queue.in_flight, self.notifications.failing), ({}, False))
        self.assertEqual(self.lines(), ["S3 queue race-events can be read again"])

    def test_single_messages_not_deleted(self) -> None:
        """A message that the queue refuses to delete is a failure, but not where it was only kept too long."""
        self.queue.refused = "ReceiptHandleIsInvalid"
        self.start()
        self.put(KEY, HEADER + rows(1))
        self.second(30)
        self.assertEqual((self.notifications.errors, self.lines()), (0, []))
        self.queue.refused = "InternalError"
        self.queue.come_again()
        self.second(30)
        self.assertEqual(self.lines(), ["S3 queue race-events fails: a message can't be deleted: 'InternalError'"])
        self.assertEqual(self.speeds(), [1])

    def test_fails_in_a_burst(self) -> None:
        """Where the queue fails in the middle of a burst, what has come is read."""
        self.start()
        for n in range(15):
            self.put(f"telemetry/{n}.csv", HEADER + rows(n))
        receive, answers = self.queue.receive_message, iter([None, NO_QUEUE])

        def breaking(**wanted: Any) -> dict[str, Any]:
            error = next(answers, None)
            if error is not None:
                raise error
            return receive(**wanted)

        self.patch(self.queue, "receive_message", breaking)
        self.second()
        self.assertEqual((self.speeds(), self.notifications.errors), (list(range(15)), 0))

    def test_a_fault_of_ours(self) -> None:
        """Even a fault in the asking itself does not end it."""
        self.queue.failures["receive"] = RuntimeError("unforeseen")
        self.start()
        self.assertEqual([event["log_level"].name for event in self.events], ["critical"])
        self.queue.failures.clear()
        self.put(KEY, HEADER + rows(1))
        self.second(3)
        self.assertEqual((self.speeds(), self.notifications.errors), ([1], 1))

    def test_a_queue_that_does_not_wait(self) -> None:
        """A queue that answers at once with nothing, or with the same again and again, is asked once a second."""
        self.queue.failures["delete"] = refusal(500, "InternalError")
        self.start()
        self.second(60)
        self.assertLessEqual(len(self.queue.requests), 61)
        self.put(KEY, HEADER + rows(1) + "half")
        self.bucket.failures[KEY] = refusal(403, "AccessDenied")
        self.queue.requests.clear()
        for _ in range(60):
            self.second()
            self.queue.come_again()
        self.assertLessEqual(len(self.queue.requests), 61)


class LifeTests(QueueTestCase):
    """Looks come one after the other, and the queue's thread holds the end up as little as the bucket's."""

    def test_waits_for_the_look_under_way(self) -> None:
        """While the bucket is looked at, what the queue tells of waits, and is looked at then."""
        self.pool.hangs = True
        self.start()
        self.put(KEY, HEADER + rows(1))
        self.second()
        self.assertEqual((len(self.pool.held), self.speeds()), (1, []))
        self.pool.held.pop()()
        self.assertEqual(len(self.pool.held), 1)
        self.asked()
        self.pool.held.pop()()
        self.assertEqual((self.speeds(), self.asked(), self.queue.in_flight), ([1], [("head", KEY)], {}))

    def test_polling_waits_for_it(self) -> None:
        """While the objects are looked at that the queue told of, neither the bucket nor others are looked at."""
        self.start()
        self.pool.hangs = True
        self.put(KEY, HEADER + rows(1))
        self.second()
        self.put("telemetry/b.csv", HEADER + rows(2))
        self.reactor.advance(3600)
        self.second(5)
        self.assertEqual((len(self.pool.held), self.queue.visible), (1, [event("telemetry/b.csv")]))
        self.pool.hangs = False
        self.pool.held.pop()()
        self.second()
        self.assertEqual((self.speeds(), self.queue.in_flight), ([1, 2], {}))

    def test_stopped(self) -> None:
        """A stopped door asks no more, and both threads have ended."""
        self.door.startService()
        self.successResultOf(self.door.stopService())
        self.queue.requests.clear()
        self.second(60)
        self.assertEqual((self.pool.started, self.queue_pool.started), (False, False))
        self.assertEqual((self.queue.requests, self.reactor.getDelayedCalls()), ([], []))

    def test_stopped_while_the_queue_waits(self) -> None:
        """The end does not wait for a queue that has nothing to tell; what it tells later stays in it, unread."""
        self.queue_pool.hangs = True
        self.door.startService()
        self.put(KEY, HEADER + rows(1))
        self.successResultOf(self.door.stopService())
        self.assertTrue(self.queue_pool.started)
        self.queue_pool.held.pop()()
        self.assertFalse(self.queue_pool.started)
        self.assertEqual((self.speeds(), len(self.queue.in_flight), self.queue.requests[1:]), ([], 1, []))
        self.assertEqual((self.queue_pool.held, self.reactor.getDelayedCalls()), ([], []))

    def test_stopped_while_the_queue_fails(self) -> None:
        """A request that fails after the end is no line in the log."""
        self.queue_pool.hangs = True
        self.queue.failures["receive"] = NO_QUEUE
        self.door.startService()
        self.successResultOf(self.door.stopService())
        self.queue_pool.held.pop()()
        self.assertEqual((self.lines(), self.reactor.getDelayedCalls()), ([], []))

    def test_stopped_while_it_looks(self) -> None:
        """The end waits a second for a look that hangs; its message stays."""
        self.door.startService()
        self.pool.hangs = True
        self.put(KEY, HEADER + rows(1))
        self.second()
        stopped = self.door.stopService()
        self.assertNoResult(stopped)
        self.reactor.advance(1.0)
        self.successResultOf(stopped)
        self.assertTrue(self.pool.started)
        self.pool.held.pop()()
        self.assertEqual((self.pool.started, self.queue_pool.started), (False, False))
        self.assertEqual((self.speeds(), len(self.queue.in_flight)), ([], 1))

    def test_started_again(self) -> None:
        """A door that was stopped can be started again, also while the queue still owes its last answer."""
        self.queue_pool.hangs = True
        self.door.startService()
        self.successResultOf(self.door.stopService())
        first, self.queue_pool = self.queue_pool, FakePool()
        self.start()
        self.put(KEY, HEADER + rows(1))
        first.held.pop()()
        self.assertEqual((first.started, self.speeds()), (False, []))
        self.queue.come_again()
        self.second()
        self.assertEqual((self.speeds(), self.queue.in_flight), ([1], {}))

    def test_polling_alone(self) -> None:
        """Without a queue there is one thread, and no figures of a queue."""
        self.begin(queue=None)
        self.start()
        self.assertEqual((self.queue_pool.started, self.queue.requests), (False, []))
        self.assertNotIn("queue", self.door.figures())
