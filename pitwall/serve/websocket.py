"""
The WebSocket: one protocol instance for each screen.

A client that asks for nothing gets every ``telemetry_update`` and every
``insight_update`` as text frames (see ``docs/websocket.md``). Frames are made
once for all; each client only has a place in the shared log of frames.

What becomes of a client that reads too slowly: above 64 KiB unsent its telemetry
waits, and goes on from its place in the log as the socket takes it; when the
log has moved on, the points between are skipped and counted, and ``prev`` tells
the client so. Insights are not skipped: they queue up to ``max_buffer``; above
it the connection is closed with 4008, and with 4009 when it has not taken a byte
for ``stall_s``.

A client that was away says where it was (``?since=EPOCH:SEQ``): it catches up from
the ring, as fast as its socket takes it, until it meets the log of frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.types import ConnectionDeny
from msgspec import json
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from txaio.tx import make_logger
from zope.interface import implementer

from pitwall.serve import direct
from pitwall.serve.broadcast import MESSAGE_BYTES, Broadcaster
from pitwall.serve.frames import Frame, payload_of
from pitwall.serve.joining import Asked, AskError, Since, asked_by, newest_points, resume_message
from pitwall.wire import messages

TOO_SLOW = 4008
STALLED = 4009
GOING_AWAY = 1001
INTERNAL_ERROR = 1011

#: What a client may send: it has nothing to say yet but control frames [bytes].
MAX_CLIENT_MESSAGE = 64 << 10
PING_S = 20
#: How long a closing client may take to answer before the connection is cut [s].
CLOSE_S = 2
_SEND_BUFFER = 256 << 10
#: Points of a message to a client that catches up.
_CATCH_UP = 1000


_autobahn_log = make_logger()
# Autobahn logs a line or more for every connection that ends badly; what matters is counted.
_autobahn_log.set_log_level("critical")


@implementer(IPushProducer)
class TelemetryClient(WebSocketServerProtocol):
    """
    One screen.

    Attributes:
        skipped: the points it did not get because it was behind.
        delivered: the points written to it.
        number: the how many-th client it is.
        joined_at: when it came [s since 1970].
        joined_seq: the last point before its stream.
    """

    log = _autobahn_log
    _log = Logger()

    factory: TelemetryFactory
    transport: Any
    skipped = 0
    delivered = 0
    number = 0
    joined_at = 0.0
    joined_seq = 0
    _joined = False
    _asked = Asked()
    _behind = False  # it catches up from the ring
    _paused = False
    _unanswered: bytes | None = None  # the newest ping since it was paused
    _direct = False
    _deflate = False
    _next = 0  # the index of the next frame in the log
    _seq = 0  # the last point sent
    _written = 0  # bytes, in all
    _said_paused = 0  # bytes of messages that had to be queued since it was paused
    _taken = 0  # bytes the kernel has taken, when last looked at
    _taken_at = 0.0

    def onConnect(self, request: Any) -> None:
        """Read what the address asks for; what makes no sense is answered 400."""
        try:
            self._asked = asked_by(request.params)
        except AskError as error:
            raise ConnectionDeny(ConnectionDeny.BAD_REQUEST, str(error)) from None

    def onPing(self, payload: bytes) -> None:
        """Answer; while much is unsent only the newest ping has an answer, when all has gone out (section 5.5.3)."""
        if self._paused:
            self._unanswered = payload
        else:
            super().onPing(payload)

    def processData(self) -> bool:
        """Take the next of what has come; none of it, and keep none, after a failure (RFC 6455, section 7.1.7)."""
        if self.failedByMe:
            self.data = b""
            return False
        return bool(super().processData())

    def onMessageFrameData(self, payload: bytes) -> None:
        """Keep a part of a message; a message of empty frames without an end is no more than an empty one."""
        if payload:
            super().onMessageFrameData(payload)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A client says where it was; anything else means nothing yet."""
        if not self._joined:
            return
        try:
            since = resume_message(payload)
        except AskError as error:
            self.say(Frame(messages.error(str(error))))
            return
        if since is not None:
            self._resume(since)
            self.pump()

    def onOpen(self) -> None:
        """Join the stream with the next flush."""
        try:
            self._join()
        except Exception:
            # Autobahn would make an unhandled Deferred of it.
            self._log.failure("a client could not join")
            self.sendCloseFrame(code=INTERNAL_ERROR, isReply=False)

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
            self.factory.reactor.callLater(CLOSE_S, self.transport.abortConnection)

    def onAutoPingTimeout(self) -> None:
        """No answer to a ping: cut the connection, unless the ping waits behind much that is unsent."""
        if self._paused and self._joined:  # check() looks whether it still reads
            self.autoPingTimeoutCall = self.factory.reactor.callLater(PING_S, self.onAutoPingTimeout)
        else:
            super().onAutoPingTimeout()

    def pump(self) -> None:
        """Send what the log has for this client, as far as its socket takes it."""
        if not self._joined:
            return
        if self._behind:
            self._catch_up()
            if self._behind:
                return
        log = self.factory.broadcaster.frames
        if self._next < log.start:
            self._skip_to(log.start)
        while self._next < log.end and not self._paused:
            frame = log.get(self._next)
            self._next += 1
            if frame.first_seq - 1 != self._seq:  # the ring went round before they could be sent
                self._count_skipped(frame.first_seq - 1)
            self._seq = frame.last_seq
            self._write(frame)
            self.delivered += frame.last_seq - frame.first_seq + 1

    @property
    def reached(self) -> int:
        """The number of the last point that was written to it or skipped."""
        return self._seq

    def say(self, frame: Frame) -> None:
        """Send a message that is not to be left out; too many of them unsent end the connection."""
        if not self._joined:
            return
        if self._paused:
            self._said_paused += len(frame.plain)
            if self._said_paused > self.factory.max_buffer:
                self.end(TOO_SLOW, "too slow: more unsent than MAX_WS_BUFFER")
                return
        self._write(frame)

    def check(self, now: float) -> None:
        """Close the connection when its socket has taken nothing for too long; ``now`` is in s."""
        if not self._paused:
            return
        taken = self._written - direct.buffered(self.transport)
        if taken > self._taken:  # it is less when a ping has come to what is unsent
            self._taken, self._taken_at = taken, now
        elif now - self._taken_at >= self.factory.stall_s:
            self.end(STALLED, "stalled: nothing read for WS_STALL_SECONDS")

    def end(self, code: int, reason: str) -> None:
        """Close; Autobahn cuts the connection if the client does not answer in time."""
        self.sendCloseFrame(code=code, reasonUtf8=reason.encode(), isReply=False)

    def pauseProducing(self) -> None:
        """The transport holds more than 64 KiB: telemetry waits. It says so again with everything written to it."""
        if self._paused:
            return
        self._paused = True
        self._said_paused = 0
        self._taken = self._written - direct.buffered(self.transport)
        self._taken_at = self.factory.reactor.seconds()

    def resumeProducing(self) -> None:
        """The transport has sent all it had: go on."""
        self._paused = False
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
        broadcaster = self.factory.broadcaster
        if self._asked.snapshot:
            broadcaster.flush()  # so that the newest points are not sent again
        self._next = broadcaster.frames.end
        self._seq = self.joined_seq = broadcaster.flushed_seq
        self.factory.joined += 1
        self.number = self.factory.joined
        self.joined_at = self.factory.reactor.seconds()
        self._joined = True
        broadcaster.clients[self] = None
        if self._asked.since is not None:
            self._resume(self._asked.since)
        elif self._asked.snapshot:
            self._show_newest()
        self.pump()

    def _resume(self, since: Since) -> None:
        """Say from where it goes on, what can't be had any more, and the insights it has not."""
        broadcaster = self.factory.broadcaster
        hub, insights = broadcaster.hub, broadcaster.insights
        # A client can't have what was not sent yet: another server had its epoch.
        same = since.epoch == hub.epoch and since.seq <= broadcaster.flushed_seq
        first = hub.ring.first_seq
        seq = max(since.seq, first - 1) if same else broadcaster.flushed_seq
        insight_seq = insights.seq
        lost = not same or seq > since.seq
        if since.insight_seq is not None and same:
            insight_seq = max(min(since.insight_seq, insights.seq), insights.first_seq - 1)
            lost = lost or insight_seq > since.insight_seq
        self.say(Frame(messages.resumed(hub.epoch, seq, insight_seq, not lost)))
        if not same:
            self.say(Frame(messages.gap(hub.epoch, None, None, "other_epoch")))
        elif seq > since.seq:
            self.say(Frame(messages.gap(hub.epoch, since.seq + 1, seq, "overwritten")))
        for frame in insights.after(insight_seq):
            self.say(frame)
        # What it asks for once more counts as its own.
        self.joined_seq += seq - self._seq
        self._seq, self._behind = seq, True

    def _show_newest(self) -> None:
        """Send the newest point of each car and the newest insights; points go on after what is flushed."""
        broadcaster = self.factory.broadcaster
        hub, newest = broadcaster.hub, broadcaster.insights.newest
        insight = None if newest is None else bytes(payload_of(newest.plain))
        self.say(Frame(messages.snapshot(hub.epoch, self._seq, broadcaster.insights.seq, newest_points(hub), insight)))

    def _catch_up(self) -> None:
        """Send points from the ring, as far as the socket takes them, until the log of frames goes on from there."""
        broadcaster = self.factory.broadcaster
        ring, log = broadcaster.hub.ring, broadcaster.frames
        while self._joined and not self._paused:
            if self._seq >= broadcaster.flushed_seq:
                self._next, self._behind = log.end, False
                return
            index = log.starting_at(self._seq + 1)
            if index is not None:
                self._next, self._behind = index, False
                return
            if self._seq + 1 < ring.first_seq:  # the ring went round meanwhile
                self.say(Frame(messages.gap(broadcaster.hub.epoch, self._seq + 1, ring.first_seq - 1, "overwritten")))
                self._count_skipped(ring.first_seq - 1)
                continue
            last = min(self._seq + _CATCH_UP, log.last_before(self._seq + 1) or broadcaster.flushed_seq)
            raws = ring.between(self._seq + 1, last)
            size = count = 0
            while count < len(raws) and (not count or size + len(raws[count]) < MESSAGE_BYTES):
                size += len(raws[count]) + 1
                count += 1
            payload = messages.telemetry_update(broadcaster.hub.epoch, self._seq + 1, raws[:count])
            self._seq += count
            self._write(Frame(payload))
            self.delivered += count

    def _leave(self) -> None:
        if self._joined:
            self._joined = False
            broadcaster = self.factory.broadcaster
            broadcaster.clients.pop(self, None)
            self._count_skipped(broadcaster.flushed_seq)

    def _skip_to(self, index: int) -> None:
        log = self.factory.broadcaster.frames
        self._next = index
        last_missed = log.get(index).first_seq - 1 if index < log.end else self.factory.broadcaster.flushed_seq
        self._count_skipped(last_missed)

    def _count_skipped(self, last_missed: int) -> None:
        missed = max(last_missed - self._seq, 0)
        self._seq += missed
        self.skipped += missed
        self.factory.broadcaster.hub.ledger.points_skipped += missed

    def _write(self, frame: Frame) -> None:
        data = frame.deflated if self._deflate else frame.plain
        self._written += len(data)
        if self._direct:
            direct.send(self.transport, data)
        else:
            self.transport.write(data)


class TelemetryFactory(WebSocketServerFactory):
    """
    Makes the clients and sets their limits.

    Args:
        broadcaster: the stream they join.
        reactor: their clock.
        max_buffer: unsent messages a client may have before it is closed [bytes].
        stall_s: how long it may take nothing before it is closed [s].
        deflate: whether permessage-deflate is accepted when a client offers it.
    """

    protocol: Any = TelemetryClient

    def __init__(
        self, broadcaster: Broadcaster, reactor: Any, max_buffer: int, stall_s: float, deflate: bool = False
    ) -> None:
        super().__init__(reactor=reactor, server="")
        self.broadcaster = broadcaster
        #: Clients that have come so far.
        self.joined = 0
        self.max_buffer = max_buffer
        self.stall_s = stall_s
        self.setProtocolOptions(
            webStatus=False,
            failByDrop=False,
            echoCloseCodeReason=True,
            maxFramePayloadSize=MAX_CLIENT_MESSAGE,
            maxMessagePayloadSize=MAX_CLIENT_MESSAGE,
            openHandshakeTimeout=5,
            closeHandshakeTimeout=CLOSE_S,
            autoPingInterval=PING_S,
            autoPingTimeout=PING_S,
            # The resource has checked the origin.
            allowedOrigins=["*"],
            allowNullOrigin=True,
            perMessageCompressionAccept=_accept_deflate if deflate else _accept_nothing,
        )

    def check_clients(self) -> None:
        """Look for clients that have stalled; to be called every second or so."""
        now = self.reactor.seconds()
        for client in tuple(self.broadcaster.clients):
            client.check(now)
        self.broadcaster.frames.expire(now)

    def close_all(self, wait_s: float) -> Deferred[None]:
        """Send what is unsent, say goodbye (1001), and cut whoever has not answered after ``wait_s``."""
        self.broadcaster.flush()
        clients = list(self.broadcaster.clients)
        for client in clients:
            client.end(GOING_AWAY, "the server is going away")
        done: Deferred[None] = Deferred()
        waiting = {client for client in clients if client.transport is not None and client.transport.connected}

        def left(client: TelemetryClient) -> None:
            waiting.discard(client)
            if not waiting and cut.active():
                cut.cancel()
                done.callback(None)

        def cut_off() -> None:
            for client in tuple(waiting):
                client.transport.abortConnection()
            done.callback(None)

        cut = self.reactor.callLater(wait_s, cut_off)
        for client in clients:
            client.is_closed.addCallback(left)
        if not waiting and cut.active():
            cut.cancel()
            done.callback(None)
        return done


def _accept_deflate(offers: Iterable[Any]) -> PerMessageDeflateOfferAccept | None:
    for offer in offers:
        # A frame compressed once for all can't follow one client's smaller window.
        if isinstance(offer, PerMessageDeflateOffer) and not offer.request_max_window_bits:
            return PerMessageDeflateOfferAccept(offer, request_no_context_takeover=True, no_context_takeover=True)
    return None


def _accept_nothing(offers: Iterable[Any]) -> None:
    return None
