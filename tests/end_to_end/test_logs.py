"""The log of a real server, wherever it goes."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.harness import Server, running, wait_for

_A_POINT = {"track": "barber", "chassis": "GR86-001"}


class FormTests(SynchronousTestCase):
    """The log as an operator reads it."""

    def test_json(self) -> None:
        """With LOG_FORMAT=json each line is an object, from the first to the last."""
        with running(LOG_FORMAT="json") as server:
            server.stop()
            lines = [json.loads(line) for line in server.log().splitlines()]
        for line in lines:
            self.assertEqual(line.keys(), {"time", "level", "namespace", "message"})
        self.assertIn("starting up", lines[0]["message"])
        self.assertIn("Server Shut Down", lines[-1]["message"])

    def test_journal(self) -> None:
        """Where standard output is the journal, each line begins with its priority."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            found = os.fstat(theirs.fileno())
            with running(output=theirs.fileno(), JOURNAL_STREAM=f"{found.st_dev}:{found.st_ino}") as server:
                server.stop()
            lines = ours.recv(100_000).decode().splitlines()
        self.assertGreater(len(lines), 5)
        self.assertEqual([line for line in lines if not line.startswith("<6>")], [])

    def test_noise(self) -> None:
        """Twenty thousand bad datagrams from two thousand ports leave no line in the log."""
        with running() as server:
            before = server.log()
            for _ in range(2000):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                    for noise in (b"nope", b'{"lap":1}', b"\xff\xfe", b"", b"{" * 500) * 2:
                        sender.sendto(noise, ("127.0.0.1", server.udp_port))
            wait_for("refusals", lambda: server.metrics()["errors"] >= 20_000)
            self.assertEqual(server.log(), before)


class FaultTests(SynchronousTestCase):
    """A log that can't be written does not end the server, nor hold it up."""

    def check(self, server: Server) -> None:
        """It serves, costs next to nothing, and ends as ever."""
        began, cost_s = time.monotonic(), server.cpu_s()
        for _ in range(20):
            self.assertEqual(server.post(_A_POINT)[0], 200)
            server.send(b"noise")
        # Something to log: workers that end, one after the other.
        for pid in server.workers():
            os.kill(pid, 9)
        time.sleep(1.5)
        wait_for("a server that is well again", lambda: server.get("/api/health")[0] == 200)
        self.assertLess(server.cpu_s() - cost_s, 0.5 * (time.monotonic() - began))
        # Two seconds are promised; a loaded test machine gets some more.
        self.assertLess(server.stop(), 4)

    def test_full_disk(self) -> None:
        """A disk that is full, with standard output on it and with a log file."""
        full = os.open("/dev/full", os.O_WRONLY)
        try:
            with running(output=full) as server:
                self.check(server)
        finally:
            os.close(full)
        with running(twistd=["--logfile=/dev/full"]) as server:
            self.check(server)

    def test_closed_pipe(self) -> None:
        """A pipe whose reader has gone."""
        reader, writer = os.pipe()
        try:
            with running(output=writer) as server:
                os.close(reader)
                self.check(server)
        finally:
            os.close(writer)

    def test_pipe_that_nobody_reads(self) -> None:
        """A pipe that is full, and whose reader does not read; what it gets when it reads again says what is lost."""
        reader, writer = os.pipe()
        try:
            fcntl.fcntl(writer, 1031, 4096)  # F_SETPIPE_SZ
            os.write(writer, b"x" * 4096)
            with running(output=writer) as server:
                self.assertEqual(server.post(_A_POINT)[0], 200)
                os.read(reader, 4096)
                self.check(server)
            self.assertRegex(os.read(reader, 4096).decode(), r"\A\n.* [0-9]+ lines of the log were lost\n")
        finally:
            os.close(reader)
            os.close(writer)
