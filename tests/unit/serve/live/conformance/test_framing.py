"""Frames: their sizes, their mask, their reserved bits and their opcodes (RFC 6455, sections 5.2 to 5.5)."""

from __future__ import annotations

from tests.unit.serve.live.conformance.case import BINARY, CLOSE, PING, PONG, TEXT, ConformanceCase, frame_of, octets

SIZES = (0, 1, 125, 126, 127, 128, 65535, 65536)


class SizeTests(ConformanceCase):
    """A message arrives whole at every size where the form of a length changes."""

    def test_whole(self) -> None:
        """In one segment, as text and as binary."""
        peer = self.peer()
        for opcode in (TEXT, BINARY):
            for size in SIZES:
                payload = bytes(n % 127 for n in range(size))
                peer.deliver(frame_of(payload, opcode))
                self.assertEqual(self.heard[-1], (payload, opcode == BINARY), size)
        self.assertEqual(len(self.heard), 2 * len(SIZES))
        self.assert_open(peer)

    def test_in_octets(self) -> None:
        """Octet by octet; of the large ones the head, and the rest in many pieces."""
        peer = self.peer()
        for opcode in (TEXT, BINARY):
            for size in SIZES:
                payload = bytes(n % 127 for n in range(size))
                framed = frame_of(payload, opcode)
                *pieces, last = octets(framed[:150]) + [framed[n : n + 997] for n in range(150, len(framed), 997)]
                peer.deliver(*pieces)
                self.assertEqual(self.heard, [], size)
                peer.deliver(last)
                self.assertEqual(self.heard.pop(), (payload, opcode == BINARY), size)
        self.assert_open(peer)

    def test_many_in_a_segment(self) -> None:
        """Several messages in one segment, the last one cut, are several messages in their order."""
        peer = self.peer()
        framed = b"".join(frame_of(b"message %d" % n) for n in range(50))
        peer.deliver(framed[:-3], framed[-3:])
        self.assertEqual(self.heard, [(b"message %d" % n, False) for n in range(50)])
        self.assert_open(peer)


class MaskTests(ConformanceCase):
    """A client masks, a server does not."""

    def test_unmasked(self) -> None:
        """A frame without a mask fails the connection with 1002, whatever it is; it is not heard."""
        for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
            for payload in (b"", b"\x03\xe8"):
                peer = self.peer()
                peer.deliver(frame_of(payload, opcode, mask=None))
                self.assert_failed(peer, 1002, (opcode, payload))
        self.assertEqual(self.heard, [])

    def test_any_mask(self) -> None:
        """Any mask is a mask, that of zeros too, and each frame has its own."""
        peer = self.peer()
        masks = (bytes(4), b"\xff" * 4, b"\x00\x00\x00\x01", b"\x80\x7f\x00\xff")
        for mask in masks:
            peer.deliver(frame_of(b"Rennwagen " * 20, mask=mask))
        self.assertEqual(self.heard, [(b"Rennwagen " * 20, False)] * len(masks))
        self.assert_open(peer)

    def test_server_does_not_mask(self) -> None:
        """No frame of the server's is masked: messages, pings, pongs, the close frame."""
        peer = self.peer()
        self.assert_open(peer)
        self.server.run_for(21, step=0.1)
        peer.deliver(frame_of(b"\x03\xe8", CLOSE))
        frames = peer.all_frames()  # which refuses a mask
        self.assertEqual({frame.opcode for frame in frames}, {TEXT, PING, PONG, CLOSE})
        self.assertTrue(all(frame.first_byte & 0xF0 == 0x80 for frame in frames))


class ReservedTests(ConformanceCase):
    """What has no meaning yet fails the connection."""

    def test_reserved_bits(self) -> None:
        """Any of RSV1 to RSV3 where nothing gives it a meaning: 1002."""
        for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
            for rsv in range(1, 8):
                peer = self.peer()
                peer.deliver(frame_of(b"\x03\xe8", opcode, rsv=rsv))
                self.assert_failed(peer, 1002, (opcode, rsv))
        self.assertEqual(self.heard, [])

    def test_reserved_after_good_ones(self) -> None:
        """What came before in the same segment is heard, what comes after is not."""
        peer = self.peer()
        peer.deliver(frame_of(b"before") + frame_of(b"wrong", rsv=1) + frame_of(b"after") + frame_of(b"", PING))
        self.assert_failed(peer, 1002)
        self.assertEqual(self.heard, [(b"before", False)])
        self.assertEqual(peer.pongs(), [])

    def test_reserved_opcodes(self) -> None:
        """Opcodes 3 to 7 and 11 to 15, with and without a payload: 1002."""
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
            for payload in (b"", b"payload"):
                peer = self.peer()
                peer.deliver(frame_of(b"before") + frame_of(payload, opcode) + frame_of(b"after"))
                self.assert_failed(peer, 1002, opcode)
        self.assertEqual({payload for payload, _ in self.heard}, {b"before"})

    def test_in_octets(self) -> None:
        """It fails no later than with the whole frame when the frame comes octet by octet."""
        for wrong in (frame_of(b"x", rsv=2), frame_of(b"x", 5), frame_of(b"x", 12), frame_of(b"x", mask=None)):
            peer = self.peer()
            peer.deliver(*octets(wrong))
            self.assert_failed(peer, 1002, wrong)
        self.assertEqual(self.heard, [])


class ReservedWithDeflateTests(ConformanceCase):
    """Where compression is agreed upon, RSV1 has a meaning on the first frame of a message (RFC 7692, section 6)."""

    deflate = True

    def test_reserved_bits(self) -> None:
        """RSV2 and RSV3, and RSV1 on a control frame or a continuation: 1002."""
        wrong = [frame_of(b"", opcode, rsv=rsv) for opcode in (TEXT, PING) for rsv in (1, 2, 3, 5, 6, 7)]
        wrong += [frame_of(b"\x03\xe8", opcode, rsv=4) for opcode in (PING, PONG, CLOSE)]
        wrong += [frame_of(b"a", fin=False) + frame_of(b"b", 0, rsv=4)]
        for sent in wrong:
            peer = self.peer()
            peer.deliver(sent)
            self.assert_failed(peer, 1002, sent)
        self.assertEqual(self.heard, [])
