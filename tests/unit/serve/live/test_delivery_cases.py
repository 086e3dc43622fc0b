"""``pitwall.serve.live.delivery``: single cases that went wrong once, or nearly."""

from __future__ import annotations

import json
import zlib
from typing import Any

from msgspec import msgpack
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.live.insightlog import Kept
from tests.doubles import Screen, WebServer, answers_in, client_frame, handshake
from tests.unit.serve.live.plays import ASKED, Play
from tests.unit.serve.live.viewers import Published, Viewer


class CaseTests(SynchronousTestCase):
    """One client, or a few, and something out of the ordinary."""

    def play(self, *asked: int, capacity: int = 100_000, packed: bool = False) -> Play:
        """A server with viewers that ask for these of ``ASKED``."""
        play = Play(self, capacity, [(which, packed) for which in asked])
        self.server, self.hub = play.server, play.server.hub
        return play

    def slow(self, play: Play, seconds: float = 1.5) -> None:
        """The first viewer stops reading until it is behind."""
        play.play(("stop", 0, 0))
        play.play(("run", seconds, 2))
        self.assertTrue(play.viewers[0].screen.protocol.delivery.fidelity.reduced)

    def test_no_telemetry_any_more(self) -> None:
        """Who is behind, and then wants no telemetry, gets none, and is behind no more."""
        play = self.play(1)
        self.slow(play)
        play.play(("subscribe", 0, len(ASKED) - 1))
        play.play(("read all", 0, 0))
        play.play(("run", 0.6, 1))
        self.assertEqual(play.viewers[0].last, self.server.broadcaster.flushed_seq - 4 * 15)
        play.play(("insight", 0, 0))
        self.assertEqual(play.viewers[0].messages[-1], "insight_update")
        self.assertFalse(play.viewers[0].screen.protocol.delivery.fidelity.reduced)
        play.play(("subscribe", 0, 1))
        play.play(("run", 0.2, 1))
        play.end()

    def test_filtered_climbs(self) -> None:
        """Who is behind with a car that comes now and then gets every point again when there are other cars only."""
        play = self.play(2)
        self.slow(play)
        play.play(("read all", 0, 0))
        for _ in range(150):
            play.published.publish([0])
            self.server.run_for(0.04)
        play.check()
        self.assertEqual(play.viewers[0].level, "full")
        play.end()
        self.assertEqual(play.viewers[0].missed, 0)

    def test_silent_car_climbs(self) -> None:
        """Who is behind, and then wants a car of which nothing comes, is behind no more, whatever the ring has lost."""
        for capacity in (100_000, 20):
            play = self.play(1, 4, capacity=capacity)
            self.slow(play)
            play.play(("subscribe", 0, 4))
            play.play(("read all", 0, 0))
            play.play(("run", 4.0, 1))
            self.assertEqual(play.viewers[0].level, "full")
            play.end()

    def test_rare_messages_climb(self) -> None:
        """Who is behind with ``max_hz`` gets the common messages again, whenever these fall."""
        for which in (5, 7):
            play = self.play(which)
            viewer = play.viewers[0]
            self.server.run_for(1.013)
            play.published.publish([0])
            self.server.run_for(0.037)
            viewer.screen.protocol.delivery._reduce()
            for _ in range(300):
                play.published.publish([0])
                self.server.run_for(0.01, 0.002)
            play.check()
            self.assertEqual((viewer.messages.count("quality"), viewer.level), (2, "full"))
            self.assertEqual(viewer.missed, 0)
            play.end()

    def test_loss_that_is_not_of_its_cars(self) -> None:
        """What the ring has lost before it was looked at shows, also when the points after it are of other cars."""
        play = self.play(2, 6, 8, capacity=20)
        play.published.publish([2] * 4)
        self.server.run_for(0.1)
        play.published.publish([2] * 30 + [0] * 20)
        self.server.run_for(0.1)
        play.check()
        play.published.publish([2])
        self.server.run_for(3)
        play.check()
        self.assertEqual([viewer.missed for viewer in play.viewers], [30, 30, 0])
        delivery = [viewer.screen.protocol.delivery for viewer in play.viewers]
        self.assertEqual([each.dropped for each in delivery], [30, 30, 0])

    def test_log_expires_while_it_catches_up(self) -> None:
        """Who catches up for longer than the newest message is kept gets all the same."""
        play = self.play(1)
        play.published.publish([0, 1] * 3000)
        self.server.run_for(3)
        viewer = play.viewers[0]
        viewer.say({"type": "resume", "since": f"{self.hub.epoch}:0"})
        play.published.publish([0])
        self.server.broadcaster.flush()
        delivery = viewer.screen.protocol.delivery
        delivery.stream.frames.expire(float("inf"))
        delivery.fidelity.trusted_until = float("inf")
        self.server.run_for(0.1)
        play.check()
        self.assertEqual((viewer.last, viewer.missed), (6001, 0))

    def test_asks_when_nothing_is_unanswered(self) -> None:
        """Who was slow with nothing under way that it was asked for is asked, and goes on as soon as it answers."""
        play = self.play(1)
        play.play(("run", 3.0, 2))
        self.server.run_for(0.5)
        for _ in range(2):
            play.published.publish([0])
            self.server.run_for(0.02)
        viewer = play.viewers[0]
        viewer.screen.connection.kernel.room = 0
        play.published.publish([0] * 200, padding=1000)
        self.server.run_for(0.02)
        play.published.publish([0])
        self.server.run_for(0.02)
        viewer.screen.read()
        self.server.run_for(0.02)
        play.check()
        self.assertEqual(viewer.last, self.hub.last_seq)
        self.assertFalse(viewer.screen.protocol.delivery.fidelity.reduced)

    def test_resumes_while_behind(self) -> None:
        """Insights that wait are not told twice when a client that is behind says which it has."""
        for more in ({"insight_seq": 1}, {}):
            play = self.play(1)
            play.play(("insight", 10, 0))
            self.slow(play)
            for _ in range(3):
                play.play(("insight", 10, 0))
            viewer = play.viewers[0]
            viewer.say({"type": "resume", "since": f"{self.hub.epoch}:{viewer.last}", **more})
            play.play(("read all", 0, 0))
            play.end()
            self.assertEqual((viewer.insight, viewer.messages.count("insight_update")), (4, 4))

    def test_changes_while_insights_wait(self) -> None:
        """What waits for its turn is told as it is wanted when the turn comes, or not at all."""
        for which, told in ((3, 2), (2, 2)):
            play = self.play(1)
            self.slow(play)
            play.play(("insight", 10, 0))
            play.play(("insight", 10, 0))
            play.play(("subscribe", 0, which))
            play.play(("read all", 0, 0))
            play.end()
            self.assertEqual(play.viewers[0].messages.count("insight_update"), told)
        play = self.play(1)
        self.slow(play)
        play.play(("insight", 10, 0))
        play.viewers[0].say({"type": "subscribe", "types": ["telemetry_update"]})
        play.play(("read all", 0, 0))
        self.server.run_for(1)
        play.check()
        self.assertNotIn("insight_update", play.viewers[0].messages)

    def test_insights_again_as_they_are_read(self) -> None:
        """Who wants hundreds of insights again and does not read has a few of them in memory; they come as it reads."""
        play = self.play(1)
        for _ in range(200):
            play.play(("insight", 40, 0))
        viewer, unpacked, frame = play.viewers[0], [], Kept.frame

        def counted(kept: Kept) -> Any:
            unpacked.append(kept)
            return frame.__get__(kept)

        self.patch(Kept, "frame", property(counted))
        viewer.screen.connection.kernel.room = 0
        viewer.say({"type": "resume", "since": f"{self.hub.epoch}:0", "insight_seq": 5})
        play.play(("run", 0.2, 0))
        self.assertLess(len(unpacked), 20)
        play.play(("insight", 40, 0))
        self.assertTrue(viewer.connected)
        play.play(("read all", 0, 0))
        play.play(("run", 0.2, 0))
        self.assertEqual((len(unpacked), viewer.insight), (195, 201))

    def test_ahead_of_the_flush(self) -> None:
        """A point that ``/api/recent`` has told of is known, though it is not sent yet."""
        play = self.play(0)
        play.published.publish([0])
        self.server.run_for(0)
        play.published.publish([0] * 5)
        came = play.viewer(0, False, since=(6, 0))
        play.viewers.append(came)
        play.check()
        self.assertEqual((came.messages, came.last), (["resumed"], 6))
        play.end()
        self.assertEqual(came.messages, ["resumed"])

    def test_chosen_types_stay(self) -> None:
        """Who has chosen the two plain types by name gets no others for coming back."""
        play = self.play(0)
        for query, types in (("types=telemetry_update,insight_update", 2), ("", 3)):
            asked = {"types": ["telemetry_update", "insight_update"]} if query else None
            viewer = Viewer(self, self.server, play.published, False, query, asked)
            viewer.say({"type": "resume", "since": f"{self.hub.epoch}:0"})
            self.assertEqual(len(viewer.screen.protocol.delivery.subscription.types), types)

    def test_steps_are_bounded(self) -> None:
        """Who asks for megabytes and does not read has a few messages in memory, however large the points are."""
        play = self.play(0)
        play.published.publish([0] * 1000, padding=4000)
        self.server.run_for(4)
        viewer = play.viewers[0]
        viewer.screen.connection.kernel.room = 0
        viewer.say({"type": "resume", "since": f"{self.hub.epoch}:0"})
        self.server.run_for(0.5)
        self.assertLess(len(viewer.screen.connection.waiting), 200_000)

    def test_flood_of_requests(self) -> None:
        """Hundreds of requests that come at once cost one step, not hundreds, and the last one counts."""
        play = self.play(1)
        play.published.publish([0] * 5000)
        self.server.run_for(3)
        viewer, taken = play.viewers[0], []
        between = self.hub.ring.between

        def counted(first: int, last: int) -> list[bytes]:
            taken.append(first)
            return between(first, last)

        self.patch(self.hub.ring, "between", counted)
        message = json.dumps({"type": "resume", "since": f"{self.hub.epoch}:10"}).encode()
        viewer.unasked = False
        viewer.screen.connection.deliver(client_frame(message) * 40)
        self.assertLess(len(taken), 3)
        self.server.run_for(1)
        play.check()
        self.assertEqual(viewer.last, 5000)

    def test_all_stop_at_once(self) -> None:
        """Where many clients fall behind together, what they were to get is decoded once for all of them."""
        self.server = WebServer(self)
        screens = [Screen(self.server, room=0) for _ in range(30)]
        published, taken = Published(self.server.hub), []
        between = self.server.hub.ring.between

        def counted(first: int, last: int) -> list[bytes]:
            taken.append(first)
            return between(first, last)

        self.patch(self.server.hub.ring, "between", counted)
        for _ in range(100):
            published.publish([0, 1] * 20, padding=100)
            self.server.run_for(0.01)
        self.assertTrue(all(screen.protocol.delivery.fidelity.reduced for screen in screens))
        flushes = self.server.hub.ledger.messages_broadcast
        self.assertLess(len(taken), flushes + 10)
        for screen in screens:
            screen.read()
        self.server.run_for(0.1)
        self.assertEqual({screen.protocol.delivery.reached for screen in screens}, {4000})

    def test_a_thousand_subscriptions(self) -> None:
        """One client that wants something else all the time leaves no stream and no timer behind."""
        play = self.play(1)
        viewer = play.viewers[0]
        for number in range(1000):
            viewer.say({"type": "subscribe", "max_hz": 0.1 + number / 1000, "channels": [f"c{number}"]})
            if number % 10 == 0:
                play.published.publish([0, 1])
                # No more than fifty messages a second are taken of a client.
                self.server.run_for(0.25, step=0.05)
        play.check()
        self.assertEqual(len(self.server.broadcaster.streams), 1)
        self.assertLess(len(self.server.reactor.getDelayedCalls()), 6)
        play.end()

    def test_no_room(self) -> None:
        """Above the most different subscriptions a client is told so and keeps its own, but may give it for another."""
        play = self.play(0, 2, 2)
        self.server.broadcaster.streams._most = 2
        screen = play.viewers[1].screen
        screen.send(b'{"type":"subscribe","max_hz":1}')
        *_, second = screen.messages()
        said = "2 different subscriptions are served already (MAX_SUBSCRIPTIONS)"
        self.assertEqual(second, {"type": "error", "request": "subscribe", "error": said})
        play.viewers[2].screen.connection.hang_up()
        screen.send(b'{"type":"subscribe","max_hz":1}')
        self.assertEqual(screen.messages()[-1]["max_hz"], 1.0)
        refused = self.server.connect()
        refused.deliver(handshake(path=b"/ws/realtime?max_hz=3"))
        self.assertEqual(answers_in(refused.flush())[0].status, 503)
        self.assertEqual(Screen(self.server).answer.status, 101)

    def test_compressed_and_packed(self) -> None:
        """MessagePack may be compressed as well: a binary frame marked so, which inflates to the message."""
        self.server = WebServer(self, deflate=True)
        published = Published(self.server.hub)
        offers = b"Sec-WebSocket-Protocol: pitwall.msgpack\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
        screen = Screen(self.server, headers=offers, query=b"?max_hz=10")
        self.assertEqual(screen.answer.headers["sec-websocket-protocol"], "pitwall.msgpack")
        published.publish([0, 1])
        self.server.run_for(0.1)
        self.server.broadcaster.tell({"data": []})
        frames = screen.frames()
        self.assertEqual([frame.first_byte for frame in frames], [0xC2] * 3)
        inflated = [zlib.decompressobj(-15).decompress(frame.payload + b"\x00\x00\xff\xff") for frame in frames]
        kinds = [msgpack.decode(payload)["type"] for payload in inflated]
        self.assertEqual(kinds, ["subscribed", "telemetry_update", "insight_update"])

    def test_fault(self) -> None:
        """A fault in what one client gets closes it with 1011 and is logged; the others get the same flush."""
        play = self.play(0, 0)
        first, second = play.viewers
        self.patch(first.screen.protocol.delivery, "pump", lambda: 1 / 0)
        play.published.publish([0])
        self.server.run_for(0.1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(first.screen.close_code, 1011)
        second.look()
        self.assertEqual(second.last, 1)
