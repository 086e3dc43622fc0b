"""The S3 door with a real queue that is told by the bucket, in another process."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pitwall.hub import Hub
from pitwall.ingest import s3queue, s3reader
from pitwall.ingest.s3 import S3Service
from pitwall.ingest.s3queue import Notifications, queue_client
from pitwall.ring import PointRing
from pitwall.rows import SharedRows
from pitwall.wire.points import PointDecoder
from tests.doubles import told_of
from tests.end_to_end.harness import free_port, points_of, read_messages, running, wait_for
from tests.end_to_end.s3_server import CREDENTIALS, S3Server, missing
from tests.end_to_end.test_s3 import HEADER, rows, until


class RaceQueue:
    """
    A queue that the bucket ``race`` of a service tells of every object that is written.

    Args:
        server: the service, which has such a queue from now on.
        visibility_s: after so long a message that was not deleted comes again [s].
    """

    def __init__(self, server: S3Server, visibility_s: int = 30) -> None:
        name = f"{server.url}/123456789012/race-events"
        self.client = queue_client("us-east-1", name, server.url)
        attributes = {"VisibilityTimeout": str(visibility_s)}
        self.url: str = self.client.create_queue(QueueName="race-events", Attributes=attributes)["QueueUrl"]
        arn = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        told = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
        server.client().put_bucket_notification_configuration(Bucket="race", NotificationConfiguration=told)

    def send(self, body: str) -> None:
        """Send a message as if the bucket, or somebody else, did."""
        self.client.send_message(QueueUrl=self.url, MessageBody=body)

    def left(self) -> int:
        """How many messages are in it, those in flight included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


class QueueTests(TestCase):
    """A bucket that is looked at once an hour, but tells what is written to it."""

    skip = missing()
    timeout = 90

    def setUp(self) -> None:
        """A service with an empty bucket, and a queue that gives up waiting after two seconds."""
        self.patch(os, "environ", {**os.environ, **CREDENTIALS})
        self.patch(s3queue, "WAIT_S", 2)
        self.server = S3Server(free_port())
        self.addCleanup(self.server.close)

    def door(self, queue_url: str) -> S3Service:
        """A door that is started now, and stopped at the end of the test."""
        self.hub = Hub(PointRing(10_000), SharedRows(4096), epoch="e")
        place: dict[str, Any] = {"bucket": "race", "prefix": "telemetry/", "region": "us-east-1"}
        self.notifications = Notifications(reactor, queue_url=queue_url, endpoint_url=self.server.url, **place)
        door = S3Service(
            self.hub,
            PointDecoder(),
            reactor,
            poll_s=3600,
            endpoint_url=self.server.url,
            state_dir=None,
            told=told_of(),
            queue=self.notifications,
            **place,
        )
        door.startService()
        self.addCleanup(lambda: door.stopService() if door.running else None)
        return door

    async def test_told_at_once(self) -> None:
        """Objects come and grow at once, each row once, and the queue is empty then."""
        queue = RaceQueue(self.server)
        door = self.door(queue.url)
        await until(lambda: self.notifications.messages)  # the one by which S3 tries a queue out
        self.server.put("telemetry/barber day 1/ä+b.csv", HEADER + rows(0, 100))
        await until(lambda: self.hub.last_seq == 100, 5)
        self.server.put("telemetry/barber day 1/ä+b.csv", HEADER + rows(0, 120))
        await until(lambda: self.hub.last_seq == 120, 5)
        for n in range(30):
            self.server.put(f"telemetry/{n}.csv", HEADER + rows(n, n + 1))
        self.server.put("elsewhere/a.csv", HEADER + rows(0, 1))
        queue.send("hello")
        await until(lambda: self.hub.last_seq == 150, 10)
        await until(lambda: queue.left() == 0, 10)
        figures = door.figures()
        self.assertEqual(figures["queue"], {"failing": False, "messages": 35, "ignored": 1, "garbage": 1, "errors": 0})
        self.assertEqual((door.objects_read, door.errors, door.failing), (32, 0, False))

    async def test_message_comes_again(self) -> None:
        """A message stays in the queue until its object is read to its end, and is deleted then."""
        self.patch(s3reader, "_SETTLED_S", 1.5)
        self.server.put("telemetry/a.csv", HEADER + rows(0, 1))
        queue = RaceQueue(self.server, visibility_s=1)
        self.door(queue.url)
        await until(lambda: self.hub.last_seq == 1)
        self.server.put("telemetry/b.csv", HEADER + rows(1, 10).strip())
        await until(lambda: self.hub.last_seq == 9, 5)
        self.assertEqual(queue.left(), 1)
        await until(lambda: self.hub.last_seq == 10, 10)
        await until(lambda: queue.left() == 0, 5)

    async def test_no_such_queue(self) -> None:
        """A queue that is not there fails without harm; once it is there, its messages are read."""
        url = f"{self.server.url}/123456789012/race-events"
        self.server.put("telemetry/a.csv", HEADER + rows(0, 10))
        door = self.door(url)
        await until(lambda: self.notifications.failing)
        await until(lambda: self.hub.last_seq == 10)
        self.assertFalse(door.failing)
        RaceQueue(self.server)
        await until(lambda: not self.notifications.failing)
        self.server.put("telemetry/b.csv", HEADER + rows(10, 20))
        await until(lambda: self.hub.last_seq == 20)

    async def test_stopped_while_it_waits(self) -> None:
        """The end does not wait for the queue's answer; afterwards its thread ends by itself."""
        self.server.put("telemetry/a.csv", HEADER + rows(0, 1))
        queue = RaceQueue(self.server)
        before = set(threading.enumerate())
        door = self.door(queue.url)
        await until(lambda: self.notifications.messages and self.hub.last_seq == 1)
        began = reactor.seconds()
        await door.stopService()
        self.assertLess(reactor.seconds() - began, 0.9)
        await until(lambda: set(threading.enumerate()) <= before, 10)


class EndpointTests(SynchronousTestCase):
    """Where the queue's service is."""

    def test_endpoint(self) -> None:
        """The queue's URL names the service where S3 is another one than AWS's; otherwise it is that of the region."""
        self.patch(os, "environ", {**os.environ, **CREDENTIALS})
        for url, s3, found in (
            ("http://127.0.0.1:4566/0/q", "http://127.0.0.1:9000", "http://127.0.0.1:4566"),
            ("https://sqs.eu-west-1.amazonaws.com/1/q", None, "https://sqs.eu-west-1.amazonaws.com"),
        ):
            self.assertEqual(queue_client("eu-west-1", url, s3).meta.endpoint_url, found)


class WholeServerTests(SynchronousTestCase):
    """The queue in a real server."""

    skip = missing()

    def test_from_the_queue_to_the_screen(self) -> None:
        """With S3_SQS_QUEUE_URL set, an object reaches a client at once, between two looks at the bucket."""
        self.patch(os, "environ", {**os.environ, **CREDENTIALS})
        bucket = S3Server(free_port())
        self.addCleanup(bucket.close)
        queue = RaceQueue(bucket)
        settings = {
            "S3_BUCKET": "race",
            "S3_ENDPOINT_URL": bucket.url,
            "S3_SQS_QUEUE_URL": queue.url,
            "S3_POLL_SECONDS": "3600",
            **CREDENTIALS,
        }
        with running(**settings) as server, server.connect() as client:

            def figures() -> Any:
                return server.metrics()["s3"]["queue"]

            wait_for("the first message", lambda: figures()["messages"])
            began = time.monotonic()
            bucket.put("telemetry/barber.csv", HEADER + rows(0, 50))
            messages = read_messages(client, 15, lambda found: len(points_of(found)) >= 50)
            self.assertEqual([point["speed_kmh"] for point in points_of(messages)], [n + 0.5 for n in range(50)])
            self.assertLess(time.monotonic() - began, 5)
            wait_for("an empty queue", lambda: queue.left() == 0)
            bucket.end()
            wait_for("a failing queue", lambda: figures()["failing"])
            server.send(json.dumps({"track": "barber", "chassis": "GR86-9"}).encode())
            later = read_messages(client, 10, lambda found: len(points_of(found)) >= 1)
            self.assertEqual(points_of(later)[0]["chassis"], "GR86-9")
            self.assertLess(server.stop(), 5)
            self.assertEqual(server.log().count("S3 queue race-events fails"), 1)
