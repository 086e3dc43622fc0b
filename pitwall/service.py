"""
The whole server, put together: the only place that knows every part.

Ports are bound and settings checked before anything starts. Services start in
the order of the parts list and stop in reverse, so at the end the doors take in
what is left, the screens get it and a goodbye, and the workers end.
"""

from __future__ import annotations

import gc
import os
import secrets
from pathlib import Path
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from twisted.application.service import MultiService, Service
from twisted.internet.task import Cooperator, LoopingCall
from twisted.logger import Logger

from pitwall.config import Options
from pitwall.hub import Hub
from pitwall.ingest.demo import ReplayError, ReplayService, SimulatedRaceService, load_recording
from pitwall.ingest.http import IngestDoor
from pitwall.ingest.s3 import S3Service
from pitwall.ingest.s3queue import Notifications
from pitwall.ingest.udp import TelemetryPortService, TelemetryProtocol
from pitwall.intake import LiveIntake
from pitwall.listen import AdoptedPortService, ListenError, bind_tcp, bind_udp, raise_descriptor_limit
from pitwall.logs import LoggingService
from pitwall.model.cars import CarNames
from pitwall.model.events import EVENTS
from pitwall.model.track import packaged_tracks, parse_tracks
from pitwall.pool.service import AggregationService
from pitwall.race.book import RaceBook
from pitwall.ring import PointRing
from pitwall.rows import SharedRows
from pitwall.senders import Senders
from pitwall.serve.books import Books
from pitwall.serve.broadcast import Broadcaster, Pace
from pitwall.serve.health import Health
from pitwall.serve.lag import ReactorLag
from pitwall.serve.origins import OriginPolicy
from pitwall.serve.quickpost import QuickPost
from pitwall.serve.rest import RestAPI, Root, WebSocketDoor
from pitwall.serve.seats import Seats, share_of
from pitwall.serve.site import BoundedSite
from pitwall.serve.websocket import TelemetryFactory
from pitwall.wire.live import LiveDecoder
from pitwall.wire.points import PointDecoder
from pitwall.wire.tables import Told

__all__ = ["Options", "makeService"]

#: The fewest rows the workers' ring holds: 20,000 would be a tenth of a second at full speed.
FEWEST_ROWS = 65_536
#: Descriptors that are for all else than connections: ports, workers, files, S3, and the spare seats.
RESERVED_DESCRIPTORS = 64
#: How long clients may take to say goodbye [s].
GOODBYE_S = 2.0


def makeService(options: Options, reactor: Any = None) -> MultiService:
    """
    The server for these options, as one service that ``twistd pitwall`` starts and stops.

    Raises:
        SystemExit: a port can't be had.
    """
    if reactor is None:
        from twisted.internet import reactor
    settings = options.settings
    descriptors = raise_descriptor_limit()
    try:
        tcp = bind_tcp(settings["HOST"], settings["PORT"])
        udp = bind_udp(settings["HOST"], settings["UDP_PORT"])
    except ListenError as error:
        raise SystemExit(f"pitwall: {error}") from None

    size = settings["RINGBUFFER_SIZE"]
    rows = SharedRows(max(size, FEWEST_ROWS))
    hub = Hub(PointRing(size), rows, epoch=secrets.token_hex(4), most_cars=settings["MAX_CARS"])
    decoder = PointDecoder()
    path = settings["TRACK_SECTORS_PATH"]
    tracks = packaged_tracks() if path is None else parse_tracks(Path(path).read_bytes())
    told = Told(CarNames(), {**EVENTS, **settings["EVENT_TRACKS"]}, tracks, settings["TRACK"], settings["FILE_WINDOW"])

    def live(door: str) -> LiveIntake:
        return LiveIntake(hub, door, LiveDecoder(decoder, told), reactor.seconds, reactor.callLater)

    origins = OriginPolicy(settings["ALLOWED_ORIGINS"])

    broadcaster = Broadcaster(
        hub,
        reactor,
        Pace(settings["FLUSH_MS"] / 1000, settings["FLUSH_SHARE"]),
        most_streams=settings["MAX_SUBSCRIPTIONS"],
    )
    # What is neither a connection nor to be one has descriptors of its own.
    most = max(1, min(settings["MAX_CONNECTIONS"], descriptors - RESERVED_DESCRIPTORS))
    if most < settings["MAX_CONNECTIONS"]:
        Logger().warn(
            "room for {most} connections, not MAX_CONNECTIONS: only {descriptors} files may be open",
            most=most,
            descriptors=descriptors,
        )
    seats = Seats(most, settings["MAX_PER_ADDRESS"] or share_of(most))
    screens = TelemetryFactory(
        broadcaster, reactor, settings["MAX_WS_BUFFER"], settings["WS_STALL_SECONDS"], settings["WS_DEFLATE"], seats
    )
    aggregation = AggregationService(
        hub,
        reactor,
        settings["AGG_WORKERS"],
        settings["BATCH_MS"] / 1000,
        broadcaster.tell,
        settings["TRACK_SECTORS_PATH"],
        RaceBook(tracks, settings["LOSS_SECONDS"]),
    )
    by_udp, by_http = live("udp"), live("http")
    senders = None
    if settings["UDP_ALLOW"] or settings["UDP_RATE"]:
        senders = Senders(settings["UDP_ALLOW"], settings["UDP_RATE"], settings["UDP_BURST"])
    udp_door = TelemetryPortService(
        udp, TelemetryProtocol(by_udp), reactor, pause_s=settings["FLUSH_MS"] / 1000, senders=senders
    )
    demos = _demos(settings, hub, decoder, reactor)
    s3_told = told._replace(track=settings["S3_TRACK"] or told.track)
    buckets = _buckets(settings, hub, decoder, s3_told, reactor)
    doors: list[Any] = [udp_door]
    # One slice of a long body a turn.
    cooperator = Cooperator(lambda: lambda: True, lambda step: reactor.callLater(0, step))
    ingest = IngestDoor(
        hub, decoder, by_http, told, reactor, cooperator, settings["MAX_BODY"], settings["MAX_INFLATED"]
    )
    lag = ReactorLag(reactor)

    def pending() -> dict[str, int]:
        waits = {"udp": by_udp.decoder.joiner.pending, "http": ingest.pending}
        if buckets:
            waits["s3"] = sum(bucket.pending for bucket in buckets)
        return waits

    health = Health(
        hub, broadcaster, aggregation, doors, udp_door, bool(demos), buckets, pending=pending, lag=lag.figures
    )

    def held() -> dict[str, int]:
        waits = {"udp": by_udp.decoder.joiner.held(), "http": ingest.held()}
        waits |= {demo.door: 0 for demo in demos}
        for bucket in buckets:
            waits[bucket.door] = bucket.held()
        return waits

    books = Books(
        hub,
        broadcaster,
        held,
        kernel_drops=udp_door.kernel_drops,
        bodies=lambda: ingest.bodies,
        insights=lambda: aggregation.book.insights.count,
    )
    api = RestAPI(
        hub,
        lambda: health.answer(reactor.seconds()),
        ingest.post,
        origins,
        reactor.seconds,
        aggregation.book,
        lambda: books.answer(reactor.seconds()),
        settings["WS_PATH"],
    )
    websocket = WebSocketDoor(WebSocketResource(screens), origins)
    site = BoundedSite(
        Root(api, settings["WS_PATH"], websocket),
        reactor,
        settings["MAX_BODY"],
        settings["REQUEST_SECONDS"],
        seats,
        settings["WS_PATH"],
    )
    site.quick = QuickPost(ingest.take).answer
    http_door = AdoptedPortService(tcp, site, reactor)
    doors.append(http_door)

    def every_second() -> None:
        health.sample(reactor.seconds())
        screens.check_clients()
        site.sweep()
        ingest.sweep()
        hub.cars.look(reactor.seconds())

    parent = LoggingService(options.parent, settings["LOG_FORMAT"], os.environ)
    for service in (
        aggregation,
        ScreensService(screens),
        http_door,
        Chores(every_second, reactor),
        lag,
        *demos,
        *buckets,
        udp_door,
    ):
        service.setServiceParent(parent)
    # What is there now lasts: a full collection of garbage (25 ms with it, 5 without) need not look at it again.
    gc.collect()
    gc.freeze()
    return parent


def _buckets(settings: dict[str, Any], hub: Hub, decoder: PointDecoder, told: Told, reactor: Any) -> list[S3Service]:
    """The bucket that is to be read, if one is."""
    if settings["S3_BUCKET"] is None:
        return []
    queue_url = settings["S3_SQS_QUEUE_URL"]
    queue = None
    if queue_url is not None:
        queue = Notifications(
            reactor,
            queue_url=queue_url,
            bucket=settings["S3_BUCKET"],
            prefix=settings["S3_PREFIX"],
            region=settings["AWS_REGION"],
            endpoint_url=settings["S3_ENDPOINT_URL"],
        )
    return [
        S3Service(
            hub,
            decoder,
            reactor,
            bucket=settings["S3_BUCKET"],
            prefix=settings["S3_PREFIX"],
            poll_s=settings["S3_POLL_SECONDS"],
            region=settings["AWS_REGION"],
            endpoint_url=settings["S3_ENDPOINT_URL"],
            state_dir=settings["STATE_DIR"],
            told=told,
            queue=queue,
        )
    ]


def _demos(
    settings: dict[str, Any], hub: Hub, decoder: PointDecoder, reactor: Any
) -> list[SimulatedRaceService | ReplayService]:
    """The demo doors that are wanted."""
    demos: list[SimulatedRaceService | ReplayService] = []
    if settings["DEMO"]:
        demos.append(SimulatedRaceService(hub, decoder, reactor))
    path = settings["DEMO_DATA_PATH"]
    if path is not None:
        try:
            recording = load_recording(path, decoder)
        except ReplayError as error:
            raise SystemExit(f"pitwall: DEMO_DATA_PATH is {path}: {error}") from None
        demos.append(ReplayService(hub, decoder, reactor, recording))
    return demos


class ScreensService(Service):
    """Says goodbye to the clients when the server ends."""

    def __init__(self, factory: TelemetryFactory) -> None:
        self._factory = factory

    def stopService(self) -> Any:
        """Send what is unsent and close every connection."""
        super().stopService()
        return self._factory.close_all(GOODBYE_S)


class Chores(Service):
    """What is done once a second; a failure is logged and the next second comes all the same."""

    log = Logger()

    def __init__(self, work: Any, clock: Any) -> None:
        self._work = work
        self._loop = LoopingCall(self._safely)
        self._loop.clock = clock

    def startService(self) -> None:
        """Start."""
        super().startService()
        self._loop.start(1.0, now=True)

    def stopService(self) -> None:
        """Stop."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def _safely(self) -> None:
        try:
            self._work()
        except Exception:
            self.log.failure("the chores of this second failed")
