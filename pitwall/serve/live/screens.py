"""Makes the WebSocket's clients, sets their limits, and looks after all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from twisted.internet.defer import Deferred

from pitwall.keys.key import Key
from pitwall.serve.live.broadcast import Broadcaster
from pitwall.serve.live.websocket import CLOSE_S, GOING_AWAY, KEY_REMOVED, MAX_CLIENT_MESSAGE, PING_S, TelemetryClient
from pitwall.serve.seats import Seats


class TelemetryFactory(WebSocketServerFactory):
    """
    Makes the clients and sets their limits.

    Args:
        broadcaster: the stream they join.
        reactor: their clock.
        max_buffer: unsent messages a client may have before it is closed [bytes].
        stall_s: how long it may take nothing before it is closed [s].
        deflate: whether permessage-deflate is accepted when a client offers it.
        seats: who is connected; None where nobody counts.
    """

    protocol: Any = TelemetryClient

    def __init__(
        self,
        broadcaster: Broadcaster,
        reactor: Any,
        max_buffer: int,
        stall_s: float,
        deflate: bool = False,
        seats: Seats | None = None,
    ) -> None:
        super().__init__(reactor=reactor, server="")
        self._seats = seats
        self.broadcaster = broadcaster
        #: Clients that have come so far.
        self.joined = 0
        #: Those that were closed by this side, by code.
        self.ended: Counter[int] = Counter()
        self._newcomer: Key | None = None
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

    def buildProtocol(self, addr: Any) -> Any:
        """The client that a connection from this address becomes; it has just given a seat up."""
        client: Any = super().buildProtocol(addr)
        if self._seats is not None:
            client.seat = self._seats.take(getattr(addr, "host", ""))
        return client

    def check_clients(self) -> None:
        """Look for clients that have stalled; to be called every second or so."""
        now = self.reactor.seconds()
        for client in tuple(self.broadcaster.clients):
            try:
                client.check(now)
            except Exception:
                client.fail()
        self.broadcaster.expire(now)

    def expect(self, key: Key | None) -> None:
        """The connection that is made next comes by this key."""
        self._newcomer = key

    def newcomer(self) -> Key | None:
        """The key by which the connection comes that was just made."""
        key, self._newcomer = self._newcomer, None
        return key

    def turn_out(self, may_stay: Callable[[Key | None], bool]) -> None:
        """Close the connections of keys that are none any more."""
        for client in tuple(self.broadcaster.clients):
            if not may_stay(client.key):
                client.end(KEY_REMOVED, "the key of this connection was removed")

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
