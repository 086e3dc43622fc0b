"""A queue tells what was written to the bucket, and just that is read, as soon as it does."""

from __future__ import annotations

import json
import random
from collections.abc import Collection
from itertools import pairwise
from typing import Any, cast
from urllib.parse import quote_plus

from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from pitwall.ingest.s3queue import NoticeError, Notifications, Written, written
from pitwall.ingest.s3reader import Look
from tests.unit.ingest.s3_doubles import FakeBucket, FakePool, FakeQueue, refusal
from tests.unit.ingest.test_s3 import HEADER, KEY, S3TestCase, rows

NO_QUEUE = refusal(400, "AWS.SimpleQueueService.NonExistentQueue", "ReceiveMessage")


def event(*keys: str, bucket: str = "race", name: str = "ObjectCreated:Put", source: str = "aws:s3") -> str:
    """What S3 sends to a queue."""
    records = [
        {
            "eventVersion": "2.1",
            "eventSource": source,
            "eventTime": "2025-09-07T12:00:00.000Z",
            "eventName": name,
            "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/"), "size": 3}},
        }
        for key in keys
    ]
    return json.dumps({"Records": records})


def bridged(key: str, bucket: str = "race", what: str = "Object Created", source: str = "aws.s3") -> str:
    """What EventBridge sends to a queue."""
    detail = {"version": "0", "bucket": {"name": bucket}, "object": {"key": key, "size": 3}, "reason": "PutObject"}
    return json.dumps({"version": "0", "detail-type": what, "source": source, "detail": detail})


def by_sns(message: str) -> str:
    """A message as SNS wraps it."""
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": message})


TEST_EVENT = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "race", "RequestId": "1"})
#: A body that is no notification, and the word for its kind.
GARBAGE = (
    ("", "bad_json"),
    ("hello", "bad_json"),
    ("{", "bad_json"),
    ('{"a":' * 100_000, "bad_json"),
    ('{"source":"\ud800"}', "bad_json"),
    (by_sns("hello"), "bad_json"),
    ("[]", "no_notification"),
    ("{}", "no_notification"),
    ('{"Records":{}}', "no_notification"),
    ('{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put"}]}', "no_notification"),
    ('{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":1}}]}', "no_notification"),
    ('{"source":"aws.s3","detail-type":"Object Created"}', "no_notification"),
    (by_sns(by_sns(event("a"))), "no_notification"),
    (event(""), "bad_key"),
    (bridged("ä" * 513), "bad_key"),
)


class WrittenTests(SynchronousTestCase):
    """The forms in which a message tells of an object."""

    def test_from_s3(self) -> None:
        """An event of S3 names the bucket and the key, quoted as in a URL, in each of its records."""
        text = event("telemetry/Road America/5 ü+%.csv", "b", name="ObjectCreated:CompleteMultipartUpload")
        self.assertIn("telemetry/Road+America/5+%C3%BC%2B%25.csv", text)
        self.assertEqual(written(text), [Written("race", "telemetry/Road America/5 ü+%.csv"), Written("race", "b")])

    def test_through_eventbridge(self) -> None:
        """One of EventBridge has the key as it is."""
        self.assertEqual(written(bridged("telemetry/a+b%20c.csv")), [Written("race", "telemetry/a+b%20c.csv")])

    def test_through_sns(self) -> None:
        """SNS wraps the one or the other."""
        self.assertEqual(written(by_sns(event("a b"))), [Written("race", "a b")])
        self.assertEqual(written(by_sns(bridged("a+b"))), [Written("race", "a+b")])

    def test_from_other_services(self) -> None:
        """Services that speak as S3 does, but under another name, are understood."""
        self.assertEqual(written(event("a", name="s3:ObjectCreated:Put", source="minio:s3")), [Written("race", "a")])

    def test_test_event(self) -> None:
        """The message by which S3 tries the queue out tells of nothing."""
        self.assertIsNone(written(TEST_EVENT))
        self.assertIsNone(written(by_sns(TEST_EVENT)))

    def test_other_events(self) -> None:
        """Whatever else happens to an object, or elsewhere, tells of no object that was written."""
        for text in (
            event("a", name="ObjectRemoved:Delete"),
            event("a", source="aws:ses"),
            bridged("a", what="Object Deleted"),
            bridged("a", source="aws.ec2"),
            '{"Records":[]}',
            '{"Records":[{"eventSource":"aws:kinesis","kinesis":{}}]}',
            '{"source":"aws.ec2","detail-type":"Object Created","detail":[]}',
        ):
            self.assertEqual(written(text), [], text)

    def test_garbage(self) -> None:
        """What is no notification has one of three reasons, and a short text about it."""
        for text, reason in GARBAGE:
            with self.assertRaises(NoticeError, msg=text[:80]) as caught:
                written(text)
            self.assertEqual(caught.exception.reason, reason, text[:80])
            self.assertLess(len(str(caught.exception)), 150)

    @given(
        st.text()
        | st.recursive(
            st.none() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["Records", "Message", "detail"]), inner),
        ).map(json.dumps)
    )
    def test_anything(self, text: str) -> None:
        """Any text is a notification or refused as garbage."""
        try:
            written(text)
        except NoticeError as error:
            self.assertIn(error.reason, ("bad_json", "no_notification", "bad_key"))


class QueueTestCase(S3TestCase):
    """A door to a bucket that is looked at every hour, with a queue that is asked every second."""

    def setUp(self) -> None:
        """Empty bucket and queue, door not started."""
        self.queue = FakeQueue()
        super().setUp()
        self.patch(Notifications, "log", Logger(observer=cast(Any, self.events.append)))

    def begin(self, **settings: Any) -> None:
        """A new door to the bucket."""
        self.queue_pool = FakePool()
        self.notifications = Notifications(
            self.reactor,
            queue_url="http://queue.test/1/race-events",
            bucket="race",
            prefix="telemetry/",
            region="us-east-1",
            endpoint_url=None,
            connect=lambda: self.queue,
            chance=random.Random(2),
        )
        made: dict[str, Any] = {
            "poll_s": 3600,
            "queue": self.notifications,
            "make_pool": lambda: self.queue_pool if self.pool.started else self.pool,
        }
        super().begin(**{**made, **settings})

    def put(self, key: str, content: str) -> None:
        """Write an object, which the queue tells of."""
        self.bucket.put(key, content)
        self.queue.visible.append(event(key))

    def second(self, count: int = 1) -> None:
        """Let seconds pass, one by one."""
        self.reactor.pump([1] * count)

    def asked(self) -> list[Any]:
        """What the bucket was asked since the last call."""
        found = self.bucket.requests[:]
        self.bucket.requests.clear()
        return found


class NotificationTests(QueueTestCase):
    """What the queue tells of is read at once, and nothing twice."""

    def test_read_at_once(self) -> None:
        """An object is read when the queue tells of it, without a listing, and the message is deleted then."""
        self.start()
        self.assertEqual(self.asked(), ["list"])
        self.put(KEY, HEADER + rows(1, 2))
        self.second()
        self.assertEqual(self.speeds(), [1, 2])
        self.assertEqual(self.asked(), [("head", KEY), (KEY, 0, len(HEADER + rows(1, 2)) - 1)])
        self.assertEqual((self.queue.visible, self.queue.in_flight), ([], {}))
        self.assertEqual(
            self.door.figures(),
            {
                "failing": False,
                "objectsRead": 1,
                "rowsRead": 2,
                "errors": 0,
                "queue": {"failing": False, "messages": 1, "ignored": 0, "garbage": 0, "errors": 0},
            },
        )
        self.assertEqual((self.hub.ledger.accepted, self.lines()), ({"s3": 2}, []))

    def test_every_form(self) -> None:
        """Whichever way a notification takes, its object is read, and a key may say the track."""
        keys = [f"telemetry/Road America/{n} +%20.csv" for n in range(3)]
        for key in keys:
            self.bucket.put(key, "chassis,speed\nA,1\n")
        self.begin()
        self.start()
        self.hub.ring.newest(10)
        for key in keys:
            self.bucket.put(key, "chassis,speed\nA,1\nB,2\n")
        self.queue.visible += [event(keys[0]), by_sns(event(keys[1])), bridged(keys[2])]
        self.second()
        new = [json.loads(raw) for raw in self.hub.ring.newest(3)]
        self.assertEqual([(point["chassis"], point["track"]) for point in new], [("B", "road_america")] * 3)

    def test_a_burst_is_one_look(self) -> None:
        """Many messages at once are one look that asks for each object once and reads the oldest first."""
        self.start()
        self.asked()
        for n in range(25):
            self.bucket.put(f"telemetry/{n % 12}.csv", HEADER + rows(n))
        self.queue.visible += [event(f"telemetry/{n % 12}.csv") for n in reversed(range(25))]
        looks: list[int] = []
        look = self.door._reader.look

        def counted(keys: Collection[str]) -> Look:
            looks.append(len(keys))
            return look(keys)

        self.patch(self.door._reader, "look", counted)
        self.queue.requests.clear()
        self.second()
        self.assertEqual(looks, [12])
        self.assertEqual(self.speeds(), list(range(13, 25)))
        self.assertEqual(
            self.queue.requests[:6],
            [("receive", 20), ("receive", 0), ("receive", 0)] + [("delete", 10)] * 2 + [("delete", 5)],
        )
        self.assertEqual((self.notifications.messages, self.queue.in_flight), (25, {}))

    def test_more_than_a_burst(self) -> None:
        """Of thousands of messages a hundred at a time are looked at, one look after the other, each object once."""
        self.start()
        self.asked()
        for n in range(2500):
            self.put(f"telemetry/{n}.csv", HEADER + rows(n % 400))
        self.second()
        self.assertEqual((self.hub.last_seq, self.queue.visible, self.queue.in_flight), (2500, [], {}))
        self.assertEqual(sum(request[0] == "head" for request in self.asked()), 2500)

    def test_twice_and_out_of_order(self) -> None:
        """A message that comes again, or late, repeats no row."""
        self.start()
        self.put(KEY, HEADER + rows(1))
        self.second()
        self.put("telemetry/b.csv", HEADER + rows(2))
        self.bucket.put(KEY, HEADER + rows(1, 3))
        self.queue.visible[:0] = [event(KEY), event("telemetry/b.csv"), event(KEY)]
        self.second()
        self.queue.visible += [event(KEY), event("telemetry/b.csv")]
        self.second()
        self.reactor.advance(3600)
        self.assertEqual((self.speeds(), self.queue.in_flight, self.door.errors), ([1, 2, 3], {}, 0))

    @given(st.data())
    def test_any_delivery(self, data: st.DataObject) -> None:
        """However often, late and out of order the queue tells of an object that grows, each row comes once."""
        self.queue, self.bucket = FakeQueue(), FakeBucket()
        self.begin()
        self.door.startService()
        text = HEADER + rows(*range(100, 120))
        for end in data.draw(st.lists(st.integers(0, len(text)), max_size=6).map(sorted)):
            self.bucket.put(KEY, text[:end])
            self.queue.visible += [event(KEY)] * data.draw(st.integers(0, 2))
            if data.draw(st.booleans()):
                self.second()
            if data.draw(st.booleans()):
                self.queue.come_again()
        self.put(KEY, text)
        self.queue.come_again()
        self.second()
        self.door.stopService()
        self.assertEqual(self.speeds(), list(range(100, 120)))
        self.assertEqual((self.queue.visible, self.queue.in_flight), ([], {}))

    def test_polling_goes_on(self) -> None:
        """What the queue does not tell of is found by the next look at the bucket, and what it told of stays read."""
        self.start()
        self.put(KEY, HEADER + rows(1))
        self.second()
        self.bucket.put("telemetry/b.csv", HEADER + rows(2))
        self.second(10)
        self.assertEqual(self.speeds(), [1])
        self.reactor.advance(3600)
        self.assertEqual(self.speeds(), [1, 2])

    def test_not_ours(self) -> None:
        """Messages about other buckets, keys or events are counted and deleted, and cause no look."""
        self.start()
        self.asked()
        self.queue.visible += [
            event(KEY, bucket="other"),
            event("elsewhere/a.csv"),
            event(KEY, name="ObjectRemoved:Delete"),
            bridged(KEY, what="Object Tags Added"),
        ]
        self.second()
        self.assertEqual((self.asked(), self.queue.in_flight, self.lines()), ([], {}, []))
        self.assertEqual((self.notifications.messages, self.notifications.ignored), (4, 4))

    def test_partly_ours(self) -> None:
        """Of a message with several records, those that are ours count."""
        self.start()
        self.bucket.put(KEY, HEADER + rows(1))
        self.queue.visible.append(event("elsewhere/a.csv", KEY))
        self.second()
        self.assertEqual((self.speeds(), self.notifications.ignored), ([1], 0))

    def test_test_event(self) -> None:
        """The message by which S3 tries the queue out is deleted, and that is all."""
        self.start()
        self.asked()
        self.queue.visible.append(TEST_EVENT)
        self.second()
        self.assertEqual((self.asked(), self.queue.in_flight, self.lines()), ([], {}, []))
        figures = self.notifications.figures()
        self.assertEqual(figures, {"failing": False, "messages": 1, "ignored": 0, "garbage": 0, "errors": 0})

    def test_garbage(self) -> None:
        """Messages that are no notification are counted and deleted, with one line in the log for each kind."""
        self.start()
        for _ in range(3):
            self.queue.visible += [text for text, _ in GARBAGE]
            self.put(KEY, HEADER + rows(1))
            self.second()
        self.assertEqual((self.notifications.garbage, self.queue.in_flight), (3 * len(GARBAGE), {}))
        self.assertEqual((self.speeds(), self.notifications.failing), ([1], False))
        told = self.lines()
        self.assertEqual(len(told), 3)
        self.assertEqual(told[0], "S3 queue race-events has messages that are no notification: no JSON: ''")

    def test_gone_or_empty(self) -> None:
        """An object that is removed or emptied by the time it is asked for is no trouble, and its message is done."""
        self.start()
        self.put(KEY, HEADER + rows(1))
        self.bucket.delete(KEY)
        self.put("telemetry/b/", "")
        self.second()
        self.assertEqual(
            (self.bucket.gets()[-2:], self.queue.in_flight), ([("head", KEY), ("head", "telemetry/b/")], {})
        )
        self.assertEqual((self.door.failing, self.door.errors, self.lines()), (False, 0, []))

    def test_no_telemetry(self) -> None:
        """An object that is no CSV is refused, once, and its message is done."""
        self.start()
        self.put(KEY, "PAR1\0\n" * 10)
        self.second()
        self.queue.visible.append(event(KEY))
        self.second()
        self.assertEqual((self.hub.ledger.points_refused, self.queue.in_flight, self.door.errors), (1, {}, 1))
        self.assertEqual(len(self.lines()), 1)

    def test_last_line_without_line_feed(self) -> None:
        """A message stays until its object is read to its end, and so brings the last line that has no line feed."""
        self.start()
        self.put(KEY, HEADER + rows(1) + "barber,GR86-1,2")
        self.second()
        self.assertEqual((self.speeds(), len(self.queue.in_flight)), ([1], 1))
        self.second(30)
        self.queue.come_again()
        self.second()
        self.assertEqual((self.speeds(), self.queue.in_flight), ([1, 2], {}))

    def test_half_line_told_of_twice(self) -> None:
        """A line that is half written is not taken because the queue tells of its object twice in a row."""
        self.start()
        for end in ("2", "25", "250"):
            self.put(KEY, HEADER + rows(1) + "barber,GR86-1," + end)
            self.second()
            self.queue.come_again()
            self.second()
        self.put(KEY, HEADER + rows(1, 250))
        self.second()
        self.assertEqual(self.speeds(), [1, 250])
        self.queue.come_again()
        self.second()
        self.assertEqual((self.speeds(), self.queue.in_flight), ([1, 250], {}))


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


class PollingTests(S3TestCase):
    """What polling promises, with or without a queue."""

    def test_thousands_of_keys(self) -> None:
        """A bucket of thousands of objects is listed page by page, and each object is read once."""
        for n in range(3500):
            self.bucket.put(f"telemetry/{n:04}.csv", HEADER + rows(n % 400))
        self.start()
        self.assertEqual((self.hub.last_seq, self.bucket.requests.count("list")), (3500, 4))
        self.assertEqual(len(self.bucket.gets()), 3500)
        self.look()
        self.assertEqual(self.bucket.requests, ["list"] * 4)

    def test_one_line_on_change(self) -> None:
        """Whatever keeps the bucket from being listed is one line, a figure, and one line when it is over."""
        url = "http://127.0.0.1:1/"
        for error in (
            refusal(403, "AccessDenied", "ListObjectsV2"),
            refusal(404, "NoSuchBucket", "ListObjectsV2"),
            refusal(500, "InternalError", "ListObjectsV2"),
            refusal(503, "SlowDown", "ListObjectsV2"),
            ReadTimeoutError(endpoint_url=url),
            ConnectTimeoutError(endpoint_url=url),
            EndpointConnectionError(endpoint_url=url),
        ):
            self.begin()
            self.bucket.failures["list"] = error
            self.start()
            self.reactor.pump([1] * 300)
            self.assertEqual(len(self.lines()), 1)
            self.assertTrue(self.door.failing and self.door.errors > 5)
            self.bucket.failures.clear()
            self.reactor.pump([1] * 300)
            self.assertEqual((self.lines(), self.door.failing), (["S3 bucket race can be read again"], False))
            self.door.stopService()

    def test_one_line_for_an_object(self) -> None:
        """So is whatever keeps one object from being read, a body that breaks off included."""
        for error in (
            refusal(403, "AccessDenied"),
            refusal(500, "InternalError"),
            ReadTimeoutError(endpoint_url="http://127.0.0.1:1/"),
            None,
        ):
            self.begin()
            self.bucket.put(KEY, HEADER + rows(1))
            self.bucket.cut_to = {KEY: 10}
            if error is not None:
                self.bucket.failures[KEY] = error
            self.start()
            self.reactor.pump([1] * 300)
            self.assertEqual((len(self.lines()), self.door.failing), (1, True))
            self.assertGreater(self.door.errors, 2)
            self.bucket.failures.clear()
            self.bucket.cut_to = {}
            self.reactor.pump([1] * 600)
            self.assertEqual((self.lines(), self.speeds()), (["S3 bucket race can be read again"], [1]))
            self.door.stopService()
