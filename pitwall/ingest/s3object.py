"""
One object of a bucket as text: fetched in ranges, unpacked, cut into whole lines.

Nothing here holds more than one range of the object, however large it is, and
between two ranges no connection is open that would have to wait for the reader.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

#: The first range, which may tell that there is nothing to read here, and the further ones [bytes].
FIRST_RANGE = 256 << 10
RANGE = 2 << 20
#: A line without an end for so long is none [bytes].
LONGEST_LINE = 1 << 20
#: A text goes on where it was left if its header and so much before that place are the same [bytes].
WINDOW = 64 << 10
#: Lines are cut from so much at a time: with the number of rows, this bounds what a slice costs [bytes].
_SLICE = 32 << 10
_GZIP = b"\x1f\x8b"


class UnreadableError(ValueError):
    """Content that will never be telemetry; ``reason`` is a stable word for counting."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


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
            UnreadableError: it is gzip, but broken.
            ChangedError, TruncatedError: see there.
        """
        if not self._first:
            self._first = self._fetch(0, min(FIRST_RANGE, self._listed.size))
        if not self._first.startswith(_GZIP):
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


def inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """
    Unpacked gzip, one member or several, in pieces of a bounded size.

    Raises:
        UnreadableError: it is broken, or ends too early.
    """
    unpack = zlib.decompressobj(wbits=31)
    begun = False
    for piece in pieces:
        data, full = piece, False
        while data or full:
            # After a member: a further one, or zeros that fill a block up.
            data = data if begun else data.lstrip(b"\0")
            begun = begun or bool(data)
            try:
                text = unpack.decompress(data, RANGE)
            except zlib.error as error:
                raise UnreadableError("bad_gzip", f"broken gzip: {error}") from None
            if text:
                yield text
            data, full = unpack.unconsumed_tail, len(text) == RANGE
            if unpack.eof:
                data, full, begun = unpack.unused_data, False, False
                unpack = zlib.decompressobj(wbits=31)
    if begun:
        raise UnreadableError("bad_gzip", "gzip that ends too early")


class Lines:
    """
    The whole lines of a text that comes in pieces.

    Args:
        pieces: the text.
        offset: where in the whole it begins [bytes].

    Attributes:
        offset: where the first line not taken yet begins [bytes].
    """

    def __init__(self, pieces: Iterator[bytes], offset: int = 0) -> None:
        self.offset = offset
        self._pieces = pieces
        self._buffer = b""
        self._at = 0
        self._before = b""

    @property
    def rest(self) -> bytes:
        """What stands after the last line taken, as far as it has come; at the end, the half line."""
        return self._buffer[self._at :]

    @property
    def window(self) -> bytes:
        """What was taken last, at most ``WINDOW`` bytes."""
        near = self._buffer[max(0, self._at - WINDOW) : self._at]
        return near if len(near) == WINDOW else (self._before + near)[-WINDOW:]

    def take(self, most: int) -> list[bytes]:
        """
        The next whole lines, without their line feeds; none at the end.

        Raises:
            UnreadableError: a line that is too long to be one.
        """
        reach = _SLICE
        while True:
            stretch = self._buffer[self._at : self._at + reach]
            *lines, rest = stretch.split(b"\n", most)
            if lines:
                self._move(len(stretch) - len(rest))
                return lines
            if len(stretch) > LONGEST_LINE:
                raise UnreadableError("too_long", f"a line of over {LONGEST_LINE} bytes")
            if len(stretch) == reach:
                reach *= 2
            elif not self._more():
                return []

    def skip(self, count: int) -> bytes:
        """So many bytes, or what there is."""
        while len(self._buffer) - self._at < count and self._more():
            pass
        skipped = self._buffer[self._at : self._at + count]
        self._move(len(skipped))
        return skipped

    def _move(self, count: int) -> None:
        self._at += count
        self.offset += count

    def _more(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._before = self.window
        self._buffer = self.rest + piece
        self._at = 0
        return True


def fingerprint(*parts: bytes) -> str:
    """A short digest of some bytes, the parts told apart."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()
