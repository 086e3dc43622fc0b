"""Simulated races as their recordings and their official timing."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from pitwall.model.track import Sector, Track
from pitwall.race.survey import CarSamples
from pitwall.sim import Race, RaceConfig
from pitwall.sim.config import Faults

#: A lap of half a minute or so, and the same with its lines elsewhere.
TRUE = Track("shortway", 1200.0, (Sector("S1", 0.0, 390.0), Sector("S2", 390.0, 820.0), Sector("S3", 820.0, 1200.0)))
MAPPED = Track("shortway", 1200.0, (Sector("S1", 0.0, 430.0), Sector("S2", 430.0, 790.0), Sector("S3", 790.0, 1200.0)))
HEADER = (
    "NUMBER; DRIVER_NUMBER; LAP_NUMBER; LAP_TIME; CROSSING_FINISH_LINE_IN_PIT; ELAPSED; HOUR;"
    "FLAG_AT_FL;S1_SECONDS;S2_SECONDS;S3_SECONDS;FL_time"
)


def timed_race(cars: int = 3, seed: int = 2, laps: int = 5) -> Race:
    """A race at the loggers' real rates, whose lap counters run ahead; clocks are a day behind."""
    faults = Faults(clock_behind_h=(24.0, 30.0), laps_ahead=2)
    return Race(RaceConfig(track=TRUE, cars=cars, seed=seed, laps=laps, real_rates=True, faults=faults))


def official_csv(race: Race) -> bytes:
    """The official timing of a race, as its file is: blanks in the header, a byte order mark, and CRLF."""
    lines = [HEADER]
    for chassis in race.truth.chassis:
        for number in range(1, (race.config.laps or 0) + 1):
            lap = race.truth.lap(chassis, number)
            elapsed_s = round(lap.end_s, 3)
            hour = datetime.fromtimestamp(race.config.start - 5 * 3600 + elapsed_s, UTC)
            sectors = ";".join(f"{seconds:.3f}" for seconds in lap.sector_times_s)
            lines.append(
                f"{chassis.rpartition('-')[2]};1;{number};{_clock(lap.lap_time_s)};;{_clock(elapsed_s)};"
                f"{hour:%H:%M:%S.%f};GF;{sectors};{_clock(lap.lap_time_s)}"
            )
    return b"\xef\xbb\xbf" + "\r\n".join([*lines, ""]).encode()


def samples_of(race: Race) -> dict[str, CarSamples]:
    """What the recordings of a race say, by car."""
    assert race.duration_s is not None
    samples = race.recorder.spoil(race._sampler.sample(0, int(race.duration_s) + 1))
    clock_s = race.recorder.car_clock_s(samples)
    found = {}
    for car, chassis in enumerate(race.truth.chassis):
        its = samples.car == car
        lap = np.where(samples.lap[its] > 0, samples.lap[its], np.nan)
        received_s = race.config.start + samples.time_s[its] + 1.5
        found[chassis] = CarSamples(clock_s[its], received_s, lap, samples.channels["speed_kmh"][its])
    return found


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:06.3f}"
