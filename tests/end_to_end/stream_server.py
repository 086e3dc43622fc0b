"""A small server that speaks PitWall's stream with its resumption, and breaks connections when it is told to."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from http import HTTPStatus
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State


class StreamServer:
    """
    Points that say their number, ``n`` from 1 on, over loopback, from a thread of its own.

    Args:
        ring: how many points it keeps.
        chance: where the sizes of its messages, and the moments of its failures, come from.
        breaks: how many connections to break at random moments.
        files: what to answer to plain requests, by path: a content type and a body.
        knows_since: whether it knows the questions of resumption at all.

    Attributes:
        epoch: the run it claims to be; to be changed from :meth:`do`.
        queries: what was asked for, by connection.
        clients: the connections, each with what is still to be sent.
        refuse: the status to refuse further connections with; 0 takes them.
    """

    def __init__(
        self,
        ring: int = 100_000,
        chance: random.Random | None = None,
        breaks: int = 0,
        files: dict[str, tuple[str, bytes]] | None = None,
        knows_since: bool = True,
    ) -> None:
        self.port = 0
        self.epoch = "first"
        self.queries: list[dict[str, str]] = []
        self.refuse = 0
        self.breaks_left = breaks
        self.seq = self.insight_seq = 0
        self._ring = ring
        self._chance = random.Random(1) if chance is None else chance
        self._files = files or {}
        self._knows_since = knows_since
        self.clients: dict[ServerConnection, list[str]] = {}
        self._up = Event()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._up.wait(10):
            raise AssertionError("the server did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        """Where its stream is."""
        return f"ws://127.0.0.1:{self.port}/ws/realtime"

    def do(self, work: Callable[[], object]) -> None:
        """Have something done between two messages, and wait for it."""

        async def in_loop() -> None:
            work()

        asyncio.run_coroutine_threadsafe(in_loop(), self._loop).result(10)

    def publish(self, points: int, insight: bool = False) -> None:
        """Send points, and an insight_update if wanted, to all clients."""
        self.do(lambda: self._publish(points, insight))

    def restart(self, epoch: str, points: int) -> None:
        """Break all connections, forget everything, and take points before anybody is back."""

        def anew() -> None:
            self.drop()
            self.epoch, self.seq, self.insight_seq = epoch, 0, 0
            self._publish(points, False)

        self.do(anew)

    def drop(self) -> None:
        """Break all connections; from :meth:`do`."""
        for client in self.clients:
            client.transport.abort()

    def skip(self, points: int) -> None:
        """Let points go by that nobody is sent, as for clients that are too slow."""
        self.seq += points

    def say(self, text: str) -> None:
        """Send a text to all clients; from :meth:`do`."""
        for waiting in self.clients.values():
            waiting.append(text)

    async def _serve(self) -> None:
        options: dict[str, Any] = {"process_request": self._answer, "close_timeout": 0.2, "compression": None}
        async with serve(self._follow, "127.0.0.1", 0, **options) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            self._up.set()
            await self._end.wait()
            self.drop()

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        found = self._files.get(urlsplit(request.path).path)
        if found is not None:
            head = Headers({"Content-Type": found[0], "Content-Length": str(len(found[1])), "Connection": "close"})
            return Response(200, "OK", head, found[1])
        if "Upgrade" not in request.headers:
            return connection.respond(HTTPStatus.NOT_FOUND, "no such path")
        if self.refuse:
            return connection.respond(HTTPStatus(self.refuse), json.dumps({"ok": False, "error": "not you"}))
        return None

    async def _follow(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        query = {name: values[0] for name, values in parse_qs(urlsplit(connection.request.path).query).items()}
        self.queries.append(query)
        waiting: list[str] = []
        self.clients[connection] = waiting
        if self._knows_since:
            self._greet(query, waiting)
        breaks_at = asyncio.get_running_loop().time() + self._chance.uniform(0, 0.02) if self.breaks_left else None
        try:
            while connection.state is State.OPEN:
                while waiting:
                    await connection.send(waiting.pop(0))
                if breaks_at is not None and asyncio.get_running_loop().time() >= breaks_at:
                    await self._break(connection)
                    return
                await asyncio.sleep(0.001)
        except ConnectionClosed:
            pass
        finally:
            del self.clients[connection]

    async def _break(self, connection: ServerConnection) -> None:
        self.breaks_left -= 1
        code = self._chance.choice((None, None, None, 1001, 4008, 4009))
        if code is None:
            connection.transport.abort()
        else:
            await connection.close(code)

    def _greet(self, query: dict[str, str], waiting: list[str]) -> None:
        if "since" in query:
            epoch, _, since = query["since"].partition(":")
            self._resume(epoch, int(since), query.get("insight_seq"), waiting)
        elif "snapshot" in query:
            newest = [self._point(self.seq)] if self.seq else []
            numbers = {"epoch": self.epoch, "seq": self.seq, "insight_seq": self.insight_seq}
            waiting.append(json.dumps({"type": "snapshot", **numbers, "data": newest, "insight": None}))

    def _resume(self, epoch: str, since: int, insight_seq: str | None, waiting: list[str]) -> None:
        oldest = max(self.seq - self._ring + 1, 1)
        same = epoch == self.epoch
        gap: dict[str, Any] | None = None
        start = since if same else self.seq
        if not same:
            gap = {"first": None, "last": None, "points": None, "reason": "other_epoch"}
        elif since + 1 < oldest:
            start = oldest - 1
            gap = {"first": since + 1, "last": start, "points": start - since, "reason": "overwritten"}
        numbers = {"epoch": self.epoch, "seq": start, "insight_seq": self.insight_seq}
        waiting.append(json.dumps({"type": "resumed", **numbers, "recovered": gap is None}))
        if gap is not None:
            waiting.append(json.dumps({"type": "gap", "epoch": self.epoch, **gap}))
        while start < self.seq:
            size = min(self._chance.randint(1, 40), self.seq - start)
            waiting.append(self._telemetry(start, size))
            start += size
        if same and insight_seq is not None:
            waiting.extend(map(self._insight, range(int(insight_seq) + 1, self.insight_seq + 1)))

    def _publish(self, points: int, insight: bool) -> None:
        said = [self._telemetry(self.seq, points)] if points else []
        self.seq += points
        if insight:
            self.insight_seq += 1
            said.append(self._insight(self.insight_seq))
        for waiting in self.clients.values():
            waiting.extend(said)

    def _telemetry(self, prev: int, points: int) -> str:
        data = [self._point(n) for n in range(prev + 1, prev + points + 1)]
        numbers = {"epoch": self.epoch, "seq": prev + points, "prev": prev}
        return json.dumps({"type": "telemetry_update", **numbers, "data": data})

    def _point(self, n: int) -> dict[str, Any]:
        return {"track": "barber", "chassis": f"GR86-00{n % 2}", "lap": 3, "speed_kmh": 141.0, "n": n}

    def _insight(self, number: int) -> str:
        said = [{"type": "tire_wear", "severity": "low", "chassis": "GR86-001", "track": "barber", "message": "worn"}]
        content = {"data": [], "gaps": [], "insights": said, "meta": {"vehicle_count": 0}}
        return json.dumps({"type": "insight_update", "epoch": self.epoch, "insight_seq": number, **content})
