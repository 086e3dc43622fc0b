"""
What a bucket tells by itself: the notifications of new objects, from an SQS queue.

The queue is asked by long polling in a thread of its own, for an answer may be
twenty seconds away. What it brings goes to the reactor's side as a set of keys,
and from there to the thread that reads the bucket, which asks for those objects
alone. When they have been read, the messages are deleted:

::

    queue thread                 reactor                      reading thread
    receive, parse  ──────────▶  keys, each once  ──────────▶  HEAD, read what is new
    delete          ◀──────────  whose keys are done  ◀──────  which are left

A message about an object that was not read to its end stays where it is, and the
queue brings it again after its visibility timeout. SQS may bring any message twice
and in any order: what a message says beyond the key does not count, the progress
of the object alone decides what is new.

Three forms of a message are known, as AWS documents them: the event that S3 sends
(``Records``), the same within one of SNS (``Message``), and that of EventBridge
(``detail``). In the first two the key is quoted as in a URL, in the last it is not.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote_plus, urlsplit

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from pitwall.ingest.s3reader import Look, back_off, told
from pitwall.wire.errors import shown

#: How long the queue may wait for a message before it answers; SQS allows no more [s].
WAIT_S = 20
#: As many messages as SQS gives at a time, and as many as make one look.
_MESSAGES = 10
_MOST_MESSAGES = 100
#: A round that brought nothing lasts at least so long, also where a queue does not wait or brings all again at once.
_SHORTEST_ROUND_S = 1.0
#: S3 has no longer keys [bytes].
_LONGEST_KEY = 1024
_CREATED = "ObjectCreated:"

_Form = TypeVar("_Form")


class NoticeError(ValueError):
    """A message that is no notification; ``reason`` is a stable word for its kind."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class QueueError(Exception):
    """The queue refused, or was not to be reached."""


class Written(NamedTuple):
    """An object that was written, as a notification names it."""

    bucket: str
    key: str


class _Name(msgspec.Struct):
    name: str


class _Key(msgspec.Struct):
    key: str


class _Place(msgspec.Struct):
    bucket: _Name
    object: _Key


class _Record(msgspec.Struct):
    eventName: str = ""
    eventSource: str = ""
    s3: msgspec.Raw = msgspec.Raw(b"null")


class _Body(msgspec.Struct):
    """Every known form at once; the parts that other events fill otherwise are looked into only where they are ours."""

    Records: list[_Record] | None = None
    Message: str | None = None
    Event: str = ""
    source: str | None = None
    detail_type: str = msgspec.field(name="detail-type", default="")
    detail: msgspec.Raw = msgspec.Raw(b"null")


def written(text: str) -> list[Written] | None:
    """
    The objects that a message tells of; none where it tells of something else.

    Returns:
        None for the message by which S3 tries a new notification out.

    Raises:
        NoticeError: it is no notification.
    """
    body = _decoded(text, _Body)
    if body.Message is not None and body.Records is None:
        body = _decoded(body.Message, _Body)
    if body.Event == "s3:TestEvent":
        return None
    if body.Records is not None:
        return [_written(record.s3, unquote_plus) for record in body.Records if _tells_of_writing(record)]
    if body.source is None:
        raise NoticeError("no_notification", f"neither of S3, SNS nor EventBridge: {shown(text)}")
    if (body.source, body.detail_type) == ("aws.s3", "Object Created"):
        return [_written(body.detail, str)]
    return []


def _decoded(content: str | msgspec.Raw, form: type[_Form]) -> _Form:
    try:
        return msgspec.json.decode(content, type=form)
    except msgspec.ValidationError as error:
        raise NoticeError("no_notification", f"{ascii(str(error))[1:-1][:80]}: {_begin(content)}") from None
    except (ValueError, RecursionError):
        raise NoticeError("bad_json", f"no JSON: {_begin(content)}") from None


def _begin(content: str | msgspec.Raw) -> str:
    return shown(content if isinstance(content, str) else bytes(content))


def _tells_of_writing(record: _Record) -> bool:
    # Other services than AWS call themselves minio:s3 or ceph:s3, and some write s3:ObjectCreated.
    return record.eventSource.endswith(":s3") and record.eventName.removeprefix("s3:").startswith(_CREATED)


def _written(content: msgspec.Raw, unquoted: Callable[[str], str]) -> Written:
    place = _decoded(content, _Place)
    key = unquoted(place.object.key)
    if not 0 < len(key.encode()) <= _LONGEST_KEY:
        raise NoticeError("bad_key", f"a key of {len(key)} characters, wanted 1 to {_LONGEST_KEY} bytes: {shown(key)}")
    return Written(place.bucket.name, key)


class Message(NamedTuple):
    """
    A message of the queue.

    Attributes:
        receipt: by which it is deleted.
        keys: the objects of ours that it tells of.
        ignored: whether it tells of other things alone.
        fault: why it is no notification; None for one that is.
    """

    receipt: str
    keys: tuple[str, ...] = ()
    ignored: bool = False
    fault: NoticeError | None = None


def queue_client(region: str, queue_url: str, endpoint_url: str | None) -> Any:
    """
    Boto3's SQS client: with another S3 service than AWS's, for the service that the queue's URL names.

    Any: boto3 makes its classes when it is called.
    """
    # Imported only where there is a queue to read: they cost 30 MB.
    from boto3.session import Session
    from botocore.config import Config

    config = Config(
        connect_timeout=5,
        read_timeout=WAIT_S + 10,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=1,
    )
    parts = urlsplit(queue_url)
    endpoint = f"{parts.scheme}://{parts.netloc}" if endpoint_url else None
    client = Session().client("sqs", region_name=region, endpoint_url=endpoint, config=config)
    # As that of the bucket, it stays as long as the server runs.
    gc.freeze()
    return client


class QueueReader:
    """
    The queue itself; blocks, and so belongs into a thread of its own.

    Args:
        connect: makes boto3's SQS client; called in that thread.
        queue_url: which queue.
        bucket: the bucket whose objects count.
        prefix: that of their keys.
    """

    def __init__(self, connect: Callable[[], Any], queue_url: str, bucket: str, prefix: str) -> None:
        self._connect = connect
        self._queue_url = queue_url
        self._bucket = bucket
        self._prefix = prefix
        self._client: Any = None

    def receive(self) -> list[Message]:
        """
        The messages that are there, or the first that come; none after twenty seconds without any.

        Raises:
            QueueError: the queue can't be read.
        """
        found: list[Message] = []
        while len(found) < _MOST_MESSAGES:
            try:
                answer = self._ask(
                    "receive_message", MaxNumberOfMessages=_MESSAGES, WaitTimeSeconds=0 if found else WAIT_S
                )
            except QueueError:
                if not found:
                    raise
                break  # what came counts; the next time tells
            messages = answer.get("Messages", ())
            found += [self._message(message["ReceiptHandle"], message.get("Body", "")) for message in messages]
            if len(messages) < _MESSAGES:
                break
        return found

    def delete(self, receipts: Collection[str]) -> None:
        """
        Delete these messages.

        Raises:
            QueueError: the queue refused; they come again.
        """
        left = list(receipts)
        while left:
            entries = [{"Id": str(n), "ReceiptHandle": receipt} for n, receipt in enumerate(left[:_MESSAGES])]
            del left[:_MESSAGES]
            answer = self._ask("delete_message_batch", Entries=entries)
            for failed in answer.get("Failed", ()):
                # One that was kept too long comes again, and can be deleted then.
                if failed.get("Code") != "ReceiptHandleIsInvalid":
                    raise QueueError(f"a message can't be deleted: {shown(failed.get('Code', ''))}")

    def _ask(self, what: str, **wanted: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if self._client is None:
                self._client = self._connect()
            answer: dict[str, Any] = getattr(self._client, what)(QueueUrl=self._queue_url, **wanted)
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            raise QueueError(told(error)) from None
        return answer

    def _message(self, receipt: str, body: str) -> Message:
        try:
            objects = written(body)
        except NoticeError as error:
            return Message(receipt, fault=error)
        if objects is None:
            return Message(receipt)
        keys = tuple(key for bucket, key in objects if bucket == self._bucket and key.startswith(self._prefix))
        return Message(receipt, keys, ignored=not keys)


class Notifications:
    """
    Has the objects looked at that a queue tells of, from start to stop.

    Args:
        reactor: waits, and takes calls from the queue's thread.
        queue_url: which queue.
        bucket: the bucket whose objects count.
        prefix: that of their keys.
        region: of the queue, as of the bucket.
        endpoint_url: where another S3 service than AWS is; None: AWS.
        connect: makes the client; by default boto3's.
        chance: for the jitter of the back-off.

    Attributes:
        messages: messages that came, those that came again included.
        ignored: those about other buckets, keys or events.
        garbage: those that are no notification.
        errors: requests that the queue failed to answer.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        queue_url: str,
        bucket: str,
        prefix: str,
        region: str,
        endpoint_url: str | None,
        connect: Callable[[], Any] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.messages = 0
        self.ignored = 0
        self.garbage = 0
        self.errors = 0
        self._reactor = reactor
        self._name = queue_url.rpartition("/")[2]
        connect = connect or partial(queue_client, region, queue_url, endpoint_url)
        self._reader = QueueReader(connect, queue_url, bucket, prefix)
        self._chance = chance or random.Random()
        self._trouble: dict[str, str] = {}
        self._told: set[str] = set()
        self._pool: Any = None
        self._waiting: Deferred[None] | None = None

    @property
    def failing(self) -> bool:
        """Whether messages can't be received, or not be deleted, at the moment."""
        return bool(self._trouble)

    def figures(self) -> dict[str, Any]:
        """The attributes above, as health shows them."""
        return {
            "failing": self.failing,
            "messages": self.messages,
            "ignored": self.ignored,
            "garbage": self.garbage,
            "errors": self.errors,
        }

    def start(self, look: Callable[[Collection[str]], Awaitable[Look]], pool: Any) -> None:
        """
        Ask the queue now, and then again and again.

        Args:
            look: looks at the objects with these keys.
            pool: has one thread, the queue's; stopped once that has ended.
        """
        self._pool = pool
        pool.start()
        Deferred.fromCoroutine(self._watch(pool, look))

    def stop(self) -> None:
        """
        Have no more objects looked at.

        A request that is under way is not waited for: a message that it brings stays in the queue.
        """
        self._pool = None
        if self._waiting is not None:
            self._waiting.cancel()

    async def _watch(self, pool: Any, look: Callable[[Collection[str]], Awaitable[Look]]) -> None:
        delays = back_off(self._chance)
        try:
            while self._pool is pool:
                began = self._reactor.seconds()
                try:
                    progress = await self._round(pool, look)
                    delay_s = 0.0 if progress else began + _SHORTEST_ROUND_S - self._reactor.seconds()
                    delays = back_off(self._chance)
                except QueueError:
                    delay_s = next(delays)
                except Exception:
                    self.log.failure("what S3 queue {queue} brought was lost", queue=self._name)
                    self.errors += 1
                    delay_s = next(delays)
                if delay_s > 0 and self._pool is pool:
                    self._waiting = deferLater(self._reactor, delay_s)
                    await self._waiting
        except CancelledError:
            pass  # stopped while it waited
        finally:
            pool.stop()

    async def _round(self, pool: Any, look: Callable[[Collection[str]], Awaitable[Look]]) -> bool:
        """
        Receive, look, delete; returns whether a message is done with.

        Raises:
            QueueError: the queue, or the look, failed: it is to be left alone for a while.
        """
        messages: list[Message] = await self._in_thread(pool, "receive", self._reader.receive)
        if self._pool is not pool:
            return False
        self._count(messages)
        failed, left = "", set[str]()
        keys = dict.fromkeys(key for message in messages for key in message.keys)
        if keys:
            result = await look(keys)
            failed, left = result.failed, result.left
        done = [message.receipt for message in messages if left.isdisjoint(message.keys)]
        if done and self._pool is pool:
            await self._in_thread(pool, "delete", self._reader.delete, done)
        if failed:
            raise QueueError(failed)
        return bool(done)

    async def _in_thread(self, pool: Any, doing: str, work: Callable[..., Any], *args: Any) -> Any:
        try:
            answer = await deferToThreadPool(self._reactor, pool, work, *args)
        except QueueError as error:
            self.errors += 1
            if not self._trouble and self._pool is pool:
                self.log.warn("S3 queue {queue} fails: {why}", queue=self._name, why=str(error))
            self._trouble[doing] = str(error)
            raise
        # That messages can be received says nothing of whether they can be deleted.
        if self._trouble.pop(doing, None) is not None and not self._trouble:
            self.log.info("S3 queue {queue} can be read again", queue=self._name)
        return answer

    def _count(self, messages: list[Message]) -> None:
        for message in messages:
            self.messages += 1
            self.ignored += message.ignored
            if message.fault is not None:
                self.garbage += 1
                if message.fault.reason not in self._told:
                    self._told.add(message.fault.reason)
                    self.log.warn(
                        "S3 queue {queue} has messages that are no notification: {why}",
                        queue=self._name,
                        why=str(message.fault),
                    )
