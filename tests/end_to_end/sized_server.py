"""
A server that sends its WebSocket clients what it is posted, each line as one message.

The clients and the HTTP side are the real ones; ``/plain`` is without compression,
``/deflated`` with it. Run as ``python -m tests.end_to_end.sized_server PORT``.
"""

from __future__ import annotations

import sys
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from twisted.internet import reactor
from twisted.web.resource import Resource

from pitwall.hub import Hub
from pitwall.ring import PointRing
from pitwall.rows import SharedRows
from pitwall.serve.live.broadcast import Broadcaster, Pace
from pitwall.serve.live.frames import Frame
from pitwall.serve.live.screens import TelemetryFactory
from pitwall.serve.site import BoundedSite

_MAX_BODY = 8 << 20


class Root(Resource):
    """The two WebSockets below it; a page of nothing; and what is posted goes to every client."""

    def __init__(self, broadcaster: Broadcaster) -> None:
        super().__init__()
        self._broadcaster = broadcaster
        self.putChild(b"", self)

    def render_GET(self, request: Any) -> bytes:
        """How many clients there are."""
        return b"%d" % len(self._broadcaster.clients)

    def render_POST(self, request: Any) -> bytes:
        """Send each line to every client, all in one turn of the reactor."""
        for line in request.content.read().splitlines():
            frame = Frame(line)
            for client in tuple(self._broadcaster.clients):
                client.say(frame)
        return b"sent"


def main() -> None:
    """Serve until killed."""
    clock: Any = reactor
    broadcaster = Broadcaster(Hub(PointRing(8), SharedRows(8), epoch="abcd"), clock, Pace(0.008, 0.12))
    root = Root(broadcaster)
    for path, deflate in ((b"plain", False), (b"deflated", True)):
        factory = TelemetryFactory(broadcaster, clock, max_buffer=_MAX_BODY, stall_s=30.0, deflate=deflate)
        root.putChild(path, WebSocketResource(factory))
    clock.listenTCP(int(sys.argv[1]), BoundedSite(root, clock, _MAX_BODY), interface="127.0.0.1")
    clock.run()


if __name__ == "__main__":
    main()
