"""A server, a client that may do wrong, and one that watches whether it is harmed by that."""

from __future__ import annotations

from itertools import cycle
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.live.websocket import CLOSE_S, TelemetryClient
from tests.doubles import Frame, Screen, WebServer, publish

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
#: Autobahn's timers go off together, in steps [s].
TIMER_STEP_S = 0.2
#: A client's request for compression, as browsers make it.
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"


def frame_of(
    payload: bytes = b"",
    opcode: int = TEXT,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"\x37\xfa\x21\x3d",
    length_octets: int | None = None,
    announced: int | None = None,
) -> bytes:
    """
    A frame as a client sends it, or must not.

    Args:
        payload: what it carries.
        opcode: what it is.
        fin: whether it is the last of its message.
        rsv: the three reserved bits, RSV1 as 4.
        mask: None leaves it unmasked.
        length_octets: 0, 2 or 8 of extended length; the least that will do if None.
        announced: the length it claims to have, if not its own.
    """
    size = len(payload) if announced is None else announced
    if length_octets is None:
        length_octets = 0 if size <= 125 else 2 if size <= 0xFFFF else 8
    short = {0: size, 2: 126, 8: 127}[length_octets]
    head = bytes((fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short))
    if length_octets:
        head += size.to_bytes(length_octets, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(octet ^ key for octet, key in zip(payload, cycle(mask)))


def close_frame(code: int | None = None, reason: bytes = b"") -> bytes:
    """A client's close frame."""
    return frame_of(b"" if code is None else code.to_bytes(2, "big") + reason, CLOSE)


def octets(data: bytes) -> list[bytes]:
    """Each octet for itself."""
    return [data[n : n + 1] for n in range(len(data))]


class Peer(Screen):
    """A client that sends what it likes."""

    def deliver(self, *pieces: bytes) -> None:
        """Send these pieces, each in a segment of its own, as long as the server reads; and read what it answers."""
        for piece in pieces:
            if self.connection.reading:
                self.connection.deliver(piece)
        self.connection.flush()

    def controls(self) -> list[Frame]:
        """The control frames it has got."""
        return [frame for frame in self.all_frames() if frame.opcode >= 8]

    def pongs(self) -> list[bytes]:
        """The payloads of the pongs it has got."""
        return [frame.payload for frame in self.frames() if frame.opcode == PONG]


class ConformanceCase(SynchronousTestCase):
    """A server with a client that watches; what is logged as an error fails a test by itself."""

    deflate = False

    def setUp(self) -> None:
        """The server takes note of the messages that reach it."""
        self.server = WebServer(self, deflate=self.deflate)
        self.watcher = Screen(self.server)
        #: The messages that have arrived, and whether each is binary.
        self.heard: list[tuple[bytes, bool]] = []
        on_message = TelemetryClient.onMessage

        def noted(client: Any, payload: bytes, isBinary: bool) -> None:
            self.heard.append((payload, isBinary))
            on_message(client, payload, isBinary)

        self.patch(TelemetryClient, "onMessage", noted)

    def peer(self, room: int = 1 << 40) -> Peer:
        """Another client, past its handshake, which takes ``room`` bytes before it reads."""
        return Peer(self.server, room, DEFLATE if self.deflate else b"", pongs=False)

    def assert_others_served(self) -> None:
        """The client that watches gets the next point; it answers its pings."""
        publish(self.server.hub)
        self.server.run_for(0.02)
        self.assertEqual(self.watcher.points()[-1:], [self.server.hub.last_seq])

    def assert_open(self, peer: Peer, what: object = None) -> None:
        """A client is still there, gets points, and its pings are answered."""
        publish(self.server.hub)
        self.server.run_for(0.02)
        self.assertEqual(peer.points()[-1:], [self.server.hub.last_seq], what)
        peer.deliver(frame_of(b"still there", PING))
        self.assertEqual(peer.pongs()[-1:], [b"still there"], what)
        self.assertIsNone(peer.close_code, what)

    def assert_failed(self, peer: Peer, code: int, what: object = None) -> None:
        """
        A client has got one close frame, with this code, and then nothing, though points and insights come.

        It does not answer, and is cut when its time is over; nobody else is harmed.
        """
        self.assertEqual(peer.close_code, code, what)
        self.assertNotIn(peer.protocol, self.server.broadcaster.clients)
        got = len(peer.frames())
        self.assert_others_served()
        self.server.broadcaster.tell({})
        peer.deliver(frame_of(b"not to be answered", PING))
        self.server.run_for(CLOSE_S + TIMER_STEP_S, step=0.05)
        peer.connection.flush()
        self.assertEqual(len(peer.frames()), got, what)
        self.assertEqual([frame.opcode for frame in peer.frames()].count(CLOSE), 1, what)
        self.assertFalse(peer.connection.connected, what)
