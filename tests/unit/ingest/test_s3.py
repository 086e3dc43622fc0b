"""The S3 door reads a bucket, each whole row once, whatever becomes of its objects."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.ingest import s3object
from pitwall.ingest.s3 import Handover
from pitwall.ingest.s3reader import Stopped
from pitwall.model.point import Point
from pitwall.wire.errors import WireError
from pitwall.wire.pieces import WINDOW, Lines, inflated
from tests.unit.ingest.s3_doubles import FakeBucket, ThreadlessReactor, refusal
from tests.unit.ingest.s3cases import HEADER, KEY, S3TestCase, rows


class ReadingTests(S3TestCase):
    """Every whole row of every object becomes a point, once."""

    def test_each_row_once(self) -> None:
        """The rows of an object are published, and never again while the object stays as it is."""
        self.bucket.put(KEY, HEADER + rows(1, 2, 3))
        self.start()
        self.assertEqual(self.speeds(), [1, 2, 3])
        self.assertEqual(len(self.bucket.gets()), 1)
        self.look()
        self.look()
        self.assertEqual(self.speeds(), [1, 2, 3])
        self.assertEqual(self.bucket.requests, ["list", "list"])
        self.assertEqual((self.door.objects_read, self.door.rows_read, self.door.errors), (1, 3, 0))
        self.assertEqual(self.hub.ledger.accepted, {"s3": 3})

    def test_new_objects(self) -> None:
        """An object that is new at a later look is read then."""
        self.start()
        self.bucket.put(KEY, HEADER + rows(1))
        self.reactor.advance(59)
        self.assertEqual(self.speeds(), [])
        self.reactor.advance(1)
        self.assertEqual(self.speeds(), [1])

    def test_oldest_first(self) -> None:
        """Objects are read in the order in which they were written."""
        self.bucket.put("telemetry/b.csv", HEADER + rows(1))
        self.bucket.put("telemetry/c.csv", HEADER + rows(2))
        self.bucket.put("telemetry/a.csv", HEADER + rows(3))
        self.start()
        self.assertEqual(self.speeds(), [1, 2, 3])

    def test_prefix_and_empty_objects(self) -> None:
        """Only keys with the prefix are read; folders and empty objects are not asked for."""
        self.bucket.put("other/a.csv", HEADER + rows(1))
        self.bucket.put("telemetry/", "")
        self.start()
        self.assertEqual((self.speeds(), self.bucket.gets(), self.door.failing), ([], [], False))

    def test_listing_in_pages(self) -> None:
        """A bucket with more keys than one answer holds is read whole."""
        self.bucket = FakeBucket(page=7)
        for n in range(40):
            self.bucket.put(f"telemetry/{n:02}.csv", HEADER + rows(n))
        self.start()
        self.assertEqual(self.speeds(), list(range(40)))
        self.assertEqual(self.bucket.requests.count("list"), 6)

    def test_bad_rows(self) -> None:
        """A bad row is counted with its reason and never costs the good ones."""
        self.bucket.put(KEY, f"{HEADER}{rows(1)}barber,GR86-1,fast\nbarber\n{rows(2)}")
        self.start()
        self.assertEqual(self.speeds(), [1, 2])
        self.assertEqual(self.hub.ledger.refused, {("s3", "wrong_type"): 1, ("s3", "csv_fields"): 1})
        self.assertEqual((self.door.rows_read, self.door.failing), (4, False))

    def test_track_in_the_key(self) -> None:
        """Rows without a track get the one that the file or a folder is named after."""
        plain = "chassis,speed\nA,1\n"
        for key in ("barber/x.csv", "2025/Road America/r1/x.csv", "vir.csv.gz", "nowhere/x.csv"):
            self.bucket.put(f"telemetry/{key}", plain)
        self.start()
        raws = self.hub.ring.newest(10)
        self.assertEqual([json.loads(raw)["track"] for raw in raws], ["barber", "road_america", "virginia"])
        self.assertEqual(self.hub.ledger.refused, {("s3", "missing_field"): 1})

    def test_gzip(self) -> None:
        """Packed objects are read, by whatever name and in however many parts."""
        text = (HEADER + rows(*range(300))).encode()
        self.bucket.put("telemetry/a.csv.gz", gzip.compress(text))
        self.bucket.put("telemetry/b", gzip.compress(text[:500]) + gzip.compress(text[500:]) + b"\0" * 40)
        self.bucket.put("telemetry/c.gz", text)
        self.start()
        self.assertEqual(self.speeds(), [*range(300)] * 3)

    def test_large_objects_in_ranges(self) -> None:
        """A large object is fetched in ranges of one version and handed over in small slices, each row once."""
        self.patch(s3object, "FIRST_RANGE", 1000)
        self.patch(s3object, "RANGE", 7000)
        batches: list[int] = []
        self.before_publish(lambda points: batches.extend([len(points)]))
        speeds = [n % 400 for n in range(5000)]
        self.bucket.put(KEY, HEADER + rows(*speeds))
        self.start()
        self.assertEqual(self.speeds(), speeds)
        self.assertTrue(200 < max(batches) <= 500, max(batches))
        ranges = self.bucket.gets()
        self.assertEqual(ranges[:3], [(KEY, 0, 999), (KEY, 1000, 7999), (KEY, 8000, 14999)])

    def test_small_slices_on_a_slow_machine(self) -> None:
        """Where rows take long to decode, fewer are handed over at a time."""
        batches: list[int] = []

        def slow(points: Sequence[Point]) -> None:
            batches.append(len(points))
            self.reactor.rightNow += len(points) * 20e-6

        self.before_publish(slow)
        # The pause after each slice would be real time.
        self.patch(Handover, "__call__", lambda handover, work, *args: work(*args))
        self.bucket.put(KEY, HEADER + rows(*range(400)) * 10)
        self.start()
        self.assertEqual(len(self.speeds()), 4000)
        self.assertEqual((min(batches[1:-1]), max(batches)), (100, 100))


class ChangingObjectTests(S3TestCase):
    """An object that grows is read on; one with another content is read anew."""

    def test_grown(self) -> None:
        """Of an object that was written again and is longer, only the new rows are read."""
        self.bucket.put(KEY, HEADER + rows(1, 2))
        self.start()
        self.bucket.put(KEY, HEADER + rows(1, 2, 3))
        self.look()
        self.assertEqual(self.speeds(), [1, 2, 3])

    def test_grown_large(self) -> None:
        """Reading on in a large object fetches its beginning and its end, not what is between."""
        self.patch(s3object, "FIRST_RANGE", 1000)
        self.patch(s3object, "RANGE", 100_000)
        speeds = [n % 400 for n in range(30_000)]
        self.bucket.put(KEY, HEADER + rows(*speeds))
        self.start()
        self.bucket.gets()
        self.bucket.put(KEY, HEADER + rows(*speeds, 1, 2))
        self.look()
        self.assertEqual(self.speeds(), [*speeds, 1, 2])
        self.assertLess(sum(last - first for _, first, last in self.bucket.gets()), 70_000)

    def test_grown_gzip(self) -> None:
        """A packed object that grows is read on as well."""
        self.bucket.put(KEY, gzip.compress((HEADER + rows(1, 2) + "barber,GR").encode()))
        self.start()
        self.bucket.put(KEY, gzip.compress((HEADER + rows(1, 2, 3)).encode()))
        self.look()
        self.assertEqual(self.speeds(), [1, 2, 3])

    def test_half_line_waits(self) -> None:
        """A last line that is not whole yet counts once it is."""
        self.bucket.put(KEY, HEADER + rows(1) + "barber,GR86-1,2")
        self.start()
        self.assertEqual(self.speeds(), [1])
        self.bucket.put(KEY, HEADER + rows(1) + "barber,GR86-1,250\n")
        self.look()
        self.assertEqual(self.speeds(), [1, 250])
        self.assertEqual(self.hub.ledger.points_refused, 0)

    def test_last_line_without_line_feed(self) -> None:
        """The last line of an object that no longer changes is taken without its line feed, once."""
        self.bucket.put(KEY, HEADER + rows(1) + "barber,GR86-1,2")
        self.start()
        self.look()
        self.assertEqual(self.speeds(), [1, 2])
        self.bucket.gets()
        self.look()
        self.assertEqual((self.speeds(), self.bucket.gets()), ([1, 2], []))
        self.assertEqual(self.door.objects_read, 1)

    def test_taken_line_gets_its_line_feed(self) -> None:
        """A line that was taken without its line feed is not taken again when the object goes on behind it."""
        self.bucket.put(KEY, HEADER + rows(1) + "barber,GR86-1,2")
        self.start()
        self.look()
        self.bucket.put(KEY, HEADER + rows(1) + "barber,GR86-1,2\r\n" + rows(3))
        self.look()
        self.assertEqual(self.speeds(), [1, 2, 3])

    def test_taken_line_becomes_longer(self) -> None:
        """A line that was taken too early is a row once more when it is whole."""
        self.bucket.put(KEY, HEADER + rows(1) + "barber,GR86-1,2")
        self.start()
        self.look()
        self.bucket.put(KEY, HEADER + rows(1, 25, 3))
        self.look()
        self.assertEqual(self.speeds(), [1, 2, 25, 3])

    def test_header_alone(self) -> None:
        """An object that is only a header, whole or half, has no rows and is no trouble."""
        self.bucket.put(KEY, HEADER)
        self.bucket.put("telemetry/b.csv", HEADER.strip())
        self.bucket.put("telemetry/c.csv", "trac")
        self.start()
        self.look()
        self.bucket.gets()
        self.look()
        self.assertEqual((self.speeds(), self.bucket.gets(), self.lines()), ([], [], []))
        self.bucket.put("telemetry/c.csv", HEADER + rows(1))
        self.look()
        self.assertEqual(self.speeds(), [1])

    def test_replaced(self) -> None:
        """An object that now has another content is read anew, whether that is shorter, longer or as long."""
        self.bucket.put(KEY, HEADER + rows(11, 12, 13))
        self.start()
        for speeds in ([21], [31, 32, 33], [41, 42, 43, 44, 45]):
            self.bucket.put(KEY, HEADER + rows(*speeds))
            self.look()
        self.assertEqual(self.speeds(), [11, 12, 13, 21, 31, 32, 33, 41, 42, 43, 44, 45])

    def test_other_columns(self) -> None:
        """The same rows under another header are other rows."""
        self.bucket.put(KEY, "track,chassis,speed\n" + rows(1))
        self.start()
        self.bucket.put(KEY, "track,chassis,power\n" + rows(1, 2))
        self.look()
        self.assertEqual(self.hub.last_seq, 3)

    def test_written_again_unchanged(self) -> None:
        """The same content written once more repeats nothing, half line or not."""
        for end in ("", "barber,GR86-1,3"):
            self.bucket.put(KEY, HEADER + rows(1, 2) + end)
        self.start()
        self.look()
        self.bucket.put(KEY, HEADER + rows(1, 2) + end)
        self.look()
        self.look()
        self.assertEqual(self.speeds(), [1, 2, 3])

    def test_replaced_while_it_is_read(self) -> None:
        """An object that is replaced between the listing and the reading is read at the next look, without a word."""
        self.bucket.put(KEY, HEADER + rows(1))
        self.bucket.failures[KEY] = refusal(412, "PreconditionFailed")
        self.start()
        self.bucket.failures[KEY] = refusal(404, "NoSuchKey")
        self.look()
        del self.bucket.failures[KEY]
        self.look()
        self.assertEqual((self.speeds(), self.lines(), self.door.errors), ([1], [], 0))

    def test_service_that_ignores_conditions(self) -> None:
        """Where the service sends another version than the one listed, nothing of it is taken before the next look."""
        self.bucket.put(KEY, HEADER + rows(1))
        get = self.bucket.get_object
        self.patch(self.bucket, "get_object", lambda **wanted: {**get(**wanted), "ETag": '"other"'})
        self.start()
        self.assertEqual((self.speeds(), self.door.failing), ([], False))
        self.patch(self.bucket, "get_object", get)
        self.look()
        self.assertEqual(self.speeds(), [1])

    @given(st.data())
    def test_grown_in_any_steps(self, data: st.DataObject) -> None:
        """However an object grows from look to look, every row comes once and in order."""
        self.bucket = FakeBucket()
        self.begin()
        self.door.startService()
        text = HEADER + rows(*range(100, 120))
        ends = data.draw(st.lists(st.integers(0, len(text)), max_size=6))
        for end in sorted(ends):
            self.bucket.put(KEY, text[:end])
            self.look()
        self.bucket.put(KEY, text)
        self.look()
        self.door.stopService()
        self.assertEqual(self.speeds(), list(range(100, 120)))


class HandoverTests(SynchronousTestCase):
    """The reading thread has its rows taken by the reactor, one slice at a time."""

    def test_done_and_answered(self) -> None:
        """The work is done, and its answer comes back."""
        self.assertEqual(Handover(ThreadlessReactor())(lambda a, b: a - b, 3, 3), 0)

    def test_faults_come_back(self) -> None:
        """What the work raises is raised where it was asked for."""
        self.assertRaises(ZeroDivisionError, Handover(ThreadlessReactor()), lambda: 1 / 0)

    def test_stopped_before(self) -> None:
        """Once stopped, nothing is done any more."""
        handover = Handover(ThreadlessReactor())
        handover.stop()
        self.assertRaises(Stopped, handover.check)
        self.assertRaises(Stopped, handover, self.fail)

    def test_stopped_while_it_waits(self) -> None:
        """Work that the reactor has not got to when it stops is left undone, and the thread is told so."""

        class BusyReactor(ThreadlessReactor):
            def callFromThread(self, work: Any, *args: Any) -> None:
                handover.stop()
                work(*args)

        handover = Handover(BusyReactor())
        done: list[int] = []
        self.assertRaises(Stopped, handover, done.append, 1)
        self.assertEqual(done, [])


class LinesTests(SynchronousTestCase):
    """A text that comes in pieces is cut into whole lines."""

    @given(st.binary(), st.lists(st.integers(0, 200)), st.integers(1, 5))
    def test_any_pieces(self, text: bytes, cuts: list[int], most: int) -> None:
        """However a text comes, its whole lines come out, its half line is left, and the place is known."""
        ends = sorted(min(cut, len(text)) for cut in cuts)
        pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
        lines = Lines(iter(pieces))
        found: list[bytes] = []
        while batch := lines.take(most):
            self.assertLessEqual(len(batch), most)
            found += batch
            self.assertEqual(lines.offset, sum(map(len, found)) + len(found))
            self.assertEqual(lines.window, text[: lines.offset])
        self.assertEqual([*found, lines.rest], text.split(b"\n"))

    def test_window(self) -> None:
        """The last 64 KiB that were taken are at hand, however long the text is."""
        text = b"".join(b"%d\n" % n for n in range(100_000))
        lines = Lines(text[start : start + 9999] for start in range(0, len(text), 9999))
        while lines.take(300):
            self.assertEqual(lines.window, text[max(0, lines.offset - WINDOW) : lines.offset])
        self.assertEqual(lines.offset, len(text))

    def test_endless_line(self) -> None:
        """A megabyte without a line feed is no line."""
        lines = Lines(iter([b"track\n"] + [b"x" * 100_000] * 30))
        self.assertEqual(lines.take(10), [b"track"])
        self.assertRaises(WireError, lines.take, 10)

    @given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.integers(1, 100))
    def test_any_gzip(self, members: list[bytes], size: int) -> None:
        """Packed members come out whole, however they are cut and however far they unfold."""
        self.patch(s3object, "RANGE", 64)
        packed = b"".join(map(gzip.compress, members))
        pieces = (packed[start : start + size] for start in range(0, len(packed), size))
        found = list(inflated(pieces))
        self.assertEqual(b"".join(found), b"".join(members))
        self.assertLessEqual(max(map(len, found), default=0), 64)

    def test_bomb(self) -> None:
        """A small object that unfolds to a huge one is unpacked piece by piece."""
        pieces = inflated(iter([gzip.compress(b"\0" * 50_000_000)]))
        self.assertEqual({len(piece) for piece in pieces} - {s3object.RANGE}, {50_000_000 % s3object.RANGE})
