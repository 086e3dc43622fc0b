"""
A bucket read again and again: what is new in it, each whole row once.

All of this runs in a thread of its own and may block. It knows of the rest of
the server only two calls, which bring rows to the reactor's thread and return
once they are taken: that keeps memory constant and the reactor in charge.

An object counts by its key, its ETag and its size; one that was read to its end
is not asked for again. Every writing of an object gives it a new ETag, whether
its content grew or is another one. So beside the place that was reached stands
a digest of the header and of what came before that place: an object that still
has both has grown, and is read on from there; any other is read anew.

A last line without a line feed may be half a line. It is taken when the object
is still the same at the next look; if it has grown by then, the line counts once
it is whole. Where it was taken and grows even later, the longer one is a row too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pitwall.ingest.s3object import WINDOW, BucketObject, ChangedError, Lines, Listed, UnreadableError, fingerprint
from pitwall.ingest.s3progress import Progress, ProgressTable
from pitwall.model.track import Tracks
from pitwall.wire.errors import WireError, shown
from pitwall.wire.widecsv import WideRows

#: How long a slice of rows may hold the reactor, and how many rows it has [s, rows].
_SLICE_S = 0.003
_FEWEST_ROWS = 50
_MOST_ROWS = 500
#: So many objects that fail one after the other are the bucket's failure, not theirs.
_FAILURES_IN_A_ROW = 3
_FIRST_DELAY_S = 2.0
_LONGEST_DELAY_S = 300.0


class Stopped(Exception):  # noqa: N818 - no error: the way out
    """Reading is to end now."""


def back_off(chance: random.Random) -> Iterator[float]:
    """How long to wait after each failure in a row [s]: ever longer, up to five minutes, and never quite the same."""
    delay_s = _FIRST_DELAY_S
    while True:
        yield delay_s * chance.uniform(0.5, 1.0)
        delay_s = min(2 * delay_s, _LONGEST_DELAY_S)


@dataclass(slots=True)
class Look:
    """
    What one look at the bucket brought.

    Attributes:
        objects_read: objects read to their end.
        errors: what went wrong, once each.
        failed: why the look had to be given up; empty where it was not.
        unreadable: why an object fails that is tried again later, and which; empty where none does.
        unsaved: why the progress can't be saved; empty where it is.
        notes: what is to be said once: each object that is no telemetry.
    """

    objects_read: int = 0
    errors: int = 0
    failed: str = ""
    unreadable: str = ""
    unsaved: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def trouble(self) -> str:
        """What keeps the bucket from being read as it should; empty where all is well."""
        return self.failed or self.unreadable or self.unsaved


@dataclass(slots=True)
class _Sick:
    """An object that fails, and when it is tried again [s]."""

    etag: str
    why: str
    delays: Iterator[float]
    not_before: float = 0.0


class BucketReader:
    """
    Reads what is new in a bucket, one look at a time.

    Args:
        connect: makes boto3's S3 client; called in the reading thread.
        bucket: its name.
        prefix: that of the keys to read.
        progress: how far each object was read before.
        tracks: the names a key may tell the track by.
        take: takes rows in; returns how long that held the reactor [s].
        refuse: counts an object that is no telemetry, by its reason.
        check: raises Stopped when reading is to end.
        clock: for waiting times [s].
        chance: for their jitter.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        bucket: str,
        prefix: str,
        progress: ProgressTable,
        tracks: Tracks,
        take: Callable[[WideRows, list[bytes]], float],
        refuse: Callable[[str], object],
        check: Callable[[], None],
        clock: Callable[[], float],
        chance: random.Random,
    ) -> None:
        self._connect = connect
        self._bucket = bucket
        self._prefix = prefix
        self._progress = progress
        self._tracks = tracks
        self._take = take
        self._refuse = refuse
        self._check = check
        self._clock = clock
        self._chance = chance
        self._client: Any = None
        self._sick: dict[str, _Sick] = {}
        self._rows = _FEWEST_ROWS

    def look(self) -> Look:
        """List the bucket and read what is new, the oldest first."""
        look = Look()
        try:
            with suppress(Stopped):
                self._look(look)
        finally:
            self._progress.save()
        look.unsaved = self._progress.trouble
        if self._sick:
            key, sick = next(iter(self._sick.items()))
            look.unreadable = f"{len(self._sick)} objects can't be read, {shown(key)}: {sick.why}"
        return look

    def _look(self, look: Look) -> None:
        # Imported only where it is used: it costs 30 MB.
        from botocore.exceptions import BotoCoreError, ClientError

        expected = (BotoCoreError, ClientError, OSError)
        try:
            if self._client is None:
                look.notes += self._progress.load()
                self._client = self._connect()
            listed = {seen.key: seen for seen in self._list()}
        except (*expected, ValueError) as error:
            look.failed = told(error)
            look.errors += 1
            return
        self._progress.keep_only(listed.keys())
        for key in self._sick.keys() - listed.keys():
            del self._sick[key]
        in_a_row = 0
        for seen in sorted(filter(self._wanted, listed.values()), key=_age):
            try:
                self._read(seen, look)
            except expected as error:
                if isinstance(error, ChangedError) or _status(error) in (404, 412, 416):
                    continue  # replaced or removed since it was listed: the next look knows
                look.errors += 1
                in_a_row += 1
                self._fell_sick(seen, told(error))
                if in_a_row == _FAILURES_IN_A_ROW:
                    look.failed = told(error)
                    return
            else:
                in_a_row = 0
                self._sick.pop(seen.key, None)

    def _list(self) -> Iterator[Listed]:
        wanted = {"Bucket": self._bucket, "Prefix": self._prefix}
        while True:
            self._check()
            page = self._client.list_objects_v2(**wanted)
            for entry in page.get("Contents", ()):
                if entry["Size"] == 0:  # a folder, or an object that nobody has written to yet
                    continue
                modified = entry.get("LastModified")
                modified_at = 0.0 if modified is None else modified.timestamp()
                yield Listed(entry["Key"], entry["ETag"], entry["Size"], modified_at)
            token = page.get("NextContinuationToken")
            if not page.get("IsTruncated") or not token:
                return
            wanted["ContinuationToken"] = token

    def _wanted(self, seen: Listed) -> bool:
        known = self._progress.get(seen.key)
        if known is not None and known.done(seen.etag, seen.size):
            return False
        sick = self._sick.get(seen.key)
        return sick is None or sick.etag != seen.etag or self._clock() >= sick.not_before

    def _fell_sick(self, seen: Listed, why: str) -> None:
        sick = self._sick.get(seen.key)
        if sick is None or sick.etag != seen.etag:
            sick = self._sick[seen.key] = _Sick(seen.etag, why, back_off(self._chance))
        sick.why = why
        sick.not_before = self._clock() + next(sick.delays)

    def _read(self, seen: Listed, look: Look) -> None:
        """Take what is new in one object."""
        known = self._progress.get(seen.key)
        first_time = known is None or (known.etag, known.size) != (seen.etag, seen.size) or known.rest < 0
        content = BucketObject(self._client, self._bucket, seen, self._check)
        try:
            lines = Lines(content.text())
            header = lines.take(1)
            if header:
                place = self._read_rows(seen, content, lines, header[0], known)
            else:
                place = Progress(seen.etag, seen.size, rest=len(lines.rest))
                if known == place:  # a header without a line feed, and that is all
                    place = msgspec.structs.replace(place, last=_line(lines.rest))
        except (UnreadableError, WireError) as error:
            self._refuse(error.reason)
            look.errors += 1
            look.notes.append(f"{shown(seen.key)} is refused: {error}")
            reached = self._progress.get(seen.key) or Progress(seen.etag, seen.size)
            place = msgspec.structs.replace(reached, etag=seen.etag, size=seen.size, rest=0)
        else:
            look.objects_read += first_time
        self._progress.put(seen.key, place)

    def _read_rows(
        self, seen: Listed, content: BucketObject, lines: Lines, header: bytes, known: Progress | None
    ) -> Progress:
        """Take the rows that were not taken before; returns the place that was reached."""
        rows = WideRows(header, self._track_of(seen.key))
        resumed = None if known is None else self._resumed(content, header, known)
        last = ""
        if known is not None and resumed is not None:
            lines, last = resumed, known.last
        while batch := lines.take(self._rows):
            if last and last == _line(batch[0]):
                del batch[0]  # it was taken when it had no line feed yet
            last = ""
            self._pace(self._take(rows, batch))
            place = Progress(seen.etag, seen.size, lines.offset, fingerprint(header, lines.window))
            self._progress.put(seen.key, place)
        rest = lines.rest
        place = Progress(seen.etag, seen.size, lines.offset, fingerprint(header, lines.window), len(rest))
        if rest and known == place:
            self._take(rows, [rest])
            last = _line(rest)
        return msgspec.structs.replace(place, last=last) if last and last == _line(rest) else place

    def _resumed(self, content: BucketObject, header: bytes, known: Progress) -> Lines | None:
        """The lines after those that were taken; None where the content is another one."""
        before = min(known.offset, WINDOW)
        if before == 0:
            return None
        lines = Lines(content.text(known.offset - before), known.offset - before)
        window = lines.skip(before)
        same = len(window) == before and fingerprint(header, window) == known.digest
        return lines if same else None

    def _pace(self, took_s: float) -> None:
        """As many rows at a time as the reactor has time for."""
        if took_s > _SLICE_S:
            self._rows = max(_FEWEST_ROWS, self._rows // 2)
        elif took_s < _SLICE_S / 2:
            self._rows = min(_MOST_ROWS, self._rows * 2)

    def _track_of(self, key: str) -> str | None:
        """The track that a folder or the name of the file tells, the nearest first."""
        folders = key.removeprefix(self._prefix).split("/")
        for name in (folders[-1].split(".")[0], *reversed(folders[:-1]), *reversed(self._prefix.split("/"))):
            track = self._tracks.get(name)
            if track is not None:
                return track.name
        return None


def _age(seen: Listed) -> tuple[float, str]:
    return seen.modified_at, seen.key


def _line(line: bytes) -> str:
    """A digest by which a line is known again; its line end is not part of it."""
    return fingerprint(line.rstrip(b"\r"))


def _status(error: Exception) -> int:
    """The HTTP status an answer of S3 had; 0 where there was none."""
    response = getattr(error, "response", None)
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) if isinstance(response, dict) else 0


def told(error: Exception) -> str:
    """An error of boto3 in a few words."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return f"{shown(response.get('Error', {}).get('Code', ''))} (HTTP {_status(error)})"
    return f"{type(error).__name__}: {ascii(str(error))[1:-1][:120]}"
