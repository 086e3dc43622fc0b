"""``pitwall.serve.site`` and requests that are malformed, too slow, or whose answers nobody reads."""

from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tests.doubles import A_POINT, FakeConnection, answers_in, handshake, publish
from tests.unit.serve.sites import ABOUT_15_S, HEALTH, SiteCase, chunked, post


class MalformedRequestTests(SiteCase):
    """What is no request is answered 400, once, and nothing behind it is taken for one."""

    def assert_one_400(self, request: bytes) -> None:
        """One 400 in JSON, no point taken, no traceback logged; then the end."""
        behind = post(A_POINT) + HEALTH
        connection = self.server.connect()
        connection.deliver(request + behind)
        (answer,) = answers_in(connection.flush())
        self.assert_error(answer, 400)
        self.assertEqual(self.server.hub.last_seq, 0, request)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.server.run_for(2.1)
        self.assertFalse(connection.connected)

    def test_no_http(self) -> None:
        """Other protocols and noise are turned away."""
        for noise in (b"\x16\x03\x01\x02\x00", b"hello", b"GET /\r\n", b"GET / HTTP/3.0\r\n", b"\x00"):
            self.assert_one_400(noise + b"\r\n")

    def test_bad_headers(self) -> None:
        """A bad header ends the request at once, also when good ones and a body follow it."""
        for header in (
            b"no colon",
            b"Bad Name: x",
            b"Content-Length : 5",
            b": empty",
            b"X: a\x00b",
            b"X: a\nb: c",
            b"Content-Length: abc",
            b"Content-Length: -1",
            b"Content-Length: +5",
            b"Content-Length: 5, 5",
            b"Content-Length: 0x5",
            b"Content-Length: " + b"9" * 5000,
            b"Transfer-Encoding: gzip",
            b"Transfer-Encoding: identity",
            b"Transfer-Encoding:",
            b"Transfer-Encoding: chunked;q=1",
            b"Transfer-Encoding: \x0bchunked",
            b"Transfer-Encoding : chunked",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: chunked, identity",
        ):
            self.assert_one_400(b"POST /api/ingest HTTP/1.1\r\n" + header + b"\r\nHost: x\r\n\r\n" + A_POINT)
            self.assert_one_400(b"POST /api/ingest HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n" + A_POINT)

    def test_two_lengths(self) -> None:
        """A request whose length can be read in two ways is none: no request can be hidden in another's body."""
        hidden = post(A_POINT)
        for headers in (
            b"Content-Length: %d\r\nTransfer-Encoding: chunked" % len(hidden),
            b"Transfer-Encoding: chunked\r\nContent-Length: %d" % len(hidden),
            b"Content-Length: 5\r\nContent-Length: %d" % len(hidden),
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ):
            request = b"POST /nowhere HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n\r\n"
            self.assert_one_400(request + b"0\r\n\r\n" + hidden)

    def test_old_client(self) -> None:
        """Before HTTP/1.1 there are no chunks: a proxy that does not know them would see two requests."""
        request = chunked(A_POINT).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        self.assert_one_400(request)

    def test_hosts(self) -> None:
        """A request is for one host: one that names none, two, or something else is refused for any path and method."""
        for method, path in ((b"GET", b"/"), (b"POST", b"/api/ingest"), (b"OPTIONS", b"*"), (b"GET", b"/ws/realtime")):
            for hosts in ((), (b"x", b"x"), (b"x", b"y"), (b"x y",), (b"x:port",), (b"x, y",), (b"u@x",), (b"[::1",)):
                lines = b"".join(b"Host: %b\r\n" % host for host in hosts)
                self.assert_one_400(b"%b %b HTTP/1.1\r\n%b\r\n" % (method, path, lines))
        for host in (b"x", b"x:8081", b"[::1]:8081", b"127.0.0.1:", b"pit_wall.example", b""):
            (answer,) = self.server.ask(b"GET /api/health HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
            self.assertEqual(answer.status, 200, host)

    def test_bad_chunks(self) -> None:
        """A chunk whose size is no number, or that does not end where it says, ends the connection."""
        head = chunked()[:-5]
        for body in (b"zz\r\n", b"-1\r\nx", b"5\r\nabcdefgh\r\n", b"0x5\r\nabcde\r\n", b"1 1\r\nx\r\n", b"\r\n"):
            self.assert_one_400(head + body)

    def test_long_head(self) -> None:
        """A line or a head of over 16 KiB, or of over 500 lines, is refused and not kept."""
        for request in (
            b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"x" * 17_000 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 600 + b"\r\n",
            b"GET / HTTP/1.1\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * 20 + b"\r\n",
        ):
            self.assert_one_400(request)

    def test_endless_line(self) -> None:
        """A line that never ends is refused as soon as it is too long."""
        connection = self.server.connect()
        for _ in range(3):
            connection.deliver(b"x" * 8000)
        (answer,) = answers_in(connection.flush())
        self.assert_error(answer, 400)

    @settings(max_examples=150, deadline=None)
    @given(
        method=st.sampled_from([b"GET", b"POST", b"OPTIONS", b"PUT", b"get", b"G\xc9T"]) | st.binary(max_size=8),
        target=st.sampled_from([b"/", b"/api/recent/", b"/api/ingest", b"/ws/realtime", b"//", b"/%ff", b"/%00"])
        | st.binary(max_size=20).map(lambda tail: b"/" + tail)
        | st.binary(max_size=20).map(lambda tail: b"/api/recent/" + tail),
        headers=st.lists(
            st.tuples(
                st.sampled_from([b"Host", b"Origin", b"Content-Type", b"Upgrade", b"Cookie", b"Expect", b"X"]),
                st.sampled_from([b"websocket", b"[::1", b"x:port", b"\xff", b"xn--\xe9", b"..", b"a" * 64 + b".b"])
                | st.binary(max_size=20),
            ),
            max_size=4,
        ),
        body=st.none() | st.binary(max_size=40),
    )
    @example(b"GET", b"/api/health", [(b"Host", b"\xff\xfe")], None)
    @example(b"GET", b"/api/%ff", [(b"Host", b"x")], None)
    @example(b"GET", b"/", [(b"Host", b"a" * 64 + b".example")], None)
    def test_any_request(
        self, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes | None
    ) -> None:
        """Whatever is asked: an answer in JSON that is not the server's fault, no HTML, and nothing in the log."""
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
        connection = self.server.connect()
        connection.deliver(b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method, target, lines, length, body or b""))
        if connection.reading:
            connection.deliver(b"\r\n\r\n")
        sent = connection.flush()
        self.assertNotIn(b"<", sent)
        self.assertEqual(self.flushLoggedErrors(), [])
        for answer in answers_in(sent):
            self.assertLess(answer.status, 500)
            self.assertEqual(answer.headers.get("content-type", "application/json"), "application/json")
            if answer.body:
                json.loads(answer.body)


class DeadlineTests(SiteCase):
    """A connection that is not used, or used up slowly, is not kept."""

    def used(self, first: bytes) -> FakeConnection:
        """A connection over which this has come."""
        connection = self.server.connect()
        connection.deliver(first)
        connection.flush()
        return connection

    def idle(self, connection: FakeConnection) -> float:
        """How long a connection stands over which nothing comes [s]."""
        began = self.server.reactor.seconds()
        while connection.connected:
            self.server.run_for(1, step=1)
            connection.flush()
        return self.server.reactor.seconds() - began

    def drip(self, connection: FakeConnection, request: bytes) -> float:
        """How long a connection stands over which a request comes byte by byte, two a second [s]."""
        began = self.server.reactor.seconds()
        for n in range(len(request)):
            self.server.run_for(0.5, step=0.5)
            if not connection.reading:
                break
            connection.deliver(request[n : n + 1])
        return self.server.reactor.seconds() - began

    def test_says_nothing(self) -> None:
        """A connection that never asks anything is closed after 15 s."""
        self.assertIn(self.idle(self.server.connect()), ABOUT_15_S)

    def test_dripping_head(self) -> None:
        """A head that drips is cut 15 s after its first byte, however steadily it drips."""
        self.assertIn(self.drip(self.server.connect(), HEALTH * 10), ABOUT_15_S)

    def test_dripping_body(self) -> None:
        """So is a body."""
        connection = self.used(post(b" " * 500).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        self.assertIn(self.drip(connection, b" " * 500), ABOUT_15_S)
        self.assertEqual(connection.kernel.taken, b"")

    def test_dripping_handshake(self) -> None:
        """The handshake of a WebSocket has 5 s."""
        request = handshake(b"X: %b\r\n" % (b"x" * 500), path=b"/ws/realtime?snapshot=1")
        connection = self.used(request[:60])
        self.assertIn(self.drip(connection, request[60:]), (5.0, 5.5, 6.0, 6.5))

    def test_other_deadline(self) -> None:
        """``REQUEST_SECONDS`` is another time for all of these."""
        self.server.site.deadline_s = 40.0
        self.assertIn(self.idle(self.server.connect()), (40.0, 41.0, 42.0))
        self.assertGreater(self.drip(self.server.connect(), HEALTH * 10), 39.0)

    def test_idle_after_an_answer(self) -> None:
        """A connection that is kept alive may idle for 15 s, and any request in time keeps it."""
        connection = self.used(HEALTH)
        for _ in range(5):
            self.server.run_for(14, step=1)
            connection.deliver(HEALTH)
        self.assertEqual(len(answers_in(connection.flush())), 6)
        self.assertIn(self.idle(connection), ABOUT_15_S)

    def test_at_work(self) -> None:
        """A request that is whole may take as long as its answer needs; then the time runs anew."""
        slow: Deferred[bytes] = Deferred()
        self.patch(self.server.api, "_ingest", lambda request: slow)
        connection = self.used(post(A_POINT))
        self.server.run_for(60, step=1)
        self.assertTrue(connection.connected)
        slow.callback(b"{}")
        self.server.run_for(14, step=1)
        self.assertTrue(connection.connected)

    def test_slow_download(self) -> None:
        """A client on a slow line gets its answer whole, though that takes it longer than 15 s."""
        publish(self.server.hub, 5000, padding=50)
        connection = self.server.connect(room=0)
        connection.deliver(b"GET /api/recent/5000 HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(40):
            self.server.run_for(1, step=1)
            connection.flush(read=40_000)
        (answer,) = answers_in(connection.flush())
        self.assertEqual(len(json.loads(answer.body)["recent"]), 5000)
        self.server.run_for(20, step=1)
        connection.flush()
        self.assertFalse(connection.connected)

    def test_answer_that_nobody_reads(self) -> None:
        """An answer that is not read at all is given up after a minute more."""
        publish(self.server.hub, 5000, padding=50)
        connection = self.server.connect(room=0)
        connection.deliver(b"GET /api/recent/5000 HTTP/1.1\r\nHost: x\r\n\r\n")
        self.server.run_for(74, step=1)
        self.assertTrue(connection.connected)
        self.server.run_for(3, step=1)
        self.assertFalse(connection.connected)

    def test_gone(self) -> None:
        """A connection that is gone is forgotten, in the middle of a request too."""
        for first in (b"", b"GET /", post(A_POINT)[:-5], HEALTH):
            connection = self.server.connect()
            if first:
                connection.deliver(first)
            self.assertEqual(len(self.server.site.channels), 1)
            connection.hang_up(clean=False)
            self.assertEqual(self.server.site.channels, set())


class SlowReaderTests(SiteCase):
    """A client that asks and does not read fills no memory."""

    def test_pipeline_waits(self) -> None:
        """The next answer of a pipeline is made when the one before has gone out; all come in the end."""
        publish(self.server.hub, 2000, padding=50)
        asked: list[int] = []
        newest = self.server.hub.ring.newest

        def noted(count: int) -> list[bytes]:
            asked.append(count)
            return newest(count)

        self.patch(self.server.hub.ring, "newest", noted)
        connection = self.server.connect(room=0)
        connection.deliver(b"GET /api/recent/5000 HTTP/1.1\r\nHost: x\r\n\r\n" * 8)
        self.assertEqual(len(asked), 1)
        self.assertFalse(connection.reading)
        most = len(connection.waiting)
        while len(asked) < 8:
            before = len(asked)
            connection.flush(read=100_000)
            self.assertLessEqual(len(asked), before + 1)
            self.assertLessEqual(len(connection.waiting), most)
        answers = answers_in(connection.flush())
        self.assertEqual([answer.body for answer in answers], [answers[0].body] * 8)
        connection.deliver(HEALTH)
        self.assertEqual(answers_in(connection.flush())[-1].body, b'{"ok":true}')
