"""A bucket and its queue in memory, and what else an S3 door needs to be driven by hand."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

from botocore.exceptions import ClientError
from twisted.internet.task import Clock
from twisted.python.failure import Failure


def refusal(status: int, code: str, operation: str = "GetObject") -> ClientError:
    """What boto3 raises for an answer of S3 that is an error."""
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


class FakeBucket:
    """
    Behaves like boto3's S3 client, with one bucket.

    Attributes:
        requests: what was asked for: "list", ("head", key), or (key, first byte, last byte).
        failures: an exception by key (or "list", or ("head", key)); raised in place of an answer.
        cut_to: by key, how many bytes of an answer arrive.
    """

    def __init__(self, page: int = 1000) -> None:
        self.requests: list[Any] = []
        self.failures: dict[Any, Exception] = {}
        self.cut_to: dict[str, int] = {}
        self._page = page
        self._objects: dict[str, tuple[bytes, str, datetime]] = {}
        self._writings = 0

    def put(self, key: str, content: bytes | str, age: int = 0) -> None:
        """Write an object, ``age`` [s] before the next one; every writing gives a new ETag."""
        body = content.encode() if isinstance(content, str) else content
        self._writings += 1
        etag = f'"{md5(body, usedforsecurity=False).hexdigest()}-{self._writings}"'
        self._objects[key] = body, etag, datetime.fromtimestamp(1_757_246_400 + self._writings - age, UTC)

    def delete(self, key: str) -> None:
        """Remove an object."""
        del self._objects[key]

    def list_objects_v2(self, Bucket: str, Prefix: str, ContinuationToken: str = "") -> dict[str, Any]:
        """One page of the listing."""
        self.requests.append("list")
        self._fail("list")
        keys = sorted(key for key in self._objects if key.startswith(Prefix) and key > ContinuationToken)
        entries = []
        for key in keys[: self._page]:
            body, etag, modified = self._objects[key]
            entries.append({"Key": key, "ETag": etag, "Size": len(body), "LastModified": modified})
        answer: dict[str, Any] = {"Contents": entries, "IsTruncated": len(keys) > self._page}
        if answer["IsTruncated"]:
            answer["NextContinuationToken"] = entries[-1]["Key"]
        return answer if entries else {"IsTruncated": False}

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        """What the listing says, of one object."""
        self.requests.append(("head", Key))
        self._fail(("head", Key))
        if Key not in self._objects:
            raise refusal(404, "404", "HeadObject")
        body, etag, modified = self._objects[Key]
        return {"ETag": etag, "ContentLength": len(body), "LastModified": modified}

    def get_object(self, Bucket: str, Key: str, Range: str, IfMatch: str) -> dict[str, Any]:
        """A range of an object."""
        first, last = map(int, Range.removeprefix("bytes=").split("-"))
        self.requests.append((Key, first, last))
        self._fail(Key)
        if Key not in self._objects:
            raise refusal(404, "NoSuchKey")
        body, etag, _ = self._objects[Key]
        if etag != IfMatch:
            raise refusal(412, "PreconditionFailed")
        return {"Body": io.BytesIO(body[first : last + 1][: self.cut_to.get(Key)]), "ETag": etag}

    def gets(self) -> list[Any]:
        """The ranges asked for since the last call."""
        found = [request for request in self.requests if request != "list"]
        self.requests.clear()
        return found

    def _fail(self, what: Any) -> None:
        if what in self.failures:
            raise self.failures[what]


class FakeQueue:
    """
    Behaves like boto3's SQS client, with one queue that never waits.

    Attributes:
        visible: the bodies of the messages that can be received.
        in_flight: those that were received and are not deleted, by receipt.
        requests: what was asked for: ("receive", seconds to wait) or ("delete", messages).
        failures: an exception by request ("receive" or "delete"); raised in place of an answer.
        refused: the code with which every message is refused to be deleted, if one is.
    """

    def __init__(self) -> None:
        self.visible: list[str] = []
        self.in_flight: dict[str, str] = {}
        self.requests: list[tuple[str, int]] = []
        self.failures: dict[str, Exception] = {}
        self.refused = ""
        self._receipts = 0

    def come_again(self) -> None:
        """Let the visibility timeout of every message in flight end."""
        self.visible += self.in_flight.values()
        self.in_flight.clear()

    def receive_message(self, QueueUrl: str, MaxNumberOfMessages: int, WaitTimeSeconds: int) -> dict[str, Any]:
        """Some messages."""
        self.requests.append(("receive", WaitTimeSeconds))
        if "receive" in self.failures:
            raise self.failures["receive"]
        found = []
        for body in self.visible[:MaxNumberOfMessages]:
            self._receipts += 1
            self.in_flight[str(self._receipts)] = body
            found.append({"ReceiptHandle": str(self._receipts), "Body": body})
        del self.visible[:MaxNumberOfMessages]
        return {"Messages": found} if found else {}

    def delete_message_batch(self, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:
        """Delete some messages."""
        self.requests.append(("delete", len(Entries)))
        if "delete" in self.failures:
            raise self.failures["delete"]
        if self.refused:
            return {"Failed": [{"Id": entry["Id"], "Code": self.refused} for entry in Entries]}
        for entry in Entries:
            del self.in_flight[entry["ReceiptHandle"]]
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


class ThreadlessReactor(Clock):
    """A clock that has what other threads call done at once, for there are none."""

    def callFromThread(self, work: Callable[..., Any], *args: Any) -> None:
        """Do it now."""
        work(*args)


class FakePool:
    """
    A thread pool without threads.

    Attributes:
        hangs: while it is set, work is kept in ``held`` and not done.
    """

    def __init__(self) -> None:
        self.started = False
        self.hangs = False
        self.held: list[Callable[[], None]] = []

    def start(self) -> None:
        """Start."""
        self.started = True

    def stop(self) -> None:
        """Stop."""
        self.started = False

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], None], work: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """Do it now, unless work hangs."""

        def done() -> None:
            try:
                result = work(*args, **kwargs)
            except Exception:
                onResult(False, Failure())
            else:
                onResult(True, result)

        if self.hangs:
            self.held.append(done)
        else:
            done()


class MemoryStore:
    """Keeps one piece of content; ``broken`` makes every use fail."""

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content
        self.broken = False
        self.writings = 0

    def read(self) -> bytes | None:
        """The content."""
        return self.content

    def write(self, content: bytes) -> None:
        """Replace it."""
        if self.broken:
            raise OSError(28, "No space left on device")
        self.content = content
        self.writings += 1
