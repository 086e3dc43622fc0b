"""An import: recordings one after the other, each in order, and what became of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from pitwall.importer.batches import Batch, BatchSize, batches
from pitwall.importer.courier import Courier, InterruptedSendError, SendError, ServerLostError
from pitwall.importer.follow import FollowedFile
from pitwall.importer.formats import ReadError, read_error
from pitwall.importer.sources import Source
from pitwall.importer.tally import Answer, Tally

#: How often a followed file is looked at [s].
POLL_S = 0.5
#: How long an interrupt waits for the answer to what was sent [s].
_GOODBYE_S = 2.0
_T = TypeVar("_T")


class InThread(Protocol):
    """Has something done that may block, and gives what it returned."""

    def __call__(self, work: Callable[[], _T], /) -> Deferred[_T]:
        """Do it."""


class Screen(Protocol):
    """What the user sees while an import runs."""

    def begin(self, source: Source) -> None:
        """A file is begun."""

    def progress(self, source: Source, read_bytes: int, rows: int) -> None:
        """So much of it has been read, and so many rows more were answered for."""

    def tell(self, sentence: str) -> None:
        """Something is to be said."""


class Session:
    """
    Sends recordings.

    Args:
        courier: brings batches to the server.
        size: how large a batch may be.
        said: what to say with every batch: the track and the car, where the user knows them.
        in_thread: reads, which may block.
        clock: for waiting times.
        screen: shows how far it is.

    Attributes:
        tallies: what became of each file so far, in order.
        lost: why the server was given up; empty where it was not.
        interrupted: whether the user ended it.
    """

    def __init__(
        self,
        courier: Courier,
        size: BatchSize,
        said: dict[str, str],
        in_thread: InThread,
        clock: IReactorTime,
        screen: Screen,
    ) -> None:
        self._courier = courier
        self._size = size
        self._said = said
        self._in_thread = in_thread
        self._clock = clock
        self._screen = screen
        self._work: Deferred[None] | None = None
        self.tallies: list[Tally] = []
        self.lost = ""
        self.interrupted = False

    @property
    def ok(self) -> bool:
        """Whether all of all files was sent and nothing refused."""
        return not self.lost and all(tally.ok for tally in self.tallies)

    async def send(self, sources: Sequence[Source]) -> None:
        """Send recordings, one after the other; ends early when the server is lost or the user wants no more."""
        await self._run(self._send_all(sources))

    async def follow(self, sources: Sequence[Source]) -> None:
        """Send files, then what is appended to them, until the user wants no more or none of them can be read."""
        await self._run(self._follow_all(sources))

    def interrupt(self) -> None:
        """End soon: what was sent is answered for first, unless that takes long."""
        patient = self._courier.busy and not self.interrupted
        self.interrupted = self._courier.stopped = True
        if self._work is not None:
            if patient:
                self._clock.callLater(_GOODBYE_S, self._work.cancel)
            else:
                self._work.cancel()

    async def _run(self, work: Any) -> None:
        self._work = Deferred.fromCoroutine(work)
        try:
            await self._work
        except (CancelledError, InterruptedSendError):
            self.interrupted = True
        except ServerLostError as error:
            self.lost = str(error)

    async def _send_all(self, sources: Sequence[Source]) -> None:
        for number, source in enumerate(sources, 1):
            tally = Tally(source.label)
            self.tallies.append(tally)
            self._screen.begin(source)
            try:
                await self._send(source, tally)
            except (ReadError, SendError) as error:
                tally.error = str(error)
            except (ServerLostError, InterruptedSendError, CancelledError):
                tally.error = "not sent to its end"
                self.tallies += [Tally(left.label, error="not sent") for left in sources[number:]]
                raise

    async def _send(self, source: Source, tally: Tally) -> None:
        """Send one recording, reading ahead while the server is at work."""
        try:
            raw = await self._in_thread(source.open)
        except OSError as error:
            raise read_error(error) from None
        found = batches(raw, source.name, self._size)
        params = self._params(source, upload=True)
        ahead = self._in_thread(partial(next, found, None))
        try:
            while (item := await ahead) is not None:
                batch, last = item
                ahead = self._in_thread(partial(next, found, None))
                await self._deliver(source, batch, params, tally, last)
                if self._courier.stopped and not last:
                    await self._deliver(source, batch.without_rows(), params, tally, last=True)
                    raise InterruptedSendError
        finally:
            # What is read in vain, or fails, is of no interest any more.
            ahead.addErrback(lambda _: None)

    async def _follow_all(self, sources: Sequence[Source]) -> None:
        following = []
        for source in sources:
            tally = Tally(source.label)
            self.tallies.append(tally)
            self._screen.begin(source)
            file = FollowedFile(source.path, source.name, self._size)
            upload = self._params(source, upload=True)
            if await self._catch_up(source, file, upload, tally):
                closing = file.closing()
                if closing is not None:
                    await self._deliver(source, closing, upload, tally, last=True)
                following.append((source, file, tally))
        while following and not self._courier.stopped:
            await deferLater(self._clock, POLL_S)
            following = [
                (source, file, tally)
                for source, file, tally in following
                if await self._catch_up(source, file, self._params(source), tally)
            ]

    async def _catch_up(self, source: Source, file: FollowedFile, params: dict[str, str], tally: Tally) -> bool:
        """Send what a file has now; returns whether to go on with it."""
        try:
            while not self._courier.stopped and (batch := await self._in_thread(file.take)) is not None:
                if batch.rows or "upload" in params:  # a header alone is refused as nothing
                    await self._deliver(source, batch, params, tally)
        except (ReadError, SendError) as error:
            tally.error = str(error)
            self._screen.tell(f"{source.label}: {error}")
            return False
        return True

    async def _deliver(
        self, source: Source, batch: Batch, params: dict[str, str], tally: Tally, last: bool = False
    ) -> None:
        def took(part: Batch, answer: Answer) -> None:
            tally.add(answer, part.first_row)
            self._screen.progress(source, part.read_bytes, answer.rows)

        await self._courier.deliver(batch, params, took, last)

    def _params(self, source: Source, upload: bool = False) -> dict[str, str]:
        params = {"name": source.name, **self._said}
        return {"upload": secrets.token_hex(8), **params} if upload else params
