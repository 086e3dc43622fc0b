"""A benchmark is worth what its tools are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.load import a_point, percentile, split_frames
from benchmarks.server import kernel_drops
from pitwall.serve.live.frames import frame
from pitwall.wire.points import PointDecoder

UDP_TABLE = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1234: 00000000:5129 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 12345 2 0000000000000000 17
 1235: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 12346 2 0000000000000000 5
"""


class MeasuringTests(SynchronousTestCase):
    """The tools of the benchmarks."""

    @given(st.lists(st.sampled_from((0, 1, 125, 126, 65_535, 65_536)), max_size=4), st.data())
    def test_frames(self, sizes: list[int], data: st.DataObject) -> None:
        """Frames are found however the stream is cut, and no byte of them is lost."""
        payloads = [b"x" * size for size in sizes]
        stream = b"".join(map(frame, payloads))
        cut = data.draw(st.integers(0, len(stream)))
        first, held = split_frames(stream[:cut])
        second, left = split_frames(held + stream[cut:])
        self.assertEqual([payload for _, payload in first + second], payloads)
        self.assertEqual({opcode for opcode, _ in first + second}, {1} if payloads else set())
        self.assertEqual(left, b"")

    def test_percentile(self) -> None:
        """The percentile is a value that occurred, by nearest rank."""
        values = list(range(1, 101))
        self.assertEqual([percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)], [1, 51, 100, 100])
        self.assertNotEqual(percentile([], 0.5), percentile([], 0.5))

    def test_kernel_drops(self) -> None:
        """The drops of one port are read from the kernel's table."""
        self.assertEqual((kernel_drops(UDP_TABLE, 20777), kernel_drops(UDP_TABLE, 53)), (17, 5))

    def test_points(self) -> None:
        """The points that are sent are good ones."""
        decoded = PointDecoder().objects([a_point(number) for number in range(0, 3_000_000, 9999)], 0.0)
        self.assertEqual(decoded.refused, [])
