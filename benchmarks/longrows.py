"""
Rows of the long form as load, and what they cost: by HTTP in batches, by UDP one a datagram, and a field with bursts.

The rows are those of 30 cars at the real rates: each 43 ms an instant of 9 channels,
of 12 every fifth time, on a car's clock that is days behind. The sender has a process
of its own, ``python -m benchmarks.longrows udp|http …``, and makes them beforehand.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.server import BenchServer, serving

CARS = 30
#: Rows a second of such a field.
RATE = 6700
_FAST = (
    "accx_can",
    "accy_can",
    "aps",
    "pbrake_r",
    "pbrake_f",
    "gear",
    "VBOX_Long_Minutes",
    "VBOX_Lat_Min",
    "Steering_Angle",
)
_SLOW = ("Laptrigger_lapdist_dls", "nmot", "speed")
_START = datetime(2025, 9, 6, 18, 0, tzinfo=UTC)
_BURST_S, _BURST_ROWS = 5.0, 4000
_HEADER = (
    "expire_at,lap,meta_event,meta_session,meta_source,meta_time,original_vehicle_id,outing,telemetry_name,"
    "telemetry_value,timestamp,vehicle_id,vehicle_number"
)


def _iso(seconds: float) -> str:
    return (_START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rows(form: str, first_instant: int = 0) -> Iterator[bytes]:
    """Rows without an end, car by car and instant by instant, as JSON objects or CSV lines."""
    instant = first_instant
    while True:
        at = instant * 0.0434
        for car in range(CARS):
            stamp, meta_time, chassis = _iso(at - 150_000 - 1000 * car), _iso(at), f"GR86-{car:03}-{car}"
            for name in _FAST if instant % 5 else (*_FAST, *_SLOW):
                value = round((instant * 7 + car) % 100 * 0.013, 3)
                if form == "csv":
                    row = (
                        f",7,I_R06_2025-09-07,R1,kafka:gr-raw,{meta_time},{chassis},0,{name},{value},{stamp},"
                        f"{chassis},{car}"
                    )
                else:
                    row = (
                        '{"expire_at":null,"lap":7,"meta_event":"I_R06_2025-09-07","meta_session":"R1",'
                        f'"meta_source":"kafka:gr-raw","meta_time":"{meta_time}","original_vehicle_id":"{chassis}",'
                        f'"outing":0,"telemetry_name":"{name}","telemetry_value":{value},"timestamp":"{stamp}",'
                        f'"vehicle_id":"{chassis}","vehicle_number":{car}}}'
                    )
                yield row.encode()
        instant += 1


def _taken(source: Iterator[bytes], count: int) -> list[bytes]:
    return [next(source) for _ in range(count)]


def send_udp(port: int, rate: float, seconds: float, bursts: bool) -> dict[str, Any]:
    """Send rows at a rate, one a datagram; ``bursts``: 4,000 at a time every 5 s, and the others evenly."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(("127.0.0.1", port))
    ready = _taken(rows("json"), int(rate * seconds))
    even = rate - (_BURST_ROWS / _BURST_S if bursts else 0)
    sent, burst_rows, next_burst = 0, 0, _BURST_S / 2
    started = time.monotonic()
    while sent < len(ready) and (now := time.monotonic() - started) < 2 * seconds:
        if bursts and now >= next_burst:
            next_burst += _BURST_S
            burst_rows += _BURST_ROWS
        due = min(int(now * even) + burst_rows, len(ready))
        for row in ready[sent:due]:
            sender.send(row)
        sent = max(sent, due)
        time.sleep(0.001)
    return {"rows": sent, "seconds": time.monotonic() - started}


def send_http(port: int, form: str, batch: int, batches: int) -> dict[str, Any]:
    """Post batches one after the other on one connection; each has instants of its own."""
    source = rows(form)
    as_json = form == "json"
    begin, between, end = (b"[", b",", b"]") if as_json else (_HEADER.encode() + b"\n", b"\n", b"\n")
    kind = "application/json" if as_json else "text/csv"
    ready = []
    for _ in range(batches):
        body = begin + between.join(_taken(source, batch)) + end
        head = f"POST /api/ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        ready.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    refused = 0
    started = time.monotonic()
    for request in ready:
        connection.sendall(request)
        answer = connection.recv(65_536)
        refused += not answer.startswith(b"HTTP/1.1 200") or b'"rejected_total":0' not in answer
    return {"rows": batch * batches, "refused": refused, "seconds": time.monotonic() - started}


def _load(*arguments: Any) -> Any:
    command = [sys.executable, "-m", "benchmarks.longrows", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return json.loads(done.stdout.splitlines()[-1])


def _figures(server: BenchServer, sent: Any, cost: float, door: str) -> dict[str, float]:
    booked = server.health()["metrics"]["rows"].get(door, {})
    accounted = sum(booked.get(name, 0) for name in ("samples", "duplicates", "refused", "pending"))
    return {
        "rows/s": sent["rows"] / sent["seconds"],
        "main, µs a row": cost / sent["rows"] * 1e6,
        "rows/s on one core": sent["rows"] / cost,
        "main, cores": cost / sent["seconds"],
        "rows lost": sent["rows"] - booked.get("rows", 0),
        "rows not accounted for": booked.get("rows", 0) - accounted,
        "rows refused or repeated": booked.get("refused", 0) + booked.get("duplicates", 0),
    }


def long(quick: bool) -> dict[str, dict[str, float]]:
    """Rows of the long form: batches of 1,000 by HTTP, single ones by UDP, a field of 30 cars with bursts."""
    found = {}
    for form, name in (("json", "JSON rows, posts of 1,000"), ("csv", "CSV rows, posts of 1,000")):
        with serving() as server:
            before = server.cpu_s()
            sent = _load("http", "--port", server.port, "--form", form, "--batches", 200 if quick else 1000)
            server.wait_quiet()
            found[name] = _figures(server, sent, server.cpu_s() - before, "http")
            found[name]["posts refused"] = sent["refused"]
    for rate in (60_000, 110_000):
        with serving() as server:
            before = server.cpu_s()
            sent = _load("udp", "--port", server.udp_port, "--rate", rate, "--seconds", 2 if quick else 5)
            server.wait_quiet()
            name = f"{rate:,} rows/s wanted, one a datagram"
            found[name] = _figures(server, sent, server.cpu_s() - before, "udp")
            found[name]["kernel drops"] = server.kernel_drops()
    with serving() as server:
        seconds = 8 if quick else 60
        options = (f"--port={server.port}", "--clients=1", f"--seconds={seconds + 5}")
        watch = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load", "fan", *options], stdout=subprocess.PIPE, text=True
        )
        assert watch.stdout is not None
        watch.stdout.readline()
        before = server.cpu_s()
        sent = _load("udp", "--port", server.udp_port, "--rate", RATE, "--seconds", seconds, "--bursts")
        cost = server.cpu_s() - before
        server.wait_quiet()
        name = f"30 cars, {RATE:,} rows/s with bursts of {_BURST_ROWS:,}"
        found[name] = _figures(server, sent, cost, "udp")
        found[name]["kernel drops"] = server.kernel_drops()
        lag = server.health()["metrics"]["reactorLagMs"]
        found[name] |= {"reactor lag p99.9, ms": lag["p99_9"], "reactor lag, most, ms": lag["max"]}
        watched, _ = watch.communicate(timeout=60)
        found[name]["missed by the client"] = json.loads(watched.splitlines()[-1])["missed"]
    return found


def main(arguments: Sequence[str]) -> None:
    """Run one kind of load."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("udp", "http"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--form", choices=("json", "csv"), default="json")
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--bursts", action="store_true")
    given = parser.parse_args(arguments)
    if given.kind == "udp":
        result = send_udp(given.port, given.rate, given.seconds, given.bursts)
    else:
        result = send_http(given.port, given.form, given.batch, given.batches)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
