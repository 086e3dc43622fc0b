"""``pitwall.serve.packed``: files as they are or by gzip."""

from __future__ import annotations

import gzip
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import CACHED
from twisted.web.http_headers import Headers

from pitwall.serve.packed import KEEP, File, takes_gzip


class Request:
    """Takes headers, and has some."""

    def __init__(self, **headers: str) -> None:
        self.asked = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        self.responseHeaders = Headers()
        self.status = 200

    def setResponseCode(self, code: int) -> None:
        """The status of the answer."""
        self.status = code

    def getHeader(self, name: bytes) -> bytes | None:
        """One it was sent."""
        return self.asked.get(name)

    def setHeader(self, name: bytes, value: bytes) -> None:
        """One of the answer."""
        self.responseHeaders.setRawHeaders(name, [value])

    def setETag(self, etag: bytes) -> Any:
        """Whether it has that already."""
        self.setHeader(b"etag", etag)
        return CACHED if self.asked.get(b"if-none-match") == etag else None

    def answered(self, name: str) -> str | None:
        """A header of the answer."""
        (found,) = self.responseHeaders.getRawHeaders(name) or (None,)
        return found


class FileTests(SynchronousTestCase):
    """`File`."""

    def setUp(self) -> None:
        """A file."""
        self.file = File.of(b"body {}\n" * 100, "text/css")

    def test_packed(self) -> None:
        """Who takes gzip gets that, everyone else the file as it is; either is told what it depends on."""
        request = Request(accept_encoding="gzip, deflate, br")
        self.assertEqual(gzip.decompress(self.file.answer(request)), self.file.content)
        self.assertEqual((request.answered("content-encoding"), request.answered("vary")), ("gzip", "Accept-Encoding"))
        plain = Request()
        self.assertEqual(self.file.answer(plain), self.file.content)
        self.assertEqual((plain.answered("content-encoding"), plain.answered("vary")), (None, "Accept-Encoding"))
        self.assertNotEqual(request.answered("etag"), plain.answered("etag"))

    def test_vary_kept(self) -> None:
        """What the answer depends on besides stays."""
        request = Request()
        request.setHeader(b"vary", b"Origin")
        self.file.answer(request)
        self.assertEqual(request.answered("vary"), "Origin, Accept-Encoding")

    def test_had_already(self) -> None:
        """A browser that has it gets nothing, packed or not; the same file is the same after a restart."""
        for asked in ({}, {"accept_encoding": "gzip"}):
            first = Request(**asked)
            self.file.answer(first)
            again = Request(if_none_match=str(first.answered("etag")), **asked)
            self.assertEqual(File.of(self.file.content, "text/css").answer(again), b"")
        self.assertEqual(File.of(self.file.content, "text/css"), self.file)

    def test_caching(self) -> None:
        """It is asked for each time, unless its address is its own for ever."""
        for caching, told in (((), "no-cache"), ((KEEP,), "public, max-age=31536000, immutable")):
            request = Request()
            self.file.answer(request, *caching)
            self.assertEqual(request.answered("cache-control"), told)

    def test_takes_gzip(self) -> None:
        """Only who names gzip, and does not refuse it, is sent it."""
        for accept in (b"gzip", b"br, GZIP;q=0.5", b"deflate,x-gzip"):
            self.assertTrue(takes_gzip(accept), accept)
        for refused in (None, b"", b"br", b"gzip;q=0", b"gzip; q=0.0, br", b"gzipped"):
            self.assertFalse(takes_gzip(refused), refused)
