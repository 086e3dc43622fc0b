"""A worker's process: replaced at once when it ends, after a pause when that would only be repeated."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pitwall.pool.process import WorkerConnector, WorkerPool


class FakeProcess:
    """A process that only says what signals it got."""

    def __init__(self) -> None:
        self.transport = self
        self.signals: list[str] = []
        self.finished: Deferred[Any] = Deferred()
        self.ended = False

    def signalProcess(self, signal: str) -> None:
        """Note a signal."""
        if self.ended:
            raise ProcessExitedAlready
        self.signals.append(signal)

    def end(self, reason: Exception | None = None) -> None:
        """End, by SIGKILL unless told otherwise."""
        self.ended = True
        self.finished.callback(Failure(reason or ProcessTerminated(signal=9)))


class FakeStarter:
    """Starts such processes, or fails to."""

    def __init__(self) -> None:
        self.started: list[FakeProcess] = []
        self.error: Exception | None = None

    def startAMPProcess(self, *arguments: Any, **more: Any) -> tuple[FakeProcess, Deferred[Any]]:
        """As Ampoule's does."""
        if self.error is not None:
            raise self.error
        self.started.append(process := FakeProcess())
        return process, process.finished


class WorkerPoolTests(SynchronousTestCase):
    """There is a worker, or there will be one."""

    def setUp(self) -> None:
        """A worker that has been started and has answered."""
        self.clock, self.starter = Clock(), FakeStarter()
        self.replaced = 0
        self.pool = WorkerPool(self.clock, 0, self.count, ampChild=object, starter=self.starter)
        self.addCleanup(self.pool.kill)
        self.pool.start()
        self.pool.answered = True
        self.clock.advance(10)

    def count(self) -> None:
        """A new worker is there."""
        self.replaced += 1
        self.assertTrue(self.pool.running)

    @property
    def processes(self) -> list[FakeProcess]:
        """All that were ever started."""
        return self.starter.started

    def test_replaced_at_once(self) -> None:
        """A worker that ends, however it ends, is replaced at once."""
        self.processes[0].end()
        self.assertEqual((len(self.processes), self.replaced, self.pool.started_count), (2, 1, 2))
        self.assertFalse(self.pool.answered)
        self.pool.answered = True
        self.clock.advance(10)
        self.processes[1].end(ProcessDone(0))
        self.assertEqual((len(self.processes), self.replaced), (3, 2))

    def test_never_answered(self) -> None:
        """One that ended before it answered anything is tried again after a pause, again and again."""
        self.pool.answered = False
        for count in range(1, 6):
            self.processes[-1].end()
            self.clock.advance(1.9)
            self.assertEqual(len(self.processes), count)
            self.clock.advance(0.2)
            self.assertEqual(len(self.processes), count + 1)

    def test_young(self) -> None:
        """One that is killed young is replaced at once, the next one that dies young after a pause."""
        for _ in range(2):
            self.processes[-1].end()
            self.pool.answered = True
            self.clock.advance(1)
        self.assertEqual(len(self.processes), 3)
        self.processes[-1].end()
        self.assertEqual(len(self.processes), 3)
        self.clock.advance(2)
        self.assertEqual(len(self.processes), 4)

    def test_asked_for_twice(self) -> None:
        """Neither while there is a worker nor during a pause is another one started."""
        self.pool.startAWorker()
        self.assertEqual(len(self.processes), 1)
        self.pool.answered = False
        self.processes[0].end()
        self.pool.startAWorker()
        self.assertEqual(len(self.processes), 1)
        self.assertFalse(self.pool.running)

    def test_can_not_be_started(self) -> None:
        """When the system has no process for it, it is tried again later."""
        self.starter.error = OSError("no process")
        self.processes[0].end()
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.starter.error = None
        self.clock.advance(2)
        self.assertEqual((len(self.processes), self.replaced), (2, 1))

    def test_end_process(self) -> None:
        """It can be killed to be replaced; it may be gone already."""
        self.pool.end_process()
        self.assertEqual(self.processes[0].signals, ["KILL"])
        self.processes[0].ended = True
        self.pool.end_process()
        self.processes[0].end()
        self.assertEqual(len(self.processes), 2)

    def test_kill(self) -> None:
        """Killed for good it is not replaced, and says when it has ended."""
        (ended,) = self.pool.kill()
        self.assertEqual(self.processes[0].signals, ["KILL"])
        self.assertNoResult(ended)
        self.processes[0].end()
        self.successResultOf(ended)
        self.clock.advance(10)
        self.assertEqual(len(self.processes), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_kill_in_a_pause(self) -> None:
        """Nor is anything started after a pause that it was killed in."""
        self.pool.answered = False
        self.processes[0].end()
        self.assertEqual(self.pool.kill(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ConnectorTests(SynchronousTestCase):
    """What a worker writes to stderr."""

    def test_logged(self) -> None:
        """Warnings and tracebacks are logged, its everyday log is not."""
        said: list[str] = []
        connector = WorkerConnector(object())
        self.patch(connector, "log", type("Log", (), {"warn": lambda self, text, line: said.append(line)})())
        connector.errReceived(b"2025 [-#info] started\n\nTraceback\n  File \xff" + b"x" * 300)
        self.assertEqual(said, ["Traceback", "  File \ufffd" + "x" * 192])
