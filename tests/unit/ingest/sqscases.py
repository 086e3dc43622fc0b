"""A queue that is a double, and what is put into it."""

from __future__ import annotations

import json
import random
from typing import Any, cast
from urllib.parse import quote_plus

from twisted.logger import Logger

from pitwall.ingest.s3queue import Notifications
from tests.unit.ingest.s3_doubles import FakePool, FakeQueue, refusal
from tests.unit.ingest.s3cases import S3TestCase

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
