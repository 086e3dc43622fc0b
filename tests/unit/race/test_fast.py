"""Cars that send faster than the loggers do."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import Sector, Track
from pitwall.race.car import Car
from pitwall.race.lap import Lap
from pitwall.sim import Race, RaceConfig
from tests.unit.race.recordings import rows_of

#: So short that a few laps are soon driven.
SHORTWAY = Track("shortway", 1200.0, (Sector("S1", 0.0, 390.0), Sector("S2", 390.0, 1200.0)))


class FastTests(SynchronousTestCase):
    """Their laps are timed as well, from as many of their points as it takes."""

    def test_rates(self) -> None:
        """At 60 points a second all are kept, at 70, 100 and 200 between 33 and 67; the times are the true ones."""
        for rate_hz in (60, 70, 100, 200):
            race = Race(RaceConfig(track=SHORTWAY, cars=1, rate_hz=rate_hz))
            rows, _ = rows_of(race.points(0, 130))
            car, laps = Car(SHORTWAY), dict[int, Lap]()
            for start in range(0, len(rows), 37):
                car.take(rows[start : start + 37])
                laps |= {change.lap.number: change.lap for change in car.tick()}
            self.assertGreaterEqual(len(laps), 2, rate_hz)
            for number, lap in laps.items():
                assert lap.time_s is not None
                true_s = race.truth.lap(race.truth.chassis[0], number).lap_time_s
                self.assertApproximates(lap.time_s, true_s, 0.003)
            kept_hz = len(car.buffer) / (car.buffer.times[-1] - car.buffer.times[0])
            self.assertTrue(33 < kept_hz < 67, (rate_hz, kept_hz))
