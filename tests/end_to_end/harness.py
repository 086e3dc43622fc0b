"""A real ``twistd`` for a test, and the clients to look at it with."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from websockets.sync.client import ClientConnection, connect

#: The twistd that belongs to the Python the tests run under.
TWISTD = Path(sys.executable).with_name("twistd")
#: How long a server may take to be well, a slow machine included [s].
UP_S = 20.0


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, found: Callable[[], Any], within_s: float = 10.0) -> Any:
    """
    What ``found`` returns, as soon as it is true.

    Raises:
        AssertionError: it was not true in time.
    """
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {within_s} s")


def clean_environment(**settings: str) -> dict[str, str]:
    """The environment for a server: what a shell has, and these settings."""
    # With PYTHONPATH the server is of the same checkout as the test.
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")
    return {**{name: os.environ[name] for name in kept if name in os.environ}, **settings}


class Server:
    """
    A running ``twistd pitwall`` in a directory of its own.

    Args:
        options: of pitwall.
        output: where its output goes; by default to a file that ``log`` reads.
        twistd: options of twistd.
        settings: its environment.
    """

    def __init__(self, *options: str, output: Any = None, twistd: Any = (), **settings: str) -> None:
        self.port, self.udp_port = int(settings.pop("PORT", 0)) or free_port(), free_port(socket.SOCK_DGRAM)
        self.directory = tempfile.TemporaryDirectory(prefix="pitwall-test-")
        self._log = Path(self.directory.name, "output.log").open("w+b")  # noqa: SIM115
        environment = clean_environment(HOST="127.0.0.1", PORT=str(self.port), UDP_PORT=str(self.udp_port), **settings)
        self.process = subprocess.Popen(
            [TWISTD, "-n", "--pidfile=", *twistd, "pitwall", *options],
            cwd=self.directory.name,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log if output is None else output,
            stderr=self._log if output is None else output,
        )
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def wait_well(self) -> None:
        """Wait until ``/api/health`` answers 200."""

        def well() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
            try:
                return self.get("/api/health")[0] == 200
            except OSError:
                return False

        wait_for("a server that is well", well, UP_S)

    def log(self) -> str:
        """All it has written so far."""
        return Path(self._log.name).read_text()

    def get(self, path: str) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        return self._ask(Request(f"http://127.0.0.1:{self.port}{path}"))

    def post(self, points: Any) -> tuple[int, Any]:
        """Post points to ``/api/ingest``."""
        headers = {"Content-Type": "application/json"}
        return self._ask(Request(f"http://127.0.0.1:{self.port}/api/ingest", json.dumps(points).encode(), headers))

    def send(self, *datagrams: bytes) -> None:
        """Send datagrams to the UDP door."""
        for datagram in datagrams:
            self._udp.sendto(datagram, ("127.0.0.1", self.udp_port))

    def metrics(self) -> dict[str, Any]:
        """The counters of ``/api/health``."""
        found: dict[str, Any] = self.get("/api/health")[1]["metrics"]
        return found

    def connect(self, query: str = "", **options: Any) -> ClientConnection:
        """A WebSocket client; ``query`` is of the address, with its question mark."""
        url = f"ws://127.0.0.1:{self.port}/ws/realtime{query}"
        client: ClientConnection = connect(url, max_size=None, proxy=None, **options)
        return client

    def workers(self) -> list[int]:
        """The process numbers of its workers."""
        return children(self.process.pid)

    def rss_bytes(self) -> int:
        """The resident memory of its main process."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_s(self) -> float:
        """The processor time of its main process so far [s]."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self, within_s: float = 10.0) -> float:
        """End it by SIGTERM; returns how long it took [s]."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(within_s)
        return time.monotonic() - started

    def close(self) -> None:
        """End it in any case and clean up."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._udp.close()
        self._log.close()
        self.directory.cleanup()

    @staticmethod
    def _ask(request: Request) -> tuple[int, Any]:
        try:
            with urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            with error:
                return error.code, json.load(error)


@contextmanager
def running(*options: str, output: Any = None, twistd: Any = (), **settings: str) -> Iterator[Server]:
    """A server that is well, ended when the block ends."""
    server = Server(*options, output=output, twistd=twistd, **settings)
    try:
        server.wait_well()
        yield server
    finally:
        server.close()


def children(pid: int) -> list[int]:
    """The children of a process."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def read_messages(client: ClientConnection, for_s: float, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """The messages a client gets until there are enough, or the time is over."""
    messages: list[Any] = []
    end = time.monotonic() + for_s
    while (left := end - time.monotonic()) > 0 and not enough(messages):
        try:
            messages.append(json.loads(client.recv(timeout=left)))
        except TimeoutError:
            break
    return messages


def points_of(messages: list[Any]) -> list[Any]:
    """The points of telemetry messages, in order."""
    return [point for message in messages if message["type"] == "telemetry_update" for point in message["data"]]
