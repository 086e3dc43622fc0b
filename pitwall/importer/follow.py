"""A file that is still being written to, like ``tail -F``."""

from __future__ import annotations

import io
import os

from pitwall.importer.batches import Batch, BatchSize, Counted, LineBatches
from pitwall.importer.formats import ReadError, is_packed, media_type_of, read_error, without_mark


class FollowedFile:
    """
    The whole lines of a file, as they are appended.

    A half last line waits for its end. A file that was replaced is read to its
    end and then begun anew, one that was truncated is begun anew at once. While
    there is none, none is read.

    Args:
        path: the file.
        name: its name.
        size: how large a batch may be.
    """

    def __init__(self, path: str, name: str, size: BatchSize) -> None:
        self._path = path
        self._name = name
        self._size = size
        self._raw: io.FileIO | None = None
        self._lines: LineBatches | None = None

    def take(self) -> Batch | None:
        """
        The next whole lines; None where there are none now.

        Raises:
            ReadError: it can't be read, or not be followed.
        """
        try:
            if self._raw is None:
                self._raw = io.FileIO(self._path)
            elif self._truncated():
                self._begin_anew()
            batch = self._take()
            if batch is None and self._replaced():
                # Nobody will end its last line any more.
                batch = None if self._lines is None else self._lines.take(to_end=True)
                if batch is None:
                    self._begin_anew()
                    batch = self._take()
        except FileNotFoundError:
            if self._raw is None:
                raise ReadError("no such file or directory") from None
            return None  # it was moved away, and the next one is not there yet
        except OSError as error:
            raise read_error(error) from None
        return batch

    def closing(self) -> Batch | None:
        """A batch without rows; None where there was none before."""
        return None if self._lines is None else self._lines.closing()

    def _take(self) -> Batch | None:
        assert self._raw is not None
        if self._lines is None:
            begun = self._raw.read(self._size.most_bytes) or b""
            if is_packed(begun):
                raise ReadError("is gzip, which can't be followed")
            if b"\n" not in begun:
                if len(begun) == self._size.most_bytes:
                    raise ReadError(f"has no line feed in {len(begun)} bytes, wanted lines of text")
                self._raw.seek(0)
                return None
            # Not ended: what is to come may be further lines of JSON.
            media_type = media_type_of(without_mark(begun), self._name, ended=False)
            if media_type is None:
                raise ReadError("is a JSON document, which can't be followed")
            counted = Counted(self._raw)
            stream = io.BufferedReader(counted)
            self._lines = LineBatches(stream, without_mark(begun), media_type, self._size, counted)
        return self._lines.take(to_end=False)

    def _truncated(self) -> bool:
        assert self._raw is not None
        return os.fstat(self._raw.fileno()).st_size < self._raw.tell()

    def _replaced(self) -> bool:
        assert self._raw is not None
        ours, there = os.fstat(self._raw.fileno()), os.stat(self._path)
        return (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino)

    def _begin_anew(self) -> None:
        raw = io.FileIO(self._path)
        if self._raw is not None:
            self._raw.close()
        self._raw, self._lines = raw, None
