"""
Writing a frame straight to a client's socket: the one place that knows Twisted's and the socket's insides.

``transport.write`` appends to a buffer and waits for the reactor to find the
socket writable; a frame that the kernel takes at once costs a third of that
when it is sent at once (6.6 µs against 18 for each delivery, 500 clients).
"""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
from typing import Any

from twisted.internet import tcp
from twisted.protocols.policies import ProtocolWrapper


def is_plain_tcp(transport: Any) -> bool:
    """Whether frames may be sent straight to its socket: TCP without TLS."""
    return isinstance(transport, tcp.Connection) and not getattr(transport, "TLS", False)


def send(transport: Any, data: bytes) -> None:
    """
    Send data to a plain TCP transport, behind all that was written to it before.

    What the kernel does not take at once is left to ``transport.write``.
    """
    if transport.connected and not transport.disconnecting and not transport.dataBuffer and not transport._tempDataLen:
        try:
            sent = transport.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:  # the reactor will find out, and tell the protocol
            transport.write(data)
            return
        if sent == len(data):
            return
        data = data[sent:]
    transport.write(data)


def buffered(transport: Any) -> int:
    """The bytes a transport holds because the kernel would not take them yet."""
    held = getattr(transport, "dataBuffer", b"")
    return len(held) - getattr(transport, "offset", 0) + getattr(transport, "_tempDataLen", 0)


def unacknowledged(transport: Any) -> int:
    """The bytes that the kernel holds since the other side's has not taken them yet; 0 where it does not say."""
    try:
        answer = fcntl.ioctl(_socket_of(transport), termios.TIOCOUTQ, bytes(4))
    except (AttributeError, OSError, TypeError, ValueError):
        return 0
    return int.from_bytes(answer, sys.byteorder)


def shrink_send_buffer(transport: Any, size: int) -> None:
    """Bound what the kernel holds for a client that does not read [bytes]; without it Linux grows it to megabytes."""
    try:
        _socket_of(transport).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
    except (AttributeError, OSError):
        return


def _socket_of(transport: Any) -> Any:
    """The socket that is under a transport, TLS or not."""
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    return transport.getHandle()
