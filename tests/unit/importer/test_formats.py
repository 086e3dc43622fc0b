"""What a recording is, by its first bytes."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from pitwall.importer.formats import CSV, NDJSON, ReadError, is_header, media_type_of


class MediaTypeTests(SynchronousTestCase):
    """`media_type_of` looks at the bytes, and at the name only where they leave it open."""

    def test_told(self) -> None:
        """CSV, JSON lines and JSON documents are told apart, whatever the file is called."""
        for text, name, ended, wanted in (
            (b"meta_time,track\n", "a.csv", True, CSV),
            (b"meta_time,track\n", "a.json", True, CSV),
            (b"", "a.csv", True, CSV),
            (b'[{"track":"barber"}]', "a.csv", True, None),
            (b' \n[\n {"track":"barber"}]', "a.json", True, None),
            (b'{"track":"barber"}\n{"track":"barber"}\n', "a.json", True, NDJSON),
            (b'{"track":"barber"}\r\n{"track":"bar', "stdin", False, NDJSON),
            (b'{"telemetry":[{"track":"barber"}]}\n', "a.json", True, None),
            (b'{"telemetry":[{"track":"barber"}]}\n\n', "a.json", True, None),
            (b'{\n  "telemetry": [\n', "a.json", False, None),
            (b'{"telemetry": [\n{}\n]}', "a.json", True, None),
            (b'{"track":"barber"}', "a.json", True, None),
            (b'{"track":"barber"}', "a.jsonl", True, NDJSON),
            (b'{"track":"barber"}', "A.NDJSON.gz", True, NDJSON),
        ):
            self.assertEqual(media_type_of(text, name, ended), wanted, (text, name))

    def test_no_text(self) -> None:
        """An archive, UTF-16 and other binary files are refused with what they are."""
        for begun, what in (
            (b"PK\x03\x04rest", "a zip archive"),
            (b"\xff\xfem\0e\0t\0", "UTF-16"),
            (b"PAR1", "Parquet"),
            (b"\x7fELF\0\0", "no text"),
        ):
            self.assertIn(what, str(self.assertRaises(ReadError, media_type_of, begun, "a.csv", True)))


class HeaderTests(SynchronousTestCase):
    """`is_header` tells a line of names from a row."""

    def test_headers(self) -> None:
        """Names are a header, also quoted, of one column, or with a column without a name."""
        for line in (
            b"expire_at,lap,meta_event,meta_time,telemetry_name,telemetry_value",
            b'"meta_source","meta_time","lap","value"\r',
            b"meta_time,telemetry_name,telemetry_value",
            b",track,chassis,speed",
            b"NUMBER; DRIVER_NUMBER; LAP_NUMBER; S1",
        ):
            self.assertTrue(is_header(line), line)

    def test_long(self) -> None:
        """A line of 64 KiB is looked at in no time, whatever is in it; no number has so many digits."""
        line = b"9" * (64 << 10) + b"x"
        began_s = time.thread_time()
        self.assertTrue(is_header(line))
        self.assertLess(time.thread_time() - began_s, 0.1)

    def test_rows(self) -> None:
        """A line with a number or a time in it is a row."""
        for line in (
            b"2025-09-06T18:42:10.250Z,barber,GR86-004-78,3,815.6,141.0,0.12,-0.87,31.5,0.0,5920",
            b",barber,GR86-004-78,3,,141.0",
            b'"2025-09-06 18:42:10","barber","GR86-004-78",,,',
            b",barber,GR86-004-78,,,-1.5e1\r",
        ):
            self.assertFalse(is_header(line), line)
