"""Stand-ins for what tests must not touch: sockets, the reactor, clients on the other side."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import txaio
from autobahn.twisted.resource import WebSocketResource
from twisted.internet import tcp
from twisted.internet.address import IPv4Address
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.task import Cooperator
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pitwall.hub import Hub
from pitwall.ingest.http import IngestDoor
from pitwall.intake import LiveIntake
from pitwall.model.cars import CarNames
from pitwall.model.events import EVENTS
from pitwall.model.track import packaged_tracks
from pitwall.ring import PointRing
from pitwall.rows import SharedRows
from pitwall.serve.auth import Gate
from pitwall.serve.books import Books
from pitwall.serve.health import Health
from pitwall.serve.lag import ReactorLag
from pitwall.serve.live.broadcast import Broadcaster, Pace
from pitwall.serve.live.screens import TelemetryFactory
from pitwall.serve.metrics import Exporter
from pitwall.serve.origins import OriginPolicy
from pitwall.serve.quickpost import QuickPost
from pitwall.serve.reading import Sources
from pitwall.serve.rest import RestAPI, Root, WebSocketDoor
from pitwall.serve.seats import Seats
from pitwall.serve.site import BoundedSite
from pitwall.serve.tables import RaceTables
from pitwall.wire.live import LiveDecoder
from pitwall.wire.points import Decoded, PointDecoder
from pitwall.wire.tables import Told

#: A point as JSON, of one car at one moment.
A_POINT = b'{"meta_time":"2025-09-06T18:41:40.000Z","track":"barber","chassis":"GR86-004-78","speed_kmh":101.5}'


def a_hub(test: SynchronousTestCase, capacity: int = 1000) -> Hub:
    """A hub that has heard nothing yet, closed when the test is over."""
    rows = SharedRows(4096)
    test.addCleanup(rows.close)
    return Hub(PointRing(capacity), rows, epoch="abcd")


def a_point(number: int = 0, padding: int = 0) -> bytes:
    """A point that tells itself apart by its rpm; ``padding`` makes it longer [bytes]."""
    return b'%b,"rpm":%d,"raw_source":"%b"}' % (A_POINT[:-1], number, b"x" * padding)


def publish(hub: Hub, count: int = 1, padding: int = 0, door: str = "test") -> list[bytes]:
    """Publish points whose rpm is their number in the hub; returns their JSON."""
    raws = [a_point(hub.last_seq + 1 + n, padding) for n in range(count)]
    point, _ = PointDecoder().one(a_point(), 0.0)
    hub.publish(door, [point] * count, raws, received_at=0.0)
    return raws


class KernelSocket:
    """A socket whose send buffer takes ``room`` bytes until the other side reads; it never blocks."""

    def __init__(self, room: int = 1 << 40) -> None:
        self.room = room
        #: What the other side has got, or would get by reading.
        self.taken = bytearray()
        #: Raised by the next send.
        self.error: OSError | None = None
        self.options: dict[tuple[int, int], Any] = {}
        self.write_closed = False
        self.closed = False

    def send(self, data: bytes) -> int:
        """Take what there is room for."""
        if self.error is not None:
            raise self.error
        if not self.room:
            raise BlockingIOError(errno.EWOULDBLOCK, "no room")
        accepted = data[: self.room]
        self.taken += accepted
        self.room -= len(accepted)
        return len(accepted)

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """Remember an option."""
        self.options[level, option] = value

    def setblocking(self, flag: bool) -> None:
        """Nothing blocks."""

    def fileno(self) -> int:
        """No descriptor of this process."""
        return -1

    def shutdown(self, how: int) -> None:
        """The end of what is sent."""
        self.write_closed = True

    def close(self) -> None:
        """Close."""
        self.closed = True


class FakeConnection(tcp.Connection):
    """
    Twisted's own TCP connection on a ``KernelSocket``: its buffers, its producers and its endings are the real ones.

    Args:
        protocol: what answers at this end.
        reactor: in memory.
        room: what the kernel takes before the other side reads [bytes].
    """

    socket: Any

    def __init__(self, protocol: Any, reactor: MemoryReactorClock, room: int = 1 << 40) -> None:
        self.kernel = KernelSocket(room)
        super().__init__(self.kernel, protocol, reactor)  # type: ignore[arg-type]
        self.connected = 1
        self.startReading()
        protocol.makeConnection(self)

    def getPeer(self) -> IPv4Address:
        """The client."""
        return IPv4Address("TCP", "127.0.0.1", 50000)

    def getHost(self) -> IPv4Address:
        """The server."""
        return IPv4Address("TCP", "127.0.0.1", 8081)

    @property
    def waiting(self) -> bytes:
        """What the kernel has not taken."""
        return bytes(self.dataBuffer)[self.offset :] + b"".join(self._tempDataBuffer)

    @property
    def reading(self) -> bool:
        """Whether the reactor would read from it."""
        return self in self.reactor.getReaders()

    def deliver(self, data: bytes) -> None:
        """The other side has sent something."""
        assert self.reading, "nobody reads"
        self.protocol.dataReceived(data)

    def flush(self, read: int = 1 << 40) -> bytes:
        """The other side reads so many bytes: the kernel takes more; returns all it ever took."""
        self.kernel.room += read
        while self in self.reactor.getWriters():
            taken = len(self.kernel.taken)
            reason = self.doWrite()
            if reason is not None:
                self.stopWriting()
                self.connectionLost(Failure(reason))
            elif len(self.kernel.taken) == taken and not self.kernel.room:
                break
        return bytes(self.kernel.taken)

    def hang_up(self, clean: bool = True) -> None:
        """The other side is gone."""
        self.connectionLost(Failure(CONNECTION_DONE if clean else CONNECTION_LOST))


class Answer(NamedTuple):
    """An HTTP answer: status, headers by lower-case name, body."""

    status: int
    headers: dict[str, str]
    body: bytes


def answers_in(data: bytes, heads: tuple[int, ...] = ()) -> list[Answer]:
    """The HTTP answers in what a server sent; ``heads`` are the places of those to HEAD requests."""
    found: list[Answer] = []
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        assert separator, head
        status_line, *lines = head.decode("latin-1").split("\r\n")
        assert status_line.startswith("HTTP/1."), status_line
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        status = int(status_line.split(" ")[1])
        size = int(headers.get("content-length", 0))
        if len(found) in heads or status < 200:
            size = 0
        assert "transfer-encoding" not in headers and len(data) >= size
        found.append(Answer(status, headers, data[:size]))
        data = data[size:]
    return found


class Frame(NamedTuple):
    """A WebSocket frame as a client sees it."""

    first_byte: int
    payload: bytes

    @property
    def opcode(self) -> int:
        """1 text, 8 close, 9 ping, 10 pong."""
        return self.first_byte & 15


def frames_in(data: bytes) -> list[Frame]:
    """The whole unmasked frames in what a server sent after its handshake."""
    found = []
    while len(data) > 1:
        first_byte, size = data[0], data[1]
        assert size < 128, "a server does not mask"
        start = 2
        if size > 125:
            start += 2 if size == 126 else 8
            size = int.from_bytes(data[2:start], "big")
        if len(data) < start + size:
            break
        found.append(Frame(first_byte, data[start : start + size]))
        data = data[start + size :]
    return found


def client_frame(payload: bytes, opcode: int = 1, fin: bool = True) -> bytes:
    """A frame as a client sends it; the mask is zero, so that the payload stays readable."""
    first = (0x80 if fin else 0) | opcode
    if len(payload) <= 125:
        return bytes((first, 0x80 | len(payload))) + bytes(4) + payload
    if len(payload) <= 0xFFFF:
        return bytes((first, 0xFE)) + len(payload).to_bytes(2, "big") + bytes(4) + payload
    return bytes((first, 0xFF)) + len(payload).to_bytes(8, "big") + bytes(4) + payload


def option_of(connection: FakeConnection, option: int) -> Any:
    """A socket-level option that was set on a connection."""
    return connection.kernel.options.get((socket.SOL_SOCKET, option))


def told_of(track: str | None = None) -> Told:
    """What a server with the packaged tracks knows of rows."""
    return Told(CarNames(), EVENTS, packaged_tracks(), track)


def a_live_intake(
    hub: Hub, door: str, clock: Any, decoder: PointDecoder | None = None, told: Told | None = None
) -> LiveIntake:
    """The way of a live door into a hub."""
    live = LiveDecoder(decoder or PointDecoder(), told or told_of())
    return LiveIntake(hub, door, live, clock.seconds, clock.callLater)


def decode_datagrams(decoder: PointDecoder, datagrams: Sequence[bytes], received_at: float) -> Decoded:
    """The points of datagrams, as the UDP door has them."""
    return LiveDecoder(decoder, told_of()).datagrams(datagrams, received_at)


class WebServer:
    """
    The whole HTTP side on connections in memory: the REST answers, the WebSocket, and a clock to move.

    Args:
        test: whose clean-up closes what must be closed.
        capacity: of the ring [points].
        max_body: of a request [bytes].
        max_buffer: of a WebSocket client [bytes].
        stall_s: how long a client may take nothing [s].
        deflate: whether compression is agreed to.
        origins: ``ALLOWED_ORIGINS``.
        most_clients: how many connections there may be.
        most_each: how many of them from one address.
        max_inflated: of lines that come packed [bytes].
        race: the tables of the race.
        keys: the file with the keys; None where none are needed.
    """

    def __init__(
        self,
        test: SynchronousTestCase,
        capacity: int = 100_000,
        max_body: int = 8 << 20,
        max_buffer: int = 2_000_000,
        stall_s: float = 30.0,
        deflate: bool = False,
        origins: Sequence[str] = (),
        most_clients: int = 1000,
        most_each: int = 1000,
        max_inflated: int = 64 << 20,
        race: RaceTables | None = None,
        keys: Any = None,
    ) -> None:
        self.reactor = MemoryReactorClock()
        self.reactor.advance(1_757_184_100.0)
        self.hub = a_hub(test, capacity)
        self.broadcaster = Broadcaster(self.hub, self.reactor, Pace(0.008, 0.12), lambda: 0.0)
        # Autobahn's own timers would run by the global reactor.
        test.patch(txaio.config, "loop", self.reactor)  # type: ignore[attr-defined]
        self.seats = Seats(most_clients, most_each)
        self.factory = TelemetryFactory(self.broadcaster, self.reactor, max_buffer, stall_s, deflate, self.seats)
        self.well = self.running = True
        # One step a millisecond, by the clock of the test.
        cooperator = Cooperator(lambda: lambda: True, lambda step: self.reactor.callLater(0.001, step))
        decoder, told = PointDecoder(), told_of()
        self.intake = a_live_intake(self.hub, "http", self.reactor, decoder, told)
        self.ingest = IngestDoor(self.hub, decoder, self.intake, told, self.reactor, cooperator, max_body, max_inflated)
        policy = OriginPolicy(origins)
        #: By door, the rows that are in no point yet.
        self.held = lambda: {"http": self.ingest.held()}
        self.books = Books(self.hub, self.broadcaster, lambda: self.held(), bodies=lambda: self.ingest.bodies)
        #: The workers, as health and the metrics see them.
        insights = SimpleNamespace(count=0)
        self.aggregation = SimpleNamespace(warm=True, workers=list, book=SimpleNamespace(insights=insights))
        door = SimpleNamespace(open=True)
        self.health = Health(
            self.hub, self.broadcaster, self.aggregation, [door], door, False, running=lambda: self.running
        )
        self.sources = Sources(
            self.hub,
            self.broadcaster,
            self.factory,
            self.aggregation,
            self.health,
            ReactorLag(self.reactor),
            lambda: {"http": self.ingest.pending},
            connections=lambda: len(self.site.channels),
            connections_refused=lambda: self.seats.refused,
        )
        self.gate = Gate(keys, self.reactor.seconds)
        self.api = RestAPI(
            self.hub,
            lambda: (self.well, {"ok": self.well}),
            self.ingest.post,
            policy,
            self.reactor.seconds,
            self.gate,
            race,
            lambda: self.books.answer(self.reactor.seconds()),
            ready=self.health.ready,
            metrics=Exporter(self.sources).answer,
        )
        websocket = WebSocketDoor(WebSocketResource(self.factory), policy, self.gate, self.factory.expect)
        self.root = Root(self.api, "/ws/realtime", websocket, lambda: self.running)
        self.site = BoundedSite(self.root, self.reactor, max_body, seats=self.seats)
        self.site.quick = QuickPost(self.ingest.take, self.gate.may_post).answer
        self._chores_at = self.reactor.seconds()
        #: Whose pings are answered as they read them.
        self.screens: list[Screen] = []

    def connect(self, room: int = 1 << 40, host: str = "127.0.0.1") -> FakeConnection:
        """A new connection from a host, of which the kernel takes ``room`` bytes before the client reads."""
        channel = self.site.buildProtocol(IPv4Address("TCP", host, 50000))
        return FakeConnection(channel, self.reactor, room)

    def ask(self, *requests: bytes) -> list[Answer]:
        """The answers to requests that come in these pieces over one connection."""
        connection = self.connect()
        for piece in requests:
            if connection.reading:
                connection.deliver(piece)
        return answers_in(connection.flush())

    def run_for(self, seconds: float, step: float = 0.01) -> None:
        """Let time pass, the chores of every second included."""
        end = self.reactor.seconds() + seconds
        while self.reactor.seconds() < end - step / 2:
            self.reactor.advance(step)
            for screen in self.screens:
                screen.answer_pings()
            if self.reactor.seconds() >= self._chores_at:
                self._chores_at += 1.0
                self.factory.check_clients()
                self.site.sweep()


class Screen:
    """
    A WebSocket client of a ``WebServer``, past its handshake.

    Args:
        server: whose.
        room: what the kernel takes before the client reads [bytes].
        headers: further lines of the handshake.
        query: of the address, with its question mark.
        pongs: whether it answers pings, at each step of the server's time, when it has read them.
    """

    def __init__(
        self, server: WebServer, room: int = 1 << 40, headers: bytes = b"", query: bytes = b"", pongs: bool = True
    ) -> None:
        self.connection = server.connect()
        self.connection.deliver(handshake(headers, b"/ws/realtime" + query))
        self.answer, self._looked = self._handshake_answer()
        self._seen: list[Frame] = []
        self.protocol: Any = self.connection.protocol
        self.connection.kernel.room = room
        self._pings = 0
        if pongs:
            server.screens.append(self)

    def read(self, size: int = 1 << 40) -> None:
        """Read so many bytes, and answer the pings in them."""
        self.connection.flush(size)
        self.answer_pings()

    def answer_pings(self) -> None:
        """Answer the pings it has read, and those that this brings."""
        self.connection.flush(0)
        while self.connection.connected and self.connection.reading:
            pings = self.pings()
            new, self._pings = pings[self._pings :], len(pings)
            if not new:
                return
            for payload in new:
                self.send(payload, opcode=10)

    def _handshake_answer(self) -> tuple[Answer, int]:
        sent = self.connection.flush()
        end = sent.index(b"\r\n\r\n") + 4
        (answer,) = answers_in(sent[:end])
        return answer, end

    def frames(self) -> list[Frame]:
        """What it has got so far, frame by frame, but pings; half a frame at the end is not yet one."""
        return [frame for frame in self.all_frames() if frame.opcode != 9]

    def pings(self) -> list[bytes]:
        """The payloads of the pings it has got."""
        return [frame.payload for frame in self.all_frames() if frame.opcode == 9]

    def all_frames(self) -> list[Frame]:
        """Every frame it has got, pings too; what was looked at before is not looked at again."""
        found = frames_in(bytes(self.connection.kernel.taken[self._looked :]))
        for frame in found:
            size = len(frame.payload)
            self._looked += size + (2 if size < 126 else 4 if size < 65_536 else 10)
        self._seen += found
        return self._seen

    def messages(self) -> list[dict[str, Any]]:
        """The text messages it has got so far."""
        return [json.loads(frame.payload) for frame in self.frames() if frame.opcode == 1]

    def updates(self) -> list[dict[str, Any]]:
        """The telemetry among them."""
        return [message for message in self.messages() if message["type"] == "telemetry_update"]

    def points(self) -> list[int]:
        """The numbers of the points it has got, by what the points themselves say."""
        return [point["rpm"] for message in self.updates() for point in message["data"]]

    @property
    def close_code(self) -> int | None:
        """The code of the close frame it has got; None before there is one."""
        frames = self.frames()
        if not frames or frames[-1].opcode != 8:
            return None
        return int.from_bytes(frames[-1].payload[:2], "big")

    def send(self, payload: bytes, opcode: int = 1) -> None:
        """Send a message, or a control frame."""
        self.connection.deliver(client_frame(payload, opcode))


def handshake(headers: bytes = b"", path: bytes = b"/ws/realtime") -> bytes:
    """A browser's request for the WebSocket; ``headers`` are further lines of it."""
    return (
        b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%b\r\n" % (path, headers)
    )
