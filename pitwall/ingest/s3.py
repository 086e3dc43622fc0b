"""
The S3 door: the CSV objects of a bucket, looked at again and again.

boto3 blocks, so it has a thread of its own, the only one of a pool that is only
this door's. That thread fetches and cuts; rows are decoded and published in the
reactor's, some milliseconds at a time, and the thread waits until they are
taken and then as long again: whatever lies in the bucket, the cars come first.

Where a queue tells what was written, those objects are looked at as soon as it
does, beside the looks at the whole bucket: the same thread reads them, in turn.

A bucket that can't be read is one line in the log, and one more when it can be
read again; in between it is tried at growing intervals, and the other doors
never notice.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from pitwall.hub import Hub
from pitwall.ingest.s3progress import ProgressFile, ProgressTable, Store
from pitwall.ingest.s3queue import Notifications
from pitwall.ingest.s3reader import BucketReader, Look, Stopped, back_off
from pitwall.wire.points import PointDecoder
from pitwall.wire.tables import Table, Told
from pitwall.wire.tally import Tally

#: The file in STATE_DIR.
PROGRESS_FILE = "s3-progress.json"
#: How long the end waits for a request that is under way [s].
_GOODBYE_S = 1.0
#: The longest pause of the reading thread between two slices [s].
_LONGEST_PAUSE_S = 0.1
#: Instants that leave in one piece of work, some 2 ms.
_INSTANTS = 300


def s3_client(region: str, endpoint_url: str | None) -> Any:
    """
    Boto3's S3 client, with the credentials boto3 finds for itself.

    Any: boto3 makes its classes when it is called.
    """
    # Imported only where there is a bucket to read: they cost 30 MB.
    from boto3.session import Session
    from botocore.config import Config

    config = Config(
        connect_timeout=5,
        read_timeout=20,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=1,
        # A range has no checksum of its own, and other services than AWS refuse to be asked for one.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint_url else "auto"},
    )
    return Session().client("s3", region_name=region, endpoint_url=endpoint_url, config=config)


def lasting_client(region: str, endpoint_url: str | None) -> Any:
    """The client of a server, which keeps it as long as it runs."""
    client = s3_client(region, endpoint_url)
    # Its 50,000 objects would make each full collection of garbage, by whatever thread, 120 ms long instead of 25.
    gc.freeze()
    return client


def reading_pool() -> ThreadPool:
    """A pool with one thread, which does not keep the process alive."""
    pool = ThreadPool(minthreads=0, maxthreads=1, name="pitwall-s3")
    # A request may hang for half a minute; a process that ends must not wait for it.
    pool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
    return pool


class Handover:
    """
    Lets the reading thread have work done in the reactor's, one piece at a time.

    Args:
        reactor: its thread does the work.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._stopped = Event()
        self._answers: SimpleQueue[BaseException | float] = SimpleQueue()

    def check(self) -> None:
        """
        Nothing, as long as reading is to go on.

        Raises:
            Stopped: it is to end.
        """
        if self._stopped.is_set():
            raise Stopped

    def __call__(self, work: Callable[..., float], *args: Any) -> float:
        """
        In the reading thread: have it done, wait for it, and leave the reactor as long again to others.

        Returns:
            What the work returned: how long it took [s].

        Raises:
            Stopped: it was not done, for reading is to end.
        """
        self.check()
        self._reactor.callFromThread(self._do, work, args)
        answer = self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        if answer > 0:
            self._stopped.wait(min(answer, _LONGEST_PAUSE_S))
        return answer

    def stop(self) -> None:
        """In the reactor's thread: nothing more is done from now on, and the reading thread waits no longer."""
        self._stopped.set()
        self._answers.put(Stopped())

    def _do(self, work: Callable[..., float], args: tuple[Any, ...]) -> None:
        if self._stopped.is_set():
            return
        try:
            self._answers.put(work(*args))
        except Exception as error:
            self._answers.put(error)


class S3Service(Service):
    """
    Publishes what is new in a bucket, from start to stop.

    Args:
        hub: gets the points.
        decoder: knows the vendor fields seen so far.
        reactor: waits, and takes calls from the reading thread.
        bucket: which one.
        prefix: of the keys that are read.
        poll_s: from one look to the next [s].
        region: of the bucket.
        endpoint_url: where another service than AWS is; None: AWS.
        state_dir: where progress is kept over a restart; None: nowhere.
        told: what is known beforehand of any row.
        queue: tells what was written, beside the looks; None: nothing does.
        connect: makes the client; by default boto3's.
        make_pool: makes a thread pool; the queue gets one of its own.
        store: keeps the progress; by default a file in ``state_dir``.
        chance: for the jitter of the back-off.

    Attributes:
        failing: whether the bucket, or an object of it, can't be read at the moment.
        objects_read: objects read to their end, since the start; those that grew, once more.
        rows_read: rows taken in, good or bad.
        errors: looks and objects that failed.
        pending: rows that are held to be put in order.
    """

    log = Logger()
    door = "s3"

    def __init__(
        self,
        hub: Hub,
        decoder: PointDecoder,
        reactor: Any,
        *,
        bucket: str,
        prefix: str,
        poll_s: float,
        region: str,
        endpoint_url: str | None,
        state_dir: str | None,
        told: Told,
        queue: Notifications | None = None,
        connect: Callable[[], Any] | None = None,
        make_pool: Callable[[], Any] = reading_pool,
        store: Store | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.failing = False
        self.objects_read = 0
        self.rows_read = 0
        self.errors = 0
        self.pending = 0
        self._hub = hub
        self._decoder = decoder
        self._reactor = reactor
        self._bucket = bucket
        self._prefix = prefix
        self._poll_s = poll_s
        self._told = told
        self._queue = queue
        self._connect = connect or partial(lasting_client, region, endpoint_url)
        self._make_pool = make_pool
        self._place = f"{endpoint_url or ''}/{bucket}"
        self._store = ProgressFile(Path(state_dir, PROGRESS_FILE)) if store is None and state_dir else store
        self._chance = chance or random.Random()
        self._waiting: Deferred[None] | None = None
        #: Whose rows are held.
        self._table: Table | None = None
        self._unlisted = ""

    def startService(self) -> None:
        """Look at the bucket now, and then again and again."""
        super().startService()
        self._handover = Handover(self._reactor)
        self._pool = self._make_pool()
        self._pool.start()
        self._reader = BucketReader(
            self._connect,
            self._bucket,
            self._prefix,
            ProgressTable(self._place, self._store, self._reactor.seconds),
            self._told,
            take=partial(self._handover, self._take),
            refuse=partial(self._handover, self._refuse),
            check=self._handover.check,
            clock=self._reactor.seconds,
            chance=self._chance,
        )
        self._one_at_a_time = DeferredLock()
        self._loop = LoopingCall(self._turn)
        self._loop.clock = self._reactor
        self._ended = self._loop.start(self._poll_s, now=True)
        if self._queue is not None:
            self._queue.start(self._look, self._make_pool())

    def stopService(self) -> Deferred[None]:
        """Read no more; fires when the reading thread has ended, or after a second if it hangs."""
        super().stopService()
        self._handover.stop()
        if self._queue is not None:
            self._queue.stop()
        gone: Deferred[None] = Deferred()

        def ended(_: Any) -> None:
            self._pool.stop()
            if not gone.called:
                gone.callback(None)

        self._ended.addBoth(lambda _: self._one_at_a_time.acquire())
        self._ended.addBoth(ended)
        self._loop.stop()
        if self._waiting is not None:
            self._waiting.cancel()
        if not gone.called:
            gone.addTimeout(_GOODBYE_S, self._reactor, onTimeoutCancel=lambda *_: None)
        return gone

    def figures(self) -> dict[str, Any]:
        """The attributes above, as health shows them, and those of the queue where there is one."""
        figures: dict[str, Any] = {
            "failing": self.failing,
            "objectsRead": self.objects_read,
            "rowsRead": self.rows_read,
            "errors": self.errors,
        }
        if self._queue is not None:
            figures["queue"] = self._queue.figures()
        return figures

    async def _turn(self) -> None:
        """One look; where it fails, further ones after ever longer waits."""
        delays: Iterator[float] = back_off(self._chance)
        try:
            while (await self._look()).failed and self.running:
                self._waiting = deferLater(self._reactor, next(delays))
                await self._waiting
        except CancelledError:
            pass  # stopped while it waited
        except Exception:
            # A LoopingCall ends for good with the first failure.
            self.log.failure("what a look at bucket {bucket} brought was lost", bucket=self._bucket)
        finally:
            self._waiting = None

    async def _look(self, keys: Collection[str] | None = None) -> Look:
        """One look, after the one that is under way: at these objects, or at the whole bucket."""
        try:
            look = await self._one_at_a_time.run(deferToThreadPool, self._reactor, self._pool, self._reader.look, keys)
        except Exception:
            self.log.failure("a look at bucket {bucket} failed unforeseen", bucket=self._bucket)
            look = Look(errors=1, failed="a fault of ours", left=set(keys or ()))
        self._put_back()
        self.objects_read += look.objects_read
        self.errors += look.errors
        if look.notes:
            self.log.warn(
                "S3 bucket {bucket}: {note} ({count} such)",
                bucket=self._bucket,
                note=look.notes[0],
                count=len(look.notes),
            )
        if keys is None:
            self._unlisted = look.failed
        trouble = look.trouble or self._unlisted  # objects that can be read do not make the listing well
        if bool(trouble) != self.failing:
            self.failing = not self.failing
            if self.failing:
                self.log.warn("S3 bucket {bucket} fails: {why}", bucket=self._bucket, why=trouble)
            else:
                self.log.info("S3 bucket {bucket} can be read again", bucket=self._bucket)
        return look

    def _take(self, table: Table, lines: list[bytes]) -> float:
        """Take some lines in and publish what is ready; returns how long it took [s]."""
        began = float(self._reactor.seconds())
        if table is not self._table:
            self._put_back()
            self._table = table
        refused = table.take(lines, began) if lines else []
        decoded = table.leave(self._decoder, began, _INSTANTS)
        tally, table.tally = table.tally, Tally()
        self._hub.book(self.door, tally)
        for refusal in (*refused, *decoded.refused):
            self._hub.refuse(self.door, refusal.error.reason)
        self._hub.publish(self.door, decoded.points, decoded.raws, began)
        self.rows_read += tally.rows + tally.singles + (0 if tally.rows else len(decoded.refused))
        self.pending = table.pending
        return max(0.0, float(self._reactor.seconds()) - began)

    def held(self) -> int:
        """The rows that are held, counted one by one."""
        return 0 if self._table is None else self._table.held()

    def _put_back(self) -> None:
        """An object is read no further: what is held of it comes once more with the next reading."""
        if self._table is not None:
            self._hub.ledger.rows_set_back[self.door] += self._table.held()
        self._table, self.pending = None, 0

    def _refuse(self, reason: str) -> float:
        self._hub.receive(self.door)
        self._hub.refuse(self.door, reason)
        return 0.0
