"""A small server that speaks PitWall's stream, and breaks connections when it is told to."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets import Subprotocol
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from tests.end_to_end.stream_clients import PACKED, Client, asked, asked_by, encoded

START = datetime(2025, 9, 6, 18, 42, tzinfo=UTC)


class StreamServer:
    """
    Points that say their number, ``n`` from 1 on, over loopback, from a thread of its own.

    Args:
        ring: how many points it keeps.
        chance: where the sizes of its messages, and the moments of its failures, come from.
        breaks: how many connections to break at random moments.
        files: what to answer to plain requests, by path: a content type and a body.
        knows_since: whether it knows any questions at all, those of resumption or others.

    Attributes:
        epoch: the run it claims to be; to be changed from :meth:`do`.
        queries: what was asked for, by connection.
        heard: the messages of all clients.
        clients: the connections.
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
        self.heard: list[dict[str, Any]] = []
        self.clients: dict[ServerConnection, Client] = {}
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
        for client in self.clients.values():
            client.waiting.append(text)

    async def _serve(self) -> None:
        options: dict[str, Any] = {"process_request": self._answer, "close_timeout": 0.2, "compression": None}
        if self._knows_since:
            options |= {"subprotocols": [PACKED], "select_subprotocol": self._choose}
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
        try:
            asked_by(_query(request))
        except ValueError as error:
            return connection.respond(HTTPStatus.BAD_REQUEST, json.dumps({"ok": False, "error": str(error)}))
        return None

    def _choose(self, connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return PACKED if PACKED in offered else None

    async def _follow(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        query = _query(connection.request)
        self.queries.append(query)
        client = Client(connection.subprotocol == PACKED, told=self.seq, considered=self.seq)
        self.clients[connection] = client
        if self._knows_since:
            client.wanted = asked_by(query)
            self._greet(query, client)
        listening = asyncio.create_task(self._listen(connection, client))
        breaks_at = asyncio.get_running_loop().time() + self._chance.uniform(0, 0.02) if self.breaks_left else None
        try:
            while connection.state is State.OPEN:
                while client.waiting:
                    await connection.send(encoded(client.waiting.pop(0), client.packed))
                if breaks_at is not None and asyncio.get_running_loop().time() >= breaks_at:
                    await self._break(connection)
                    return
                await asyncio.sleep(0.001)
        except ConnectionClosed:
            pass
        finally:
            listening.cancel()
            del self.clients[connection]

    async def _listen(self, connection: ServerConnection, client: Client) -> None:
        try:
            async for text in connection:
                said = json.loads(text)
                self.heard.append(said)
                if said["type"] == "subscribe" and self._knows_since:
                    self._subscribe(said, client)
        except ConnectionClosed:
            pass

    def _subscribe(self, said: dict[str, Any], client: Client) -> None:
        try:
            client.wanted = asked(said)
        except ValueError as error:
            client.waiting.append({"type": "error", "request": "subscribe", "error": str(error)})
        else:
            client.told = client.considered = self.seq
            self._confirm(client)

    def _confirm(self, client: Client) -> None:
        client.waiting.append({"type": "subscribed", "epoch": self.epoch, "seq": client.told, **(client.wanted or {})})

    async def _break(self, connection: ServerConnection) -> None:
        self.breaks_left -= 1
        code = self._chance.choice((None, None, None, 1001, 4008, 4009))
        if code is None:
            connection.transport.abort()
        else:
            await connection.close(code)

    def _greet(self, query: dict[str, str], client: Client) -> None:
        if "since" in query:
            epoch, _, since = query["since"].partition(":")
            self._resume(epoch, int(since), query.get("insight_seq"), client)
        elif "snapshot" in query:
            newest = [self._point(self.seq)] if self.seq else []
            numbers = {"epoch": self.epoch, "seq": self.seq, "insight_seq": self.insight_seq}
            client.waiting.append({"type": "snapshot", **numbers, "data": newest, "insight": None})
            if client.wanted is not None:
                self._confirm(client)

    def _resume(self, epoch: str, since: int, insight_seq: str | None, client: Client) -> None:
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
        client.waiting.append({"type": "resumed", **numbers, "recovered": gap is None})
        if gap is not None:
            client.waiting.append({"type": "gap", "epoch": self.epoch, **gap})
        client.told = client.considered = start
        if client.wanted is not None:
            self._confirm(client)
        while start < self.seq:
            size = min(self._chance.randint(1, 40), self.seq - start)
            self._tell(start, size, client)
            start += size
        if same and insight_seq is not None and client.wants("insight_update"):
            client.waiting.extend(map(self._insight, range(int(insight_seq) + 1, self.insight_seq + 1)))

    def _publish(self, points: int, insight: bool) -> None:
        start, self.seq = self.seq, self.seq + points
        self.insight_seq += insight
        for client in self.clients.values():
            if points:
                self._tell(start, points, client)
            if insight and client.wants("insight_update"):
                client.waiting.append(self._insight(self.insight_seq))

    def _tell(self, start: int, size: int, client: Client) -> None:
        """The message of the points after one; none where a client wants none of them."""
        if start != client.considered:  # it was skipped ahead
            client.told = start
        client.considered = start + size
        wanted = client.wanted or {}
        data = [self._point(n) for n in range(start + 1, start + size + 1)]
        for name in ("chassis", "track"):
            data = [point for point in data if point[name] in wanted.get(name, [point[name]])]
        if not client.wants("telemetry_update") or not data:
            return
        numbers = {"epoch": self.epoch, "seq": start + size, "prev": client.told}
        thinned = {}
        if "max_hz" in wanted:
            cars = [[point for point in data if point["chassis"] == name] for name in ("GR86-000", "GR86-001")]
            cars = sorted(filter(None, cars), key=lambda points: points[-1]["n"])
            ranges = [{"n": [points[0]["n"], points[-1]["n"]]} if points[1:] else {} for points in cars]
            thinned = {"conflated": len(data) - len(cars), "counts": list(map(len, cars)), "ranges": ranges}
            data = [points[-1] for points in cars]
        kept = ("meta_time", "track", "chassis", *wanted.get("channels", data[0]))
        data = [{name: value for name, value in point.items() if name in kept} for point in data]
        client.told = start + size
        client.waiting.append({"type": "telemetry_update", **numbers, **thinned, "data": data})

    def _point(self, n: int) -> dict[str, Any]:
        at = (START + timedelta(milliseconds=n)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"meta_time": at, "track": "barber", "chassis": f"GR86-00{n % 2}", "lap": 3, "speed_kmh": 141.0, "n": n}

    def _insight(self, number: int) -> dict[str, Any]:
        said = [{"type": "tire_wear", "severity": "low", "chassis": "GR86-001", "track": "barber", "message": "worn"}]
        content = {"data": [], "gaps": [], "insights": said, "meta": {"vehicle_count": 0}}
        return {"type": "insight_update", "epoch": self.epoch, "insight_seq": number, **content}


def _query(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
