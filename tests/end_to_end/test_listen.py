"""Ports, on real sockets of the loopback interface."""

from __future__ import annotations

import errno
import resource
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from pitwall.listen import AdoptedPortService, ListenError, bind_tcp, bind_udp, raise_descriptor_limit

HERE = "127.0.0.1"


class BindTests(TestCase):
    """`bind_tcp` and `bind_udp` have a port, or say in one sentence which setting is to blame."""

    def socket(self, kind: socket.SocketKind) -> socket.socket:
        """A socket that is closed when the test is over."""
        made = socket.socket(socket.AF_INET, kind)
        self.addCleanup(made.close)
        return made

    def said(self, bind: Any, host: str, port: int) -> str:
        """What is said of a port that can't be had."""
        return str(self.assertRaises(ListenError, bind, host, port))

    def test_had(self) -> None:
        """A free port is had at once, on the host that was asked for, and never blocks."""
        for bind in (bind_tcp, bind_udp):
            for host, wanted in ((HERE, HERE), ("localhost", HERE), ("", "0.0.0.0")):
                with bind(host, 0) as bound:
                    self.assertEqual(bound.getsockname()[0], wanted)
                    self.assertFalse(bound.getblocking())

    def test_busy_tcp(self) -> None:
        """A TCP port that another server listens on is named with PORT."""
        other = self.socket(socket.SOCK_STREAM)
        other.bind((HERE, 0))
        other.listen()
        port = other.getsockname()[1]
        for host in (HERE, ""):
            self.assertEqual(
                self.said(bind_tcp, host, port),
                f"PORT is {port}, and TCP port {port} can't be had: Address already in use",
            )

    def test_other_setting(self) -> None:
        """A TCP port that another setting asks for is named with that one."""
        with bind_tcp(HERE, 0) as bound:
            port = bound.getsockname()[1]
            said = str(self.assertRaises(ListenError, bind_tcp, HERE, port, "METRICS_PORT"))
        self.assertEqual(said, f"METRICS_PORT is {port}, and TCP port {port} can't be had: Address already in use")

    def test_started_at_once(self) -> None:
        """Of two servers that start in the same moment one has the port, the other says so."""
        one = self.socket(socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((HERE, 0))
        port = one.getsockname()[1]
        listen = socket.socket.listen

        def overtaken(other: socket.socket, backlog: int) -> None:
            listen(one)
            listen(other, backlog)

        self.patch(socket.socket, "listen", overtaken)
        self.assertIn(f"PORT is {port}", self.said(bind_tcp, HERE, port))

    def test_restarted(self) -> None:
        """A server that was just stopped can be started again: connections it had do not hold the port."""
        with bind_tcp(HERE, 0) as first:
            address = first.getsockname()
            client = self.socket(socket.SOCK_STREAM)
            client.connect(address)
            first.setblocking(True)
            first.accept()[0].close()
        bind_tcp(*address).close()

    def test_busy_udp(self) -> None:
        """A UDP port that another program has is named with UDP_PORT."""
        other = self.socket(socket.SOCK_DGRAM)
        other.bind((HERE, 0))
        port = other.getsockname()[1]
        for host in (HERE, ""):
            self.assertEqual(
                self.said(bind_udp, host, port),
                f"UDP_PORT is {port}, and UDP port {port} can't be had: Address already in use",
            )

    def test_nothing_is_left(self) -> None:
        """A port that can't be had leaves no socket behind."""
        other = self.socket(socket.SOCK_DGRAM)
        other.bind((HERE, 0))
        made: list[socket.socket] = []
        real = socket.socket

        def counted(*arguments: Any) -> socket.socket:
            made.append(real(*arguments))
            return made[-1]

        self.patch(socket, "socket", counted)
        self.said(bind_udp, HERE, other.getsockname()[1])
        self.assertEqual([one.fileno() for one in made], [-1])

    def test_no_host_of_ours(self) -> None:
        """A host that is none of this machine's, or no host at all, is named with HOST."""
        for host in ("192.0.2.1", "::ffff:192.0.2.1", "x" * 70, "a..b"):
            for bind in (bind_tcp, bind_udp):
                said = self.said(bind, host, 0)
                self.assertTrue(said.startswith(f"HOST is {host}, wanted an address of this machine: "), said)

    def test_unknown_host(self) -> None:
        """A name that nobody knows is named with HOST."""

        def unknown(*_: Any, **__: Any) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        self.patch(socket, "getaddrinfo", unknown)
        self.assertEqual(
            self.said(bind_tcp, "pit.example", 0),
            "HOST is pit.example, wanted an address of this machine: Name or service not known",
        )

    def test_no_such_family(self) -> None:
        """On a machine without IPv6 an IPv6 host is named with HOST."""

        def lacking(*_: Any) -> None:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

        self.patch(socket, "socket", lacking)
        self.assertIn("HOST is ::1, wanted", self.said(bind_tcp, "::1", 0))


class DescriptorTests(TestCase):
    """`raise_descriptor_limit` makes room for thousands of clients."""

    def test_raised(self) -> None:
        """As many files may be open as the system allows, a million at most; raised already, it stays."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        most = 1 << 20 if hard == resource.RLIM_INFINITY else min(hard, 1 << 20)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most // 2, hard))
        for _ in range(2):
            self.assertEqual(raise_descriptor_limit(), most)
            self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), (most, hard))


class Greeting(Protocol):
    """Says hello."""

    def connectionMade(self) -> None:
        """Say it and go."""
        self.transport.write(b"hello")  # type: ignore[union-attr]
        self.transport.loseConnection()  # type: ignore[union-attr]


class Listener(Protocol):
    """Hears what is said until the other side goes."""

    def __init__(self) -> None:
        self.heard = b""
        self.gone: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Hear it."""
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        """The other side is gone."""
        self.gone.callback(self.heard)


class AdoptedPortTests(TestCase):
    """`AdoptedPortService` serves on a socket that was bound before."""

    async def ask(self, port: int) -> bytes:
        """What the server on that port says."""
        listener = Listener()
        await connectProtocol(TCP4ClientEndpoint(reactor, HERE, port), listener)
        return await listener.gone

    async def test_start_to_stop(self) -> None:
        """It answers from its start to its stop; who came before its start was kept waiting, not sent away."""
        bound = bind_tcp(HERE, 0)
        port = bound.getsockname()[1]
        service = AdoptedPortService(bound, Factory.forProtocol(Greeting), reactor)
        waiting = Deferred.fromCoroutine(self.ask(port))
        self.assertFalse(service.open)
        service.privilegedStartService()
        service.startService()
        self.assertTrue(service.open)
        self.assertEqual(await waiting, b"hello")
        self.assertEqual(await self.ask(port), b"hello")
        await service.stopService()
        self.assertFalse(service.open)
        with self.assertRaises(Refused):
            await self.ask(port)
        self.assertEqual(bound.fileno(), -1)

    async def test_goodbye(self) -> None:
        """What is to be done at its end is done before it stops to listen, and it stops also when that fails."""
        for outcome in (None, Failure(ValueError("a fault"))):
            bound = bind_tcp(HERE, 0)
            port = bound.getsockname()[1]
            done: Deferred[None] = Deferred()
            service = AdoptedPortService(bound, Factory.forProtocol(Greeting), reactor, [done].pop)
            service.privilegedStartService()
            service.startService()
            ended = service.stopService()
            self.assertTrue(service.open)
            self.assertEqual(await self.ask(port), b"hello")
            done.callback(outcome)
            await ended
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 0 if outcome is None else 1)
            self.assertFalse(service.open)
            with self.assertRaises(Refused):
                await self.ask(port)
