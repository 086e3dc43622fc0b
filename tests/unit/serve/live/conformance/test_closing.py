"""The closing handshake (RFC 6455, sections 5.5.1 and 7)."""

from __future__ import annotations

from pitwall.serve.live.websocket import CLOSE_S
from tests.doubles import publish
from tests.unit.serve.live.conformance.case import (
    CLOSE,
    PING,
    TIMER_STEP_S,
    ConformanceCase,
    Peer,
    close_frame,
    frame_of,
    octets,
)

#: Section 7.4.1, and the registry that it opened.
GOOD_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999)
BAD_CODES = (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)


class ClientClosesTests(ConformanceCase):
    """A close frame is answered by one, and the server ends the connection."""

    def assert_answered(self, peer: Peer, payload: bytes, what: object = None) -> None:
        """One close frame has come, nothing follows it, and the connection is over."""
        self.assertEqual(peer.controls(), [(0x80 | CLOSE, payload)], what)
        self.assertFalse(peer.connection.connected, what)
        self.assertNotIn(peer.protocol, self.server.broadcaster.clients)
        self.assert_others_served()
        self.assertEqual(peer.frames()[-1].opcode, CLOSE)

    def test_without_a_code(self) -> None:
        """A close frame may be empty; so is the answer."""
        for pieces in ([close_frame()], octets(close_frame())):
            peer = self.peer()
            peer.deliver(*pieces)
            self.assert_answered(peer, b"")

    def test_good_codes(self) -> None:
        """A code that may be sent is echoed."""
        for code in GOOD_CODES:
            peer = self.peer()
            peer.deliver(close_frame(code))
            self.assert_answered(peer, code.to_bytes(2, "big"), code)

    def test_reasons(self) -> None:
        """A reason of up to 123 octets is taken, whole and octet by octet, and echoed."""
        for reason in (b"x", "le drapeau à damier 🏁".encode(), b"x" * 123, "é".encode() * 61):
            for pieces in ([close_frame(1000, reason)], octets(close_frame(1000, reason))):
                peer = self.peer()
                peer.deliver(*pieces)
                self.assert_answered(peer, b"\x03\xe8" + reason)

    def test_bad_codes(self) -> None:
        """A code that must not be sent: 1002, which reaches the client, and the end."""
        for code in BAD_CODES:
            for reason in (b"", b"a reason"):
                peer = self.peer()
                peer.deliver(close_frame(code, reason))
                self.assert_failed(peer, 1002, code)

    def test_one_octet(self) -> None:
        """Half a code: 1002."""
        peer = self.peer()
        peer.deliver(frame_of(b"\x03", CLOSE))
        self.assert_failed(peer, 1002)

    def test_bad_reason(self) -> None:
        """A reason that is not UTF-8, or ends within a character: 1007, which reaches the client."""
        for reason in (b"\xff", b"good \xed\xa0\x80", "🏁".encode()[:3], b"x" * 122 + b"\xc3"):
            peer = self.peer()
            peer.deliver(close_frame(1000, reason))
            self.assert_failed(peer, 1007, reason)

    def test_nothing_after_it(self) -> None:
        """What follows a close frame, in the same segment or later, is neither heard nor answered."""
        after = (frame_of(b"after"), frame_of(b"", PING), close_frame(1001), b"\xff" * 20)
        for sent in after:
            for pieces in ([close_frame(1000) + sent], [close_frame(1000), sent]):
                peer = self.peer()
                peer.deliver(*pieces)
                self.assert_answered(peer, b"\x03\xe8", sent)
        self.assertEqual(self.heard, [])

    def test_hangs_up_at_once(self) -> None:
        """A client that sends its close frame and is gone troubles nobody."""
        peer = self.peer()
        peer.connection.deliver(close_frame(1001))
        peer.connection.hang_up()
        self.assert_others_served()
        self.server.run_for(CLOSE_S + 1)
        self.assertEqual(list(self.server.broadcaster.clients), [self.watcher.protocol])


class ServerClosesTests(ConformanceCase):
    """The server says goodbye, and goes when the client has, or when its time is over."""

    def test_answered(self) -> None:
        """The connection is over as soon as the client has answered."""
        peer = self.peer()
        peer.protocol.end(4008, "too slow")
        self.assertTrue(peer.connection.connected)
        peer.deliver(close_frame(4008))
        self.server.run_for(0.01)
        self.assertEqual(peer.controls(), [(0x80 | CLOSE, b"\x0f\xa8too slow")])
        self.assertFalse(peer.connection.connected)
        self.assert_others_served()

    def test_not_answered(self) -> None:
        """A client that reads its close frame and does not answer is cut when its time is over, and not before."""
        peer = self.peer()
        peer.protocol.end(4008, "too slow")
        peer.connection.flush()
        self.server.run_for(CLOSE_S - TIMER_STEP_S, step=0.05)
        self.assertTrue(peer.connection.connected)
        self.assert_failed(peer, 4008)

    def test_frames_meanwhile(self) -> None:
        """Until the client answers, its pings get no answer and its messages no hearing that would answer them."""
        peer = self.peer()
        peer.protocol.end(1001, "going away")
        peer.deliver(frame_of(b"", PING), frame_of(b'{"type":"resume","since":"x"}'), frame_of(b"\xff", 2))
        self.assertEqual(len(peer.frames()), 1)
        self.assert_failed(peer, 1001)

    def test_wrong_meanwhile(self) -> None:
        """A client that does wrong in place of an answer gets no second close frame, and is cut in time."""
        for wrong in (frame_of(b"", 3), frame_of(b"\xff"), close_frame(999), frame_of(b"x" * 126, PING)):
            peer = self.peer()
            peer.protocol.end(1001, "going away")
            peer.deliver(wrong)
            self.assert_failed(peer, 1001, wrong)

    def test_both_at_once(self) -> None:
        """When both say goodbye at once, what the server had sent before, and its close frame, still arrive."""
        peer = self.peer(room=100)
        publish(self.server.hub, 20, padding=200)
        self.server.run_for(0.02)
        peer.protocol.end(1001, "going away")
        peer.connection.deliver(close_frame(1000))
        self.server.run_for(0.01)
        peer.connection.flush()
        self.assertEqual(len(peer.points()), 20)
        self.assertEqual(peer.close_code, 1001)
        self.server.run_for(0.01)
        self.assertFalse(peer.connection.connected)
        self.assert_others_served()

    def test_both_at_once_and_not_read(self) -> None:
        """But not for longer than the client has to answer."""
        peer = self.peer(room=0)
        publish(self.server.hub, 20, padding=200)
        self.server.run_for(0.02)
        peer.protocol.end(1001, "going away")
        peer.connection.deliver(close_frame(1000))
        self.server.run_for(CLOSE_S + TIMER_STEP_S, step=0.05)
        self.assertFalse(peer.connection.connected)
        self.assert_others_served()
