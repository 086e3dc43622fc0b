"""SIGHUP while cars drive: the sectors change, and nothing else does."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from websockets.sync.client import ClientConnection

from pitwall.model.point import iso_utc
from tests.end_to_end.harness import Server, points_of, read_messages, running, wait_for

#: The cars drive at so much, on a track of a kilometre [m/s].
SPEED_M_S = 50.0
CARS = [f"GR86-{number:03}" for number in range(6)]
START_S = 1_757_184_000.0


def track_file(*ends_m: float) -> str:
    """A file with the track, its sectors ending there."""
    sectors = [
        {"name": f"S{index + 1}", "start_m": start_m, "end_m": end_m}
        for index, (start_m, end_m) in enumerate(zip((0.0, *ends_m), ends_m, strict=False))
    ]
    return json.dumps({"loop": {"total_m": 1000.0, "sectors": sectors}})


class SignalTests(SynchronousTestCase):
    """A track file that is changed, and SIGHUP."""

    def setUp(self) -> None:
        """A track of two sectors."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name, "tracks.json")
        self.path.write_text(track_file(400.0, 1000.0))
        self.second = 0
        self.sent = 0
        self.screen: ClientConnection | None = None
        self.got: list[Any] = []

    def drive(self, server: Server, seconds: int) -> None:
        """The cars drive on for so many seconds of theirs, ten points each, a little apart from one another."""
        for _ in range(seconds):
            points = [
                {
                    "meta_time": iso_utc(START_S + self.second + tenth / 10),
                    "track": "loop",
                    "chassis": chassis,
                    "lapdist_m": (100 + 30 * number + SPEED_M_S * (self.second + tenth / 10)) % 1000,
                    "speed_kmh": SPEED_M_S * 3.6,
                    "accy_can": 1.0,
                }
                for tenth in range(10)
                for number, chassis in enumerate(CARS)
            ]
            status, answer = server.post(points)
            self.assertEqual((status, answer["accepted"]), (200, len(points)))
            self.second += 1
            self.sent += len(points)
            if self.screen is None:
                time.sleep(0.02)
            else:
                count = len(points)
                self.got += read_messages(self.screen, 5, lambda got: len(points_of(got)) >= count)  # noqa: B023

    def hang_up(self, server: Server, content: str, said: str) -> None:
        """Change the file and send SIGHUP; it says this."""
        before = server.log().count(said)
        self.path.write_text(content)
        server.process.send_signal(signal.SIGHUP)
        wait_for(said, lambda: server.log().count(said) == before + 1)

    def laps(self, server: Server, count: int) -> list[dict[str, Any]]:
        """The laps, once there are so many of each car."""

        def found() -> Any:
            laps = server.get("/api/laps")[1]["laps"]
            return laps if len(laps) >= count * len(CARS) else None

        laps: list[dict[str, Any]] = wait_for("the laps", found, 20)
        return laps

    def test_sectors(self) -> None:
        """
        Laps that begin after it have the new sectors, of every car at once; a wrong file changes nothing.

        No point is lost, no worker is another, no screen is turned away.
        """
        with running(AGG_WORKERS="2", TRACK_SECTORS_PATH=str(self.path)) as server, server.connect() as screen:
            self.screen, workers = screen, server.workers()
            self.drive(server, 50)
            self.laps(server, 1)
            self.hang_up(server, track_file(250.0, 600.0, 1000.0), "loop changed, for laps that begin from now on")
            changed_s = START_S + self.second
            self.drive(server, 50)
            self.laps(server, 3)
            for wrong, said in (
                ('{"loop": {"total_m": 1000, "sectors": []}}', "loop: wanted a list of 1 to 20 sectors"),
                ("no tracks", "not JSON"),
            ):
                self.hang_up(server, wrong, f"TRACK_SECTORS_PATH is {self.path}: {said}")
            self.path.unlink()
            server.process.send_signal(signal.SIGHUP)
            wait_for("the line", lambda: "No such file or directory; the tracks stay as they were" in server.log())
            self.drive(server, 40)
            laps = self.laps(server, 5)
            for lap in laps:
                began_after = lap["start"] > iso_utc(changed_s)
                ends_m = (250.0, 600.0, 1000.0) if began_after else (400.0, 1000.0)
                spans = [end - start for start, end in zip((0.0, *ends_m), ends_m, strict=False)]
                self.assertEqual(lap["layout"], int(began_after))
                for time_s, span_m in zip(lap["sector_times_s"], spans, strict=True):
                    self.assertAlmostEqual(time_s, span_m / SPEED_M_S, 1)
                self.assertAlmostEqual(sum(lap["sector_times_s"]), lap["lap_time_s"], 6)
            self.assertEqual({lap["layout"] for lap in laps}, {0, 1})
            (track,) = server.get("/api/laps")[1]["tracks"]
            self.assertEqual((track["sector_ends_m"], track["layout"]), ([250.0, 600.0, 1000.0], 1))
            self.assertEqual(len(track["best_sectors_s"]), 3)

            def counted(messages: list[Any]) -> int:
                updates = [each for each in messages if each["type"] == "insight_update"]
                return sum(result["meta"]["pointCount"] for each in updates for result in each["data"])

            self.got += read_messages(screen, 20, lambda got: counted(self.got + got) >= self.sent)
            self.assertEqual((len(points_of(self.got)), counted(self.got)), (self.sent, self.sent))
            told = [each["meta"]["tracksChanged"] for each in self.got if "tracksChanged" in each.get("meta", {})]
            self.assertEqual(told, [["loop"]])
            self.assertEqual(server.workers(), workers)
            metrics = server.metrics()
            self.assertEqual((metrics["messagesReceived"], metrics["errors"]), (self.sent, 0))
            self.assertNotIn("Traceback", server.log())

    def test_worker_killed(self) -> None:
        """A worker that is killed while a broken file is in place, is replaced by one with the same tracks."""
        with running(AGG_WORKERS="1", TRACK_SECTORS_PATH=str(self.path)) as server:
            self.drive(server, 30)
            self.hang_up(server, track_file(250.0, 600.0, 1000.0), "loop changed, for laps that begin from now on")
            self.drive(server, 30)
            self.laps(server, 1)
            self.path.write_text("no tracks")
            (worker,) = server.workers()
            os.kill(worker, signal.SIGKILL)
            self.drive(server, 30)
            layouts = [(lap["layout"], len(lap["sector_times_s"])) for lap in self.laps(server, 3)]
            self.assertEqual(set(layouts), {(0, 2), (1, 3)})
            self.assertEqual(server.metrics()["aggregationMissed"], 0)
