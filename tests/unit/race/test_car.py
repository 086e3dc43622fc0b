"""One car: averages and counts, laps and their marks, what is kept of it, and whatever rows there may be."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.row import ROW
from pitwall.model.track import Track
from pitwall.race.buffer import MOST_ROWS
from pitwall.race.car import Car, Stored
from pitwall.race.report import car_report, car_tick
from pitwall.race.tracker import KEPT_S
from pitwall.rows import numbered
from pitwall.sim import Faults
from tests.unit.race.recordings import (
    SHORT,
    SHORTWAY,
    Recording,
    Rows,
    compute,
    compute_race,
    covered_m,
    hand_made,
    in_parts,
    in_ticks,
    recording,
)

#: Two laps of Barber and half a third.
SECONDS = 255.0


class AverageTests(SynchronousTestCase):
    """Averages and maxima are over the current lap so far."""

    def test_of_the_lap(self) -> None:
        """They are those of all points since the line."""
        for rates in ({}, {"rate_hz": 22}, {"real_rates": True}):
            made = recording(SECONDS, **rates)
            for chassis, car in compute_race(made).items():
                meta, own = car.result["meta"], made.of(chassis)
                lap = own[own["time_s"] > made.race.config.start + made.race.truth.lap(chassis, 3).start_s]
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
        meta = compute([hand_made([1.0], speed_kmh=100), hand_made([0.5], speed_kmh=200)], SHORT).result["meta"]
        self.assertEqual((meta["avgSpeed"], meta["maxSpeed"]), (150.0, 200.0))


class CountTests(SynchronousTestCase):
    """Every accepted point is counted once."""

    def test_sum(self) -> None:
        """The counts sum up to the points, late and double ones included."""
        made = recording(60, faults=Faults(shuffled_share=0.2, duplicate_share=0.1))
        for chassis in made.race.truth.chassis:
            rows = made.of(chassis)
            counts = [report.result["meta"]["pointCount"] for report in compute(rows, made.race.track).reports]
            self.assertEqual(sum(counts), len(rows))

    def test_read_again(self) -> None:
        """Points that are read again after a worker was replaced are not counted again."""
        car = Car(SHORT)
        car.take(hand_made(np.arange(10.0), speed_kmh=90), counted_after=7)
        self.assertEqual(car_report(0, "short", "car", car).result["meta"]["pointCount"], 3)


class SettleTests(SynchronousTestCase):
    """A lap is told once it has ended, and again when it has changed."""

    def setUp(self) -> None:
        """Three laps and a bit of the short track at 30 m/s."""
        times = np.arange(0, 110, 0.05)
        self.rows = hand_made(times, lapdist_m=(200 + 30 * times) % 1000, speed_kmh=108.0, accy_can=1.0)

    def test_once(self) -> None:
        """Each lap is told a second or so after its line, and only then."""
        told = [(tick.at_ms, change) for tick in compute(self.rows, SHORT).ticks for change in tick.laps]
        self.assertEqual([(change.lap.number, change.corrected) for _, change in told], [(2, False), (3, False)])
        for at_ms, change in told:
            assert change.lap.end_s is not None
            self.assertTrue(0.9 < at_ms / 1000 - change.lap.end_s < 2.3)

    def test_at_the_end(self) -> None:
        """A lap is told although nothing was heard after its line, when nothing more comes."""
        rows = self.rows[self.rows["time_s"] < self.rows["time_s"][0] + 60.2]
        car = Car(SHORT)
        car.take(rows)
        self.assertEqual(car.tick(), [])
        self.assertTrue(car.unsettled)
        self.assertEqual([change.lap.time_s for change in car.tick(final=True)], [33.333])
        self.assertFalse(car.unsettled)
        self.assertEqual(car.tick(final=True), [])

    def test_late_points(self) -> None:
        """Late points of a lap that was told have it told again, as it then is, and no other."""
        late = np.abs(self.rows["time_s"] - self.rows["time_s"][0] - 40.0) < 3.0
        car = Car(SHORT)
        changes = []
        for part in [*in_parts(self.rows[~late], 12), self.rows[late]]:
            car.take(part)
            changes += car.tick()
        changes += car.tick(final=True)
        self.assertEqual(
            [(change.lap.number, change.corrected) for change in changes], [(2, False), (3, False), (2, True)]
        )
        self.assertEqual((changes[0].lap.marks, changes[-1].lap.marks), (("estimated",), ()))
        straight = compute(self.rows, SHORT).laps
        self.assertEqual(msgspec.to_builtins(car.laps), msgspec.to_builtins(straight))

    def test_clock_was_set(self) -> None:
        """A lap in which the car's clock was set is marked."""
        self.rows["clock"] = np.where(self.rows["time_s"] < self.rows["time_s"][0] + 45, 1, 2)
        self.assertEqual([lap.marks for lap in compute(self.rows, SHORT).laps], [("estimated",), ()])

    def test_shift(self) -> None:
        """When a lap began is on the clock that all cars share, as it was known then."""
        plain = compute(self.rows, SHORT).laps
        self.rows["shift_s"] = -0.25
        shifted = compute(self.rows, SHORT).laps
        self.assertEqual([lap.time_s for lap in shifted], [lap.time_s for lap in plain])
        for lap, other in zip(shifted, plain, strict=True):
            self.assertAlmostEqual(lap.start_s - other.start_s, -0.25, places=3)


class PitTests(SynchronousTestCase):
    """Laps that begin or end in the pits are marked, and no other."""

    def check_stops(self, made: Recording) -> int:
        """In every lap of every car; returns how many stops there were."""
        stops = 0
        for chassis, car in compute_race(made).items():
            # After the flag nothing is sent any more.
            self.assertGreaterEqual(len(car.laps), (made.race.config.laps or 0) - 1)
            for lap in car.laps:
                kind = made.race.truth.lap(chassis, lap.number).kind
                stops += kind == "in"
                pits = [mark for mark in lap.marks if mark in ("in", "out")]
                self.assertEqual(pits, [kind] if kind in ("in", "out") else [], (chassis, lap.number, lap.marks))
                self.assertEqual(lap.kind == "clean", kind not in ("in", "out") and lap.number > 1)
        return stops

    def test_stops(self) -> None:
        """In and out laps are marked as the truth says, on two tracks, at 22 Hz, at real rates and at 1 Hz."""
        for settings in (
            {"track": SHORTWAY, "laps": 8, "rate_hz": 22},
            {"track": SHORTWAY, "laps": 8, "real_rates": True, "seed": 5},
            {"track": SHORTWAY, "laps": 8, "rate_hz": 1, "seed": 6},
            {"track": "barber", "laps": 7, "real_rates": True, "seed": 7},
        ):
            made = recording(420 if settings["track"] is SHORTWAY else 900, cars=3, stint_laps=3, **settings)
            self.assertGreaterEqual(self.check_stops(made), 3)

    def test_in_pits(self) -> None:
        """A car is in the pits from behind the line until it has left them, as the truth says, and at no other time."""
        for settings in ({"rate_hz": 10}, {"real_rates": True, "seed": 7}):
            made = recording(900, track="barber", laps=7, cars=3, stint_laps=3, **settings)
            truth, stops = made.race.truth, 0
            for chassis in truth.chassis:
                car, told = Car(made.race.track), []
                for part in in_ticks(made.of(chassis), 0.5):
                    car.take(part)
                    car.tick()
                    told.append(
                        (car.heard_s - made.race.config.start, car_report(0, "barber", chassis, car).result["inPits"])
                    )
                for at_s, inside in told:
                    lap = truth.lap_at(chassis, at_s)
                    if lap < 1:
                        self.assertFalse(inside)
                        continue
                    this = truth.lap(chassis, lap)
                    way_m = float(truth.distance_m(chassis, np.array([at_s]))[0]) % made.race.truth.circuit.length_m
                    if this.kind != "out" or way_m > 500:
                        self.assertFalse(inside, (chassis, lap, this.kind, way_m))
                    elif at_s - this.start_s > 3.5 and way_m < 240:
                        self.assertTrue(inside, (chassis, lap, way_m))
                        stops += 1
            self.assertGreater(stops, 20)


class MemoryTests(SynchronousTestCase):
    """What is kept of a car is bounded."""

    def check_size(self, car: Car, rate_hz: float) -> None:
        """A few minutes, and no more."""
        kept_s = 2 * KEPT_S
        self.assertLessEqual(len(car.buffer), min(MOST_ROWS, (kept_s + 60) * rate_hz))
        self.assertLessEqual(len(car.tracker.remembered), kept_s)
        self.assertLessEqual(len(car.tracker.trace), 4001)
        self.assertLessEqual(len(car.tracker.lines), 60)
        self.assertLessEqual(len(car.laps), 60)
        self.assertLess(len(msgspec.msgpack.encode(car.store())), 2_000_000)

    def drive(self, car: Car, times: Any, **channels: Any) -> None:
        """Rows, a hundred seconds at a time."""
        rows = hand_made(times, **channels)
        for part in np.split(rows, np.flatnonzero(np.diff(np.floor(times / 100))) + 1):
            car.take(part)
            car.tick()

    def test_stand_still(self) -> None:
        """Of a car that stands for five hours."""
        car, times = Car(SHORT), np.arange(0, 18_000, 0.5)
        self.drive(car, times, lapdist_m=500.0, speed_kmh=0.0, lap=3)
        self.check_size(car, 2)
        self.assertEqual(car.laps, [])

    def test_long_race(self) -> None:
        """Of one that drives 600 laps; the last of them are as right as the first."""
        car, times = Car(SHORT), np.arange(0, 20_000, 0.5)
        self.drive(car, times, lapdist_m=30 * times % 1000, speed_kmh=108.0, lap=1 + 30 * times // 1000)
        self.check_size(car, 2)
        self.assertEqual((len(car.laps), car.laps[-1].number), (60, 599))
        np.testing.assert_allclose(np.array([lap.time_s for lap in car.laps], float), 33.333, atol=0.002)

    def test_high_rate(self) -> None:
        """Of one that sends a thousand points a second: what comes so thick tells no more."""
        car, times = Car(SHORT), np.arange(0, 300, 0.001)
        self.drive(car, times, lapdist_m=30 * times % 1000, speed_kmh=108.0)
        self.check_size(car, 67)
        np.testing.assert_allclose(np.array([lap.time_s for lap in car.laps], float), 33.333, atol=0.002)

    def test_no_speed(self) -> None:
        """Of one that sends no speed, or nothing at all but its name."""
        times = np.arange(0, 10_000, 0.5)
        car = Car(SHORT)
        self.drive(car, times, lapdist_m=30 * times % 1000)
        self.check_size(car, 2)
        np.testing.assert_allclose(np.array([lap.time_s for lap in car.laps], float), 33.333, atol=0.01)
        car = Car(None)
        self.drive(car, times)
        self.check_size(car, 2)

    def test_standing_in_a_late_lap(self) -> None:
        """Of one that stops for an hour in the middle of a lap, and then drives on."""
        times = np.arange(0, 3_800, 0.5)
        way = 30 * np.where(times < 50, times, np.maximum(times - 3600, 50))
        car = Car(SHORT)
        self.drive(car, times, lapdist_m=way % 1000, speed_kmh=np.where((times > 50) & (times < 3650), 0, 108))
        self.assertLessEqual(len(car.buffer), MOST_ROWS)
        self.assertApproximates(covered_m(car), way[-1], 1.0)
        self.assertApproximates(car.laps[-1].time_s, 33.333, 0.01)


def _any_rows(length: int) -> st.SearchStrategy[Any]:
    def channel(low: float, high: float) -> st.SearchStrategy[Any]:
        return arrays(np.float32, length, elements=st.floats(low, high, width=32) | st.just(np.float32("nan")))

    times = arrays(np.float64, length, elements=st.floats(0, 300) | st.floats(-6e10, 2e11))
    return st.fixed_dictionaries(
        {
            "time_s": times,
            "meta_s": times,
            "clock": arrays(np.uint32, length, elements=st.integers(0, 3)),
            "lap": arrays(np.float32, length, elements=st.sampled_from([0, 1, 2, 3, 32768, float("nan")])),
            "lapdist_m": channel(0, 30000),
            "speed_kmh": channel(0, 500),
            "accx_can": channel(-10, 10),
            "accy_can": channel(-10, 10),
            "Steering_Angle": channel(-1800, 1800),
            "pbrake_f": channel(-10, 500),
        }
    )


def again(car: Car, track: Track | None) -> Car:
    """A car that goes on from what another had stored."""
    return Car(track, msgspec.msgpack.decode(msgspec.msgpack.encode(car.store()), type=Stored))


class AnyRowsTests(SynchronousTestCase):
    """Whatever passes the decoder can be computed."""

    @given(st.lists(st.integers(1, 8).flatmap(_any_rows), min_size=1, max_size=5), st.booleans())
    def test_any_rows(self, batches: list[dict[str, Any]], configured: bool) -> None:
        """Any channels at any times give finite figures, which can be stored, and count every point."""
        track, counted = SHORT if configured else None, 0
        car = Car(track)
        for number, batch in enumerate(batches):
            rows = np.zeros(len(batch["time_s"]), ROW)
            rows["seq"] = 1
            for name, values in batch.items():
                rows[name] = values
            car.take(rows)
            tick = car_tick(0, car, 0, car.tick(final=number % 2 == 1))
            for figure in (*(value for moment in tick.trace for value in moment), tick.sigma_m, tick.trace_from_s):
                self.assertTrue(figure is None or math.isfinite(figure))
            self.assertEqual(msgspec.msgpack.decode(msgspec.msgpack.encode(tick), type=type(tick)), tick)
            shown = car_report(0, "track", "car", car)
            # What JSON can't say, NaN and infinity, comes out as null.
            self.assertNotIn(b"null", msgspec.json.encode({**shown.result, "lap": 0}))
            counted += shown.result["meta"]["pointCount"]
            stored = msgspec.msgpack.encode(car.store())
            car = again(car, track)
            self.assertEqual(msgspec.msgpack.encode(car.store()), stored)
        self.assertEqual(counted, sum(len(batch["time_s"]) for batch in batches))


class StoredTests(SynchronousTestCase):
    """What is stored of a car goes on as the car itself would."""

    def told(self, rows: Rows, track: Track | None, every: int) -> bytes:
        """All that is said of a car that is stored and read again after so many batches."""
        car, said = Car(track), []
        for index, part in enumerate(in_parts(rows, 61)):
            if index % every == every - 1:
                car = again(car, track)
            car.take(part)
            said += [car_tick(0, car, index, car.tick()), car_report(0, "track", "car", car)]
        said.append(car_tick(0, car, 0, car.tick(final=True)))
        return msgspec.json.encode(said)

    def test_any_moment(self) -> None:
        """To the last byte, at all rates, without a lap distance, without a track, and with points late and double."""
        faults = Faults(shuffled_share=0.3, duplicate_share=0.1, lapdist_noise_m=0.5, unknown_lap_share=0.2)
        for settings in ({"rate_hz": 22}, {"real_rates": True, "faults": faults}, {"rate_hz": 3}):
            made = recording(150, track=SHORTWAY, **settings)
            rows = numbered(made.of(made.race.truth.chassis[0]).copy(), 1)
            for blind in (False, True):
                if blind:
                    rows["lapdist_m"] = np.nan
                for track in (SHORTWAY, None):
                    plain = self.told(rows, track, 10**6)
                    for every in (1, 7):
                        self.assertEqual(self.told(rows, track, every), plain)

    def test_other_sectors(self) -> None:
        """What was stored before the track file was changed goes on, with the sectors of now from the next line on."""
        times = np.arange(0, 110, 0.05)
        rows = hand_made(times, lapdist_m=(200 + 30 * times) % 1000, speed_kmh=108.0)
        car = Car(SHORT)
        car.take(rows)
        car.tick()
        other = again(car, SHORTWAY)
        later = np.arange(110, 140, 0.05)
        rows = hand_made(later, lapdist_m=(200 + 30 * later) % 1000, speed_kmh=108.0)
        other.take(rows[:1])
        other.tick()
        self.assertEqual(len(car_report(0, "track", "car", other).result["perSectorStress"]), 2)
        other.take(rows[1:])
        other.tick(final=True)
        self.assertEqual(len(car_report(0, "track", "car", other).result["perSectorStress"]), 3)
