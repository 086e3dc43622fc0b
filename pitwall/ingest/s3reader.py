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
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pitwall.ingest.s3object import BucketObject, ChangedError, Listed, fingerprint
from pitwall.ingest.s3progress import Progress, ProgressTable
from pitwall.wire.errors import WireError, shown
from pitwall.wire.pieces import WINDOW, Lines
from pitwall.wire.tables import Table, Told, open_table

#: How long a slice of rows may hold the reactor, and how many rows it has [s, rows].
_SLICE_S = 0.003
_FEWEST_ROWS = 50
_MOST_ROWS = 500
#: So many objects that fail one after the other are the bucket's failure, not theirs.
_FAILURES_IN_A_ROW = 3
#: An object may be asked for twice in a row: so long, a last line without a line feed waits for its rest [s].
_SETTLED_S = 10.0
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
        left: of the keys asked for, those whose objects are not read to their end.
    """

    objects_read: int = 0
    errors: int = 0
    failed: str = ""
    unreadable: str = ""
    unsaved: str = ""
    notes: list[str] = field(default_factory=list)
    left: set[str] = field(default_factory=set)

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
        told: what is known beforehand of any row.
        take: takes lines in, and lets what is ready leave; returns how long that held the reactor [s].
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
        told: Told,
        take: Callable[[Table, list[bytes]], float],
        refuse: Callable[[str], object],
        check: Callable[[], None],
        clock: Callable[[], float],
        chance: random.Random,
    ) -> None:
        self._connect = connect
        self._bucket = bucket
        self._prefix = prefix
        self._progress = progress
        self._told = told
        self._take = take
        self._refuse = refuse
        self._check = check
        self._clock = clock
        self._chance = chance
        self._client: Any = None
        self._sick: dict[str, _Sick] = {}
        self._half: dict[tuple[str, str], float] = {}
        self._rows = _FEWEST_ROWS

    def look(self, keys: Collection[str] | None = None) -> Look:
        """
        Read what is new, the oldest first.

        Args:
            keys: the objects to ask for, whether they are there or not; None: list the bucket.
        """
        look = Look(left=set(keys or ()))
        try:
            with suppress(Stopped):
                self._look(look, keys)
        finally:
            self._progress.save()
        look.unsaved = self._progress.trouble
        if self._sick:
            key, sick = next(iter(self._sick.items()))
            look.unreadable = f"{len(self._sick)} objects can't be read, {shown(key)}: {sick.why}"
        return look

    def _look(self, look: Look, keys: Collection[str] | None) -> None:
        # Imported only where it is used: it costs 30 MB.
        from botocore.exceptions import BotoCoreError, ClientError

        expected = (BotoCoreError, ClientError, OSError)
        try:
            if self._client is None:
                look.notes += self._progress.load()
                self._client = self._connect()
            found = self._list() if keys is None else self._ask_for(keys, look)
            listed = {seen.key: seen for seen in found}
        except (*expected, ValueError) as error:
            look.failed = told(error)
            look.errors += 1
            return
        if keys is None:
            self._progress.keep_only(listed.keys())
            for key in self._sick.keys() - listed.keys():
                del self._sick[key]
            there = {(seen.key, seen.etag) for seen in listed.values()}
            self._half = {half: since for half, since in self._half.items() if half in there}
            wanted = filter(self._wanted, listed.values())
        else:
            wanted = filter(self._settled, filter(self._wanted, listed.values()))
        try:
            self._read_all(wanted, look, expected)
        finally:
            look.left -= {seen.key for seen in listed.values() if self._done(seen)}

    def _read_all(self, wanted: Iterable[Listed], look: Look, expected: tuple[type[Exception], ...]) -> None:
        in_a_row = 0
        for seen in sorted(wanted, key=_age):
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
                if self._done(seen):
                    self._half.pop((seen.key, seen.etag), None)
                else:
                    self._half.setdefault((seen.key, seen.etag), self._clock())

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

    def _ask_for(self, keys: Iterable[str], look: Look) -> Iterator[Listed]:
        """What the bucket says of each of these objects, in the order of the keys; nothing of those that are gone."""
        from botocore.exceptions import ClientError

        in_a_row = 0
        for key in keys:
            self._check()
            try:
                seen = self._head(key)
            except ClientError as error:
                self._fell_sick(Listed(key, "", 0, 0.0), told(error))
                in_a_row += 1
                if in_a_row == _FAILURES_IN_A_ROW:
                    raise
                look.errors += 1
                continue
            in_a_row = 0
            if seen is not None:
                yield seen
            else:
                self._sick.pop(key, None)
                look.left.discard(key)

    def _head(self, key: str) -> Listed | None:
        """One object as the listing would have it; None where it is gone, or empty."""
        from botocore.exceptions import ClientError

        try:
            answer = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _status(error) != 404:
                raise
            return None
        size = answer["ContentLength"]
        modified = answer.get("LastModified")
        return Listed(key, answer["ETag"], size, 0.0 if modified is None else modified.timestamp()) if size else None

    def _done(self, seen: Listed) -> bool:
        known = self._progress.get(seen.key)
        return known is not None and known.done(seen.etag, seen.size)

    def _wanted(self, seen: Listed) -> bool:
        if self._done(seen):
            self._sick.pop(seen.key, None)  # what failed was another content, or the question for it
            return False
        sick = self._sick.get(seen.key)
        return sick is None or sick.etag != seen.etag or self._clock() >= sick.not_before

    def _settled(self, seen: Listed) -> bool:
        """Whether an object that was read to a last line without a line feed may be taken for complete."""
        since = self._half.get((seen.key, seen.etag))
        return since is None or self._clock() >= since + _SETTLED_S

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
        except WireError as error:
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
        resumed = None if known is None else self._resumed(content, header, known)
        window = b""
        last, seen_to = "", 0
        released: dict[str, Any] = {}
        if known is not None and resumed is not None:
            lines, last, seen_to, released = resumed, known.last, known.seen_to, known.cars
            window = lines.window
        table, is_header = open_table(header, self._told, seen.key, released=released)
        table.mark = lines.offset
        if window:
            # Its first line may be half of one.
            table.recall(window.split(b"\n")[1:-1])
        if not is_header and resumed is None:
            self._took(table, [header])
        digests = {lines.offset: fingerprint(header, lines.window)}
        while batch := lines.take(self._rows):
            if last and last == _line(batch[0]):
                del batch[0]  # it was taken when it had no line feed yet
            last = ""
            # Rows that are held for their order stay to be read; those that an earlier reading let go are told apart.
            for again, part in _apart(batch, seen_to - table.mark if seen_to > table.mark else 0):
                table.again = again
                self._took(table, part)
            digests[lines.offset] = fingerprint(header, lines.window)
            held_from = table.held_from
            offset = lines.offset if held_from is None else held_from
            digests = {at: digest for at, digest in digests.items() if at >= offset}
            place = Progress(seen.etag, seen.size, offset, digests[offset])
            if held_from is not None:
                place = msgspec.structs.replace(place, seen_to=max(lines.offset, seen_to), cars=table.released)
            self._progress.put(seen.key, place)
            table.mark = lines.offset
        self._finish(table)
        rest = lines.rest
        place = Progress(seen.etag, seen.size, lines.offset, fingerprint(header, lines.window), len(rest))
        if rest and known == place:
            self._took(table, [rest])
            self._finish(table)
            last = _line(rest)
        return msgspec.structs.replace(place, last=last) if last and last == _line(rest) else place

    def _took(self, table: Table, lines: list[bytes]) -> None:
        """Have lines taken, and then whatever else is ready, some milliseconds at a time."""
        self._pace(self._take(table, lines))
        while table.complete:
            self._take(table, [])

    def _finish(self, table: Table) -> None:
        """Have all that is held leave: this is the end of the text, for now."""
        table.finish()
        while table.complete:
            self._take(table, [])

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


def _apart(batch: list[bytes], seen: int) -> Iterator[tuple[bool, list[bytes]]]:
    """The lines of which an earlier reading has seen the first so many bytes, and the others, where there are such."""
    count = 0
    while count < len(batch) and seen > 0:
        seen -= len(batch[count]) + 1
        count += 1
    if count:
        yield True, batch[:count]
    if count < len(batch):
        yield False, batch[count:]


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
