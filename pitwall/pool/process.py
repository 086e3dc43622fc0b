"""Ampoule's worker processes, made to replace themselves at once and to keep quiet while all is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ampoule.main import AMPConnector, ProcessStarter
from ampoule.pool import ProcessPool
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure

#: A worker that has not answered by then is killed and replaced [s].
REPLY_S = 3.0
#: The same for one that has just been started, on a machine that is busy [s].
START_S = 20.0
#: A worker that ended at an age below this died young; and the pause before it is replaced where there is one [s].
_INFANT_S = 2.0


class QuietAMP(amp.AMP):
    """The main process's end; ``amp.AMP`` logs each connection."""

    def makeConnection(self, transport: Any) -> None:
        """The worker is there."""
        self._transportPeer = self._transportHost = None
        amp.BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The worker is gone: what it was asked fails."""
        amp.BinaryBoxProtocol.connectionLost(self, reason)
        self.transport = None


class WorkerConnector(AMPConnector):
    """The process; what it writes to stderr is logged when it is worth it."""

    log = Logger(namespace="pitwall.pool")

    def connectionMade(self) -> None:
        """It has been started."""
        self.amp.makeConnection(self)

    def errReceived(self, data: bytes) -> None:
        """It has written to stderr, its own log among other things."""
        for line in data.decode("utf-8", "replace").splitlines():
            if line.strip() and "#info]" not in line:
                self.log.warn("worker says: {line}", line=line[:200])

    def processEnded(self, reason: Any) -> None:
        """It has ended."""
        self.amp.connectionLost(reason)
        self.finished.callback(reason)


class WorkerStarter(ProcessStarter):
    """Starts workers with that connector."""

    connectorFactory = WorkerConnector


class WorkerPool(ProcessPool):
    """
    A pool of one process, replaced as soon as it ends.

    A process that ended before it had answered, or the second one in a row that ended
    young, is replaced after a pause: whatever ended it may be there again at once.

    Args:
        clock: the reactor.
        number: names the process in the log.
        replaced: is called when a new one has been started in the place of one that ended.
    """

    log = Logger(namespace="pitwall.pool")

    def __init__(self, clock: Any, number: int, replaced: Callable[[], None], **kwargs: Any) -> None:
        super().__init__(min=1, max=1, recycleAfter=0, timeout=REPLY_S, ampParent=QuietAMP, **kwargs)
        self._clock = clock
        self._number = number
        self._replaced = replaced
        self._started_at = float("-inf")
        self._died_young = False
        self._pause: Any = None
        #: Whether the process there is has ever answered; who asks it, says so.
        self.answered = False
        self.started_count = 0

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return bool(self.processes)

    def startAWorker(self) -> Any:
        """Start the process, unless there is one, or it is not time yet."""
        # Ampoule also asks for a new one by itself, when a call has failed with its process.
        if self.finished or self.processes or self._pause is not None:
            return None
        self._started_at = self._clock.seconds()
        self.answered = False
        self.started_count += 1
        return super().startAWorker()

    def dumpStats(self) -> None:
        """Ampoule logs a table of itself at each start; nobody reads it."""

    def end_process(self) -> None:
        """Kill the process; another one takes its place."""
        for child in tuple(self.processes):
            try:
                child.transport.signalProcess("KILL")
            except ProcessExitedAlready:
                continue

    def kill(self) -> list[Any]:
        """End the process for good; returns a Deferred for each that was there."""
        self.finished = True
        if self.looping.running:
            self.looping.stop()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        ended = list(self._finishCallbacks.values())
        self.end_process()
        return ended

    def _addProcess(self, child: Any, finished: Any) -> None:
        self.processes.add(child)
        self.ready.add(child)
        # What it ended by is a failure, even where it was meant to.
        finished.addBoth(self._ended, child)
        self._finishCallbacks[child] = finished
        self._lastUsage[child] = self._started_at
        self._calls[child] = 0
        self._catchUp()

    def _ended(self, reason: Any, child: Any) -> None:
        self._pruneProcess(child)
        if self.finished:
            return
        self.log.warn(
            "worker {number} ended and is replaced: {reason}", number=self._number, reason=reason.getErrorMessage()
        )
        young = self._clock.seconds() - self._started_at < _INFANT_S
        again, self._died_young = young and self._died_young, young
        if again or not self.answered:
            self._replace_later()
        else:
            self._replace()

    def _replace(self) -> None:
        self._pause = None
        try:
            self.startAWorker()
        except Exception:
            # No memory, no process: there may be later.
            self.log.failure("worker {number} could not be started", number=self._number)
            self._replace_later()
        else:
            self._replaced()

    def _replace_later(self) -> None:
        self._pause = self._clock.callLater(_INFANT_S, self._replace)
