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
from collections.abc import Callable
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred
from twisted.internet.task import Cooperator, LoopingCall
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from pitwall.config import Options
from pitwall.guards import Guards
from pitwall.hub import Hub
from pitwall.ingest.demo import ReplayError, ReplayService, SimulatedRaceService, load_recording
from pitwall.ingest.http import IngestDoor
from pitwall.ingest.s3 import S3Service
from pitwall.ingest.s3queue import Notifications
from pitwall.ingest.udp import TelemetryPortService, TelemetryProtocol
from pitwall.intake import LiveIntake
from pitwall.listen import AdoptedPortService, EndpointService, ListenError, bind_tcp, bind_udp, raise_descriptor_limit
from pitwall.logs import LoggingService
from pitwall.model.cars import CarNames
from pitwall.model.events import EVENTS
from pitwall.model.track import Tracks
from pitwall.pool.service import AggregationService
from pitwall.race.book import RaceBook
from pitwall.ring import PointRing
from pitwall.rows import SharedRows
from pitwall.senders import Senders
from pitwall.serve.auth import Gate
from pitwall.serve.books import Books
from pitwall.serve.health import Health
from pitwall.serve.lag import ReactorLag
from pitwall.serve.live.broadcast import Broadcaster, Pace
from pitwall.serve.live.screens import TelemetryFactory
from pitwall.serve.metrics import Exporter, MetricsRoot
from pitwall.serve.origins import OriginPolicy
from pitwall.serve.quickpost import QuickPost
from pitwall.serve.reading import Sources
from pitwall.serve.rest import RestAPI, Root, WebSocketDoor
from pitwall.serve.seats import Seats, share_of
from pitwall.serve.site import BoundedSite
from pitwall.trackfile import TrackFile
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
    metrics_port = settings["METRICS_PORT"]
    descriptors = raise_descriptor_limit()
    try:
        guards = Guards(settings, reactor)
        track_file = TrackFile(settings["TRACK_SECTORS_PATH"])
        tcp = None if settings["HTTP"] is not None else bind_tcp(settings["HOST"], settings["PORT"])
        udp = bind_udp(settings["HOST"], settings["UDP_PORT"])
        metrics_tcp = metrics_port and _bind_metrics(settings["METRICS_HOST"], settings["HOST"], metrics_port)
    except (ListenError, ValueError) as error:
        raise SystemExit(f"pitwall: {error}") from None

    size = settings["RINGBUFFER_SIZE"]
    rows = SharedRows(max(size, FEWEST_ROWS))
    hub = Hub(PointRing(size), rows, epoch=secrets.token_hex(4), most_cars=settings["MAX_CARS"])
    decoder = PointDecoder()
    tracks = track_file.tracks
    told = Told(CarNames(), {**EVENTS, **settings["EVENT_TRACKS"]}, tracks, settings["TRACK"], settings["FILE_WINDOW"])

    parent = LoggingService(options.parent, settings["LOG_FORMAT"], os.environ)

    def running() -> bool:
        # From the start on, and not any more when the first service is told to stop.
        return bool(parent.running)

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
        Tracks(tracks),
        RaceBook(Tracks(tracks), settings["LOSS_SECONDS"]),
    )
    track_file.changed = aggregation.change_tracks
    if track_file.path is not None:
        guards.reloads.append(track_file.reload)
    by_udp, by_http = live("udp"), live("http")
    senders = None
    if settings["UDP_ALLOW"] or settings["UDP_RATE"]:
        senders = Senders(settings["UDP_ALLOW"], settings["UDP_RATE"], settings["UDP_BURST"])
    udp_door = TelemetryPortService(
        udp, TelemetryProtocol(by_udp, guards.udp_seal), reactor, settings["FLUSH_MS"] / 1000, senders=senders
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
        hub,
        broadcaster,
        aggregation,
        doors,
        udp_door,
        bool(demos),
        buckets,
        pending,
        lag.figures,
        running,
        settings["UDP_PORT"],
        lambda: seats.refused,
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
    exporter = Exporter(
        Sources(
            hub,
            broadcaster,
            screens,
            aggregation,
            health,
            lag,
            pending,
            kernel_drops=udp_door.kernel_drops,
            connections=lambda: len(site.channels),
            connections_refused=lambda: seats.refused,
            buckets=tuple(buckets),
        )
    )
    gate = Gate(guards.keys, reactor.seconds)
    guards.changed = lambda: screens.turn_out(gate.holds)
    api = RestAPI(
        hub,
        lambda: health.answer(reactor.seconds()),
        ingest.post,
        origins,
        reactor.seconds,
        gate,
        aggregation.book,
        lambda: books.answer(reactor.seconds()),
        settings["WS_PATH"],
        health.ready,
        None if metrics_tcp else exporter.answer,
        hsts_s=settings["HSTS_SECONDS"],
    )
    websocket = WebSocketDoor(WebSocketResource(screens), origins, gate, screens.expect)
    site = BoundedSite(
        Root(api, settings["WS_PATH"], websocket, running),
        reactor,
        settings["MAX_BODY"],
        settings["REQUEST_SECONDS"],
        seats,
        settings["WS_PATH"],
    )
    hsts_s = settings["HSTS_SECONDS"] if guards.secure else 0
    hsts = b"Strict-Transport-Security: max-age=%d\r\n" % hsts_s if hsts_s else b""
    site.quick = QuickPost(ingest.take, gate.may_post, hsts).answer
    sites = [site]

    def goodbye() -> Deferred[None]:
        site.quick = None
        return screens.close_all(GOODBYE_S)

    # It still listens while the clients say goodbye, so that whoever asks is told that the server ends.
    http_door = _http_door(settings, tcp, site, guards, reactor, goodbye)
    doors.append(http_door)
    metrics_doors = []
    if metrics_tcp:
        sites.append(BoundedSite(MetricsRoot(exporter), reactor, settings["MAX_BODY"]))
        metrics_doors.append(AdoptedPortService(metrics_tcp, sites[-1], reactor))

    def every_second() -> None:
        health.sample(reactor.seconds())
        guards.look()
        screens.check_clients()
        for each in sites:
            each.sweep()
        ingest.sweep()
        hub.cars.look(reactor.seconds())

    for service in (
        guards,
        aggregation,
        *metrics_doors,
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


def _bind_metrics(metrics_host: str | None, host: str, port: int) -> Any:
    """The socket of METRICS_PORT."""
    if metrics_host is None:
        return bind_tcp(host, port, "METRICS_PORT")
    return bind_tcp(metrics_host, port, "METRICS_PORT", "METRICS_HOST")


def _http_door(
    settings: dict[str, Any],
    tcp: Any,
    site: BoundedSite,
    guards: Guards,
    reactor: Any,
    goodbye: Callable[[], Deferred[None]],
) -> Any:
    """Where HTTP comes in: the port that is bound, under TLS or not, or the endpoint that is wanted instead."""
    if tcp is None:
        try:
            endpoint = EndpointService(settings["HTTP"], site, reactor, goodbye)
        except ListenError as error:
            raise SystemExit(f"pitwall: {error}") from None
        if endpoint.secure:
            guards.reloads.append(endpoint.reload)
        return endpoint
    if guards.certificate is None:
        return AdoptedPortService(tcp, site, reactor, goodbye)
    return AdoptedPortService(tcp, TLSMemoryBIOFactory(guards.certificate, False, site, reactor), reactor, goodbye)


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
