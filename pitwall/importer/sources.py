"""Where recordings come from: files, standard input, and objects of a bucket."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from pitwall.importer.formats import ReadError

STANDARD_INPUT = "-"
S3_SCHEME = "s3://"
#: The longest name a server takes [characters]; keys of a bucket may be longer.
_MOST_NAME = 255
#: So much of an object is fetched at a time: between two ranges no connection has to wait for the reader [bytes].
RANGE = 4 << 20


class Source(NamedTuple):
    """
    One recording.

    Attributes:
        label: what the user calls it; printable.
        name: its file's name without folders, of which the car may be read; printable, and not too long.
        size: how long it is [bytes]; None where that is not known.
        open: gives its bytes.
        path: where a file of this machine is; empty for others.
    """

    label: str
    name: str
    size: int | None
    open: Callable[[], io.RawIOBase]
    path: str = ""


def local_source(path: str) -> Source:
    """A file; one that is not there fails when it is opened."""
    try:
        status = os.stat(path)
        size = status.st_size if stat.S_ISREG(status.st_mode) else None
    except (OSError, ValueError):
        size = None
    return Source(
        printable(path), printable(os.path.basename(path))[-_MOST_NAME:], size, partial(_open_file, path), path
    )


def standard_input() -> Source:
    """What comes by standard input."""
    # Not sys.stdin: its lock, held by a thread that waits for input, would make Python's end an abort.
    return Source("standard input", "stdin", None, lambda: io.FileIO(0, closefd=False))


def find_sources(files: Iterable[str], endpoint_url: str | None = None) -> list[Source]:
    """
    The recordings that the arguments of a command name, in order; blocks where there is a bucket to look into.

    What can't be found is a source as well, one that fails when it is opened.
    """
    found: list[Source] = []
    client: Any = None
    for file in files:
        if file == STANDARD_INPUT:
            found.append(standard_input())
        elif file.startswith(S3_SCHEME):
            try:
                client = client or s3_client(endpoint_url)
                found += s3_sources(file, client)
            except (ReadError, ValueError) as error:
                found.append(_failing_source(file, str(error)))
        else:
            found.append(local_source(file))
    return found


def s3_sources(url: str, client: Any) -> list[Source]:
    """
    The object an ``s3://bucket/key`` names, or all below a key that ends in a slash, by name; empty ones left out.

    Blocks.

    Args:
        url: it.
        client: boto3's S3 client.

    Raises:
        ReadError: the service refuses, or there is no such object.
    """
    bucket, _, key = url.removeprefix(S3_SCHEME).partition("/")
    expected = _s3_errors()
    try:
        if key and not key.endswith("/"):
            head = client.head_object(Bucket=bucket, Key=key)
            return [_s3_source(client, bucket, key, head["ETag"], head["ContentLength"])]
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        found = [
            _s3_source(client, bucket, entry["Key"], entry["ETag"], entry["Size"])
            for page in pages
            for entry in page.get("Contents", ())
            if entry["Size"]
        ]
    except expected as error:
        raise ReadError(_told(error)) from None
    if not found:
        raise ReadError("has no objects below it")
    return found


def s3_client(endpoint_url: str | None) -> Any:
    """
    Boto3's S3 client, with the region and the credentials boto3 finds for itself.

    Any: boto3 makes its classes when it is called.
    """
    # Imported only where there is a bucket to read: they cost 30 MB.
    from boto3.session import Session
    from botocore.config import Config

    config = Config(
        connect_timeout=10,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 5},
        # A range has no checksum of its own, and other services than AWS refuse to be asked for one.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint_url else "auto"},
    )
    return Session().client("s3", endpoint_url=endpoint_url, config=config)


class S3Stream(io.RawIOBase):
    """
    The bytes of one version of an object, fetched in ranges.

    Args:
        fetch: gives the bytes from one place up to another.
        size: how many there are.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._ranges = self._fetched(fetch, size)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """
        Read some bytes; returns how many, 0 at the end.

        Raises:
            ReadError: the service refuses, or the object has changed.
        """
        if not self._rest:
            self._rest = memoryview(next(self._ranges, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    @staticmethod
    def _fetched(fetch: Callable[[int, int], bytes], size: int) -> Iterator[bytes]:
        for start in range(0, size, RANGE):
            end = min(start + RANGE, size)
            piece = fetch(start, end)
            if len(piece) != end - start:
                raise ReadError(f"{len(piece)} of {end - start} bytes came")
            yield piece


def printable(name: str) -> str:
    """A name as it may stand in a message or a request: escaped where it has control characters or is no text."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _open_file(path: str) -> io.RawIOBase:
    try:
        return io.FileIO(path)
    except ValueError as error:  # a NUL in it
        raise ReadError(f"is no file's name: {error}") from None


def _failing_source(label: str, why: str) -> Source:
    def fail() -> io.RawIOBase:
        raise ReadError(why)

    return Source(printable(label), printable(label), None, fail)


def _s3_source(client: Any, bucket: str, key: str, etag: str, size: int) -> Source:
    expected = _s3_errors()

    def fetch(start: int, end: int) -> bytes:
        try:
            # Another version in the middle of it would make half lines.
            answer = client.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}", IfMatch=etag)
            body: bytes = answer["Body"].read()
        except expected as error:
            raise ReadError(_told(error)) from None
        return body

    label, name = printable(f"{S3_SCHEME}{bucket}/{key}"), printable(key.rpartition("/")[2])[-_MOST_NAME:]
    return Source(label, name, size, lambda: S3Stream(fetch, size))


def _s3_errors() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError, OSError


def _told(error: Exception) -> str:
    """An error of boto3 in a few words."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return f"can't be read: {str(error)[:200] or type(error).__name__}"
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    known = {404: "there is no such object", 403: "access denied", 412: "has changed while it was read"}
    return known.get(status) or f"can't be read: {response.get('Error', {}).get('Code', '')} (HTTP {status})"
