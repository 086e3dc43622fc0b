"""
The demo doors: a simulated race, and a recording that is replayed in a loop.

Both take the same way as everything else: JSON to the decoder, points to the hub.
Both race now: a replayed point's ``meta_time`` is moved so that the recording
begins at the moment it is started, and goes on without a break when it begins anew.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from pitwall.hub import Hub
from pitwall.model.point import Point, iso_utc
from pitwall.wire.points import PointDecoder

#: From one step to the next [s].
STEP_S = 0.05
#: A step that comes late catches up with at most this much [s].
_LONGEST_STEP_S = 5.0
#: Between the last point of a recording and its first one again, at least [s].
_SEAM_S = 0.05


class ReplayError(ValueError):
    """A file that can't be replayed; the message says why."""


class Recording:
    """
    Points in the order of their ``meta_time``, and when each is due [s from the first].

    Args:
        points: the fields of each, ``meta_time`` left out.
        due_s: rising, from 0; as many.
    """

    def __init__(self, points: Sequence[dict[str, Any]], due_s: Sequence[float]) -> None:
        self.points = points
        self.due_s = due_s
        self.duration_s = due_s[-1] + max(_SEAM_S, due_s[-1] / max(len(due_s) - 1, 1))

    def between(self, from_s: float, to_s: float) -> list[tuple[float, dict[str, Any]]]:
        """The points due from one moment up to another [s since the start], over as many rounds as that takes."""
        found = []
        first_round, last_round = int(from_s // self.duration_s), int(to_s // self.duration_s)
        for lap in range(first_round, last_round + 1):
            begin_s = lap * self.duration_s
            start = bisect_left(self.due_s, from_s - begin_s)
            end = bisect_left(self.due_s, to_s - begin_s)
            found += [(begin_s + self.due_s[index], self.points[index]) for index in range(start, end)]
        return found


def load_recording(path: str, decoder: PointDecoder) -> Recording:
    """
    The recording of a demo file: a JSON array of points, or ``{"telemetry": […]}``.

    Raises:
        ReplayError: no such file, or anything in it that is no point.
    """
    try:
        content = msgspec.json.decode(Path(path).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ReplayError(f"no JSON that can be read: {str(error)[:80]}") from None
    if isinstance(content, dict):
        content = content.get("telemetry")
    if not isinstance(content, list) or not content:
        raise ReplayError('wanted a list of points, or {"telemetry": [points]}')
    decoded = decoder.objects([msgspec.json.encode(point) for point in content], 0.0)
    if decoded.refused:
        first = decoded.refused[0]
        raise ReplayError(f"point {first.row + 1} of {len(content)}: {first.error.message}")
    timed = sorted(zip(map(Point.time_s, decoded.points), range(len(content)), strict=True))
    fields = [msgspec.json.decode(decoded.raws[index]) for _, index in timed]
    for point in fields:
        del point["meta_time"]
    return Recording(fields, [time_s - timed[0][0] for time_s, _ in timed])


class _LiveService(Service):
    """Publishes what has become due, twenty times a second."""

    log = Logger()
    door = "demo"

    def __init__(self, hub: Hub, decoder: PointDecoder, clock: Any) -> None:
        self._hub = hub
        self._decoder = decoder
        self._clock = clock
        self._loop = LoopingCall(self._safely)
        self._loop.clock = clock
        self._started_at = 0.0
        self._reached_s = 0.0

    def startService(self) -> None:
        """Start at the start."""
        super().startService()
        self._started_at = self._clock.seconds()
        self._reached_s = 0.0
        self._begin(self._started_at)
        self._loop.start(STEP_S, now=True)

    def stopService(self) -> None:
        """Stop."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def _safely(self) -> None:
        try:
            now = self._clock.seconds()
            to_s = now - self._started_at
            from_s = max(self._reached_s, to_s - _LONGEST_STEP_S)
            if to_s > from_s:
                self._reached_s = to_s
                due = self._due(from_s, to_s)
                self._hub.receive(self.door, len(due))
                decoded = self._decoder.objects(due, now)
                for refusal in decoded.refused:
                    self._hub.refuse(self.door, refusal.error.reason)
                self._hub.publish(self.door, decoded.points, decoded.raws, now)
        except Exception:
            # A LoopingCall ends for good with the first failure.
            self.log.failure("a step of the demo failed")

    def _begin(self, now: float) -> None:
        """It is the start of the race, ``now`` [s since 1970]."""

    @abstractmethod
    def _due(self, from_s: float, to_s: float) -> list[bytes]:
        """The points due from one moment up to another [s since the start], as JSON."""


class SimulatedRaceService(_LiveService):
    """
    A field of simulated cars that races as long as the server runs.

    Args:
        cars: how many.
        track: one of the packaged ones.
    """

    def __init__(self, hub: Hub, decoder: PointDecoder, clock: Any, cars: int = 20, track: str = "barber") -> None:
        super().__init__(hub, decoder, clock)
        self._cars = cars
        self._track = track

    def _begin(self, now: float) -> None:
        # A server without a demo need not carry the simulator: 5 MB.
        from pitwall.sim import Race, RaceConfig

        self._race = Race(RaceConfig(track=self._track, cars=self._cars, start=now, gps=True))

    def _due(self, from_s: float, to_s: float) -> list[bytes]:
        return [msgspec.json.encode(point) for point in self._race.points(from_s, to_s)]


class ReplayService(_LiveService):
    """A recording at its own pace, over and over."""

    door = "replay"

    def __init__(self, hub: Hub, decoder: PointDecoder, clock: Any, recording: Recording) -> None:
        super().__init__(hub, decoder, clock)
        self._recording = recording

    def _due(self, from_s: float, to_s: float) -> list[bytes]:
        due = self._recording.between(from_s, to_s)
        started_at = self._started_at
        return [msgspec.json.encode({"meta_time": iso_utc(started_at + due_s), **point}) for due_s, point in due]
