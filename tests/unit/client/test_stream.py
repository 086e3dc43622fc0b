"""``pitwall.client.stream``: what a client makes of the numbers."""

from __future__ import annotations

import math
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.client.stream import Message, Position, Stream, StreamError


def telemetry(prev: int, seq: int, epoch: str = "a") -> dict[str, Any]:
    """A message of the points after ``prev`` up to ``seq``, which say their number."""
    data = [{"n": n} for n in range(prev + 1, seq + 1)]
    return {"type": "telemetry_update", "epoch": epoch, "seq": seq, "prev": prev, "data": data}


def insight(number: int, epoch: str = "a") -> dict[str, Any]:
    """An insight_update."""
    return {"type": "insight_update", "epoch": epoch, "insight_seq": number, "data": []}


def snapshot(seq: int, insight_seq: int = 0, epoch: str = "a") -> dict[str, Any]:
    """A snapshot without cars."""
    numbers = {"epoch": epoch, "seq": seq, "insight_seq": insight_seq}
    return {"type": "snapshot", **numbers, "data": [], "insight": None}


def resumed(seq: int, insight_seq: int = 0, epoch: str = "a", recovered: bool = True) -> dict[str, Any]:
    """The answer to a position."""
    return {"type": "resumed", "epoch": epoch, "seq": seq, "insight_seq": insight_seq, "recovered": recovered}


def gap(first: int | None, last: int | None, reason: str = "overwritten", epoch: str = "a") -> dict[str, Any]:
    """What the server says is missing."""
    points = None if first is None or last is None else last - first + 1
    return {"type": "gap", "epoch": epoch, "first": first, "last": last, "points": points, "reason": reason}


def subscribed(seq: int, epoch: str = "a") -> dict[str, Any]:
    """The answer to a subscription."""
    return {"type": "subscribed", "epoch": epoch, "seq": seq, "types": ["telemetry_update"]}


def some(prev: int, seq: int, *numbers: int) -> dict[str, Any]:
    """A message of some of the points after ``prev`` up to ``seq``."""
    return {**telemetry(prev, seq), "data": [{"n": n} for n in numbers]}


def thinned(prev: int, seq: int, counts: dict[int, int]) -> dict[str, Any]:
    """A message of points that stand for so many each."""
    more = {"conflated": sum(counts.values()) - len(counts), "counts": list(counts.values())}
    return {**some(prev, seq, *counts), **more, "ranges": [{"n": [n, n]} for n in counts]}


def told(messages: list[Message]) -> list[Any]:
    """Points by their number, gaps by theirs, other messages by type."""
    found: list[Any] = []
    for message in messages:
        if message.type == "telemetry_update":
            found += [point["n"] for point in message.points]
        elif message.type == "gap":
            found.append((message.content["first"], message.content["last"], message.content["reason"]))
        else:
            found.append(message.type)
    return found


class StreamCase(SynchronousTestCase):
    """A stream, and what it is given."""

    def setUp(self) -> None:
        """A stream of which nothing is known."""
        self.stream = Stream()

    def take(self, *contents: dict[str, Any]) -> list[Message]:
        """All that these messages mean."""
        return [message for content in contents for message in self.stream.take(content)]


class ResumeTests(StreamCase):
    """From one connection to the next."""

    def test_first(self) -> None:
        """A first connection learns where the stream is, so that it can be resumed before any point has come."""
        self.assertEqual(self.stream.query(), {"snapshot": "1"})
        self.assertEqual(told(self.take(snapshot(7, 3))), [])
        self.assertEqual(self.stream.query(), {"since": "a:7", "insight_seq": "3"})

    def test_goes_on(self) -> None:
        """It asks for what came after the last point and the last insight it saw."""
        self.take(snapshot(7, 3), telemetry(7, 9), insight(4))
        self.assertEqual(self.stream.query(), {"since": "a:9", "insight_seq": "4"})
        messages = self.take(resumed(9, 5), telemetry(9, 11), insight(5))
        self.assertEqual(told(messages), ["resumed", 10, 11, "insight_update"])
        self.assertTrue(all(message.recovered for message in messages))
        self.assertEqual(messages[-1].position, Position("a", 11, 5))
        self.assertEqual((self.stream.counters.points, self.stream.counters.gaps), (4, 0))

    def test_overwritten(self) -> None:
        """What the server no longer has is a gap, counted once, and the points after it do not claim to be whole."""
        self.take(snapshot(7))
        messages = self.take(resumed(7, recovered=False), gap(8, 20), telemetry(20, 22), telemetry(22, 23))
        self.assertEqual(told(messages), ["resumed", (8, 20, "overwritten"), 21, 22, 23])
        self.assertEqual([message.recovered for message in messages], [False, False, False, True])
        self.assertEqual((self.stream.counters.points_lost, self.stream.counters.gaps), (13, 1))

    def test_prev_before_gap(self) -> None:
        """It does not matter whether ``prev`` after a gap still counts from before it."""
        self.take(snapshot(7))
        late = {**telemetry(20, 22), "prev": 7}
        self.assertEqual(told(self.take(resumed(7, recovered=False), gap(8, 20), late)[2:]), [21, 22])
        self.assertEqual((self.stream.counters.points_lost, self.stream.counters.points_repeated), (13, 0))

    def test_other_epoch(self) -> None:
        """After a restart nobody knows what is missing; what the server has got since is asked for once more."""
        self.take(snapshot(7, 3))
        messages = self.take(resumed(5, 1, "b", False), gap(None, None, "other_epoch", "b"))
        self.assertEqual(told(messages), ["resumed", (None, None, "other_epoch")])
        self.assertTrue(self.stream.again)
        self.assertEqual(self.stream.query(), {"since": "b:0", "insight_seq": "0"})
        self.assertFalse(self.stream.again)
        messages = self.take(resumed(0, 1, "b"), telemetry(0, 5, "b"), insight(1, "b"), telemetry(5, 6, "b"))
        self.assertEqual(told(messages), ["resumed", 1, 2, 3, 4, 5, "insight_update", 6])
        self.assertEqual([message.recovered for message in messages], [True, False, True, True])
        self.assertEqual((self.stream.counters.unknown_gaps, self.stream.counters.points_lost), (1, 0))

    def test_given(self) -> None:
        """It can begin where an earlier client ended; without a number for insights it takes them from now on."""
        self.stream = Stream(Position("a", 40))
        self.assertEqual(self.stream.query(), {"since": "a:40"})
        self.take(resumed(40, 9))
        self.assertEqual(self.stream.query(), {"since": "a:40", "insight_seq": "9"})

    def test_not_resumed(self) -> None:
        """Who does not want what was missed is told how much that is."""
        self.stream = Stream(resume=False, snapshot=True)
        self.take(snapshot(7), telemetry(7, 9))
        self.assertEqual(self.stream.query(), {"snapshot": "1"})
        self.assertEqual(told(self.take(snapshot(15), telemetry(15, 16))), [(10, 15, "not_resumed"), "snapshot", 16])
        self.assertEqual(told(self.take(snapshot(2, epoch="b")))[0], (None, None, "other_epoch"))


class SubscriptionTests(StreamCase):
    """What a subscription does to the numbers."""

    def test_moves(self) -> None:
        """Telemetry goes on after the number that ``subscribed`` says, be it before or after the last one seen."""
        self.take(snapshot(0), telemetry(0, 9))
        messages = self.take(subscribed(20), some(20, 30, 25))
        self.assertEqual(told(messages), ["subscribed", 25])
        self.assertEqual(messages[0].position, Position("a", 20, 0))
        messages = self.take(subscribed(28), some(28, 30, 29), telemetry(30, 31))
        self.assertEqual(told(messages), ["subscribed", 29, 31])
        self.assertEqual((self.stream.counters.gaps, self.stream.counters.points_repeated), (0, 0))

    def test_while_joining(self) -> None:
        """On a new connection it says nothing of what was missed, whether it comes before or after ``resumed``."""
        for order in ((subscribed(30), resumed(9)), (resumed(9), subscribed(9))):
            self.stream = Stream(Position("a", 9, 0))
            self.stream.query()
            self.assertEqual(told(self.take(*order, some(9, 12, 11), some(12, 30)))[2:], [11])
            self.assertEqual(self.stream.counters.gaps, 0)
        self.stream = Stream(Position("a", 9, 0), resume=False)
        self.stream.query()
        self.assertEqual(told(self.take(subscribed(30), snapshot(30))), ["subscribed", (10, 30, "not_resumed")])

    def test_other_epoch(self) -> None:
        """That of another run of the server does not hide that its points are still to be asked for."""
        self.take(snapshot(7, 3))
        self.take(subscribed(5, "b"), resumed(5, 1, "b", False), subscribed(5, "b"), gap(None, None, "x", "b"))
        self.assertTrue(self.stream.again)
        self.assertEqual(self.stream.query()["since"], "b:0")

    def test_nothing_between(self) -> None:
        """A resumption that goes on later, since nothing between is wanted, has lost nothing."""
        self.take(snapshot(7))
        self.assertEqual(told(self.take(resumed(20), some(20, 25, 24))), ["resumed", 24])
        self.assertEqual(self.stream.counters.gaps, 0)

    def test_resumed_before(self) -> None:
        """One that goes on before the last number seen repeats nothing, as far as that can be told."""
        self.take(snapshot(0), thinned(0, 40, {38: 20, 40: 18}))
        messages = self.take(resumed(30), some(30, 36, 33), telemetry(36, 38), telemetry(38, 43), some(35, 50, 49))
        self.assertEqual(told(messages), ["resumed", 41, 42, 43, 49])
        self.assertEqual(self.stream.counters.points_repeated, 1 + 2 + 2)
        self.assertEqual(self.stream.position, Position("a", 50, 0))

    def test_handed_on(self) -> None:
        """What the server says of the quality, and its refusals, are handed out and change nothing."""
        quality = {"type": "quality", "epoch": "a", "seq": 3, "level": "reduced", "since": 1, "conflated": 0}
        refusal = {"type": "error", "request": "subscribe", "error": "max_hz is 0"}
        messages = self.take(snapshot(7), quality, refusal)
        self.assertEqual([message.content for message in messages], [quality, refusal])
        self.assertEqual({message.position for message in messages}, {Position("a", 7, 0)})


class NumbersTests(StreamCase):
    """Within a connection."""

    def test_skipped(self) -> None:
        """A step in ``prev`` is a gap, told before the points after it."""
        messages = self.take(snapshot(0), telemetry(0, 2), telemetry(5, 6))
        self.assertEqual(told(messages), [1, 2, (3, 5, "skipped"), 6])
        self.assertEqual(messages[1].position, Position("a", 5, 0))

    def test_repeated(self) -> None:
        """Points that are known are left out, be they all of a message or a part."""
        messages = self.take(snapshot(0), telemetry(0, 4), telemetry(2, 4), telemetry(3, 6))
        self.assertEqual(told(messages), [1, 2, 3, 4, 5, 6])
        self.assertEqual(messages[-1].content["prev"], 4)
        self.assertEqual(self.stream.counters.points_repeated, 3)

    def test_left_out(self) -> None:
        """A message may have fewer points than numbers: that is nothing lost."""
        some = {**telemetry(0, 9), "data": [{"n": 5}]}
        self.assertEqual(told(self.take(snapshot(0), some, telemetry(9, 10))), [5, 10])
        self.assertEqual(self.stream.counters.points_lost, 0)

    def test_thinned(self) -> None:
        """Points that others stand for are not lost, and are counted."""
        messages = self.take(snapshot(0), thinned(0, 40, {38: 20, 40: 18}), thinned(40, 42, {41: 1, 42: 1}))
        self.assertEqual(told(messages), [38, 40, 41, 42])
        counters = self.stream.counters
        self.assertEqual((counters.points, counters.points_conflated, counters.points_lost), (4, 36, 0))

    def test_thinned_repeated(self) -> None:
        """What a thinned message says of points that are known is left out with them, where that can be told."""
        (message,) = self.take(snapshot(0), telemetry(0, 41), thinned(40, 42, {41: 1, 42: 1}))[1:]
        self.assertEqual((message.points, message.content["counts"]), ([{"n": 42}], [1]))
        self.assertEqual(message.content["ranges"], [{"n": [42, 42]}])
        self.assertEqual(told(self.take(thinned(40, 44, {41: 1, 43: 2}))), [41, 43])
        self.assertEqual(self.stream.position, Position("a", 44, 0))

    def test_insights(self) -> None:
        """Insights that are known are left out; those that are missing are counted."""
        messages = self.take(snapshot(0, 3), insight(3), insight(4), insight(6))
        self.assertEqual([message.recovered for message in messages], [True, False])
        self.assertEqual((self.stream.counters.insights, self.stream.counters.insights_lost), (2, 1))

    def test_plain_server(self) -> None:
        """A server that knows nothing of resumption is followed as well; gaps show by the numbers."""
        plain = {"type": "insight_update", "data": []}
        self.assertEqual(told(self.take(plain, telemetry(3, 4), plain)), ["insight_update", 4, "insight_update"])
        self.assertEqual(told(self.take(telemetry(9, 10))), [(5, 9, "skipped"), 10])
        self.assertEqual(told(self.take(telemetry(2, 3, "b"))), [(None, None, "other_epoch"), 3])
        found = self.take(insight(1, "c"), telemetry(2, 3, "c"))
        self.assertEqual(told(found), [(None, None, "other_epoch"), "insight_update", 3])

    def test_unknown_type(self) -> None:
        """What a later server may send is handed on."""
        (message,) = self.take({"type": "weather", "rain": True})
        self.assertEqual((message.type, message.content["rain"], message.points), ("weather", True, []))

    def test_nonsense(self) -> None:
        """What is no message of PitWall is an error that shows it."""
        nonsense: tuple[Any, ...] = (None, 5, [], {}, {"type": "telemetry_update"}, {**telemetry(0, 1), "seq": "x"})
        for content in nonsense:
            with self.assertRaises(StreamError) as caught:
                self.stream.take(content)
            self.assertIn("no message of PitWall", str(caught.exception))

    def test_wrong_members(self) -> None:
        """A message whose members are not what they should be is an error, and nothing of it is taken."""
        subscribed = {"type": "subscribed", "epoch": "a", "seq": 1}
        snapshot = {"type": "snapshot", "epoch": "a", "seq": 1, "insight_seq": 1, "data": []}
        deep: list[Any] = []
        for _ in range(5000):
            deep = [deep]
        nonsense: tuple[Any, ...] = (
            *({**subscribed, "seq": seq} for seq in ("x", math.inf, None, True)),
            *({**snapshot, "data": data} for data in (7, None, ["point"])),
            {name: value for name, value in snapshot.items() if name != "data"},
            {**snapshot, "epoch": 7},
            {**telemetry(1, 2), "epoch": "\ud800"},
            {**telemetry(0, 1), "conflated": "x"},
            {**insight(1), "insight_seq": 1.5},
            {**telemetry(0, 1), "type": math.nan},
            deep,
        )
        self.stream.take(telemetry(0, 1))
        before = self.stream.position
        for content in nonsense:
            with self.assertRaises(StreamError, msg=repr(content)[:80] if content is not deep else ""):
                self.stream.take(content)
            self.assertEqual(self.stream.position, before)
