"""Cars that send where they are, and no lap distance."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import Track
from pitwall.race.car import Car
from pitwall.race.gps import Gps
from pitwall.race.lap import Lap
from pitwall.sim import Race, RaceConfig
from tests.unit.race.recordings import rows_of

SECONDS = 520.0


@cache
def a_race() -> tuple[Race, Any, dict[str, int]]:
    """Two cars at Barber with positions, at the loggers' rates; four laps of each and more."""
    race = Race(RaceConfig(cars=2, real_rates=True, gps=True))
    rows, numbers = rows_of(race.points(0, SECONDS))
    rows["lapdist_m"] = np.nan
    return race, rows, numbers


def driven(rows: Any, track: Track | None, tick: int = 14) -> tuple[Car, dict[int, Lap]]:
    """A car whose rows came so many at a time, and its laps by number."""
    car = Car(track)
    laps: dict[int, Lap] = {}
    for start in range(0, len(rows), tick):
        car.take(rows[start : start + tick])
        laps |= {change.lap.number: change.lap for change in car.tick()}
    laps |= {change.lap.number: change.lap for change in car.tick(final=True)}
    return car, laps


class GpsTests(SynchronousTestCase):
    """The way around is learnt, and laps and sectors are timed by it."""

    def check(self, with_number: bool, within_s: float) -> None:
        """Laps and sectors are the true ones."""
        race, rows, numbers = a_race()
        for chassis, number in numbers.items():
            own = rows[rows["car"] == number]
            if not with_number:
                own["lap"] = np.nan
            car, laps = driven(own, race.track)
            self.assertGreaterEqual(len(laps), 3)
            self.assertEqual(car._gps.laps, 3)
            wanted = [race.truth.lap(chassis, lap) for lap in range(1, 6)]
            for lap in laps.values():
                true = min(wanted, key=lambda each: abs(each.start_s - (lap.start_s - race.config.start)))
                assert lap.time_s is not None
                self.assertApproximates(lap.time_s, true.lap_time_s, within_s)
                for found_s, true_s in zip(lap.sectors_s, true.sector_times_s, strict=True):
                    assert found_s is not None
                    self.assertApproximates(found_s, true_s, within_s)

    def test_with_lap_numbers(self) -> None:
        """With a lap number to begin with, to some hundredths of a second."""
        self.check(True, 0.08)

    def test_alone(self) -> None:
        """With nothing but positions and the line in the track file, to a tenth or so: fixes are 0.16 s apart."""
        self.check(False, 0.15)

    def test_unknown_line(self) -> None:
        """Where the line is not known, a lap is from where the car was first at speed, and its length is learnt."""
        race, rows, _ = a_race()
        own = rows[rows["car"] == 0]
        own["lap"] = np.nan
        _, laps = driven(own, None)
        self.assertGreaterEqual(len(laps), 3)
        for lap in laps.values():
            assert lap.length_m is not None
            self.assertApproximates(lap.length_m, race.track.total_m, 8.0)

    def test_projection(self) -> None:
        """A position beside the track has the distance of the nearest point of it; one far off has none."""
        race, rows, _ = a_race()
        car, _ = driven(rows[rows["car"] == 0], race.track)
        gps = car._gps
        east, north = np.array(gps.east_m), np.array(gps.north_m)
        places = np.arange(0, east.size, 7)
        found = gps.project(east[places], north[places])
        wanted = places * gps.length_m / east.size
        apart = np.abs((found - wanted + gps.length_m / 2) % gps.length_m - gps.length_m / 2)
        self.assertLess(apart.max(), 0.01)
        self.assertTrue(np.isnan(gps.project(np.array([5000.0]), np.array([5000.0]))).all())

    def test_own_distance(self) -> None:
        """A car that tells its lap distance is timed by that."""
        race = Race(RaceConfig(cars=1, rate_hz=10, gps=True))
        rows, _ = rows_of(race.points(0, 250))
        car, laps = driven(rows, race.track)
        self.assertEqual((car._gps.laps, len(laps)), (0, 2))

    def test_standing(self) -> None:
        """A car that stands, or whose receiver has no fix, learns nothing and harms nothing."""
        rows = a_race()[1][:100].copy()
        rows["latitude"], rows["longitude"], rows["lap"] = 33.5, -86.6, np.nan
        gps = Gps()
        self.assertTrue(np.isnan(gps.place(rows)["lapdist_m"]).all())
        rows["latitude"] = np.nan
        self.assertIs(gps.place(rows), rows)
        stored = msgspec.msgpack.encode(gps)
        self.assertEqual(msgspec.msgpack.encode(msgspec.msgpack.decode(stored, type=Gps)), stored)
