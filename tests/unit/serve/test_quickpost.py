"""The short way for single posts is taken by plain requests alone, and answers what the ordinary way answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.quickpost import LARGEST, QuickPost

BODY = b'{"track":"barber","chassis":"GR86-001"}'
HEADERS = (b"Host: localhost:8081", b"Content-Type: application/json", b"Content-Length: %d" % len(BODY))


def request(*headers: bytes, line: bytes = b"POST /api/ingest HTTP/1.1", body: bytes = BODY) -> bytes:
    """A request's bytes."""
    return b"\r\n".join((line, *headers, b"", body))


class QuickPostTests(SynchronousTestCase):
    """`QuickPost` answers a whole, plain request, or leaves it alone."""

    def setUp(self) -> None:
        """A door that notes what it takes."""
        self.taken: list[bytes] = []
        self.status = 200
        self.quick = QuickPost(self.take)

    def take(self, body: bytes) -> tuple[int, bytes]:
        """The door: notes the body."""
        self.taken.append(body)
        return self.status, b'{"ok":true}'

    def test_plain(self) -> None:
        """A plain request is taken in and answered, with the body as it came."""
        answer = self.quick.answer(request(*HEADERS))
        assert answer is not None
        head, _, content = answer.partition(b"\r\n\r\n")
        self.assertEqual(self.taken, [BODY])
        self.assertEqual((head.split(b"\r\n")[0], content), (b"HTTP/1.1 200 OK", b'{"ok":true}'))
        self.assertIn(b"Content-Length: 11", head.split(b"\r\n"))

    def test_nothing_acceptable(self) -> None:
        """A request without an acceptable point is answered 400."""
        self.status = 400
        answer = self.quick.answer(request(*HEADERS))
        assert answer is not None
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"))

    def test_usual_clients(self) -> None:
        """What curl and the usual libraries send is plain."""
        for extra in (
            (b"User-Agent: curl/8.5.0", b"Accept: */*"),
            (b"user-agent: python-requests/2.32", b"accept-encoding: gzip, deflate", b"connection: keep-alive"),
            (b"Accept-Language: en", b"Connection: Keep-Alive"),
        ):
            self.assertIsNotNone(self.quick.answer(request(*extra, *HEADERS)), extra)
        json_utf8 = b"content-type: application/json; charset=utf-8"
        self.assertIsNotNone(self.quick.answer(request(HEADERS[0], json_utf8, HEADERS[2])))

    def test_left_alone(self) -> None:
        """Whatever differs in anything goes the ordinary way, and nothing of it is taken in."""
        host, kind, length = HEADERS
        for data in (
            request(*HEADERS, line=b"POST /api/ingest?track=barber HTTP/1.1"),
            request(*HEADERS, line=b"POST /api/ingest HTTP/1.0"),
            request(*HEADERS, line=b"PUT /api/ingest HTTP/1.1"),
            request(*HEADERS, b"Origin: http://elsewhere"),
            request(*HEADERS, b"Sec-Fetch-Site: cross-site"),
            request(*HEADERS, b"Connection: close"),
            request(*HEADERS, b"Expect: 100-continue"),
            request(*HEADERS, b"Transfer-Encoding: chunked"),
            request(*HEADERS, b"Content-Encoding: gzip"),
            request(*HEADERS, b"X-Forwarded-For: 10.0.0.1"),
            request(*HEADERS, length),
            request(*HEADERS, host),
            request(kind, length),
            request(host, length),
            request(host, kind),
            request(host, b"Content-Type: text/csv", length),
            request(host, kind, b"Content-Length: +39"),
            request(host, kind, b"Content-Length: 38"),
            request(host, kind, b"Content-Length: 40"),
            request(b"Host : localhost", kind, length),
            request(b"Host: local\x00host", kind, length),
            request(host, kind, length, b" folded: yes"),
            request(*HEADERS) + request(*HEADERS),
            request(*HEADERS)[:-1],
            request(*HEADERS).replace(b"\r\n", b"\n"),
            request(host, kind, b"Content-Length: %d" % (LARGEST + 1), body=b" " * (LARGEST + 1)),
            b"\r\n" + request(*HEADERS),
            b"",
        ):
            self.assertIsNone(self.quick.answer(data), data[:200])
        self.assertEqual(self.taken, [])

    @given(st.binary(max_size=300))
    def test_any_bytes(self, noise: bytes) -> None:
        """No bytes make it fail, wherever they stand in a request."""
        for data in (noise, request(noise, *HEADERS), request(*HEADERS, body=noise), request(*HEADERS) + noise):
            self.quick.answer(data)
