"""``pitwall.serve.live.direct``: frames written straight to the socket."""

from __future__ import annotations

import errno
import socket

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.live import direct
from tests.doubles import FakeConnection, KernelSocket, option_of


class SendTests(SynchronousTestCase):
    """`send` loses nothing and keeps the order, whatever the kernel takes."""

    def setUp(self) -> None:
        """A connection whose kernel has room."""
        self.reactor = MemoryReactorClock()
        self.connection = FakeConnection(Protocol(), self.reactor)

    def test_at_once(self) -> None:
        """What the kernel takes is sent without waiting for the reactor."""
        direct.send(self.connection, b"one")
        direct.send(self.connection, b"two")
        self.assertEqual(self.connection.kernel.taken, b"onetwo")
        self.assertEqual(direct.buffered(self.connection), 0)
        self.assertEqual(self.reactor.getWriters(), [])

    def test_behind_what_waits(self) -> None:
        """What the transport holds goes first."""
        self.connection.write(b"one ")
        direct.send(self.connection, b"two ")
        self.assertEqual(self.connection.kernel.taken, b"")
        self.assertEqual(self.connection.flush(), b"one two ")

    def test_behind_a_half_written_buffer(self) -> None:
        """Neither does a message overtake one of which the kernel has taken a part."""
        self.connection.kernel.room = 0
        self.connection.write(b"0123456789")
        self.connection.flush(read=4)
        self.assertEqual(direct.buffered(self.connection), 6)
        self.connection.kernel.room = 100
        direct.send(self.connection, b"abc")
        self.assertEqual(self.connection.flush(), b"0123456789abc")

    def test_short_send(self) -> None:
        """The rest of a message of which the kernel takes a part follows, before any other."""
        self.connection.kernel.room = 4
        direct.send(self.connection, b"0123456789")
        self.assertEqual(self.connection.kernel.taken, b"0123")
        self.assertEqual(direct.buffered(self.connection), 6)
        direct.send(self.connection, b"abc")
        self.assertEqual(direct.buffered(self.connection), 9)
        self.assertEqual(self.connection.flush(), b"0123456789abc")
        self.assertEqual(direct.buffered(self.connection), 0)

    def test_no_room(self) -> None:
        """A full kernel leaves the message to the transport."""
        self.connection.kernel.room = 0
        direct.send(self.connection, b"later")
        self.assertEqual(direct.buffered(self.connection), 5)
        self.assertEqual(self.connection.flush(), b"later")

    def test_broken_connection(self) -> None:
        """A connection that the other side has reset ends by the reactor's hand, not by an exception in the stream."""
        self.connection.kernel.error = ConnectionResetError(errno.ECONNRESET, "reset")
        direct.send(self.connection, b"lost")
        self.assertTrue(self.connection.connected)
        self.connection.flush()
        self.assertTrue(self.connection.disconnected)
        direct.send(self.connection, b"after the end")
        self.assertEqual(self.connection.kernel.taken, b"")

    def test_closing_connection(self) -> None:
        """Once the transport is closing it decides what is still sent."""
        self.connection.loseConnection()
        direct.send(self.connection, b"x")
        self.assertEqual(self.connection.kernel.taken, b"")

    def test_real_sockets(self) -> None:
        """A real socket pair carries a megabyte in order, through short sends and a full buffer."""
        near, far = socket.socketpair()
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        far.setblocking(False)
        near.setblocking(False)
        connection = FakeConnection(Protocol(), self.reactor)
        connection.socket = near
        messages = [bytes([n]) * 50_000 for n in range(20)]
        for message in messages:
            direct.send(connection, message)
        self.assertGreater(direct.buffered(connection), 0, "the kernel took all: the pair is too roomy for this test")
        got = bytearray()
        while len(got) < 1_000_000:
            got += far.recv(1 << 20)
            connection.doWrite()
        self.assertEqual(got, b"".join(messages))


class TransportTests(SynchronousTestCase):
    """What is asked of a transport beside sending."""

    def test_plain_tcp_alone(self) -> None:
        """Frames go straight to plain TCP sockets alone, not past TLS."""
        connection = FakeConnection(Protocol(), MemoryReactorClock())
        self.assertTrue(direct.is_plain_tcp(connection))
        connection.TLS = True
        self.assertFalse(direct.is_plain_tcp(connection))
        self.assertFalse(direct.is_plain_tcp(StringTransport()))

    def test_send_buffer(self) -> None:
        """The kernel is told how much to hold for a client; a transport without a socket is left alone."""
        connection = FakeConnection(Protocol(), MemoryReactorClock())
        direct.shrink_send_buffer(connection, 256 << 10)
        self.assertEqual(option_of(connection, socket.SO_SNDBUF), 256 << 10)
        direct.shrink_send_buffer(StringTransport(), 256 << 10)

    def test_under_tls(self) -> None:
        """Under TLS it is the socket below that is told, and nothing is sent past the TLS."""
        wrapper = ProtocolWrapper(WrappingFactory(Factory()), Protocol())
        connection = FakeConnection(wrapper, MemoryReactorClock())
        self.assertFalse(direct.is_plain_tcp(wrapper))
        direct.shrink_send_buffer(wrapper, 256 << 10)
        self.assertEqual(option_of(connection, socket.SO_SNDBUF), 256 << 10)
        connection.kernel.room = 0
        wrapper.write(b"0123")
        self.assertEqual(direct.buffered(wrapper), 4)

    def test_send_buffer_refused(self) -> None:
        """A socket that will not have it is used as it is."""

        class Stubborn(KernelSocket):
            def setsockopt(self, level: int, option: int, value: object) -> None:
                raise OSError(errno.EINVAL, "no")

        connection = FakeConnection(Protocol(), MemoryReactorClock())
        connection.socket = Stubborn()
        direct.shrink_send_buffer(connection, 1)
        direct.send(connection, b"x")
        self.assertEqual(connection.socket.taken, b"x")
