"""The decoders of what a client asks, and of what a client is told by a server that means it ill."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar
from urllib.parse import parse_qs

import msgspec

from benchmarks.fuzz import forms
from benchmarks.fuzz.oracle import strict
from benchmarks.fuzz.target import ACCEPTED, Broken, Target
from pitwall.client import packed
from pitwall.client.connection import PitWallClient, with_query
from pitwall.client.stream import StreamError
from pitwall.client.subscription import Subscription as Wanted
from pitwall.serve.live.joining import Asked, Since, asked_by, said_by, wanted_by
from pitwall.serve.live.subscription import MOST_NAMES, AskError, Subscription, from_message
from pitwall.serve.origins import OriginPolicy
from pitwall.wire import columnar, messages

ASKS = tuple(
    map(
        forms.encoded,
        (
            {"type": "subscribe", "chassis": ["GR86-004-78"], "track": ["barber"], "channels": ["rpm"], "max_hz": 10},
            {"type": "subscribe", "types": ["telemetry_update", "quality"], "chassis": None},
            {"type": "resume", "since": "5f0c2a9e:4242", "insight_seq": 17},
        ),
    )
)


def _subscription_holds(wanted: Subscription) -> None:
    """What is asked for can be told, and asked for again."""
    told = wanted.members()
    strict(messages.subscribed("abcd", 7, told))
    if from_message({"type": "subscribe", **told}) != wanted or hash(wanted) != hash(from_message(told)):
        raise Broken(f"{told!r:.300} is told, which is not what was asked for")
    if any(len(names or ()) > MOST_NAMES for names in wanted[:3]):
        raise Broken("so many names are too many")


class _Ask(Target):
    of: ClassVar[tuple[str, ...]] = ("pitwall.serve.live.joining", "pitwall.serve.live.subscription")
    family = (AskError,)
    packed = False

    def decode(self, data: bytes) -> Any:
        """What the decoder makes of it."""
        message = said_by(data, self.packed)
        return wanted_by(message) if message else None

    def judge(self, data: bytes, found: Any) -> str:
        """See `Target`."""
        if found is None:
            return "means nothing"
        if isinstance(found, Since):
            if not 0 <= found.seq < 10**18 or not found.epoch.isascii():
                raise Broken(f"since {found}")
        else:
            _subscription_holds(found)
        return ACCEPTED


class JsonAsks(_Ask):
    """Messages of clients, as text."""

    name = "ws messages"
    samples = ASKS


class PackedAsks(_Ask):
    """The same as MessagePack."""

    name = "ws messagepack"
    packed = True
    samples = tuple(msgspec.msgpack.encode(msgspec.json.decode(ask)) for ask in ASKS)


class Query(Target):
    """What the query of the WebSocket's address asks for."""

    name = "ws query"
    of: ClassVar[tuple[str, ...]] = ("pitwall.serve.live.joining", "pitwall.serve.live.subscription")
    family = (AskError,)
    samples = (
        *(b"since=5f0c2a9e:4242&insight_seq=17", b"snapshot=1&chassis=GR86-004-78,GR86-002-2&channels=speed_kmh,rpm"),
        *(b"max_hz=10&types=telemetry_update,quality&track=barber&track=cota", b"unknown=1&snapshot="),
    )

    def decode(self, data: bytes) -> Asked:
        """What the decoder makes of it."""
        return asked_by(parse_qs(data.decode("utf-8", "surrogateescape"), keep_blank_values=True))

    def judge(self, data: bytes, found: Asked) -> str:
        """See `Target`."""
        if found.subscribes:
            _subscription_holds(found.subscription)
        return ACCEPTED


class Origins(Target):
    """The headers Origin and Host."""

    name = "origins"
    of: ClassVar[tuple[str, ...]] = ("pitwall.serve.origins",)
    samples = (
        b"https://wall.example.com:8443\nwall.example.com",
        b"http://localhost:3000\n[::1]:8081",
        b"null\n10.0.0.1",
    )

    def __init__(self) -> None:
        self._open, self._listed = (
            OriginPolicy(),
            OriginPolicy(["https://wall.example.com", "http://localhost:*", "null"]),
        )

    def decode(self, data: bytes) -> tuple[bool, bool]:
        """What the decoder makes of it."""
        origin, _, host = data.decode("latin-1").partition("\n")
        return self._open.allows(origin, host), self._listed.allows(origin, host)


def _server_says() -> tuple[bytes, ...]:
    """What a server tells a client, a message a line."""
    gap = messages.gap("abcd", 3, 4, "overwritten")
    update = messages.telemetry_update("abcd", 5, forms.POINTS[:2])
    insight = messages.insight_update({"data": [], "gaps": [], "insights": [], "meta": {}}, "abcd", 4)
    thinned = messages.thinned_update("abcd", 6, 9, forms.POINTS[:1], messages.Thinned([3], [{"rpm": (1.0, 2.0)}]))
    subscribed = messages.subscribed("abcd", 9, Subscription(chassis=frozenset(["b"]), max_hz=5.0).members())
    quality = messages.quality("abcd", 9, "reduced", 1_757_184_100_000, 4)
    resumed = messages.resumed("abcd", 2, 3, recovered=True)
    error = messages.error("max_hz is 0, wanted 0.1 to 100", "subscribe")
    snapshot = messages.snapshot("abcd", 2, 3, forms.POINTS[:2], None)
    return (
        b"\n".join((snapshot, update, insight, thinned)),
        b"\n".join((resumed, gap, update, subscribed, quality, error)),
    )


class _Done(BaseException):
    """Nothing more comes."""


class _Connection:
    """A server that has said all that it will say."""

    def __init__(self, payloads: list[str | bytes]) -> None:
        self._payloads = payloads[::-1]

    async def recv(self) -> str | bytes:
        """The next message."""
        if not self._payloads:
            raise _Done
        return self._payloads.pop()

    async def send(self, message: str) -> None:
        """Whatever is said to it."""

    async def close(self) -> None:
        """End."""


class _Told(Target):
    """A client, and what a server tells it: messages, or a StreamError, and it can ask on from there."""

    of: ClassVar[tuple[str, ...]] = (
        "pitwall.client.stream",
        "pitwall.client.connection",
        "pitwall.client.subscription",
    )
    family = (StreamError,)
    encoding = "json"

    def decode(self, data: bytes) -> list[tuple[str, int]]:
        """What the decoder makes of it."""
        client: Any = PitWallClient("ws://localhost:1", encoding=self.encoding, snapshot=True, subscribe=Wanted(("b",)))
        client._stream.query()
        client._subscribing.said(Wanted(("b",), max_hz=5.0))
        client._connection = _Connection(self._payloads(data))

        async def connect() -> None:
            raise _Done

        client._connect = connect
        found = []
        try:
            while True:
                message = _at_once(client.receive())
                found.append((message.type, len(message.points)))
        except _Done:
            pass
        query = client._stream.query()
        with_query("ws://localhost:1", query)
        if client._subscribing.wanted is not None:
            client._subscribing.wanted.message()
        return found

    def judge(self, data: bytes, found: list[tuple[str, int]]) -> str:
        """See `Target`."""
        return ACCEPTED if found else "nothing"

    def _payloads(self, data: bytes) -> list[str | bytes]:
        return [line.decode("utf-8", "replace") for line in data.split(b"\n")]


def _at_once(work: Any) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise Broken("it waits")


class Told(_Told):
    """JSON."""

    name = "client json"
    samples = _server_says()


class PackedTold(_Told):
    """MessagePack."""

    name = "client messagepack"
    encoding = "msgpack"
    of: ClassVar[tuple[str, ...]] = (*_Told.of, "pitwall.client.packed")
    _point = msgspec.json.decode(forms.POINTS[0])
    _thinned = messages.Thinned([3], [{"rpm": (1.0, 2.0)}])
    samples = (
        columnar.telemetry_update("abcd", 2, 4, [_point, {**_point, "rpm": None}]),
        columnar.telemetry_update("abcd", 2, 5, [_point], _thinned),
        columnar.snapshot("abcd", 2, 3, [_point], None),
        columnar.transcoded(messages.subscribed("abcd", 9, {"types": ["quality"]})),
    )

    def _payloads(self, data: bytes) -> list[str | bytes]:
        return [columnar.snapshot("abcd", 2, 3, [self._point], None), data]


class ToldTimes(Target):
    """The times of columns."""

    name = "client times"
    of: ClassVar[tuple[str, ...]] = ("pitwall.client.packed",)
    family = (ValueError,)
    samples = (b"1757184100062.5", b"0", b"-62135596800000", b"253402300799999.99")

    def decode(self, data: bytes) -> str:
        """What the decoder makes of it."""
        time_ms = json.loads(data[:400])
        message = {"type": "x", "channels": ["meta_time"], "rows": [[time_ms]]}
        return str(packed.in_rows(message)["data"][0].get("meta_time"))

    def judge(self, data: bytes, found: str) -> str:
        """See `Target`."""
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(\d{3})?Z|None", found):
            raise Broken(f"the time {found!r}")
        return ACCEPTED


TARGETS: tuple[type[Target], ...] = (JsonAsks, PackedAsks, Query, Origins, Told, PackedTold, ToldTimes)
