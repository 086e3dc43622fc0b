"""PitWall as an operator starts and ends it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import ConnectionClosed

from pitwall.config import DEMO, SETTINGS
from tests.end_to_end.harness import (
    TWISTD,
    Server,
    alive,
    children,
    clean_environment,
    free_port,
    points_of,
    read_messages,
    running,
    wait_for,
)


def start(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run twistd to its end, in a directory of its own; it must end by itself."""
    with tempfile.TemporaryDirectory() as directory:
        return subprocess.run(
            [TWISTD, *arguments],
            cwd=directory,
            env=clean_environment(**settings),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )


class HelpTests(SynchronousTestCase):
    """twistd knows PitWall, from any directory."""

    def test_listed(self) -> None:
        """`twistd --help` lists pitwall."""
        self.assertRegex(start("--help").stdout, r"\n +pitwall +Race telemetry")

    def test_options(self) -> None:
        """`twistd pitwall --help` documents every setting with its default."""
        text = " ".join(start("pitwall", "--help").stdout.split())
        for setting in (*SETTINGS, DEMO):
            self.assertIn(f"--{setting.option}", text)
        self.assertIn("aggregation tick [ms] [default: 600]", text)


class WrongStartTests(SynchronousTestCase):
    """A start that can't succeed ends with one sentence, in the foreground and as a daemon."""

    def check(self, sentence: str, *arguments: str, **settings: str) -> None:
        """Both ways to start end within two seconds, non-zero, with just that sentence."""
        for mode in (["-n", "--pidfile="], ["--pidfile=twistd.pid", "--logfile=twistd.log"]):
            started = time.monotonic()
            ended = start(*mode, "pitwall", *arguments, **settings)
            took = time.monotonic() - started
            self.assertNotEqual(ended.returncode, 0)
            output = (ended.stdout + ended.stderr).strip()
            self.assertRegex(output, rf"\Apitwall: {sentence}\Z")
            # Two seconds are promised; a loaded test machine gets some more.
            self.assertLess(took, 6)

    def test_port_out_of_range(self) -> None:
        """A port that does not exist is named, with the range."""
        self.check("PORT is 70000, wanted 1 to 65535", PORT="70000")

    def test_not_a_number(self) -> None:
        """So is a number that is none."""
        self.check("BATCH_MS is abc, wanted 20 to 60000", "--batch-ms=abc")

    def test_sector_file(self) -> None:
        """So is a track file that is not JSON."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write("sectors: none")
            file.flush()
            self.check(
                f"TRACK_SECTORS_PATH is {file.name}, wanted a track file: not JSON.*", TRACK_SECTORS_PATH=file.name
            )

    def test_demo_file(self) -> None:
        """So is a demo file that holds no points."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write('[{"lap": 1}]')
            file.flush()
            self.check(f"DEMO_DATA_PATH is {file.name}: point 1 of 1: track is missing", DEMO_DATA_PATH=file.name)

    def test_busy_ports(self) -> None:
        """So is a TCP or a UDP port that another program has."""
        for kind, name in (
            (socket.SOCK_STREAM, "PORT"),
            (socket.SOCK_DGRAM, "UDP_PORT"),
            (socket.SOCK_STREAM, "METRICS_PORT"),
        ):
            with socket.socket(socket.AF_INET, kind) as other:
                other.bind(("127.0.0.1", 0))
                if kind is socket.SOCK_STREAM:
                    other.listen()
                taken = other.getsockname()[1]
                ports = {"PORT": str(free_port()), "UDP_PORT": str(free_port(socket.SOCK_DGRAM)), name: str(taken)}
                self.check(f"{name} is {taken}, and ... port {taken} can't be had: .*", HOST="127.0.0.1", **ports)

    def test_metrics_host(self) -> None:
        """So is an address for the metrics that this machine does not have."""
        for host in ("192.0.2.1", "no.such.host.invalid"):
            port = str(free_port())
            said = f"METRICS_HOST is {host}, wanted an address of this machine: .*"
            self.check(said, HOST="127.0.0.1", METRICS_HOST=host, METRICS_PORT=port)


class EndTests(SynchronousTestCase):
    """However the server ends, it ends cleanly and nothing stays behind."""

    def test_sigterm(self) -> None:
        """On SIGTERM clients get the last points and 1001, and the server is gone within two seconds."""
        with running() as server:
            workers = server.workers()
            self.assertTrue(workers)
            with server.connect() as client:
                server.post({"track": "barber", "chassis": "GR86-001"})
                server.process.send_signal(signal.SIGTERM)
                started = time.monotonic()
                messages = read_messages(client, 5, lambda got: bool(points_of(got)))
                self.assertEqual(len(points_of(messages)), 1)
                closed = self.assertRaises(ConnectionClosed, lambda: [client.recv(timeout=5) for _ in range(1000)])
                self.assertEqual(closed.rcvd.code, 1001)
                server.process.wait(5)
                self.assertLess(time.monotonic() - started, 2.5)
            self.assertEqual([pid for pid in workers if alive(pid)], [])
            self.assertNotIn("Traceback", server.log())

    def test_sigterm_with_frozen_clients(self) -> None:
        """Clients that do not read can't keep the server from ending within five seconds."""
        with running() as server:
            frozen = [server.connect(max_queue=1) for _ in range(3)]
            for client in frozen:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            # Their reading threads stop after one message: the queue is full.
            point = {"track": "barber", "chassis": "GR86-001", "note": "x" * 4000}
            for _ in range(40):
                server.post([point] * 50)
            self.assertLess(server.stop(), 5)
            for client in frozen:
                client.socket.close()

    def test_killed(self) -> None:
        """No worker outlives a server that is killed."""
        with running(AGG_WORKERS="2") as server:
            workers = server.workers()
            self.assertEqual(len(workers), 2)
            server.process.kill()
            server.process.wait(5)
            wait_for("workers that have ended", lambda: not any(alive(pid) for pid in workers), 3)

    def test_daemon(self) -> None:
        """As a daemon it serves, logs, keeps its pid in the pidfile, and removes that at the end."""
        with tempfile.TemporaryDirectory() as directory:
            port = free_port()
            environment = clean_environment(
                HOST="127.0.0.1", PORT=str(port), UDP_PORT=str(free_port(socket.SOCK_DGRAM))
            )
            pidfile, logfile = Path(directory, "pitwall.pid"), Path(directory, "pitwall.log")
            launched = subprocess.run(
                [TWISTD, f"--pidfile={pidfile}", f"--logfile={logfile}", "pitwall"],
                cwd=directory,
                env=environment,
                capture_output=True,
                timeout=20,
                check=False,
            )
            self.assertEqual((launched.returncode, launched.stdout), (0, b""), launched.stderr)
            server = Server.__new__(Server)
            server.port = port
            pid = int(wait_for("a pidfile", lambda: pidfile.exists() and pidfile.read_text()))
            try:

                def well() -> bool:
                    try:
                        return server.get("/api/health")[0] == 200
                    except OSError:
                        return False

                wait_for("a daemon that is well", well, 20)
                workers = children(pid)
                os.kill(pid, signal.SIGTERM)
                wait_for("a daemon that has ended", lambda: not alive(pid), 5)
                self.assertFalse(pidfile.exists())
                self.assertFalse(any(alive(worker) for worker in workers))
                self.assertIn("Server Shut Down", logfile.read_text())
                self.assertNotIn("Traceback", logfile.read_text())
            finally:
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)


class DemoTests(SynchronousTestCase):
    """A newcomer sees a race at once."""

    def test_first_insight(self) -> None:
        """Five seconds after a cold start with --demo the first insights of twenty cars are there."""
        started = time.monotonic()
        with running("--demo") as server, server.connect() as client:
            messages = read_messages(client, 10, lambda got: got[-1:] != [] and got[-1]["type"] == "insight_update")
            took = time.monotonic() - started
            self.assertEqual(messages[-1]["meta"]["vehicle_count"], 20)
            self.assertEqual({point["raw_source"] for point in points_of(messages)}, {"demo"})
            self.assertEqual(server.get("/api/health")[1]["demo"], True)
            # Five seconds are promised; a loaded test machine gets some more.
            self.assertLess(took, 10)

    def test_replay(self) -> None:
        """A demo file is replayed at the pace of its own times, and begins anew at its end."""
        points = [
            {"meta_time": f"2025-09-06T18:40:0{index}.000Z", "track": "barber", "chassis": "GR86-001", "n": index}
            for index in (2, 0, 1)
        ]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"telemetry": points}, file)
            file.flush()
            with running(DEMO_DATA_PATH=file.name) as server:
                wait_for("a second round", lambda: server.metrics()["messagesReceived"] >= 5, 15)
                recent = server.get("/api/recent/5")[1]["recent"]
                self.assertEqual([point["n"] for point in recent], [0.0, 1.0, 2.0, 0.0, 1.0])
