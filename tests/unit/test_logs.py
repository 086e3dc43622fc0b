"""``pitwall.logs``: the form of the log's lines, and a place for them that never stands in the way."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from twisted.application.service import Application, Service
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pitwall import logs


def event(message: str, level: Any = LogLevel.info, **further: Any) -> dict[str, Any]:
    """An event as a Logger makes it."""
    said = {"log_time": 1_757_184_100.25, "log_level": level, "log_namespace": "pitwall.test", "log_format": "{said}"}
    return {**said, "said": message, **further}


class Disk:
    """A file that takes so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.written = b""

    def write(self, data: bytes) -> None:
        """Take what there is room for; the rest is an error."""
        self.written += data[: self.room]
        self.room -= len(data[: self.room])
        if not self.written.endswith(data):
            raise OSError(errno.ENOSPC, "No space left on device")


def lost(count: int) -> str:
    """The line about what was lost."""
    return f"{count} lost\n"


class FormTests(SynchronousTestCase):
    """An event is a line of text, or of JSON."""

    def test_json(self) -> None:
        """It has the time in ISO 8601, the level, the namespace and the message."""
        self.assertEqual(
            logs.json_line(event("hello\n", LogLevel.warn)),
            '{"time":"2025-09-06T18:41:40.250Z","level":"warn","namespace":"pitwall.test","message":"hello\\n"}\n',
        )

    def test_failure(self) -> None:
        """A failure's traceback is a member of its own."""
        try:
            raise KeyError("of a fault")
        except KeyError:
            line = json.decode(logs.json_line(event("failed", LogLevel.critical, log_failure=Failure())))
        self.assertEqual((line["level"], line["message"]), ("critical", "failed"))
        self.assertIn("KeyError: 'of a fault'", line["traceback"])

    @given(st.text(), st.dictionaries(st.sampled_from(["log_format", "log_level", "log_time", "said"]), st.none()))
    def test_any_event(self, message: str, spoilt: dict[str, None]) -> None:
        """Whatever is logged, it is one line of JSON."""
        line = logs.json_line({**event(message), **{name: "x" for name in spoilt if name == "said"}})
        self.assertEqual(line.count("\n"), 1)
        self.assertIsInstance(json.decode(line)["message"], str)
        for name in spoilt:
            fewer = event(message)
            del fewer[name]
            self.assertEqual(logs.json_line(fewer).count("\n"), 1)

    def test_journal(self) -> None:
        """In the journal each line of an event has its priority."""
        form = logs.for_journal(lambda said: said["said"])
        self.assertEqual(form(event("one\ntwo\n", LogLevel.error)), "<3>one\n<3>two\n")
        self.assertEqual(form(event("one")), "<6>one\n")


class OutletTests(SynchronousTestCase):
    """`Outlet` writes what can be written and counts the rest."""

    def test_full_disk(self) -> None:
        """A full disk is no error; when there is room again the log says what it lacks, and no line is torn."""
        disk = Disk(12)
        outlet = logs.Outlet(disk.write, lost)
        for n in range(5):
            outlet.write(f"line {n}\n")
        self.assertEqual((disk.written, outlet.lost), (b"line 0\nline ", 4))
        disk.room = 1000
        outlet.write("line 5\n")
        outlet.write("line 6\n")
        self.assertEqual(disk.written, b"line 0\nline \n4 lost\nline 5\nline 6\n")
        self.assertEqual(outlet.lost, 0)

    def test_any_fault(self) -> None:
        """Nor is a pipe without a reader, or a file that could not be opened again after it was rotated."""
        for fault in (BrokenPipeError(), BlockingIOError(), ValueError("closed"), AttributeError("_file")):

            def write(data: bytes, fault: Exception = fault) -> None:
                raise fault

            outlet = logs.Outlet(write, lost)
            outlet.write("a line\n")
            self.assertEqual(outlet.lost, 1)

    def test_foreign_text(self) -> None:
        """Text that can't be UTF-8 is written all the same."""
        disk = Disk(100)
        logs.Outlet(disk.write, lost).write("\ud800\n")
        self.assertEqual(disk.written, b"\\ud800\n")


class RationedTests(SynchronousTestCase):
    """`Rationed` leaves out what recurs."""

    def setUp(self) -> None:
        """What is passed on."""
        self.written: list[str] = []
        self.rationed = logs.Rationed(lambda passed: self.written.append(logs.json_line(passed)))

    def test_recurring(self) -> None:
        """Of a thousand lines of a kind twenty are written; what is left out is counted, and told with the next."""
        for n in range(1000):
            self.rationed(event(str(n), log_time=1000.0 + n / 1000))
        self.rationed(event("another kind", log_format="other: {said}", log_time=1001.0))
        self.rationed(event("later", log_time=1011.0))
        messages = [json.decode(line)["message"] for line in self.written]
        self.assertEqual(messages[: logs.MOST_ALIKE], [str(n) for n in range(logs.MOST_ALIKE)])
        self.assertEqual(
            messages[logs.MOST_ALIKE :],
            [
                "lines like the last 20 are left out for a while",
                "other: another kind",
                "980 lines like the next were left out",
                "later",
            ],
        )

    def test_rare(self) -> None:
        """What comes now and then is always written, also when the clock is set back."""
        for n in range(100):
            self.rationed(event(str(n), log_time=1000.0 + n * (-1) ** n))
        self.assertEqual(len(self.written), 100)

    def test_bounded(self) -> None:
        """Kinds without number fill no memory."""
        for n in range(10_000):
            self.rationed(event("x", log_format=f"{n} {{said}}"))
        self.assertLess(len(self.rationed._seen), 300)


class ApplicationTests(SynchronousTestCase):
    """`LoggingService` takes the log of its application over, unless the operator has another."""

    def taken(self, twistd: dict[str, Any] | None) -> bool:
        """Whether the application of such a twistd has an observer afterwards."""
        application = Application("pitwall")
        service = logs.LoggingService(twistd, logs.JSON, {})
        Service().setServiceParent(service)
        service.setServiceParent(application)
        return application.getComponent(ILogObserver, None) is not None

    def test_taken(self) -> None:
        """Standard output and files are taken over; syslog and a named logger are not."""
        path = self.mktemp()
        for twistd, taken in (
            ({"nodaemon": True}, True),
            ({"nodaemon": True, "logfile": "-"}, True),
            ({"logfile": path}, True),
            ({"nodaemon": True, "syslog": True}, False),
            ({"nodaemon": True, "logger": print}, False),
            (None, False),
        ):
            self.assertEqual(self.taken(twistd), taken, twistd)
        self.assertTrue(os.path.exists(path))

    def test_can_not_be(self) -> None:
        """A log file that can't be is told in one sentence."""
        for twistd, sentence in (
            ({"logfile": "/no/such/place"}, "pitwall: the log file is /no/such/place, and can't be written: No such"),
            ({"logfile": "-"}, "pitwall: the log file is -, but a daemon has no standard output"),
        ):
            said = str(self.assertRaises(SystemExit, logs.observer, twistd, logs.TEXT, {}))
            self.assertTrue(said.startswith(sentence), said)

    def test_written(self) -> None:
        """What is logged arrives in the file, in the form that is wanted."""
        for form, wanted in ((logs.TEXT, "[pitwall.test#info] hello"), (logs.JSON, '"message":"hello"')):
            path = self.mktemp()
            Logger("pitwall.test", observer=logs.observer({"logfile": path}, form, {})).info("hello")
            with open(path) as file:
                self.assertIn(wanted, file.read())

    def test_is_journal(self) -> None:
        """The journal is known by what systemd says of it, and by that alone."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        found = os.fstat(writer)
        self.assertFalse(stat.S_ISSOCK(found.st_mode))
        self.assertFalse(logs._is_journal(writer, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}))
