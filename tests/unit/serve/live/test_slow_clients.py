"""The WebSocket and clients that read slowly, or not at all, or want messages compressed."""

from __future__ import annotations

import json
import socket
import zlib
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.live.websocket import MAX_CLIENT_MESSAGE
from tests.doubles import Screen, WebServer, client_frame, frames_in, handshake, option_of, publish

#: What Twisted lets wait before it pauses a producer [bytes].
PAUSE_AT = 1 << 16


class SlowClientTests(SynchronousTestCase):
    """A client that reads too slowly costs the others nothing, and little memory."""

    def setUp(self) -> None:
        """A server."""
        self.server = WebServer(self)
        self.hub = self.server.hub

    def stream(self, seconds: float, per_tick: int = 10, padding: int = 100) -> None:
        """So many points every 10 ms."""
        for _ in range(round(seconds * 100)):
            publish(self.hub, per_tick, padding)
            self.server.run_for(0.01)

    def assert_accounted(self, *screens: Screen, since: int = 0) -> None:
        """What each got, alone or conflated, and what it missed are what was published; ``prev`` shows each hole."""
        for screen in screens:
            last, missed, conflated = since, 0, 0
            for update in screen.updates():
                missed += update["prev"] - last
                conflated += update.get("conflated", 0)
                self.assertEqual(len(update["data"]) + update.get("conflated", 0), update["seq"] - update["prev"])
                self.assertEqual([point["rpm"] for point in update["data"]][-1], update["seq"])
                if "conflated" in update:
                    self.assertEqual(update["counts"], [1 + update["conflated"]])
                    of_all = [update["prev"] + 1, update["seq"]] if update["conflated"] else None
                    self.assertEqual(update["ranges"][0].get("rpm"), of_all)
                last = update["seq"]
            self.assertEqual(last, self.server.broadcaster.flushed_seq)
            delivery = screen.protocol.delivery
            self.assertEqual((missed, conflated), (delivery.dropped, delivery.conflated))
            self.assertEqual(len(screen.points()) + missed + conflated, self.hub.last_seq - since)
        self.assertEqual(self.hub.ledger.points_skipped, sum(each.protocol.delivery.dropped for each in screens))

    def test_bounded_kernel_buffer(self) -> None:
        """The kernel holds no more than 256 KiB for a client."""
        self.assertEqual(option_of(Screen(self.server).connection, socket.SO_SNDBUF), 256 << 10)

    def test_short_pause_loses_nothing(self) -> None:
        """A client that stops reading for half a second gets all of it when it goes on."""
        slow = Screen(self.server, room=0)
        self.stream(0.5)
        self.assertEqual(slow.points(), [])
        slow.read()
        self.assertEqual(slow.points(), list(range(1, 501)))
        self.assert_accounted(slow)

    def test_frozen_client_is_bounded(self) -> None:
        """A frozen client holds 64 KiB and a message; the others get every point at once; what it missed is counted."""
        frozen, other = Screen(self.server, room=0), Screen(self.server)
        self.stream(10, per_tick=20)
        self.assertLess(len(frozen.connection.waiting), PAUSE_AT + (256 << 10))
        self.assertEqual(other.points(), list(range(1, 20_001)))
        frozen.read()
        self.assertLess(len(frozen.points()), 1000)
        self.assertGreater(frozen.protocol.delivery.conflated, 17_000)
        self.assert_accounted(frozen, other)

    def test_goes_on_with_what_is_newest(self) -> None:
        """When it reads again it gets the newest point and the ranges of what was missed, then every point."""
        slow = Screen(self.server, room=0)
        self.stream(5)
        slow.read()
        self.assertEqual(slow.points()[-1], self.hub.last_seq)
        self.assertGreater(slow.updates()[-1]["conflated"], 4000)
        self.stream(4)
        self.assertEqual(slow.points()[-100:], list(range(self.hub.last_seq - 99, self.hub.last_seq + 1)))
        self.assert_accounted(slow)

    def test_reads_in_sips(self) -> None:
        """A client that reads too little pauses and goes on many times, and every point is accounted for."""
        slow = Screen(self.server, room=0)
        for _ in range(400):
            publish(self.hub, 40, padding=100)
            self.server.run_for(0.01)
            slow.read(3000)
        slow.read()
        self.server.run_for(0.5)
        self.assertGreater(slow.protocol.delivery.conflated, 1000)
        self.assertEqual(slow.protocol.delivery.dropped, 0)
        self.assert_accounted(slow)

    def test_large_flush_part_by_part(self) -> None:
        """A flush of megabytes goes out message by message as the client takes it."""
        slow = Screen(self.server, room=0)
        publish(self.hub, 1000, padding=2000)
        self.server.run_for(0.01)
        self.assertLess(len(slow.connection.waiting), PAUSE_AT + (256 << 10) + 200)
        for _ in range(100):
            slow.read(30_000)
            self.assertLess(len(slow.connection.waiting), PAUSE_AT + (256 << 10) + 200)
        slow.read()
        self.assertEqual(slow.points(), list(range(1, 1001)))
        self.assertGreater(len(slow.updates()), 7)
        self.assert_accounted(slow)

    def test_everything_expired(self) -> None:
        """A client that reads on when the stream has ended gets the end of it, conflated."""
        slow = Screen(self.server, room=0)
        self.stream(2)
        self.server.run_for(3)
        (stream,) = self.server.broadcaster.streams
        self.assertEqual(stream.frames.start, stream.frames.end)
        slow.read()
        self.assert_accounted(slow)
        publish(self.hub)
        self.server.run_for(0.1)
        self.assert_accounted(slow)

    def test_ring_overrun_is_counted(self) -> None:
        """Points that the ring lost before they could be sent count as dropped for every client."""
        self.server = WebServer(self, capacity=100)
        self.hub = self.server.hub
        screens = Screen(self.server), Screen(self.server)
        publish(self.hub, 10)
        self.server.run_for(0.1)
        publish(self.hub, 250)
        self.server.run_for(0.1)
        self.assertEqual([screen.protocol.delivery.dropped for screen in screens], [150, 150])
        self.assert_accounted(*screens)

    def test_leaving_behind(self) -> None:
        """What a client had not got when it left counts as dropped, once."""
        slow = Screen(self.server, room=0)
        self.stream(3)
        handed = [json.loads(frame.payload) for frame in frames_in(slow.connection.waiting) if frame.opcode == 1]
        missed = 3000 - sum(len(update["data"]) for update in handed)
        slow.connection.hang_up(clean=False)
        self.assertEqual(self.hub.ledger.points_skipped, missed)
        self.stream(1)
        self.assertEqual(self.hub.ledger.points_skipped, missed)

    def test_insights_wait(self) -> None:
        """Insights are not skipped: they come when the client reads again, in order, behind what was sent before."""
        slow = Screen(self.server, room=0)
        for n in range(5):
            self.stream(1)
            self.server.broadcaster.tell({"n": n})
        self.assertTrue(slow.protocol.paused)
        slow.read()
        self.server.run_for(1)
        insights = [message["n"] for message in slow.messages() if message["type"] == "insight_update"]
        self.assertEqual(insights, [0, 1, 2, 3, 4])
        self.assert_accounted(slow)

    def test_too_many_insights(self) -> None:
        """Above ``MAX_WS_BUFFER`` of them the client is closed with 4008, and cut if it does not answer."""
        slow = Screen(self.server, room=0)
        self.stream(1)
        insight = {"data": "x" * 49_940}
        for _ in range(39):
            self.server.broadcaster.tell(insight)
        self.assertIn(slow.protocol, self.server.broadcaster.clients)
        self.server.broadcaster.tell(insight)
        self.assertNotIn(slow.protocol, self.server.broadcaster.clients)
        self.assertLess(len(slow.connection.waiting), 2_000_000 + PAUSE_AT + (256 << 10))
        self.server.run_for(0.5)
        slow.read()
        self.assertEqual(slow.close_code, 4008)
        self.server.run_for(2.5)
        self.assertFalse(slow.connection.connected)

    def test_budget_is_for_one_pause(self) -> None:
        """A client that catches up has its whole budget again."""
        slow = Screen(self.server, room=0)
        insight = {"data": "x" * 49_940}
        for _ in range(4):
            self.stream(0.5)
            for _ in range(30):
                self.server.broadcaster.tell(insight)
            slow.read()
            slow.connection.kernel.room = 0
        self.assertIn(slow.protocol, self.server.broadcaster.clients)
        self.assertIsNone(slow.close_code)

    def test_stalled(self) -> None:
        """A client that has taken nothing for ``WS_STALL_SECONDS`` is closed with 4009, insights and pings or not."""
        slow = Screen(self.server, room=0)
        self.stream(1)
        for _ in range(28):
            self.server.run_for(1)
            self.server.broadcaster.tell({})
        self.assertIn(slow.protocol, self.server.broadcaster.clients)
        self.server.run_for(3)
        self.assertNotIn(slow.protocol, self.server.broadcaster.clients)
        slow.read()
        self.assertEqual(slow.close_code, 4009)

    def test_slow_but_not_stalled(self) -> None:
        """A client that takes a little every few seconds stays, though no ping is answered in time."""
        slow = Screen(self.server, room=0)
        self.stream(1)
        for _ in range(40):
            self.stream(0.1)
            self.server.run_for(4, step=0.1)
            slow.read(1000)
        self.assertIn(slow.protocol, self.server.broadcaster.clients)
        self.assertTrue(slow.connection.connected)

    def test_cut_though_it_never_reads(self) -> None:
        """A stalled client that does not read the close frame either is cut two seconds later."""
        slow = Screen(self.server, room=0)
        self.stream(1)
        self.server.run_for(34, step=0.1)
        self.assertFalse(slow.connection.connected)
        self.assertEqual((slow.frames(), slow.pings()), ([], []))

    def test_closes_and_reads_no_more(self) -> None:
        """A client that says goodbye and stops reading gets no more telemetry, and is cut two seconds later."""
        slow = Screen(self.server, room=0)
        self.stream(0.1)
        slow.send(b"\x03\xe8", opcode=8)
        held = len(slow.connection.waiting)
        self.assertGreater(held, 0)
        self.stream(1)
        self.assertEqual(len(slow.connection.waiting), held)
        self.server.run_for(2)
        self.assertFalse(slow.connection.connected)
        self.assertEqual(self.hub.ledger.points_skipped, 0)

    def test_not_counted_after_leaving(self) -> None:
        """What is sent while a client's last bytes go out is not counted as missed by it."""
        slow, _ = Screen(self.server, room=0), Screen(self.server)
        self.stream(1.2)
        slow.protocol.end(4008, "too slow")
        before = self.hub.ledger.points_skipped
        self.stream(1.5)
        slow.read()
        self.assertEqual(self.hub.ledger.points_skipped, before)
        self.assertEqual(slow.close_code, 4008)

    def test_other_transports(self) -> None:
        """On a transport that is no plain TCP socket the stream goes by the ordinary way."""
        protocol: Any = self.server.factory.buildProtocol(None)
        transport = StringTransport()
        transport.registerProducer(protocol, True)  # by the HTTP side
        protocol.makeConnection(transport)
        protocol.dataReceived(handshake())
        publish(self.hub)
        self.server.run_for(0.1)
        self.assertIn(b'"seq":1,"prev":0', transport.value())


class DeflateTests(SynchronousTestCase):
    """With ``WS_DEFLATE`` messages are compressed for those that offer it."""

    OFFER = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

    def test_agreed(self) -> None:
        """A browser's offer is taken; each message inflates by itself."""
        server = WebServer(self, deflate=True)
        screen, plain = Screen(server, headers=self.OFFER), Screen(server)
        self.assertIn("permessage-deflate", screen.answer.headers["sec-websocket-extensions"])
        self.assertNotIn("sec-websocket-extensions", plain.answer.headers)
        for count in (1, 50):
            publish(server.hub, count, padding=500)
            server.run_for(0.1)
        server.broadcaster.tell({})
        packed = screen.frames()
        self.assertEqual([frame.first_byte for frame in packed], [0xC1] * 3)
        inflated = [zlib.decompressobj(-15).decompress(frame.payload + b"\x00\x00\xff\xff") for frame in packed]
        self.assertEqual(inflated, [frame.payload for frame in plain.frames()])
        self.assertLess(len(packed[1].payload), 3000)

    def test_smaller_window_is_declined(self) -> None:
        """A client that can't hold the shared frames' window gets them uncompressed."""
        server = WebServer(self, deflate=True)
        screen = Screen(server, headers=self.OFFER.replace(b"client_max_window_bits", b"server_max_window_bits=10"))
        self.assertNotIn("sec-websocket-extensions", screen.answer.headers)
        publish(server.hub)
        server.run_for(0.1)
        self.assertEqual(screen.points(), [1])

    def test_second_offer(self) -> None:
        """Of several offers the first that will do is taken."""
        server = WebServer(self, deflate=True)
        offers = b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10, permessage-deflate\r\n"
        answer = Screen(server, headers=offers).answer
        self.assertNotIn("server_max_window_bits", answer.headers["sec-websocket-extensions"])

    def test_off(self) -> None:
        """It is off unless it is switched on."""
        self.assertNotIn("sec-websocket-extensions", Screen(WebServer(self), headers=self.OFFER).answer.headers)

    def test_bomb(self) -> None:
        """A small message that inflates to megabytes closes the connection."""
        server = WebServer(self, deflate=True)
        screen = Screen(server, headers=self.OFFER)
        packer = zlib.compressobj(9, wbits=-15)
        bomb = (packer.compress(bytes(10_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
        self.assertLess(len(bomb), MAX_CLIENT_MESSAGE)
        framed = bytearray(client_frame(bomb, opcode=2))
        framed[0] |= 0x40
        screen.connection.deliver(bytes(framed))
        screen.connection.flush()
        self.assertEqual(screen.close_code, 1009)
