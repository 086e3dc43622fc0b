"""What the machine does to a server: workers that die, disks that are full, files that may not be opened."""

from __future__ import annotations

import os
import resource
import signal
import socket
import time
from contextlib import suppress

from benchmarks.checks import Check
from benchmarks.faults.peers import Racer, Watcher, connected, health_ms, until
from benchmarks.server import children, serving

_MIB = 1 << 20


def workers(quick: bool) -> list[Check]:
    """A worker that is killed, and one that is stopped."""
    checks = []
    for name, number, most_s in (("killed", signal.SIGKILL, 2.0), ("stopped", signal.SIGSTOP, 5.0)):
        with serving(AGG_WORKERS="1") as server, Watcher(server.port) as watcher, Racer(server.udp_port) as racer:
            until(lambda watcher=watcher: len(watcher.insights_at) > 2, 10)  # type: ignore[misc]
            (pid,) = children(server.process.pid)
            seen = len(watcher.insights_at)
            os.kill(pid, number)
            # What was on its way does not count.
            time.sleep(0.1)
            seen = len(watcher.insights_at)
            took_s = 0.1 + until(lambda watcher=watcher, seen=seen: len(watcher.insights_at) > seen, 20)  # type: ignore[misc]
            sent = racer.stop()
            time.sleep(0.5)
            checks += [
                Check(f"{name}: insights are back after, s", took_s, "<", most_s),
                Check(f"{name}: points lost", sent - len(watcher.points), "≤", 0),
            ]
    return checks


def full_disk(quick: bool) -> list[Check]:
    """A log on a full disk, and one that takes what twenty thousand bad datagrams from two thousand ports leave."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with serving(output=full) as server, Watcher(server.port) as watcher, Racer(server.udp_port) as racer:
            before_s, began = server.cpu_s(), time.monotonic()
            for pid in children(server.process.pid):  # something to log
                os.kill(pid, signal.SIGKILL)
            time.sleep(3)
            cores = (server.cpu_s() - before_s) / (time.monotonic() - began)
            sent = racer.stop()
            time.sleep(0.5)
            lost = sent - len(watcher.points)
    finally:
        os.close(full)
    with serving() as server:
        before = server.log_bytes()
        for port in range(2000):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for n in range(10):
                    sender.sendto(
                        (b"nope", b'{"lap":1}', b"\xff\xfe", b"{", b"a,b,c")[n % 5], ("127.0.0.1", server.udp_port)
                    )
            if port % 50 == 0:
                time.sleep(0.01)
        refused = 20_000
        until(lambda: server.health()["metrics"]["errors"] >= refused, 5)
        refused = server.health()["metrics"]["errors"]
        grown = server.log_bytes() - before
    return [
        Check("full disk: points lost", lost, "≤", 0),
        Check("full disk: cores", cores, "<", 0.7),
        Check("bad datagrams counted", refused, "≥", 20_000),
        Check("log of them, MiB", grown / _MIB, "<", 1),
    ]


def descriptors(quick: bool) -> list[Check]:
    """A hundred and twenty-eight descriptors, and then none that is free, for three hundred who would like one."""
    checks = []
    for name, limit in (("128", 128), ("none", None)):
        with serving(descriptors=limit, AGG_WORKERS="1") as server, Watcher(server.port) as watcher:
            peers = []
            with Racer(server.udp_port) as racer:
                if limit is None:
                    pid = server.process.pid
                    now = len(os.listdir(f"/proc/{pid}/fd"))
                    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, (now + 10, hard))
                before_s, began = server.cpu_s(), time.monotonic()
                for _ in range(300):
                    with suppress(OSError):
                        peers.append(connected(server.port))
                asked_ms = [health_ms(server.port) for _ in range(5)] if limit is not None else []
                time.sleep(3)
                cores = (server.cpu_s() - before_s) / (time.monotonic() - began)
                for peer in peers:
                    peer.close()
                time.sleep(0.5)
                for pid in children(server.process.pid):
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.3)  # until it is missed
                back_s = 0.3 + until(server.well, 10)
                served = sum(health_ms(server.port) < 500 for _ in range(10))
                sent = racer.stop()
            time.sleep(0.5)
            checks += [
                Check(f"{name}: health meanwhile, at most ms", max(asked_ms, default=0.0), "<", 1000),
                Check(f"{name}: cores meanwhile", cores, "<", 0.7),
                Check(f"{name}: points lost", sent - len(watcher.points), "≤", 0),
                Check(f"{name}: requests served afterwards, of 10", served, "≥", 10),
                Check(f"{name}: a worker that is killed afterwards is back after, s", back_s, "<", 5),
                Check(f"{name}: tracebacks in the log", server.log().count("Traceback"), "≤", 0),
                Check(f"{name}: log, KiB", server.log_bytes() / 1024, "<", 64),
            ]
    return checks
