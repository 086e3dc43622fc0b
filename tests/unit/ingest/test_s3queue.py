"""A queue tells what was written to the bucket, and just that is read, as soon as it does."""

from __future__ import annotations

import json
from collections.abc import Collection

from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.ingest.s3queue import NoticeError, Written, written
from pitwall.ingest.s3reader import Look
from tests.unit.ingest.s3_doubles import FakeBucket, FakeQueue, refusal
from tests.unit.ingest.s3cases import HEADER, KEY, S3TestCase, rows
from tests.unit.ingest.sqscases import GARBAGE, TEST_EVENT, QueueTestCase, bridged, by_sns, event


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
