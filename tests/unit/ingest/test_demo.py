"""The demo doors: a simulated race, and a recording that is replayed."""

from __future__ import annotations

import json
import os
from datetime import datetime
from itertools import pairwise
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pitwall.ingest.demo import Recording, ReplayError, ReplayService, SimulatedRaceService, load_recording
from pitwall.shared import shared_file, shared_path
from pitwall.wire.points import PointDecoder
from tests.doubles import a_hub

START_S = 1_757_184_000.0


def a_point(time_s: float, **more: Any) -> dict[str, Any]:
    """A point of a recording, so long after its start."""
    moment = f"2024-05-04T12:{int(time_s // 60):02}:{time_s % 60:06.3f}Z"
    return {"meta_time": moment, "track": "barber", "chassis": "GR86-001", "note": f"{time_s}", **more}


class RecordingTests(SynchronousTestCase):
    """A recording says which points are due."""

    def setUp(self) -> None:
        """Four points within three seconds, after which it begins anew at the fourth."""
        self.points: list[dict[str, Any]] = [{"n": number} for number in range(4)]
        self.recording = Recording(self.points, [0.0, 1.0, 1.0, 3.0])
        self.assertEqual(self.recording.duration_s, 4.0)

    def numbers(self, from_s: float, to_s: float) -> list[int]:
        """The points due in a window."""
        return [point["n"] for _, point in self.recording.between(from_s, to_s)]

    def test_windows(self) -> None:
        """A point is due from its moment on, once."""
        self.assertEqual(self.numbers(0, 1), [0])
        self.assertEqual(self.numbers(1, 3), [1, 2])
        self.assertEqual(self.numbers(3, 3.5), [3])
        self.assertEqual(self.numbers(1.5, 1.5), [])

    def test_rounds(self) -> None:
        """It begins anew after its end, with times that go on."""
        self.assertEqual(self.recording.between(3.5, 5.5), [(4.0, {"n": 0}), (5.0, {"n": 1}), (5.0, {"n": 2})])
        self.assertEqual(self.numbers(0, 40), [0, 1, 2, 3] * 10)

    def test_joined(self) -> None:
        """However long the steps are, no point is left out and none comes twice."""
        edges = [0.07 * step**1.3 for step in range(200)]
        joined = [n for from_s, to_s in pairwise(edges) for n in self.numbers(from_s, to_s)]
        self.assertEqual(joined, self.numbers(0, edges[-1]))

    def test_one_point(self) -> None:
        """One point alone comes twenty times a second."""
        self.assertEqual(len(Recording([{}], [0.0]).between(0, 1)), 20)


class LoadTests(SynchronousTestCase):
    """A demo file is a list of points, or an object with one."""

    def load(self, content: Any) -> Recording:
        """The recording of a file with this content."""
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        fd = shared_file("pitwall-test", 0)
        self.addCleanup(os.close, fd)
        os.write(fd, text)
        return load_recording(shared_path(fd), PointDecoder())

    def test_forms(self) -> None:
        """An array, or an object with an array named telemetry; in the order of their times."""
        points = [a_point(5.5), a_point(2), a_point(2.25)]
        for content in (points, {"telemetry": points, "laps": 3}):
            recording = self.load(content)
            self.assertEqual(recording.due_s, [0.0, 0.25, 3.5])
            self.assertEqual([point["note"] for point in recording.points], ["2", "2.25", "5.5"])

    def test_aliases(self) -> None:
        """Other names for a channel are known here too."""
        recording = self.load([{"time_utc": "2024-05-04T12:00:00Z", "circuit": "barber", "vehicle": "7", "ax": "0.5"}])
        self.assertEqual(recording.points, [{"track": "barber", "chassis": "7", "accx_can": 0.5}])

    def test_refused(self) -> None:
        """What can't be replayed is said in one sentence."""
        for content, wanted in (
            (b"not JSON", "no JSON that can be read: "),
            (b"[" * 100_000, "no JSON that can be read: "),
            ([], "wanted a list of points"),
            ({"telemetry": "soon"}, "wanted a list of points"),
            ({}, "wanted a list of points"),
            (3, "wanted a list of points"),
            (
                [a_point(0), {"track": "barber", "speed_kmh": 100.0, "accx_can": 0.5}],
                "point 2 of 2: chassis is missing",
            ),
            ([a_point(0), 7], "point 2 of 2: "),
            ([a_point(0, speed_kmh=-3)], "point 1 of 1: speed_kmh is -3"),
        ):
            error = self.assertRaises(ReplayError, self.load, content)
            self.assertIn(wanted, str(error))
            self.assertNotIn("\n", str(error))

    def test_no_file(self) -> None:
        """A file that is not there is one of them."""
        error = self.assertRaises(ReplayError, load_recording, "/no/such/file.json", PointDecoder())
        self.assertIn("No such file", str(error))


class ReplayTests(SynchronousTestCase):
    """A recording is replayed live, in a loop."""

    def setUp(self) -> None:
        """A recording of ten seconds, a point each."""
        self.clock = Clock()
        self.clock.advance(START_S)
        self.hub = a_hub(self)
        recording = Recording([{"track": "barber", "chassis": "7", "n": n} for n in range(10)], list(range(10)))
        self.service = ReplayService(self.hub, PointDecoder(), self.clock, recording)
        self.service.startService()

    def advance(self, seconds: float) -> None:
        """Let time pass, step by step."""
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)

    def published(self) -> list[dict[str, Any]]:
        """All that has been published, as clients get it."""
        return [json.loads(raw) for raw in self.hub.ring.newest(1000)]

    def test_pace(self) -> None:
        """Points come at the pace of their own times, and over and over."""
        self.advance(4.5)
        self.assertEqual([point["n"] for point in self.published()], [0, 1, 2, 3, 4])
        self.advance(30)
        self.assertEqual([point["n"] for point in self.published()], [n % 10 for n in range(35)])
        self.assertEqual(self.hub.ledger.accepted, {"replay": 35})

    def test_now(self) -> None:
        """They race now: their times begin when it is started and go on without a break."""
        self.advance(25)
        times = [datetime.fromisoformat(point["meta_time"]).timestamp() for point in self.published()]
        self.assertEqual(times, [START_S + second for second in range(len(times))])

    def test_late_step(self) -> None:
        """After a pause it catches up, but not with more than five seconds."""
        self.clock.advance(3.5)
        self.assertEqual([point["n"] for point in self.published()], [0, 1, 2, 3])
        self.clock.advance(3600)
        self.assertEqual(len(self.published()), 4 + 5)

    def test_bad_step(self) -> None:
        """A step that fails is logged, and the next one comes."""
        publish = self.hub.publish
        self.hub.publish = None  # type: ignore[assignment,method-assign]
        self.advance(1)
        self.assertGreater(len(self.flushLoggedErrors(TypeError)), 0)
        self.hub.publish = publish  # type: ignore[method-assign]
        self.advance(1.5)
        self.assertEqual([point["n"] for point in self.published()][-2:], [1, 2])

    def test_stopped(self) -> None:
        """Stopped it is silent; started again it starts at the start."""
        self.advance(2.5)
        self.service.stopService()
        self.advance(5)
        self.assertEqual(len(self.published()), 3)
        self.service.startService()
        self.advance(1.5)
        self.assertEqual([point["n"] for point in self.published()], [0, 1, 2, 0, 1])


class SimulatedRaceTests(SynchronousTestCase):
    """``--demo`` is a race that goes on for ever."""

    def test_live(self) -> None:
        """Twenty cars race from now on, twenty-two points a second each, marked as a demo."""
        clock = Clock()
        clock.advance(START_S)
        hub = a_hub(self, capacity=100_000)
        service = SimulatedRaceService(hub, PointDecoder(), clock)
        service.startService()
        for _ in range(200):
            clock.advance(0.05)
        points = [json.loads(raw) for raw in hub.ring.newest(100_000)]
        self.assertEqual(len({point["chassis"] for point in points}), 20)
        self.assertEqual({point["raw_source"] for point in points}, {"demo"})
        self.assertTrue(20 * 22 * 10 - 20 <= len(points) <= 20 * 22 * 10 + 20, len(points))
        self.assertEqual(hub.ledger.accepted, {"demo": len(points)})
        self.assertEqual(hub.ledger.points_refused, 0)
        times = [datetime.fromisoformat(point["meta_time"]).timestamp() for point in points]
        self.assertEqual(times, sorted(times))
        self.assertTrue(START_S <= times[0] < START_S + 0.05 and START_S + 9.9 < times[-1] <= START_S + 10)
        service.stopService()
        self.assertEqual(clock.getDelayedCalls(), [])
