"""
What a recording is, by its first bytes.

Its name only settles whether JSON that begins with an object is one object a line.
"""

from __future__ import annotations

import gzip
import re
import zlib

import msgspec

CSV = "text/csv"
NDJSON = "application/x-ndjson"
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
#: First bytes of what is no text, and what it is.
_NO_TEXT = (
    (b"PK\x03\x04", "a zip archive, wanted what is in it"),
    (b"\xff\xfe", "UTF-16, wanted UTF-8"),
    (b"\xfe\xff", "UTF-16, wanted UTF-8"),
    (b"PAR1", "Parquet, wanted CSV or JSON"),
)
#: What no name of a column looks like: a number, or an ISO 8601 time; a number has no more characters.
_LONGEST_VALUE = 100
_VALUE = re.compile(rb'"?\s*(?:[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|\d{4}-\d\d-\d\d[T ].*)\s*"?')


class ReadError(Exception):
    """A recording that can't be read, or not further; the message says why."""


def read_error(error: Exception) -> ReadError:
    """What went wrong while a file was read, as the one error."""
    if isinstance(error, ReadError):
        return error
    if isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
        return ReadError(f"broken gzip: {str(error).rstrip('.')}")
    if isinstance(error, IsADirectoryError):
        return ReadError("is a directory, wanted files")
    if isinstance(error, OSError) and error.strerror:
        return ReadError(error.strerror[:1].lower() + error.strerror[1:])
    return ReadError(str(error) or type(error).__name__)


def media_type_of(begun: bytes, name: str, ended: bool) -> str | None:
    """
    What a text is by its first bytes; None for a JSON document.

    Args:
        begun: they, without a byte order mark.
        name: the name of the file.
        ended: whether that is all of it.

    Raises:
        ReadError: it is no text.
    """
    for magic, what in _NO_TEXT:
        if begun.startswith(magic):
            raise ReadError(f"is {what}")
    if b"\0" in begun[:4096]:
        raise ReadError("is no text, wanted CSV or JSON")
    text = begun.lstrip(b" \t\r\n")
    if text[:1] not in (b"{", b"["):
        return CSV
    if name.lower().removesuffix(".gz").endswith((".ndjson", ".jsonl")):
        return NDJSON
    line, feed, rest = text.partition(b"\n")
    if text[:1] == b"{" and feed and (rest.strip() or not ended):
        try:
            msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return NDJSON
    return None


def is_header(line: bytes) -> bool:
    """
    Whether the first line of a CSV text names its columns.

    A row without a header has a number or a time in it, as in
    ``,barber,GR86-004-78,3,,141.0``; a header has neither.
    """
    cells = (cell.strip() for cell in line.split(b","))
    return not any(len(cell) <= _LONGEST_VALUE and _VALUE.fullmatch(cell) for cell in cells)


def is_packed(begun: bytes) -> bool:
    """Whether these first bytes are those of gzip."""
    return begun.startswith(_GZIP)


def without_mark(begun: bytes) -> bytes:
    """The first bytes of a text without its byte order mark."""
    return begun.removeprefix(_BOM)
