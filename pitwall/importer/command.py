"""What ``pitwall import`` does, once its arguments are read: everything put together, and in the end the status."""

from __future__ import annotations

import argparse
import random
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from threading import Thread
from typing import Any, NoReturn, TypeVar

import msgspec
import treq
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from twisted.web.client import HTTPConnectionPool

from pitwall.importer.batches import BatchSize
from pitwall.importer.courier import Courier
from pitwall.importer.screen import complain, plain_console, print_tables, shown
from pitwall.importer.session import Session
from pitwall.importer.sources import Source, find_sources
from pitwall.importer.tally import report

_T = TypeVar("_T")


class Interrupts:
    """
    SIGINT and SIGTERM end what is going on, not the process.

    Args:
        reactor: its thread is told.

    Attributes:
        number: which signal came; 0 where none did.
        end: ends what is going on.
    """

    def __init__(self, reactor: Any, end: Callable[[], object]) -> None:
        self._reactor = reactor
        self.number = 0
        self.end = end

    def install(self) -> None:
        """Take the signals over; the reactor, which takes SIGTERM when it starts, must be running."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: self._reactor.callFromThread(self._caught, number))

    def _caught(self, number: int) -> None:
        self.number = number
        self.end()


async def run(reactor: Any, arguments: argparse.Namespace) -> NoReturn:
    """
    Import what the arguments say.

    Raises:
        SystemExit: always, with the status of the process.
    """
    await deferLater(reactor, 0)
    threads = _reading_pool()
    size = BatchSize(arguments.batch_bytes)
    said = {name: value for name in ("track", "chassis") if (value := getattr(arguments, name))}
    connections = HTTPConnectionPool(reactor, persistent=True)
    post = partial(treq.post, pool=connections)

    def in_thread(work: Callable[[], _T], /) -> Deferred[_T]:
        found: Deferred[_T] = deferToThreadPool(reactor, threads, work)
        return found

    looking = in_thread(partial(find_sources, arguments.files, arguments.endpoint_url))
    interrupts = Interrupts(reactor, looking.cancel)
    interrupts.install()
    try:
        sources: Sequence[Source] = await looking
    except CancelledError:
        raise SystemExit(128 + interrupts.number) from None
    with shown(sources, arguments.quiet, endless=arguments.follow) as screen:
        chance = random.Random()
        courier = Courier(
            post, arguments.server, reactor, chance, arguments.retry_seconds, size, screen.tell, arguments.key
        )
        session = Session(courier, size, said, in_thread, reactor, screen)
        interrupts.end = session.interrupt
        await (session.follow(sources) if arguments.follow else session.send(sources))
    ended_by = 0 if arguments.follow else interrupts.number
    status = 128 + ended_by if ended_by else int(not session.ok)
    say(session, arguments, status)
    raise SystemExit(status)


def say(session: Session, arguments: argparse.Namespace, status: int) -> None:
    """Say what became of it: on standard output the figures, on standard error what failed as a whole."""
    if arguments.json:
        content = report(session.tallies, ok=status == 0, error=session.lost)
        sys.stdout.write(msgspec.json.encode(content).decode() + "\n")
    elif not arguments.quiet:
        print_tables(plain_console(), session.tallies)
    sys.stdout.flush()
    for tally in session.tallies:
        if tally.error:
            complain(f"{tally.label}: {tally.error}")
    if session.lost:
        complain(session.lost)


def _reading_pool() -> ThreadPool:
    """A thread for what may block: a read of standard input, or of a bucket."""
    pool = ThreadPool(minthreads=0, maxthreads=1, name="pitwall-import")
    # It may hang as long as nobody types; a process that ends must not wait for it.
    pool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
    pool.start()
    return pool
