"""The image's health check, `python -m pitwall.ready`, against servers that say one thing each."""

from __future__ import annotations

import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.certificates import write_certificate
from tests.end_to_end.harness import clean_environment, free_port


class ReadyTests(SynchronousTestCase):
    """What it says, and with which status it ends."""

    def serve(self, status: int, certificate: tuple[Path, Path] | None = None) -> str:
        """The port of a server that answers /api/ready with this status, and anything else with 418."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/api/ready" else 418)
                self.end_headers()
                self.wfile.write(b'{"ok":maybe}')

            def log_message(self, *_: object) -> None:
                """Nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return str(server.server_port)

    def check(self, **settings: str) -> tuple[int, str]:
        """Its status and what it printed."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pitwall.ready"],
            env=clean_environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=20,
        )
        return done.returncode, done.stdout

    def test_ready(self) -> None:
        """A server that answers 200 is ready, and what it said is printed; a proxy in the environment is not asked."""
        proxy = f"http://127.0.0.1:{free_port()}"
        said = self.check(PORT=self.serve(200), http_proxy=proxy, HTTP_PROXY=proxy, TLS_CERT=" ")
        self.assertEqual(said, (0, '200 {"ok":maybe}\n'))

    def test_not_ready(self) -> None:
        """Any other status is a failure, and the answer says what is lacking."""
        self.assertEqual(self.check(PORT=self.serve(503)), (1, '503 {"ok":maybe}\n'))

    def test_nobody_there(self) -> None:
        """So is a port that nobody listens on, without a traceback."""
        status, said = self.check(PORT=str(free_port()))
        self.assertEqual(status, 1)
        self.assertRegex(said, r"^127\.0\.0\.1 port \d+: .*refused\n$")

    def test_tls(self) -> None:
        """Where there is a certificate it asks by TLS, and does not mind who signed it."""
        directory = Path(self.mktemp())
        directory.mkdir()
        certificate = write_certificate(directory, "wall.example.com")
        port = self.serve(200, certificate)
        self.assertEqual(self.check(PORT=port, TLS_CERT=str(certificate[0])), (0, '200 {"ok":maybe}\n'))
        self.assertEqual(self.check(PORT=port)[0], 1)
