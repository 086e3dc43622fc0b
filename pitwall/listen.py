"""
Sockets bound before anything starts, so that a busy port ends the start with one sentence.

They are bound in the launcher, before twistd becomes a daemon, and adopted by
the reactor when the service starts.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import SSL4ServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pitwall.tls import harden

_log = Logger()


class ListenError(OSError):
    """A port that can't be had; the message names the setting."""


def bind_tcp(host: str, port: int, setting: str = "PORT", host_setting: str = "HOST") -> socket.socket:
    """
    A listening TCP socket, non-blocking; the settings are where the port's number and the host are from.

    Raises:
        ListenError: the port is in use, not allowed, or the host is no address of this machine.
    """
    return _bind(socket.SOCK_STREAM, host, port, setting, "TCP", host_setting)


def bind_udp(host: str, port: int) -> socket.socket:
    """
    A bound UDP socket, non-blocking.

    Raises:
        ListenError: the port is in use, not allowed, or the host is no address of this machine.
    """
    return _bind(socket.SOCK_DGRAM, host, port, "UDP_PORT", "UDP")


def _bind(
    kind: socket.SocketKind, host: str, port: int, setting: str, protocol: str, host_setting: str = "HOST"
) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host or "0.0.0.0", port, type=kind, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise _not_ours(host_setting, host, error) from None
    except UnicodeError:  # a part of the name is empty or over 63 characters
        raise ListenError(f"{host_setting} is {host}, wanted an address of this machine: not a host's name") from None
    try:
        bound = socket.socket(family, kind)
    except OSError as error:
        raise _not_ours(host_setting, host, error) from None
    try:
        bound.setblocking(False)
        if kind is socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        if kind is socket.SOCK_STREAM:
            # May fail as well: two sockets can be bound to a port as long as neither listens.
            bound.listen(1024)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise _not_ours(host_setting, host, error) from None
        what = f"{setting} is {port}, and {protocol} port {port} can't be had: {error.strerror}"
        raise ListenError(what) from None
    return bound


def _not_ours(host_setting: str, host: str, error: OSError) -> ListenError:
    return ListenError(f"{host_setting} is {host}, wanted an address of this machine: {error.strerror or error}")


class _HTTPDoor(Service):
    """
    What serves HTTP on a port.

    Args:
        goodbye: what is to be done first when it stops, while it still listens.
    """

    def __init__(self, goodbye: Callable[[], Deferred[None]] | None) -> None:
        self._goodbye = goodbye
        self._port: Any = None

    @property
    def open(self) -> bool:
        """Whether connections are taken."""
        return self._port is not None

    def stopService(self) -> Any:
        """Say goodbye, if there is something to say, and take no more connections."""
        super().stopService()
        if self._goodbye is None:
            return self._close()
        said = maybeDeferred(self._goodbye)
        said.addErrback(lambda failure: _log.failure("a goodbye failed", failure))
        return said.addCallback(self._close)

    def _close(self, _: Any = None) -> Any:
        port, self._port = self._port, None
        return None if port is None else port.stopListening()


class AdoptedPortService(_HTTPDoor):
    """
    Serves a factory on a listening socket from start to stop.

    Args:
        bound: listening and non-blocking; closed here once it is adopted.
        factory: answers.
        reactor: listens.
        goodbye: what is to be done first when it stops, while it still listens.
    """

    def __init__(
        self, bound: socket.socket, factory: Any, reactor: Any, goodbye: Callable[[], Deferred[None]] | None = None
    ) -> None:
        super().__init__(goodbye)
        self._bound = bound
        self._factory = factory
        self._reactor = reactor

    def privilegedStartService(self) -> None:
        """Start to listen."""
        super().privilegedStartService()
        # The reactor duplicates the descriptor.
        self._port = self._reactor.adoptStreamPort(self._bound.fileno(), self._bound.family, self._factory)
        self._bound.close()


class EndpointService(_HTTPDoor):
    """
    Serves a factory on an endpoint until it stops; it listens from the moment it is made, before twistd forks.

    Nothing is accepted before the reactor runs; whoever connects by then is kept waiting.

    Args:
        text: the endpoint, as Twisted's ``serverFromString`` takes it.
        factory: answers.
        reactor: listens.
        goodbye: what is to be done first when it stops, while it still listens.

    Raises:
        ListenError: the endpoint makes no sense, or can't be had.
    """

    def __init__(
        self, text: str, factory: Any, reactor: Any, goodbye: Callable[[], Deferred[None]] | None = None
    ) -> None:
        super().__init__(goodbye)
        self._pid = os.getpid()
        self._text = text
        self._reactor = reactor
        self._certificate: EndpointCertificate | None = None
        failed: list[Failure] = []
        try:
            endpoint = serverFromString(reactor, text)
            if isinstance(endpoint, SSL4ServerEndpoint):
                # It asks for the context of each connection anew, and so can be given another.
                self._certificate = EndpointCertificate(endpoint._sslContextFactory)
                endpoint._sslContextFactory = self._certificate
            listening = endpoint.listen(factory)
        except Exception as error:  # whatever its parser, or a plugin's, makes of a wrong one
            raise _no_endpoint(text, error) from None
        listening.addCallbacks(self._listens, failed.append)
        if failed:
            raise _no_endpoint(text, failed[0].value)
        if self._port is None:
            raise ListenError(f"HTTP is {text}, wanted an endpoint that listens at once")

    def privilegedStartService(self) -> None:
        """Start; a socket of this machine has a lock file with a process number, which a daemon's is not yet."""
        super().privilegedStartService()
        lock = getattr(self._port, "lockFile", None)
        if lock is not None and self._pid != os.getpid():
            os.unlink(lock.name)
            lock.lock()

    @property
    def secure(self) -> bool:
        """Whether it has a certificate that can be read again."""
        return self._certificate is not None

    def reload(self) -> None:
        """Read the certificate of an ``ssl:`` endpoint again, for new connections; a wrong one changes nothing."""
        if self._certificate is None:
            return
        try:
            self._certificate.change(serverFromString(self._reactor, self._text)._sslContextFactory)
        except Exception as error:  # as above
            _log.error("{error}; the last certificate stays", error=str(_no_endpoint(self._text, error)))
        else:
            _log.info("the certificate of HTTP read, for new connections")

    def _listens(self, port: Any) -> None:
        self._port = port


@implementer(IOpenSSLContextFactory)
class EndpointCertificate:
    """
    The certificate of an ``ssl:`` endpoint, which can be changed: with it TLS is 1.2 or 1.3, never less.

    Args:
        factory: Twisted's, made from the endpoint's text.
    """

    def __init__(self, factory: Any) -> None:
        self.change(factory)

    def change(self, factory: Any) -> None:
        """Take another one, for connections made from now on; one that can't be used raises, and changes nothing."""
        context = factory.getContext()
        harden(context)
        self._context = context

    def getContext(self) -> Any:
        """The context of a new connection."""
        return self._context


def _no_endpoint(text: str, error: BaseException | None) -> ListenError:
    why = error.socketError if isinstance(error, CannotListenError) else error
    said = getattr(why, "strerror", None) or str(why) or type(why).__name__
    return ListenError(f"HTTP is {text}, wanted an endpoint such as tcp:8081 or ssl:443:privateKey=key.pem: {said}")


def raise_descriptor_limit() -> int:
    """Allow this process as many open files as the system lets it; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 1 << 20) if hard != resource.RLIM_INFINITY else 1 << 20
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft
