"""
The short way for a small ``POST /api/ingest``: one read, one answer.

twisted.web parses a request line by line and makes objects of it, Klein routes
it: 200 µs for a point that takes 10 µs to decode. A logger that posts single
points sends the same few plain headers each time, and its request comes whole in
one read. Such a request is recognised here by its bytes and answered at once;
whatever differs in anything (another header, a header twice, a body in two
pieces, a second request behind it) goes the ordinary way, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from twisted.web.http import datetimeToString

#: The largest body that is taken here [bytes]; a larger one may come in several reads anyway.
LARGEST = 32 << 10

_START = b"POST /api/ingest HTTP/1.1\r\n"
_HEADER = re.compile(rb"([A-Za-z-]{1,20}): ?([ -~]{1,200})")
#: Headers that change nothing about the answer, and the values they may have.
_ANYTHING = re.compile(rb"[ -~]+")
_PLAIN_HEADERS = {
    b"authorization": _ANYTHING,
    b"host": re.compile(rb"[A-Za-z0-9.-]+(:[0-9]+)?"),
    b"user-agent": _ANYTHING,
    b"accept": _ANYTHING,
    b"accept-encoding": _ANYTHING,
    b"accept-language": _ANYTHING,
    b"connection": re.compile(rb"keep-alive", re.IGNORECASE),
    b"content-type": re.compile(rb"application/json(; ?charset=utf-8)?", re.IGNORECASE),
    b"content-length": re.compile(rb"[0-9]{1,5}"),
}
_WANTED = frozenset((b"host", b"content-length", b"content-type"))
_REASONS = {200: b"200 OK", 400: b"400 Bad Request"}


class QuickPost:
    """
    Answers the requests it recognises.

    Args:
        take: takes a body in; returns the status and the JSON of the answer.
        may_post: whether points may come under a header Authorization, or without one; the ordinary way says why not.
        headers: further lines of every answer.
    """

    def __init__(
        self,
        take: Callable[[bytes], tuple[int, bytes]],
        may_post: Callable[[bytes | None], bool] = lambda _: True,
        headers: bytes = b"",
    ) -> None:
        self._take = take
        self._may_post = may_post
        self._headers = headers

    def answer(self, data: bytes) -> bytes | None:
        """The answer to a request that is recognised and whole; None for everything else."""
        if not data.startswith(_START):
            return None
        end = data.find(b"\r\n\r\n", len(_START) - 2)
        if end < 0 or len(data) - end - 4 > LARGEST:
            return None
        seen = self._plain(data[len(_START) : end])
        if seen is None or int(seen[b"content-length"]) != len(data) - end - 4:
            return None
        if not self._may_post(seen.get(b"authorization")):
            return None
        status, content = self._take(data[end + 4 :])
        return (
            b"HTTP/1.1 %b\r\nDate: %b\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
            b"Cache-Control: no-store\r\n%bContent-Length: %d\r\n\r\n%b"
            % (_REASONS[status], datetimeToString(), self._headers, len(content), content)
        )

    @staticmethod
    def _plain(head: bytes) -> dict[bytes, bytes] | None:
        """The headers by name, those that must be there among them; None when any of them is not plain."""
        seen: dict[bytes, bytes] = {}
        for line in head.split(b"\r\n"):
            header = _HEADER.fullmatch(line)
            if header is None:
                return None
            name = header[1].lower()
            plain = _PLAIN_HEADERS.get(name)
            value = header[2].strip()
            if plain is None or name in seen or not plain.fullmatch(value):
                return None
            seen[name] = value
        return seen if seen.keys() >= _WANTED else None
