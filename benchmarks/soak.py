"""
Run a server for a while: ``python -m benchmarks.soak [--minutes 10] [--rate 2000]``.

Cars send by UDP at a steady rate, and some by HTTP. Two screens watch all the time, others
come and go, read slowly, subscribe, or break off. When the time is over nothing may be lost,
and the server may be no larger than it was when it had warmed up. The status is 1 when
anything is not as wanted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from statistics import median
from urllib.request import Request, urlopen

from benchmarks.checks import Check, show
from benchmarks.faults.peers import Racer, Watcher, a_point, joined, masked
from benchmarks.server import BenchServer, serving

#: The part of the time after which a server counts as warm: its ring has gone round, its allocator has settled.
_WARM = 0.3


class Passers:
    """Clients that come and go, in threads, until they are told to stop."""

    def __init__(self, port: int, count: int, seed: int) -> None:
        self.came = 0
        self._port = port
        self._going = True
        self._threads = [threading.Thread(target=self._pass, args=(seed + n,), daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let them all go."""
        self._going = False
        for thread in self._threads:
            thread.join(10)

    def _pass(self, seed: int) -> None:
        chance = random.Random(seed)
        while self._going:
            with suppress(OSError):
                client = joined(self._port, chance.choice((None, 4096)))
                self.came += 1
                if chance.random() < 0.3:
                    client.sendall(masked(b'{"type":"subscribe","chassis":["good-1"],"max_hz":5}'))
                end = time.monotonic() + chance.uniform(0.2, 4)
                client.settimeout(0.5)
                sips = chance.random() < 0.3
                while self._going and time.monotonic() < end:
                    with suppress(TimeoutError):
                        if not client.recv(2000 if sips else 1 << 20):
                            break
                    time.sleep(0.1 if sips else 0.01)
                if chance.random() < 0.5:
                    client.sendall(masked(b"\x03\xe8", 8))
                client.close()


class Poster:
    """A car that posts a few points a second, until it is told to stop."""

    def __init__(self, port: int, rate: float) -> None:
        self.accepted = 0
        self._url = f"http://127.0.0.1:{port}/api/ingest"
        self._pause_s = 10 / rate
        self._going = True
        self._thread = threading.Thread(target=self._post, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Stop; returns how many points were accepted."""
        self._going = False
        self._thread.join(10)
        return self.accepted

    def _post(self) -> None:
        number = 0
        while self._going:
            body = b"[%b]" % b",".join(a_point(number + n) for n in range(10))
            with urlopen(Request(self._url, body, {"Content-Type": "application/json"}), timeout=20) as answer:
                answer.read()
            number += 10
            self.accepted += 10
            time.sleep(self._pause_s)


class Figures:
    """What the kernel says of a server, once a second."""

    def __init__(self, server: BenchServer) -> None:
        self._server = server
        self.at: list[float] = []
        self.rss_mb: list[float] = []
        self.descriptors: list[int] = []

    def note(self) -> None:
        """Look."""
        self.at.append(time.monotonic())
        self.rss_mb.append(self._server.rss_mb())
        self.descriptors.append(len(os.listdir(f"/proc/{self._server.process.pid}/fd")))

    def drift(self, values: Sequence[float]) -> float:
        """How much more the last fifth is than a fifth of when it was warm, as medians."""
        fifth = max(len(values) // 5, 1)
        warm = int(len(values) * _WARM)
        return median(values[-fifth:]) / median(values[warm : warm + fifth])


def soak(minutes: float, rate: float) -> list[Check]:
    """A server in full flow, with clients that come and go."""
    # A ring that goes round while it warms up.
    size = str(max(1000, min(20_000, int(minutes * 60 * rate * _WARM / 2))))
    with serving(RINGBUFFER_SIZE=size) as server:
        log_bytes = server.log_bytes()
        figures = Figures(server)
        with Watcher(server.port, counts=True) as first, Watcher(server.port, counts=True) as second:
            racer = Racer(server.udp_port, rate, cars=20)
            poster, passers = Poster(server.port, rate / 50), Passers(server.port, 12, seed=1)
            end = time.monotonic() + minutes * 60
            while time.monotonic() < end:
                time.sleep(1)
                figures.note()
            passers.stop()
            sent = racer.stop() + poster.stop()
            time.sleep(1)
            health = server.health()["metrics"]
            ledger_off = _inexact(server)
            seen = first.count, second.count
            missed = first.missed + second.missed
        time.sleep(1)
        left = server.health()["metrics"]["wsClients"]
        grown = server.log_bytes() - log_bytes
    return [
        Check("points sent", sent),
        Check("points lost on the way in", sent - health["messagesReceived"], "≤", 0),
        Check("points lost on the way to a screen", sum(sent - count for count in seen) + missed, "≤", 0),
        Check(
            "rows the workers missed, and kernel drops", health["aggregationMissed"] + health["udpKernelDrops"], "≤", 0
        ),
        Check("lines of the ledger that are not exact", ledger_off, "≤", 0),
        Check("clients that came and went", passers.came),
        Check("clients that are left", left, "≤", 0),
        Check("resident memory, MB", figures.rss_mb[-1]),
        Check("resident memory, of what it was when warm", figures.drift(figures.rss_mb), "≤", 1.1),
        Check("descriptors, of what they were when warm", figures.drift(figures.descriptors), "≤", 1.3),
        Check("workers restarted", health["workerRestarts"], "≤", 0),
        Check("log, bytes", grown, "≤", 0),
    ]


def _inexact(server: BenchServer) -> int:
    """How many lines of ``/api/ledger`` do not add up."""
    with urlopen(f"http://127.0.0.1:{server.port}/api/ledger", timeout=20) as answer:
        books = json.load(answer)
    off: int = 0
    for line in books["doors"]:
        parts = line["accepted"] + sum(line["refused"].values()) + line["duplicate"] + line["pending"]
        off += line["received"] != parts
    for line in books["clients"]:
        parts = sum(line[name] for name in ("delivered", "conflated", "filtered", "dropped", "pending"))
        off += line["accepted"] != parts
    return off + int(books["ring"]["published"] != books["ring"]["last_seq"])


def main(arguments: Sequence[str]) -> int:
    """Run, print, and say whether all is as wanted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=2000.0, help="points a second by UDP")
    given = parser.parse_args(arguments)
    checks = soak(given.minutes, given.rate)
    show(f"{given.minutes:g} min at {given.rate:g} points/s", checks)
    return 1 if any(check.verdict == "NO" for check in checks) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
