"""
The WebSocket: one protocol instance for each screen.

A client that asks for nothing gets every ``telemetry_update`` and every
``insight_update`` as text frames (see ``docs/websocket.md``). There are two lanes.
Telemetry comes by a client's ``Delivery``, which thins it when the client is behind,
and never queues it. All else, insights and answers, is said: it is not left out, but
queues up to ``max_buffer`` bytes; above it the connection is closed with 4008, and
with 4009 when the client has not read a byte for ``stall_s``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny
from msgspec import json
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from txaio.tx import make_logger
from zope.interface import implementer

from pitwall.contract.messages import SUBPROTOCOLS
from pitwall.keys.key import Key
from pitwall.rates import Allowance
from pitwall.serve.live import direct
from pitwall.serve.live.batch import decoded
from pitwall.serve.live.delivery import Delivery
from pitwall.serve.live.fidelity import Fidelity
from pitwall.serve.live.frames import BINARY, PING, Frame, frame, payload_of
from pitwall.serve.live.joining import Asked, Since, asked_by, newest_points, said_by, wanted_by
from pitwall.serve.live.narrowing import Narrowing
from pitwall.serve.live.stream import key_of
from pitwall.serve.live.subscription import INSIGHTS, AskError, FullError
from pitwall.serve.seats import Seat
from pitwall.wire import columnar, messages

if TYPE_CHECKING:
    from pitwall.serve.live.screens import TelemetryFactory

KEY_REMOVED = 4001
TOO_SLOW = 4008
STALLED = 4009
GOING_AWAY = 1001
INTERNAL_ERROR = 1011
POLICY_VIOLATION = 1008
TOO_BIG = 1009

#: The encodings a client may choose by its subprotocol; without one it is JSON.
JSON_PROTOCOL, PACKED_PROTOCOL = SUBPROTOCOLS

#: The largest message of a client [bytes].
MAX_CLIENT_MESSAGE = 64 << 10
#: The most frames it may come in.
MAX_FRAGMENTS = 64
#: The most messages of a client in a second, and the most pings, with pongs that nobody asked for [1/s].
MAX_CLIENT_MESSAGES = 50
MAX_CLIENT_PINGS = 100
PING_S = 20
#: How long a closing client may take to answer before the connection is cut [s].
CLOSE_S = 2
_SEND_BUFFER = 256 << 10


_autobahn_log = make_logger()
# Autobahn logs a line or more for every connection that ends badly; what matters is counted.
_autobahn_log.set_log_level("critical")


@implementer(IPushProducer)
class TelemetryClient(WebSocketServerProtocol):
    """
    One screen.

    Attributes:
        delivery: what it has got and gets next; there once it has joined.
        number: the how many-th client it is.
        joined_at: when it came [s since 1970].
        key: by which it came; None where none is needed.
        paused: its transport holds more than 64 KiB.
    """

    log = _autobahn_log
    _log = Logger()

    factory: TelemetryFactory
    transport: Any
    delivery: Delivery
    seat: Seat | None = None
    paused = False
    number = 0
    joined_at = 0.0
    key: Key | None = None
    _joined = False
    _asked = Asked()
    _packed = False
    _fragments = 0  # of the message that is coming in
    _messages: Allowance
    _pings: Allowance
    _unanswered: bytes | None = None  # the newest ping since it was paused
    _direct = False
    _deflate = False
    _fidelity: Fidelity  # its delivery's
    _said_paused = 0  # bytes of messages that had to be queued since it was paused
    _taken = 0  # bytes the other side's kernel has taken, when last looked at
    _taken_at = 0.0

    def onConnect(self, request: Any) -> str | None:
        """Read what the address asks for; what makes no sense is answered 400."""
        self.key = self.factory.newcomer()
        offered = [name for name in request.protocols if name in (JSON_PROTOCOL, PACKED_PROTOCOL)]
        self._packed = offered[:1] == [PACKED_PROTOCOL]
        try:
            self._asked = asked_by(request.params, anything=bool(offered))
            self.factory.broadcaster.streams.check(key_of(self._asked.subscription, self._packed))
        except FullError as error:
            raise ConnectionDeny(ConnectionDeny.SERVICE_UNAVAILABLE, str(error)) from None
        except AskError as error:
            raise ConnectionDeny(ConnectionDeny.BAD_REQUEST, str(error)) from None
        return offered[0] if offered else None

    def onPing(self, payload: bytes) -> None:
        """Answer; while much is unsent only the newest ping has an answer, when all has gone out (section 5.5.3)."""
        if self._joined and not self._pings.spend(self.factory.reactor.seconds()):
            self._fail_connection(POLICY_VIOLATION, f"over {MAX_CLIENT_PINGS} pings a second")
        elif self.paused:
            self._unanswered = payload
        else:
            super().onPing(payload)

    def processData(self) -> bool:
        """Take the next of what has come; none of it, and keep none, after a failure (RFC 6455, section 7.1.7)."""
        if self.failedByMe:
            self.data = b""
            return False
        return bool(super().processData())

    def onMessageBegin(self, isBinary: bool) -> None:
        """A message begins to come in."""
        self._fragments = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:
        """A frame of it begins to come in."""
        super().onMessageFrameBegin(length)
        self._fragments += 1
        if self._fragments > MAX_FRAGMENTS and not self.failedByMe:
            self._fail_connection(TOO_BIG, f"a message of over {MAX_FRAGMENTS} frames")

    def onMessageFrameData(self, payload: bytes) -> None:
        """Keep a part of a message; a message of empty frames without an end is no more than an empty one."""
        if payload:
            super().onMessageFrameData(payload)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A client says where it was, or what it wants; anything else means nothing yet."""
        if not self._joined:
            return
        if not self._messages.spend(self.factory.reactor.seconds()):
            self._fail_connection(POLICY_VIOLATION, f"over {MAX_CLIENT_MESSAGES} messages a second")
            return
        message = said_by(payload, packed=isBinary)
        if not message:
            return
        try:
            wanted = wanted_by(message)
            if isinstance(wanted, Since):
                self.delivery.resume(wanted)
            else:
                self.delivery.subscribe(wanted)
        except AskError as error:
            self.say(Frame(messages.error(str(error), message["type"])))
        self.pump()

    def onPong(self, payload: bytes) -> None:
        """It has read all that was before the ping."""
        if not self._joined:
            return
        now = self.factory.reactor.seconds()
        if self._fidelity.ponged(payload, now):
            self.pump()
        elif not self._pings.spend(now):
            self._fail_connection(POLICY_VIOLATION, f"over {MAX_CLIENT_PINGS} pongs a second that nobody asked for")

    def onOpen(self) -> None:
        """Join the stream with the next flush."""
        try:
            self._join()
        except Exception:
            # Autobahn would make an unhandled Deferred of it.
            self._log.failure("a client could not join")
            self.sendCloseFrame(code=INTERNAL_ERROR, isReply=False)

    def connectionLost(self, reason: Any = None) -> None:
        """The connection is gone."""
        if self.seat is not None:
            self.seat.leave()
        super().connectionLost(reason)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Leave the stream."""
        self._leave()

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        """Leave the stream, whoever closes: nothing may follow a close frame."""
        self._leave()
        super().sendCloseFrame(code, reasonUtf8, isReply)

    def dropConnection(self, abort: bool = False) -> None:
        """Leave the stream and drop the connection; what is unsent has ``CLOSE_S`` to go out unless it is aborted."""
        self._leave()
        # When a client closes wrongly, or at the same moment, our own close frame may be unsent: no reset then.
        abort = abort and not self.wasClean
        super().dropConnection(abort)
        if not abort:
            self.factory.reactor.callLater(CLOSE_S, self._cut)

    def _cut(self) -> None:
        # Of TLS nothing is left to be shut down once the connection is gone.
        if self.transport is not None and self.transport.connected:
            self.transport.abortConnection()

    def onAutoPingTimeout(self) -> None:
        """No answer to a ping: cut the connection, unless the ping waits behind much that is unsent."""
        # check() looks whether it still reads.
        if self._joined and (self.paused or self._fidelity.waits):
            self.autoPingTimeoutCall = self.factory.reactor.callLater(PING_S, self.onAutoPingTimeout)
        else:
            super().onAutoPingTimeout()

    def pump(self) -> None:
        """Send the telemetry there is for it, as far as it takes it."""
        if self._joined:
            self.delivery.pump()

    def tell(self, narrowing: Narrowing) -> None:
        """Send insights, of the cars it wants, if it wants any."""
        if INSIGHTS in self.delivery.subscription.types and not self.delivery.tell(narrowing):
            self.end(TOO_SLOW, "too slow: more unsent than MAX_WS_BUFFER")

    def say(self, frame: Frame) -> None:
        """Send a message that is not to be left out; too many of them unsent end the connection."""
        if not self._joined:
            return
        if self.paused:
            self._said_paused += len(frame.plain)
            if self._said_paused > self.factory.max_buffer:
                self.end(TOO_SLOW, "too slow: more unsent than MAX_WS_BUFFER")
                return
        self.write(frame.packed if self._packed else frame)

    def write(self, frame: Frame) -> None:
        """Write a frame as it is, compressed where that was agreed on."""
        data = frame.deflated if self._deflate else frame.plain
        self._fidelity.written += len(data)
        if self._direct:
            direct.send(self.transport, data)
        else:
            self.transport.write(data)

    def ping(self, payload: bytes) -> None:
        """Write a ping behind what was written."""
        data = frame(payload, PING)
        self._fidelity.written += len(data)
        if self._direct:
            direct.send(self.transport, data)
        else:
            self.transport.write(data)

    def check(self, now: float) -> None:
        """Close the connection when it has read nothing for too long; ``now`` is in s."""
        self.delivery.look(now)
        if not (self.paused or self._fidelity.waits):
            self._taken_at = now
            return
        taken = self._fidelity.written - direct.buffered(self.transport) - direct.unacknowledged(self.transport)
        if taken > self._taken:  # it is less when a ping has come to what is unsent
            self._taken, self._taken_at = taken, now
        elif now - max(self._taken_at, self._fidelity.read_at) >= self.factory.stall_s:
            self.end(STALLED, "stalled: nothing read for WS_STALL_SECONDS")

    def end(self, code: int, reason: str) -> None:
        """Close; Autobahn cuts the connection if the client does not answer in time."""
        if self._joined:
            self.factory.ended[code] += 1
            if code == GOING_AWAY:
                self.delivery.tell_waiting()
        self.sendCloseFrame(code=code, reasonUtf8=reason.encode(), isReply=False)

    def fail(self) -> None:
        """Close after a fault of ours, which is logged; it must not cost the others anything."""
        self._log.failure("a client could not be served")
        self.factory.broadcaster.clients.pop(self, None)
        self.end(INTERNAL_ERROR, "a fault of the server's")

    def pauseProducing(self) -> None:
        """The transport holds more than 64 KiB: telemetry waits. It says so again with everything written to it."""
        if self.paused:
            return
        self.paused = True
        self._said_paused = 0
        if self._joined:
            self._fidelity.stuck(self.factory.reactor.seconds())

    def resumeProducing(self) -> None:
        """The transport has sent all it had: go on."""
        self.paused = False
        ping, self._unanswered = self._unanswered, None
        if ping is not None:
            self.onPing(ping)
        self.pump()

    def stopProducing(self) -> None:
        """The connection is gone; ``onClose`` follows."""

    def sendHttpErrorResponse(self, code: int, reason: str, responseHeaders: Any = None) -> None:
        """Answer a failed handshake in JSON, like every other error."""
        body = json.encode({"ok": False, "error": reason})
        head = f"HTTP/1.1 {code} WebSocket handshake failed\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n"
        for name, value in responseHeaders or ():
            head += f"{name}: {value}\r\n"
        self.sendData(head.encode() + b"\r\n" + body)

    def _join(self) -> None:
        transport = self.transport
        direct.shrink_send_buffer(transport, _SEND_BUFFER)
        # The HTTP channel this connection began as is registered still.
        transport.unregisterProducer()
        transport.registerProducer(self, True)
        self._deflate = self._perMessageCompress is not None
        self._direct = direct.is_plain_tcp(transport)
        broadcaster, asked = self.factory.broadcaster, self._asked
        if asked.snapshot:
            broadcaster.flush()  # so that the newest points are not sent again
        elif asked.since is not None:
            broadcaster.flush_for(asked.since.epoch, asked.since.seq)  # so that nothing comes before the answer
        self.delivery = Delivery(
            broadcaster, self.factory.reactor, self, asked.subscription, self._packed, self.factory.max_buffer
        )
        self._fidelity = self.delivery.fidelity
        self.factory.joined += 1
        self.number = self.factory.joined
        self.joined_at = now = self.factory.reactor.seconds()
        self._messages, self._pings = Allowance(MAX_CLIENT_MESSAGES, now), Allowance(MAX_CLIENT_PINGS, now)
        self._joined = True
        broadcaster.clients[self] = self.delivery
        if asked.subscribes:
            members = asked.subscription.members()
            self.say(Frame(messages.subscribed(broadcaster.hub.epoch, self.delivery.told, members)))
        if asked.since is not None:
            self.delivery.resume(asked.since)
        elif asked.snapshot:
            self._show_newest()
        self.pump()

    def _show_newest(self) -> None:
        """Send the newest point of each car and the newest insights; points go on after what it was told."""
        broadcaster, subscription, seq = self.factory.broadcaster, self.delivery.subscription, self.delivery.told
        epoch, insights = broadcaster.hub.epoch, broadcaster.insights
        raws = newest_points(broadcaster.hub, subscription)
        newest = None
        if insights.newest is not None and INSIGHTS in subscription.types:
            newest = bytes(payload_of(Narrowing(insights.newest).of(subscription).plain))
        if self._packed:
            insight = None if newest is None else json.decode(newest)
            payload = columnar.snapshot(epoch, seq, insights.seq, decoded(raws), insight)
            self.say(Frame(payload, opcode=BINARY))
        else:
            self.say(Frame(messages.snapshot(epoch, seq, insights.seq, raws, newest)))

    def _leave(self) -> None:
        if self._joined:
            self._joined = False
            self.factory.broadcaster.clients.pop(self, None)
            self.delivery.leave()
            self.factory.broadcaster.gone.add(self.delivery)
