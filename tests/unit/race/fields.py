"""Made-up races as lap times, for tests of pace: seeded, with cautions and pit stops where they are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from pitwall.race.lap import Lap

#: When the races begin [s since 1970].
START_S = 1_750_000_000.0


def a_lap(number: int, time_s: float | None, start_s: float = START_S, marks: tuple[str, ...] = ()) -> Lap:
    """A lap of which only the time is of interest."""
    return Lap(number, start_s, time_s, (), (), (), marks=marks)


def in_order(cars: Mapping[str, list[Lap]]) -> list[tuple[str, Lap]]:
    """The laps of all cars in the order of their ends, ties by chassis."""
    told = [(chassis, lap) for chassis, laps in cars.items() for lap in laps]
    return sorted(told, key=lambda one: (one[1].end_s or one[1].start_s, one[0]))


def a_race(
    cars: int = 12,
    laps: int = 20,
    noise_s: float = 0.3,
    loss_s: Mapping[int, float] | None = None,
    cautions: Mapping[int, float] | None = None,
    stops: Mapping[int, int] | None = None,
    seed: int = 1,
) -> list[tuple[str, Lap]]:
    """
    A race of a field, in the order of the laps' ends.

    Args:
        cars: named car-00 and on, each a tenth slower than the one before, a second apart at the start.
        laps: of each.
        noise_s: standard deviation of a lap [s].
        loss_s: what some cars, by index, lose a lap [s].
        cautions: how much longer some laps, by number, take for all, as a factor.
        stops: the lap some cars, by index, end in the pits; the next begins there.
        seed: of the noise.
    """
    random = Random(seed)
    made: dict[str, list[Lap]] = {}
    for car in range(cars):
        at_s, age, stop = START_S + car, 0, (stops or {}).get(car)
        of_car = made[f"car-{car:02}"] = []
        for number in range(1, laps + 1):
            if stop is not None and number == stop + 1:
                age = 0
            time_s = 100 + 0.1 * car + (loss_s or {}).get(car, 0.0) * age + random.gauss(0, noise_s)
            age += 1
            time_s += 4 if number == 1 else 0
            time_s += 15 if stop is not None and number in (stop, stop + 1) else 0
            time_s *= (cautions or {}).get(number, 1.0)
            there = {"first": number == 1, "out": number == (stop or -9) + 1, "in": number == stop}
            of_car.append(a_lap(number, time_s, at_s, tuple(mark for mark, is_there in there.items() if is_there)))
            at_s += time_s
    return in_order(made)
