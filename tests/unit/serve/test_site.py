"""``pitwall.serve.site``: HTTP with bounds, driven by the bytes on the wire."""

from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.doubles import A_POINT, Answer, FakeConnection, Screen, WebServer, answers_in, handshake, publish

#: What 15 s come to when the chores are done every second, or the drops fall every half.
ABOUT_15_S = (15.0, 15.5, 16.0, 16.5, 17.0)
HEALTH = b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n"


def post(body: bytes, *headers: bytes, path: bytes = b"/api/ingest") -> bytes:
    """A POST of a body, its length included."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (path, lines, len(body), body)


def chunked(*chunks: bytes) -> bytes:
    """A POST of a body in chunks."""
    head = b"POST /api/ingest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


class SiteCase(SynchronousTestCase):
    """A server to talk to."""

    def setUp(self) -> None:
        """A server that takes bodies up to 1000 bytes."""
        self.server = WebServer(self, max_body=1000)

    def assert_error(self, answer: Answer, status: int) -> None:
        """An error in JSON."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["content-type"], "application/json")
        content = json.loads(answer.body)
        self.assertIs(content["ok"], False)
        self.assertIsInstance(content["error"], str)


class AnswerTests(SiteCase):
    """Answers are whole, in order, and as many as were asked for."""

    def test_head_is_not_logged(self) -> None:
        """Nothing is logged about a HEAD, whatever is answered; it tells the length, and the next answer follows."""
        with capturedLogs() as logged:
            for path in (b"/ws/realtime", b"*", b"/nowhere", b"/api/ingest", b"/api/%ff", b"/metrics", b"/api/health"):
                head = b"HEAD %b HTTP/1.1\r\nHost: x\r\n\r\n" % path
                connection = self.server.connect()
                connection.deliver(head + HEALTH)
                told = connection.flush()
                first, _, rest = told.partition(b"\r\n\r\n")
                self.assertRegex(first, rb"(?i)content-length: [1-9]")
                self.assertTrue(rest.startswith(b"HTTP/1.1 200 OK"), told)
            connection = self.server.connect()
            connection.deliver(b"HEAD / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
            self.assertTrue(connection.flush().startswith(b"HTTP/1.1 400 "))
        self.assertEqual(logged, [])

    def test_folded_header(self) -> None:
        """A header that goes on in the next line is refused, whichever it is: proxies disagree on it."""
        for lines in (b"Transfer-Encoding:\r\n chunked", b"Transfer-Encoding: chunked\r\n\t", b"X: a\r\n b", b" X: a"):
            connection = self.server.connect()
            connection.deliver(b"POST /api/ingest HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n0\r\n\r\n" % lines + HEALTH)
            (answer,) = answers_in(connection.flush())
            self.assert_error(answer, 400)

    def test_length_not_chunks(self) -> None:
        """An answer says its length."""
        (answer,) = self.server.ask(HEALTH)
        self.assertEqual(json.loads(answer.body), {"ok": True})
        self.assertEqual(answer.headers["content-length"], str(len(answer.body)))

    def test_many_on_one_connection(self) -> None:
        """A connection serves thousands of requests, one after another."""
        connection = self.server.connect()
        for _ in range(2000):
            connection.deliver(post(A_POINT))
            connection.flush()
        answers = answers_in(connection.flush())
        self.assertEqual([answer.status for answer in answers], [200] * 2000)
        self.assertEqual(self.server.hub.ledger.accepted["http"], 2000)
        self.assertTrue(connection.connected)

    def test_pipelined(self) -> None:
        """Requests that come in one piece are answered in their order, however the piece is cut."""
        requests = post(A_POINT) + HEALTH + b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" + chunked(A_POINT) + HEALTH
        expected = [200, 200, 404, 200, 200]
        self.assertEqual([answer.status for answer in self.server.ask(requests)], expected)
        for size in (1, 7, 100):
            pieces = [requests[start : start + size] for start in range(0, len(requests), size)]
            self.assertEqual([answer.status for answer in self.server.ask(*pieces)], expected)

    def test_pipelined_behind_a_slow_one(self) -> None:
        """An answer that takes its time holds those behind it back, and no order is lost."""
        slow: Deferred[bytes] = Deferred()
        self.patch(self.server.api, "_ingest", lambda request: slow)
        connection = self.server.connect()
        connection.deliver(post(A_POINT) + HEALTH)
        connection.deliver(HEALTH)
        self.assertEqual(connection.flush(), b"")
        slow.callback(b'{"slow":true}')
        bodies = [answer.body for answer in answers_in(connection.flush())]
        self.assertEqual(bodies, [b'{"slow":true}', b'{"ok":true}', b'{"ok":true}'])

    def test_http_1_0(self) -> None:
        """An old client gets its answer, and the end of the connection as its end."""
        connection = self.server.connect()
        connection.deliver(b"GET /api/health HTTP/1.0\r\n\r\n")
        (answer,) = answers_in(connection.flush())
        self.assertEqual(answer.status, 200)
        self.assertFalse(connection.connected)

    def test_connection_close(self) -> None:
        """Who asks for one answer gets one."""
        connection = self.server.connect()
        connection.deliver(b"GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + HEALTH)
        self.assertEqual(len(answers_in(connection.flush())), 1)
        self.assertFalse(connection.connected)

    def test_head(self) -> None:
        """HEAD tells what GET would, without its body; the next answer follows at once."""
        for path in (b"/api/health", b"/nowhere", b"/ws/realtime"):
            head, get = b"HEAD %b HTTP/1.1\r\nHost: x\r\n\r\n" % path, b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path
            connection = self.server.connect()
            connection.deliver(head + get)
            first, second = answers_in(connection.flush(), heads=(0,))
            if path != b"/ws/realtime":
                self.assertEqual((first.status, first.headers), (second.status, second.headers), path)
            self.assertNotEqual(first.headers["content-length"], "0")

    def test_options(self) -> None:
        """OPTIONS is answered 204, which has no body and no length, for any path and for none in particular."""
        for path in (b"/api/ingest", b"/nowhere", b"*"):
            (answer,) = self.server.ask(b"OPTIONS %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            self.assertEqual(answer.status, 204, path)
            self.assertNotIn("content-length", answer.headers)
            self.assertNotIn("content-type", answer.headers)

    def test_no_path(self) -> None:
        """A target that is no path is answered in JSON too."""
        for target in (b"*", b"xapi/health", b"?", b"http://x/api/health"):
            (answer,) = self.server.ask(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
            self.assert_error(answer, 400)


class BodyLimitTests(SiteCase):
    """A body over ``MAX_BODY`` is answered 413 and not read."""

    def assert_too_large(self, connection: FakeConnection) -> None:
        """One answer; then the connection takes what comes without looking at it, and is cut two seconds later."""
        (answer,) = answers_in(connection.flush())
        self.assert_error(answer, 413)
        self.assertEqual(answer.headers["connection"], "close")
        self.assertTrue(connection.kernel.write_closed)
        for _ in range(10):
            connection.deliver(b"x" * 65536)
        connection.deliver(HEALTH)
        self.assertEqual(len(answers_in(connection.flush())), 1)
        self.assertEqual(self.server.hub.last_seq, 0)
        self.server.run_for(2.1)
        self.assertFalse(connection.connected)
        self.assertEqual(self.server.site.channels, set())

    def test_at_the_limit(self) -> None:
        """A body of exactly the limit is taken, however it comes."""
        body = A_POINT + b" " * (1000 - len(A_POINT))
        self.assertEqual([answer.status for answer in self.server.ask(post(body), chunked(body))], [200, 200])
        self.assertEqual([answer.status for answer in self.server.ask(chunked(body[:500], body[500:]))], [200])

    def test_announced(self) -> None:
        """A length over it is refused at once, before a byte of the body has come."""
        connection = self.server.connect()
        connection.deliver(post(b"x" * 1001).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        self.assert_too_large(connection)

    def test_announced_beyond_belief(self) -> None:
        """So is one of four thousand digits."""
        connection = self.server.connect()
        connection.deliver(b"POST /api/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\n\r\n" % (b"9" * 4000))
        self.assert_too_large(connection)

    def test_body_in_the_same_piece(self) -> None:
        """The body may have come along with the head, and the next request behind it: neither is looked at."""
        connection = self.server.connect()
        connection.deliver(post(b"x" * 1001) + post(A_POINT))
        self.assert_too_large(connection)

    def test_chunked(self) -> None:
        """A chunked body is refused when it has grown too large."""
        connection = self.server.connect()
        connection.deliver(chunked(b"x" * 600, b"x" * 400)[:-5])
        self.assertEqual(connection.flush(), b"")
        connection.deliver(b"1\r\nx\r\n")
        self.assert_too_large(connection)

    def test_chunked_and_malformed_at_once(self) -> None:
        """Two things wrong in one piece are one answer."""
        connection = self.server.connect()
        connection.deliver(chunked(b"x" * 1001)[:-5] + b"zz\r\n" + HEALTH)
        self.assert_too_large(connection)

    def test_expecting_to_be_asked(self) -> None:
        """A client that waits for leave to send (as curl does above a megabyte) gets 413 in its place."""
        connection = self.server.connect()
        connection.deliver(post(b"x" * 1001, b"Expect: 100-continue").partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        self.assert_too_large(connection)

    def test_leave_to_send(self) -> None:
        """With a body that will do it gets leave, and then its answer."""
        head, _, body = post(A_POINT, b"Expect: 100-continue").partition(b"\r\n\r\n")
        connection = self.server.connect()
        connection.deliver(head + b"\r\n\r\n")
        self.assertEqual(connection.flush(), b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.deliver(body)
        self.assertEqual([answer.status for answer in answers_in(connection.flush())], [100, 200])

    def test_limit_is_for_every_path(self) -> None:
        """It makes no difference where the body goes."""
        (answer,) = self.server.ask(post(b"x" * 1001, path=b"/nowhere"))
        self.assert_error(answer, 413)


class BudgetTests(SiteCase):
    """What all connections hold together is bounded, and what is small comes through all the same."""

    def setUp(self) -> None:
        """A server that takes large bodies."""
        self.server = WebServer(self, max_body=8 << 20)

    def begun(self, size: int) -> FakeConnection:
        """A connection with a body of which so much has come, and more is to come."""
        connection = self.server.connect()
        connection.deliver(b"POST /api/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (size + 1))
        for start in range(0, size, 1 << 18):
            if connection.reading:
                connection.deliver(b" " * min(size - start, 1 << 18))
        return connection

    def test_bodies(self) -> None:
        """Bodies under way hold 64 MiB, and a large one on top is answered 503; single points are taken."""
        connections = [self.begun(4 << 20) for _ in range(40)]
        refused = [connection for connection in connections if connection.flush()]
        self.assertLess(self.server.site.bodies.held, 66 << 20)
        self.assertEqual(len(refused), 24)
        for connection in refused:
            (answer,) = answers_in(connection.flush())
            self.assert_error(answer, 503)
        self.assertEqual([answer.status for answer in self.server.ask(post(A_POINT), chunked(A_POINT))], [200, 200])
        for connection in connections[: -len(refused)]:
            connection.hang_up()
        self.server.run_for(2.1)
        self.assertEqual(self.server.site.bodies.held, 0)
        self.assertEqual(self.begun(4 << 20).flush(), b"")

    def test_given_back(self) -> None:
        """A body that was answered, refused or broken off holds nothing any more."""
        self.server.ask(post(A_POINT + b" " * 100_000))
        self.server.ask(post(b"x" * 100_000, path=b"/nowhere"))
        self.server.ask(post(b"x" * 100_000, b"Content-Type: text/html"))
        self.begun(200_000).hang_up(clean=False)
        self.server.ask(chunked(b"x" * (5 << 20), b"x" * (5 << 20)))
        self.server.run_for(3)
        self.assertEqual(self.server.site.bodies.held, 0)

    def test_answers_that_nobody_reads(self) -> None:
        """Answers that wait hold 64 MiB and one more; then a GET is answered 503, but health, posts and screens not."""
        publish(self.server.hub, 5000, padding=1000)
        connections = [self.server.connect(room=1000) for _ in range(40)]
        for connection in connections:
            connection.deliver(b"GET /api/recent/5000 HTTP/1.1\r\nHost: x\r\n\r\n")
        size = len(self.server.hub.ring.newest(1)[0]) * 5000
        self.assertLess(sum(len(connection.waiting) for connection in connections), (64 << 20) + 1.1 * size)
        recent = b"GET /api/recent/1 HTTP/1.1\r\nHost: x\r\n\r\n"
        (answer,) = self.server.ask(recent)
        self.assert_error(answer, 503)
        self.assertEqual([answer.status for answer in self.server.ask(HEALTH, post(A_POINT))], [200, 200])
        self.assertEqual(Screen(self.server).answer.status, 101)
        for connection in connections[:20]:
            connection.flush()
        for connection in connections[20:]:
            connection.hang_up(clean=False)
        self.assertEqual(self.server.site.unread.held, 0)
        self.assertEqual(self.server.ask(recent)[0].status, 200)


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


class QuickWayTests(SiteCase):
    """A plain post that comes whole in one read takes a shorter way, which nobody can tell."""

    KIND = b"Content-Type: application/json"

    def test_same_answer(self) -> None:
        """The answer is the same whether a post comes in one piece or in two."""
        for body in (A_POINT, b"[%b,{}]" % A_POINT, b"{}", b"", b" " + A_POINT + b"\n", b"\xef\xbb\xbf[]", b"\xff"):
            request = post(body, self.KIND)
            (whole,) = self.server.ask(request)
            (halves,) = self.server.ask(request[:20], request[20:])
            self.assertEqual((whole.status, whole.body), (halves.status, halves.body), body)
            for header in ("content-type", "x-content-type-options", "cache-control", "content-length"):
                self.assertEqual(whole.headers[header], halves.headers[header])

    def test_among_others(self) -> None:
        """Plain posts and other requests take turns on one connection, in pieces of any form, each with its answer."""
        plain = post(A_POINT, self.KIND)
        pieces = [plain, HEALTH, plain, plain[:30], plain[30:], plain + HEALTH + plain, plain, b"\r\n", plain]
        answers = self.server.ask(*pieces)
        self.assertEqual(
            [b"accepted" in answer.body for answer in answers], [True, False, True, True, True, False] + [True] * 3
        )
        self.assertEqual(self.server.hub.last_seq, 7)

    def test_behind_a_slow_one(self) -> None:
        """A post does not overtake the answer that is being worked at."""
        slow: Deferred[bytes] = Deferred()
        self.patch(self.server.api, "_ingest", lambda request: slow)
        connection = self.server.connect()
        connection.deliver(chunked(A_POINT))
        connection.deliver(post(A_POINT, self.KIND))
        self.assertEqual(connection.flush(), b"")
        slow.callback(b"{}")
        self.assertEqual(len(answers_in(connection.flush())), 2)

    def test_max_body(self) -> None:
        """``MAX_BODY`` holds for it too."""
        (answer,) = self.server.ask(post(b" " * 990 + A_POINT, self.KIND))
        self.assert_error(answer, 413)

    def test_idle_between(self) -> None:
        """Each post keeps its connection for another 15 s."""
        connection = self.server.connect()
        for _ in range(5):
            connection.deliver(post(A_POINT, self.KIND))
            self.server.run_for(14, step=1)
        self.assertEqual(len(answers_in(connection.flush())), 5)

    def test_answers_nobody_reads(self) -> None:
        """A client that posts and never reads is no longer listened to above 64 KiB of answers, and then given up."""
        connection = self.server.connect(room=0)
        posts = 0
        while connection.reading:
            connection.deliver(post(A_POINT, self.KIND))
            posts += 1
        self.assertLess(len(connection.waiting), 70_000)
        self.assertEqual(self.server.hub.last_seq, posts)
        self.server.run_for(80, step=1)
        self.assertFalse(connection.connected)
