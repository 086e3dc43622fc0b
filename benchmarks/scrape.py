"""What the metrics cost: a scrape, and the only thing that is noted while nobody scrapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock
from twisted.web.http_headers import Headers

from pitwall.histogram import Histogram
from pitwall.hub import Hub
from pitwall.pool.service import WorkerFigures
from pitwall.serve.health import Health
from pitwall.serve.lag import ReactorLag
from pitwall.serve.live.broadcast import Broadcaster, Pace
from pitwall.serve.live.deliveries import DeliveryTimes
from pitwall.serve.live.delivery import Delivery
from pitwall.serve.live.frames import Frame
from pitwall.serve.live.subscription import Subscription
from pitwall.serve.metrics import Exporter
from pitwall.serve.reading import Sources


class Screen:
    """A client that takes everything."""

    paused = False

    def write(self, frame: Frame) -> None:
        """Take it."""

    def say(self, frame: Frame) -> None:
        """Take it."""

    def ping(self, payload: bytes) -> None:
        """Take it."""

    def fail(self) -> None:
        """Not here."""
        raise AssertionError


def a_server(hub: Hub, clients: int) -> Callable[[], bytes]:
    """A server with so many clients; what is returned answers a scrape of it."""
    clock = Clock()
    broadcaster = Broadcaster(hub, clock, Pace(0.008, 0.12))
    hub.listeners.clear()
    for _ in range(clients):
        screen = Screen()
        broadcaster.clients[screen] = Delivery(broadcaster, clock, screen, Subscription(), False, 0)
    book = SimpleNamespace(insights=SimpleNamespace(count=0))
    workers = [WorkerFigures(True, 0, 0, 0.0)] * 4
    aggregation = SimpleNamespace(warm=True, workers=lambda: workers, book=book)
    udp = SimpleNamespace(open=True, kernel_drops=int)
    screens: Any = SimpleNamespace(joined=clients, ended=Counter())
    health = Health(hub, broadcaster, aggregation, [udp], udp, demo=False)
    doors = {"udp": 0, "http": 0, "s3": 0}
    sources = Sources(hub, broadcaster, screens, aggregation, health, ReactorLag(clock), lambda: doors)
    exporter = Exporter(sources)
    request = SimpleNamespace(
        requestHeaders=Headers({b"accept": [b"text/plain;version=0.0.4"]}),
        responseHeaders=Headers(),
        setHeader=lambda name, value: None,
    )
    return lambda: exporter.answer(request)


def a_timing(arrivals: int, flushes: int, apart_s: float) -> Callable[[], None]:
    """What is returned notes so many flushes of so many arrivals each, all of one point and so far apart [s]."""
    times = DeliveryTimes(Histogram())

    def note() -> None:
        seq, at = times._seq, 0.0
        for _ in range(flushes):
            for _ in range(arrivals):
                seq, at = seq + 1, at + apart_s
                times.came(at, seq)
            times.delivered(times.take(), at)

    return note
