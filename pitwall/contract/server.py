"""What the server says of itself: health, ledger, cars, the answer to a post, errors."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from pitwall.contract.point import Point
from pitwall.contract.race import TrackFigures
from pitwall.contract.terms import Chassis, Count, Counts, Epoch, Moment, Seq, Track, among, told
from pitwall.model.channels import CHANNELS

Milliseconds = Annotated[float, told("", "ms", 0)]
ChannelName = Annotated[str, among(tuple(CHANNELS))]


class IndexAnswer(Struct):
    """What this server is and where to look."""

    ok: bool
    name: str
    version: str
    paths: list[str]


class ErrorAnswer(Struct):
    """Why a request is not answered: what was seen, and what was wanted."""

    ok: Annotated[bool, told(const=False)]
    error: str


class TicketAnswer(Struct):
    """A ticket for one connection to the WebSocket, as ?ticket= in its address."""

    ok: bool
    ticket: str
    expires_s: Annotated[Count, told("how long it is good for", "s")]


class RecentAnswer(Struct):
    """The last points, oldest first."""

    recent: list[Point]
    first_seq: Annotated[Seq, told("of the first of them", least=1)]
    last_seq: Annotated[Seq, told("of the last of them; one less than first_seq where there is none")]
    epoch: Epoch


class ChannelPace(Struct):
    """How a channel comes, by arrival over the last ten seconds."""

    rate_hz: Annotated[float, told("", "1/s", 0)]
    age_s: Annotated[float, told("since the last value", "s", 0)]


class ClockState(Struct, kw_only=True):
    """A car's own clock; nothing but its state where it tells none."""

    state: Annotated[str, among(("none", "running", "stopped"))]
    offset_s: Annotated[float, told("UTC minus the car's clock", "s")] | UnsetType = UNSET
    spread_s: Annotated[float, told("how much later than the quickest nine of ten points came", "s")] | UnsetType = (
        UNSET
    )
    far: Annotated[bool, told("off by over an hour")] | UnsetType = UNSET
    sessions: Annotated[Count, told("how often it was set, and 1")] | UnsetType = UNSET
    steps_back: Annotated[Count, told("points that came out of its order")] | UnsetType = UNSET


class TimeState(Struct):
    """What is known of the ``meta_time`` of a car's points."""

    late_s: Annotated[float | None, told("how long after its meta_time the newest point came; negative: before", "s")]
    apart_s: Annotated[float | None, told("that, less the median of the track's cars; null among less than three", "s")]
    stamped: Annotated[Count, told("points without meta_time, which got that of their arrival")]
    trouble: Annotated[
        list[Annotated[str, among(("stamped", "stopped", "set", "past", "ahead", "apart"))]],
        told("what is wrong with the car's times"),
    ]


class KnownCar(Struct):
    """What is known of a car."""

    chassis: Chassis
    track: Track
    first_heard: Moment
    last_heard: Moment
    silent_s: Annotated[float, told("since its last point", "s", 0)]
    points: Count
    channels: dict[ChannelName, ChannelPace]
    clock: ClockState
    time: TimeState
    flipped: Annotated[list[str], told("channels that have the wrong sign")]
    stuck: Annotated[list[str], told("channels that do not change")]
    repairs: Annotated[Counts, told("what was repaired, by name")]


class CarsAnswer(Struct):
    """The cars heard of."""

    cars: list[KnownCar]


class Rejected(Struct):
    """A row that was refused."""

    index: Annotated[int | None, told("counts from 0; null where no single row is to blame", least=0)]
    field: Annotated[str | None, told("the field that is wrong")]
    reason: str
    message: str


class IngestAnswer(Struct, kw_only=True):
    """What became of the rows of a post; the last five members where rows were joined to points, or may have been."""

    ok: bool
    accepted: Count
    rejected: Annotated[list[Rejected], told("the first hundred that were refused")]
    rejected_total: Count
    rows: Annotated[Count, told("accepted + duplicates + rejected_total")] | UnsetType = UNSET
    duplicates: Count | UnsetType = UNSET
    points: Annotated[Count, told("published so far")] | UnsetType = UNSET
    rejected_by_reason: Counts | UnsetType = UNSET
    repairs: Counts | UnsetType = UNSET


class RowCounts(Struct):
    """Rows of the long form and lap triggers: rows = samples + duplicates + refused + pending."""

    rows: Count
    samples: Count
    duplicates: Count
    refused: Count
    pending: Count


class Lag(Struct):
    """How late the reactor was over the last five minutes."""

    p50: Milliseconds
    p99: Milliseconds
    p99_9: Milliseconds
    max: Milliseconds


class Queue(Struct):
    """The notifications of a bucket."""

    failing: bool
    messages: Count
    ignored: Count
    garbage: Count
    errors: Count


class Bucket(Struct):
    """What is read from S3."""

    failing: bool
    objectsRead: Count
    rowsRead: Count
    errors: Count
    queue: Queue | UnsetType = UNSET


class Metrics(Struct, kw_only=True):
    """Figures that never reset while the server runs."""

    messagesReceived: Annotated[Count, told("points accepted by all doors")]
    messagesBroadcast: Annotated[Count, told("telemetry messages, once a flush")]
    wsClients: Count
    aggregationsProcessed: Annotated[Count, told("insight messages")]
    errors: Annotated[Count, told("what was refused by all doors")]
    messageRate: Annotated[float, told("points", "1/s", 0)]
    avgProcessingTimeMs: Annotated[Milliseconds, told("of an analysis", "ms")]
    ringBufferSize: Annotated[Count, told("points held now")]
    udpKernelDrops: Annotated[Count, told("datagrams that the kernel had no room for")]
    aggregationMissed: Annotated[Count, told("rows overwritten before a worker had read them")]
    clientPointsSkipped: Annotated[Count, told("points that clients which were behind did not get")]
    clientPointsConflated: Annotated[Count, told("points that such clients have in the ranges of others alone")]
    clientsReduced: Annotated[Count, told("clients that are behind now")]
    subscriptions: Annotated[Count, told("different ones, that of a client without one included")]
    flushIntervalMs: Annotated[Milliseconds, told("between two telemetry messages", "ms")]
    fieldStepMs: Annotated[Milliseconds, told("of the step that compares cars", "ms")]
    forecasts: Annotated[dict[Track, TrackFigures], told("what they were worth, by track")]
    workerRestarts: Count
    cars: Count
    carsEvicted: Count
    accepted: Annotated[Counts, told("points by door")]
    refused: Annotated[dict[str, Counts], told("by door and reason")]
    repairs: Annotated[Counts, told("by name")]
    rows: Annotated[dict[str, RowCounts], told("by door")]
    reactorLagMs: Lag
    s3: Bucket | UnsetType = UNSET


class HealthAnswer(Struct):
    """Whether the doors are open and the workers warm, and the counters."""

    ok: bool
    now: Moment
    demo: Annotated[bool, told("whether the points are a demo's")]
    udpPort: Annotated[int | None, told("where datagrams are awaited", "", 1, 65535)]
    metrics: Metrics


class LiveAnswer(Struct):
    """The event loop turns."""

    ok: Annotated[bool, told(const=True)]


class ReadyAnswer(Struct):
    """Whether points and clients may be sent here; not any more once the server has been told to end."""

    ok: bool
    doors: Annotated[bool, told("whether every door is open")]
    workers: Annotated[bool, told("whether every worker is up")]


class DoorLine(Struct, kw_only=True):
    """What came in by a door, in one unit: received = accepted + refused + duplicate + pending."""

    door: str
    unit: Annotated[str, among(("points", "rows"))]
    received: Count
    accepted: Count
    refused: Annotated[Counts, told("by reason")]
    duplicate: Count
    pending: Count
    joined_points: Annotated[Count, told("points made of accepted rows; of rows alone")] | UnsetType = UNSET


class ClientLine(Struct):
    """What a client got, in points: accepted = delivered + conflated + filtered + dropped + pending."""

    id: Count
    address: str
    since: Moment
    accepted: Count
    delivered: Count
    conflated: Count
    filtered: Count
    dropped: Count
    pending: Count


class RingLine(Struct):
    """The points that all doors published, and the number of the last one."""

    published: Count
    last_seq: Seq


class WorkersLine(Struct):
    """Rows for the workers: published = written + pending."""

    published: Count
    written: Count
    pending: Count
    overwritten: Annotated[Count, told("before a worker had read them")]


class LedgerAnswer(Struct):
    """What came in and what became of it, all of one moment."""

    now: Moment
    epoch: Epoch
    doors: list[DoorLine]
    ring: RingLine
    workers: WorkersLine
    clients: list[ClientLine]
    udp_kernel_drops: Count
    http_bodies_under_way: Count
    insights: Annotated[Count, told("said so far")]
