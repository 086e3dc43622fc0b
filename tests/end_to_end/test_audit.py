"""``pitwall audit`` against a real server: exact while telemetry flows by every door, and at the end."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from twisted.trial.unittest import SynchronousTestCase
from websockets.typing import Subprotocol

from tests.end_to_end.harness import Server, clean_environment, free_port, running, wait_for
from tests.end_to_end.s3_server import CREDENTIALS, S3Server, missing
from tests.end_to_end.test_import import LONG_HEADER, long_rows

MAIN = "import sys; from pitwall.cli import main; sys.exit(main())"
WIDE_HEADER = "meta_time,track,chassis,speed\n"
PACKED = Subprotocol("pitwall.msgpack")
SAMPLE = (
    '{"telemetry_name":"%s","telemetry_value":%d,"vehicle_id":"GR86-%03d-7","meta_event":"I_R06_2025-09-07",'
    '"timestamp":"2025-09-05T00:%02d:%02d.%d00Z"}'
)


def audit(*arguments: str) -> tuple[int, str, str]:
    """The status, standard output and standard error of ``pitwall audit``."""
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "audit", *arguments],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def post(server: Server, body: bytes, kind: str, packed: bool = False, query: str = "") -> None:
    """Post a body; whatever the answer."""
    headers = {"Content-Type": kind, **({"Content-Encoding": "gzip"} if packed else {})}
    url = f"http://127.0.0.1:{server.port}/api/ingest{query}"
    try:
        urlopen(Request(url, gzip.compress(body) if packed else body, headers), timeout=20).close()
    except HTTPError as error:
        error.close()


def point(number: int) -> str:
    """A point as JSON; every seventh is bad."""
    speed = 900 if number % 7 == 0 else number % 300
    return f'{{"track":"barber","chassis":"GR86-{number % 20:03}","speed_kmh":{speed},"note":"{"x" * 200}"}}'


def sample(number: int) -> str:
    """A row of the long form; every fourth is one that came before, every ninth is bad."""
    number -= number % 4 == 3
    value = -50 if number % 9 == 0 else 100
    return SAMPLE % ("nmot", value, number % 5, number // 600 % 60, number // 10 % 60, number % 10)


def wide_rows() -> str:
    """Rows of a table, a point each; every fifth is bad."""
    return "".join(f",barber,GR86-1,{'fast' if n % 5 == 0 else n % 300}\n" for n in range(200))


def load(server: Server, round_: int) -> None:
    """Some hundred points and rows by every live door and in every form, good, bad and repeated."""
    start = round_ * 200
    mixed = [(sample if n % 2 else point)(n) for n in range(start, start + 200)]
    for line in mixed:
        server.send(line.encode())
    server.send(("[" + ",".join(mixed[:20]) + "]").encode(), "\n".join(mixed[:20]).encode(), b"noise", b"")
    post(server, ("[" + ",".join(mixed) + "]").encode(), "application/json")
    post(server, b"[broken", "application/json")
    post(server, "\n".join([*mixed, "noise"]).encode(), "application/x-ndjson", packed=bool(round_ % 2))
    post(server, (WIDE_HEADER + wide_rows()).encode(), "text/csv", packed=bool(round_ % 2))
    long = long_rows(100)
    post(server, (LONG_HEADER + long + long[:2000] + "\n").encode(), "text/csv", packed=True)
    post(server, (LONG_HEADER + long).encode(), "text/csv", query=f"?upload=u{round_ % 3}")


def received(server: Server) -> int:
    """What has come to be points and rows by all doors."""
    return sum(line["received"] for line in server.get("/api/ledger")[1]["doors"])


class AuditTests(SynchronousTestCase):
    """The books of a server."""

    def test_exact(self) -> None:
        """
        A hundred thousand points and rows by every door, one client that never reads and others that ask for
        less: the books are exact at any time.
        """
        self.patch(os, "environ", {**os.environ, **CREDENTIALS})
        bucket = S3Server(free_port())
        self.addCleanup(bucket.close)
        settings = {"S3_BUCKET": "race", "S3_ENDPOINT_URL": bucket.url, "S3_POLL_SECONDS": "1", **CREDENTIALS}
        with (
            running("--demo", WS_STALL_SECONDS="120", RINGBUFFER_SIZE="2000", **settings) as server,
            server.connect() as healthy,
            server.connect("?max_hz=5") as seldom,
            server.connect("?chassis=GR86-003,GR86-1&channels=speed_kmh", subprotocols=[PACKED]) as some,
            server.connect("?types=insight_update") as none,
        ):
            frozen = socket.create_connection(("127.0.0.1", server.port))
            self.addCleanup(frozen.close)
            frozen.sendall(
                b"GET /ws/realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            wait_for("every client", lambda: server.metrics()["wsClients"] == 5)
            stop = threading.Event()
            faults: list[BaseException] = []
            rounds: list[None] = []

            def reading() -> None:
                while not stop.is_set():
                    for client in (healthy, seldom, some, none):
                        with contextlib.suppress(TimeoutError):
                            while True:
                                client.recv(timeout=0.002)

            def loading() -> None:
                try:
                    while not stop.is_set():
                        load(server, len(rounds))
                        if len(rounds) % 10 == 0:
                            bucket.put(f"telemetry/{len(rounds)}.csv", WIDE_HEADER + wide_rows())
                            bucket.put(f"telemetry/{len(rounds)}-long.csv", LONG_HEADER + long_rows(300))
                        rounds.append(None)
                except BaseException as error:
                    faults.append(error)

            url = f"http://127.0.0.1:{server.port}"
            threads = [threading.Thread(target=work) for work in (reading, loading)]
            for thread in threads:
                thread.start()
            self.addCleanup(stop.set)
            audits = 0
            while audits < 4 or (received(server) < 100_000 and not faults):
                status, output, errors = audit(url)
                self.assertEqual((status, errors), (0, ""), output)
                audits += 1
                for _ in range(30):
                    self.assert_exact(server)
            stop.set()
            for thread in threads:
                thread.join()
            self.assertEqual(faults, [])
            time.sleep(0.2)
            status, output, errors = audit(url, "--json")
            self.assertEqual((status, errors), (0, ""), output)
            said = {each["name"]: each for each in json.loads(output)["equations"]}
            self.assertGreater(sum(each.get("received", 0) for each in said.values()), 100_000)
            self.assertGreater(said["s3 points"]["parts"]["refused (wrong_type)"], 10, said["s3 points"])
            self.assertGreater(said["s3 rows"]["parts"]["accepted"], 100)
            for door in ("udp", "http"):
                for unit in ("points", "rows"):
                    line = said[f"{door} {unit}"]
                    self.assertGreater(line["parts"]["accepted"], 1000, line)
                    self.assertGreater(line["parts"]["refused (out_of_range)"], 100, line)
                self.assertGreater(said[f"{door} rows"]["parts"]["duplicate"], 100)
            self.assertGreater(said["demo points"]["parts"]["accepted"], 100)
            self.assertEqual(said["udp points"]["received"], len(rounds) * (100 + 2 * 10 + 2) - said_drops(server))
            clients = [each for name, each in said.items() if name.startswith("client")]
            by_id = {line["id"]: line for line in server.get("/api/ledger")[1]["clients"]}
            self.assertEqual((len(clients), sorted(by_id)), (5, [1, 2, 3, 4, 5]))
            # They came in this order: healthy, seldom, some, none, frozen.
            self.assertGreater(by_id[1]["delivered"], 10_000)
            self.assertGreater(by_id[2]["conflated"], 10_000)
            self.assertGreater(min(by_id[3]["filtered"], by_id[3]["delivered"]), 1000)
            self.assertEqual(by_id[4]["delivered"], 0)
            self.assertGreater(by_id[4]["filtered"], 10_000)
            self.assertGreater(by_id[5]["pending"] + by_id[5]["dropped"], 1000)

    test_exact.skip = missing()  # type: ignore[attr-defined]

    def assert_exact(self, server: Server) -> None:
        """The books as any program may check them."""
        books = server.get("/api/ledger")[1]
        for line in books["doors"]:
            parts = line["accepted"] + sum(line["refused"].values()) + line["duplicate"] + line["pending"]
            self.assertEqual(line["received"], parts, line)
        for line in books["clients"]:
            parts = sum(line[name] for name in ("delivered", "conflated", "filtered", "dropped", "pending"))
            self.assertEqual(line["accepted"], parts, line)

    def test_no_server(self) -> None:
        """Without a server there is a sentence and status 1; without a URL it is wrong usage, 2."""
        status, output, errors = audit(f"http://127.0.0.1:{free_port()}")
        self.assertEqual((status, output), (1, ""))
        self.assertRegex(errors, r"^pitwall audit: http://127.0.0.1:\d+ can't be asked: ")
        self.assertEqual(audit()[0], 2)
        self.assertEqual(audit("localhost:8081")[0], 2)


def said_drops(server: Server) -> int:
    """Datagrams that the kernel dropped."""
    drops: int = server.get("/api/ledger")[1]["udp_kernel_drops"]
    return drops
