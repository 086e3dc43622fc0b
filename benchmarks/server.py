"""A PitWall server to measure, and what the kernel says of its processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

#: The twistd that belongs to this Python.
TWISTD = str(Path(sys.executable).with_name("twistd"))
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    """The processor time of a process alone, its threads included, its children not [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_bytes(pid: int) -> int:
    """The resident memory of a process [bytes]."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def children(pid: int) -> list[int]:
    """The children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kernel_drops(table: str, port: int) -> int:
    """The datagrams dropped at a port, by the text of ``/proc/net/udp``."""
    rows = (line.split() for line in table.splitlines()[1:])
    return sum(int(row[-1]) for row in rows if int(row[1].rsplit(":", 1)[1], 16) == port)


class BenchServer:
    """
    A server on loopback ports of its own.

    Args:
        directory: its own, where its log is.
        settings: its environment.
        descriptors: how many files it may have open; as many as we may if None.
        output: where its output goes; to the log if None.
    """

    process: subprocess.Popen[bytes]

    def __init__(
        self, directory: str, settings: Mapping[str, str], descriptors: int | None = None, output: int | None = None
    ) -> None:
        self.port = _free(socket.SOCK_STREAM)
        self.udp_port = _free(socket.SOCK_DGRAM)
        self._directory = directory
        ports = {"HOST": "127.0.0.1", "PORT": str(self.port), "UDP_PORT": str(self.udp_port)}
        self._environment = {**os.environ, **ports, **settings}
        self._descriptors = descriptors
        self._output = output
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        command = [TWISTD, "-n", "--pidfile=", "pitwall"]
        if self._descriptors is not None:
            command = ["prlimit", f"--nofile={self._descriptors}", *command]
        with Path(self._directory, "log").open("ab") as log:
            output: Any = log if self._output is None else self._output
            self.process = subprocess.Popen(
                command, cwd=self._directory, env=self._environment, stdout=output, stderr=output
            )

    def log(self) -> str:
        """What it has logged so far."""
        return Path(self._directory, "log").read_text(errors="replace")

    def log_bytes(self) -> int:
        """How much that is."""
        return Path(self._directory, "log").stat().st_size

    def serves(self) -> bool:
        """Whether it answers."""
        try:
            self.health()
        except HTTPError as error:
            error.close()
            return True
        except OSError:
            return False
        return True

    def well(self) -> bool:
        """Whether it says that it is well."""
        try:
            return bool(self.health()["ok"])
        except OSError:
            return False

    def health(self) -> Any:
        """The answer of ``/api/health``."""
        with urlopen(f"http://127.0.0.1:{self.port}/api/health", timeout=10) as answer:
            return json.load(answer)

    def cpu_s(self) -> float:
        """The processor time of the main process [s]."""
        return cpu_s(self.process.pid)

    def workers_cpu_s(self) -> float:
        """The processor time of the workers [s]."""
        return sum(map(cpu_s, children(self.process.pid)))

    def rss_mb(self) -> float:
        """The resident memory of the main process [MB]."""
        return rss_bytes(self.process.pid) / 1e6

    def tree_rss_mb(self) -> float:
        """The resident memory of the main process and the workers [MB]."""
        return (rss_bytes(self.process.pid) + sum(map(rss_bytes, children(self.process.pid)))) / 1e6

    def kernel_drops(self) -> int:
        """Datagrams that the kernel had no room for."""
        return kernel_drops(Path("/proc/net/udp").read_text(), self.udp_port)

    def wait_quiet(self, most_s: float = 5.0) -> None:
        """Wait until the main process has caught up with what it was sent."""
        end, before = time.monotonic() + most_s, -1.0
        while time.monotonic() < end and self.cpu_s() - before > 0.01:
            before = self.cpu_s()
            time.sleep(0.3)


@contextmanager
def serving(*, descriptors: Any = None, output: Any = None, **settings: str) -> Iterator[BenchServer]:
    """A server that is well; ended at the end of the block. For the arguments see ``BenchServer``."""
    with tempfile.TemporaryDirectory() as directory:
        server = BenchServer(directory, settings, descriptors, output)
        try:
            _wait_well(server)
            yield server
        finally:
            server.process.terminate()
            try:
                server.process.wait(10)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()


def _wait_well(server: BenchServer) -> None:
    end = time.monotonic() + 20
    while not server.well():
        if server.process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("the server did not come up")
        time.sleep(0.1)
    time.sleep(0.5)


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
