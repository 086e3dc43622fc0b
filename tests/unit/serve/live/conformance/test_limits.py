"""What is too large, what lies about its length, and any bytes at all."""

from __future__ import annotations

import tracemalloc
import zlib
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pitwall.serve.live.websocket import MAX_CLIENT_MESSAGE, MAX_CLIENT_MESSAGES, MAX_CLIENT_PINGS, MAX_FRAGMENTS
from tests.unit.serve.live.conformance.case import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    ConformanceCase,
    Peer,
    close_frame,
    frame_of,
    octets,
)


class OversizeTests(ConformanceCase):
    """A message is at most ``MAX_CLIENT_MESSAGE`` bytes, and a length is told in the shortest form."""

    def test_at_the_limit(self) -> None:
        """A message of just that size is taken, in one frame and in many."""
        peer = self.peer()
        payload = b"x" * MAX_CLIENT_MESSAGE
        peer.deliver(frame_of(payload))
        parts = [frame_of(payload[n : n + 2048], 0, fin=False) for n in range(0, MAX_CLIENT_MESSAGE, 2048)]
        peer.deliver(frame_of(b"", BINARY, fin=False), *parts, frame_of(b"", 0))
        self.assertEqual(self.heard, [(payload, False), (payload, True)])
        self.assert_open(peer)

    def test_announced(self) -> None:
        """A frame that announces more is refused on its head: 1009."""
        for announced in (MAX_CLIENT_MESSAGE + 1, 1 << 20, 1 << 40, (1 << 63) - 1):
            for opcode in (TEXT, BINARY):
                for pieces in (lambda sent: [sent], octets):
                    peer = self.peer()
                    peer.deliver(*pieces(frame_of(b"", opcode, announced=announced)))
                    self.assert_failed(peer, 1009, announced)

    def test_in_fragments(self) -> None:
        """A message that grows above the limit by its frames is refused with the frame that is too much: 1009."""
        for size in (1050, 30_000, MAX_CLIENT_MESSAGE):
            peer = self.peer()
            peer.deliver(frame_of(b"x" * size, fin=False))
            sent = size
            while sent + size <= MAX_CLIENT_MESSAGE:
                peer.deliver(frame_of(b"x" * size, 0, fin=False))
                sent += size
            self.assertIsNone(peer.close_code)
            peer.deliver(frame_of(b"x", 0, fin=False, announced=MAX_CLIENT_MESSAGE - sent + 1))
            self.assert_failed(peer, 1009, size)
        self.assertEqual(self.heard, [])

    def test_beyond_63_bits(self) -> None:
        """A length with its top bit set is none: 1002 or, as it is too large as well, 1009."""
        for announced in (1 << 63, (1 << 64) - 1):
            peer = self.peer()
            peer.deliver(frame_of(b"", announced=announced))
            self.assertIn(peer.close_code, (1002, 1009))
            self.assert_failed(peer, peer.close_code or 0)

    def test_longer_than_need_be(self) -> None:
        """A length in more octets than it needs (RFC 6455, section 5.2): 1002."""
        for size, length_octets in ((0, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65535, 8)):
            for opcode in (TEXT, BINARY):
                peer = self.peer()
                peer.deliver(frame_of(b"x" * size, opcode, length_octets=length_octets))
                self.assert_failed(peer, 1002, (size, length_octets))
        self.assertEqual(self.heard, [])


class RateTests(ConformanceCase):
    """A client has its share of the server's time."""

    def test_messages(self) -> None:
        """Messages over fifty in a second fail the connection, whatever is in them: 1008; fifty a second never do."""
        for sent in (frame_of(b'{"type":"subscribe"}'), frame_of(b"?"), frame_of(b"", BINARY)):
            peer = Peer(self.server)
            for _ in range(3):
                peer.deliver(sent * MAX_CLIENT_MESSAGES)
                self.server.run_for(1.1, step=0.1)
            self.assert_open(peer, sent)
            peer.deliver(sent * (MAX_CLIENT_MESSAGES + 1))
            self.assert_failed(peer, 1008, sent)
        self.assertEqual(len(self.heard), 3 * (4 * MAX_CLIENT_MESSAGES + 1))

    def test_pings(self) -> None:
        """So do pings over a hundred in a second, and pongs that nobody asked for; none above them is answered."""
        for opcode in (PING, PONG):
            peer = Peer(self.server)
            for _ in range(3):
                peer.deliver(frame_of(b"x", opcode) * MAX_CLIENT_PINGS)
                self.server.run_for(1.1, step=0.1)
            self.assert_open(peer, opcode)
            self.server.run_for(1.1, step=0.1)
            peer.deliver(frame_of(b"y", opcode) * 5000)
            self.assertEqual(peer.pongs().count(b"y"), MAX_CLIENT_PINGS if opcode == PING else 0)
            self.assert_failed(peer, 1008, opcode)

    def test_fragments(self) -> None:
        """A message of more than 64 frames is refused with the frame that is one too many: 1009."""
        for payload in (b"", b"x"):
            peer = self.peer()
            peer.deliver(frame_of(payload, fin=False), frame_of(payload, 0, fin=False) * (MAX_FRAGMENTS - 1))
            self.assertIsNone(peer.close_code)
            peer.deliver(frame_of(payload, 0))
            self.assert_failed(peer, 1009, payload)
        self.assertEqual(self.heard, [])


class FloodTests(ConformanceCase):
    """A client that goes on sending after it has failed, or without an end, fills no memory."""

    deflate = True

    def assert_holds_little(self, peer: Peer, *first: bytes, then: bytes) -> None:
        """Of a hundred such segments after these pieces next to nothing is held."""
        peer.deliver(*first)
        tracemalloc.start()
        try:
            for _ in range(100):
                peer.deliver(bytes(bytearray(then)))  # a copy, as from a socket
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(held, 3 * len(then) + 20_000)

    def test_control_frame_of_gigabytes(self) -> None:
        """A ping that announces gigabytes, and sends some of them."""
        peer = self.peer()
        self.assert_holds_little(peer, frame_of(b"", PING, announced=1 << 40), then=b"x" * 65536)
        self.assert_failed(peer, 1002)

    def test_message_of_gigabytes(self) -> None:
        """A message that does."""
        peer = self.peer()
        self.assert_holds_little(peer, frame_of(b"", announced=1 << 40), then=b"x" * 65536)
        self.assert_failed(peer, 1009)

    def test_good_frames_after_a_bad_one(self) -> None:
        """Messages that would be good, after one that was not."""
        peer = self.peer()
        self.assert_holds_little(peer, frame_of(b"", 3), then=frame_of(b"x" * 60_000, mask=bytes(4)))
        self.assert_failed(peer, 1002)
        self.assertEqual(self.heard, [])

    def test_broken_stream(self) -> None:
        """What follows a message that does not inflate."""
        peer = self.peer()
        self.assert_holds_little(peer, frame_of(b"\xff" * 20, BINARY, rsv=4), then=b"x" * 65536)
        self.assert_failed(peer, 1007)

    def test_bomb(self) -> None:
        """What follows one that inflates to megabytes."""
        peer = self.peer()
        self.assert_holds_little(peer, frame_of(deflated(bytes(10_000_000)), BINARY, rsv=4), then=b"x" * 65536)
        self.assert_failed(peer, 1009)

    def test_frames_of_nothing(self) -> None:
        """A message of empty frames without an end."""
        peer = self.peer()
        self.assert_holds_little(peer, frame_of(b"", fin=False), then=frame_of(b"", 0, fin=False) * 500)
        self.assert_failed(peer, 1009)
        self.assertEqual(self.heard, [])

    def test_pings_without_reading(self) -> None:
        """A client that pings and does not read: when it reads again, it gets the newest pong (section 5.5.3)."""
        peer = self.peer(room=0)
        pings = [frame_of(b"%125d" % n, PING) for n in range(1500)]
        for start in range(0, 1500, 100):
            peer.connection.deliver(b"".join(pings[start : start + 100]))
            self.server.run_for(1.1, step=0.1)
        self.assertLess(len(peer.connection.waiting), 70_000)
        self.assert_others_served()
        peer.connection.flush()
        self.assertEqual(peer.pongs()[0], b"%125d" % 0)
        self.assertEqual(peer.pongs()[-1], b"%125d" % 1499)
        self.assertEqual(peer.pongs(), sorted(peer.pongs()))
        peer.deliver(frame_of(b"one more", PING))
        self.assertEqual(peer.pongs()[-1], b"one more")


def deflated(payload: bytes) -> bytes:
    """A payload as a client compresses it (RFC 7692, section 7.2.1)."""
    packer = zlib.compressobj(9, wbits=-15)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


_data = st.sampled_from([0, TEXT, BINARY])
#: Frames that are right, frames that are wrong in one way or more, and no frames.
_sent = st.lists(
    st.one_of(
        st.binary(max_size=100),
        st.builds(frame_of, st.binary(max_size=200), st.sampled_from([0, TEXT, BINARY, PING, PONG]), st.booleans()),
        st.builds(frame_of, st.binary(max_size=300).map(deflated), _data, st.booleans(), st.just(4)),
        st.builds(frame_of, st.binary(max_size=50), _data, st.booleans(), st.just(4)),
        st.builds(close_frame, st.integers(0, 65535), st.binary(max_size=123)),
        st.builds(
            frame_of,
            st.binary(max_size=200),
            st.integers(0, 15),
            st.booleans(),
            st.integers(0, 7),
            st.one_of(st.none(), st.binary(min_size=4, max_size=4)),
            st.sampled_from([None, 8]),
            st.one_of(st.none(), st.integers(0, (1 << 64) - 1)),
        ),
    ),
    max_size=8,
).map(b"".join)
_cuts = st.lists(st.integers(0, 1500), max_size=10)


class AnyBytesTests(ConformanceCase):
    """Whatever a client sends, nothing is raised or logged, and who watches is served."""

    def assert_harmless(self, sent: bytes, cuts: list[int], reads: bool) -> None:
        """A client that sends this, cut at these places, harms nobody, and its close frame is the last it gets."""
        peer = self.peer(room=1 << 40 if reads else 0)
        places = sorted({0, *(cut % (len(sent) + 1) for cut in cuts), len(sent)})
        for start, end in pairwise(places):
            if peer.connection.reading:
                peer.connection.deliver(sent[start:end])
            if reads:
                peer.connection.flush()
        self.assert_others_served()
        opcodes = [frame.opcode for frame in peer.frames()]
        if CLOSE in opcodes:
            self.assertEqual(opcodes.index(CLOSE), len(opcodes) - 1)
            self.assertNotIn(peer.protocol, self.server.broadcaster.clients)
        if peer.connection.connected:
            peer.connection.hang_up(clean=False)
        self.assertEqual(list(self.server.broadcaster.clients), [self.watcher.protocol])

    @settings(max_examples=150)
    @given(sent=_sent, cuts=_cuts, reads=st.booleans())
    def test_any_bytes(self, sent: bytes, cuts: list[int], reads: bool) -> None:
        """Any bytes, cut anywhere, from a client that reads or does not."""
        self.assert_harmless(sent, cuts, reads)


class AnyBytesDeflatedTests(AnyBytesTests):
    """The same where compression is agreed upon."""

    deflate = True

    @settings(max_examples=150)
    @given(sent=_sent, cuts=_cuts, reads=st.booleans())
    def test_any_bytes(self, sent: bytes, cuts: list[int], reads: bool) -> None:
        """Any bytes, cut anywhere, from a client that reads or does not."""
        self.assert_harmless(sent, cuts, reads)
