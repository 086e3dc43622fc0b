"""How a server begins, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.checks import Check
from benchmarks.faults.peers import Racer, Watcher, connected, until
from benchmarks.server import TWISTD, children, serving

_WRONG = (
    *(("PORT", "70000"), ("UDP_PORT", "x"), ("WS_PATH", "ws"), ("RINGBUFFER_SIZE", "1"), ("BATCH_MS", "abc")),
    *(("FLUSH_MS", "0"), ("FLUSH_SHARE", "nan"), ("LOSS_SECONDS", "-1"), ("AGG_WORKERS", "0")),
    *(("MAX_WS_BUFFER", "1"), ("WS_STALL_SECONDS", "inf"), ("WS_DEFLATE", "maybe"), ("MAX_CONNECTIONS", "0")),
    *(("REQUEST_SECONDS", "0"), ("ALLOWED_ORIGINS", "wall"), ("UDP_ALLOW", "10.0.0.0/33"), ("LOG_FORMAT", "xml")),
    *(("TRACK_SECTORS_PATH", "/no/file"), ("STATE_DIR", "/no/dir"), ("HOST", "192.0.2.1")),
)


def wrong_settings(quick: bool) -> list[Check]:
    """Twenty wrong settings, each of which ends the start with a sentence that names it."""
    wrong = _WRONG[::5] if quick else _WRONG
    named, slowest_s = 0, 0.0
    for name, value in wrong:
        with tempfile.TemporaryDirectory() as directory:
            began = time.monotonic()
            ended = subprocess.run(
                [TWISTD, "-n", "--pidfile=", "pitwall"],
                cwd=directory,
                env={**os.environ, name: value},
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            slowest_s = max(slowest_s, time.monotonic() - began)
        said = (ended.stdout + ended.stderr).strip().splitlines()
        named += ended.returncode != 0 and len(said) == 1 and said[0].startswith(f"pitwall: {name} ")
    return [
        Check("named in one sentence", named, "≥", len(wrong)),
        Check("the slowest, s", slowest_s, "<", 2),
    ]


def ended(quick: bool) -> list[Check]:
    """SIGTERM and SIGINT, in full flow, with peers that are in the middle of something."""
    checks = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with serving() as server, Watcher(server.port) as watcher:
            halves = [connected(server.port) for _ in range(20)]
            for half in halves:
                half.sendall(b"POST /api/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
            with Racer(server.udp_port, 1000):
                time.sleep(1)
            time.sleep(0.1)
            began = time.monotonic()
            server.process.send_signal(number)
            server.process.wait(20)
            checks += [
                Check(f"{number.name}: s", time.monotonic() - began, "<", 2),
                Check(f"{number.name}: close code", watcher.close_code or 0, "≥", 1001),
                Check(f"{number.name}: missed", watcher.missed, "≤", 0),
            ]
            for half in halves:
                half.close()
    return checks


def killed(quick: bool) -> list[Check]:
    """The server is killed (SIGKILL)."""
    shared = set(os.listdir("/dev/shm"))
    with serving(AGG_WORKERS="2") as server:
        pids = children(server.process.pid)
        server.process.kill()
        server.process.wait(10)
        gone_s = until(lambda: not any(map(_alive, pids)), 5)
    left = set(os.listdir("/dev/shm")) - shared
    return [
        Check("workers are gone after, s", gone_s, "<", 2),
        Check("files left in /dev/shm", len(left), "≤", 0),
    ]


def restarted(quick: bool) -> list[Check]:
    """The server is started again on the same ports, after an end and after a kill."""
    checks = []
    with serving() as server:
        for name in ("ended", "killed"):
            with Watcher(server.port):
                if name == "ended":
                    server.process.terminate()
                else:
                    server.process.kill()
                server.process.wait(10)
            began = time.monotonic()
            server.start()
            up_s = until(server.serves, 10)
            checks.append(
                Check(f"{name}: serves again after, s", time.monotonic() - began if up_s < 10 else up_s, "<", 2)
            )
            until(server.well, 10)
    return checks


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
