"""Recordings cut into batches."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.importer import batches as module
from pitwall.importer.batches import Batch, BatchSize, batches
from pitwall.importer.formats import CSV, NDJSON, ReadError
from tests.unit.importer.doubles import memory

HEADER = b"meta_time,track,chassis,speed\n"


def a_row(number: int) -> bytes:
    """A CSV row that tells itself apart."""
    return b"2025-09-06T18:42:%02d.%03dZ,barber,GR86-1,%d.5\n" % (number // 1000, number % 1000, number)


def cut(content: bytes, most_bytes: int = 1 << 20, name: str = "a.csv") -> list[Batch]:
    """All batches of a file."""
    return [batch for batch, _ in batches(memory(content), name, BatchSize(most_bytes))]


class CsvTests(SynchronousTestCase):
    """CSV files."""

    def test_header_in_each(self) -> None:
        """Each batch begins with the header, holds whole lines, and none is lost or out of order."""
        rows = [a_row(n) for n in range(1000)]
        found = cut(HEADER + b"".join(rows), 4096)
        self.assertGreater(len(found), 10)
        self.assertEqual({batch.header for batch in found}, {HEADER})
        self.assertEqual({batch.media_type for batch in found}, {CSV})
        self.assertEqual(b"".join(batch.lines for batch in found), b"".join(rows))
        self.assertTrue(all(batch.lines.endswith(b"\n") and len(batch.lines) <= 4096 for batch in found))

    def test_row_numbers(self) -> None:
        """A batch knows the number of its first row in the file, from 1."""
        first = 1
        for batch in cut(HEADER + b"".join(map(a_row, range(300))), 2048):
            self.assertEqual(batch.first_row, first)
            first += batch.rows
        self.assertEqual(first, 301)

    def test_last(self) -> None:
        """Only the last batch is the last."""
        found = list(batches(memory(HEADER + a_row(1) * 100), "a.csv", BatchSize(1024)))
        self.assertEqual([last for _, last in found], [False] * (len(found) - 1) + [True])

    def test_odd_ends(self) -> None:
        """A byte order mark, CRLF, blank lines and a missing last line feed do no harm."""
        content = b"\xef\xbb\xbf\r\n" + HEADER[:-1] + b"\r\n\r\n" + a_row(1)[:-1] + b"\r\n \t\r\n\r\n" + a_row(2)[:-1]
        (batch,) = cut(content)
        self.assertEqual(batch.body, HEADER + a_row(1)[:-1] + b"\r\n" + a_row(2)[:-1])
        self.assertEqual(batch.rows, 2)

    def test_blank_lines_between_batches(self) -> None:
        """A batch of nothing but blank lines is none."""
        (first, second) = cut(HEADER + a_row(1) + b"\n" * 5000 + a_row(2), 1024)
        self.assertEqual(first.lines + second.lines, a_row(1) + a_row(2))
        self.assertEqual((first.first_row, second.first_row), (1, 2))

    def test_without_header(self) -> None:
        """Rows without a header are sent as they are."""
        rows = b",barber,GR86-1,3,815.6,141.0\n" * 100
        found = cut(rows, 1024)
        self.assertEqual({batch.header for batch in found}, {b""})
        self.assertEqual(b"".join(batch.body for batch in found), rows)

    def test_header_only(self) -> None:
        """A header that nothing follows is sent, for the server to judge."""
        for content in (HEADER, HEADER[:-1]):
            (batch,) = cut(content)
            self.assertEqual((batch.body, batch.rows), (HEADER, 0))

    def test_empty(self) -> None:
        """Of a file without content nothing is sent."""
        for content in (b"", b"\n\r\n", b"\xef\xbb\xbf"):
            self.assertEqual(cut(content), [])

    def test_long_line(self) -> None:
        """A file without line feeds is refused before it fills the memory."""
        self.patch(module, "LONGEST_LINE", 100_000)
        error = self.assertRaises(ReadError, cut, HEADER + b"x" * 1_000_000, 1024)
        self.assertEqual(str(error), "row 1 is over 100000 bytes long, wanted lines of text")

    def test_smaller_from_now_on(self) -> None:
        """A size that is made smaller counts from the next batch that is read."""
        size = BatchSize(8192)
        found = batches(memory(HEADER + b"".join(map(a_row, range(1000)))), "a.csv", size)
        next(found)
        size.most_bytes = 1024
        next(found)  # was read ahead
        self.assertLessEqual(max(len(batch.lines) for batch, _ in found), 1024)

    @given(st.lists(st.binary(max_size=40), max_size=40), st.integers(1, 200), st.booleans())
    def test_any_lines(self, cells: list[bytes], most_bytes: int, ended: bool) -> None:
        """Whatever stands in the lines, each that is not blank comes once and in order."""
        lines = [b"x" + cell.translate(None, b"\n\0") for cell in cells]
        found = cut(b"\n".join([b"speed", *lines]) + (b"\n" if ended else b""), most_bytes)
        joined = b"".join(batch.lines for batch in found)
        self.assertEqual(joined.removesuffix(b"\n").split(b"\n"), lines or [b""])
        self.assertEqual(sum(batch.rows for batch in found), len(lines))


class PackedTests(SynchronousTestCase):
    """Files that are gzip."""

    def test_unpacked(self) -> None:
        """Gzip is known by its first bytes, of one member or of several, and the progress is that of the file."""
        content = HEADER + b"".join(map(a_row, range(5000)))
        packed = gzip.compress(content[:50_000]) + gzip.compress(content[50_000:]) + b"\0" * 100
        found = cut(packed, 65536, name="a.csv")
        self.assertEqual(b"".join(batch.lines for batch in found), content.removeprefix(HEADER))
        self.assertEqual(found[-1].read_bytes, len(packed))

    def test_broken(self) -> None:
        """What came before the break is sent, the last of it as the last, and then it is said."""
        packed = gzip.compress(HEADER + b"".join(map(a_row, range(50_000))))
        found = batches(memory(packed[: len(packed) // 2]), "a.csv.gz", BatchSize(65536))
        got, error = drained(found)
        self.assertGreater(len(got), 1)
        self.assertTrue(got[-1][1])
        self.assertIn("broken gzip: ", str(error))

    def test_garbage(self) -> None:
        """A file that only begins like gzip is refused."""
        got, error = drained(batches(memory(b"\x1f\x8b\x08garbage" * 100), "a.csv.gz", BatchSize(1024)))
        self.assertEqual(got, [])
        self.assertIn("broken gzip", str(error))


class JsonTests(SynchronousTestCase):
    """JSON lines, and JSON documents."""

    def test_lines(self) -> None:
        """JSON objects a line are cut like CSV, without a header."""
        rows = [b'{"track":"barber","chassis":"GR86-1","speed":%d}\n' % n for n in range(100)]
        found = cut(b"\xef\xbb\xbf" + b"".join(rows), 1024, "a.ndjson")
        self.assertEqual({(batch.media_type, batch.header) for batch in found}, {(NDJSON, b"")})
        self.assertEqual(b"".join(batch.lines for batch in found), b"".join(rows))

    def test_document(self) -> None:
        """The rows of a document are sent as JSON lines, in batches, and numbered over all of it."""
        rows = [{"track": "barber", "chassis": "GR86-1", "speed": n} for n in range(100)]
        found = cut(json.dumps({"telemetry": rows}, indent=2).encode(), 1024, "a.json")
        self.assertGreater(len(found), 3)
        self.assertEqual([json.loads(line) for batch in found for line in batch.lines.splitlines()], rows)
        self.assertEqual([batch.first_row for batch in found[:2]], [1, 1 + found[0].rows])
        self.assertTrue(all(len(batch.lines) <= 1024 for batch in found))

    def test_no_telemetry(self) -> None:
        """A document without telemetry is refused."""
        error = self.assertRaises(ReadError, cut, b'{"weather":[{"AIR_TEMP":31.2}]}', name="a.json")
        self.assertEqual(str(error), "has no telemetry in it, wanted an array of points or of rows")

    def test_broken(self) -> None:
        """A document that breaks off is refused."""
        error = self.assertRaises(ReadError, cut, b'[{"track":"barber"},', name="a.json")
        self.assertIn("is not JSON", str(error))


class HalvesTests(SynchronousTestCase):
    """A batch that is too large is halved."""

    def test_halves(self) -> None:
        """Two halves have the lines of the whole, each under the header, and know their rows."""
        for count in (2, 3, 10, 11):
            rows = b"".join(map(a_row, range(count)))[:-1]
            one, other = Batch(CSV, HEADER, rows, 5).halves() or self.fail()
            self.assertEqual(one.lines + other.lines, rows)
            self.assertEqual((one.first_row, one.rows + other.rows), (5, count))
            self.assertEqual(other.first_row, 5 + one.rows)
            self.assertTrue(other.body.startswith(HEADER) and one.body.startswith(HEADER))

    def test_uneven(self) -> None:
        """A short line beside a long one can be parted from it, on either side."""
        for lines in (b"a\n" + b"b" * 100 + b"\n", b"b" * 100 + b"\na\n"):
            self.assertIsNotNone(Batch(CSV, b"", lines, 1).halves())

    def test_one_line(self) -> None:
        """A single line has no halves, nor has none."""
        for lines in (a_row(1), a_row(1)[:-1], b""):
            self.assertIsNone(Batch(CSV, HEADER, lines, 1).halves())


def drained(found: Iterator[Any]) -> tuple[list[Any], ReadError | None]:
    """What comes before an error, and the error."""
    got = []
    try:
        for item in found:
            got.append(item)
    except ReadError as error:
        return got, error
    return got, None
