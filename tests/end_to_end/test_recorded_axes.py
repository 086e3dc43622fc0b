"""Recorded cars, none of which has its accelerometers the wrong way round or a channel that is stuck."""

from __future__ import annotations

import os
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.importer.recorded import points_of
from pitwall.importer.sources import local_source
from pitwall.model.cars import CarNames
from pitwall.model.events import EVENTS
from pitwall.model.track import packaged_tracks
from pitwall.race.axes import Axes
from pitwall.race.stuck import WATCHED
from pitwall.wire.tables import Told

DATA = os.environ.get("PITWALL_DATA")
NO_DATA = None if DATA else "PITWALL_DATA is not set"


class RecordedTests(SynchronousTestCase):
    """The single laps of a race at Barber, 16 cars."""

    skip = NO_DATA

    def test_no_false_alarm(self) -> None:
        """No car is ever found fault with, and all but the one with a frozen clock are judged."""
        told = Told(CarNames(), EVENTS, packaged_tracks())
        cars: dict[str, list[tuple[float, ...]]] = defaultdict(list)
        for path in sorted(Path(DATA or "", "telemetry_onelap").glob("*.gz")):
            for point in points_of(local_source(str(path)), told):
                if isinstance(point.timestamp, str):
                    time_s = datetime.fromisoformat(point.timestamp).timestamp()
                    cars[point.chassis].append((time_s, *(getattr(point, name) for name in WATCHED)))
        judged = 0
        fields = np.dtype([("time_s", "f8"), *((name, "f4") for name in WATCHED)])
        for samples in cars.values():
            rows, axes = np.array(sorted(samples), fields), Axes()
            for start in range(0, len(rows), 14):
                axes.add(rows[start : start + 14], 3674.7)
                self.assertEqual((axes.flipped, axes.stuck), ((), ()))
            evidence = axes.evidence()
            judged += min(found["correlation"] for found in evidence.values()) > 0.6
        self.assertGreaterEqual(judged, len(cars) - 1)
        self.assertGreaterEqual(judged, 16)
