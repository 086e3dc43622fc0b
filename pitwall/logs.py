"""
Where the log goes, and that it never stands in the way.

twistd opens its log itself: standard output with ``-n``, else the file of
``--logfile``, or syslog. PitWall takes the first two over, for two reasons. Lines
can be JSON (``LOG_FORMAT``). And whatever becomes of the place they go to, the
server goes on: a disk that is full, a pipe whose reader has gone, or one whose
reader has stopped reading, which would hold a plain write for ever. What could not
be written is counted, and told as soon as something can be. What recurs is left
out after a few lines, and counted as well: Twisted has one for each connection it
has no descriptor for. Syslog, and a ``--logger`` of the operator's own, stay as
they are.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import json
from twisted.application.service import MultiService
from twisted.logger import FileLogObserver, ILogObserver, LogLevel, eventAsText, formatEventAsClassicLogText
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile
from zope.interface import implementer

from pitwall.model.point import iso_utc

TEXT, JSON = "text", "json"
FORMATS: Final = (TEXT, JSON)
#: A pipe or a socket that is said to be writable takes so much without blocking (PIPE_BUF) [bytes].
_PIECE = 4096
#: So many lines of a kind are written in such a time [s]; kinds are told apart by where they come from and their form.
MOST_ALIKE, PERIOD_S = 20, 10.0
_MOST_KINDS = 256
#: Priorities of syslog, which the journal reads in front of a line.
_PRIORITIES: Final = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}

Event = dict[str, Any]


class Outlet:
    """
    A place for lines that never raises and never blocks.

    Args:
        write: writes some bytes; may raise.
        lost_line: the line that says how many lines were lost.

    Attributes:
        lost: lines that could not be written since one could.
    """

    def __init__(self, write: Callable[[bytes], object], lost_line: Callable[[int], str]) -> None:
        self._write = write
        self._lost_line = lost_line
        self.lost = 0

    def write(self, text: str) -> None:
        """Write one line or more, or count them as lost."""
        data = text.encode("utf-8", "backslashreplace")
        try:
            if self.lost:  # a part of a line may be there
                data = b"\n%b%b" % (self._lost_line(self.lost).encode(), data)
            self._write(data)
            self.lost = 0
        except (OSError, ValueError, AttributeError):  # ValueError: closed; AttributeError: never opened again
            self.lost += 1

    def flush(self) -> None:
        """Nothing is held back."""


@implementer(ILogObserver)
class Rationed:
    """
    Leaves out what recurs too often, and says so.

    Args:
        observer: gets the rest.
    """

    def __init__(self, observer: Callable[[Event], None]) -> None:
        self._observer = observer
        #: By kind, when its time began and how many there were since.
        self._seen: dict[tuple[Any, Any], tuple[float, int]] = {}

    def __call__(self, event: Event) -> None:
        """Pass an event on, or count it."""
        kind = event.get("log_namespace"), event.get("log_format")
        now = event.get("log_time", 0.0)
        began, count = self._seen.get(kind, (now, 0))
        if not 0 <= now - began < PERIOD_S:
            if count > MOST_ALIKE:
                self._say(event, "{count} lines like the next were left out", count - MOST_ALIKE)
            began, count = now, 0
        if len(self._seen) >= _MOST_KINDS and kind not in self._seen:
            self._seen.clear()
        self._seen[kind] = began, count + 1
        if count < MOST_ALIKE:
            self._observer(event)
        elif count == MOST_ALIKE:
            self._say(event, "lines like the last {count} are left out for a while", MOST_ALIKE)

    def _say(self, event: Event, form: str, count: int) -> None:
        said: Event = {name: event[name] for name in ("log_time", "log_level", "log_namespace") if name in event}
        self._observer({**said, "log_format": form, "count": count})


class Descriptor:
    """An open file that is written to as long as it takes something at once."""

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno
        self._poll = select.poll()
        self._poll.register(fileno, select.POLLOUT)

    def write(self, data: bytes) -> None:
        """
        Write all of it.

        Raises:
            OSError: it can't be, or not without waiting.
        """
        while data:
            if not self._poll.poll(0):
                raise BlockingIOError("nobody reads")
            data = data[os.write(self._fileno, data[:_PIECE]) :]


def json_line(event: Event) -> str:
    """An event as a line of JSON."""
    line = {
        "time": iso_utc(event.get("log_time", 0.0)),
        "level": (event.get("log_level") or LogLevel.info).name,
        "namespace": event.get("log_namespace", ""),
        "message": eventAsText(event, includeTraceback=False, includeTimestamp=False, includeSystem=False),
    }
    failure = event.get("log_failure")
    if failure is not None:
        line["traceback"] = failure.getTraceback()
    return json.encode(line).decode() + "\n"


def text_lines(event: Event) -> str | None:
    """An event as twistd writes it; None when there is nothing to say."""
    return formatEventAsClassicLogText(event)


def for_journal(form: Callable[[Event], str | None]) -> Callable[[Event], str | None]:
    """The same form with the priority in front of each line, as the journal takes it (sd-daemon(3))."""

    def prefixed(event: Event) -> str | None:
        text = form(event)
        if text is None:
            return None
        priority = _PRIORITIES.get(event.get("log_level") or LogLevel.info, 6)
        return "".join(f"<{priority}>{line}\n" for line in text.rstrip("\n").split("\n"))

    return prefixed


def observer(twistd: Mapping[str, Any], form: str, environ: Mapping[str, str]) -> Rationed:
    """
    What twistd's log goes to.

    Args:
        twistd: its options.
        form: one of ``FORMATS``.
        environ: the environment.

    Raises:
        SystemExit: the log file can't be written.
    """
    to_event: Callable[[Event], str | None] = json_line if form == JSON else text_lines
    path = twistd.get("logfile") or ("-" if twistd.get("nodaemon") else "twistd.log")
    if path == "-":
        if not twistd.get("nodaemon"):
            raise SystemExit("pitwall: the log file is -, but a daemon has no standard output")
        fileno = _standard_output()
        if _is_journal(fileno, environ):
            to_event = for_journal(to_event)
        write: Callable[[bytes], object] = Descriptor(fileno).write
    else:
        try:
            file = LogFile.fromFullPath(path)
        except OSError as error:
            raise SystemExit(f"pitwall: the log file is {path}, and can't be written: {error.strerror}") from None
        _rotate_on_signal(file)
        write = file.write

    def lost_line(count: int) -> str:
        said = {"log_level": LogLevel.warn, "log_namespace": __name__, "log_system": __name__, "log_time": time.time()}
        return to_event({**said, "log_format": "{count} lines of the log were lost", "count": count}) or ""

    return Rationed(FileLogObserver(Outlet(write, lost_line), to_event))  # type: ignore[arg-type]


class LoggingService(MultiService):
    """
    The services of a server; of the application they become a part of, it takes the log over.

    Args:
        twistd: its options; None where there is no twistd.
        form: one of ``FORMATS``.
        environ: the environment.
    """

    def __init__(self, twistd: Mapping[str, Any] | None, form: str, environ: Mapping[str, str]) -> None:
        super().__init__()
        # Syslog, and a logger that the operator named, stay.
        self._twistd = None if twistd is None or twistd.get("syslog") or twistd.get("logger") else twistd
        self._form = form
        self._environ = environ

    def setServiceParent(self, parent: Any) -> None:
        """Become a part of an application, before it starts to log; twistd looks whether it has an observer."""
        super().setServiceParent(parent)
        if self._twistd is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, observer(self._twistd, self._form, self._environ))


def _standard_output() -> int:
    try:
        sys.stdout.flush()
        return sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):  # it was closed before the start
        return os.open(os.devnull, os.O_WRONLY)


def _is_journal(fileno: int, environ: Mapping[str, str]) -> bool:
    """Whether a file is the journal's (systemd.exec(5), JOURNAL_STREAM)."""
    found = os.fstat(fileno)
    return stat.S_ISSOCK(found.st_mode) and environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _rotate_on_signal(file: LogFile) -> None:
    """As twistd does: SIGUSR1 begins a new file, unless it means something else."""
    if not signal.getsignal(signal.SIGUSR1):

        def rotate(number: int, frame: object) -> None:
            from twisted.internet import reactor

            reactor.callFromThread(file.rotate)  # type: ignore[attr-defined]

        signal.signal(signal.SIGUSR1, rotate)
