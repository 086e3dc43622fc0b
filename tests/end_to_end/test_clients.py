"""The Python client, over a network that fails."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Thread, Timer
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.client import Backoff, Message, PitWallClient, Position, RefusedError, StreamError, Subscription
from tests.end_to_end.harness import free_port, running, wait_for
from tests.end_to_end.stream_server import StreamServer

ROOT = Path(__file__).parents[2]
#: How long a test may take at most, a slow machine included [s].
LONGEST_S = 60.0
BREAKS = 200


def quick() -> Backoff:
    """Pauses that a test has the time for."""
    return Backoff(0.005, 0.02, chance=random.Random(2))


def bounded(work: Callable[[], Awaitable[Any]]) -> Any:
    """What a coroutine returns, if it does in time."""

    async def in_time() -> Any:
        return await asyncio.wait_for(work(), LONGEST_S)

    return asyncio.run(in_time())


def numbers(messages: list[Message]) -> list[int]:
    """The points by their number."""
    return [point["n"] for message in messages if message.type == "telemetry_update" for point in message.points]


async def collect(client: PitWallClient, enough: Callable[[list[Message]], bool]) -> list[Message]:
    """The messages until there are enough."""
    messages: list[Message] = []
    while not enough(messages):
        message = await client.receive()
        assert message is not None
        messages.append(message)
    return messages


def last(kind: str) -> Callable[[list[Message]], bool]:
    """Whether the last message is of a type."""
    return lambda messages: bool(messages) and messages[-1].type == kind


def publish_while_breaking(server: StreamServer) -> Thread:
    """Send points and insights for as long as there are connections to break, and some more."""

    def publish() -> None:
        end, chance = time.monotonic() + LONGEST_S, random.Random(3)
        while server.breaks_left and time.monotonic() < end:
            server.publish(chance.randint(1, 30), insight=chance.random() < 0.2)
            time.sleep(0.002)
        server.publish(5, insight=True)

    thread = Thread(target=publish, daemon=True)
    thread.start()
    return thread


class PythonClientTests(SynchronousTestCase):
    """``PitWallClient``."""

    def test_many_breaks(self) -> None:
        """Over 200 connections that break at any moment, every point and every insight comes once, in order."""
        with StreamServer(breaks=BREAKS) as server:

            async def watch() -> tuple[list[Message], PitWallClient]:
                async with PitWallClient(server.url, since=Position("first", 0, 0), backoff=quick()) as client:
                    return await collect(client, lambda _: all_sent(client)), client

            def all_sent(client: PitWallClient) -> bool:
                there_is = Position(server.epoch, server.seq, server.insight_seq)
                return not publisher.is_alive() and client.position == there_is

            publisher = publish_while_breaking(server)
            messages, client = bounded(watch)
            got = numbers(messages)
            self.assertEqual(got, list(range(got[0], server.seq + 1)))
            self.assertGreater(client.counters.connections, BREAKS)
            said = [m.content["insight_seq"] for m in messages if m.type == "insight_update"]
            self.assertEqual(said, list(range(said[0], server.insight_seq + 1)))
            self.assertEqual((client.counters.gaps, client.counters.insights_lost), (0, 0))
            self.assertTrue(all(message.recovered for message in messages))

    def test_subscribed_over_breaks(self) -> None:
        """Of one car, as MessagePack, every point comes once over 200 breaks, and nothing counts as lost."""
        with StreamServer(breaks=BREAKS) as server:
            wanted = Subscription(["GR86-001"], channels=["n"], types=["telemetry_update"])
            start = Position("first", 0, 0)

            async def watch() -> tuple[list[Message], PitWallClient]:
                more: dict[str, Any] = {"backoff": quick(), "encoding": "msgpack"}
                async with PitWallClient(server.url, since=start, subscribe=wanted, **more) as client:
                    return await collect(client, lambda _: not publisher.is_alive() and at_end(client)), client

            def at_end(client: PitWallClient) -> bool:
                return client.position is not None and client.position.seq >= last_odd()

            def last_odd() -> int:
                return server.seq - 1 + server.seq % 2

            publisher = publish_while_breaking(server)
            messages, client = bounded(watch)
            self.assertEqual(numbers(messages), list(range(1, last_odd() + 1, 2)))
            self.assertGreater(client.counters.connections, BREAKS)
            self.assertEqual((client.counters.gaps, client.counters.insights), (0, 0))
            points = [point for message in messages for point in message.points]
            self.assertEqual({tuple(point) for point in points}, {("meta_time", "track", "chassis", "n")})
            self.assertEqual(points[0]["meta_time"], "2025-09-06T18:42:00.001Z")

    def test_subscribe(self) -> None:
        """A subscription holds from its answer on, and over a break; one that is refused changes nothing."""
        with StreamServer() as server:

            async def watch() -> list[Message]:
                async with PitWallClient(server.url, backoff=quick()) as client:
                    await client.subscribe(Subscription(["GR86-000"]))
                    messages = await collect(client, last("subscribed"))
                    await client.subscribe(Subscription(["GR86-001"], max_hz=50))
                    messages += await collect(client, last("subscribed"))
                    await asyncio.to_thread(server.publish, 4)
                    messages += await collect(client, lambda got: bool(numbers(got)))
                    await client.subscribe(Subscription(max_hz=1000))
                    messages += await collect(client, last("error"))
                    await asyncio.to_thread(server.do, server.drop)
                    messages += await collect(client, last("subscribed"))
                    await asyncio.to_thread(server.publish, 5)
                    return messages + await collect(client, lambda got: bool(numbers(got)))

            messages = bounded(watch)
            kinds = ["subscribed", "subscribed", "telemetry_update", "error", "resumed", "subscribed"]
            self.assertEqual([message.type for message in messages], [*kinds, "telemetry_update"])
            self.assertEqual(messages[3].content["error"], "max_hz is 1000, wanted 0.1 to 100")
            self.assertEqual(numbers(messages), [3, 9])
            self.assertEqual(messages[2].content["ranges"], [{"n": [1, 3]}])
            self.assertEqual(server.queries[-1]["chassis"], "GR86-001")
            self.assertEqual((server.queries[0]["chassis"], server.heard[0]["chassis"]), ("GR86-000", ["GR86-001"]))

    def test_subscription_refused(self) -> None:
        """What an address asks for in vain ends it, with the server's words."""
        with StreamServer() as server:

            async def watch() -> None:
                async with PitWallClient(server.url, subscribe=Subscription(max_hz=1000)) as client:
                    await client.receive()

            with self.assertRaises(RefusedError) as caught:
                bounded(watch)
            self.assertIn("max_hz is 1000, wanted 0.1 to 100", str(caught.exception))

    def test_packed(self) -> None:
        """Every message has the same content as MessagePack as it has as JSON, and a server without it sends that."""
        told = []
        for encoding, knows_since in (("json", True), ("msgpack", True), ("msgpack", False)):
            with StreamServer(knows_since=knows_since) as server:
                server.publish(3)

                async def watch(server: StreamServer = server, encoding: str = encoding) -> list[Message]:
                    async with PitWallClient(server.url, snapshot=True, encoding=encoding) as client:
                        waiting = asyncio.ensure_future(client.receive())
                        await asyncio.to_thread(wait_for, "a client", lambda: server.clients)
                        await asyncio.to_thread(server.publish, 4, insight=True)
                        messages = [await waiting]
                        messages += await collect(client, last("insight_update"))
                        return [message for message in messages if message is not None]

                told.append([dict(message.content) for message in bounded(watch)])
        self.assertEqual([content["type"] for content in told[0]], ["snapshot", "telemetry_update", "insight_update"])
        self.assertEqual(told[1], told[0])
        self.assertEqual(told[2], told[0][1:])

    def test_overwritten(self) -> None:
        """What the server no longer holds when the client is back is told as a gap."""
        with StreamServer(ring=10) as server:

            async def watch() -> tuple[list[Message], PitWallClient]:
                async with PitWallClient(server.url, since=Position("first", 2, 0), backoff=quick()) as client:
                    return await collect(client, lambda got: len(numbers(got)) >= 10), client

            server.publish(50)
            messages, client = bounded(watch)
            self.assertEqual([m.type for m in messages[:2]], ["resumed", "gap"])
            self.assertEqual(numbers(messages), list(range(41, 51)))
            self.assertEqual((messages[0].recovered, client.counters.points_lost), (False, 38))

    def test_restart(self) -> None:
        """After a restart of the server all points of its new epoch come, those before the client was back too."""
        with StreamServer() as server:

            async def watch() -> tuple[list[Message], PitWallClient]:
                async with PitWallClient(server.url, snapshot=True, backoff=quick()) as client:
                    first = await collect(client, lambda got: bool(got))
                    await asyncio.to_thread(server.publish, 3)
                    first += await collect(client, lambda got: len(numbers(got)) == 3)
                    await asyncio.to_thread(server.restart, "second", 7)
                    return first + await collect(client, lambda got: len(numbers(got)) == 7), client

            messages, client = bounded(watch)
            self.assertEqual(numbers(messages), [1, 2, 3, 1, 2, 3, 4, 5, 6, 7])
            self.assertEqual((client.counters.gaps, client.counters.unknown_gaps), (1, 1))
            self.assertEqual(client.position, Position("second", 7, 0))

    def test_cancelled(self) -> None:
        """Waiting for a message may be given up at any time; none is lost by it."""
        with StreamServer(breaks=5) as server:

            async def watch() -> list[int]:
                got: list[int] = []
                async with PitWallClient(server.url, since=Position("first", 0, 0), backoff=quick()) as client:
                    while len(got) < 300:
                        try:
                            message = await asyncio.wait_for(client.receive(), 0.003)
                        except TimeoutError:
                            await asyncio.to_thread(server.publish, 5)
                            continue
                        assert message is not None
                        got += numbers([message])
                return got

            got = bounded(watch)
            self.assertEqual(got, list(range(1, len(got) + 1)))

    def test_close(self) -> None:
        """Closing ends the iteration of whoever waits, connected or between two tries."""
        with StreamServer() as server:
            for url in (server.url, f"ws://127.0.0.1:{free_port()}"):

                async def watch(url: str = url) -> int:
                    client = PitWallClient(url, backoff=Backoff(50, 50))
                    asyncio.get_running_loop().call_later(0.1, lambda: asyncio.ensure_future(client.close()))
                    return len([message async for message in client])

                self.assertEqual(bounded(watch), 0)

    def test_refused(self) -> None:
        """A server that says no ends it, with its reason; one that can't just now is tried again."""
        with StreamServer() as server:
            told: list[str] = []

            async def watch() -> None:
                async with PitWallClient(server.url, tell=told.append, backoff=quick()) as client:
                    await client.receive()

            server.refuse = 503
            Timer(0.3, setattr, (server, "refuse", 403)).start()
            with self.assertRaises(RefusedError) as caught:
                bounded(watch)
            self.assertIn("answered 403: not you", str(caught.exception))
            self.assertGreater(len(told), 3)
            self.assertIn("answered 503: not you; trying again in 0.0 s", told[0])

    def test_no_pitwall(self) -> None:
        """A WebSocket that is no PitWall's is found out."""
        with StreamServer() as server:

            async def watch() -> None:
                async with PitWallClient(server.url) as client:
                    await client.receive()

            Timer(0.3, server.do, (lambda: server.say("[1]"),)).start()
            with self.assertRaises(StreamError):
                bounded(watch)

    def test_real_server(self) -> None:
        """With the real server every point comes, over one connection."""
        point = {"track": "barber", "chassis": "GR86-001"}
        with running() as server:

            async def watch() -> tuple[list[Message], PitWallClient]:
                async with PitWallClient(f"http://127.0.0.1:{server.port}") as client:
                    feed = asyncio.ensure_future(asyncio.to_thread(post_often))
                    messages = await collect(client, lambda got: len(numbers(got)) > 20)
                    await feed
                    return messages, client

            def post_often() -> None:
                for n in range(100):
                    server.post({**point, "n": n})

            messages, client = bounded(watch)
            got = numbers(messages)
            self.assertEqual(got, list(range(got[0], got[0] + len(got))))
            self.assertEqual((client.counters.gaps, client.counters.connections), (0, 1))
