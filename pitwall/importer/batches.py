"""
A recording as batches: whole lines, of a bounded size, that each can be read by themselves.

A file is CSV (with a header line, which every batch repeats, or without), JSON
objects a line, or a JSON document. Of CSV and JSON lines never more is in memory
than a few batches; a document is read as a whole, for its telemetry may be
anywhere in it.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from pitwall.importer.documents import NotTelemetryError, telemetry_of
from pitwall.importer.formats import (
    CSV,
    NDJSON,
    ReadError,
    is_header,
    is_packed,
    media_type_of,
    read_error,
    without_mark,
)

#: A line without an end for so long is none [bytes].
LONGEST_LINE = 1 << 20
#: At least so much is read at a time [bytes].
_PIECE = 64 << 10
_BLANK_LINE = re.compile(rb"^[ \t\r]*\n", re.MULTILINE)


@dataclass(slots=True)
class BatchSize:
    """How large a batch may become, its header left out [bytes]; made smaller when a server wants that."""

    most_bytes: int


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Some whole lines of a recording.

    Attributes:
        media_type: what they are.
        header: the line that begins the body of each batch; empty where there is none.
        lines: the rows, each with its line feed, but for the last of a file.
        first_row: the number of the first of them in the file, from 1.
        read_bytes: how much of the file had been read, packed as it is, to get them.
    """

    media_type: str
    header: bytes
    lines: bytes
    first_row: int
    read_bytes: int = 0

    @property
    def body(self) -> bytes:
        """What is posted."""
        return self.header + self.lines

    @property
    def rows(self) -> int:
        """How many lines there are beside the header."""
        return self.lines.count(b"\n") + (self.lines[-1:] not in (b"", b"\n"))

    def without_rows(self) -> Self:
        """A batch of the same file that says nothing further."""
        return type(self)(self.media_type, self.header, b"", self.first_row + self.rows, self.read_bytes)

    def halves(self) -> tuple[Self, Self] | None:
        """Two batches with as many lines in all; None where there are fewer than two."""
        middle = len(self.lines) // 2
        cut = self.lines.rfind(b"\n", 0, middle) + 1 or self.lines.find(b"\n", middle) + 1
        if cut in (0, len(self.lines)):
            return None
        one = type(self)(self.media_type, self.header, self.lines[:cut], self.first_row, self.read_bytes)
        other = type(self)(self.media_type, self.header, self.lines[cut:], self.first_row + one.rows, self.read_bytes)
        return one, other


class Counted(io.RawIOBase):
    """
    A stream of bytes that knows how much of it was read.

    Args:
        raw: the stream.

    Attributes:
        read_bytes: how much [bytes].
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.read_bytes = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read some bytes; returns how many."""
        count: int | None = self._raw.readinto(buffer)
        self.read_bytes += count or 0
        return count

    def close(self) -> None:
        """No more is read."""
        self._raw.close()
        super().close()


class LineBatches:
    """
    The batches of CSV or of JSON lines.

    Args:
        stream: what follows ``begun``.
        begun: the first bytes, without a byte order mark.
        media_type: what it is.
        size: how large a batch may be; looked at for each.
        counted: knows how much of the file was read.
    """

    def __init__(
        self, stream: io.BufferedIOBase, begun: bytes, media_type: str, size: BatchSize, counted: Counted
    ) -> None:
        self._stream = stream
        self._rest = begun
        self._media_type = media_type
        self._size = size
        self._counted = counted
        self._header: bytes | None = None if media_type == CSV else b""
        self._next_row = 1

    def take(self, to_end: bool = True) -> Batch | None:
        """
        The next whole lines, at most a batch of them; None where there are none.

        A header that nothing follows is a batch of its own, once.

        Args:
            to_end: at the end of the stream, a last line without a line feed is one as well.

        Raises:
            ReadError: a line that is too long to be one.
        """
        while lines := self._cut(to_end):
            lines = _without_blank_lines(lines)
            if not lines:
                continue
            beginning = self._header is None
            if beginning:
                self._header, lines = _header_and_rows(lines)
            if lines or beginning:
                batch = self._batch(lines)
                self._next_row += batch.rows
                return batch
        return None

    def closing(self) -> Batch:
        """A batch without rows."""
        return self._batch(b"")

    def _batch(self, lines: bytes) -> Batch:
        return Batch(self._media_type, self._header or b"", lines, self._next_row, self._counted.read_bytes)

    def _cut(self, to_end: bool) -> bytes:
        wanted = self._size.most_bytes
        text, ended = self._rest, False
        while True:
            cut = text.rfind(b"\n", 0, wanted) + 1 or text.find(b"\n", wanted) + 1
            if cut and len(text) >= wanted:
                break
            if not cut and len(text) > LONGEST_LINE:
                raise ReadError(f"row {self._next_row} is over {LONGEST_LINE} bytes long, wanted lines of text")
            piece = self._stream.read(max(wanted - len(text), _PIECE))
            text += piece
            if not piece:
                ended = True
                break
        if ended and to_end and (len(text) <= wanted or not cut):
            cut = len(text)
        self._rest = text[cut:]
        return text[:cut]


def batches(raw: io.RawIOBase, name: str, size: BatchSize) -> Iterator[tuple[Batch, bool]]:
    """
    The batches of a whole recording, in order, and with each whether it is the last; closes the stream at the end.

    Nothing comes of a file without content. Reading goes one batch ahead. After
    the last whole batch of a file that breaks off, the error is raised.

    Args:
        raw: its bytes, gzip or not.
        name: its name.
        size: how large a batch may be.

    Raises:
        ReadError: it can't be read, is broken, or holds no telemetry.
    """
    counted = Counted(raw)
    with io.BufferedReader(counted, _PIECE) as packed:
        found = _batches(packed, name, size, counted)
        before: Batch | None = None
        while True:
            try:
                batch = next(found, None)
            except (ReadError, NotTelemetryError, OSError, EOFError, zlib.error) as error:
                if before is not None:
                    yield before, True
                raise read_error(error) from None
            if before is not None:
                yield before, batch is None
            if batch is None:
                return
            before = batch


def _batches(packed: io.BufferedReader[Any], name: str, size: BatchSize, counted: Counted) -> Iterator[Batch]:
    stream: io.BufferedIOBase = gzip.GzipFile(fileobj=packed) if is_packed(packed.peek(2)) else packed
    begun = stream.read(size.most_bytes)
    more = stream.read(1)
    begun += more
    media_type = media_type_of(without_mark(begun), name, ended=not more)
    if media_type is None:
        yield from _document(without_mark(begun) + stream.read(), size, counted)
        return
    lines = LineBatches(stream, without_mark(begun), media_type, size, counted)
    while (batch := lines.take()) is not None:
        yield batch


def _document(text: bytes, size: BatchSize, counted: Counted) -> Iterator[Batch]:
    lines: list[bytes] = []
    row, length = 1, 0
    for line in telemetry_of(text):
        if lines and length + len(line) >= size.most_bytes:
            yield Batch(NDJSON, b"", b"\n".join(lines) + b"\n", row, counted.read_bytes)
            row += len(lines)
            lines, length = [], 0
        lines.append(line)
        length += len(line) + 1
    if lines:
        yield Batch(NDJSON, b"", b"\n".join(lines) + b"\n", row, counted.read_bytes)


def _header_and_rows(lines: bytes) -> tuple[bytes, bytes]:
    first, _, rest = lines.partition(b"\n")
    return (first.rstrip(b"\r") + b"\n", rest) if is_header(first) else (b"", lines)


def _without_blank_lines(lines: bytes) -> bytes:
    """No row, and nothing that may come before a header; looking for them costs less than taking them out."""
    if b"\n\n" in lines or b"\n\r\n" in lines or lines[:1] in b"\r\n \t":
        return _BLANK_LINE.sub(b"", lines) if lines.strip() else b""
    return lines
