"""Real recordings through the doors: every row of every file is in a point, a duplicate, or refused by name."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from pitwall.hub import Hub
from tests.doubles import FakeConnection, WebServer, answers_in
from tests.end_to_end.s3_server import missing
from tests.end_to_end.test_s3 import BucketTestCase, until

DATA = os.environ.get("PITWALL_DATA")
NO_DATA = None if DATA else "PITWALL_DATA is not set"
#: What a point says beside the values of its channels.
ABOUT = {"meta_time", "track", "chassis", "timestamp", "raw_source"}


class Seen(NamedTuple):
    """What became of a file's rows."""

    rows: int
    samples: int
    duplicates: int
    refused: int
    in_points: int


def recordings(folders: tuple[str, ...] = ("telemetry_long", "telemetry_laps", "telemetry_onelap")) -> list[Path]:
    """The files of the long form, packed."""
    return [path for folder in folders for path in sorted(Path(DATA or "", folder).glob("*.csv.gz"))]


def reduced() -> list[Path]:
    """The files of the reduced form, packed; one car each."""
    return sorted(Path(DATA or "", "race_multicar").rglob("*.csv.gz"))


def triggers() -> list[Path]:
    """The lap-trigger files in their three layouts."""
    return sorted(path for path in Path(DATA or "", "official").rglob("*.csv") if "_lap_" in path.name.lower())


def data_lines(path: Path) -> int:
    """The rows a file has, its header left out."""
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    return sum(1 for line in content.split(b"\n")[1:] if line.strip())


def samples_in(raws: list[bytes]) -> int:
    """The rows whose values are in points: one a channel, one a lap trigger."""
    count = 0
    for raw in raws:
        point = json.loads(raw)
        fields = point.keys() - ABOUT
        # The lap stands on each row of the long form; in the reduced form it is a channel like the others.
        count += 1 if "lap_event" in point else len(fields - {"lap"} if "timestamp" in point else fields)
    return count


def posted(test: SynchronousTestCase, path: Path, parameters: str = "") -> tuple[dict[str, Any], Hub]:
    """The answer to a post of one file, and the hub it went to."""
    server = WebServer(test, max_body=16 << 20, max_inflated=128 << 20)
    packed = b"Content-Encoding: gzip\r\n" if path.suffix == ".gz" else b""
    body = path.read_bytes()
    request = (
        b"POST /api/ingest?name=%b%b HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\n%bContent-Length: %d\r\n\r\n"
    )
    connection: FakeConnection = server.connect()
    connection.deliver(request % (path.name.encode(), parameters.encode(), packed, len(body)) + body)
    for _ in range(200_000):
        server.reactor.advance(0.001)
        if not server.ingest.busy:
            break
    (answer,) = answers_in(bytes(connection.flush()))
    return json.loads(answer.body), server.hub


class RecordingsByHTTPTests(SynchronousTestCase):
    """Whole files, posted as they are."""

    skip = NO_DATA

    def check(self, path: Path, parameters: str = "") -> dict[str, Any]:
        """The equation is exact for a file; returns the answer."""
        answer, hub = posted(self, path, parameters)
        self.assertEqual(answer["rows"], data_lines(path), path.name)
        self.assertEqual(
            answer["rows"], answer["accepted"] + answer["duplicates"] + answer["rejected_total"], path.name
        )
        self.assertEqual(answer["points"], hub.last_seq, path.name)
        self.assertEqual(answer["accepted"], samples_in(hub.ring.newest(hub.last_seq)), path.name)
        booked = hub.ledger.rows["http"]
        self.assertEqual(
            (booked["rows"], booked["samples"], booked["duplicates"], booked["refused"]),
            (answer["rows"], answer["accepted"], answer["duplicates"], answer["rejected_total"]),
        )
        return answer

    def test_long_form(self) -> None:
        """Every row of the long form is accounted for; none is refused."""
        paths = recordings()
        self.assertEqual(len(paths), 8)
        for path in paths:
            self.assertEqual(self.check(path)["rejected_total"], 0, path.name)

    def test_reduced_form(self) -> None:
        """The three columns get their car from the file's name and their track from the request."""
        paths = reduced()
        self.assertEqual(len(paths), 10)
        for path in paths:
            answer, hub = posted(self, path, "&track=barber")
            self.assertEqual((answer["rejected_total"], answer["rows"]), (0, data_lines(path)), path.name)
            chassis = {json.loads(raw)["chassis"] for raw in hub.ring.newest(hub.last_seq)}
            self.assertEqual(chassis, {path.name.split(".")[0]})
            self.assertEqual(answer["accepted"], samples_in(hub.ring.newest(hub.last_seq)), path.name)

    def test_lap_triggers(self) -> None:
        """Lap triggers in all their layouts become lap events; repeated ones are merged, bad lap times left out."""
        paths = triggers()
        self.assertEqual(len(paths), 21)
        repairs: Counter[str] = Counter()
        for path in paths:
            answer = self.check(path)
            self.assertEqual(answer["rejected_total"], 0, path.name)
            repairs.update(answer["repairs"])
        for name in ("repeated_trigger", "bad_lap_time", "unknown_lap"):
            self.assertGreater(repairs[name], 0, name)

    def test_frozen_clock(self) -> None:
        """Car 80 at Barber, whose clock stands still, is neither lost nor in the others' way."""
        (path,) = recordings(("telemetry_onelap",))
        answer, hub = posted(self, path)
        points = [json.loads(raw) for raw in hub.ring.newest(hub.last_seq)]
        frozen = [point for point in points if point["chassis"] == "GR86-013-80"]
        self.assertEqual(len({point["timestamp"] for point in frozen}), 1)
        self.assertGreater(len(frozen), 500)
        self.assertEqual(len({point["meta_time"] for point in frozen}), len(frozen))
        self.assertEqual(answer["repairs"]["clock_stopped"], 1)
        hub.write_rows()
        states = {car["chassis"]: car["clock"]["state"] for car in hub.cars.known(hub.newest_at)}
        self.assertEqual([chassis for chassis, state in states.items() if state == "stopped"], ["GR86-013-80"])
        self.assertEqual(len(states), 17)


class RecordingsByS3Tests(BucketTestCase):
    """The same files as objects of a bucket."""

    skip = NO_DATA or missing()
    timeout = 600

    async def test_every_file(self) -> None:
        """Every row of every object is accounted for, and none is refused."""
        door = self.door()
        paths = [*recordings(), *reduced(), *triggers()]
        booked = self.hub.ledger.rows["s3"]
        for path in paths:
            rows, samples, duplicates = booked["rows"], booked["samples"], booked["duplicates"]
            first_seq = self.hub.last_seq + 1
            self.server.put(f"telemetry/barber/{path.name}", path.read_bytes())
            wanted = rows + data_lines(path)  # a last line without a line feed comes with the next look
            await until(lambda wanted=wanted: booked["rows"] >= wanted and not door.pending, within_s=120)  # type: ignore[misc]
            self.assertEqual(booked["rows"], wanted, path.name)
            raws = self.hub.ring.between(first_seq, self.hub.last_seq)
            self.assertEqual(booked["samples"] - samples, samples_in(raws), path.name)
            self.assertEqual(
                booked["rows"] - rows, booked["samples"] - samples + booked["duplicates"] - duplicates, path.name
            )
        self.assertEqual((dict(self.hub.ledger.refused), door.errors), ({}, 0))
