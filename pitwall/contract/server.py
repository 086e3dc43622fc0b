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

    ok: Annotated[bool, told("true")]
    name: Annotated[str, told("pitwall")]
    version: Annotated[str, told("of PitWall")]
    paths: Annotated[list[str], told("what can be asked for")]


class ErrorAnswer(Struct):
    """Why a request is not answered: what was seen, and what was wanted."""

    ok: Annotated[bool, told(const=False)]
    error: Annotated[str, told("for a person")]


class TicketAnswer(Struct):
    """A ticket for one connection to the WebSocket, as ?ticket= in its address."""

    ok: Annotated[bool, told("true")]
    ticket: Annotated[str, told("for the address")]
    expires_s: Annotated[Count, told("how long it is good for", "s")]


class RecentAnswer(Struct):
    """The last points, oldest first."""

    recent: list[Point]
    first_seq: Annotated[Seq, told("of the first of them", least=1)]
    last_seq: Annotated[Seq, told("of the last of them; one less than first_seq where there is none")]
    epoch: Epoch


class ChannelPace(Struct):
    """How a channel comes, by arrival over the last ten seconds."""

    rate_hz: Annotated[float, told("values", "1/s", 0)]
    age_s: Annotated[float, told("since the last value", "s", 0)]


class ClockState(Struct, kw_only=True):
    """A car's own clock; nothing but its state where it tells none."""

    state: Annotated[str, among(("none", "running", "stopped"), "whether it tells one, and whether that runs")]
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
    first_heard: Annotated[Moment, told("when its first point came")]
    last_heard: Annotated[Moment, told("when its last point came")]
    silent_s: Annotated[float, told("since its last point", "s", 0)]
    points: Annotated[Count, told("that were accepted")]
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
    reason: Annotated[str, told("a short name of why, for counting")]
    message: Annotated[str, told("why, for a person")]


class IngestAnswer(Struct, kw_only=True):
    """What became of the rows of a post; the last five members where rows were joined to points, or may have been."""

    ok: Annotated[bool, told("false when nothing was taken")]
    accepted: Annotated[Count, told("rows that were taken")]
    rejected: Annotated[list[Rejected], told("the first hundred that were refused")]
    rejected_total: Annotated[Count, told("rows that were refused")]
    rows: Annotated[Count, told("accepted + duplicates + rejected_total")] | UnsetType = UNSET
    duplicates: Annotated[Count, told("rows that were known already")] | UnsetType = UNSET
    points: Annotated[Count, told("published so far")] | UnsetType = UNSET
    rejected_by_reason: Annotated[Counts, told("rows that were refused")] | UnsetType = UNSET
    repairs: Annotated[Counts, told("what was mended, by name")] | UnsetType = UNSET


class RowCounts(Struct):
    """Rows of the long form and lap triggers: rows = samples + duplicates + refused + pending."""

    rows: Annotated[Count, told("that came")]
    samples: Annotated[Count, told("that became values of points")]
    duplicates: Annotated[Count, told("that were known already")]
    refused: Annotated[Count, told("that could not be taken")]
    pending: Annotated[Count, told("of which the point is not whole yet")]


class Lag(Struct):
    """How late the reactor was over the last five minutes."""

    p50: Annotated[Milliseconds, told("the median")]
    p99: Annotated[Milliseconds, told("of a hundred turns but one")]
    p99_9: Annotated[Milliseconds, told("of a thousand turns but one")]
    max: Annotated[Milliseconds, told("the longest")]


class Queue(Struct):
    """The notifications of a bucket."""

    failing: Annotated[bool, told("whether it can not be read now")]
    messages: Annotated[Count, told("notifications that were read")]
    ignored: Annotated[Count, told("of other buckets, keys or events")]
    garbage: Annotated[Count, told("what was no notification")]
    errors: Annotated[Count, told("tries that failed")]


class Bucket(Struct):
    """What is read from S3."""

    failing: Annotated[bool, told("whether it can not be read now")]
    objectsRead: Annotated[Count, told("files that were read to their end")]
    rowsRead: Annotated[Count, told("lines of them")]
    errors: Annotated[Count, told("tries that failed")]
    queue: Queue | UnsetType = UNSET


class Metrics(Struct, kw_only=True):
    """Figures that never reset while the server runs."""

    messagesReceived: Annotated[Count, told("points accepted by all doors")]
    messagesBroadcast: Annotated[Count, told("telemetry messages, once a flush")]
    wsClients: Annotated[Count, told("connected now")]
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
    workerRestarts: Annotated[Count, told("workers that were replaced")]
    cars: Annotated[Count, told("followed now")]
    carsEvicted: Annotated[Count, told("let go for newer ones")]
    connectionsRefused: Annotated[Counts, told("those over MAX_CONNECTIONS (total) or MAX_PER_ADDRESS (address)")]
    accepted: Annotated[Counts, told("points by door")]
    refused: Annotated[dict[str, Counts], told("by door and reason")]
    repairs: Annotated[Counts, told("by name")]
    rows: Annotated[dict[str, RowCounts], told("by door")]
    reactorLagMs: Lag
    s3: Bucket | UnsetType = UNSET


class HealthAnswer(Struct):
    """Whether the doors are open and the workers warm, and the counters."""

    ok: Annotated[bool, told("whether the doors are open and the workers warm")]
    now: Annotated[Moment, told("the server's clock")]
    demo: Annotated[bool, told("whether the points are a demo's")]
    udpPort: Annotated[int | None, told("where datagrams are awaited", "", 1, 65535)]
    metrics: Metrics


class LiveAnswer(Struct):
    """The event loop turns."""

    ok: Annotated[bool, told(const=True)]


class ReadyAnswer(Struct):
    """Whether points and clients may be sent here; not any more once the server has been told to end."""

    ok: Annotated[bool, told("whether all of it is so")]
    doors: Annotated[bool, told("whether every door is open")]
    workers: Annotated[bool, told("whether every worker is up")]


class DoorLine(Struct, kw_only=True):
    """What came in by a door, in one unit: received = accepted + refused + duplicate + pending."""

    door: Annotated[str, told("where it came in")]
    unit: Annotated[str, among(("points", "rows"), "what is counted")]
    received: Annotated[Count, told("what came")]
    accepted: Annotated[Count, told("what was taken")]
    refused: Annotated[Counts, told("by reason")]
    duplicate: Annotated[Count, told("what was known already")]
    pending: Annotated[Count, told("what is not decided yet")]
    joined_points: Annotated[Count, told("points made of accepted rows; of rows alone")] | UnsetType = UNSET


class ClientLine(Struct):
    """What a client got, in points: accepted = delivered + conflated + filtered + dropped + pending."""

    id: Annotated[Count, told("the how many-th connection")]
    address: Annotated[str, told("whose it is")]
    since: Annotated[Moment, told("when it connected")]
    accepted: Annotated[Count, told("points since then")]
    delivered: Annotated[Count, told("that were sent")]
    conflated: Annotated[Count, told("that are in the ranges of others alone")]
    filtered: Annotated[Count, told("that its subscription leaves out")]
    dropped: Annotated[Count, told("that it was too slow for")]
    pending: Annotated[Count, told("that are still to be sent")]


class RingLine(Struct):
    """The points that all doors published, and the number of the last one."""

    published: Annotated[Count, told("points of all doors")]
    last_seq: Annotated[Seq, told("of the last one")]


class WorkersLine(Struct):
    """Rows for the workers: published = written + pending."""

    published: Annotated[Count, told("rows to be written")]
    written: Annotated[Count, told("rows that were")]
    pending: Annotated[Count, told("rows that are not yet")]
    overwritten: Annotated[Count, told("before a worker had read them")]


class LedgerAnswer(Struct):
    """What came in and what became of it, all of one moment."""

    now: Annotated[Moment, told("the server's clock")]
    epoch: Epoch
    doors: list[DoorLine]
    ring: RingLine
    workers: WorkersLine
    clients: list[ClientLine]
    udp_kernel_drops: Annotated[Count, told("datagrams that the kernel had no room for")]
    http_bodies_under_way: Annotated[Count, told("bodies whose rows are being taken")]
    insights: Annotated[Count, told("said so far")]
