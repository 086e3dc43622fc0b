"""The HTTP side and the WebSocket, whole, on connections in memory: bytes in, answers out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, ClassVar, Final
from zlib import crc32

from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer

from benchmarks.fuzz import forms
from benchmarks.fuzz.asks import ASKS
from benchmarks.fuzz.mutate import LONGEST
from benchmarks.fuzz.oracle import strict
from benchmarks.fuzz.target import ACCEPTED, Broken, Target
from tests.doubles import Answer, Screen, WebServer, answers_in, client_frame, frames_in, handshake

#: What may be answered; 500 may not.
_STATUSES: Final = {
    *(100, 101, 200, 204, 304, 400, 401, 403, 404, 405, 406, 408, 409, 411, 413, 414, 415, 416, 417, 426, 429, 431),
    *(501, 503, 505),
}
_CLOSING: Final = {1000, 1001, 1002, 1003, 1005, 1007, 1008, 1009, 4008}
_FRESH_AFTER: Final = 50


class _Case:
    """What a test would give the server: who cleans up after it."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    def addCleanup(self, work: Callable[..., object], *arguments: Any) -> None:
        """Do something in the end."""
        self._undo.append(lambda: work(*arguments))

    def patch(self, owner: Any, name: str, value: Any) -> None:
        """Have an attribute be another one until then."""
        before = getattr(owner, name)
        setattr(owner, name, value)
        self._undo.append(lambda: setattr(owner, name, before))

    def clean_up(self) -> None:
        """Undo all of it, the last first."""
        while self._undo:
            self._undo.pop()()


@implementer(ILogObserver)
class _Faults:
    """Notes what is logged as a fault."""

    def __init__(self, found: list[str]) -> None:
        self._found = found

    def __call__(self, event: Any) -> None:
        failure = event.get("log_failure")
        if failure is not None:
            self._found.append(failure.getTraceback())


class _Web(Target):
    """A server, and whatever is logged as a fault while it answers."""

    of: ClassVar[tuple[str, ...]] = ("pitwall.serve.site", "pitwall.serve.request", "pitwall.serve.rest")

    def __init__(self) -> None:
        self._case = _Case()
        case: Any = self._case
        self.server = WebServer(case, capacity=500, max_body=LONGEST, max_inflated=2 * LONGEST, most_clients=10_000)
        self.publish(50)
        self._faults: list[str] = []
        self._came = 0
        self._log = _Faults(self._faults)
        globalLogPublisher.addObserver(self._log)

    def publish(self, count: int) -> None:
        """Points come in."""
        intake = self.server.intake
        intake.take(intake.decoder.datagrams(forms.POINTS[:1] * count, 0.0), 0.0)

    def close(self) -> None:
        """Stop looking at the log."""
        globalLogPublisher.removeObserver(self._log)
        self._case.clean_up()

    def talk(self, connection: Any, data: bytes) -> bytes:
        """What comes back when these bytes come in pieces, and then nothing more for a while."""
        cuts = sorted({crc32(data, n) % (len(data) + 1) for n in range(3)}) if crc32(data) % 2 else []
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            if connection.reading and start < end:
                connection.deliver(data[start:end])
        self.server.reactor.advance(0.05)
        sent: bytes = connection.flush()
        if connection.connected:
            connection.hang_up()
        self._came += 1
        if self._came % _FRESH_AFTER == 0:
            self.server.run_for(70, step=2.5)
        if self._faults:
            fault = self._faults[0]
            self._faults.clear()
            raise Broken(f"a fault was logged: {fault}")
        return sent

    def answers(self, data: bytes) -> list[Answer]:
        """The answers to what comes by a new connection."""
        sent = self.talk(self.server.connect(), data)
        heads = _heads(data)
        try:
            found = answers_in(_before_upgrade(sent), heads)
        except (AssertionError, ValueError) as error:
            raise Broken(f"no answers: {error}: {sent[:300]!r}") from None
        for answer in found:
            _answer_holds(answer)
        return found


def _before_upgrade(sent: bytes) -> bytes:
    begin, switched, _ = sent.partition(b"HTTP/1.1 101 ")
    return begin + (b"HTTP/1.1 101 S\r\n\r\n" if switched else b"")


def _heads(data: bytes) -> tuple[int, ...]:
    """Where requests are HEAD; told for those that come alone."""
    return tuple(range(100)) if data.startswith(b"HEAD ") else ()


def _answer_holds(answer: Answer) -> None:
    if answer.status not in _STATUSES:
        raise Broken(f"the status is {answer.status}: {answer.body[:300]!r}")
    if answer.headers.get("content-type", "").startswith("application/json") and answer.body:
        content = strict(answer.body)
        if answer.status >= 400 and "error" not in content and "rejected" not in content and "ok" not in content:
            raise Broken(f"an error without words: {answer.body[:300]!r}")
    elif answer.body:
        answer.body.decode("utf-8")


class Requests(_Web):
    """Requests, whole or in pieces, of every resource."""

    name = "http requests"
    of: ClassVar[tuple[str, ...]] = (
        *_Web.of,
        "pitwall.serve.tables",
        "pitwall.serve.csvtext",
        "pitwall.contract.parameters",
        "pitwall.serve.page",
    )
    samples = tuple(
        b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n" + headers + b"\r\n"
        for path, headers in (
            (b"/api/recent/100", b""),
            (b"/api/recent/00007?x=1", b"Origin: http://localhost:3000\r\n"),
            (b"/api/laps?chassis=GR86-004-78&track=barber&limit=10&format=csv", b"Accept: text/csv;q=0.5, */*\r\n"),
            (b"/api/gaps?track=barber", b"Accept: application/json\r\nUser-Agent: x\r\n"),
            (b"/api/insights?state=standing&type=strategy&limit=3", b"Accept: text/csv\r\nCookie: a=b\r\n"),
            (b"/api/ledger", b"Connection: close\r\n"),
            (b"/", b"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n"),
            (b"/metrics", b"Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain\r\n"),
            (b"/api/cars", b'If-None-Match: "x"\r\nRange: bytes=0-10\r\n'),
            (b"/client/pitwall-client.js", b"Accept-Encoding: gzip\r\n"),
            (b"/api/score", b"Authorization: Bearer x\r\n"),
        )
    )

    def decode(self, data: bytes) -> list[int]:
        """The statuses."""
        return [answer.status for answer in self.answers(data)]

    def judge(self, data: bytes, found: list[int]) -> str:
        """Accepted where the first answer is no error."""
        return ACCEPTED if found and found[0] < 400 else f"{found[0]}" if found else "no answer"


class Posts(Requests):
    """Requests with bodies, the fast path for plain ones among them, and handshakes."""

    name = "http posts"
    of: ClassVar[tuple[str, ...]] = (*_Web.of, "pitwall.serve.quickpost", "pitwall.ingest.http", "pitwall.wire.report")
    _body = forms.POINTS[0]
    samples = (
        *(
            b"POST /api/ingest HTTP/1.1\r\nHost: a\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (kind, len(body), body)
            for kind, body in (
                (b"application/json", forms.POINTS[0]),
                (b"application/json; charset=utf-8", forms.ARRAYS[0]),
                (b"text/csv", forms.WIDE_TEXTS[0]),
                (b"application/x-ndjson", forms.LINES[1]),
            )
        ),
        b"POST /api/ingest?track=barber&chassis=b&name=a.csv&upload=u1&last=1 HTTP/1.1\r\nHost: a\r\n"
        b"Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"9\r\nspeed,lap\r\n3\r\n\n1,\r\n2\r\n2\n\r\n0\r\n\r\n",
        b"POST /api/ingest HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n%b"
        % (len(_body), _body),
        handshake(
            b"Sec-WebSocket-Protocol: pitwall.msgpack\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
            b"/ws/realtime?since=abcd:7&max_hz=5",
        )
        + client_frame(ASKS[0]),
        b"OPTIONS /api/ingest HTTP/1.1\r\nHost: a\r\nOrigin: http://localhost\r\n"
        b"Access-Control-Request-Method: POST\r\n\r\n",
    )

    def judge(self, data: bytes, found: list[int]) -> str:
        """The fast path must say what the ordinary way says."""
        quick, self.server.site.quick = self.server.site.quick, None
        try:
            ordinary = self.decode(data)
        finally:
            self.server.site.quick = quick
        if ordinary != found:
            raise Broken(f"the fast path answers {found}, the ordinary way {ordinary}")
        return super().judge(data, found)


class _Bodies(_Web):
    """Bodies of one kind, and the answer to each."""

    of: ClassVar[tuple[str, ...]] = (
        "pitwall.ingest.http",
        "pitwall.wire.report",
        "pitwall.wire.live",
        "pitwall.wire.tables",
    )
    head: ClassVar[bytes] = b"Content-Type: application/json\r\n"

    def decode(self, data: bytes) -> Any:
        """What the answer says."""
        head = b"POST /api/ingest HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n" % (self.head, len(data))
        connection = self.server.connect()
        connection.deliver(head + data)
        self.server.reactor.advance(0.001)
        for _ in range(2000):
            sent = connection.flush()
            if sent or not connection.connected:
                break
            self.server.reactor.advance(0.001)
        connection.hang_up()
        self.server.reactor.advance(5)  # what waits for the rest of its instant goes
        self._came += 1
        if self._came % _FRESH_AFTER == 0:
            self.server.run_for(70, step=2.5)
        if self._faults:
            fault = self._faults[0]
            self._faults.clear()
            raise Broken(f"a fault was logged: {fault}")
        (answer,) = answers_in(sent)
        _answer_holds(answer)
        content = json.loads(answer.body)
        # What came before tells what becomes of rows of the long form: the second time they are duplicates.
        taken = (content.get("accepted") or 0) + (content.get("duplicates") or 0)
        return {"status": answer.status, "rows": taken + (content.get("rejected_total") or 0)}

    def judge(self, data: bytes, found: Any) -> str:
        """The books must be exact, and what was accepted be there."""
        if self._came % 20 == 0:
            ledger = self.server.books.answer(self.server.reactor.seconds())
            for door in ledger["doors"]:
                parts = door["accepted"] + sum(door["refused"].values()) + door["duplicate"] + door["pending"]
                if door["received"] != parts:
                    raise Broken(f"the books are not exact: {door}")
            for raw in self.server.hub.ring.newest(5):
                strict(raw)
        return ACCEPTED if found["status"] == 200 else str(found["status"])


class JsonBodies(_Bodies):
    """JSON."""

    name = "http json"
    samples = forms.BODIES


class LineBodies(_Bodies):
    """Lines of JSON."""

    name = "http lines"
    head = b"Content-Type: application/x-ndjson\r\n"
    samples = forms.LINES


class CsvBodies(_Bodies):
    """CSV."""

    name = "http csv"
    head = b"Content-Type: text/csv\r\n"
    samples = forms.WIDE_TEXTS[:1] + forms.LONG_TEXTS[:2] + forms.CSV_LINES[:1]


class PackedBodies(_Bodies):
    """Lines of JSON as gzip."""

    name = "http gzip"
    head = b"Content-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\n"
    samples = tuple(map(forms.packed, forms.LINES))


class Frames(_Web):
    """What a client of the WebSocket sends after its handshake, byte by byte."""

    name = "ws frames"
    of: ClassVar[tuple[str, ...]] = (
        "pitwall.serve.live.websocket",
        "pitwall.serve.live.frames",
        "pitwall.serve.live.joining",
        "pitwall.serve.live.delivery",
    )
    samples = (
        *(client_frame(ask) for ask in ASKS),
        client_frame(ASKS[0][:20], fin=False) + client_frame(b"", 9) + client_frame(ASKS[0][20:], opcode=0),
        client_frame(b"ping", 9) + client_frame(b"pong", 10) + client_frame(b"\x03\xe8bye", 8),
        b"".join(client_frame(bytes((65 + n,)), 1 if not n else 0, fin=n == 5) for n in range(6)),
        client_frame("ütf".encode()) + client_frame(b"\x81\xa4type\xa6resume", 2) + client_frame(b"x" * 300),
    )

    def __init__(self) -> None:
        super().__init__()
        self._watcher = Screen(self.server)

    def decode(self, data: bytes) -> list[int]:
        """The opcodes of what is said, and of the close the code."""
        screen = Screen(self.server, pongs=False)
        sent = self.talk(screen.connection, data)
        found = frames_in(sent[sent.index(b"\r\n\r\n") + 4 :])
        said = []
        for frame in found:
            if frame.opcode == 1:
                strict(frame.payload)
            if frame.opcode == 8:
                code = int.from_bytes(frame.payload[:2], "big") or 1005
                if code not in _CLOSING and not 3000 <= code < 5000:  # a client's own come back
                    raise Broken(f"closed with {code}, {frame.payload[2:]!r}")
                said.append(code)
            elif frame.opcode not in (1, 9, 10):
                raise Broken(f"a frame of opcode {frame.opcode}")
        return said

    def judge(self, data: bytes, found: list[int]) -> str:
        """The others get their points all the same."""
        if self._came % 20 == 0:
            before = len(self._watcher.messages())
            self.publish(1)
            self.server.run_for(0.3)
            if len(self._watcher.messages()) == before:
                raise Broken("another client got nothing")
        return str(found[0]) if found and not re.match("100[05]", str(found[0])) else ACCEPTED


TARGETS: tuple[type[Target], ...] = (Requests, Posts, JsonBodies, LineBodies, CsvBodies, PackedBodies, Frames)
