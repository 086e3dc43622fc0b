"""Good points among bad ones, and a bucket that is never there."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from benchmarks.checks import Check
from benchmarks.faults.peers import Racer, Watcher, a_point, until
from benchmarks.server import serving
from pitwall.model.channels import CHANNELS

_BAD: dict[str, Any] = {"track": "barber", "chassis": "bad", "meta_time": "2025-09-06T18:42:10.250Z"}


def kinds() -> list[bytes]:
    """A hundred and thirty-five bad datagrams, no two of a kind."""
    spoilt = [
        json.dumps({**_BAD, channel.name: value}).encode()
        for channel in CHANNELS.values()
        for value in (channel.high + 1, channel.low - 1, "fast", [1], {"v": 1}, True, float("nan"))
    ]
    lacking = [json.dumps({k: v for k, v in _BAD.items() if k != name}).encode() for name in ("track", "chassis")]
    names: list[dict[str, Any]] = [
        {name: 1} for name in ("", "x" * 65, "__proto__", "constructor", "prototype", "a\tb")
    ]
    texts: list[dict[str, Any]] = [
        {"chassis": ""},
        {"chassis": "x" * 65},
        {"chassis": 7},
        {"chassis": None},
        {"track": ["barber"]},
        {"raw_source": "x" * 4097},
        {"note": "a\x00b"},
        {"note": "\x1b[2J"},
        {"meta_time": "yesterday"},
        {"meta_time": "2025-13-01T00:00:00Z"},
        {"meta_time": 1757184041},
        {f"v{n}": n for n in range(64)},
        {f"v{n}": "x" * 4000 for n in range(5)},
    ]
    whole = json.dumps(_BAD).encode()
    raw = [
        b"",
        b"\n\n",
        b"noise",
        b"\xff\xfe\x00",
        b"\x16\x03\x01",
        b"{",
        b"}",
        b"[",
        b"[]",
        b"[[]]",
        b"null",
        b"7",
        b'"text"',
        whole[:-1],
        whole[1:],
        whole + b",",
        whole.replace(b":", b"=", 1),
        whole.replace(b"bad", b"b\xffd"),
        whole.replace(b'"bad"', b'"b\\ud800d"'),
        b"[" * 5000,
        b'{"a":' * 3000,
        b"a,b,c",
        b"2025-09-06T18:42:10Z,barber,bad,x,y,z",
        b",,bad,1,2,3",
        b"," * 60,
        b"x" * 65_507,
    ]
    found = [*spoilt, *lacking, *(json.dumps({**_BAD, **more}).encode() for more in names + texts), *raw]
    found = list(dict.fromkeys(found))[:135]
    assert len(found) == 135, len(found)
    return found


def bad_datagrams(quick: bool) -> list[Check]:
    """Good points among a hundred and thirty-five kinds of bad datagrams."""
    rounds = 2 if quick else 20
    bad = kinds()
    with serving() as server, Watcher(server.port) as watcher:
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.connect(("127.0.0.1", server.udp_port))
        good = 0
        for _ in range(rounds):
            for datagram in bad:
                sender.send(a_point(good))
                sender.send(datagram)
                good += 1
            time.sleep(0.02)
        until(lambda: len(watcher.points) >= good, 5)
        time.sleep(0.3)
        numbers = [point.get("n") for point in watcher.points if point["chassis"] != "bad"]
        metrics = server.health()["metrics"]
        sender.close()
        return [
            Check("good points sent", good),
            Check("good points delivered, in order, %", 100 * (numbers == list(range(good))), "≥", 100),
            Check("bad ones delivered", len(watcher.points) - len(numbers), "≤", 0),
            Check("bad ones counted, of each sent", metrics["errors"] / (rounds * len(bad)), "≥", 1),
            Check("tracebacks in the log", server.log().count("Traceback"), "≤", 0),
        ]


def storage_down(quick: bool) -> list[Check]:
    """A bucket that can't be reached, for the whole run."""
    seconds = 5 if quick else 20
    settings = {
        "S3_BUCKET": "race",
        "S3_ENDPOINT_URL": "http://127.0.0.1:9",
        "S3_POLL_SECONDS": "1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with serving(**settings) as server, Watcher(server.port) as watcher:
        with Racer(server.udp_port) as racer:
            before_s, began = server.cpu_s(), time.monotonic()
            time.sleep(seconds)
            cores = (server.cpu_s() - before_s) / (time.monotonic() - began)
            sent = racer.stop()
        time.sleep(0.5)
        health = server.health()
        return [
            Check("points lost", sent - len(watcher.points), "≤", 0),
            Check("well, and said to be failing", health["ok"] and health["metrics"]["s3"]["failing"], "≥", 1),
            Check("cores", cores, "<", 0.5),
            Check("lines of the log about it", server.log().count("s3"), "≤", 10),
        ]
