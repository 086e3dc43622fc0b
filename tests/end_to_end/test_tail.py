"""``pitwall tail``, a process of its own, over a network that fails."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.harness import clean_environment, wait_for
from tests.end_to_end.stream_server import StreamServer

ROOT = Path(__file__).parents[2]


#: The command, as a terminal starts it: what a script starts in the background is to ignore Ctrl-C, tests included.
HEEDING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pitwall.cli import main
sys.exit(main())
"""


class TailTests(SynchronousTestCase):
    """``pitwall tail``, a process of its own."""

    @contextmanager
    def tail(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """The command, ended in any case."""
        process = subprocess.Popen(
            [sys.executable, "-c", HEEDING, "tail", *arguments],
            env=clean_environment(PYTHONPATH=str(ROOT)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def test_resumes(self) -> None:
        """It prints each point as JSON, comes back by itself, says what happened, and ends with 0 at Ctrl-C."""
        with StreamServer() as server, self.tail(server.url, "--json", "--chassis", "GR86-001") as tail:
            wait_for("a client", lambda: server.queries)
            server.publish(4)
            assert tail.stdout is not None and tail.stderr is not None
            self.assertEqual([json.loads(tail.stdout.readline())["n"] for _ in range(2)], [1, 3])
            server.do(server.drop)
            server.publish(4)
            self.assertEqual([json.loads(tail.stdout.readline())["n"] for _ in range(2)], [5, 7])
            server.do(lambda: server.skip(10))
            server.publish(1)
            server.publish(1, insight=True)
            self.assertEqual(json.loads(tail.stdout.readline())["n"], 19)
            tail.send_signal(signal.SIGINT)
            output, errors = tail.communicate(timeout=20)
            self.assertEqual((tail.returncode, output), (0, ""))
            self.assertRegex(errors, r"^pitwall: lost ws://.*: the connection broke; trying again in \d\.\d s\n")
            self.assertIn("pitwall: 10 points are missing, 9 to 18: this client is too slow\n", errors)
            self.assertNotIn("Traceback", errors)

    def test_asks_the_server(self) -> None:
        """What it is to leave out it does not let the server send."""
        options = ("--json", "--chassis", "GR86-001", "--track", "barber", "--channels", "n", "--max-hz", "20")
        with StreamServer() as server, self.tail(server.url, *options) as tail:
            wait_for("a client", lambda: server.clients)
            server.publish(6)
            assert tail.stdout is not None
            self.assertEqual(list(json.loads(tail.stdout.readline()).values())[1:], ["barber", "GR86-001", 5])
            types = "telemetry_update,quality"
            wanted = {"chassis": "GR86-001", "track": "barber", "channels": "n", "types": types, "max_hz": "20"}
            self.assertEqual(server.queries, [{"snapshot": "1", **wanted}])

    def test_lines(self) -> None:
        """Without ``--json`` it prints lines for a person, from the snapshot on, insights too."""
        with StreamServer() as server:
            server.publish(3)
            with self.tail(server.url, "--snapshot", "--insights") as tail:
                assert tail.stdout is not None
                self.assertRegex(tail.stdout.readline(), r"^18:42:00\.003 +barber +GR86-001 +3 +141\.0 km/h$")
                server.publish(0, insight=True)
                self.assertRegex(tail.stdout.readline(), r"^low +barber +GR86-001 +tire_wear.*worn$")

    def test_refused(self) -> None:
        """A server that says no is a sentence and status 1."""
        with StreamServer() as server:
            server.refuse = 403
            with self.tail(server.url) as tail:
                _, errors = tail.communicate(timeout=20)
                self.assertEqual((tail.returncode, errors), (1, f"pitwall: {server.url} answered 403: not you\n"))

    def test_pipe(self) -> None:
        """It ends quietly when its reader has had enough."""
        with StreamServer() as server, self.tail(server.url) as tail:
            wait_for("a client", lambda: server.queries)
            assert tail.stdout is not None and tail.stderr is not None
            tail.stdout.close()
            server.publish(1)
            self.assertEqual((tail.wait(20), tail.stderr.read()), (0, ""))
