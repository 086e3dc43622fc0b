"""A real server with keys, and how it takes changes of them."""

from __future__ import annotations

import hmac
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import Request

from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.end_to_end.harness import (
    TWISTD,
    Server,
    alive,
    clean_environment,
    free_port,
    points_of,
    read_messages,
    wait_for,
)

POINT = {"track": "barber", "chassis": "GR86-001"}
#: How long a change of the keys may take to be noticed, a slow machine included [s]; two are promised.
NOTICED_S = 4.0


class KeyedServer(Server):
    """A server whose keys file has a key of each scope."""

    def __init__(self, *options: str, **settings: str) -> None:
        self.keys = tempfile.TemporaryDirectory(prefix="pitwall-keys-")
        self.path = Path(self.keys.name, "keys")
        self.tokens = {scope: self.pitwall("keys", "add", scope, "--scope", scope).stdout.strip() for scope in SCOPES}
        super().__init__(*options, API_KEYS_FILE=str(self.path), AGG_WORKERS="1", **settings)

    def pitwall(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run ``pitwall``."""
        return subprocess.run(
            [sys.executable, "-c", "import sys; from pitwall.cli import main; sys.exit(main())", *arguments],
            env=clean_environment(API_KEYS_FILE=str(self.path), **environ),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def header(self, scope: str) -> dict[str, str]:
        """The header that says the key of a scope."""
        return {"Authorization": f"Bearer {self.tokens[scope]}"}

    def get(self, path: str, scope: str = "read") -> tuple[int, Any]:
        """The status and the JSON of an answer, by the key of a scope."""
        return self._ask(Request(f"http://127.0.0.1:{self.port}{path}", headers=self.header(scope)))

    def post(self, points: Any, scope: str = "ingest") -> tuple[int, Any]:
        """Post points by the key of a scope."""
        headers = {"Content-Type": "application/json", **self.header(scope)}
        return self._ask(Request(f"http://127.0.0.1:{self.port}/api/ingest", json.dumps(points).encode(), headers))

    def close(self) -> None:
        """End it in any case and clean up."""
        super().close()
        self.keys.cleanup()


SCOPES = ("ingest", "read", "admin")


class KeysCase(SynchronousTestCase):
    """A server with keys."""

    def serve(self, *options: str, **settings: str) -> KeyedServer:
        """A server that is well, ended when the test ends."""
        server = KeyedServer(*options, **settings)
        self.addCleanup(server.close)
        server.wait_well()
        return server


class ServerTests(KeysCase):
    """`API_KEYS_FILE`."""

    def test_scopes(self) -> None:
        """Each key may do what it is for; posts that take the short way want one too; the log has none of them."""
        server = self.serve()
        self.assertEqual([server.post(POINT, scope)[0] for scope in SCOPES], [200, 403, 200])
        self.assertEqual([server.get("/api/recent/5", scope)[0] for scope in SCOPES], [403, 200, 200])
        bare = Request(f"http://127.0.0.1:{server.port}/api/ingest", b"{}", {"Content-Type": "application/json"})
        self.assertEqual(server._ask(bare)[0], 401)
        self.assertEqual(len(server.get("/api/recent/5")[1]["recent"]), 2)
        with self.assertRaises(InvalidStatus) as caught:
            server.connect()
        self.assertEqual(caught.exception.response.status_code, 401)
        self.assertIn("API_KEYS_FILE: 3 keys", server.log())
        for token in server.tokens.values():
            self.assertNotIn(token, server.log())

    def test_removed(self) -> None:
        """A key that is removed closes its connections with 4001, soon; those of others get every point on."""
        server = self.serve()
        with (
            server.connect(additional_headers=server.header("read")) as gone,
            server.connect(additional_headers=server.header("admin")) as stays,
        ):
            server.pitwall("keys", "remove", "read")
            started = time.monotonic()
            closed = self.assertRaises(ConnectionClosed, lambda: [gone.recv(timeout=NOTICED_S) for _ in range(100)])
            self.assertEqual(closed.rcvd.code, 4001)
            self.assertLess(time.monotonic() - started, NOTICED_S)
            self.assertEqual(server.get("/api/cars")[0], 401)
            server.post(POINT)
            self.assertEqual(len(points_of(read_messages(stays, 5, lambda got: bool(points_of(got))))), 1)
        self.assertNotIn("Traceback", server.log())

    def test_changed(self) -> None:
        """A key that is added is taken soon, and at once on SIGHUP; of a broken or missing file nothing is taken."""
        server = self.serve()
        token = server.pitwall("keys", "add", "late", "--scope", "read").stdout.strip()
        server.tokens["late"] = token
        server.process.send_signal(signal.SIGHUP)
        wait_for("the key", lambda: server.get("/api/cars", "late")[0] == 200, NOTICED_S)
        with server.connect(additional_headers=server.header("late")) as screen:
            for spoil in (lambda: server.path.write_text(f"{token}\n"), server.path.unlink):
                spoil()
                server.process.send_signal(signal.SIGHUP)
                time.sleep(1.2)
                self.assertEqual(server.get("/api/cars", "late")[0], 200)
            server.post(POINT)
            self.assertEqual(len(points_of(read_messages(screen, 5, lambda got: bool(points_of(got))))), 1)
        log = server.log()
        self.assertIn(
            "line 1: 1 words, wanted 4: name, scopes, SHA-256 of the key, date; what it said before holds", log
        )
        self.assertIn("can't be read: No such file or directory", log)
        self.assertNotIn(token, log)
        self.assertNotIn("Traceback", log)

    def test_commands(self) -> None:
        """import, tail and audit show the key that the environment has, and say so when one is wanted."""
        server = self.serve()
        url = f"http://127.0.0.1:{server.port}"
        file = Path(server.keys.name, "points.ndjson")
        file.write_text("".join(json.dumps({**POINT, "rpm": n}) + "\n" for n in range(5)))
        for arguments, words in (
            (("import", "--server", url, str(file)), "the server answers 401: a key is needed here"),
            (("audit", url), "it wants a key that may read"),
            (("tail", url), "answered 401: a key is needed here"),
        ):
            ended = server.pitwall(*arguments)
            self.assertEqual(ended.returncode, 1, ended.stderr)
            self.assertIn(words, ended.stderr)
        key = {"PITWALL_KEY": server.tokens["admin"]}
        self.assertEqual(server.pitwall("import", "--server", url, str(file), **key).returncode, 0)
        self.assertEqual(server.get("/api/recent/9")[1]["last_seq"], 5)
        self.assertEqual(server.pitwall("audit", url, **key).returncode, 0)
        tail = subprocess.Popen(
            [sys.executable, "-c", f"from pitwall.cli import main; main(['tail', '--snapshot', '--json', {url!r}])"],
            env=clean_environment(**key),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert tail.stdout is not None
        with tail.stdout:
            self.assertEqual(json.loads(tail.stdout.readline())["rpm"], 4)
            tail.kill()
            tail.wait(10)


class SignedTests(KeysCase):
    """`UDP_HMAC_KEY_FILE`."""

    def test_signed(self) -> None:
        """Signed datagrams are points, others are counted; a second key is taken when the file has it."""
        with tempfile.NamedTemporaryFile("w") as file:
            keys = ["k" * 40, "n" * 40]
            file.write(keys[0])
            file.flush()
            server = self.serve(UDP_HMAC_KEY_FILE=file.name)
            datagram = json.dumps(POINT).encode()

            def send(key: str) -> None:
                server.send(datagram + b" hmac-sha256=" + hmac.digest(key.encode(), datagram, "sha256").hex().encode())

            def counted() -> tuple[int, dict[str, int]]:
                metrics = server.get("/api/health")[1]["metrics"]
                return metrics["accepted"].get("udp", 0), metrics["refused"].get("udp", {})

            server.send(datagram)
            send(keys[0])
            send(keys[1])
            wait_for("the datagrams", lambda: counted() == (1, {"unsigned": 1, "bad_signature": 1}))
            file.write("\n" + keys[1])
            file.flush()
            wait_for("the second key", lambda: "UDP_HMAC_KEY_FILE read" in server.log(), NOTICED_S)
            send(keys[0])
            send(keys[1])
            wait_for("both", lambda: counted()[0] == 3)


class StartTests(KeysCase):
    """What the log says at the start, and SIGHUP."""

    def log_of(self, wanted: str, *options: str, **settings: str) -> str:
        """What a server writes until it has said something, or is up."""
        server = Server(*options, AGG_WORKERS="1", **settings)
        try:
            wait_for(f"the line {wanted}", lambda: wanted in server.log(), 20)
            return server.log()
        finally:
            server.close()

    def test_open(self) -> None:
        """Without keys the log says who may do what, and warns where every address is open."""
        self.assertIn("#info] no API_KEYS_FILE: whoever reaches the port", self.log_of("no API_KEYS_FILE"))
        everywhere = self.log_of("no API_KEYS_FILE", "--host=0.0.0.0")
        self.assertIn("#warn] no API_KEYS_FILE: whoever reaches any address of this machine", everywhere)

    def test_metrics_port(self) -> None:
        """With keys, METRICS_PORT is warned of, which asks for none, unless it is for this machine alone."""
        warning = "METRICS_PORT asks for no key"
        for host, metrics_host, warned in (
            ("127.0.0.1", None, False),
            ("0.0.0.0", None, True),
            ("0.0.0.0", "127.0.0.1", False),
            ("127.0.0.1", "0.0.0.0", True),
        ):
            port = free_port()
            more = {} if metrics_host is None else {"METRICS_HOST": metrics_host}
            server = KeyedServer(f"--host={host}", METRICS_PORT=str(port), **more)
            try:
                server.wait_well()
                self.assertEqual(f"#warn] {warning}" in server.log(), warned, (host, metrics_host))
                socket.create_connection(("127.0.0.1", port), 5).close()
                if not warned and host != "127.0.0.1":
                    self.assertRaises(OSError, socket.create_connection, ("127.0.0.2", port), 5)
            finally:
                server.close()
        self.assertNotIn(warning, self.log_of("no API_KEYS_FILE", METRICS_PORT=str(free_port())))

    def test_exposed(self) -> None:
        """Files that others may read, and keys that others may hear, are warned of."""
        server = KeyedServer("--host=0.0.0.0")
        self.addCleanup(server.close)
        server.wait_well()
        self.assertIn("keys without TLS: whoever sees the network sees them", server.log())
        self.assertIn("no UDP_HMAC_KEY_FILE: whoever reaches UDP_PORT may send points", server.log())
        server.path.chmod(0o644)
        self.assertIn("others may read it", self.log_of("others may", API_KEYS_FILE=str(server.path)))

    def test_terminal(self) -> None:
        """A server whose terminal goes ends, as everything else in it does; one that was started by nohup stays."""
        self.hang_up(signal.SIG_DFL)
        self.hang_up(signal.SIG_IGN)

    def hang_up(self, before: signal.Handlers) -> None:
        """Start a server in a terminal, where SIGHUP does this, and take the terminal away."""
        environment = clean_environment(
            HOST="127.0.0.1", PORT=str(free_port()), UDP_PORT=str(free_port()), AGG_WORKERS="1"
        )
        with tempfile.TemporaryDirectory() as directory:
            pid, terminal = pty.fork()
            if pid == 0:
                os.chdir(directory)
                signal.signal(signal.SIGHUP, before)
                os.execve(TWISTD, [str(TWISTD), "-n", "--pidfile=", "--logfile=log", "pitwall"], environment)
            log = Path(directory, "log")
            try:
                wait_for("the server", lambda: log.exists() and "no API_KEYS_FILE" in log.read_text(), 20)
                os.close(terminal)
                if before == signal.SIG_IGN:
                    wait_for("the signal", lambda: "SIGHUP: there are no keys" in log.read_text())
                    self.assertTrue(alive(pid))
                    os.kill(pid, signal.SIGTERM)
                wait_for("its end", lambda: os.waitpid(pid, os.WNOHANG)[0], 10)
                self.assertIn("Server Shut Down", log.read_text())
            finally:
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)

    def test_daemon(self) -> None:
        """A daemon reads its keys again on SIGHUP, and stays; one that has nothing to read stays as well."""
        server = self.serve()
        with tempfile.TemporaryDirectory() as directory:
            pidfile, logfile = Path(directory, "pid"), Path(directory, "log")
            environment = clean_environment(
                HOST="127.0.0.1",
                PORT=str(free_port()),
                UDP_PORT=str(free_port()),
                AGG_WORKERS="1",
                API_KEYS_FILE=str(server.path),
            )
            subprocess.run(
                [TWISTD, f"--pidfile={pidfile}", f"--logfile={logfile}", "pitwall"],
                cwd=directory,
                env=environment,
                timeout=20,
                check=True,
            )
            pid = int(wait_for("a pidfile", lambda: pidfile.exists() and pidfile.read_text()))
            try:
                wait_for("the start", lambda: "API_KEYS_FILE: 3 keys" in logfile.read_text(), 20)
                os.kill(pid, signal.SIGHUP)
                wait_for("the keys", lambda: "API_KEYS_FILE read: 3 keys" in logfile.read_text())
                self.assertTrue(alive(pid))
                os.kill(pid, signal.SIGTERM)
                wait_for("the end", lambda: not alive(pid))
                self.assertNotIn("Traceback", logfile.read_text())
            finally:
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)
