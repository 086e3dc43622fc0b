"""
How far each object of a bucket has been read, and the file that keeps it over a restart.

The file is written whole to a second one which then takes its place, so that it
is always complete, whatever ends the process. What was taken between the last
writing and a crash is taken again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

import msgspec

#: Of the time, at most this share goes into writing the file: with many objects it is large.
_SAVING_SHARE = 0.1


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    How far one object has been read.

    Attributes:
        etag: which content it had, by the bucket.
        size: how large it was [bytes].
        offset: where its first line begins that is not in a point yet [bytes, unpacked].
        digest: of the header and what stands before ``offset``.
        rest: what stands after the last line feed [bytes]; -1 before the end has been reached.
        last: digest of that rest, once it was taken for a whole line.
        seen_to: up to where lines have been read, of which some are still held [bytes, unpacked].
        cars: how far the points of each car have left, while lines are held: see ``FileJoiner.released``.
    """

    etag: str
    size: int
    offset: int = 0
    digest: str = ""
    rest: int = -1
    last: str = ""
    seen_to: int = 0
    cars: dict[str, tuple[int | None, int | None, int]] = msgspec.field(default_factory=dict)

    def done(self, etag: str, size: int) -> bool:
        """Whether there is nothing more to take from that content."""
        return (self.etag, self.size) == (etag, size) and (self.rest == 0 or bool(self.last))


class _Saved(msgspec.Struct):
    place: str
    objects: dict[str, Progress]


class Store(Protocol):
    """Keeps one piece of content."""

    def read(self) -> bytes | None:
        """The content; None where there is none yet."""

    def write(self, content: bytes) -> None:
        """Replace the content: wholly or not at all."""


class ProgressFile:
    """A store in one file, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes | None:
        """
        The content; None where there is no file.

        Raises:
            OSError: there is one, but it can't be read.
        """
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def write(self, content: bytes) -> None:
        """
        Replace the content.

        Raises:
            OSError: it can't be written; the former content stands.
        """
        fresh = self._path.with_name(self._path.name + ".new")
        with open(fresh, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


class ProgressTable:
    """
    The progress of every object the bucket lists.

    Args:
        place: names the bucket; what was saved for another one does not count.
        store: where it is kept; None: for the life of the process.
        clock: tells how long saving takes [s].
    """

    def __init__(self, place: str, store: Store | None, clock: Callable[[], float]) -> None:
        self._place = place
        self._store = store
        self._clock = clock
        self._objects: dict[str, Progress] = {}
        self._unsaved = False
        self._save_at = 0.0
        #: Why the last saving failed; empty where it did not.
        self.trouble = ""

    def __len__(self) -> int:
        return len(self._objects)

    def load(self) -> list[str]:
        """Take over what was saved, where it is of this bucket; returns what is to be said about it, if anything."""
        if self._store is None:
            return []
        try:
            content = self._store.read()
            saved = None if content is None else msgspec.json.decode(content, type=_Saved)
        except (OSError, ValueError, RecursionError) as error:
            return [f"the saved progress can't be used, all is read anew: {str(error)[:80]}"]
        if saved is not None and saved.place == self._place:
            self._objects = saved.objects
        return []

    def get(self, key: str) -> Progress | None:
        """How far an object has been read; None for a new one."""
        return self._objects.get(key)

    def put(self, key: str, progress: Progress) -> None:
        """Note it, and save it unless that was done a moment ago."""
        if self._objects.get(key) != progress:
            self._objects[key] = progress
            self._unsaved = True
            if self._clock() >= self._save_at:
                self.save()

    def keep_only(self, keys: Collection[str]) -> None:
        """Forget the objects that are gone."""
        gone = self._objects.keys() - keys
        for key in gone:
            del self._objects[key]
        self._unsaved |= bool(gone)

    def save(self) -> None:
        """Save what has changed since the last time; a failure stands in ``trouble``."""
        if self._store is None or not self._unsaved:
            return
        began = self._clock()
        try:
            self._store.write(msgspec.json.encode(_Saved(self._place, self._objects)))
        except OSError as error:
            self.trouble = f"the progress can't be saved: {str(error)[:80]}"
        else:
            self.trouble = ""
            self._unsaved = False
        now = self._clock()
        self._save_at = now + (now - began) / _SAVING_SHARE
