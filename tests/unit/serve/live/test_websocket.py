"""``pitwall.serve.live.websocket``: screens that come, say something, and go."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.live.websocket import MAX_CLIENT_MESSAGE, TelemetryClient
from tests.doubles import Screen, WebServer, answers_in, client_frame, handshake, publish


class TakeoverTests(SynchronousTestCase):
    """A connection begins as HTTP and goes on as a WebSocket."""

    def setUp(self) -> None:
        """A server."""
        self.server = WebServer(self)

    def test_handshake(self) -> None:
        """A client is let in as RFC 6455 says (its own example), and the server does not say what it is made of."""
        screen = Screen(self.server)
        self.assertEqual(screen.answer.status, 101)
        self.assertEqual(screen.answer.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.assertNotIn("server", screen.answer.headers)
        self.assertNotIn("sec-websocket-extensions", screen.answer.headers)
        self.assertEqual(list(self.server.broadcaster.clients), [screen.protocol])

    def test_two_types_in_text_frames(self) -> None:
        """A client that asks for nothing gets points and insights as text frames, and no more."""
        screen = Screen(self.server)
        raws = publish(self.server.hub, 3)
        self.server.run_for(0.02)
        self.server.broadcaster.tell({"data": []})
        self.assertEqual([frame.first_byte for frame in screen.frames()], [0x81, 0x81])
        telemetry, insight = screen.messages()
        self.assertEqual(telemetry["data"], list(map(json.loads, raws)))
        epoch = self.server.hub.epoch
        self.assertEqual(insight, {"type": "insight_update", "epoch": epoch, "insight_seq": 1, "data": []})

    def test_starts_with_what_comes(self) -> None:
        """A client gets what comes after it; ``prev`` of its first message is where the stream was."""
        publish(self.server.hub, 5)
        self.server.run_for(0.1)
        screen = Screen(self.server)
        publish(self.server.hub, 2)
        self.server.run_for(0.1)
        (update,) = screen.updates()
        self.assertEqual((update["prev"], update["seq"]), (5, 7))

    def test_http_has_let_go(self) -> None:
        """The HTTP side's deadlines do not touch a WebSocket, however long it lasts or how little it says."""
        screen = Screen(self.server)
        self.assertEqual(self.server.site.channels, set())
        for _ in range(20):
            self.server.run_for(15, step=0.1)
            screen.connection.flush()
            for frame in screen.frames()[-1:]:  # the ping
                screen.send(frame.payload, opcode=10)
        self.assertTrue(screen.connection.connected)
        publish(self.server.hub)
        self.server.run_for(0.1)
        self.assertEqual(screen.points(), [1])

    def test_on_a_used_connection(self) -> None:
        """A connection that has asked something before may become a WebSocket too."""
        connection = self.server.connect()
        connection.deliver(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.deliver(handshake())
        publish(self.server.hub)
        self.server.run_for(0.1)
        sent = connection.flush()
        before, _, after = sent.partition(b"HTTP/1.1 101 ")
        self.assertEqual(answers_in(before)[0].status, 200)
        self.assertIn(b"telemetry_update", after)

    def test_many_come_and_go(self) -> None:
        """Who leaves, cleanly or not, is counted out, and nothing of it stays behind."""
        for clean in (True, False) * 5:
            screen = Screen(self.server)
            if clean:
                screen.send(b"\x03\xe8", opcode=8)
                screen.connection.flush()
                self.assertEqual(screen.close_code, 1000)
            else:
                screen.connection.hang_up(clean=False)
        self.server.run_for(10)
        self.assertEqual(len(self.server.broadcaster.clients), 0)
        self.assertEqual(self.server.factory.countConnections, 0)
        self.assertEqual(self.server.reactor.getDelayedCalls(), [])
        self.assertEqual(self.server.hub.ledger.points_skipped, 0)

    def test_join_that_fails(self) -> None:
        """A fault while a client joins closes it with 1011 and is logged; the others are served."""

        def fault(transport: object) -> bool:
            raise RuntimeError("a fault")

        self.patch(TelemetryClient, "_join", fault)
        broken = Screen(self.server)
        self.assertEqual(broken.close_code, 1011)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(len(self.server.broadcaster.clients), 0)
        self.server.run_for(3)
        self.assertFalse(broken.connection.connected)


class RefusedHandshakeTests(SynchronousTestCase):
    """Who may not in is told why, in JSON."""

    def assert_refused(self, server: WebServer, request: bytes, status: int, says: str) -> None:
        """One JSON error, then the end where the WebSocket has taken over."""
        connection = server.connect()
        connection.deliver(request)
        (answer,) = answers_in(connection.flush())
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["content-type"], "application/json")
        content = json.loads(answer.body)
        self.assertFalse(content["ok"])
        self.assertIn(says, content["error"])
        self.assertEqual(len(server.broadcaster.clients), 0)

    def test_no_upgrade(self) -> None:
        """A plain GET is told that it wants an upgrade."""
        self.assert_refused(WebServer(self), b"GET /ws/realtime HTTP/1.1\r\nHost: x\r\n\r\n", 426, "WebSocket")

    def test_method(self) -> None:
        """Only GET becomes a WebSocket."""
        request = b"POST /ws/realtime HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        self.assert_refused(WebServer(self), request, 405, "GET")

    def test_foreign_page(self) -> None:
        """A page from elsewhere is refused, a listed one is not."""
        self.assert_refused(WebServer(self), handshake(b"Origin: http://evil.example\r\n"), 403, "ALLOWED_ORIGINS")
        server = WebServer(self, origins=["http://wall.example:*", "app://obsidian.md", "null"])
        self.assert_refused(server, handshake(b"Origin: http://localhost:3000\r\n"), 403, "ALLOWED_ORIGINS")
        for origin in (b"http://wall.example:3000", b"app://obsidian.md", b"null"):
            self.assertEqual(Screen(server, headers=b"Origin: %b\r\n" % origin).answer.status, 101, origin)

    def test_too_many(self) -> None:
        """Above ``MAX_CONNECTIONS`` a client is turned away until another leaves."""
        server = WebServer(self, most_clients=1)
        first = Screen(server)
        connection = server.connect()
        connection.deliver(handshake())
        self.assertEqual(answers_in(connection.flush())[0].status, 503)
        first.connection.hang_up()
        self.assertEqual(Screen(server).answer.status, 101)

    def test_below_its_path(self) -> None:
        """The WebSocket is at its path, not below it, nor at one that looks like it."""
        for path in (b"/ws/realtime/", b"/ws/realtime/x", b"/ws//realtime", b"/ws/realtim%65", b"/ws"):
            connection = WebServer(self).connect()
            connection.deliver(handshake(path=path))
            self.assertEqual(answers_in(connection.flush())[0].status // 100, 4, path)
        connection = WebServer(self).connect()
        connection.deliver(handshake(path=b"/ws/realtime?client=wall"))
        self.assertEqual(answers_in(connection.flush())[0].status, 101)

    def test_broken_handshakes(self) -> None:
        """A handshake that is wrong in any of its parts is answered 400 in JSON, and the connection ends."""
        good = handshake()
        for wanted, sent in (
            (b"Host: 127.0.0.1:8081\r\n", b"Host: 127.0.0.1:port\r\n"),
            (b"Connection: Upgrade", b"Connection: keep-alive"),
            (b"Upgrade: websocket", b"Upgrade: websocketz"),
            (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
            (b"dGhlIHNhbXBsZSBub25jZQ==", b"short"),
            (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZ\xe9=="),
            (b"Sec-WebSocket-Version: 13\r\n", b""),
            (b"Sec-WebSocket-Version: 13\r\n", b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a,a\r\n"),
        ):
            server = WebServer(self)
            connection = server.connect()
            connection.deliver(good.replace(wanted, sent))
            (answer,) = answers_in(connection.flush())
            self.assertEqual(answer.status, 400, sent)
            self.assertEqual(answer.headers["content-type"], "application/json")
            self.assertFalse(json.loads(answer.body)["ok"])
            self.assertFalse(connection.connected, sent)
            self.assertEqual(self.flushLoggedErrors(), [])

    def test_odd_extensions(self) -> None:
        """Extensions the server does not know are passed over; nonsense in their place never makes a traceback."""
        for value in (b"x-unknown", b"permessage-deflate; foo=1", b";;;,,=", b'permessage-deflate; a="', b"\xff\xfe"):
            server = WebServer(self, deflate=True)
            connection = server.connect()
            connection.deliver(handshake(b"Sec-WebSocket-Extensions: %b\r\n" % value))
            status = answers_in(connection.flush().partition(b"\r\n\r\n")[0] + b"\r\n\r\n", heads=(0,))[0].status
            self.assertIn(status, (101, 400), value)
            self.assertEqual(self.flushLoggedErrors(), [])


class ClientMessageTests(SynchronousTestCase):
    """What a client sends is ignored, within bounds."""

    def setUp(self) -> None:
        """A server with one client."""
        self.server = WebServer(self)
        self.screen = Screen(self.server)

    def assert_closed(self, code: int) -> None:
        """The client has got a close frame with this code; the connection ends though it does not answer."""
        self.assertEqual(self.screen.close_code, code)
        self.assertEqual(len(self.server.broadcaster.clients), 0)
        self.server.run_for(3)
        self.assertFalse(self.screen.connection.connected)

    def test_ignored(self) -> None:
        """Messages are taken and forgotten; the stream goes on."""
        for payload, opcode in ((b"hello", 1), (b"\x00\xff" * 500, 2), (b"x" * MAX_CLIENT_MESSAGE, 1)):
            self.screen.send(payload, opcode)
        publish(self.server.hub)
        self.server.run_for(0.1)
        self.assertEqual(self.screen.points(), [1])
        self.assertEqual(len(self.screen.frames()), 1)

    def test_ping_of_the_client(self) -> None:
        """A client's ping is answered with its own payload."""
        self.screen.send(b"are you there", opcode=9)
        self.screen.connection.flush()
        self.assertEqual([(frame.opcode, frame.payload) for frame in self.screen.frames()], [(10, b"are you there")])

    def test_too_long(self) -> None:
        """A message over 64 KiB closes the connection with 1009, and its bytes are not kept."""
        self.screen.connection.deliver(client_frame(b"x" * (MAX_CLIENT_MESSAGE + 1)))
        self.screen.connection.flush()
        self.assert_closed(1009)

    def test_too_long_in_parts(self) -> None:
        """So does one that is too long only in all its frames together."""
        self.screen.connection.deliver(client_frame(b"x" * 40_000, fin=False))
        self.screen.connection.deliver(client_frame(b"x" * 40_000, opcode=0))
        self.screen.connection.flush()
        self.assert_closed(1009)

    def test_announced_gigabytes(self) -> None:
        """A frame that announces gigabytes is closed on its announcement, and what comes of it is not held."""
        self.screen.connection.deliver(b"\x81\xff" + (1 << 40).to_bytes(8, "big") + bytes(4))
        for _ in range(20):
            self.screen.connection.deliver(b"x" * 65536)
        self.screen.connection.flush()
        self.assertLess(len(self.screen.protocol.data), 1 << 17)
        self.assert_closed(1009)

    def test_not_utf8(self) -> None:
        """Text that is none closes with 1007."""
        self.screen.send(b"\xff\xff")
        self.screen.connection.flush()
        self.assert_closed(1007)

    def test_not_masked(self) -> None:
        """A frame that breaks the protocol closes with 1002."""
        self.screen.connection.deliver(b"\x81\x02hi")
        self.screen.connection.flush()
        self.assert_closed(1002)

    def test_nothing_after_a_close_frame(self) -> None:
        """Once a close frame has gone out, for whatever reason, no telemetry follows it."""
        self.screen.connection.deliver(b"\x81\x02hi")
        publish(self.server.hub, 5)
        self.server.run_for(0.1)
        self.server.broadcaster.tell({})
        self.screen.connection.flush()
        self.assertEqual([frame.opcode for frame in self.screen.frames()], [8])


class PingTests(SynchronousTestCase):
    """Pings find who is gone without a word."""

    def setUp(self) -> None:
        """A server with one client."""
        self.server = WebServer(self)
        self.screen = Screen(self.server)

    def test_answered(self) -> None:
        """A client that answers its pings stays."""
        for _ in range(60):
            self.server.run_for(2)
            seen = len(self.screen.pings())
        self.assertGreaterEqual(seen, 5)
        self.assertTrue(self.screen.connection.connected)

    def test_not_answered(self) -> None:
        """A client that does not is cut within forty seconds, and counted out."""
        self.server.screens.clear()
        self.server.run_for(41, step=0.1)
        self.assertFalse(self.screen.connection.connected)
        self.assertEqual(len(self.server.broadcaster.clients), 0)


class CloseAllTests(SynchronousTestCase):
    """When the server ends, its clients are told."""

    def setUp(self) -> None:
        """A server."""
        self.server = WebServer(self)

    def test_nobody(self) -> None:
        """Without clients it is done at once, and no timer stays."""
        self.assertIsNone(self.successResultOf(self.server.factory.close_all(2.0)))
        self.assertEqual(self.server.reactor.getDelayedCalls(), [])

    def test_last_points_then_goodbye(self) -> None:
        """Every client gets what is unsent, then 1001; it is over when the last one has answered."""
        screens = [Screen(self.server) for _ in range(3)]
        publish(self.server.hub)
        self.server.reactor.advance(0)
        publish(self.server.hub, 5)
        done = self.server.factory.close_all(2.0)
        for screen in screens:
            self.assertNoResult(done)
            self.assertEqual(screen.points(), [1, 2, 3, 4, 5, 6])
            screen.connection.flush()
            self.assertEqual(screen.close_code, 1001)
            screen.send(b"\x03\xe9", opcode=8)
            screen.connection.flush()
        self.assertIsNone(self.successResultOf(done))
        self.server.run_for(0.1)
        self.assertEqual(self.server.factory.countConnections, 0)

    def test_frozen_clients_are_cut(self) -> None:
        """Those that do not answer are cut after the time they were given."""
        frozen, awake = Screen(self.server, room=0), Screen(self.server)
        publish(self.server.hub, 1000, padding=1000)
        done = self.server.factory.close_all(1.0)
        awake.connection.flush()
        awake.send(b"\x03\xe9", opcode=8)
        self.server.run_for(0.9)
        self.assertNoResult(done)
        self.server.run_for(0.2)
        self.assertIsNone(self.successResultOf(done))
        self.assertFalse(frozen.connection.connected)

    def test_autobahn_cuts_first(self) -> None:
        """It is over once, whoever cuts the last client."""
        Screen(self.server, room=0)
        done = self.server.factory.close_all(60.0)
        self.server.run_for(2.1)
        self.assertIsNone(self.successResultOf(done))
        self.server.run_for(70, step=1)

    def test_gone_meanwhile(self) -> None:
        """A client that hangs up instead of answering is not waited for."""
        screen = Screen(self.server)
        done = self.server.factory.close_all(2.0)
        screen.connection.hang_up(clean=False)
        self.assertIsNone(self.successResultOf(done))

    def test_twice(self) -> None:
        """Ending twice does no harm."""
        Screen(self.server, room=0)
        first, second = self.server.factory.close_all(2.0), self.server.factory.close_all(2.0)
        self.assertIsNone(self.successResultOf(second))
        self.server.run_for(3)
        self.assertIsNone(self.successResultOf(first))
