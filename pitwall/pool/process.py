"""Ampoule's worker processes, made to replace themselves at once and to keep quiet while all is well."""

from __future__ import annotations

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
#: A worker that died younger than this is not replaced at once [s].
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
    """A pool of one process, replaced as soon as it ends; ``number`` names it in the log."""

    log = Logger(namespace="pitwall.pool")

    def __init__(self, clock: Any, number: int, **kwargs: Any) -> None:
        super().__init__(min=1, max=1, recycleAfter=0, timeout=REPLY_S, ampParent=QuietAMP, **kwargs)
        self._clock = clock
        self._number = number
        self._started_at = float("-inf")
        self.started_count = 0

    def startAWorker(self) -> Any:
        """Start the process."""
        self._started_at = self._clock.seconds()
        self.started_count += 1
        return super().startAWorker()

    def dumpStats(self) -> None:
        """Ampoule logs a table of itself at each start; nobody reads it."""

    def ensure(self) -> None:
        """Start the process where there is none."""
        if not self.finished and not self.processes:
            self.startAWorker()

    def kill(self) -> list[Any]:
        """End the process for good; returns a Deferred for each that was there."""
        self.finished = True
        if self.looping.running:
            self.looping.stop()
        ended = list(self._finishCallbacks.values())
        for child in tuple(self.processes):
            try:
                child.transport.signalProcess("KILL")
            except ProcessExitedAlready:
                continue
        return ended

    def _addProcess(self, child: Any, finished: Any) -> None:
        self.processes.add(child)
        self.ready.add(child)
        finished.addCallback(self._ended, child)
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
        self._clock.callLater(_INFANT_S if young else 0.0, self.ensure)
