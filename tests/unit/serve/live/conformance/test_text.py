"""Text is UTF-8, to the last octet (RFC 6455, section 8.1; RFC 3629)."""

from __future__ import annotations

from tests.unit.serve.live.conformance.case import BINARY, ConformanceCase, frame_of, octets

VALID = (
    b"",
    "Nürburgring, Monza, 鈴鹿, 🏁".encode(),
    b"\x00\x7f",
    b"\xc2\x80\xdf\xbf",  # the least and greatest of two octets
    b"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",  # of three, around the surrogates
    b"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",  # of four
    b"\xef\xbf\xbe\xf0\x9f\xbf\xbf",  # non-characters are characters
    b"\xef\xbb\xbfafter a byte order mark",
)
INVALID = {
    "continuation alone": b"\x80",
    "continuations alone": b"\xbf\x80\xbf",
    "cut before another": b"\xe2\x82A",
    "overlong slash": b"\xc0\xaf",
    "overlong of three": b"\xe0\x9f\xbf",
    "overlong of four": b"\xf0\x8f\xbf\xbf",
    "overlong nought": b"\xc0\x80",
    "first surrogate": b"\xed\xa0\x80",
    "last surrogate": b"\xed\xbf\xbf",
    "surrogate pair": b"\xed\xa0\x80\xed\xb0\x80",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "lead octet F5": b"\xf5\x80\x80\x80",
    "five octets": b"\xf8\x88\x80\x80\x80",
    "six octets": b"\xfc\x84\x80\x80\x80\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
}


class TextTests(ConformanceCase):
    """Good text arrives, bad text fails the connection with 1007."""

    def test_valid(self) -> None:
        """Every code point arrives, cut between any two octets, over frames and over segments."""
        peer = self.peer()
        for text in VALID:
            framed = frame_of(text)
            ways = [[framed], octets(framed)]
            ways += [[frame_of(text[:n], fin=False), frame_of(text[n:], 0)] for n in range(1, len(text))]
            for pieces in ways:
                peer.deliver(*pieces)
                self.assertEqual(self.heard.pop(), (text, False))
                self.server.run_for(0.02)  # no more of them than a client may send
        self.assert_open(peer)

    def test_invalid(self) -> None:
        """Every wrong form fails, in the middle of good text too, whole and octet by octet."""
        for name, wrong in INVALID.items():
            framed = frame_of("gut: κόσμε ".encode() + wrong + b" good")
            for pieces in ([framed], octets(framed)):
                peer = self.peer()
                peer.deliver(*pieces)
                self.assert_failed(peer, 1007, name)
        self.assertEqual(self.heard, [])

    def test_invalid_over_frames(self) -> None:
        """A wrong form is found when a frame's end goes through it."""
        for name, wrong in INVALID.items():
            for cut in range(1, len(wrong)):
                peer = self.peer()
                peer.deliver(frame_of(b"good " + wrong[:cut], fin=False), frame_of(wrong[cut:], 0))
                self.assert_failed(peer, 1007, (name, cut))
        self.assertEqual(self.heard, [])

    def test_ends_within_a_code_point(self) -> None:
        """A message that ends before its last character does fails, in one frame or more."""
        flag = "🏁".encode()
        for size in (1, 2, 3):
            for sent in (frame_of(flag[:size]), frame_of(flag[:size], fin=False) + frame_of(b"", 0)):
                peer = self.peer()
                peer.deliver(sent)
                self.assert_failed(peer, 1007, size)
        self.assertEqual(self.heard, [])

    def test_fails_fast(self) -> None:
        """It fails with the first wrong octet, when neither the frame nor the message is over."""
        wrong = b"good \xf4\x90"
        peer = self.peer()
        peer.deliver(frame_of(wrong, fin=False))
        self.assert_failed(peer, 1007)
        peer = self.peer()
        framed = frame_of(wrong + b" much that is never sent" * 10)
        head = len(framed) - len(wrong) - 240
        peer.deliver(*octets(framed[: head + len(wrong) - 1]))
        self.assertIsNone(peer.close_code)
        peer.deliver(framed[head + len(wrong) - 1 : head + len(wrong)])
        self.assert_failed(peer, 1007)

    def test_binary_is_anything(self) -> None:
        """What is no text may be sent as binary."""
        peer = self.peer()
        for wrong in INVALID.values():
            peer.deliver(frame_of(wrong, BINARY))
            self.assertEqual(self.heard.pop(), (wrong, True))
        self.assert_open(peer)
