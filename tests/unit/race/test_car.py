"""A car's laps, sectors, stress and averages, against the truth of simulated races."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import packaged_tracks
from pitwall.race.car import CarState, update
from pitwall.race.report import report
from pitwall.rows import ROW
from pitwall.sim import Faults, Race, RaceConfig
from tests.unit.race.recordings import (
    SHORT,
    Computed,
    compute,
    compute_race,
    hand_made,
    in_ticks,
    rows_of,
    true_stress,
)

#: Two laps of Barber and half a third.
SECONDS = 255.0


@cache
def a_race(**settings: Any) -> Race:
    """Two cars at Barber, ten points a second each unless told otherwise."""
    return Race(RaceConfig(cars=2, **{"rate_hz": 10, **settings}))


class LapTests(SynchronousTestCase):
    """Laps and sectors are timed from line to line."""

    def check_times(self, race: Race, within_s: float, first_lap: int = 1) -> dict[str, Computed]:
        """The lap times, and the last completed time of each sector, are the true ones."""
        cars = compute_race(race, SECONDS)
        for chassis, car in cars.items():
            true = [race.truth.lap(chassis, lap) for lap in (1, 2, 3)]
            times = [lap.time_s for lap in car.state.laps]
            wanted = [lap.lap_time_s for lap in true[first_lap - 1 : 2]]
            np.testing.assert_allclose(times, wanted, atol=within_s)
            self.assertFalse(any(lap.estimated for lap in car.state.laps))
            # In the third lap only the first sector is complete.
            sectors = [true[2].sector_times_s[0], *true[1].sector_times_s[1:]]
            shown = car.result["meta"]["sectorTimes"]
            np.testing.assert_allclose([shown["0"], shown["1"], shown["2"]], sectors, atol=within_s)
            self.assertEqual(car.result["lap"], 3)
        return cars

    def test_all_channels_at_once(self) -> None:
        """Points that have everything give times to a thousandth of a second."""
        self.check_times(a_race(), 0.002)

    def test_real_rates(self) -> None:
        """So do points as the loggers send them, with the lap distance at every fifth instant."""
        self.check_times(a_race(real_rates=True, gps=True), 0.005)

    def test_one_point_a_second(self) -> None:
        """One point a second is enough for a twentieth of a second."""
        self.check_times(a_race(rate_hz=1), 0.05)

    def test_other_tracks(self) -> None:
        """Every track of the series is known."""
        for track in ("cota", "indianapolis", "road_america", "sebring", "sonoma", "vir"):
            race = Race(RaceConfig(track=track, cars=1, rate_hz=5))
            ((chassis, car),) = compute_race(race, 330).items()
            self.assertApproximates(car.state.laps[0].time_s, race.truth.lap(chassis, 1).lap_time_s, 0.01)

    def test_sectors_add_up(self) -> None:
        """The sectors of a lap add up to the lap."""
        race = a_race()
        for chassis in race.truth.chassis:
            # Just behind the line all three are of the lap that has ended.
            rows, numbers = rows_of(race.points(0, race.truth.lap(chassis, 2).end_s + 1))
            car = compute(rows[rows["car"] == numbers[chassis]], race.track)
            sectors = [time_s or 0.0 for time_s in car.state.sector_times]
            self.assertAlmostEqual(sum(sectors), car.state.laps[-1].time_s, places=6)

    def test_half_the_distances(self) -> None:
        """A lap distance in every other point is enough."""
        self.check_times(a_race(faults=Faults(missing_lapdist_share=0.5)), 0.002)

    def test_out_of_order(self) -> None:
        """Points that arrive up to two seconds late spoil next to nothing."""
        self.check_times(a_race(faults=Faults(shuffled_share=0.3)), 0.01)

    def test_twice(self) -> None:
        """Nor do points that come twice, with other values."""
        self.check_times(a_race(faults=Faults(duplicate_share=0.1, conflicting_share=0.5)), 0.002)

    def test_without_distance(self) -> None:
        """Without any lap distance a lap ends when the lap number rises; the first one began nowhere."""
        for rates in (False, True):
            race = a_race(faults=Faults(missing_lapdist_share=1), real_rates=rates)
            cars = compute_race(race, 350)
            for chassis, car in cars.items():
                wanted = [race.truth.lap(chassis, lap).lap_time_s for lap in (2, 3)]
                np.testing.assert_allclose([lap.time_s for lap in car.state.laps], wanted, atol=0.1)
                first_s = race.truth.lap(chassis, 4).sector_times_s[0]
                self.assertApproximates(car.result["meta"]["sectorTimes"]["0"], first_s, 0.3)

    def test_distance_off(self) -> None:
        """A speed that reads 3 % short costs the sectors nothing once it has been seen for a lap."""
        race = a_race(faults=Faults(missing_lapdist_share=1))
        rows, _ = rows_of(race.points(0, 350))
        rows = rows[rows["car"] == 0]
        rows["speed_kmh"] *= 0.97
        car = compute(rows, race.track)
        chassis = race.truth.chassis[0]
        self.assertApproximates(
            car.result["meta"]["sectorTimes"]["0"], race.truth.lap(chassis, 4).sector_times_s[0], 0.3
        )

    def test_joined_late(self) -> None:
        """Heard from the middle of a lap on, a car has lap times from its first whole lap."""
        race = a_race()
        rows, _ = rows_of(race.points(150, 370))
        car = compute(rows[rows["car"] == 0], race.track)
        chassis = race.truth.chassis[0]
        self.assertApproximates(car.state.laps[0].time_s, race.truth.lap(chassis, 3).lap_time_s, 0.002)

    def test_unconfigured_track(self) -> None:
        """On a track that is not configured the lap is one sector, and timed all the same."""
        race = a_race()
        rows, _ = rows_of(race.points(0, 340))
        for without in (False, True):
            part = rows[rows["car"] == 0]
            if without:
                part["lapdist_m"] = np.nan
            car = compute(part, None)
            times = [lap.time_s for lap in car.state.laps]
            wanted = [race.truth.lap(race.truth.chassis[0], lap).lap_time_s for lap in (1, 2, 3)][-len(times) :]
            np.testing.assert_allclose(times, wanted, atol=0.11 if without else 0.01)
            self.assertGreaterEqual(len(times), 2)
            self.assertEqual(car.result["perSectorStress"].keys(), {"0"})
            self.assertAlmostEqual(car.result["meta"]["sectorTimes"]["0"], times[-1], places=3)


class LapNumberTests(SynchronousTestCase):
    """The lap number is the car's own, or not known."""

    def test_unknown(self) -> None:
        """32768 and 0 are no laps: the lap is null, and the laps are timed all the same."""
        car = compute_race(a_race(faults=Faults(unknown_lap_share=1)), SECONDS)[a_race().truth.chassis[0]]
        self.assertIsNone(car.result["lap"])
        self.assertEqual(len(car.state.laps), 2)
        self.assertIsNone(compute(hand_made([0.0], lap=0), SHORT).result["lap"])
        self.assertIsNone(compute(hand_made([0.0], speed_kmh=99), SHORT).result["lap"])

    def test_now_and_then_unknown(self) -> None:
        """A car that says 32768 now and then is still on the lap it named."""
        for car in compute_race(a_race(faults=Faults(unknown_lap_share=0.5)), SECONDS).values():
            self.assertEqual(car.result["lap"], 3)

    def test_not_known_any_more(self) -> None:
        """After ten seconds of nothing but 32768 the lap is not known."""
        times = np.arange(0, 20, 0.1)
        rows = hand_made(times, lap=np.where(times < 5, 7, 32768))
        self.assertEqual([report.result["lap"] for report in compute(rows, SHORT, 5.0).reports], [7, 7, 7, None])

    def test_sent_once(self) -> None:
        """A lap number that is sent once a lap holds until the next one."""
        times = np.arange(0, 60, 0.1)
        rows = hand_made(times, lap=np.where(np.isin(times, [0.0, 30.0]), 3 + times // 30, np.nan))
        self.assertEqual([report.result["lap"] for report in compute(rows, SHORT, 20.0).reports], [3, 4, 4])


class StressTests(SynchronousTestCase):
    """Tire stress is ∫ (ax² + ay²) ds of the lap so far, sector by sector."""

    def check_stress(self, race: Race, share: float) -> None:
        """Within a share of the truth, in each sector and the lap."""
        rows, numbers = rows_of(race.points(0, SECONDS))
        for chassis, number in numbers.items():
            own = rows[rows["car"] == number]
            car = compute(own, race.track)
            wanted = true_stress(race, chassis, own["time_s"].max() - race.config.start)
            shown = car.result["perSectorStress"]
            np.testing.assert_allclose([shown["0"], shown["1"], shown["2"]], wanted, rtol=share, atol=1.0)
            self.assertAlmostEqual(car.result["lap_tire_stress"], sum(shown.values()), places=3)

    def test_sample_rates(self) -> None:
        """It is the same from 10 and from 50 points a second, and at the loggers' rates."""
        for settings in ({}, {"rate_hz": 50}, {"real_rates": True}):
            self.check_stress(a_race(**settings), 0.02)

    def test_few_samples(self) -> None:
        """Four points a second come within a few percent."""
        self.check_stress(a_race(rate_hz=4), 0.05)

    def test_without_distance(self) -> None:
        """Without a lap distance the way is what was driven."""
        self.check_stress(a_race(faults=Faults(missing_lapdist_share=1), real_rates=True), 0.03)

    def test_by_hand(self) -> None:
        """1 g along and 2 g across over 300 m are 1500 g²·m, 500 of them in the second sector."""
        times = np.arange(0, 10.05, 0.1)
        rows = hand_made(times, lapdist_m=200 + 30 * times, speed_kmh=108, accx_can=-1, accy_can=2)
        result = compute(rows, SHORT).result
        self.assertEqual(result["perSectorStress"], {"0": 1000.0, "1": 500.0})
        self.assertEqual(result["lap_tire_stress"], 1500.0)


class AverageTests(SynchronousTestCase):
    """Averages and maxima are over the current lap so far."""

    def test_of_the_lap(self) -> None:
        """They are those of all points since the line."""
        for settings in ({}, {"real_rates": True}):
            race = a_race(**settings)
            rows, numbers = rows_of(race.points(0, SECONDS))
            for chassis, number in numbers.items():
                own = rows[rows["car"] == number]
                meta = compute(own, race.track).result["meta"]
                lap = own[own["time_s"] > race.config.start + race.truth.lap(chassis, 3).start_s]
                for name, channel in (
                    ("Speed", lap["speed_kmh"]),
                    ("Acceleration", lap["accx_can"]),
                    ("Braking", lap["pbrake_f"]),
                    ("Cornering", np.abs(lap["Steering_Angle"])),
                ):
                    mean, largest = float(np.nanmean(channel, dtype=float)), float(np.nanmax(channel))
                    self.assertApproximates(meta[f"avg{name}"], mean, 0.001 + 0.001 * abs(mean), msg=name)
                    self.assertAlmostEqual(meta[f"max{name}"], largest, places=2, msg=name)

    def test_late_points(self) -> None:
        """A point that comes late is part of them."""
        state = CarState()
        update(state, hand_made([1.0], speed_kmh=100), SHORT, 0)
        update(state, hand_made([0.5], speed_kmh=200), SHORT, 0)
        meta = report(0, "short", "car", state, SHORT).result["meta"]
        self.assertEqual((meta["avgSpeed"], meta["maxSpeed"], meta["pointCount"]), (150.0, 200.0, 2))


class CutTests(SynchronousTestCase):
    """How the points are cut into ticks makes no difference."""

    def check_same(self, race: Race) -> None:
        """One point at a time, ticks of different lengths, and all at once give the same results."""
        rows, _ = rows_of(race.points(0, SECONDS))
        rows = rows[rows["car"] == 0]
        one = compute(rows, race.track, math.inf).result
        for tick_s in (0.01, 0.6, 7.3):
            car = compute(rows, race.track, tick_s)
            other = car.result
            self.assertEqual(one["lap"], other["lap"])
            stress, others = one["perSectorStress"], other["perSectorStress"]
            np.testing.assert_allclose(list(others.values()), list(stress.values()), rtol=0.002)
            for name, value in other["meta"].items():
                if isinstance(value, float):
                    self.assertApproximates(value, one["meta"][name], 0.002, msg=name)
            sectors, others = one["meta"]["sectorTimes"], other["meta"]["sectorTimes"]
            self.assertEqual(sectors.keys(), others.keys())
            np.testing.assert_allclose(list(others.values()), list(sectors.values()), atol=0.01)
            counted = sum(report.result["meta"]["pointCount"] for report in car.reports)
            self.assertEqual(counted, one["meta"]["pointCount"])

    def test_plain(self) -> None:
        """With all channels in each point."""
        self.check_same(a_race())

    def test_real_rates(self) -> None:
        """At the loggers' rates."""
        self.check_same(a_race(real_rates=True))

    def test_same_moment(self) -> None:
        """Channels of one moment that come as points of their own."""
        times = np.repeat(np.arange(0, 80, 0.2), 2)
        distance, second = 30 * times % 1000, np.arange(times.size) % 2 == 1
        rows = hand_made(
            times, lapdist_m=np.where(second, distance, np.nan), speed_kmh=np.where(second, np.nan, 108), accx_can=1
        )
        at_once, state = compute(rows, SHORT, math.inf), CarState()
        for index in range(len(rows)):
            update(state, rows[index : index + 1], SHORT, 0)
        np.testing.assert_allclose(state.stress, at_once.state.stress, atol=0.01)
        self.assertEqual([round(lap.time_s, 3) for lap in state.laps], [33.333])


class CountTests(SynchronousTestCase):
    """Every accepted point is counted once."""

    def test_sum(self) -> None:
        """The counts sum up to the points, late and double ones included."""
        race = a_race(faults=Faults(shuffled_share=0.2, duplicate_share=0.1))
        rows, _ = rows_of(race.points(0, 60))
        counts = [report.result["meta"]["pointCount"] for report in compute(rows, race.track).reports]
        self.assertEqual(sum(counts), len(rows))

    def test_read_again(self) -> None:
        """Points that are read again after a worker was replaced are not counted again."""
        state = CarState()
        update(state, hand_made(np.arange(10.0), speed_kmh=90), SHORT, counted_after=7)
        self.assertEqual(report(0, "short", "car", state, SHORT).result["meta"]["pointCount"], 3)


class GridTests(SynchronousTestCase):
    """Position is by distance covered since the start."""

    def check_order(self, race: Race) -> None:
        """At the start, in the first lap and later the cars are as far as they truly are."""
        for seconds in (1.0, 30.0, SECONDS):
            for chassis, car in compute_race(race, seconds).items():
                last_s = car.state.time_s - race.config.start
                true_m = float(race.truth.distance_m(chassis, np.array([last_s]))[0])
                self.assertApproximates(car.reports[-1].covered_m, true_m, 1.0)

    def test_behind_the_line(self) -> None:
        """A car on the grid has not begun its first lap."""
        self.check_order(a_race())

    def test_first_lap(self) -> None:
        """The lap that began on the grid is marked, whatever the lap counter says; one that was joined is not."""
        for settings in ({}, {"faults": Faults(laps_ahead=2)}, {"faults": Faults(unknown_lap_share=1)}):
            for car in compute_race(a_race(**settings), SECONDS).values():
                self.assertEqual([lap.first for lap in car.state.laps], [True, False])
        times = np.arange(0, 110, 0.1)
        way = 900 + 30 * times
        joined = compute(hand_made(times, lap=5 + way // 1000, lapdist_m=way % 1000), SHORT)
        self.assertEqual([lap.first for lap in joined.state.laps], [False, False, False])

    def test_counters_ahead(self) -> None:
        """Lap counters that run one or two ahead do not move a car that was seen on the grid."""
        race = a_race(faults=Faults(laps_ahead=2))
        self.assertNotEqual(len({car.result["lap"] for car in compute_race(race, SECONDS).values()}), 1)
        self.check_order(race)

    def test_joined_late(self) -> None:
        """Of cars that are heard first in mid-race the lap number tells who is ahead."""
        times = np.arange(0, 5, 0.1)
        ahead = compute(hand_made(times, lap=5, lapdist_m=300 + 30 * times), SHORT).reports[-1]
        behind = compute(hand_made(times, lap=4, lapdist_m=700 + 30 * times), SHORT).reports[-1]
        self.assertApproximates(ahead.covered_m - behind.covered_m, 600, 0.1)
        ahead = compute(hand_made(times, lap=5, lapdist_m=300 + 30 * times), None).reports[-1]
        behind = compute(hand_made(times, lap=4, lapdist_m=700 + 30 * times), None).reports[-1]
        self.assertGreater(ahead.covered_m, behind.covered_m)


class FaultTests(SynchronousTestCase):
    """What real recordings do to a lap timer."""

    def laps_of(self, times: Any, distances: Any, **channels: Any) -> Computed:
        """Computed in ticks of 0.6 s on the short track."""
        channels.setdefault("speed_kmh", 108)
        return compute(hand_made(times, lapdist_m=distances, **channels), SHORT)

    def setUp(self) -> None:
        """Three laps and a bit of the short track at 30 m/s, twenty times a second."""
        self.times = np.arange(0, 110, 0.05)
        self.distances = (200 + 30 * self.times) % 1000

    def check_laps(self, car: Computed) -> None:
        """Both whole laps are there, and right."""
        np.testing.assert_allclose([lap.time_s for lap in car.state.laps], [33.333, 33.333], atol=0.06)

    def test_trigger_missed(self) -> None:
        """A lap distance that is not reset at the line, but a lap later, costs no lap."""
        way = 200 + 30 * self.times
        self.check_laps(self.laps_of(self.times, np.where((way > 1000) & (way < 3000), way - 1000, way % 1000)))

    def test_step_back_over_the_line(self) -> None:
        """A reading of the old lap after the first of the new one is no lap of its own."""
        behind = np.flatnonzero(np.diff(self.distances) < -500) + 2
        self.distances[behind] += 990
        self.check_laps(self.laps_of(self.times, self.distances))

    def test_reading_between(self) -> None:
        """A logger that averages two readings shows half a lap at the line; the lap is counted once."""
        last = np.flatnonzero(np.diff(self.distances) < -500)
        self.distances[last] = (self.distances[last] + self.distances[last + 1]) / 2
        self.check_laps(self.laps_of(self.times, self.distances))

    def test_counter_at_the_line(self) -> None:
        """A lap number that rises a moment before the line, or twice, ends no lap of its own."""
        laps = 3 + (210 + 30 * self.times) // 1000
        car = self.laps_of(self.times, self.distances, lap=laps)
        self.check_laps(car)
        self.assertApproximates(car.reports[-1].covered_m, 2000 + 200 + 30 * self.times[-1], 0.1)

    def test_trigger_repeats(self) -> None:
        """Without a lap distance, a lap number that rises twice at the line ends one lap."""
        laps = 3 + (200 + 30 * self.times) // 1000 + (170 + 30 * self.times) // 1000
        self.check_laps(self.laps_of(self.times, np.nan, lap=laps))

    def test_short_hole(self) -> None:
        """A lap whose line lies in a hole of two seconds is timed, but is no clean lap."""
        seen = np.abs(self.times - 60.0) > 1.0
        car = self.laps_of(self.times[seen], self.distances[seen])
        self.check_laps(car)
        self.assertEqual([lap.estimated for lap in car.state.laps], [True, True])

    def test_long_hole(self) -> None:
        """What lies in a hole of ten seconds is not known, and left out."""
        seen = np.abs(self.times - 60.0) > 5.0
        car = self.laps_of(self.times[seen], self.distances[seen])
        self.assertTrue(all(math.isnan(lap.time_s) for lap in car.state.laps))
        at_63 = next(report for report in car.reports if report.covered_m > 2200)
        self.assertEqual(at_63.result["meta"]["sectorTimes"].keys(), {"0"})
        self.assertEqual(car.result["meta"]["sectorTimes"].keys(), {"0", "1"})

    def test_hole_of_half_a_lap(self) -> None:
        """A car that is not heard for more than half a lap, the line in it, has that lap behind it."""
        seen = np.abs(self.times - 60.0) > 9.0
        car = self.laps_of(self.times[seen], self.distances[seen])
        self.assertEqual(len(car.state.laps), 2)
        self.assertApproximates(car.state.way_m, 200 + 30 * self.times[-1], 0.1)

    def test_all_at_once(self) -> None:
        """A stalled receiver that stamps half a lap with one moment costs times, but no lap."""
        stalled = (self.times > 40) & (self.times < 58)
        car = self.laps_of(np.where(stalled, 58.0, self.times), self.distances)
        self.check_laps(car)

    def test_put_elsewhere(self) -> None:
        """A car that is suddenly elsewhere, as when a recording begins anew, has no time for that lap."""
        elsewhere = (self.distances + 200 * (self.times > 50)) % 1000
        laps = self.laps_of(self.times, elsewhere).state.laps
        self.assertEqual([math.isnan(lap.time_s) for lap in laps], [True, False])

    def test_another_outing(self) -> None:
        """A race that is sent once more, with the same times, begins anew."""
        rows = hand_made(self.times, lapdist_m=self.distances, lap=3 + (200 + 30 * self.times) // 1000)
        half = rows[: len(rows) // 2 + 300]
        alone, state = compute(half, SHORT), CarState()
        for part in (rows, *in_ticks(half, 0.6)):
            update(state, part, SHORT, 0)
        self.assertEqual(len(state.laps), 1)
        self.assertApproximates(state.laps[0].time_s, alone.state.laps[0].time_s, 0.001)
        self.assertApproximates(state.covered_m(1000), alone.state.covered_m(1000), 0.1)
        self.assertEqual(state.lap, alone.state.lap)

    def test_clock_astray(self) -> None:
        """One point with a date far ahead costs a few seconds of the figures, not the rest of the race."""
        rows = hand_made(self.times, lapdist_m=self.distances, speed_kmh=108.0)
        rows["time_s"][500] += 4e9
        # It is the last one of its tick, as sorting would have it.
        state = CarState()
        for part in np.split(rows, [501, *range(520, len(rows), 20)]):
            update(state, part, SHORT, 0)
        self.assertApproximates(state.way_m - state.line_m, 30 * self.times[-1] + 200 - 3000, 1)
        self.assertApproximates(state.laps[-1].time_s, 33.333, 0.01)

    def test_other_sectors(self) -> None:
        """A stored state from before the track file was changed is not taken for more than it is."""
        state = CarState()
        update(state, hand_made(self.times, lapdist_m=self.distances), SHORT, 0)
        update(state, hand_made(self.times + 200, lapdist_m=self.distances), packaged_tracks().get("barber"), 0)
        self.assertEqual(len(report(0, "barber", "car", state, None).result["perSectorStress"]), 3)


def _any_rows(length: int) -> st.SearchStrategy[Any]:
    def channel(low: float, high: float) -> st.SearchStrategy[Any]:
        return arrays(np.float32, length, elements=st.floats(low, high, width=32) | st.just(np.float32("nan")))

    times = arrays(np.float64, length, elements=st.floats(0, 300) | st.floats(-6e10, 2e11))
    return st.fixed_dictionaries(
        {
            "time_s": times,
            "lap": arrays(np.float32, length, elements=st.sampled_from([0, 1, 2, 3, 32768, float("nan")])),
            "lapdist_m": channel(0, 30000),
            "speed_kmh": channel(0, 500),
            "accx_can": channel(-10, 10),
            "accy_can": channel(-10, 10),
            "Steering_Angle": channel(-1800, 1800),
            "pbrake_f": channel(-10, 500),
        }
    )


class AnyRowsTests(SynchronousTestCase):
    """Whatever passes the decoder can be computed."""

    @given(st.lists(st.integers(1, 8).flatmap(_any_rows), min_size=1, max_size=4), st.booleans())
    def test_any_rows(self, batches: list[dict[str, Any]], configured: bool) -> None:
        """Any channels at any times give finite figures, which can be stored, and count every point."""
        state, track, counted = CarState(), SHORT if configured else None, 0
        for batch in batches:
            rows = np.zeros(len(batch["time_s"]), ROW)
            rows["seq"] = 1
            for name, values in batch.items():
                rows[name] = values
            update(state, rows, track, 0)
            shown = report(0, "track", "car", state, track)
            # What JSON can't say, NaN and infinity, comes out as null.
            self.assertNotIn(b"null", msgspec.json.encode({**shown.result, "lap": 0}))
            self.assertTrue(math.isfinite(shown.covered_m) and math.isfinite(shown.speed_kmh))
            counted += shown.result["meta"]["pointCount"]
            stored = msgspec.msgpack.encode(state)
            self.assertEqual(msgspec.msgpack.encode(msgspec.msgpack.decode(stored, type=CarState)), stored)
        self.assertEqual(counted, sum(len(batch["time_s"]) for batch in batches))
