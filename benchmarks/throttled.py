"""
A screen that reads at a bounded rate: ``python -m benchmarks.throttled --port …``; prints one JSON line.

For ``--seconds`` it reads ``--rate`` bytes/s, then as fast as it comes for ``--after``. At every
moment it knows how old what it has of each car is, by the ``ts`` of the points (see ``benchmarks.load``).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.load import Client, percentile, split_frames

#: It reads, and looks at the ages, so often [s].
STEP_S = 0.05
#: The ages of the first seconds do not count [s].
SETTLING_S = 10.0


class Screen:
    """What one client has seen."""

    def __init__(self, port: int) -> None:
        self.client = Client(port, False, None, "?types=telemetry_update,insight_update,quality")
        self.socket = self.client.socket
        self._held = self.client.held
        self.qualities: list[tuple[float, str, int]] = []
        self.newest: dict[str, int] = {}
        self.insights: list[int] = []
        self.insight_bytes = self.bytes = self.points = self.conflated = self.missed = 0
        self.closed = False
        self._last: int | None = None
        self._began = time.monotonic()

    def read(self, size: int) -> None:
        """Take at most so many bytes of what has come."""
        try:
            data = self.socket.recv(size)
        except BlockingIOError:
            return
        self.closed = not data
        self.bytes += len(data)
        frames, self._held = split_frames(self._held + data)
        for opcode, payload in frames:
            if opcode == 9:
                self.socket.send(b"\x8a%c\0\0\0\0%b" % (0x80 | len(payload), payload))
            elif opcode == 8:
                self.closed = True
            else:
                self._note(json.loads(payload), len(payload))

    def _note(self, message: dict[str, Any], size: int) -> None:
        if message["type"] == "telemetry_update":
            self.points += len(message["data"])
            self.conflated += message.get("conflated", 0)
            if self._last is not None:
                self.missed += message["prev"] - self._last
            self._last = message["seq"]
            for point in message["data"]:
                self.newest[point["chassis"]] = point["ts"]
        elif message["type"] == "insight_update":
            self.insights.append(message["insight_seq"])
            self.insight_bytes += size
        elif message["type"] == "quality":
            self.qualities.append((time.monotonic() - self._began, message["level"], message["conflated"]))

    def ages_s(self) -> list[float]:
        """How old what it has of each car is [s]."""
        now = time.monotonic_ns() // 1000
        return [(now - stamp) / 1e6 for stamp in self.newest.values()]


def watch(
    port: int, rate: int, seconds: float, after: float, ready: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Read slowly, then quickly; ``ready`` is called when it is connected."""
    screen = Screen(port)
    ready()
    began = time.monotonic()
    ages: list[float] = []
    taken = 0
    while (now := time.monotonic() - began) < seconds + after and not screen.closed:
        if now < seconds:
            before = screen.bytes
            screen.read(max(int(now * rate) - taken, 1))
            taken += screen.bytes - before
            if now > SETTLING_S:
                ages += screen.ages_s()
            time.sleep(STEP_S)
        else:
            screen.read(1 << 20)
            time.sleep(0.002)
    return {
        "ages_p50_s": percentile(ages, 0.5),
        "ages_p95_s": percentile(ages, 0.95),
        "ages_max_s": percentile(ages, 1.0),
        "slow_bytes": taken,
        "points": screen.points,
        "conflated": screen.conflated,
        "missed": screen.missed,
        "insight_bytes": screen.insight_bytes / max(len(screen.insights), 1),
        "insights": len(screen.insights),
        "insights_missing": _missing(screen.insights),
        "qualities": screen.qualities,
        "cars": len(screen.newest),
        "closed": screen.closed,
        "newest_s": max(screen.ages_s(), default=float("nan")),
    }


def _missing(numbers: Sequence[int]) -> int:
    return numbers[-1] - numbers[0] + 1 - len(numbers) if numbers else 0


def main(arguments: Sequence[str]) -> None:
    """Watch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=int, default=64_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--after", type=float, default=10)
    given = parser.parse_args(arguments)
    seen = watch(given.port, given.rate, given.seconds, given.after, lambda: print("{}", flush=True))
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
