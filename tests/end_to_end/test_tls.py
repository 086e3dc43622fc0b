"""HTTPS and WSS, and a certificate that is changed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect, unix_connect

from pitwall.serve.live.websocket import CLOSE_S
from pitwall.tls import Certificate, TLSError
from tests.end_to_end.certificates import trusting, write_certificate
from tests.end_to_end.harness import Server, free_port, points_of, read_messages, wait_for
from tests.end_to_end.test_twistd import start

POINT = {"track": "barber", "chassis": "GR86-001"}


class TLSCase(SynchronousTestCase):
    """A certificate in a directory."""

    def setUp(self) -> None:
        """Make it."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.certificate, self.key = write_certificate(self.directory, "first")
        self.files = {"TLS_CERT": str(self.certificate), "TLS_KEY": str(self.key)}
        self.trust = trusting(self.certificate)

    @contextmanager
    def serving(self, *options: str, **settings: str) -> Iterator[Server]:
        """A server that is well."""
        server = Server(*options, AGG_WORKERS="1", **settings)
        try:

            def well() -> bool:
                if server.process.poll() is not None:
                    raise AssertionError(server.log())
                try:
                    return self.ask(server, "/api/health").status == 200
                except OSError:
                    return False

            wait_for("a server that is well", well, 20)
            yield server
        finally:
            server.close()

    def ask(self, server: Server, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
        """The answer of a server, read."""
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=self.trust)
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def screen(self, server: Server) -> ClientConnection:
        """A WebSocket client."""
        url = f"wss://127.0.0.1:{server.port}/ws/realtime"
        client: ClientConnection = connect(url, ssl=self.trust, max_size=None, proxy=None)
        return client

    def subject(self, server: Server) -> str:
        """Whose certificate new connections get."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", server.port)) as raw, context.wrap_socket(raw) as secured:
            found = secured.getpeercert(binary_form=True)
        assert found is not None
        return "second" if b"second" in found else "first"

    def shaken(self, server: Server, version: ssl.TLSVersion, ciphers: str | None) -> str | None:
        """The version that a client agrees on that has no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if ciphers is not None:
            context.set_ciphers(ciphers)
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", server.port), 5) as raw, context.wrap_socket(raw) as secured:
            return secured.version()


class ServerTests(TLSCase):
    """A server with TLS_CERT and TLS_KEY."""

    def test_served(self) -> None:
        """Posts and screens come by TLS, with HSTS; a large point comes whole, a body too large is told so."""
        with self.serving(MAX_BODY="100000", **self.files) as server, self.screen(server) as screen:
            answer = self.ask(server, "/api/health")
            self.assertEqual(answer.headers["Strict-Transport-Security"], "max-age=31536000")
            self.assertRegex(server.log(), rf"the dashboard is at https://\S+:{server.port}/")
            large = [{**POINT, "n": n, "note": "x" * 4000} for n in range(20)]
            answer = self.ask(server, "/api/ingest", json.dumps(large).encode())
            self.assertEqual((answer.status, answer.headers["Strict-Transport-Security"]), (200, "max-age=31536000"))
            quick = self.ask(server, "/api/ingest", json.dumps(POINT).encode())
            self.assertEqual((quick.status, quick.headers["Strict-Transport-Security"]), (200, "max-age=31536000"))
            points = points_of(read_messages(screen, 5, lambda got: len(points_of(got)) == 21))
            self.assertEqual([point.get("n") for point in points], [*range(20), None])
            started = time.monotonic()
            self.assertEqual(self.ask(server, "/api/ingest", b" " * 200_000).status, 413)
            self.assertLess(time.monotonic() - started, 1.5)
            self.assertNotIn("Traceback", server.log())

    def test_whole(self) -> None:
        """The answer to a request that is not read to its end is whole: TLS ends before the connection does."""
        with self.serving(**self.files) as server, socket.create_connection(("127.0.0.1", server.port), 5) as raw:
            with self.trust.wrap_socket(raw, suppress_ragged_eofs=False, server_hostname="localhost") as secured:
                secured.sendall(b"noise\r\n\r\n")
                data = b"".join(iter(lambda: secured.recv(4096), b""))
            self.assertTrue(data.startswith(b"HTTP/1.1 400 "), data)

    def test_closed_at_once(self) -> None:
        """A connection that a client closes is closed at once, and the server says goodbye to the others."""
        with self.serving(**self.files) as server:
            screen = self.screen(server)
            started = time.monotonic()
            screen.close()
            self.assertLess(time.monotonic() - started, 1)
            self.assertEqual(screen.close_code, 1000)
            other = self.screen(server)
            # When one that had not answered would be cut.
            time.sleep(CLOSE_S + 0.5)
            self.assertNotIn("Traceback", server.log())
            took = server.stop()
            closed = self.assertRaises(ConnectionClosed, lambda: [other.recv(timeout=5) for _ in range(1000)])
            self.assertEqual(closed.rcvd.code, 1001)
            self.assertLess(took, 2)

    def test_no_less(self) -> None:
        """TLS 1.1 and ciphers without authenticated encryption are refused; plain HTTP gets no answer, and no trace."""
        with self.serving(**self.files) as server:
            for version, ciphers in ((ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM"), (ssl.TLSVersion.TLSv1_3, None)):
                self.assertEqual(self.shaken(server, version, ciphers), version.name.replace("_", "."))
            self.assertRaises(ssl.SSLError, self.shaken, server, ssl.TLSVersion.TLSv1_2, "ECDHE+AES:!AESGCM:!AESCCM")
            self.assertRaises(ssl.SSLError, self.shaken, server, ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0")
            with socket.create_connection(("127.0.0.1", server.port), 5) as plain:
                plain.sendall(b"GET /api/health HTTP/1.1\r\nHost: wall\r\n\r\n")
                self.assertNotIn(b"HTTP/1", plain.recv(4096))
            self.assertNotIn("Traceback", server.log())

    def test_frozen_client(self) -> None:
        """A client that does not read is closed like one without TLS, and holds up nobody."""
        with self.serving(WS_STALL_SECONDS="2", **self.files) as server, self.screen(server) as well:
            frozen = connect(f"wss://127.0.0.1:{server.port}/ws/realtime", ssl=self.trust, max_queue=1, proxy=None)
            frozen.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            body = json.dumps([{**POINT, "note": "x" * 4000}] * 50).encode()
            for _ in range(40):
                self.ask(server, "/api/ingest", body)
            read_messages(well, 10, lambda got: len(points_of(got)) >= 1000)

            def clients() -> Any:
                connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=self.trust)
                connection.request("GET", "/api/health")
                return json.load(connection.getresponse())["metrics"]["wsClients"]

            wait_for("the frozen client's end", lambda: clients() == 1, 15)
            frozen.socket.close()


class ReloadTests(TLSCase):
    """SIGHUP."""

    def test_another_certificate(self) -> None:
        """After SIGHUP new connections get the new certificate; those there are stay; a broken one changes nothing."""
        with self.serving(**self.files) as server, self.screen(server) as screen:
            self.assertEqual(self.subject(server), "first")
            write_certificate(self.directory, "second")
            self.assertEqual(self.subject(server), "first")
            server.process.send_signal(signal.SIGHUP)
            wait_for("the second certificate", lambda: self.subject(server) == "second")
            self.key.write_text("no key")
            server.process.send_signal(signal.SIGHUP)
            wait_for("the line", lambda: "the last certificate stays" in server.log())
            self.assertEqual(self.subject(server), "second")
            self.assertIn(f"TLS_KEY is {self.key}, wanted a file with a private key", server.log())
            self.trust = trusting(self.certificate)
            self.ask(server, "/api/ingest", json.dumps(POINT).encode())
            self.assertEqual(len(points_of(read_messages(screen, 5, lambda got: bool(points_of(got))))), 1)
            self.assertNotIn("Traceback", server.log())


class WrongFilesTests(TLSCase):
    """Files that are no certificate or no key."""

    def said(self) -> str:
        """What is said of the files."""
        return str(self.assertRaises(TLSError, Certificate, str(self.certificate), str(self.key)))

    def test_sentences(self) -> None:
        """Each is told in a sentence that names the setting and the file, and nothing is asked on the terminal."""
        Certificate(str(self.certificate), str(self.key))
        key, certificate = self.key.read_bytes(), self.certificate.read_bytes()
        for content in (b"", b"no", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", key):
            self.certificate.write_bytes(content)
            self.assertEqual(self.said(), f"TLS_CERT is {self.certificate}, wanted a file with a certificate in PEM")
        self.certificate.write_bytes(certificate)
        for content in (b"", b"no", certificate, key[:60]):
            self.key.write_bytes(content)
            self.assertIn(f"TLS_KEY is {self.key}, wanted a file with a private key in PEM, without", self.said())
        write_certificate(self.directory, password=b"secret")
        self.assertIn("without a password", self.said())
        self.key.write_bytes(key)
        self.assertEqual(self.said(), f"TLS_KEY is {self.key}, wanted the private key of the certificate in TLS_CERT")
        self.key.unlink()
        self.assertIn("can't be read: No such file", self.said())

    def test_start(self) -> None:
        """The start ends with that sentence, in the foreground and as a daemon."""
        self.key.write_text("no key")
        for mode in (["-n", "--pidfile="], ["--pidfile=twistd.pid", "--logfile=twistd.log"]):
            ended = start(*mode, "pitwall", PORT=str(free_port()), **self.files)
            self.assertNotEqual(ended.returncode, 0)
            self.assertRegex(
                (ended.stdout + ended.stderr).strip(), r"\Apitwall: TLS_KEY is \S+, wanted a file with .*\Z"
            )


class EndpointTests(TLSCase):
    """`--http ENDPOINT`."""

    def test_ssl(self) -> None:
        """An endpoint of Twisted's may speak TLS."""
        port = free_port()
        text = f"ssl:{port}:privateKey={self.key}:certKey={self.certificate}:interface=127.0.0.1"
        server = Server("--http", text, AGG_WORKERS="1")
        server.port = port
        self.addCleanup(server.close)
        wait_for("the server", lambda: self.answers(server))
        self.assertIn("Strict-Transport-Security", self.ask(server, "/api/cars").headers)
        with self.screen(server) as screen:
            self.assertEqual(self.ask(server, "/api/ingest", json.dumps(POINT).encode()).status, 200)
            self.assertEqual(len(points_of(read_messages(screen, 5, lambda got: bool(points_of(got))))), 1)
        self.assertLess(server.stop(), 4)
        self.assertNotIn("Traceback", server.log())

    def test_ssl_again(self) -> None:
        """Its certificate is read again on SIGHUP, a wrong one changes nothing, and less than TLS 1.2 is refused."""
        port = free_port()
        text = f"ssl:{port}:privateKey={self.key}:certKey={self.certificate}:interface=127.0.0.1"
        server = Server("--http", text, AGG_WORKERS="1")
        server.port = port
        self.addCleanup(server.close)
        wait_for("the server", lambda: self.answers(server))
        for version, ciphers in ((ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM"), (ssl.TLSVersion.TLSv1_3, None)):
            self.assertEqual(self.shaken(server, version, ciphers), version.name.replace("_", "."))
        self.assertRaises(ssl.SSLError, self.shaken, server, ssl.TLSVersion.TLSv1_2, "ECDHE+AES:!AESGCM:!AESCCM")
        self.assertRaises(ssl.SSLError, self.shaken, server, ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0")
        with self.screen(server) as screen:
            write_certificate(self.directory, "second")
            self.assertEqual(self.subject(server), "first")
            server.process.send_signal(signal.SIGHUP)
            wait_for("the second certificate", lambda: self.subject(server) == "second")
            for wrong in (b"no key", b""):
                said = server.log().count("the last certificate stays")
                self.key.write_bytes(wrong)
                server.process.send_signal(signal.SIGHUP)
                wait_for("the line", lambda: server.log().count("the last certificate stays") > said)  # noqa: B023
                self.assertEqual(self.subject(server), "second")
            self.trust = trusting(self.certificate)
            self.ask(server, "/api/ingest", json.dumps(POINT).encode())
            self.assertEqual(len(points_of(read_messages(screen, 5, lambda got: bool(points_of(got))))), 1)
        self.assertNotIn("Traceback", server.log())

    def answers(self, server: Server) -> bool:
        """Whether it does."""
        try:
            return self.ask(server, "/").status == 200
        except OSError:
            return False

    def test_unix(self) -> None:
        """It may be a socket of this machine, screens included, and it is gone at the end."""
        path = str(self.directory / "sock")
        if len(path) > 100:
            path = os.path.relpath(path)
        server = Server(f"--http=unix:{os.path.abspath(path)}", AGG_WORKERS="1")
        self.addCleanup(server.close)
        wait_for("a socket", lambda: os.path.exists(path))
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(path)
        with raw:
            raw.sendall(b"GET /api/cars HTTP/1.1\r\nHost: wall\r\n\r\n")
            self.assertTrue(raw.recv(4096).startswith(b"HTTP/1.1 200"))
            with unix_connect(path, "ws://localhost/ws/realtime"):
                raw.sendall(b"GET /api/ledger HTTP/1.1\r\nHost: wall\r\n\r\n")
                ledger = json.loads(raw.recv(65536).partition(b"\r\n\r\n")[2])
                self.assertEqual([type(client["address"]) for client in ledger["clients"]], [str])
        server.stop()
        self.assertFalse(os.path.exists(path))
        self.assertNotIn("Traceback", server.log())

    def test_wrong(self) -> None:
        """One that makes no sense, or is taken, ends the start with a sentence, in the foreground and as a daemon."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            taken = f"tcp:{other.getsockname()[1]}:interface=127.0.0.1"
            for endpoint, why in (
                ("foo:1", "Unknown endpoint type: 'foo'"),
                ("tcp:http", "invalid literal .*"),
                (f"ssl:{free_port()}:privateKey=/no/such/file", "No such file or directory"),
                (taken, "Address already in use"),
            ):
                for mode in (["-n", "--pidfile="], ["--pidfile=twistd.pid", "--logfile=twistd.log"]):
                    started = time.monotonic()
                    ended = start(*mode, "pitwall", "--http", endpoint, UDP_PORT=str(free_port(socket.SOCK_DGRAM)))
                    self.assertLess(time.monotonic() - started, 6)
                    self.assertNotEqual(ended.returncode, 0)
                    output = (ended.stdout + ended.stderr).strip()
                    self.assertRegex(output, rf"\Apitwall: HTTP is {endpoint}, wanted an endpoint such as .*: {why}\Z")
