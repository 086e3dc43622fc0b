"""``pitwall.serve.live.frames``: messages framed once for all clients."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.live.frames import Frame, FrameLog, deflated_frame, frame, payload_of
from tests.doubles import frames_in
from tests.sizes import EDGES, message_deflating_to, message_of

#: Where the length in a frame's head takes another form.
SIZES = (0, 1, 125, 126, 127, 65535, 65536, 65537)


def inflated(payload: bytes) -> bytes:
    """What a client reads in a compressed message (RFC 7692, section 7.2.2)."""
    return zlib.decompressobj(wbits=-15).decompress(payload + b"\x00\x00\xff\xff")


class FrameTests(SynchronousTestCase):
    """`frame` makes what a WebSocket client reads."""

    def test_every_length_form(self) -> None:
        """A message of any size arrives as one text frame with all its bytes, in the shortest form of its length."""
        for size in SIZES:
            payload = bytes(n % 251 for n in range(size))
            framed = frame(payload)
            self.assertEqual(frames_in(framed), [(0x81, payload)], size)
            self.assertEqual(len(framed) - size, 2 if size < 126 else 4 if size < 65536 else 10)
            self.assertEqual(bytes(payload_of(framed)), payload)

    def test_compressed(self) -> None:
        """A compressed message is marked as such, and inflates to the message, at every size."""
        for size in SIZES:
            payload = b'{"rpm":5400}' * (size // 12) + b" " * (size % 12)
            ((first_byte, packed),) = frames_in(deflated_frame(payload))
            self.assertEqual(first_byte, 0xC1)
            self.assertEqual(inflated(packed), payload, size)

    def test_shortest_length(self) -> None:
        """The length in a frame's head has the shortest form at each edge of one, deflated or not."""
        for size in EDGES:
            head = 2 if size <= 125 else 4 if size <= 65535 else 10
            message = message_of(size)
            framed = frame(message)
            self.assertEqual((len(framed), framed[0]), (head + size, 0x81), size)
            self.assertEqual(frames_in(framed), [(0x81, message)])
            self.assertEqual(inflated(frames_in(deflated_frame(message))[0].payload), message)

            message = message_deflating_to(size)
            framed = deflated_frame(message)
            self.assertEqual((len(framed), framed[0]), (head + size, 0xC1), size)
            ((_, packed),) = frames_in(framed)
            self.assertEqual(len(packed), size)
            self.assertEqual(inflated(packed), message)
            self.assertEqual(bytes(payload_of(framed)), packed)

    @given(st.binary(max_size=70_000))
    def test_any_payload(self, payload: bytes) -> None:
        """Both forms of a frame say the same."""
        both = Frame(payload)
        self.assertEqual(frames_in(both.plain)[0].payload, payload)
        self.assertEqual(inflated(frames_in(both.deflated)[0].payload), payload)

    def test_compressed_once(self) -> None:
        """A message is compressed once, however many clients ask for it."""
        one = Frame(b"x" * 1000)
        self.assertIs(one.deflated, one.deflated)


class FrameLogTests(SynchronousTestCase):
    """`FrameLog` keeps what a client may still be sent."""

    def frames(self, count: int = 1, size: int = 10) -> list[Frame]:
        """So many frames."""
        return [Frame(b"x" * size) for _ in range(count)]

    def test_by_index(self) -> None:
        """A frame is found by its place since the start, whatever has gone before it."""
        log = FrameLog(max_age_s=1.0)
        kept = self.frames(3)
        log.append(kept[:1], 0.0)
        log.append(kept[1:2], 0.5)
        self.assertEqual((log.start, log.end), (0, 2))
        log.append(kept[2:], 1.2)
        self.assertEqual((log.start, log.end), (1, 3))
        self.assertIs(log.get(1), kept[1])
        self.assertIs(log.get(2), kept[2])

    def test_bounded_bytes(self) -> None:
        """Above its size the oldest go, whatever their age."""
        log = FrameLog(max_age_s=1000, max_bytes=1000)
        for n in range(50):
            log.append(self.frames(size=96), n)  # 98 bytes with its head
        self.assertEqual((log.start, log.end), (40, 50))

    def test_one_flush_is_kept_whole(self) -> None:
        """A flush that is larger than the log stays until the next one, for clients that keep up."""
        log = FrameLog(max_bytes=100)
        flush = self.frames(3, size=90)
        log.append(flush, 5.0)
        self.assertEqual((log.start, log.end), (0, 3))
        self.assertIs(log.get(0), flush[0])
        log.append(self.frames(), 5.1)
        self.assertGreaterEqual(log.start, 3)

    def test_lets_go_without_new_ones(self) -> None:
        """After the race is over nothing is held."""
        log = FrameLog(max_age_s=1.0, max_bytes=300)
        log.append(self.frames(size=96), 0.0)
        log.append(self.frames(size=96), 0.4)
        log.expire(1.2)
        self.assertEqual((log.start, log.end), (1, 2))
        log.expire(10.0)
        self.assertEqual((log.start, log.end), (2, 2))
        # What went has been taken off the size: three more fit.
        log.append(self.frames(size=96), 10.0)
        log.append(self.frames(size=96), 10.0)
        log.append(self.frames(size=96), 10.0)
        self.assertEqual((log.start, log.end), (2, 5))
