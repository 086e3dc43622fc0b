"""The site before a door that counts what it is given."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.doubles import Answer, WebServer

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
