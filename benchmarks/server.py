"""A PitWall server to measure, and what the kernel says of its processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

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
    """A server on loopback ports of its own."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, udp_port: int) -> None:
        self.process = process
        self.port = port
        self.udp_port = udp_port

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
def serving(**settings: str) -> Iterator[BenchServer]:
    """A server that is well; ended at the end of the block."""
    port, udp_port = _free(socket.SOCK_STREAM), _free(socket.SOCK_DGRAM)
    environment = {**os.environ, "HOST": "127.0.0.1", "PORT": str(port), "UDP_PORT": str(udp_port), **settings}
    twistd = Path(sys.executable).with_name("twistd")
    with tempfile.TemporaryDirectory() as directory, Path(directory, "log").open("wb") as log:
        command = [str(twistd), "-n", "--pidfile=", "pitwall"]
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=log, stderr=log)
        server = BenchServer(process, port, udp_port)
        try:
            _wait_well(server)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_well(server: BenchServer) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            if server.health()["ok"]:
                break
        except OSError:
            pass
        if server.process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("the server did not come up")
        time.sleep(0.1)
    time.sleep(0.5)


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
