"""``pitwall.ingest.udp``: datagrams in, read in drains."""

from __future__ import annotations

import errno
import json
import socket
import struct
from collections import deque
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from pitwall.addresses import networks_in
from pitwall.ingest import udp
from pitwall.ingest.udp import DRAIN_BYTES, DRAIN_DATAGRAMS, DrainingPort, TelemetryPortService, TelemetryProtocol
from pitwall.senders import Senders
from pitwall.wire.signed import Seal
from tests.doubles import A_POINT, a_hub, a_live_intake, a_point
from tests.unit.wire.test_signed import KEY, signed

NOW = 1_757_184_100.0


class FakeDatagramSocket:
    """A bound datagram socket with a queue in place of a network."""

    def __init__(self, granted: int = 64 << 20) -> None:
        #: Datagrams, and errors that a read raises in their place.
        self.queue: deque[bytes | OSError] = deque()
        self.granted = granted
        self.refused_options: set[int] = set()
        self.asked: list[int] = []
        self.meminfo: bytes | None = struct.pack("9I", *range(9))
        self.closed = False

    def recv(self, size: int) -> bytes:
        """The next datagram."""
        if not self.queue:
            raise BlockingIOError(errno.EWOULDBLOCK, "empty")
        found = self.queue.popleft()
        if isinstance(found, OSError):
            raise found
        return found[:size]

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        """The next datagram, and who sent it: its first byte."""
        found = self.recv(size)
        return found, (found[:1].decode("latin-1"), 50000)

    def getsockname(self) -> tuple[str, int]:
        """Where it is bound."""
        return ("127.0.0.1", 20777)

    def fileno(self) -> int:
        """No descriptor of this process."""
        return -1

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Note an option that is not refused."""
        if option in self.refused_options:
            raise PermissionError(errno.EPERM, "not allowed")
        self.asked.append(option)

    def getsockopt(self, level: int, option: int, size: int = 0) -> Any:
        """The buffer that was granted, or the memory figures."""
        if not size:
            return self.granted
        if self.meminfo is None:
            raise OSError(errno.ENOPROTOOPT, "an old kernel")
        return self.meminfo

    def close(self) -> None:
        """Close."""
        self.closed = True


class DoorCase(SynchronousTestCase):
    """A UDP door on a socket without a network."""

    def setUp(self) -> None:
        """A door that listens."""
        self.reactor = MemoryReactorClock()
        self.reactor.advance(NOW)
        self.hub = a_hub(self, capacity=10_000)
        self.protocol = TelemetryProtocol(a_live_intake(self.hub, "udp", self.reactor))
        self.bound: Any = FakeDatagramSocket()

    def listen(self, pause_s: float = 0.002) -> TelemetryPortService:
        """Start the door."""
        service = TelemetryPortService(self.bound, self.protocol, self.reactor, pause_s)
        service.privilegedStartService()
        service.startService()
        return service

    def send(self, *datagrams: bytes | OSError) -> None:
        """Datagrams come in; the reactor sees it when it is looking."""
        self.bound.queue.extend(datagrams)
        for reader in list(self.reactor.getReaders()):
            reader.doRead()

    @property
    def watched(self) -> bool:
        """Whether the reactor watches the socket."""
        return bool(self.reactor.getReaders())


class TelemetryProtocolTests(DoorCase):
    """`TelemetryProtocol` makes points of datagrams."""

    def test_forms(self) -> None:
        """An object, an array, lines of objects and a CSV line are points, in the order they came."""
        csv = b"2025-09-06T18:41:40Z,barber,GR86-9,3,10.5,101.5"
        several = b"[%b,%b]" % (a_point(2), a_point(3))
        lines = a_point(4) + b"\n" + a_point(5)
        self.protocol.datagramsReceived([a_point(1), several, lines, csv])
        relayed = list(map(json.loads, self.hub.ring.newest(10)))
        self.assertEqual([point.get("rpm") for point in relayed], [1, 2, 3, 4, 5, None])
        self.assertEqual((relayed[5]["chassis"], relayed[5]["speed_kmh"]), ("GR86-9", 101.5))
        self.assertEqual(self.hub.ledger.accepted, {"udp": 6})

    def test_refusals_are_counted(self) -> None:
        """Noise is counted by its reason, costs no good point, and is not logged."""
        self.protocol.datagramsReceived([b"", A_POINT, b"noise", b"\xff", b'{"track":"barber"}', b"{", A_POINT, b"[]"])
        self.assertEqual(self.hub.last_seq, 2)
        self.assertEqual(self.hub.ledger.points_refused, 6)
        self.assertEqual(self.hub.ledger.refused["udp", "missing_field"], 1)
        self.assertEqual(self.hub.ledger.refused["udp", "empty"], 2)

    def test_halves_make_no_point(self) -> None:
        """Two broken datagrams do not make a good one between them."""
        self.protocol.datagramsReceived([A_POINT[:30], A_POINT[30:]])
        self.assertEqual((self.hub.last_seq, self.hub.ledger.points_refused), (0, 2))

    def test_vendor_fields(self) -> None:
        """Fields of a vendor's own reach the clients, in the first datagram that has them and in the thousandth."""
        datagrams = [A_POINT[:-1] + b',"tire_temp_fl":%d.5}' % n for n in range(1000)]
        self.protocol.datagramsReceived(datagrams)
        temperatures = [json.loads(raw)["tire_temp_fl"] for raw in self.hub.ring.newest(1000)]
        self.assertEqual(temperatures, [n + 0.5 for n in range(1000)])

    def test_stamped_on_arrival(self) -> None:
        """A point without a time gets that of its arrival."""
        self.protocol.datagramsReceived([b'{"track":"barber","chassis":"GR86-1"}'])
        self.assertEqual(json.loads(self.hub.ring.newest(1)[0])["meta_time"], "2025-09-06T18:41:40.000Z")
        self.assertEqual(self.hub.newest_at, NOW)

    def test_one_publish_a_drain(self) -> None:
        """What one drain has brought is published at one go."""
        told: list[int] = []
        self.hub.listeners.append(told.append)
        self.protocol.datagramsReceived([A_POINT] * 50)
        self.protocol.datagramsReceived([b"noise"])
        self.assertEqual(told, [50])

    def test_stock_port(self) -> None:
        """It works on Twisted's own port too, a datagram at a time."""
        self.protocol.datagramReceived(A_POINT, ("127.0.0.1", 50000))
        self.assertEqual(self.hub.last_seq, 1)


class SignedTests(DoorCase):
    """With a shared key only signed datagrams are looked into."""

    def setUp(self) -> None:
        """A door with a key that can be changed."""
        super().setUp()
        self.seal: Seal | None = Seal([KEY])
        self.protocol = TelemetryProtocol(a_live_intake(self.hub, "udp", self.reactor), lambda: self.seal)

    def test_signed(self) -> None:
        """What is signed becomes points, of every form; the trailer is no part of them."""
        lines = a_point(2) + b"\n" + a_point(3)
        self.protocol.datagramsReceived([signed(a_point(1)), signed(lines, between=b"\n"), signed(a_point(4)) + b"\n"])
        self.assertEqual(self.hub.ring.newest(10), [a_point(n) for n in range(1, 5)])

    def test_refused(self) -> None:
        """The rest is counted by its reason, a datagram each, and the books stay exact; the good ones lose nothing."""
        wrong = signed(A_POINT, b"another key" * 3)
        self.protocol.datagramsReceived([A_POINT, signed(a_point(1)), wrong, b"", a_point(2) + b"\n" + a_point(3)])
        ledger = self.hub.ledger
        self.assertEqual(self.hub.ring.newest(10), [a_point(1)])
        self.assertEqual(ledger.refused, {("udp", "unsigned"): 3, ("udp", "bad_signature"): 1})
        self.assertEqual(ledger.received["udp"], ledger.accepted["udp"] + ledger.points_refused)

    def test_changed(self) -> None:
        """Another key holds from the next datagram on; without one all are taken as they are."""
        self.seal = Seal([b"another key" * 3])
        self.protocol.datagramsReceived([signed(A_POINT), signed(A_POINT, b"another key" * 3)])
        self.assertEqual(self.hub.last_seq, 1)
        self.seal = None
        self.protocol.datagramsReceived([A_POINT])
        self.assertEqual(self.hub.last_seq, 2)


class DrainTests(DoorCase):
    """`DrainingPort` takes what there is, rests, and looks again."""

    def test_drained_at_once(self) -> None:
        """All that is in the socket is taken at the first wake-up, without any wait."""
        self.listen()
        self.send(*[A_POINT] * 500)
        self.assertEqual(self.hub.last_seq, 500)

    def test_rests(self) -> None:
        """After a drain the socket is left alone for 2 ms; what comes meanwhile is taken then."""
        self.listen()
        self.send(A_POINT)
        self.assertFalse(self.watched)
        self.send(A_POINT, A_POINT)
        self.reactor.advance(0.0019)
        self.assertEqual(self.hub.last_seq, 1)
        self.reactor.advance(0.0002)
        self.assertEqual(self.hub.last_seq, 3)

    def test_watched_when_quiet(self) -> None:
        """A quiet socket is watched by the reactor, without timers; the next datagram is taken as it comes."""
        self.listen()
        for _ in range(3):
            self.send(A_POINT)
            self.reactor.pump([0.002] * 3)
            self.assertTrue(self.watched)
            self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.hub.last_seq, 3)

    def test_nothing_lost_in_any_rhythm(self) -> None:
        """Whatever the rhythm, every datagram is taken within the rest, in order."""
        self.listen(pause_s=0.008)
        sent = 0
        for n in range(200):
            count = (1, 0, 0, 70, 3, 0, 0, 0, 0, 0, 2000, 0)[n % 12]
            self.send(*[a_point((sent + k) % 10_000) for k in range(count)])
            sent += count
            self.reactor.advance(0.001)
        self.reactor.advance(0.009)
        self.assertEqual(self.hub.last_seq, sent)
        newest = [json.loads(raw)["rpm"] for raw in self.hub.ring.newest(5000)]
        self.assertEqual(newest, [n % 10_000 for n in range(sent - 5000, sent)])

    def test_cap(self) -> None:
        """A flood is taken a thousand at a time, with the reactor's other work between."""
        self.listen()
        turns: list[int] = []
        self.patch(self.protocol, "datagramsReceived", lambda datagrams: turns.append(len(datagrams)))
        self.send(*[A_POINT] * 3000)
        self.assertEqual(len(turns), 1)
        self.reactor.advance(0)
        self.assertEqual(sum(turns), 3000)
        self.assertLessEqual(max(turns), DRAIN_DATAGRAMS)

    def test_cap_in_bytes(self) -> None:
        """Large datagrams are taken some megabytes at a time."""
        self.listen()
        turns: list[int] = []
        self.patch(self.protocol, "datagramsReceived", lambda datagrams: turns.append(sum(map(len, datagrams))))
        self.send(*[b"x" * 60_000] * 500)
        self.reactor.advance(0)
        self.assertEqual(sum(turns), 30_000_000)
        self.assertLess(max(turns), DRAIN_BYTES + 64 * 65_507)

    def test_longer_rest_where_there_is_room(self) -> None:
        """A few datagrams let the socket rest as long as messages are apart; many, or a small kernel buffer, do not."""
        for granted, count, rest in ((64 << 20, 3, 0.008), (64 << 20, 200, 0.002), (212_992, 3, 0.002)):
            self.setUp()
            self.bound = FakeDatagramSocket(granted)
            self.listen(pause_s=0.008)
            self.send(*[A_POINT] * count)
            before = self.hub.last_seq
            self.send(A_POINT)
            self.reactor.advance(rest - 0.0001)
            self.assertEqual(self.hub.last_seq, before, (granted, count))
            self.reactor.advance(0.0002)
            self.assertEqual(self.hub.last_seq, before + 1, (granted, count))

    def test_fault_behind_the_door(self) -> None:
        """A fault in what takes the datagrams is logged, and the door stays open."""
        service = self.listen()
        self.patch(self.hub, "publish", lambda *args: 1 / 0)
        self.send(A_POINT)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(service.open)
        del self.hub.publish
        self.reactor.pump([0.002] * 2)
        self.send(A_POINT)
        self.assertEqual(self.hub.last_seq, 1)

    def test_errors_of_the_socket(self) -> None:
        """An ICMP answer to what this port never sent closes nothing and loses nothing."""
        refused = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
        self.listen()
        self.send(refused)
        self.assertTrue(self.watched)
        self.send(A_POINT, refused, A_POINT)
        self.reactor.pump([0.002] * 3)
        self.send(refused, A_POINT)
        self.reactor.pump([0.002] * 3)
        self.send(A_POINT)
        self.reactor.pump([0.002] * 3)
        self.assertEqual(self.hub.last_seq, 4)
        self.assertTrue(self.watched)


class SenderTests(DoorCase):
    """Where senders are looked at, what some of them send is refused unread, and counted."""

    def open(self, some: Senders) -> DrainingPort:
        """A door that looks at senders; the fake socket tells them by their first byte."""
        port = DrainingPort(self.bound, self.protocol, self.reactor, some)
        port.startListening()
        return port

    def test_rate(self) -> None:
        """A source that sends too often is refused; others are not, and what is received is all accounted for."""
        self.open(Senders(per_s=100, burst=50))
        self.send(*[A_POINT] * 60, *[b" " + A_POINT] * 10)
        ledger = self.hub.ledger
        self.assertEqual((self.hub.last_seq, ledger.refused), (60, {("udp", "too_often"): 10}))
        self.assertEqual(ledger.received["udp"], 70)

    def test_flood(self) -> None:
        """A flood from those who may not send is read a thousand at a time, and the socket is looked at again."""
        port = self.open(Senders(networks_in("192.0.2.0/24")))
        self.send(*[A_POINT] * 3000)
        self.assertEqual(self.hub.ledger.refused, {("udp", "not_allowed"): DRAIN_DATAGRAMS})
        self.reactor.advance(0)
        self.assertEqual(self.hub.ledger.refused, {("udp", "not_allowed"): 3000})
        self.reactor.pump([0.002] * 3)
        self.assertTrue(self.watched)
        port.stopListening()

    def test_in_bytes(self) -> None:
        """Large datagrams count by their size."""
        self.open(Senders(networks_in("192.0.2.0/24")))
        self.send(*[b"x" * 60_000] * 100)
        self.assertLess(self.hub.ledger.points_refused * 60_000, DRAIN_BYTES + 60_001)


class TelemetryPortServiceTests(DoorCase):
    """`TelemetryPortService` opens and closes the door."""

    def test_open(self) -> None:
        """The door is open from start to stop, and tells what the kernel had no room for."""
        service = TelemetryPortService(self.bound, self.protocol, self.reactor)
        self.assertEqual((service.open, service.kernel_drops()), (False, 0))
        service.privilegedStartService()
        self.assertEqual((service.open, service.kernel_drops()), (True, 8))
        done = service.stopService()
        self.reactor.advance(0)
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual((service.open, service.kernel_drops()), (False, 0))
        self.assertTrue(self.bound.closed)

    def test_last_datagrams(self) -> None:
        """At the end all that is still in the socket is taken, though it rests, and however much it is."""
        service = self.listen()
        self.send(A_POINT)
        self.assertFalse(self.watched)
        self.send(*[A_POINT] * 5000)
        done = service.stopService()
        self.assertEqual(self.hub.last_seq, 5001)
        self.reactor.advance(0)
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual((self.watched, self.reactor.getDelayedCalls()), (False, []))

    def test_ends_under_fire(self) -> None:
        """A sender that goes on does not hold the end back."""

        class Endless(FakeDatagramSocket):
            def recv(self, size: int) -> bytes:
                return b"noise"

        self.bound = Endless()
        service = self.listen()
        done = service.stopService()
        self.reactor.advance(0)
        self.assertIsNone(self.successResultOf(done))
        self.assertTrue(self.bound.closed)

    def test_never_started(self) -> None:
        """A door that was never opened can be closed."""
        service = TelemetryPortService(self.bound, self.protocol, self.reactor)
        service.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class SocketTests(SynchronousTestCase):
    """What is asked of the kernel."""

    def test_buffer(self) -> None:
        """A large buffer is asked for by force, then politely, then done without; what was granted is told."""
        bound: Any = FakeDatagramSocket(granted=425_984)
        self.assertEqual(udp.grow_buffer(bound), 425_984)
        self.assertEqual(bound.asked, [33])
        bound.refused_options = {33}
        udp.grow_buffer(bound)
        self.assertEqual(bound.asked[1:], [socket.SO_RCVBUF])
        bound.refused_options = {33, socket.SO_RCVBUF}
        self.assertEqual(udp.grow_buffer(bound), 425_984)

    def test_drops(self) -> None:
        """The drops are the ninth word of the memory figures; a kernel without them has 0."""
        bound: Any = FakeDatagramSocket()
        self.assertEqual(udp.kernel_drops(bound), 8)
        bound.meminfo = bound.meminfo[:32]
        self.assertEqual(udp.kernel_drops(bound), 0)
        bound.meminfo = None
        self.assertEqual(udp.kernel_drops(bound), 0)
