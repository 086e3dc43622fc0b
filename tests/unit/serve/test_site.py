"""``pitwall.serve.site``: HTTP with bounds, driven by the bytes on the wire."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.doubles import A_POINT, FakeConnection, Screen, WebServer, answers_in, publish
from tests.unit.serve.sites import HEALTH, SiteCase, chunked, post


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
