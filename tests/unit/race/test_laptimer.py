"""Lap, sector and mini-sector times and the stress of a lap, against the truth of simulated races."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.lap import MINI_SECTORS
from pitwall.race.laptimer import Boundaries, figures, line_time, static_offsets
from pitwall.race.place import Line
from pitwall.sim import Faults
from tests.unit.race.recordings import (
    SHORT,
    START_S,
    Computed,
    Recording,
    check_times,
    compute,
    compute_race,
    hand_made,
    lap_stress,
    recording,
    true_stress,
)

#: Two laps of Barber and half a third.
SECONDS = 255.0
#: Every channel at once, at the rate of the loggers; and as they really send.
RATES: tuple[dict[str, Any], ...] = ({"rate_hz": 22}, {"real_rates": True, "gps": True})


class TimesTests(SynchronousTestCase):
    """Laps and sectors are timed from line to line."""

    def check_race(self, made: Recording, within_s: float, marks: tuple[str, ...] = ()) -> dict[str, Computed]:
        """The lap times, and the last completed time of each sector, are the true ones."""
        cars = compute_race(made)
        truth = made.race.truth
        for chassis, car in cars.items():
            true = [truth.lap(chassis, lap) for lap in (1, 2, 3)]
            self.assertEqual([lap.number for lap in car.laps], [1, 2])
            check_times(car.times, [lap.lap_time_s for lap in true[:2]], within_s)
            self.assertFalse({mark for lap in car.laps for mark in lap.marks} - {"first", *marks})
            for lap, wanted in zip(car.laps, true, strict=False):
                check_times(lap.sectors_s, wanted.sector_times_s, within_s)
                self.assertApproximates(lap.start_s - made.race.config.start, wanted.start_s, within_s)
            # In the third lap only the first sector is complete.
            sectors = [true[2].sector_times_s[0], *true[1].sector_times_s[1:]]
            shown = car.result["meta"]["sectorTimes"]
            np.testing.assert_allclose([shown["0"], shown["1"], shown["2"]], sectors, atol=within_s)
            self.assertEqual(car.laps[-1].lap_sent, car.result["lap"] and car.result["lap"] - 1)
        return cars

    def test_all_channels_at_once(self) -> None:
        """Points that have everything give times to a thousandth of a second, and so does half of the rate."""
        self.check_race(recording(SECONDS, rate_hz=22), 0.0015)
        for car in self.check_race(recording(SECONDS), 0.0015).values():
            self.assertEqual(car.result["lap"], 3)

    def test_real_rates(self) -> None:
        """So do points as the loggers send them, with the lap distance at every fifth instant."""
        self.check_race(recording(SECONDS, real_rates=True, gps=True), 0.002)

    def test_one_point_a_second(self) -> None:
        """One point a second is enough for a twentieth of a second."""
        self.check_race(recording(SECONDS, rate_hz=1), 0.05)

    def test_half_the_distances(self) -> None:
        """A lap distance in every other point is enough; a line a second from the next reading is marked."""
        faults = Faults(missing_lapdist_share=0.5)
        self.check_race(recording(SECONDS, faults=faults), 0.002)
        self.check_race(recording(SECONDS, real_rates=True, faults=faults), 0.002, ("estimated",))

    def test_noisy_distances(self) -> None:
        """A lap distance that is off by half a metre costs a few hundredths of a second."""
        faults = Faults(lapdist_noise_m=0.5)
        self.check_race(recording(SECONDS, rate_hz=22, faults=faults), 0.02)
        self.check_race(recording(SECONDS, real_rates=True, faults=faults), 0.05)

    def test_out_of_order(self) -> None:
        """Points that arrive up to two seconds late spoil nothing."""
        for rates in RATES:
            self.check_race(recording(SECONDS, faults=Faults(shuffled_share=0.3), **rates), 0.003)

    def test_twice(self) -> None:
        """Nor do points that come twice, with other values."""
        faults = Faults(duplicate_share=0.1, conflicting_share=0.5)
        for rates in RATES:
            self.check_race(recording(SECONDS, faults=faults, **rates), 0.002)

    def test_lap_numbers(self) -> None:
        """Lap counters that run ahead, or that nobody knows, change no time."""
        for faults in (Faults(laps_ahead=2), Faults(unknown_lap_share=1), Faults(unknown_lap_share=0.5)):
            self.check_race(recording(SECONDS, faults=faults), 0.0015)

    def test_other_tracks(self) -> None:
        """Every track of the series is known."""
        for track in ("cota", "indianapolis", "road_america", "sebring", "sonoma", "vir"):
            made = recording(330, track=track, cars=1, rate_hz=5)
            ((chassis, car),) = compute_race(made).items()
            self.assertApproximates(car.times[0], made.race.truth.lap(chassis, 1).lap_time_s, 0.003)

    def test_without_distance(self) -> None:
        """Without any lap distance a lap ends when the lap number rises; the first one began nowhere."""
        for real_rates in (False, True):
            made = recording(350, faults=Faults(missing_lapdist_share=1), real_rates=real_rates)
            truth = made.race.truth
            for chassis, car in compute_race(made).items():
                self.assertEqual([lap.number for lap in car.laps], [2, 3])
                for lap in car.laps:
                    wanted = truth.lap(chassis, lap.number)
                    self.assertApproximates(lap.time_s, wanted.lap_time_s, 0.06)
                    check_times(lap.sectors_s, wanted.sector_times_s, 0.03)
                first_s = truth.lap(chassis, 4).sector_times_s[0]
                self.assertApproximates(car.result["meta"]["sectorTimes"]["0"], first_s, 0.1)

    def test_speed_off(self) -> None:
        """Without a lap distance, a speed that reads 3 % short costs the sectors nothing, also of the lap so far."""
        made = recording(350, faults=Faults(missing_lapdist_share=1))
        chassis = made.race.truth.chassis[0]
        rows = made.of(chassis).copy()
        rows["speed_kmh"] *= 0.97
        car = compute(rows, made.race.track)
        wanted = made.race.truth.lap(chassis, 3).sector_times_s
        check_times(car.laps[-1].sectors_s, wanted, 0.03)
        shown = car.result["meta"]["sectorTimes"]["0"]
        self.assertApproximates(shown, made.race.truth.lap(chassis, 4).sector_times_s[0], 0.1)

    def test_measured_short(self) -> None:
        """A lap distance that reads 1 % short, and so ends early, costs neither laps nor sectors much."""
        for short in (0.99, 1.01):
            made = recording(350, rate_hz=22)
            chassis = made.race.truth.chassis[0]
            rows = made.of(chassis).copy()
            rows["lapdist_m"] *= short
            car = compute(rows, made.race.track)
            self.assertEqual([lap.number for lap in car.laps], [1, 2, 3])
            for lap in car.laps:
                wanted = made.race.truth.lap(chassis, lap.number)
                self.assertApproximates(lap.time_s, wanted.lap_time_s, 0.01)
                self.assertApproximates(lap.length_m or made.race.track.total_m * short, 3674.7 * short, 2.0)
            # From the second on it is known how the car measures.
            check_times(car.laps[-1].sectors_s, wanted.sector_times_s, 0.01)

    def test_joined_late(self) -> None:
        """Heard from the middle of a lap on, a car has lap times from its first whole lap."""
        made = recording(370)
        for chassis in made.race.truth.chassis:
            rows = made.of(chassis)
            car = compute(rows[rows["time_s"] > made.race.config.start + 150], made.race.track)
            self.assertEqual([(lap.number, lap.marks) for lap in car.laps], [(3, ())])
            self.assertApproximates(car.times[0], made.race.truth.lap(chassis, 3).lap_time_s, 0.002)

    def test_unconfigured_track(self) -> None:
        """On a track that is not configured the lap is one sector, and timed all the same."""
        made = recording(340)
        for without in (False, True):
            for chassis in made.race.truth.chassis:
                part = made.of(chassis).copy()
                if without:
                    part["lapdist_m"] = np.nan
                car = compute(part, None)
                wanted = [made.race.truth.lap(chassis, lap.number).lap_time_s for lap in car.laps]
                check_times(car.times, wanted, 0.06 if without else 0.003)
                self.assertGreaterEqual(len(car.times), 2)
                self.assertEqual(car.result["perSectorStress"].keys(), {"0"})
                self.assertEqual(car.result["meta"]["sectorTimes"], {"0": car.times[-1]})


class AddUpTests(SynchronousTestCase):
    """The parts of a lap add up to it, to the millisecond."""

    def check_sums(self, car: Computed) -> None:
        """In whole milliseconds."""
        for lap in car.laps:
            if lap.time_s is None:
                continue
            whole = round(lap.time_s * 1000)
            for parts in (lap.sectors_s, lap.minis_s):
                if None not in parts:
                    self.assertEqual(sum(round(1000 * (part or 0)) for part in parts), whole)
                    self.assertTrue(all(part is not None and round(part, 3) == part for part in parts))
            self.assertEqual(len(lap.minis_s), MINI_SECTORS)

    def test_recordings(self) -> None:
        """Sectors and 25 mini-sectors add up, at every rate, with noise, and with points missing, late and double."""
        faults = Faults(lapdist_noise_m=0.5, missing_lapdist_share=0.3, shuffled_share=0.2, duplicate_share=0.1)
        for rates in (*RATES, {"rate_hz": 1}, {"rate_hz": 22, "faults": faults}):
            made = recording(SECONDS, **rates)
            for car in compute_race(made).values():
                self.assertEqual(len(car.laps), 2)
                self.check_sums(car)
                for lap in car.laps:
                    self.assertNotIn(None, (*lap.sectors_s, *lap.minis_s))

    def test_mini_sectors(self) -> None:
        """Each mini-sector is the time from one 25th of the lap to the next."""
        for rates in RATES:
            made = recording(SECONDS, **rates)
            truth, length_m = made.race.truth, made.race.track.total_m
            for chassis, car in compute_race(made).items():
                for lap in car.laps:
                    ends_m = (lap.number - 1 + np.arange(MINI_SECTORS + 1) / MINI_SECTORS) * length_m
                    wanted = np.diff([truth.time_at_s(chassis, end_m) for end_m in ends_m])
                    check_times(lap.minis_s, wanted, 0.004)

    @settings(max_examples=20)
    @given(
        st.lists(st.tuples(st.floats(0.02, 0.9), st.floats(15, 60), st.booleans()), min_size=200, max_size=300),
        st.floats(0, 999),
    )
    def test_any_way(self, steps: list[tuple[float, float, bool]], from_m: float) -> None:
        """Whatever the speeds are, and whenever points come."""
        spans, speeds, sent = (np.array(column) for column in zip(*steps, strict=True))
        times = np.concatenate(([0.0], np.cumsum(spans)))[:-1]
        way = from_m + np.concatenate(([0.0], np.cumsum(spans[:-1] * (speeds[1:] + speeds[:-1]) / 2)))
        distances = np.where(sent, way % 1000, np.nan)
        car = compute(hand_made(times, lapdist_m=distances, speed_kmh=speeds * 3.6), SHORT)
        self.check_sums(car)


class LineTests(SynchronousTestCase):
    """When a line was crossed, from the rows around it."""

    def line(self, before_s: float, after_s: float, by: str = "distance") -> Line:
        """A line of a car that is not known yet to measure evenly."""
        return Line(1, START_S + before_s, START_S + after_s, by, math.nan, math.nan, False, 1, True, 1)

    def test_interpolated(self) -> None:
        """Between two readings it was crossed where the distance says so."""
        times = np.array([0.0, 1.0, 2.0])
        rows = hand_made(times, lapdist_m=np.array([960.0, 20.0, 60.0]), speed_kmh=144.0)
        found = line_time(rows, self.line(0.0, 1.0))
        self.assertEqual((round(found.time_s - START_S, 3), found.estimated), (0.5, False))

    def test_hole(self) -> None:
        """A line in a hole of two seconds is estimated, one in a hole of more than five is not known."""
        rows = hand_made(np.array([0.0, 2.0, 2.5]), lapdist_m=np.array([960.0, 40.0, 60.0]), speed_kmh=144.0)
        found = line_time(rows, self.line(0.0, 2.0))
        self.assertEqual((round(found.time_s - START_S, 3), found.estimated), (1.0, True))
        rows = hand_made(np.array([0.0, 6.0]), lapdist_m=np.array([900.0, 140.0]), speed_kmh=144.0)
        found = line_time(rows, self.line(0.0, 6.0))
        self.assertTrue(math.isnan(found.time_s) and found.estimated)

    def test_by_number(self) -> None:
        """Where only the lap number tells of it, it lies half way between the two points."""
        rows = hand_made(np.array([0.0, 0.5]), speed_kmh=144.0)
        self.assertEqual(line_time(rows, self.line(0.0, 0.5, "number")).time_s, START_S + 0.25)

    def test_readings_disagree(self) -> None:
        """Readings behind the line that are far apart still give a time between those around it."""
        rows = hand_made(np.array([0.0, 1.0, 1.5]), lapdist_m=np.array([960.0, 20.0, 80.0]), speed_kmh=144.0)
        found = line_time(rows, self.line(0.0, 1.0))
        self.assertTrue(0.0 <= found.time_s - START_S <= 1.0)

    def test_no_rows(self) -> None:
        """Of a lap without a single row nothing is known but its lines."""
        none = hand_made(np.array([]))
        for begin_s, end_s in ((START_S, START_S + 30), (math.nan, START_S + 30), (START_S, math.nan)):
            made = figures(none, begin_s, end_s, Boundaries(1000.0, (400.0,)), (START_S, START_S + 30), 1.0)
            self.assertTrue(np.isnan(made.crossings[1]))
            self.assertEqual(made.stress.tolist(), [0.0, 0.0])

    def test_unknown_way(self) -> None:
        """A lap whose readings are far from its length has a time, and no sectors that could be believed."""
        times = np.arange(0, 30, 0.1)
        rows = hand_made(times, lapdist_m=20 * times, speed_kmh=72.0)
        made = figures(rows, START_S, START_S + 29.9, Boundaries(1000.0, (400.0,)), (START_S, START_S + 30), 1.0)
        self.assertEqual(np.isnan(made.crossings).tolist(), [False, True, False])


class StressTests(SynchronousTestCase):
    """Tire stress is ∫ (ax² + ay²) ds of the lap, sector by sector."""

    def check_stress(self, made: Recording, share: float) -> None:
        """Within a share of the truth, in each sector and the lap; the lap so far, and the laps that ended."""
        race = made.race
        for chassis, car in compute_race(made).items():
            wanted = true_stress(race, chassis, car.car.tracker.place.time_s - race.config.start)
            shown = car.result["perSectorStress"]
            np.testing.assert_allclose([shown["0"], shown["1"], shown["2"]], wanted, rtol=share, atol=1.0)
            self.assertAlmostEqual(car.result["lap_tire_stress"], sum(shown.values()), places=3)
            for lap in car.laps:
                if lap.number > 1:
                    true = race.truth.lap(chassis, lap.number)
                    wanted = lap_stress(race, chassis, lap.number, true.start_s, true.end_s + 0.01)
                    np.testing.assert_allclose(lap.stress, wanted, rtol=share, atol=1.0)

    def test_sample_rates(self) -> None:
        """It is the same from 10 and from 50 points a second, and at the loggers' rates."""
        for rates in ({}, {"rate_hz": 50}, {"real_rates": True}):
            self.check_stress(recording(SECONDS, **rates), 0.02)

    def test_few_samples(self) -> None:
        """Four points a second come within a few percent."""
        self.check_stress(recording(SECONDS, rate_hz=4), 0.05)

    def test_without_distance(self) -> None:
        """Without a lap distance the way is what was driven."""
        self.check_stress(recording(SECONDS, faults=Faults(missing_lapdist_share=1), real_rates=True), 0.03)

    def test_static_offset(self) -> None:
        """What an accelerometer shows too much of all the time is taken off."""
        for offset_g in (0.05, 0.1):
            faults = Faults(acceleration_offset_g=offset_g)
            self.check_stress(recording(SECONDS, rate_hz=22, seed=4, faults=faults), 0.03)

    def test_offsets_found(self) -> None:
        """From one lap they are known within some thousandths of g, whatever they are."""
        for seed in (1, 2, 3):
            made = recording(SECONDS, rate_hz=22, seed=seed, faults=Faults(acceleration_offset_g=0.08))
            recorder = made.race.recorder
            for index, chassis in enumerate(made.race.truth.chassis):
                rows, true = made.of(chassis), made.race.truth.lap(chassis, 2)
                at_s = rows["time_s"] - made.race.config.start
                lap = rows[(at_s > true.start_s) & (at_s < true.end_s)]
                found = static_offsets(lap, lap["time_s"])
                np.testing.assert_allclose(found, [recorder.offset_x_g[index], recorder.offset_y_g[index]], atol=0.01)

    def test_by_hand(self) -> None:
        """1 g along and 2 g across over 300 m are 1500 g²·m, 500 of them in the second sector."""
        times = np.arange(0, 10.05, 0.1)
        rows = hand_made(times, lapdist_m=200 + 30 * times, speed_kmh=108, accx_can=-1, accy_can=2)
        result = compute(rows, SHORT).result
        self.assertEqual(result["perSectorStress"], {"0": 1000.0, "1": 500.0})
        self.assertEqual(result["lap_tire_stress"], 1500.0)
