"""A real server does what its documents say, whatever it is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.sim import Race, RaceConfig, encode_point
from tests.end_to_end.harness import Server, read_messages, running, wait_for
from tests.end_to_end.test_keys import KeyedServer
from tests.schemas import Strict, closed
from tests.unit.serve.test_asyncapi import by_name

HERE = Path(__file__).parent
#: How long Schemathesis may take, a slow machine included [s]; it takes some 10.
AT_MOST_S = 60.0


def post_race(server: Server) -> int:
    """Post two laps of three cars; returns the number of points."""
    points = [json.loads(encode_point(point)) for point in Race(RaceConfig(cars=3, rate_hz=5)).points(0, 240)]
    for start in range(0, len(points), 500):
        assert server.post(points[start : start + 500])[0] == 200
    wait_for("laps", lambda: len(server.get("/api/laps")[1]["laps"]) >= 3)
    return len(points)


class RestTests(SynchronousTestCase):
    """The REST resources."""

    def ask_everything(self, server: Server, document: dict[str, Any], *options: str) -> str:
        """Let Schemathesis ask every operation of a document; returns what it says of a server without a fault."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "openapi.json")
            path.write_text(json.dumps(document))
            command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")]
            command += ["run", str(path), "--url", f"http://127.0.0.1:{server.port}", "--no-color", *options]
            ended = subprocess.run(
                command,
                cwd=directory,
                env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "COLUMNS": "200"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=AT_MOST_S,
                check=False,
                text=True,
            )
        self.assertEqual(ended.returncode, 0, ended.stdout)
        return ended.stdout

    def test_every_operation(self) -> None:
        """Asked rightly and wrongly 2,000 times, it answers as it says, without a member too many, and never 5xx."""
        with running(AGG_WORKERS="1", MAX_BODY="262144") as server:
            count = post_race(server)
            document = server.get("/api/openapi.json")[1]
            said = self.ask_everything(server, closed(document))
            operations = sum(map(len, document["paths"].values()))
            self.assertRegex(said, rf"Tested: +{operations}\b")
            self.assertRegex(said, r"Test cases:\s+[12]\d{3} generated")
            # Some of what it makes up are good points, by JSON, by lines and by CSV.
            self.assertGreater(server.metrics()["messagesReceived"], count)
            self.assertEqual(server.get("/api/health")[0], 200)
            self.assertNotIn("Traceback", server.log())

    def test_with_keys(self) -> None:
        """With keys, so does it for whoever has one."""
        server = KeyedServer(MAX_BODY="262144")
        self.addCleanup(server.close)
        server.wait_well()
        document = server.get("/api/openapi.json")[1]
        key = f"Authorization: Bearer {server.tokens['admin']}"
        # Wrong keys are tried as well, of which soon there are too many: 429 is told of, but not what is wanted then.
        options = ("--header", key, "--max-examples", "10", "--exclude-checks", "ignored_auth")
        said = self.ask_everything(server, closed(document), *options)
        self.assertRegex(said, rf"Tested: +{sum(map(len, document['paths'].values()))}\b")
        self.assertNotIn("Traceback", server.log())


class WebSocketTests(SynchronousTestCase):
    """The messages."""

    def test_every_message(self) -> None:
        """What a screen gets of a race has the members that are told of, and no other; so have health and ledger."""
        with running(AGG_WORKERS="2") as server, server.connect() as client:
            document = server.get("/api/asyncapi.json")[1]
            strict, names = Strict(document), by_name(document)
            count = post_race(server)

            def seen_all(got: list[Any]) -> bool:
                told = [result for each in got if each["type"] == "insight_update" for result in each["data"]]
                return bool(sum(result["meta"]["pointCount"] for result in told) >= count)

            messages = read_messages(client, 15, seen_all)
            self.assertTrue(seen_all(messages))
            for message in messages:
                self.assertEqual(strict.faults(names[message["type"]], message), [])
            strict = Strict(server.get("/api/openapi.json")[1])
            for path, name in (("/api/health", "HealthAnswer"), ("/api/ledger", "LedgerAnswer")):
                self.assertEqual(strict.faults(name, server.get(path)[1]), [], path)
