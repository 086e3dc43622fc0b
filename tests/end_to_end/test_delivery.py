"""The clients that ship, and a screen that reads slowly, on a real server: breaks, a restart, a rate."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.throttled import watch
from pitwall.client import PitWallClient, Subscription
from tests.end_to_end.harness import Server, clean_environment, free_port, running, wait_for

CARS = 10


def send(server: Server, count: int, rate: float, first: int = 1) -> None:
    """Send points at a rate, numbered by ``rpm``, of ten cars in turn."""
    began = time.monotonic()
    for number in range(first, first + count):
        wait = began + (number - first) / rate - time.monotonic()
        if wait > 0.002:
            time.sleep(wait)
        server.send(b'{"track":"barber","chassis":"GR86-%d","rpm":%d}' % (number % CARS, number))


def clients_of(server: Server) -> int:
    """How many clients a server has."""
    clients: int = server.metrics()["wsClients"]
    return clients


def ends_with(numbers: list[int], last: int) -> bool:
    """Whether that number has come."""
    return numbers[-1:] == [last]


class Seen:
    """What a client has got, by what the points say and stand for."""

    def __init__(self) -> None:
        self.stands_for: Counter[str] = Counter()
        self.highest: Counter[str] = Counter()
        self.numbers: list[int] = []
        self.told: Counter[str] = Counter()

    def take(self, content: dict[str, Any]) -> None:
        """Take a message."""
        self.told[content["type"]] += 1
        if content["type"] != "telemetry_update":
            return
        counts = content.get("counts", [1] * len(content["data"]))
        ranges = content.get("ranges", [{}] * len(content["data"]))
        for point, count, changed in zip(content["data"], counts, ranges, strict=True):
            chassis, rpm = point["chassis"], int(point["rpm"])
            self.numbers.append(rpm)
            self.stands_for[chassis] += count
            self.highest[chassis] = max(self.highest[chassis], rpm, int(changed.get("rpm", (0, 0))[1]))


class ShippedClientTests(SynchronousTestCase):
    """`PitWallClient` asks a real server for part of the stream, over breaks and a restart."""

    def watched(self, server: Server, count: int, **options: Any) -> tuple[Seen, PitWallClient]:
        """What a client got of so many points at 1,000/s, its connection cut every 200 ms or so."""
        seen, chance = Seen(), random.Random(5)

        async def breaking(client: PitWallClient, stop: asyncio.Event) -> None:
            while not stop.is_set():
                await asyncio.sleep(0.1 + 0.2 * chance.random())
                connection = client._connection
                if connection is not None:
                    connection.transport.abort()

        async def run() -> PitWallClient:
            stop = asyncio.Event()
            async with PitWallClient(f"ws://127.0.0.1:{server.port}", **options) as client:
                first = asyncio.ensure_future(client.receive())
                await asyncio.sleep(0.3)
                sending = asyncio.ensure_future(asyncio.to_thread(send, server, count, 1000.0))
                cutting = asyncio.ensure_future(breaking(client, stop))
                end = time.monotonic() + 60
                message = await first
                while message is not None and time.monotonic() < end:
                    seen.take(dict(message.content))
                    if sending.done() and server.metrics()["messagesReceived"] == count:
                        stop.set()
                        position = client.position
                        if position is not None and position.seq > count - CARS:
                            break
                    message = await asyncio.wait_for(client.receive(), 20)
                await sending
                stop.set()
                await cutting
                return client

        return seen, asyncio.run(run())

    def test_part_of_it(self) -> None:
        """Two cars of ten, as MessagePack: each of their points comes once, in order."""
        with running() as server:
            seen, client = self.watched(
                server, 4000, encoding="msgpack", subscribe=Subscription(chassis=["GR86-1", "GR86-2"])
            )
            wanted = [number for number in range(1, 4001) if number % CARS in (1, 2)]
            self.assertEqual(seen.numbers, wanted[: len(seen.numbers)])
            self.assertGreater(len(seen.numbers), len(wanted) - 5)
            self.assertGreater(client.counters.connections, 4)
            self.assertEqual((client.counters.gaps, seen.told["gap"]), (0, 0))

    def test_at_a_rate(self) -> None:
        """At most ten messages a second: what they stand for is every point of each car, over all breaks."""
        with running() as server:
            seen, client = self.watched(server, 4000, subscribe=Subscription(max_hz=10))
            for car in range(CARS):
                # The last moments may not have come when the client stopped.
                self.assertAlmostEqual(seen.stands_for[f"GR86-{car}"], 400, delta=25)
                self.assertLessEqual(seen.highest[f"GR86-{car}"] / CARS, seen.stands_for[f"GR86-{car}"] + 1)
            self.assertLess(len(seen.numbers), 1500)
            self.assertGreater(client.counters.connections, 4)
            self.assertEqual((client.counters.gaps, seen.told["gap"]), (0, 0))

    def test_restart(self) -> None:
        """After the server was started again the client says the gap, and has every point since."""
        port = free_port()

        async def run() -> tuple[list[int], PitWallClient]:
            numbers: list[int] = []

            async def read(client: PitWallClient) -> None:
                async for message in client:
                    numbers.extend(int(point["rpm"]) for point in message.points)

            async with PitWallClient(f"ws://127.0.0.1:{port}", subscribe=Subscription(channels=["rpm"])) as client:
                reading = asyncio.ensure_future(read(client))
                for first in (1, 1001):
                    server = await asyncio.to_thread(begin)
                    if first == 1:  # what was before it came is not for it
                        await asyncio.to_thread(wait_for, "the client", partial(clients_of, server))
                    await asyncio.to_thread(send, server, 500, 2000.0, first)
                    await asyncio.to_thread(wait_for, "its points", partial(ends_with, numbers, first + 499))
                    await asyncio.to_thread(server.close)
                reading.cancel()
            return numbers, client

        def begin() -> Server:
            server = Server(PORT=str(port))
            self.addCleanup(server.close)
            server.wait_well()
            return server

        numbers, client = asyncio.run(run())
        self.assertEqual(numbers, [*range(1, 501), *range(1001, 1501)])
        self.assertEqual(client.counters.unknown_gaps, 1)


class SlowScreenTests(SynchronousTestCase):
    """A screen that reads 64 kB/s of a stream of 1.8 MB/s."""

    def test_reads_slowly(self) -> None:
        """It has every insight and no state older than a second or so, is told of both changes, and misses nothing."""
        with running() as server:
            load = [sys.executable, "-m", "benchmarks.load", "udp", "--port", str(server.udp_port)]
            load += ["--rate", "5000", "--seconds", "19"]
            sender = subprocess.Popen(load, stdout=subprocess.DEVNULL, env=clean_environment())
            self.addCleanup(sender.wait, 30)
            time.sleep(1)
            seen = watch(server.port, 64_000, 14, 4.5)
            sender.wait(30)
            self.assertEqual((seen["missed"], seen["insights_missing"], seen["closed"]), (0, 0, False))
            self.assertEqual([level for _, level, _ in seen["qualities"]], ["reduced", "full"])
            self.assertGreater(seen["insights"], 20)
            # A second, and as much again for a machine that is busy.
            self.assertLess(seen["ages_p95_s"], 2.0)
            self.assertEqual(seen["qualities"][-1][2], seen["conflated"])
