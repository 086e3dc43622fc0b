"""``pitwall.serve.live.narrowing``: an insight message for clients that want some of the cars."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.live.frames import Frame, payload_of
from pitwall.serve.live.insightlane import InsightLane
from pitwall.serve.live.insightlog import Kept
from pitwall.serve.live.narrowing import Narrowing
from pitwall.serve.live.subscription import Subscription

CARS = [{"track": track, "chassis": chassis, "n": 1.5} for track, chassis in (("t", "a"), ("t", "b"), ("u", "a"))]
MESSAGE = {
    "type": "insight_update",
    "epoch": "abcd",
    "insight_seq": 7,
    "data": CARS,
    "gaps": CARS[1:],
    "insights": CARS[:1],
    "meta": {"generated_at": "now", "vehicle_count": 3, "corrections": CARS, "analysis_version": "3.0"},
}


def of(*chassis: str, **more: Any) -> Subscription:
    """A subscription to these cars."""
    return Subscription(chassis=frozenset(chassis), **more)


def said(frame: Frame) -> dict[str, Any]:
    """What a message says."""
    content: dict[str, Any] = json.loads(bytes(payload_of(frame.plain)))
    return content


class LookedAt:
    """A frame that counts how many times it was."""

    times = 0

    @property
    def plain(self) -> bytes:
        """Its bytes."""
        self.times += 1
        return Frame(json.dumps(MESSAGE).encode()).plain


class NarrowingTests(SynchronousTestCase):
    """`Narrowing` of one message."""

    def narrowed(self, subscription: Subscription, message: dict[str, Any] = MESSAGE) -> dict[str, Any]:
        """The message for a subscription."""
        return said(Narrowing(Frame(json.dumps(message).encode())).of(subscription))

    def test_of_a_car(self) -> None:
        """Results, gaps, insights and corrections are those of the cars that are wanted, and counted."""
        found = self.narrowed(of("b"))
        b = [CARS[1]]
        meta = {**MESSAGE["meta"], "vehicle_count": 1, "corrections": b}  # type: ignore[dict-item]
        self.assertEqual(found, {**MESSAGE, "data": b, "gaps": b, "insights": [], "meta": meta})

    def test_of_a_track(self) -> None:
        """Tracks limit it as well, alone and together with cars."""
        self.assertEqual(self.narrowed(Subscription(track=frozenset("u")))["data"], CARS[2:])
        self.assertEqual(self.narrowed(of("a", track=frozenset("t")))["data"], CARS[:1])

    def test_nothing_left(self) -> None:
        """It comes with its number though nothing is left; corrections are left out without any."""
        found = self.narrowed(of("nobody"))
        self.assertEqual((found["data"], found["gaps"], found["insights"], found["insight_seq"]), ([], [], [], 7))
        self.assertEqual(found["meta"], {"generated_at": "now", "vehicle_count": 0, "analysis_version": "3.0"})

    def test_every_car(self) -> None:
        """Who limits no cars gets the very message, whatever else it limits."""
        frame = Frame(b"{not even JSON}")
        self.assertIs(Narrowing(frame).of(Subscription(channels=frozenset(["rpm"]), max_hz=1.0)), frame)

    def test_parts_that_lack(self) -> None:
        """A message may lack any of its parts."""
        self.assertEqual(self.narrowed(of("a"), {"insight_seq": 1}), {"insight_seq": 1})

    def test_once(self) -> None:
        """It is decoded once, and encoded once for all that want the same cars."""
        looked_at: Any = LookedAt()
        one = Narrowing(looked_at)
        first = one.of(of("a", max_hz=1.0))
        self.assertIs(one.of(of("a", channels=frozenset(["rpm"]))), first)
        self.assertIsNot(one.of(of("b")), first)
        self.assertEqual(said(one.of(of("a")))["meta"]["vehicle_count"], 2)
        self.assertEqual(looked_at.times, 1)


class InsightLaneTests(SynchronousTestCase):
    """`InsightLane` of one client."""

    def test_room(self) -> None:
        """New ones have so much room, as they are told to the client; those said before need none."""
        frame = Frame(json.dumps(MESSAGE).encode())
        small = len(Narrowing(frame).of(of("b")).plain)
        self.assertLess(small, len(frame.plain))
        lane = InsightLane(2 * small)
        lane.restart([Kept(frame)] * 9)
        self.assertEqual([lane.put(Narrowing(frame), of("b")) for _ in range(3)], [True, True, False])
        self.assertEqual(len(lane), 12)
        for _ in range(12):
            lane.take(of("b"))
        self.assertTrue(lane.put(Narrowing(frame), of("b")))
        lane.clear()
        self.assertEqual(len(lane), 0)
        self.assertEqual([lane.put(Narrowing(frame), of("b")) for _ in range(3)], [True, True, False])

    def test_as_wanted_now(self) -> None:
        """The oldest comes first, of the cars that are wanted when its turn comes."""
        lane = InsightLane(10**6)
        for number in (1, 2):
            lane.put(Narrowing(Frame(json.dumps({**MESSAGE, "insight_seq": number}).encode())), of("b"))
        first = said(lane.take(of("a")))
        self.assertEqual((first["insight_seq"], len(first["data"])), (1, 2))
        self.assertEqual(said(lane.take(Subscription()))["insight_seq"], 2)

    def test_again(self) -> None:
        """Those that are said again take the place of what waited, and come before what is new."""
        lane = InsightLane(10**6)
        frames = [Frame(json.dumps({**MESSAGE, "insight_seq": number}).encode()) for number in range(4)]
        lane.put(Narrowing(frames[0]), of("a"))
        lane.restart(map(Kept, frames[1:3]))
        lane.put(Narrowing(frames[3]), of("a"))
        self.assertEqual([said(lane.take(of("a")))["insight_seq"] for _ in range(len(lane))], [1, 2, 3])
