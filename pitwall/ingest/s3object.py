"""
One object of a bucket as text: fetched in ranges, and unpacked.

Nothing here holds more than one range of the object, however large it is, and
between two ranges no connection is open that would have to wait for the reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

from pitwall.wire.pieces import GZIP, inflated

#: The first range, which may tell that there is nothing to read here, and the further ones [bytes].
FIRST_RANGE = 256 << 10
RANGE = 2 << 20


class TruncatedError(OSError):
    """Fewer bytes came than were announced."""


class ChangedError(OSError):
    """The object is no longer what the listing said; the next look sees what it is now."""


class Listed(NamedTuple):
    """An object as the bucket lists it; ``modified_at`` is in s since 1970."""

    key: str
    etag: str
    size: int
    modified_at: float


class BucketObject:
    """
    An object's content, of that one version which was listed.

    Args:
        client: boto3's S3 client, or what behaves like it.
        bucket: its bucket.
        listed: which object.
        check: called before each request; raises when reading is to end.
    """

    def __init__(self, client: Any, bucket: str, listed: Listed, check: Callable[[], None]) -> None:
        self._client = client
        self._bucket = bucket
        self._listed = listed
        self._check = check
        self._first = b""

    def text(self, start: int = 0) -> Iterator[bytes]:
        """
        The content from a place on [bytes, unpacked], piece by piece; unpacked where it begins as gzip does.

        Raises:
            WireError: it is gzip, but broken.
            ChangedError, TruncatedError: see there.
        """
        if not self._first:
            self._first = self._fetch(0, min(FIRST_RANGE, self._listed.size))
        if not self._first.startswith(GZIP):
            yield from self._ranges(start)
            return
        for piece in inflated(self._ranges(0)):
            if start < len(piece):
                yield piece[start:]
            start = max(0, start - len(piece))

    def _ranges(self, start: int) -> Iterator[bytes]:
        if start < len(self._first):
            yield self._first[start:]
            start = len(self._first)
        while start < self._listed.size:
            end = min(start + RANGE, self._listed.size)
            yield self._fetch(start, end)
            start = end

    def _fetch(self, start: int, end: int) -> bytes:
        self._check()
        listed = self._listed
        answer = self._client.get_object(
            Bucket=self._bucket, Key=listed.key, Range=f"bytes={start}-{end - 1}", IfMatch=listed.etag
        )
        if answer.get("ETag", listed.etag) != listed.etag:  # not every service heeds If-Match
            raise ChangedError(f"{listed.key} has changed")
        body: bytes = answer["Body"].read()
        if len(body) != end - start:
            raise TruncatedError(f"{len(body)} of {end - start} bytes came")
        return body


def fingerprint(*parts: bytes) -> str:
    """A short digest of some bytes, the parts told apart."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()
