"""The opening handshake (RFC 6455, sections 4.1 and 4.2): what is let in, and what is told why not."""

from __future__ import annotations

import json

from tests.doubles import Answer, answers_in, handshake
from tests.unit.serve.live.conformance.case import ConformanceCase

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
HOST = b"Host: 127.0.0.1:8081\r\n"
UPGRADE = b"Upgrade: websocket\r\n"
CONNECTION = b"Connection: Upgrade\r\n"


class HandshakeTests(ConformanceCase):
    """The server says 101, or what was wrong, in JSON."""

    def answer(self, request: bytes) -> Answer:
        """The answer to a handshake; who watches is not harmed by it."""
        connection = self.server.connect()
        connection.deliver(request)
        head, separator, rest = connection.flush().partition(b"\r\n\r\n")
        (answer,) = answers_in(head + separator + rest)
        self.assert_others_served()
        connection.hang_up()
        return answer

    def assert_taken(self, request: bytes) -> Answer:
        """The handshake is taken, and the accept key is the one of section 1.3."""
        answer = self.answer(request)
        self.assertEqual(answer.status, 101, request)
        self.assertEqual(answer.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.assertEqual(answer.headers["upgrade"].lower(), "websocket")
        self.assertEqual(answer.headers["connection"].lower(), "upgrade")
        return answer

    def assert_refused(self, request: bytes, status: int) -> Answer:
        """The handshake is refused with this status, and a sentence that says why."""
        answer = self.answer(request)
        self.assertEqual(answer.status, status, (request, answer.body))
        self.assertEqual(answer.headers["content-type"], "application/json")
        content = json.loads(answer.body)
        self.assertIs(content["ok"], False)
        self.assertTrue(content["error"])
        self.assertEqual(list(self.server.broadcaster.clients), [self.watcher.protocol])
        return answer

    def assert_each_refused(self, wanted: bytes, wrong: tuple[bytes, ...], status: int = 400) -> None:
        """A handshake with each of these in place of what is wanted is refused."""
        for sent in wrong:
            request = handshake().replace(wanted, sent)
            self.assertNotEqual(request, handshake())
            self.assert_refused(request, status)

    def test_taken(self) -> None:
        """Names of headers and tokens are of any case; among other tokens, and other headers, they still count."""
        for wanted, sent in (
            (b"", b""),
            (UPGRADE, b"UPGRADE: WebSocket\r\n"),
            (UPGRADE, b"Upgrade: h2c, websocket\r\n"),
            (CONNECTION, b"connection: keep-alive, UPGRADE\r\n"),
            (CONNECTION, b"Connection: keep-alive\r\nConnection: Upgrade\r\n"),
            (KEY, b"sec-websocket-key:   dGhlIHNhbXBsZSBub25jZQ==  \r\n"),
            (HOST, b"Host: [::1]:8081\r\n"),
            (HOST, b"Host: wall.example\r\n"),
            (VERSION, VERSION + b"X-Unheard-Of: 1\r\nCookie: a=b\r\n"),
        ):
            self.assert_taken(handshake().replace(wanted, sent, 1))

    def test_key(self) -> None:
        """The key is there once, and is sixteen octets in base64."""
        name = b"Sec-WebSocket-Key: "
        self.assert_each_refused(
            KEY,
            (
                b"",
                KEY * 2,
                name + b"\r\n",
                name + b"dGhlIHNhbXBsZSBub25jZQ=\r\n",
                name + b"dGhlIHNhbXBsZSBub25jZQ===\r\n",
                name + b"dGhlIHNhbXBsZSBub25jZWE=\r\n",
                name + b"dGhlIHNhbXBsZSBub25jZTEyMzQ1Njc4OTA=\r\n",
                name + b"dGhlIHNhbXBsZSBub2?jZQ==\r\n",
            ),
        )

    def test_version(self) -> None:
        """Another version is answered 426, with the one that is spoken (section 4.4)."""
        for version in (b"0", b"7", b"8", b"12", b"14", b"99", b"-13", b"13.0", b"x", b"13, 8"):
            request = handshake().replace(VERSION, b"Sec-WebSocket-Version: %b\r\n" % version)
            answer = self.assert_refused(request, 426)
            self.assertEqual(answer.headers["sec-websocket-version"], "13")
            self.assertEqual(answer.headers["upgrade"], "websocket")
        self.assert_refused(handshake().replace(VERSION, VERSION + b"Sec-WebSocket-Version: 8\r\n"), 426)
        self.assert_each_refused(VERSION, (b"",))

    def test_upgrade(self) -> None:
        """Without an upgrade to a WebSocket it is plain HTTP, which is told so."""
        self.assert_each_refused(UPGRADE, (b"", b"Upgrade: h2c\r\n", b"Upgrade: web socket\r\n"), 426)
        self.assert_each_refused(UPGRADE, (b"Upgrade: websocketz\r\n",), 400)
        self.assert_each_refused(CONNECTION, (b"", b"Connection: close\r\n", b"Connection: upgrades\r\n"))

    def test_method(self) -> None:
        """Only GET is a handshake."""
        for method in (b"HEAD", b"POST", b"PUT", b"DELETE"):
            request = handshake(b"Content-Length: 0\r\n").replace(b"GET", method, 1)
            connection = self.server.connect()
            connection.deliver(request)
            (answer,) = answers_in(connection.flush(), heads=(0,) if method == b"HEAD" else ())
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET"), method)
        self.assert_others_served()

    def test_http_version(self) -> None:
        """HTTP before 1.1 knows no upgrade: 505."""
        self.assert_refused(handshake().replace(b"HTTP/1.1", b"HTTP/1.0", 1), 505)

    def test_host(self) -> None:
        """The host is there once, and makes sense."""
        self.assert_each_refused(HOST, (b"", HOST * 2, b"Host: 127.0.0.1:port\r\n", b"Host: \xff\xfe\r\n"))

    def test_path(self) -> None:
        """Only its own path is the WebSocket."""
        for path in (b"/ws/realtime/", b"/ws/realtime/below", b"/ws", b"/ws/realtimes", b"/nowhere"):
            self.assert_refused(handshake(path=path), 404)
        self.assert_refused(handshake(path=b"*"), 400)
        self.assert_refused(handshake(path=b"ws/realtime"), 400)

    def test_query(self) -> None:
        """A query that makes no sense is answered 400; one that is not known is passed over."""
        for query in (b"since=x", b"since=abcd:-1", b"since=abcd:1&since=abcd:2", b"snapshot=yes", b"insight_seq=3"):
            self.assert_refused(handshake(path=b"/ws/realtime?" + query), 400)
        for query in (b"", b"client=wall", b"&&==&", b"%ff%fe=%00", b"a=" + b"x" * 2000):
            self.assert_taken(handshake(path=b"/ws/realtime?" + query))

    def test_subprotocols(self) -> None:
        """Subprotocols that are not known are no failure, and none of them is chosen."""
        for offer in (b"chat, superchat", b"wamp.2.json", b"Pitwall.JSON"):
            answer = self.assert_taken(handshake(b"Sec-WebSocket-Protocol: %b\r\n" % offer))
            self.assertNotIn("sec-websocket-protocol", answer.headers)

    def test_extensions(self) -> None:
        """Extensions that are not known, or not switched on, are no failure, and none of them is agreed to."""
        for offer in (b"x-unheard-of; a=1", b"permessage-deflate", b"permessage-deflate; client_max_window_bits, x"):
            answer = self.assert_taken(handshake(b"Sec-WebSocket-Extensions: %b\r\n" % offer))
            self.assertNotIn("sec-websocket-extensions", answer.headers)

    def test_in_octets(self) -> None:
        """A handshake may come octet by octet."""
        connection = self.server.connect()
        for octet in handshake():
            connection.deliver(bytes((octet,)))
        self.assertTrue(connection.flush().startswith(b"HTTP/1.1 101 "))
        self.assertEqual(len(self.server.broadcaster.clients), 2)

    def test_body(self) -> None:
        """A handshake has no body: what comes as one does no harm, whatever becomes of it."""
        for body in (b"x" * 50, b"\x81\x85\x00\x00\x00\x00hello", b"\xff" * 50):
            connection = self.server.connect()
            connection.deliver(handshake(b"Content-Length: %d\r\n" % len(body)) + body)
            connection.flush()
            self.assert_others_served()
            connection.hang_up()
