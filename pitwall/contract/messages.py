"""The messages of the WebSocket, both ways; ``docs/websocket.md`` tells of them in words."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, Struct, UnsetType

from pitwall.contract.insight import Insight
from pitwall.contract.point import Point
from pitwall.contract.terms import Count, Epoch, Pair, Scalar, Seq, among, told
from pitwall.contract.update import Gap, Result, UpdateMeta

#: What a client may ask for and be told.
SUBSCRIBABLE: Final = ("telemetry_update", "insight_update", "quality")
#: The least and the most of messages in a second that a client may ask for [1/s].
LEAST_HZ, MOST_HZ = 0.1, 100.0
#: How a client names where it was.
SINCE: Final = r"^[0-9A-Za-z_-]{1,64}:[0-9]{1,18}$"
#: Forms of the stream, by the subprotocol that chooses each.
SUBPROTOCOLS: Final = {
    "pitwall.json": "JSON in text frames, as without a subprotocol",
    "pitwall.msgpack": "MessagePack in binary frames, one map each, with the members of the JSON message;"
    " telemetry_update and snapshot have points as rows",
}
#: Why the server closes a connection, by code.
CLOSE_CODES: Final = {
    1001: "the server is ending; reconnect with a pause",
    1002: "the client broke the protocol",
    1007: "the client broke the protocol",
    1008: "the client sent over 50 messages, or over 100 pings, in a second",
    1009: "the client sent a message over 64 KiB, or of over 64 frames",
    1011: "a fault of the server's",
    4001: "the key that the connection came by was removed, or may not read any more",
    4008: "too slow: over MAX_WS_BUFFER bytes of insights waited",
    4009: "nothing was read for WS_STALL_SECONDS",
}
#: What is answered in place of the handshake, by status.
REFUSALS: Final = {
    400: "what the address asks for makes no sense",
    401: "a key is needed, and there is none, or none that is known",
    403: "the key may not read, or the page may not connect (ALLOWED_ORIGINS)",
    426: "no upgrade to a WebSocket of version 13",
    429: "too many wrong keys from this address",
    503: "one client too many, one subscription too many, or the server is ending",
    505: "not HTTP/1.1",
}

InsightSeq = Annotated[int, told("the number of an insight message within the epoch", least=0)]
Since = Annotated[str, told("the epoch and the last seq the client has, EPOCH:SEQ", pattern=SINCE)]
Type = Annotated[str, among(SUBSCRIBABLE)]
MaxHz = Annotated[float, told("the most telemetry messages in a second", "1/s", LEAST_HZ, MOST_HZ)]
Counts = Annotated[list[Count], told("how many points each one of data stands for")]
Conflated = Annotated[Count, told("points that are not in data themselves: the sum of counts − the length of data")]
Rows = Annotated[list[list[Scalar]], told("one a point, in the order of channels; null where not sent")]
Bounds = Annotated[list[list[float | None]], told("one a row, in the order of channels; null where it did not change")]


class Numbered(Struct, kw_only=True):
    """Points with their numbers."""

    epoch: Epoch
    seq: Annotated[Seq, told("the number of the last point considered")]
    prev: Annotated[Seq, told("the seq of the message before; another one means that points are lost")]


class TelemetryUpdate(Numbered, kw_only=True, tag_field="type", tag="telemetry_update"):
    """
    Points as they came, oldest first.

    A thinned message (max_hz, or a client that is behind) has the newest point of each car that has new ones, and
    counts, ranges and conflated.
    """

    data: Annotated[list[Point], told("oldest first")]
    counts: Counts | UnsetType = UNSET
    ranges: (
        Annotated[
            list[dict[str, Pair]],
            told("the least and greatest value of each channel that changed, by index of data"),
        ]
        | UnsetType
    ) = UNSET
    conflated: Conflated | UnsetType = UNSET


class PackedTelemetryUpdate(Numbered, kw_only=True, tag_field="type", tag="telemetry_update"):
    """The same in MessagePack: points as rows, in which meta_time is a number [ms since 1970]."""

    channels: Annotated[list[str], told("names, first meta_time, track, chassis")]
    rows: Rows
    counts: Counts | UnsetType = UNSET
    low: Annotated[Bounds, told("the least values")] | UnsetType = UNSET
    high: Annotated[Bounds, told("the greatest values")] | UnsetType = UNSET
    conflated: Conflated | UnsetType = UNSET


class InsightUpdate(Struct, kw_only=True, tag_field="type", tag="insight_update"):
    """Results of the cars that have new points, gaps of the field, and what is new to say."""

    epoch: Epoch
    insight_seq: InsightSeq
    data: Annotated[list[Result], told("of the cars that have new points")]
    gaps: Annotated[list[Gap], told("of every car on the tracks of these cars, by track and position")]
    insights: Annotated[list[Insight], told("what is new to say; mostly none")]
    meta: UpdateMeta


class Resumed(Struct, kw_only=True, tag_field="type", tag="resumed"):
    """From where the stream goes on: the next telemetry_update has this seq as its prev."""

    epoch: Epoch
    seq: Annotated[Seq, told("points go on after it")]
    insight_seq: InsightSeq
    recovered: Annotated[bool, told("whether nothing between is lost")]


class Lost(Struct, kw_only=True, tag_field="type", tag="gap"):
    """Points that can't be had any more; null where it is not known how many they are."""

    epoch: Epoch
    first: Annotated[Seq | None, told("the number of the first one")]
    last: Annotated[Seq | None, told("the number of the last one")]
    points: Annotated[Count | None, told("how many are missing")]
    reason: Annotated[
        str,
        among(("overwritten", "other_epoch"), "the ring had no room for them any more; the server was started anew"),
    ]


class Now(Struct, kw_only=True):
    """What a screen begins with."""

    epoch: Epoch
    seq: Annotated[Seq, told("points go on after it")]
    insight_seq: InsightSeq
    insight: Annotated[InsightUpdate | None, told("the newest insight_update, or null")]


class Snapshot(Now, kw_only=True, tag_field="type", tag="snapshot"):
    """The newest point of each car, oldest first, and the newest insight_update; points go on after seq."""

    data: Annotated[list[Point], told("the newest of each car, oldest first")]


class PackedSnapshot(Now, kw_only=True, tag_field="type", tag="snapshot"):
    """The same in MessagePack: points as rows, in which meta_time is a number [ms since 1970]."""

    channels: Annotated[list[str], told("names, first meta_time, track, chassis")]
    rows: Rows


class Subscribed(Struct, kw_only=True, tag_field="type", tag="subscribed"):
    """What the client gets from here on; what is not limited is left out. The next telemetry_update has seq as prev."""

    epoch: Epoch
    seq: Annotated[Seq, told("the prev of the next telemetry_update")]
    types: Annotated[list[Type], told("that come")]
    chassis: Annotated[list[str], told("cars that come")] | UnsetType = UNSET
    track: Annotated[list[str], told("tracks that come")] | UnsetType = UNSET
    channels: Annotated[list[str], told("that points have, besides meta_time, track and chassis")] | UnsetType = UNSET
    max_hz: MaxHz | UnsetType = UNSET


class Quality(Struct, kw_only=True, tag_field="type", tag="quality"):
    """Whether the client gets every point, or is behind and gets thinned telemetry."""

    epoch: Epoch
    seq: Annotated[Seq, told("the number of the last point considered")]
    level: Annotated[str, among(("reduced", "full"), "reduced: telemetry is thinned; full: every point comes")]
    since: Annotated[float, told("since 1970", "ms")]
    conflated: Annotated[Count, told("points conflated meanwhile")]


class Refused(Struct, kw_only=True, tag_field="type", tag="error"):
    """What a client said was not understood: what was seen, and what was wanted."""

    error: Annotated[str, told("what was seen, and what was wanted")]
    request: Annotated[str, among(("subscribe", "resume"), "what it answers")] | UnsetType = UNSET


class Resume(Struct, kw_only=True, tag_field="type", tag="resume"):
    """A client that was away says where it was."""

    since: Since
    insight_seq: Annotated[InsightSeq | None, told("the last insight message it has")] = None


class Subscribe(Struct, kw_only=True, tag_field="type", tag="subscribe"):
    """What a client wants from here on, all of it anew; what is left out, or null, is not limited."""

    chassis: Annotated[list[str] | None, told("these cars")] = None
    track: Annotated[list[str] | None, told("these tracks")] = None
    channels: Annotated[list[str] | None, told("these, and always track, chassis and meta_time")] = None
    types: Annotated[list[Type] | None, told("these types of message")] = None
    max_hz: MaxHz | None = None


Words = Annotated[list[str], told("repeated, or joined by commas")]


class Query(Struct, kw_only=True):
    """What the address may ask for, beside other members; a subscription is as by the message subscribe."""

    since: Since | UnsetType = UNSET
    insight_seq: Annotated[InsightSeq, told("the last insight message the client has")] | UnsetType = UNSET
    snapshot: Annotated[str, among(("0", "1"), "1: first the newest point of each car")] | UnsetType = UNSET
    chassis: Words | UnsetType = UNSET
    track: Words | UnsetType = UNSET
    channels: Words | UnsetType = UNSET
    types: Annotated[list[Type], told("repeated, or joined by commas")] | UnsetType = UNSET
    max_hz: MaxHz | UnsetType = UNSET
    ticket: Annotated[str, told("of POST /api/ticket, in place of the header Authorization")] | UnsetType = UNSET


#: From the server; those that are packed are of the subprotocol pitwall.msgpack alone.
SERVER_SENDS: Final = (
    *(TelemetryUpdate, PackedTelemetryUpdate, InsightUpdate, Resumed, Lost, Snapshot, PackedSnapshot),
    *(Subscribed, Quality, Refused),
)
PACKED: Final = (PackedTelemetryUpdate, PackedSnapshot)
#: From a client, with what is answered.
CLIENT_SENDS: Final = {Resume: (Resumed, Lost, Refused), Subscribe: (Subscribed, Refused)}
#: When each is sent.
WHEN: Final = {
    TelemetryUpdate: "Always, unless types leave it out: at once with the first point after a quiet spell, then every"
    " 8 to 100 ms as long as points come, or max_hz times a second.",
    PackedTelemetryUpdate: "As telemetry_update, by the subprotocol pitwall.msgpack.",
    InsightUpdate: "Always, unless types leave it out: at most every BATCH_MS (600 ms), only when points have come.",
    Resumed: "Once, as the answer to resume and to since in the address, before the points that were missed.",
    Lost: "After resumed, before the points that follow, when the ring does not have all that was missed any more.",
    Snapshot: "First, where the address has snapshot=1.",
    PackedSnapshot: "As snapshot, by the subprotocol pitwall.msgpack.",
    Subscribed: "As the answer to subscribe, and first where the address has a subscription.",
    Quality: "When the client falls behind, and when it keeps up again; not to a client that asked for nothing.",
    Refused: "As the answer to a message that makes no sense; what held before holds on.",
    Resume: "At any time: after a break, or when prev is not the last seq.",
    Subscribe: "At any time; it replaces all that was asked for before. The address can say the same.",
}
