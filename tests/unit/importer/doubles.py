"""Stand-ins for the server, for the thread that reads, and for the terminal."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from treq.testing import StubTreq
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from pitwall.importer.batches import BatchSize
from pitwall.importer.courier import Courier
from pitwall.importer.sources import Source

_T = TypeVar("_T")


class Posted(NamedTuple):
    """What the server was sent."""

    path: str
    params: dict[str, str]
    media_type: str
    body: bytes


def answer(body: bytes, media_type: str, **figures: Any) -> dict[str, Any]:
    """An answer that takes every row."""
    rows = body.count(b"\n") + (body[-1:] not in (b"", b"\n")) - (media_type == "text/csv")
    return {
        "ok": True,
        "rows": rows,
        "accepted": rows,
        "duplicates": 0,
        "points": rows,
        "rejected": [],
        "rejected_total": 0,
        "rejected_by_reason": {},
        "repairs": {},
        **figures,
    }


class FakeServer(Resource):
    """
    Keeps what it is sent, and takes all of it, unless ``answers`` says otherwise.

    Attributes:
        posted: what it was sent.
        answers: the next answers: a status with the figures that differ, or with the body.
        most: a body longer than this is answered 413 [bytes].
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[Posted] = []
        self.answers: list[tuple[int, Mapping[str, Any] | bytes]] = []
        self.most = 1 << 30

    def render_POST(self, request: Any) -> bytes:
        """Answer a request."""
        body = request.content.read()
        media_type = request.getHeader("content-type")
        if len(body) > self.most:
            request.setResponseCode(413)
            return b'{"ok":false,"error":"too large"}'
        params = {name.decode(): values[0].decode() for name, values in request.args.items()}
        self.posted.append(Posted(request.path.decode(), params, media_type, body))
        status, content = self.answers.pop(0) if self.answers else (200, {})
        request.setResponseCode(status)
        if isinstance(content, bytes):
            return content
        return json.dumps(answer(body, media_type, **content)).encode()

    @property
    def bodies(self) -> list[bytes]:
        """The bodies it was sent."""
        return [posted.body for posted in self.posted]


class FakePost:
    """
    ``treq.post`` to a server in memory, which can be away.

    Attributes:
        failures: what the next calls fail with, one each; None is a call that is never answered.
    """

    def __init__(self, server: FakeServer) -> None:
        self.failures: list[Exception | None] = []
        self.calls = 0
        self.waiting: list[Deferred[Any]] = []
        # Any: it gets its methods when it is made.
        self._treq: Any = StubTreq(server)

    def __call__(self, *args: Any, **kwargs: Any) -> Deferred[Any]:
        """Post."""
        self.calls += 1
        if not self.failures:
            posted: Deferred[Any] = self._treq.post(*args, **kwargs)
            return posted
        failure = self.failures.pop(0)
        found: Deferred[Any] = Deferred()
        if failure is None:
            self.waiting.append(found)
        else:
            found.errback(failure)
        return found


class FakeScreen:
    """Keeps what was shown."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.shown: list[tuple[int, int]] = []
        self.told: list[str] = []

    def begin(self, source: Source) -> None:
        """A file is begun."""
        self.begun.append(source.label)

    def progress(self, source: Source, read_bytes: int, rows: int) -> None:
        """So much of it has been read, and so many rows more were answered for."""
        self.shown.append((read_bytes, rows))

    def tell(self, sentence: str) -> None:
        """Something is to be said."""
        self.told.append(sentence)


def at_once(work: Callable[[], _T], /) -> Deferred[_T]:
    """Reading that needs no thread."""
    done: Deferred[_T] = maybeDeferred(work)
    return done


def a_source(content: bytes, label: str = "run/a.csv") -> Source:
    """A recording in memory."""
    return Source(label, label.rpartition("/")[2], len(content), lambda: memory(content))


def memory(content: bytes) -> io.RawIOBase:
    """Bytes as a stream that is not buffered."""

    class Memory(io.RawIOBase):
        def __init__(self) -> None:
            self._content = io.BytesIO(content)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self._content.readinto(buffer)

    return Memory()


def a_courier(post: FakePost, clock: Clock, screen: FakeScreen, size: BatchSize, retry_s: float = 30.0) -> Courier:
    """A courier to a server in memory."""
    return Courier(post, "http://pit:8081", clock, random.Random(1), retry_s, size, screen.tell)
