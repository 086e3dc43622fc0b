"""Events played to a server and some viewers, any of them in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.doubles import WebServer
from tests.unit.serve.live.viewers import CARS, Published, Viewer

#: What a subscription may say, and the same as a query.
ASKED: tuple[tuple[dict[str, Any] | None, str], ...] = (
    (None, ""),
    ({}, "types=telemetry_update,insight_update,quality"),
    ({"chassis": ["GR86-004-78"]}, "chassis=GR86-004-78"),
    ({"track": ["barber"], "channels": ["rpm", "vendor é"]}, "track=barber&channels=rpm,vendor%20%C3%A9"),
    ({"chassis": ["nobody"]}, "chassis=nobody"),
    ({"max_hz": 5.0}, "max_hz=5"),
    ({"track": ["sonoma"], "max_hz": 0.5, "channels": ["aps"]}, "track=sonoma&max_hz=0.5&channels=aps"),
    ({"max_hz": 100.0}, "max_hz=100"),
    ({"types": ["insight_update"]}, "types=insight_update"),
)
WHICH = st.integers(0, 2)
EVENTS = st.one_of(
    st.tuples(st.just("publish"), st.lists(st.integers(0, len(CARS) - 1), min_size=1, max_size=30), st.integers(0, 3)),
    st.tuples(st.just("run"), st.sampled_from((0.001, 0.03, 0.2, 0.6, 2.0, 6.0)), st.integers(0, 2)),
    st.tuples(st.just("read"), WHICH, st.sampled_from((1, 100, 3000, 100_000))),
    st.tuples(st.just("stop"), WHICH, st.just(0)),
    st.tuples(st.just("read all"), WHICH, st.just(0)),
    st.tuples(st.just("sips"), WHICH, st.sampled_from((500, 3000, 20_000))),
    st.tuples(st.just("subscribe"), WHICH, st.integers(1, len(ASKED) - 1)),
    st.tuples(st.just("resume"), WHICH, st.integers(0, 60)),
    st.tuples(st.just("come back"), WHICH, st.booleans()),
    st.tuples(st.just("insight"), st.integers(0, 200), st.just(0)),
)


class Play:
    """A server, some viewers, and events that are played to them."""

    def __init__(self, test: SynchronousTestCase, capacity: int, viewers: list[tuple[int, bool]]) -> None:
        self.test = test
        self.server = WebServer(test, capacity=capacity, max_buffer=20_000, stall_s=5.0)
        self.published = Published(self.server.hub)
        self.viewers = [self.viewer(which, packed) for which, packed in viewers]

    def viewer(self, which: int, packed: bool, **more: Any) -> Viewer:
        """A new one."""
        asked, query = ASKED[which]
        return Viewer(self.test, self.server, self.published, packed, query, asked, **more)

    def play(self, event: tuple[str, Any, Any]) -> None:
        """Let something happen, and look at all that comes of it."""
        kind, first, second = event
        if kind == "publish":
            self.published.publish(first, padding=(0, 10, 500, 3000)[second])
        elif kind == "insight":
            cars = [{"track": track, "chassis": chassis, "x": "x" * first * 50} for track, chassis in CARS]
            self.server.broadcaster.tell({"data": cars, "meta": {"vehicle_count": len(cars)}})
        elif kind == "run":
            self.run_for(first, second)
        else:
            self.play_to(self.viewers[first % len(self.viewers)], kind, second)
        self.check()

    def run_for(self, seconds: float, flow: int) -> None:
        """Let time pass, with nothing, a point of each car, or some 0.6 MB/s."""
        step = min(seconds, 0.04)
        for _ in range(round(seconds / step)):
            if flow:
                self.published.publish([*range(len(CARS))] * (flow * flow), padding=flow * flow * 400)
            self.server.run_for(step, step)

    def play_to(self, viewer: Viewer, kind: str, value: Any) -> None:
        """Let one viewer do something."""
        if not viewer.connected:
            return
        connection = viewer.screen.connection
        if kind == "stop":
            connection.kernel.room, viewer.always_read = 0, False
        elif kind == "read":
            if connection.kernel.room < 1 << 30:
                viewer.screen.read(value)
        elif kind == "read all":
            viewer.screen.read()
        elif kind == "sips":
            connection.kernel.room, viewer.always_read = 0, False
            for _ in range(30):
                self.run_for(0.04, 2)
                connection.flush(value)
        elif kind == "subscribe":
            viewer.say({"type": "subscribe", **(ASKED[value][0] or {})})
        elif kind == "resume":
            seq = max(viewer.last - value, 0)
            viewer.say({"type": "resume", "since": f"{self.server.hub.epoch}:{seq}", "insight_seq": viewer.insight})
        elif kind == "come back":
            connection.hang_up(clean=value)
            which = next((n for n, (asked, _) in enumerate(ASKED) if asked == viewer.asked), 1)
            room = 1 << 40 if value else 2000
            new = self.viewer(which, viewer.packed, since=(viewer.last, viewer.insight), room=room)
            self.viewers[self.viewers.index(viewer)] = new

    def check(self) -> None:
        """The books are exact, and no viewer is told what is not so."""
        for line in self.server.books.answer(0.0)["clients"]:
            parts = [line[name] for name in ("delivered", "conflated", "filtered", "dropped", "pending")]
            self.test.assertEqual(line["accepted"], sum(parts), line)
            self.test.assertGreaterEqual(min(parts), 0, line)
        for viewer in self.viewers:
            viewer.look()

    def end(self) -> None:
        """Let everybody read, and see that each has all."""
        for viewer in self.viewers:
            if viewer.connected:
                viewer.screen.read()
        for _ in range(12):
            self.server.run_for(1, 0.05)
            self.check()
        for viewer in self.viewers:
            if viewer.connected:
                last = self.server.hub.last_seq
                self.test.assertEqual(self.published.wanted(viewer.asked, viewer.last, last), [])
                self.test.assertEqual(viewer.screen.protocol.delivery.reached, last)
                self.test.assertFalse(viewer.screen.protocol.delivery.fidelity.reduced)
                if "insight_update" in viewer.asked.get("types", ["insight_update"]):
                    self.test.assertEqual(viewer.insight, self.server.broadcaster.insights.seq)
            viewer.screen.connection.hang_up()
        self.test.assertEqual(list(self.server.broadcaster.streams), [])
        self.server.run_for(3, 0.1)
        self.test.assertEqual(self.server.reactor.getDelayedCalls(), [])


VIEWERS = st.lists(st.tuples(st.integers(0, len(ASKED) - 1), st.booleans()), min_size=1, max_size=3)
