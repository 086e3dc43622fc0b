"""Pings, pongs and the frames of a message (RFC 6455, sections 5.4 and 5.5)."""

from __future__ import annotations

from pitwall.serve.live.websocket import MAX_FRAGMENTS
from tests.unit.serve.live.conformance.case import BINARY, CLOSE, PING, PONG, TEXT, ConformanceCase, frame_of, octets


class PingTests(ConformanceCase):
    """A ping is answered by a pong with the same payload."""

    def test_every_size(self) -> None:
        """From 0 to 125 octets of any kind, whole and octet by octet."""
        peer = self.peer()
        payloads = [bytes(255 - n % 256 for n in range(size)) for size in range(126)]
        for payload in payloads:
            peer.deliver(frame_of(payload, PING))
            self.server.run_for(0.01)  # no more of them than a client may send
        for size in (0, 1, 125):
            peer.deliver(*octets(frame_of(payloads[size], PING)))
        self.assertEqual(peer.pongs(), [*payloads, payloads[0], payloads[1], payloads[125]])
        self.assert_open(peer)

    def test_too_long(self) -> None:
        """A control frame of over 125 octets: 1002, without a pong."""
        for opcode in (PING, PONG, CLOSE):
            for size in (126, 127, 65536):
                peer = self.peer()
                peer.deliver(frame_of(b"\x03\xe8" + b"x" * (size - 2), opcode))
                self.assert_failed(peer, 1002, (opcode, size))
                self.assertEqual(peer.pongs(), [])

    def test_many_at_once(self) -> None:
        """Ten pings in a segment are ten pongs in their order; so they are octet by octet."""
        peer = self.peer()
        pings = b"".join(frame_of(b"ping %d" % n, PING) for n in range(10))
        wanted = [b"ping %d" % n for n in range(10)]
        peer.deliver(pings)
        self.assertEqual(peer.pongs(), wanted)
        peer.deliver(*octets(pings))
        self.assertEqual(peer.pongs(), wanted * 2)
        self.assert_open(peer)

    def test_unsolicited_pongs(self) -> None:
        """A pong that nobody asked for is passed over, also while the server waits for one."""
        peer = self.peer()
        sent = (b"", b"nobody asked", b"x" * 125)
        peer.deliver(*(frame_of(payload, PONG) for payload in sent), frame_of(b"a ping", PING))
        self.assertEqual(peer.controls(), [(0x80 | PONG, b"a ping")])
        self.server.run_for(21, step=0.1)
        peer.connection.flush()
        self.assertEqual(peer.controls()[-1].opcode, PING)
        peer.deliver(*(frame_of(payload, PONG) for payload in sent))
        self.assert_open(peer)

    def test_unsolicited_pong_is_no_answer(self) -> None:
        """A client that answers its ping with something else is as good as gone."""
        peer = self.peer()
        self.server.run_for(21, step=0.1)
        peer.deliver(frame_of(b"something else", PONG))
        self.server.run_for(20.5, step=0.1)
        self.assertFalse(peer.connection.connected)


class FragmentTests(ConformanceCase):
    """A message may come in many frames, and control frames between them."""

    def test_in_fragments(self) -> None:
        """However it is cut, empty frames included, it is one message."""
        peer = self.peer()
        for opcode in (TEXT, BINARY):
            for parts in ((b"two ", b"parts"), (b"", b"", b""), (b"", b"in the middle", b""), (b"x",) * MAX_FRAGMENTS):
                frames = [frame_of(part, 0, fin=False) for part in parts]
                frames[0] = frame_of(parts[0], opcode, fin=False)
                frames[-1] = frame_of(parts[-1], 0)
                for pieces in ([b"".join(frames)], frames, octets(b"".join(frames))):
                    peer.deliver(*pieces)
                    self.assertEqual(self.heard.pop(), (b"".join(parts), opcode == BINARY))
                    self.assertEqual(self.heard, [])
        self.assert_open(peer)

    def test_pings_between(self) -> None:
        """A ping between two frames is answered at once, and the message is whole for all that."""
        peer = self.peer()
        for pieces in (lambda sent: [sent], octets):
            before = len(peer.pongs())
            peer.deliver(*pieces(frame_of(b"frag", fin=False) + frame_of(b"first", PING)))
            self.assertEqual(peer.pongs()[before:], [b"first"])
            peer.deliver(*pieces(frame_of(b"", 0, fin=False) + frame_of(b"second", PING) + frame_of(b"a pong", PONG)))
            self.assertEqual(peer.pongs()[before:], [b"first", b"second"])
            self.assertEqual(self.heard, [])
            peer.deliver(*pieces(frame_of(b"ments", 0)))
            self.assertEqual(self.heard.pop(), (b"fragments", False))
        self.assert_open(peer)

    def test_close_between(self) -> None:
        """A close frame within a message ends the connection; the message is not heard."""
        peer = self.peer()
        peer.deliver(frame_of(b"frag", fin=False) + frame_of(b"\x03\xe8", CLOSE) + frame_of(b"ments", 0))
        self.assertEqual(peer.close_code, 1000)
        self.assertEqual(self.heard, [])
        self.assertFalse(peer.connection.connected)
        self.assert_others_served()

    def test_fragmented_control_frame(self) -> None:
        """A control frame is never cut: 1002."""
        for opcode in (PING, PONG, CLOSE):
            peer = self.peer()
            peer.deliver(frame_of(b"\x03\xe8", opcode, fin=False) + frame_of(b"rest", 0))
            self.assert_failed(peer, 1002, opcode)
            self.assertEqual(peer.pongs(), [])

    def test_continuation_of_nothing(self) -> None:
        """A continuation without a beginning, also after a message is over: 1002."""
        for before in (b"", frame_of(b"whole"), frame_of(b"be", fin=False) + frame_of(b"gun", 0)):
            for fin in (True, False):
                peer = self.peer()
                peer.deliver(before + frame_of(b"rest", 0, fin=fin) + frame_of(b"another"))
                self.assert_failed(peer, 1002, (before, fin))
        self.assertEqual({payload for payload, _ in self.heard}, {b"whole", b"begun"})

    def test_beginning_within_a_message(self) -> None:
        """A new message before the one that has begun is over: 1002."""
        for opcode in (TEXT, BINARY):
            for fin in (True, False):
                peer = self.peer()
                peer.deliver(frame_of(b"one", fin=False), frame_of(b"two", opcode, fin=fin), frame_of(b"three", 0))
                self.assert_failed(peer, 1002, (opcode, fin))
        self.assertEqual(self.heard, [])
