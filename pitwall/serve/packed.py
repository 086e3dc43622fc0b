"""Files that are sent to browsers, as they are or packed by gzip, and not twice to who has them."""

from __future__ import annotations

import gzip
from hashlib import sha256
from typing import Any, NamedTuple

from twisted.web.http import CACHED

#: A browser asks each time whether it has changed, for a server may be a newer one.
ASK: bytes = b"no-cache"
#: Nothing else will ever be at that address.
KEEP: bytes = b"public, max-age=31536000, immutable"


class File(NamedTuple):
    """
    A file, its type, and what tells this version of it from others.

    Attributes:
        content: as it is.
        packed: the same by gzip.
    """

    content: bytes
    packed: bytes
    content_type: bytes
    etag: bytes

    @classmethod
    def of(cls, content: bytes, content_type: str) -> File:
        """A file of that content; packing takes some 20 ms a megabyte at the least."""
        # Without a time in it, for the same file is to be the same bytes after a restart.
        packed = gzip.compress(content, compresslevel=9, mtime=0)
        return cls(
            content, packed, f"{content_type}; charset=utf-8".encode(), sha256(content).hexdigest()[:20].encode()
        )

    def answer(self, request: Any, caching: bytes = ASK, packed: bool = False) -> bytes:
        """The file, unless the browser has it already; ``packed`` in any case, or as the browser likes."""
        vary = [*request.responseHeaders.getRawHeaders(b"vary", []), b"Accept-Encoding"]
        request.setHeader(b"vary", b", ".join(vary))
        request.setHeader(b"content-type", self.content_type)
        request.setHeader(b"cache-control", caching)
        packed = packed or takes_gzip(request.getHeader(b"accept-encoding"))
        if request.setETag(b'"%s%s"' % (self.etag, b"-gz" if packed else b"")) is CACHED:
            return b""
        if packed:
            request.setHeader(b"content-encoding", b"gzip")
            return self.packed
        return self.content


def takes_gzip(accept: bytes | None) -> bool:
    """Whether whoever says that header Accept-Encoding takes what gzip has packed."""
    for part in (accept or b"").lower().split(b","):
        name, _, parameters = part.partition(b";")
        if name.strip() in (b"gzip", b"x-gzip"):
            return parameters.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False
