"""``pitwall import`` as a process of its own: files, standard input, a bucket, a file that grows; and a real server."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from pitwall.importer.batches import Batch, BatchSize
from pitwall.importer.follow import FollowedFile
from pitwall.importer.formats import ReadError
from tests.end_to_end.harness import clean_environment, free_port, running, wait_for
from tests.end_to_end.s3_server import CREDENTIALS, S3Server, missing

HEADER = "meta_time,track,chassis,speed\n"
LONG_HEADER = (
    "expire_at,lap,meta_event,meta_session,meta_source,meta_time,original_vehicle_id,outing,"
    "telemetry_name,telemetry_value,timestamp,vehicle_id,vehicle_number\n"
)


def rows(first: int, last: int) -> str:
    """CSV rows numbered by their millisecond."""
    return "".join(
        f"2025-09-06T18:{n // 60000:02}:{n // 1000 % 60:02}.{n % 1000:03}Z,barber,GR86-1,{n % 300}.5\n"
        for n in range(first, last)
    )


def long_rows(instants: int) -> str:
    """TRD rows of one car: two channels an instant."""
    return "".join(
        f",3,I_R06_2025-09-07,R1,kafka:gr-raw,2025-09-06T18:42:{n // 10:02}.{n % 10}00Z,GR86-004-78,0,"
        f"{name},{value},2025-09-05T00:49:{n // 10:02}.{n % 10}49Z,GR86-004-78,78\n"
        for n in range(instants)
        for name, value in (("speed", 100 + n), ("nmot", 5000 + n))
    )


class Counter:
    """
    An HTTP server that takes every row, for what does not need PitWall.

    Attributes:
        posted: the parameters and the body of each request.
        most: a body longer than this is answered 413 [bytes].
    """

    def __init__(self) -> None:
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.peers: set[Any] = set()
        self.most = 1 << 30
        ours = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer in one piece, not one that waits 40 ms for its second

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, content = 413, {"ok": False, "error": "too large"}
                if len(body) <= ours.most:
                    ours.peers.add(self.client_address)
                    ours.posted.append((dict(parse_qsl(urlsplit(self.path).query)), body))
                    count = body.count(b"\n") - (self.headers["Content-Type"] == "text/csv")
                    status, content = 200, {"ok": True, "rows": count, "accepted": count, "rejected_total": 0}
                answer = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def text(self) -> str:
        """All rows it was sent, in order."""
        return b"".join(body for _, body in self.posted).decode().replace(HEADER, "")

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def command(server: str, *arguments: str) -> list[str]:
    """The command line of an import."""
    main = "import sys; from pitwall.cli import main; sys.exit(main())"
    return [sys.executable, "-c", main, "import", "--server", server, *arguments]


class ImportTestCase(SynchronousTestCase):
    """A directory for recordings, and ways to run the command."""

    def setUp(self) -> None:
        """An empty directory."""
        directory = tempfile.TemporaryDirectory(prefix="pitwall-test-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def write(self, name: str, content: str | bytes) -> str:
        """Write a file; returns its path."""
        path = self.directory / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def run_import(self, server: str, *arguments: str, stdin: bytes = b"", **environment: str) -> Any:
        """Run the command to its end."""
        return subprocess.run(
            command(server, *arguments),
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
            env=clean_environment(**environment),
        )

    def imported(self, server: str, *arguments: str, stdin: bytes = b"", **environment: str) -> tuple[int, Any]:
        """The status, and what was said as JSON."""
        done = self.run_import(server, "--json", *arguments, stdin=stdin, **environment)
        return done.returncode, json.loads(done.stdout)

    @contextmanager
    def importing(self, server: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """The command while it runs, ended in any case."""
        process = subprocess.Popen(
            command(server, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(),
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=10)


class CommandTests(ImportTestCase):
    """The command with a server that counts."""

    def setUp(self) -> None:
        """A server."""
        super().setUp()
        self.server = Counter()
        self.addCleanup(self.server.close)

    def test_files(self) -> None:
        """Several files arrive whole and in order by one connection; the table and the status say so."""
        first = self.write("a.csv", HEADER + rows(0, 3000))
        second = self.write("b.csv.gz", gzip.compress((HEADER + rows(3000, 5000)).encode()))
        done = self.run_import(self.server.url, "--batch-bytes", "20000", first, second)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(self.server.text, rows(0, 5000))
        self.assertEqual(len(self.server.peers), 1)
        self.assertRegex(done.stdout.decode(), r"total +5,000 +5,000 +0 +0 +0")

    def test_standard_input(self) -> None:
        """What comes by standard input, packed or not, is a recording too."""
        content = (HEADER + rows(0, 100)).encode()
        for stdin in (content, gzip.compress(content)):
            status, said = self.imported(self.server.url, "--chassis", "GR86-1", "-", stdin=stdin)
            self.assertEqual((status, said["ok"], said["total"]["accepted"]), (0, True, 100))
        self.assertEqual(self.server.posted[-1][0]["chassis"], "GR86-1")

    def test_too_large(self) -> None:
        """A server that takes less at a time gets less at a time."""
        self.server.most = 10_000
        status, said = self.imported(self.server.url, self.write("a.csv", HEADER + rows(0, 3000)))
        self.assertEqual((status, said["total"]["accepted"]), (0, 3000))
        self.assertEqual(self.server.text, rows(0, 3000))

    def test_large_file(self) -> None:
        """The memory does not grow with the file."""
        block = rows(0, 50_000).encode()
        path = self.directory / "large.csv"
        with path.open("wb") as file:
            file.write(HEADER.encode())
            for _ in range(40):
                file.write(block)
        self.assertGreater(path.stat().st_size, 80 << 20)
        # Not getrusage: what it says begins with the memory of the process that started this one.
        script = "print(*[line for line in open('/proc/self/status') if line.startswith('VmHWM')], file=sys.stderr)"
        main = f"import sys; from pitwall.cli import main; status = main(); {script}; sys.exit(status)"
        done = subprocess.run(
            [sys.executable, "-c", main, "import", "--server", self.server.url, "--json", str(path)],
            capture_output=True,
            timeout=120,
            check=False,
            env=clean_environment(),
        )
        self.assertEqual(json.loads(done.stdout)["total"]["accepted"], 2_000_000)
        self.assertLess(int(done.stderr.split()[-2]), 100 << 10)

    def test_no_server(self) -> None:
        """Without a server it ends with a sentence, and nothing is called sent."""
        path = self.write("a.csv", HEADER + rows(0, 10))
        url = f"http://127.0.0.1:{free_port()}"
        done = self.run_import(url, "--retry-seconds", "0.5", "--quiet", path)
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertEqual(
            done.stderr.decode().splitlines(),
            [
                f"pitwall: {path}: not sent to its end",
                f"pitwall: {url} can't be reached: connection refused, given up after 0.5 s",
            ],
        )

    def test_interrupted(self) -> None:
        """Ctrl-C ends it at once with the table so far, even while it waits for input."""
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.importing(self.server.url, "--batch-bytes", "1024", "-") as process:
                self.server.posted.clear()
                assert process.stdin is not None
                process.stdin.write((HEADER + rows(0, 5000)).encode())
                process.stdin.flush()
                wait_for("some batches", lambda: len(self.server.posted) > 3)
                process.send_signal(number)
                assert process.stdout is not None and process.stderr is not None
                self.assertEqual(process.wait(5), status)
                self.assertIn(b"standard input", process.stdout.read())
                self.assertEqual(process.stderr.read(), b"pitwall: standard input: not sent to its end\n")

    def test_followed(self) -> None:
        """Appended lines go out as they are whole, a replaced file is begun anew, and Ctrl-C ends it well."""
        path = self.write("live.csv", HEADER + rows(0, 10))
        with self.importing(self.server.url, "--follow", "--json", "--track", "barber", path) as process:
            wait_for("what was there", lambda: self.server.text == rows(0, 10))
            with open(path, "a") as file:
                file.write(rows(10, 12) + rows(12, 13)[:20])
            wait_for("what was appended", lambda: self.server.text == rows(0, 12))
            with open(path, "a") as file:
                file.write(rows(12, 13)[20:])
            wait_for("the end of the line", lambda: self.server.text == rows(0, 13))
            params = self.server.posted[-1][0]
            self.assertEqual(params, {"name": "live.csv", "track": "barber"})
            os.replace(self.write("next.csv", HEADER), path)
            with open(path, "a") as file:
                file.write(rows(50, 60))
            wait_for("the next file", lambda: self.server.text == rows(0, 13) + rows(50, 60))
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(5), 0)
            assert process.stdout is not None
            said = json.loads(process.stdout.read())
        self.assertEqual((said["ok"], said["total"]["accepted"]), (True, 23))
        uploads = [params for params, _ in self.server.posted if "upload" in params]
        self.assertEqual(uploads[-1].get("last"), "1")

    def test_bucket(self) -> None:
        """Objects of a bucket are sent by their name, or all below a key."""
        if reason := missing():
            self.skipTest(reason)
        self.patch(os, "environ", {**os.environ, **CREDENTIALS})
        bucket = S3Server(free_port())
        self.addCleanup(bucket.close)
        bucket.put("run/b.csv.gz", gzip.compress((HEADER + rows(10, 20)).encode()))
        bucket.put("run/a.csv", HEADER + rows(0, 10))
        options = ("--endpoint-url", bucket.url)
        credentials: Any = CREDENTIALS  # not bytes, which stdin is
        status, said = self.imported(self.server.url, *options, "s3://race/run/", **credentials)
        self.assertEqual(([file["file"] for file in said["files"]]), ["s3://race/run/a.csv", "s3://race/run/b.csv.gz"])
        self.assertEqual((status, self.server.text), (0, rows(0, 20)))
        status, said = self.imported(self.server.url, *options, "s3://race/run/c.csv", **credentials)
        self.assertEqual((status, said["files"][0]["error"]), (1, "there is no such object"))


class ServerTests(ImportTestCase):
    """The command with a real server."""

    def test_points(self) -> None:
        """Wide CSV, JSON lines and a JSON document become points, in order."""
        points = [{"track": "barber", "chassis": "GR86-2", "speed": n} for n in range(100)]
        lines = "".join(json.dumps(point) + "\n" for point in points)
        files = [
            self.write("a.csv", HEADER + rows(0, 300)),
            self.write("b.ndjson", lines),
            self.write("c.json", json.dumps({"telemetry": points}, indent=1)),
        ]
        with running() as server:
            url = f"http://127.0.0.1:{server.port}"
            status, said = self.imported(url, "--batch-bytes", "4096", *files)
            self.assertEqual((status, said["ok"], said["error"]), (0, True, None), said)
            self.assertEqual([file["accepted"] for file in said["files"]], [300, 100, 100])
            recent = server.get("/api/recent/500")[1]["recent"]
        self.assertEqual([point["speed_kmh"] for point in recent[:300]], [n + 0.5 for n in range(300)])
        self.assertEqual(len(recent), 500)

    def test_long_form(self) -> None:
        """TRD rows become a point an instant, also over the borders of batches; rows sent twice are no failure."""
        twice = "".join(2 * line for line in long_rows(200).splitlines(keepends=True))
        path = self.write("barber_R1.csv.gz", gzip.compress((LONG_HEADER + twice).encode()))
        with running() as server:
            url = f"http://127.0.0.1:{server.port}"
            status, said = self.imported(url, "--batch-bytes", "4096", path)
            self.assertEqual((status, said["ok"]), (0, True), said)
            total = said["total"]
            self.assertEqual((total["rows"], total["accepted"], total["duplicates"]), (800, 400, 400))
            self.assertEqual(total["points"], 200)
            recent = server.get("/api/recent/500")[1]["recent"]
            self.assertEqual(len(recent), 200)
        self.assertEqual((recent[7]["speed_kmh"], recent[7]["rpm"]), (107, 5007))

    def test_refused(self) -> None:
        """A refused row is told by its number in the file, and makes the status 1."""
        content = HEADER + rows(0, 150) + "2025-09-06T18:42:00.000Z,barber,GR86-1,900\n" + rows(150, 300)
        with running() as server:
            url = f"http://127.0.0.1:{server.port}"
            path = self.write("a.csv", content)
            done = self.run_import(url, "--batch-bytes", "2048", path)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{path}: row 151: speed_kmh is 900", done.stdout.decode())
            self.assertRegex(done.stdout.decode(), r"out_of_range +1\b")

    def test_small_bodies(self) -> None:
        """With a small MAX_BODY the file goes in parts."""
        with running(MAX_BODY="8192") as server:
            url = f"http://127.0.0.1:{server.port}"
            status, said = self.imported(url, self.write("a.csv", HEADER + rows(0, 1000)))
            self.assertEqual((status, said["total"]["accepted"]), (0, 1000), said)


class FollowedFileTests(ImportTestCase):
    """`FollowedFile` reads what is appended."""

    def follow(self, path: str, most_bytes: int = 1 << 20) -> Callable[[], list[str]]:
        """What reads all that is there now, as the bodies of the batches."""
        file = FollowedFile(path, "live.csv", BatchSize(most_bytes))

        def now() -> list[str]:
            found: list[Batch] = []
            while (batch := file.take()) is not None:
                found.append(batch)
            return [batch.body.decode() for batch in found]

        return now

    def append(self, path: str, content: str) -> None:
        """Append to a file."""
        with open(path, "a") as file:
            file.write(content)

    def test_appended(self) -> None:
        """Whole lines are read as they come, each batch under the header; a half line waits."""
        path = self.write("live.csv", "")
        now = self.follow(path)
        self.assertEqual(now(), [])
        self.append(path, HEADER[:9])
        self.assertEqual(now(), [])
        self.append(path, HEADER[9:])
        self.assertEqual(now(), [HEADER])
        self.append(path, rows(0, 2) + "2025-")
        self.assertEqual(now(), [HEADER + rows(0, 2)])
        self.assertEqual(now(), [])
        self.append(path, rows(2, 3)[5:])
        self.assertEqual(now(), [HEADER + rows(2, 3)])

    def test_much(self) -> None:
        """What is there already comes in batches."""
        now = self.follow(self.write("live.csv", HEADER + rows(0, 100)), 1024)
        bodies = now()
        self.assertGreater(len(bodies), 3)
        self.assertEqual("".join(body.removeprefix(HEADER) for body in bodies), rows(0, 100))

    def test_truncated(self) -> None:
        """A file that has become shorter is begun anew, with the header it has then."""
        path = self.write("live.csv", HEADER + rows(0, 10))
        now = self.follow(path)
        now()
        self.write("live.csv", "track,chassis,rpm\nbarber,GR86-1,5000\n")
        self.assertEqual(now(), ["track,chassis,rpm\nbarber,GR86-1,5000\n"])

    def test_replaced(self) -> None:
        """A file that was moved away is read to its last line, with or without a line feed, before the next one."""
        path = self.write("live.csv", HEADER + rows(0, 3))
        now = self.follow(path)
        now()
        os.rename(path, path + ".1")
        self.append(path + ".1", rows(3, 5)[:-1])
        self.assertEqual(now(), [HEADER + rows(3, 4)])
        self.assertEqual(now(), [])
        self.write("live.csv", HEADER + rows(7, 8))
        self.assertEqual(now(), [HEADER + rows(4, 5)[:-1], HEADER + rows(7, 8)])

    def test_json_lines(self) -> None:
        """JSON objects a line can be followed too, from the first."""
        path = self.write("live.log", '{"track":"barber"}\n')
        now = self.follow(path)
        self.assertEqual(now(), ['{"track":"barber"}\n'])
        self.append(path, '{"track":"cota"}\n')
        self.assertEqual(now(), ['{"track":"cota"}\n'])

    def test_refused(self) -> None:
        """What can't be followed is refused with what it is."""
        for content, words in (
            (gzip.compress(b"x"), "is gzip, which can't be followed"),
            ('[\n{"track":"barber"}]', "is a JSON document, which can't be followed"),
            ("x" * 2000, "has no line feed in 1024 bytes, wanted lines of text"),
        ):
            now = self.follow(self.write("live.csv", content), 1024)
            self.assertEqual(str(self.assertRaises(ReadError, now)), words)
        now = self.follow(str(self.directory / "none.csv"))
        self.assertEqual(str(self.assertRaises(ReadError, now)), "no such file or directory")
        now = self.follow(str(self.directory))
        self.assertEqual(str(self.assertRaises(ReadError, now)), "is a directory, wanted files")
