"""Clients that come back, and those that want to see where things stand."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.json import encode as json_encode
from msgspec.msgpack import encode as msgpack_encode
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.live.frames import Frame
from pitwall.serve.live.insightlog import InsightLog
from pitwall.serve.live.joining import Asked, Since, asked_by, said_by, wanted_by
from pitwall.serve.live.subscription import AskError, Subscription
from tests.doubles import Screen, WebServer, answers_in, handshake, publish

_SCALARS = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.binary()
_ANY = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_SCALARS, inner, max_size=3), max_leaves=8
)
_MEMBERS = ("type", "since", "insight_seq", "chassis", "track", "channels", "types", "max_hz", "more")
#: Messages with the right members and anything in them.
_SPOILT = st.fixed_dictionaries(
    {"type": st.sampled_from(["resume", "subscribe"])},
    optional={
        "since": st.sampled_from(["abcd:1", "abcd:-1", "abcd:" + "9" * 30]) | _ANY,
        "insight_seq": st.integers() | _ANY,
        "types": st.lists(st.sampled_from(["telemetry_update", "quality", "x"])) | _ANY,
        "max_hz": st.floats() | st.integers() | _ANY,
        **{name: st.lists(st.text(max_size=70), max_size=3) | _ANY for name in ("chassis", "track", "channels", "x")},
    },
)


def packed(content: Any) -> bytes:
    """Anything as MessagePack, as far as there is a way to write it."""
    try:
        return bytes(msgpack_encode(content))
    except (OverflowError, TypeError, ValueError):
        return b""


class AnyMessageTests(SynchronousTestCase):
    """Whatever a client says: an answer, an error that says what was wanted, or nothing."""

    def assert_harmless(self, payload: bytes, in_pack: bool) -> None:
        """It is understood, refused in one line, or ignored."""
        message = said_by(payload, in_pack)
        if message:
            try:
                self.assertIsInstance(wanted_by(message), Since | Subscription)
            except AskError as error:
                self.assertEqual(len(str(error).splitlines()), 1)
                self.assertLess(len(str(error)), 600)

    @given(st.binary() | _SPOILT.map(packed) | _ANY.map(packed))
    def test_packed(self, payload: bytes) -> None:
        """In MessagePack, with its own types and any keys."""
        self.assert_harmless(payload, True)

    @given(st.binary() | _SPOILT.map(lambda said: json.dumps(said, default=repr, skipkeys=True).encode()))
    @example(b'{"type":"subscribe","max_hz":1%b}' % (b"0" * 5000))
    @example(b'{"type":"resume","since":"a:1","insight_seq":1%b}' % (b"0" * 5000))
    @example(b'{"type":"subscribe","chassis":1%b}' % (b"0" * 5000))
    @example(b'{"type":"subscribe","chassis":%b%b}' % (b"[" * 3000, b"]" * 3000))
    def test_json(self, payload: bytes) -> None:
        """In JSON, with numbers of any length and NaN."""
        self.assert_harmless(payload, False)

    @given(st.dictionaries(st.sampled_from(_MEMBERS) | st.text(max_size=3), st.lists(st.text(), max_size=3)))
    @example({"max_hz": ["9" * 5000]})
    @example({"since": ["a:1"], "insight_seq": ["\u0661"]})
    def test_query(self, query: dict[str, list[str]]) -> None:
        """By its address."""
        try:
            self.assertIsInstance(asked_by(query), Asked)
        except AskError as error:
            self.assertLess(len(str(error)), 600)


class AskTests(SynchronousTestCase):
    """What may be asked for."""

    def test_query(self) -> None:
        """By the address."""
        for query, wanted in (
            ({}, Asked()),
            ({"since": ["ab12:7"], "colour": ["red"]}, Asked(Since("ab12", 7, None), False, Subscription())),
            ({"since": ["ab12:0"], "insight_seq": ["3"]}, Asked(Since("ab12", 0, 3), False, Subscription())),
            ({"snapshot": ["1"]}, Asked(None, True, Subscription())),
            ({"snapshot": [""], "since": [""]}, Asked()),
        ):
            self.assertEqual(asked_by(query), wanted)

    def test_nonsense(self) -> None:
        """What makes no sense is refused with a sentence."""
        for query, said in (
            ({"since": ["7"]}, "since is '7', wanted EPOCH:SEQ"),
            ({"since": ["ab:-1"]}, "since is 'ab:-1', wanted"),
            ({"since": ["ab:1", "ab:2"]}, "since is there 2 times, wanted once"),
            ({"since": ["ab:1"], "insight_seq": ["x"]}, "insight_seq is 'x', wanted a whole number"),
            ({"insight_seq": ["1"]}, "insight_seq without since"),
            ({"snapshot": ["yes"]}, "snapshot is 'yes', wanted 1 or 0"),
        ):
            error = self.assertRaises(AskError, asked_by, query)
            self.assertTrue(str(error).startswith(said), str(error))

    def test_message(self) -> None:
        """By a message."""
        message: Any = {"type": "resume", "since": "e:5", "insight_seq": 2}
        self.assertEqual(wanted_by(said_by(json.dumps(message).encode())), Since("e", 5, 2))
        self.assertEqual(wanted_by(said_by(msgpack_encode(message), packed=True)), Since("e", 5, 2))
        for other in (b"", b"hello", b"\xff", b"[]", b"{}", b'{"type":"hello","since":"e:5"}', b"[" * 5000):
            self.assertEqual(said_by(other), {})
            self.assertEqual(said_by(other, packed=True), {})
        self.assertEqual(said_by(msgpack_encode({"type": "resume", 5: 6}), packed=True), {})
        for message in ({"type": "resume"}, {"type": "resume", "since": 5}):
            self.assertRaises(AskError, wanted_by, message)
        for insight_seq in (True, "2", 1.5, -1):
            message = {"type": "resume", "since": "e:5", "insight_seq": insight_seq}
            self.assertRaises(AskError, wanted_by, message)


class InsightLogTests(SynchronousTestCase):
    """The insights that are kept."""

    def test_bounded(self) -> None:
        """The newest, by number and by size; the very newest in any case."""
        log = InsightLog(most=3, most_bytes=100)
        self.assertEqual((log.seq, log.first_seq, log.newest, list(log.after(0))), (0, 1, None, []))
        frames = [Frame(b"%d" % n) for n in range(1, 6)]
        for frame in frames:
            log.append(frame)
        self.assertEqual((log.seq, log.first_seq, log.newest), (5, 3, frames[-1]))
        for after, kept in ((3, frames[3:]), (0, frames[2:]), (5, [])):
            self.assertEqual([one.frame.plain for one in log.after(after)], [frame.plain for frame in kept])
        log.append(Frame(random.Random(1).randbytes(500)))
        self.assertEqual((log.first_seq, log.seq), (6, 6))


class ResumeTests(SynchronousTestCase):
    """A client says where it was, and goes on from there."""

    def setUp(self) -> None:
        """A server that has had 50 points and three insights."""
        self.server = WebServer(self)
        self.hub = self.server.hub
        for _ in range(10):
            publish(self.hub, 5)
            self.server.run_for(0.1)
        for n in range(3):
            self.server.broadcaster.tell({"n": n})

    def come(self, query: str, **options: Any) -> Screen:
        """A client with that query."""
        return Screen(self.server, query=query.encode(), **options)

    def since(self, seq: int, more: str = "", **options: Any) -> Screen:
        """A client that was at that point of this epoch."""
        return self.come(f"?since={self.hub.epoch}:{seq}{more}", **options)

    def test_nothing_lost(self) -> None:
        """It gets the points it has not, each once, then what comes."""
        screen = self.since(20)
        publish(self.hub, 5)
        self.server.run_for(0.1)
        first, *updates = screen.messages()
        wanted = {"type": "resumed", "epoch": self.hub.epoch, "seq": 20, "insight_seq": 3, "recovered": True}
        self.assertEqual(first, wanted)
        self.assertEqual(screen.points(), list(range(21, 56)))
        self.assertEqual(updates[0]["prev"], 20)
        for before, after in pairwise(updates):
            self.assertEqual(after["prev"], before["seq"])

    def test_up_to_date(self) -> None:
        """One that has all gets what comes."""
        screen = self.since(50)
        publish(self.hub, 1)
        self.server.run_for(0.1)
        self.assertEqual([message["type"] for message in screen.messages()], ["resumed", "telemetry_update"])
        self.assertEqual(screen.points(), [51])

    def test_overwritten(self) -> None:
        """What the ring has no more is told by one gap."""
        capacity = self.hub.ring.capacity
        while self.hub.last_seq < capacity + 60:
            publish(self.hub, 50)
            self.server.run_for(0.1)
        screen = self.since(10)
        self.server.run_for(2)
        resumed, gap, *updates = screen.messages()
        first = self.hub.ring.first_seq
        self.assertEqual((resumed["seq"], resumed["recovered"]), (first - 1, False))
        wanted = {"first": 11, "last": first - 1, "points": first - 11, "reason": "overwritten"}
        self.assertEqual(gap, {"type": "gap", "epoch": self.hub.epoch, **wanted})
        self.assertEqual(screen.points(), list(range(first, self.hub.last_seq + 1)))
        self.assertEqual(updates[0]["prev"], first - 1)

    def test_other_epoch(self) -> None:
        """Of another run of the server nothing is known; the stream goes on live."""
        for query in ("?since=feed:7", f"?since={self.hub.epoch}:51"):
            screen = self.come(query)
            resumed, gap = screen.messages()
            self.assertEqual((resumed["seq"], resumed["recovered"]), (50, False))
            self.assertEqual((gap["reason"], gap["points"], gap["first"]), ("other_epoch", None, None))

    def test_insights(self) -> None:
        """Insights it has not are sent again as they were, where it says which it has."""
        told = [message for message in self.since(50, "&insight_seq=1").messages() if "n" in message]
        self.assertEqual([(message["insight_seq"], message["n"]) for message in told], [(2, 1), (3, 2)])
        self.assertEqual([message["type"] for message in self.since(50).messages()], ["resumed"])
        for n in range(300):
            self.server.broadcaster.tell({"n": n})
        screen = self.since(50, "&insight_seq=1")
        self.assertLess(len(screen.messages()), 10)
        self.server.run_for(0.1)
        resumed, *told = screen.messages()
        self.assertEqual((resumed["recovered"], resumed["insight_seq"], len(told)), (False, 303 - 256, 256))

    def test_by_message(self) -> None:
        """A client that is there may ask as well; one that makes no sense is answered with an error."""
        screen = self.come("")
        screen.send(json.dumps({"type": "resume", "since": f"{self.hub.epoch}:45"}).encode())
        self.assertEqual(screen.points(), [46, 47, 48, 49, 50])
        for message in (b"hello", b"[]", b'{"type":"resume","since":"x"}'):
            screen.send(message)
        self.assertEqual([message["type"] for message in screen.messages()].count("error"), 1)

    def test_refused(self) -> None:
        """An address that makes no sense is answered 400, in JSON."""
        connection = self.server.connect()
        connection.deliver(handshake(path=b"/ws/realtime?since=yesterday"))
        (answer,) = answers_in(connection.flush())
        self.assertEqual(answer.status, 400)
        self.assertIn("since is 'yesterday'", json.loads(answer.body)["error"])

    def test_snapshot(self) -> None:
        """The newest point of each car and the newest insights, then what comes."""
        publish(self.hub, 3)
        screen = self.come("?snapshot=1")
        (shown,) = screen.messages()
        self.assertEqual((shown["type"], shown["seq"], shown["insight_seq"]), ("snapshot", 53, 3))
        self.assertEqual([point["rpm"] for point in shown["data"]], [53])
        self.assertEqual((shown["insight"]["n"], shown["insight"]["insight_seq"]), (2, 3))
        publish(self.hub, 2)
        self.server.run_for(0.1)
        self.assertEqual((screen.points(), screen.updates()[0]["prev"]), ([54, 55], 53))
        empty = Screen(WebServer(self), query=b"?snapshot=1")
        self.assertEqual((empty.messages()[0]["data"], empty.messages()[0]["insight"]), ([], None))

    def test_slow_reader(self) -> None:
        """One that reads slowly catches up as it reads, with bounded memory, and loses nothing the ring has."""
        publish(self.hub, 2000, padding=500)
        self.server.run_for(0.1)
        screen = self.since(0, room=1000)
        self.assertLess(len(screen.connection.waiting), (256 << 10) * 3)
        for _ in range(40):
            publish(self.hub, 5)
            self.server.run_for(0.1)
            screen.connection.flush()
        lost = sum(message["points"] for message in screen.messages() if message["type"] == "gap")
        points = screen.points()
        self.assertEqual(points, list(range(lost + 1, self.hub.last_seq + 1)))

    def test_many_times(self) -> None:
        """Left and come back at random moments, two hundred times: every point once, or told as lost."""
        chance = random.Random(4)
        seen: list[int] = []
        screen = self.since(50)
        at = 50
        for _ in range(200):
            for _ in range(chance.randrange(4)):
                publish(self.hub, chance.randrange(1, 30))
                self.server.run_for(chance.choice((0.001, 0.01, 0.2)))
            if chance.random() < 0.3:
                screen.connection.kernel.room = 2000
            screen.connection.hang_up(clean=False)
            updates = screen.updates()
            seen += screen.points()
            at = updates[-1]["seq"] if updates else at
            screen = self.since(at)
            (line,) = json.loads(json_encode(self.server.books.answer(0.0)))["clients"]
            told = sum(line[name] for name in ("delivered", "conflated", "filtered", "dropped", "pending"))
            self.assertEqual(line["accepted"], told)
        self.server.run_for(0.3)
        seen += screen.points()
        self.assertEqual(seen, list(range(51, self.hub.last_seq + 1)))
