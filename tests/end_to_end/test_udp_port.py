"""The UDP door on a real socket and the real reactor."""

from __future__ import annotations

import json
import socket
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from pitwall.hub import Hub
from pitwall.ingest.udp import TelemetryPortService, TelemetryProtocol, grow_buffer, kernel_drops
from pitwall.listen import bind_udp
from pitwall.ring import PointRing
from pitwall.rows import SharedRows
from tests.doubles import A_POINT, a_live_intake, a_point

reactor: Any = global_reactor


class UDPPortTests(TestCase):
    """`TelemetryPortService` on loopback."""

    timeout = 20

    def setUp(self) -> None:
        """A door on a free port, and a sender."""
        rows = SharedRows(4096)
        self.addCleanup(rows.close)
        self.hub = Hub(PointRing(50_000), rows, "abcd")
        self.bound = bind_udp("127.0.0.1", 0)
        protocol = TelemetryProtocol(a_live_intake(self.hub, "udp", reactor))
        self.service = TelemetryPortService(self.bound, protocol, reactor, pause_s=0.008)
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.sender.close)
        self.sender.connect(self.bound.getsockname())
        self.service.privilegedStartService()
        self.service.startService()
        self.addCleanup(self.service.stopService)

    async def until(self, count: int) -> None:
        """Wait until so many points have come."""
        for _ in range(500):
            if self.hub.last_seq + self.hub.ledger.points_refused >= count:
                return
            await self.turn(0.01)
        raise AssertionError(f"{self.hub.last_seq} points came, wanted {count}")

    def turn(self, seconds: float) -> Deferred[None]:
        """Let the reactor turn."""
        return deferLater(reactor, seconds, lambda: None)

    async def test_every_datagram(self) -> None:
        """Thousands of datagrams in bursts are all taken, in order, and none dropped by the kernel."""
        for n in range(10_000):
            self.sender.send(a_point(n))
            if n % 100 == 99:
                await self.turn(0)
        await self.until(10_000)
        self.assertEqual(self.service.kernel_drops(), 0)
        self.assertEqual([json.loads(raw)["rpm"] for raw in self.hub.ring.newest(10_000)], list(range(10_000)))

    async def test_after_a_pause(self) -> None:
        """A datagram after silence is taken, time and again."""
        for n in range(1, 6):
            self.sender.send(A_POINT)
            await self.until(n)
            await self.turn(0.03)
        self.assertEqual(self.hub.last_seq, 5)

    async def test_largest_datagram(self) -> None:
        """The largest datagram that IPv4 carries comes whole."""
        rows = b",".join([a_point(n) for n in range(500)])
        self.sender.send(b"[%b]" % rows.ljust(65_505))
        await self.until(500)
        self.assertEqual(self.hub.last_seq, 500)

    async def test_last_datagrams(self) -> None:
        """What is in the socket when the door closes is taken before it closes."""
        for n in range(3000):
            self.sender.send(a_point(n))
        await self.service.stopService()
        self.assertEqual(self.hub.last_seq, 3000)
        self.assertEqual(self.bound.fileno(), -1)

    def test_drops_are_seen(self) -> None:
        """What the kernel has no room for is counted, by the kernel's own figure."""
        crowded = bind_udp("127.0.0.1", 0)
        self.addCleanup(crowded.close)
        crowded.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(200):
            self.sender.sendto(A_POINT, crowded.getsockname())
        taken = 0
        while True:
            try:
                crowded.recv(65_507)
            except BlockingIOError:
                break
            taken += 1
        self.assertLess(taken, 200)
        self.assertEqual(kernel_drops(crowded), 200 - taken)

    def test_buffer_is_granted(self) -> None:
        """The kernel grants a buffer that is no smaller than its usual one."""
        usual = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(usual.close)
        before = usual.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self.assertGreaterEqual(grow_buffer(usual), before)
