"""The numeric rows that workers read: what is written is what is read, or it is counted as missed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.channels import CORE
from pitwall.model.row import ROW
from pitwall.rows import RowReader, SharedRows, channels_of, columns_of, pack_rows
from pitwall.rows import numbered as with_numbers
from pitwall.shared import shared_file
from pitwall.wire.points import PointDecoder
from tests.strategies import RECEIVED_AT, Fields, encode, vendor_points


def numbered(first: int, count: int) -> NDArray[np.void]:
    """Rows that tell their own number in every field."""
    rows = np.zeros(count, ROW)
    for name in rows.dtype.names or ():
        rows[name] = np.arange(first, first + count)
    return rows


class PackRowsTests(SynchronousTestCase):
    """`pack_rows` makes points rows."""

    @given(st.lists(vendor_points(), min_size=1, max_size=6))
    def test_values(self, sent: list[Fields]) -> None:
        """Each row has its point's number, car, time, place and channels, NaN where one was not sent."""
        decoder = PointDecoder()
        for _ in range(3):  # some vendors' names are known by then: points of several kinds in one batch
            points = decoder.objects([encode(fields) for fields in sent], RECEIVED_AT).points
        columns = columns_of(points)
        rows = with_numbers(pack_rows(columns, channels_of(columns), range(7, 7 + len(points))), 41)
        self.assertEqual(rows["seq"].tolist(), list(range(41, 41 + len(sent))))
        self.assertEqual(rows["car"].tolist(), list(range(7, 7 + len(sent))))
        for row, point, fields in zip(rows, points, sent, strict=True):
            self.assertEqual((row["time_s"], row["meta_s"]), (point.time_s(), point.time_s()))
            # Nothing is known of the car's clock here.
            self.assertEqual((row["clock"], row["shift_s"], row["clock_sigma_s"]), (0, 0.0, 0.0))
            for column, name in (("latitude", "VBOX_Lat_Min"), ("longitude", "VBOX_Long_Minutes")):
                np.testing.assert_equal(row[column], np.float64(fields.get(name, np.nan)))
            for channel in CORE:
                np.testing.assert_equal(row[channel.name], np.float32(fields.get(channel.name, np.nan)))


class SharedRowsTests(SynchronousTestCase):
    """`SharedRows` writes, `RowReader` reads, in another process or this one."""

    def open(self, capacity: int) -> tuple[SharedRows, RowReader]:
        """A writer and a reader of its memory."""
        writer = SharedRows(capacity)
        self.addCleanup(writer.close)
        reader = RowReader(writer.path, capacity)
        self.addCleanup(reader.close)
        return writer, reader

    @given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=12), st.integers(1, 15))
    def test_read_as_written(self, capacity: int, steps: list[tuple[int, bool]], most: int) -> None:
        """Every row is read once, as it was written, or counted as missed; order and numbers are kept."""
        writer, reader = SharedRows(capacity), None
        try:
            reader = RowReader(writer.path, capacity)
            reached = missed = 0
            seen: list[int] = []
            for count, read_now in [*steps, (0, True)]:
                writer.write(numbered(writer.published + 1, min(count, capacity)))
                self.assertEqual(reader.published(), writer.published)
                while read_now and reached < writer.published:
                    rows, lost = reader.read(reached, most)
                    self.assertLessEqual(len(rows), most)
                    missed += lost
                    reached += lost + len(rows)
                    seen += rows["seq"].tolist()
                    np.testing.assert_array_equal(rows, numbered(reached - len(rows) + 1, len(rows)))
            self.assertEqual(reader.read(reached, most).rows.size, 0)
            self.assertEqual(seen, sorted(set(seen)))
            self.assertEqual(len(seen) + missed, writer.published)
            if all(read_now for _, read_now in steps):
                self.assertEqual(missed, 0)
        finally:
            writer.close()
            if reader is not None:
                reader.close()

    def interrupt(self, reader: RowReader, act: Callable[[], None]) -> None:
        """Have something happen after the reader has read rows and before it looks at their counter again."""
        counter, calls = reader._counter, []

        def interrupted(offset: int) -> int:
            calls.append(offset)
            if len(calls) == 2:
                act()
            return counter(offset)

        self.patch(reader, "_counter", interrupted)

    def test_overwritten_meanwhile(self) -> None:
        """Rows that were overwritten while they were read are not given out, but counted."""
        writer, reader = self.open(10)
        writer.write(numbered(1, 10))
        self.interrupt(reader, lambda: writer.write(numbered(11, 4)))
        rows, missed = reader.read(0, 10)
        self.assertEqual((rows["seq"].tolist(), missed), ([5, 6, 7, 8, 9, 10], 4))

    def test_all_overwritten_meanwhile(self) -> None:
        """When all of them were, the next read goes on behind them."""
        writer, reader = self.open(10)
        writer.write(numbered(1, 5))

        def overwrite() -> None:
            writer.write(numbered(6, 10))
            writer.write(numbered(16, 10))

        self.interrupt(reader, overwrite)
        rows, missed = reader.read(0, 10)
        self.assertEqual((rows.size, missed), (0, 5))
        rows, missed = reader.read(5, 10)
        self.assertEqual((rows["seq"].tolist(), missed), (list(range(16, 26)), 10))

    def test_half_written(self) -> None:
        """Rows that a batch being written may have torn are not given out, and none of that batch is."""
        writer, reader = self.open(10)
        writer.write(numbered(1, 10))
        calls = 0
        pwrite = os.pwrite

        def stuck(fd: int, content: bytes, offset: int) -> int:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise InterruptedError  # the rows are there, their publication is not
            return pwrite(fd, content, offset)

        self.patch(os, "pwrite", stuck)
        self.assertRaises(InterruptedError, writer.write, numbered(11, 3))
        rows, missed = reader.read(0, 20)
        self.assertEqual((rows["seq"].tolist(), missed), ([4, 5, 6, 7, 8, 9, 10], 3))

    def test_two_at_once(self) -> None:
        """Read while another thread writes as fast as it can, no row is torn, lost from the count, or out of order."""
        writer, reader = self.open(64)
        total = 4_200

        def write() -> None:
            for first in range(1, total, 7):
                writer.write(numbered(first, 7))

        thread = threading.Thread(target=write)
        thread.start()
        reached = 0
        while thread.is_alive() or reached < reader.published():
            rows, missed = reader.read(reached, 50)
            reached += missed + len(rows)
            np.testing.assert_array_equal(rows, numbered(reached - len(rows) + 1, len(rows)))
        thread.join()
        self.assertEqual(reached, total)

    def test_nothing_there(self) -> None:
        """Before the first row, and after the last, there is nothing to read and nothing missed."""
        writer, reader = self.open(10)
        self.assertEqual((reader.published(), reader.read(0, 5).missed, reader.read(0, 5).rows.size), (0, 0, 0))
        writer.write(numbered(1, 3))
        self.assertEqual((reader.read(3, 5).missed, reader.read(3, 5).rows.size), (0, 0))
        self.assertEqual(reader.read(7, 5).rows.size, 0)

    def test_no_anonymous_file(self) -> None:
        """Where the kernel refuses an anonymous file, an unlinked one serves as well."""

        def refused(name: str, flags: int) -> int:
            raise PermissionError

        self.patch(os, "memfd_create", refused)
        writer, reader = self.open(10)
        writer.write(numbered(1, 10))
        self.assertEqual(reader.read(0, 10).rows["seq"].tolist(), list(range(1, 11)))
        self.assertTrue(os.readlink(writer.path).endswith("(deleted)"))

    def test_path_of_a_daemon(self) -> None:
        """The path names the process that asks for it, for a daemon has forked since the memory was made."""
        writer, _ = self.open(10)
        self.patch(os, "getpid", lambda: 4711)
        self.assertEqual(writer.path.split("/")[:4], ["", "proc", "4711", "fd"])

    def test_not_inherited(self) -> None:
        """No other program this one starts gets the memory along."""
        fd = shared_file("test", 10)
        self.addCleanup(os.close, fd)
        self.assertFalse(os.get_inheritable(fd))


class TimeTests(SynchronousTestCase):
    """Times in rows."""

    def test_zones(self) -> None:
        """A time is the same moment in whatever zone it was sent."""
        times = ("2025-09-06T18:40:41.5Z", "2025-09-06T20:40:41.5+02:00")
        sent = [encode({"track": "a", "chassis": "b", "meta_time": time}) for time in times]
        points = PointDecoder().objects(sent, RECEIVED_AT).points
        columns = columns_of(points)
        rows = with_numbers(pack_rows(columns, channels_of(columns), [0, 0]), 1)
        self.assertEqual(set(rows["time_s"].tolist()), {datetime(2025, 9, 6, 18, 40, 41, 500_000, UTC).timestamp()})
