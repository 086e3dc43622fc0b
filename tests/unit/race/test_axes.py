"""Whether a car's sensors are to be believed: signs, offsets and stuck channels, against the simulator's truth."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.axes import Axes
from pitwall.race.stuck import WATCHED
from pitwall.sim import Faults, Race, RaceConfig
from tests.unit.race.recordings import START_S, hand_made, rows_of

BOTH = ("accx_can", "accy_can")


def field_rows(race: Race, seconds: float) -> list[NDArray[np.void]]:
    """The rows of each car, from pole on."""
    rows, numbers = rows_of(race.points(0, seconds))
    return [rows[rows["car"] == numbers[chassis]] for chassis in race.truth.chassis]


def one_car(seconds: float = 60.0, **config: Any) -> NDArray[np.void]:
    """The rows of one car, from lights out."""
    return field_rows(Race(RaceConfig(cars=1, **config)), seconds)[0]


def watched(rows: NDArray[np.void], length_m: float = 3674.7, cut: int = 14) -> Axes:
    """The axes after these rows."""
    axes = Axes()
    for start in range(0, len(rows), cut):
        axes.add(rows[start : start + cut], length_m)
    return axes


class SignTests(SynchronousTestCase):
    """Accelerometers that are the wrong way round."""

    def test_found_within_a_minute(self) -> None:
        """A flipped car is found within 60 s, at 22 Hz as at the loggers' real rates, and no other."""
        for track in ("barber", "cota"):
            for real_rates in (False, True):
                faults = Faults(flipped_cars=(1,), acceleration_offset_g=0.05)
                race = Race(RaceConfig(track=track, cars=4, seed=3, real_rates=real_rates, faults=faults))
                found = [watched(rows).flipped for rows in field_rows(race, 60)]
                self.assertEqual(found, [(), BOTH, (), ()])

    def test_no_false_alarm(self) -> None:
        """No car of a clean field is ever found fault with."""
        race = Race(RaceConfig(cars=8, seed=5, real_rates=True, faults=Faults(acceleration_offset_g=0.1)))
        for rows in field_rows(race, 100):
            axes = Axes()
            for start in range(0, len(rows), 14):
                axes.add(rows[start : start + 14])
                self.assertEqual((axes.flipped, axes.stuck), ((), ()))

    def test_each_by_itself(self) -> None:
        """One axis may be flipped alone."""
        for name in BOTH:
            rows = one_car()
            rows[name] *= -1
            self.assertEqual(watched(rows).flipped, (name,))

    def test_slow_senders(self) -> None:
        """A car that sends once or twice a second is judged as well, if not as soon."""
        for rate_hz in (1.0, 2.5):
            self.assertEqual(watched(one_car(100, rate_hz=rate_hz)).flipped, ())
            rows = one_car(100, rate_hz=rate_hz, faults=Faults(flipped_cars=(0,)))
            self.assertEqual(watched(rows).flipped, BOTH)

    def test_withdrawn(self) -> None:
        """A verdict is withdrawn some minutes after the logger was put right, and not at the first doubt."""
        rows = one_car(360, rate_hz=10.0)
        begun_s = rows["time_s"][0]
        wrong = rows["time_s"] < begun_s + 90
        for name in BOTH:
            rows[name][wrong] *= -1
        self.assertEqual(watched(rows[rows["time_s"] < begun_s + 100]).flipped, BOTH)
        self.assertEqual(watched(rows).flipped, ())

    def test_standing_and_slow(self) -> None:
        """A car that stands, or rolls through the pits, tells nothing."""
        times = np.arange(0, 120, 0.05)
        shaken = 0.3 * np.sin(times)
        for speed_kmh in (np.zeros(times.size), 20 + 5 * np.sin(times)):
            rows = hand_made(
                times, speed_kmh=speed_kmh, accx_can=-shaken, accy_can=-shaken, Steering_Angle=100 * np.sin(times)
            )
            axes = watched(rows)
            self.assertEqual((axes.flipped, axes.stuck), ((), ()))
            self.assertEqual(axes.evidence()["accx_can"]["seconds"], 0)

    def test_constant_speed(self) -> None:
        """A car that does nothing for minutes tells nothing, whatever its sensors' noise looks like."""
        times = np.arange(0, 120, 0.05)
        noise = 0.03 * np.sin(97 * times)
        rows = hand_made(times, speed_kmh=100 + noise, accx_can=-noise, accy_can=-noise, Steering_Angle=noise)
        self.assertEqual(watched(rows).flipped, ())


class OffsetTests(SynchronousTestCase):
    """What an accelerometer shows where it should show nothing."""

    def test_estimated(self) -> None:
        """Offsets of a tenth of a g are known within 0.02 g after a lap and a half, flipped or not."""
        for real_rates in (False, True):
            faults = Faults(flipped_cars=(1,), acceleration_offset_g=0.07)
            race = Race(RaceConfig(cars=4, seed=4, real_rates=real_rates, faults=faults))
            for car, rows in enumerate(field_rows(race, 170)):
                axes = watched(rows)
                self.assertLess(abs(axes.offset_x_g - race.recorder.offset_x_g[car]), 0.02)
                self.assertLess(abs(axes.offset_y_g - race.recorder.offset_y_g[car]), 0.02)

    def test_steering_off_centre(self) -> None:
        """A steering wheel whose zero is off by 15 degrees makes no offset of the accelerometer."""
        rows = one_car(130, rate_hz=10.0)
        rows["Steering_Angle"] += 15
        axes = watched(rows)
        self.assertLess(abs(axes.offset_y_g), 0.01)
        self.assertEqual(axes.flipped, ())

    def test_before_and_bounds(self) -> None:
        """Nothing is said too early, nor across a track of unknown length, and never more than 0.3 g."""
        rows = one_car(130, rate_hz=10.0)
        self.assertEqual(watched(rows[:200]).offset_x_g, 0)
        self.assertEqual(watched(rows, float("nan")).offset_y_g, 0)
        rows["accx_can"] += 1
        self.assertEqual(watched(rows).offset_x_g, 0.3)

    def test_standing(self) -> None:
        """A car that has stood shows the offset of both axes."""
        times = np.arange(0, 400, 0.1)
        still = hand_made(times, speed_kmh=np.zeros(times.size), accx_can=0.1 + 0 * times, accy_can=-0.05 + 0 * times)
        axes = watched(still)
        self.assertAlmostEqual(axes.offset_x_g, 0.1, places=6)
        self.assertAlmostEqual(axes.offset_y_g, -0.05, places=6)
        self.assertEqual(axes.stuck, ())


class StuckTests(SynchronousTestCase):
    """Channels that repeat one value while the car drives."""

    def test_each(self) -> None:
        """Each watched channel is found while it is stuck, alone, and forgiven when it moves again."""
        for real_rates in (False, True):
            whole = one_car(100, real_rates=real_rates)
            for name in WATCHED:
                rows = whole.copy()
                times = rows["time_s"] - START_S
                frozen = (times > 40) & (times < 75) & np.isfinite(rows[name])
                rows[name][frozen] = rows[name][frozen][0]
                self.assertEqual(watched(rows[times < 74]).stuck, (name,))
                self.assertEqual(watched(rows).stuck, ())

    def test_speed_dead(self) -> None:
        """A speed that is 0 while the car laps is stuck, with a lap distance and without."""
        for sent in (True, False):
            rows = one_car(60)
            rows["speed_kmh"][200:] = 0
            if not sent:
                rows["lapdist_m"] = np.nan
            self.assertEqual(watched(rows).stuck, ("speed_kmh",))

    def test_rightly_constant(self) -> None:
        """Coarse channels, a steady speed on a straight, and a car that stands are not stuck."""
        rows = one_car(100)
        for name, step in (("accx_can", 0.1), ("accy_can", 0.1), ("Steering_Angle", 10), ("lapdist_m", 10)):
            rows[name] = np.round(rows[name] / step) * step
        rows["rpm"] = np.round(rows["rpm"] / 250) * 250
        rows["speed_kmh"] = np.round(rows["speed_kmh"])
        axes = Axes()
        for start in range(0, len(rows), 14):
            axes.add(rows[start : start + 14])
            self.assertEqual(axes.stuck, ())
        times = np.arange(0, 60, 0.05)
        still = 0 * times
        steady = {"accx_can": still, "accy_can": still, "Steering_Angle": still}
        for speed_kmh in (0, 60):
            moved = times * speed_kmh / 3.6
            rows = hand_made(times, speed_kmh=still + speed_kmh, rpm=still + 3000, lapdist_m=moved, **steady)
            self.assertEqual(watched(rows).stuck, ())

    def test_hole(self) -> None:
        """Minutes in which nothing came are no minutes in which a channel repeated itself."""
        rows = one_car(60, rate_hz=10.0)
        cut = np.concatenate((rows[:300], rows[400:]))
        cut["accx_can"][290:315] = 0.1
        self.assertEqual(watched(cut[:315]).stuck, ())


class StateTests(SynchronousTestCase):
    """What is remembered."""

    def test_any_cut(self) -> None:
        """However the rows are cut into calls, everything remembered is the same, bit by bit."""
        faults = Faults(flipped_cars=(0,), acceleration_offset_g=0.1, missing_lapdist_share=0.2)
        rows = one_car(120, real_rates=True, faults=faults)
        rows["accy_can"][1500:2000] = 0.25
        whole = msgspec.msgpack.encode(watched(rows, cut=len(rows)))
        for cut in (1, 7, 14, 1000):
            self.assertEqual(msgspec.msgpack.encode(watched(rows, cut=cut)), whole)

    def test_stored(self) -> None:
        """It survives being stored half-way, in less than 1.5 kB."""
        rows = one_car(100, rate_hz=10.0, faults=Faults(flipped_cars=(0,)))
        first = msgspec.msgpack.encode(watched(rows[:600]))
        self.assertLess(len(first), 1500)
        axes = msgspec.msgpack.decode(first, type=Axes)
        axes.add(rows[600:], 3674.7)
        self.assertEqual(msgspec.msgpack.encode(axes), msgspec.msgpack.encode(watched(rows)))

    def test_evidence(self) -> None:
        """The evidence is plain JSON: correlation, seconds, spread and offset of each axis."""
        evidence = json.loads(json.dumps(watched(one_car(60)).evidence(), allow_nan=False))
        self.assertEqual(tuple(evidence), BOTH)
        for found in evidence.values():
            self.assertGreater(found["correlation"], 0.9)
            self.assertGreater(found["seconds"], 30)

    def test_clock_put_back(self) -> None:
        """A car whose clock is put back by hours goes on being watched."""
        rows = one_car(120, rate_hz=10.0, faults=Faults(flipped_cars=(0,)))
        rows["time_s"][200:] -= 7200
        self.assertEqual(watched(rows).flipped, BOTH)

    def test_nothing(self) -> None:
        """No rows, and rows without any channel, change nothing that is said."""
        axes = Axes()
        axes.add(hand_made([]))
        axes.add(hand_made(np.arange(0, 10, 0.1)))
        self.assertEqual((axes.flipped, axes.stuck, axes.offset_x_g, axes.offset_y_g), ((), (), 0, 0))
