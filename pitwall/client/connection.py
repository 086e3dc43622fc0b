"""
A client of the WebSocket that comes back by itself.

It reads at the pace of its user: whoever takes longer than the cars send is behind,
the server notices, and skips ahead or closes (4008, 4009). Either way the client
goes on and says what is missing.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from pitwall.client import packed
from pitwall.client.backoff import Backoff
from pitwall.client.stream import Counters, Message, Position, Stream, StreamError
from pitwall.client.subscription import Subscribing, Subscription

DEFAULT_URL = "ws://localhost:8081/ws/realtime"

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_CLOSED_BECAUSE = {
    1001: "it is going away",
    4001: "the key was removed",
    4008: "this client is too slow",
    4009: "this client has stalled",
}
#: What a server, or a proxy before it, answers while it can't just now; any other 4xx will not change.
_WORTH_A_TRY = {408, 425, 429}


class ClientError(Exception):
    """The stream can't be had."""


class RefusedError(ClientError):
    """The server does not let this client in, and will not; the message says why."""


class PitWallClient:
    """
    The stream of a server, over as many connections as it takes.

    ::

        async with PitWallClient("ws://localhost:8081") as client:
            async for message in client:
                for point in message.points: ...

    Args:
        url: ``ws:``, ``wss:``, ``http:`` or ``https:``; the path is /ws/realtime where it has none.
        since: where to begin, such as the position of a message seen by an earlier client; by default now.
        snapshot: whether to begin with a ``snapshot``, the newest point of each car.
        resume: whether to get after a break what was missed; else it goes on with what is newest, and says the gap.
        subscribe: what to ask for, on every connection; by default for nothing, which gets every point and insight.
        encoding: ``msgpack`` is half the bytes of ``json`` on the way, and needs the package of that name. Messages
            have the same content; a ``meta_time`` is then always in UTC.
        backoff: the pauses between tries.
        tell: is told in a sentence when a connection is lost or can't be had, and when there is one again.
        options: for ``websockets.connect``, such as ``additional_headers``, ``ssl`` or ``ping_interval``.

    Raises:
        ClientError: the package for the encoding is missing.
        ValueError: the URL, the subscription or the encoding is none.

    Attributes:
        position: where the stream is after the last message that was handed out.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        since: Position | None = None,
        snapshot: bool = False,
        resume: bool = True,
        subscribe: Subscription | None = None,
        encoding: str = "json",
        backoff: Backoff | None = None,
        tell: Callable[[str], object] | None = None,
        **options: Any,
    ) -> None:
        self.position = since
        self._url = websocket_url(url)
        self._stream = Stream(since, resume, snapshot)
        self._subscribing = Subscribing(None if subscribe is None else subscribe.checked())
        self._backoff = Backoff() if backoff is None else backoff
        self._tell = (lambda _: None) if tell is None else tell
        self._options = {"max_size": None, **options}
        self._unpack = _unpacker(encoding)
        if self._unpack is not None:
            self._options["subprotocols"] = [packed.SUBPROTOCOL]
        self._connection: ClientConnection | None = None
        self._connected_at = 0.0
        self._not_before = 0.0
        self._in_trouble = False
        self._ready: deque[Message] = deque()
        self._closed = asyncio.Event()

    @property
    def counters(self) -> Counters:
        """What has come and what has not."""
        return self._stream.counters

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        message = await self.receive()
        if message is None:
            raise StopAsyncIteration
        return message

    async def receive(self) -> Message | None:
        """
        The next message; None once the client is closed. It may be cancelled, and nothing is lost by that.

        Raises:
            RefusedError: the server answered with a status that says it is no use to try again.
            StreamError: what came is no message of PitWall.
        """
        while not self._closed.is_set():
            if self._ready:
                message = self._ready.popleft()
                self.position = message.position
                return message
            if self._stream.again:
                await self._drop()
            if self._connection is None:
                await self._connect()
                continue
            try:
                await self._say(self._connection)
                payload = await self._connection.recv()
            except ConnectionClosed as error:
                self._lost(error)
                continue
            messages = self._stream.take(self._parsed(payload))
            for message in messages:
                try:
                    self._subscribing.answered(message.content)
                except (TypeError, ValueError) as error:
                    raise StreamError(f"no answer of PitWall: {str(error)[:80]!a}") from error
            self._ready.extend(messages)
        return None

    async def subscribe(self, subscription: Subscription) -> None:
        """
        Ask for something else from now on, on further connections too; it replaces all that was asked for before.

        The answer is handed out among the messages: ``subscribed``, after which the new one holds, or ``error``
        with the ``request`` ``subscribe``, after which the last one goes on to hold.

        Raises:
            ValueError: it is none.
        """
        self._subscribing.wanted = subscription.checked()
        if self._connection is not None:
            # Whoever receives will see that it is closed; the next connection asks for it.
            with suppress(ConnectionClosed):
                await self._say(self._connection)

    async def close(self) -> None:
        """End the stream; whoever waits for a message gets none."""
        self._closed.set()
        await self._drop()

    async def _connect(self) -> None:
        wait_s = self._not_before - time.monotonic()
        if wait_s > 0:
            try:
                await asyncio.wait_for(self._closed.wait(), wait_s)
            except TimeoutError:
                pass
            else:
                return
        query, about = self._stream.query(), self._subscribing.connecting()
        # A subscription is in place of all that the URL asks for.
        url = with_query(self._url, {**query, **about}, Subscription._fields if about else ())
        try:
            connection = await connect(url, **self._options)
        except InvalidStatus as error:
            status = error.response.status_code
            if 400 <= status < 500 and status not in _WORTH_A_TRY:
                raise RefusedError(f"{self._url} answered {status}{_reason(error.response.body)}") from error
            self._failed(f"{self._url} answered {status}{_reason(error.response.body)}")
            return
        except ssl.SSLCertVerificationError as error:
            raise RefusedError(f"{self._url}: {error.verify_message}") from error
        except (OSError, TimeoutError, InvalidHandshake) as error:
            self._failed(f"can't reach {self._url}: {str(error) or type(error).__name__}")
            return
        if self._closed.is_set():  # while it was being made
            await connection.close()
            return
        self._connection = connection
        self._connected_at = time.monotonic()
        self.counters.connections += 1
        if self._in_trouble:
            self._in_trouble = False
            self._tell(f"connected to {self._url}")

    async def _say(self, connection: ClientConnection) -> None:
        """Ask for what is wanted, if this connection has not yet; cancelled halfway, it is asked for again."""
        wanted = self._subscribing.unsaid
        if wanted is not None:
            await connection.send(wanted.message())
            self._subscribing.said(wanted)

    def _parsed(self, payload: str | bytes) -> Any:
        """A message by its form: a server that knows no other than JSON does not choose the subprotocol."""
        if isinstance(payload, bytes) and self._unpack is not None:
            return self._unpack(payload)
        try:
            return json.loads(payload)
        except (ValueError, RecursionError):
            return None  # which the stream takes for no message, and says so

    def _lost(self, error: ConnectionClosed) -> None:
        self._connection = None
        self._backoff.stood(time.monotonic() - self._connected_at)
        if self._closed.is_set():
            return
        code = None if error.rcvd is None else error.rcvd.code
        why = "the connection broke" if code is None else _CLOSED_BECAUSE.get(code, "it closed the connection")
        self._failed(f"lost {self._url}: {why}" + ("" if code is None else f" ({code})"))

    def _failed(self, sentence: str) -> None:
        delay_s = self._backoff.delay()
        self._not_before = time.monotonic() + delay_s
        self._in_trouble = True
        self._tell(f"{sentence}; trying again in {delay_s:.1f} s")

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def websocket_url(url: str) -> str:
    """
    The URL of the WebSocket of a server.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.fragment:
        raise ValueError(f"{url!a} is no server, wanted a URL such as {DEFAULT_URL}")
    path = "/ws/realtime" if parts.path in ("", "/") else parts.path
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, parts.query, ""))


def with_query(url: str, query: Mapping[str, str], replaced: Collection[str] = ()) -> str:
    """The URL with these parameters, in place of its own of the same names and of those that are replaced."""
    parts = urlsplit(url)
    asked = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in query and name not in replaced
    ]
    return urlunsplit(parts._replace(query=urlencode([*asked, *query.items()], safe=":,")))


def _unpacker(encoding: str) -> Callable[[bytes], Any] | None:
    if encoding == "json":
        return None
    if encoding != "msgpack":
        raise ValueError(f"encoding is {encoding!a}, wanted json or msgpack")
    try:
        return packed.unpacker()
    except ModuleNotFoundError as error:
        raise ClientError("the encoding msgpack needs the package msgpack: pip install msgpack") from error


def _reason(body: bytes | bytearray | None) -> str:
    """What PitWall says in an error, if it does."""
    try:
        said = json.loads(body or b"")["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return f": {said}"
