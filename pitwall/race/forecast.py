"""
The time of the next lap: a model, three baselines, and the combination of them by how wrong each was lately.

The model is an average of the car's last clean laps with weights that fall from lap to
lap, the steady state of a Kalman filter for a level that wanders. Two things are added.
Laps far from the others (a mistake, traffic) are pulled in before they are averaged. And
a lap soon after a slow one is known to be slow, on cold tires in a closed field: laps are
brought to the age that the next one will have before they are averaged. How fast weights
should fall, and what a cold lap loses, differs from race to race, so the model has a
member for each of some values, and weighs them as the methods are weighed.

Whatever is used here ended before the forecast is made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from math import log
from statistics import median
from typing import Final, NamedTuple

MODEL: Final = "model"
#: What a forecast must be better than: the last clean lap, the median of the last three, and the car's
#: own median distance from the field together with the field's latest lap.
BASELINES: Final = ("last_lap", "median_of_3", "field_relative")
METHODS: Final = (MODEL, *BASELINES)
#: What ``method`` says when no single one has the say.
COMBINATION: Final = "combination"
#: The weight from which on a single method has the say.
SAY: Final = 0.95
#: The interval is to hold 90 % of the laps. It aims a little higher, for errors grow when something happens
#: that the last ones do not know of.
AIMED_COVERAGE: Final = 0.91


class Settings(NamedTuple):
    """
    What the forecast is tuned by; chosen on seven official races, see ``benchmarks/forecast.py``.

    Attributes:
        memories: the factors by which the weight of a lap falls from one to the next.
        warm_shares: what the first lap after a slow one may lose, as shares of its time.
        warm_decay: what is left of that a lap later.
        pull_share: how far from the others' median a lap may be, as a share of its time.
        power: a method's weight is its mean recent error to minus this.
        keep: what is left of an error's weight when the next one comes, in the whole field.
        window: errors that the interval comes from.
    """

    memories: tuple[float, ...] = (0.4, 0.6, 0.9)
    warm_shares: tuple[float, ...] = (0.003, 0.006, 0.009, 0.012)
    warm_decay: float = 0.3
    pull_share: float = 0.005
    power: float = 16.0
    keep: float = 0.99
    window: int = 150


DEFAULT: Final = Settings()
#: Laps that the model looks back.
MODEL_LAPS: Final = 16


class AgedLap(NamedTuple):
    """A clean lap's time [s], and its age: 1 for the first after a slow lap or a pit stop."""

    time_s: float
    age: int


class Forecast(NamedTuple):
    """
    What is expected of a car's next lap.

    Attributes:
        lap: its number.
        time_s: the lap time, if the lap is clean [s].
        low_s, high_s: where it lies with 90 % [s].
        method: ``COMBINATION``, or the one method that has at least ``SAY`` of the weight.
        weights: of each of ``METHODS``, together 1; 0 for one that has no say.
        parts_s: what each of them expects [s].
        memories_s: what each of the model's members expects [s].
    """

    lap: int
    time_s: float
    low_s: float
    high_s: float
    method: str
    weights: dict[str, float]
    parts_s: dict[str, float]
    memories_s: dict[str, float]


class Weights:
    """
    How much say each of some methods has: the less the more wrong it was lately.

    Errors are those of the whole field, as they come; old ones fade. Before there are
    any, each method has its handicap for one.

    Args:
        handicaps: the methods, and what error each begins with, relative to one another.
        power: see ``Settings``.
        keep: see ``Settings``.
    """

    #: An error counts as at most so much of a lap time: one spin should not decide.
    MOST_SHARE: Final = 0.016
    #: What the handicaps are a share of, and how many errors they weigh as much as.
    USUAL_SHARE: Final = 0.004
    PRIOR_ERRORS: Final = 15.0
    #: A weight below this is 0.
    LEAST: Final = 0.02

    def __init__(self, handicaps: Mapping[str, float], power: float, keep: float) -> None:
        self._power = power
        self._keep = keep
        self._count = self.PRIOR_ERRORS
        self._sums = {name: handicap * self.USUAL_SHARE * self._count for name, handicap in handicaps.items()}

    def learn(self, forecasts_s: Mapping[str, float], time_s: float) -> None:
        """A lap took ``time_s``; this is what each method had expected of it."""
        self._count = self._count * self._keep + 1
        for name, forecast_s in forecasts_s.items():
            share = min(abs(forecast_s - time_s) / time_s, self.MOST_SHARE)
            self._sums[name] = self._sums[name] * self._keep + share

    def now(self) -> dict[str, float]:
        """The weight of each method now; together 1."""
        # Never 0, so that a method without a fault does not divide by it.
        errors = {name: max(total / self._count, 1e-6) for name, total in self._sums.items()}
        best = min(errors.values())
        raw = {name: (best / error) ** self._power for name, error in errors.items()}
        least = self.LEAST * sum(raw.values())
        said = {name: weight if weight >= least else 0.0 for name, weight in raw.items()}
        total = sum(said.values())
        return {name: weight / total for name, weight in said.items()}


class Interval:
    """
    Between what quantiles of its errors the next forecast will be wrong, in the whole field.

    Args:
        window: the latest errors it looks at.
    """

    #: Errors are taken relative to the spread that is usual at the lap's age: the first laps of a run are
    #: harder to foretell.
    YOUNG: Final = (1.5, 1.5, 1.3, 1.2)
    #: Before any error: those of a Laplace distribution of this scale, as a share of the lap time.
    PRIOR_SHARE: Final = 0.008
    PRIOR_ERRORS: Final = 30

    def __init__(self, window: int) -> None:
        half = self.PRIOR_ERRORS // 2
        self._prior = [-self.PRIOR_SHARE * log(1 - (index + 0.5) / half) for index in range(half)]
        self._shares: deque[float] = deque(maxlen=window)

    def _spread(self, age: int) -> float:
        return self.YOUNG[age - 1] if age <= len(self.YOUNG) else 1.0

    def learn(self, forecast_s: float, time_s: float, age: int) -> None:
        """A lap of that age took ``time_s``, and ``forecast_s`` was expected."""
        self._shares.append((time_s - forecast_s) / forecast_s / self._spread(age))

    def around(self, forecast_s: float, age: int) -> tuple[float, float]:
        """From where to where the lap is expected with 90 % [s]."""
        # The prior gives way to real errors: all of it, then every second, every third…
        step = 1 + 2 * len(self._shares) // self.PRIOR_ERRORS
        prior = self._prior[step // 2 :: step]
        shares = sorted([*self._shares, *prior, *(-share for share in prior)])
        tail = (1 - AIMED_COVERAGE) / 2 * len(shares)
        low, high = _between(shares, tail - 0.5), _between(shares, len(shares) - tail - 0.5)
        spread_s = forecast_s * self._spread(age)
        return forecast_s + min(low, 0.0) * spread_s, forecast_s + max(high, 0.0) * spread_s


def _between(values: Sequence[float], at: float) -> float:
    """The value at a place between two, straight from one to the other."""
    place = min(max(at, 0.0), len(values) - 1.0)
    index = min(int(place), len(values) - 2) if len(values) > 1 else 0
    after = values[min(index + 1, len(values) - 1)]
    return values[index] + (place - index) * (after - values[index])


def baselines(times_s: Sequence[float], to_field_s: Sequence[float], field_s: float) -> dict[str, float]:
    """
    What the baselines expect [s].

    Args:
        times_s: the car's clean laps, oldest first, one at least [s].
        to_field_s: how far each was from the field's median about its end [s].
        field_s: the field's latest lap, the median of the cars' last clean ones [s].
    """
    return {
        "last_lap": times_s[-1],
        "median_of_3": median(times_s[-3:]),
        "field_relative": median(to_field_s) + field_s,
    }


class Memory(NamedTuple):
    """One of the model's members: a factor of ``Settings.memories``, and one of ``Settings.warm_shares``."""

    factor: float
    warm_share: float

    @property
    def name(self) -> str:
        """What its weight is kept under."""
        return f"{self.factor:g}/{self.warm_share:g}"


def members(settings: Settings) -> tuple[Memory, ...]:
    """The members of the model."""
    return tuple(Memory(factor, share) for factor in settings.memories for share in settings.warm_shares)


def model(laps: Sequence[AgedLap], next_age: int, memory: Memory, settings: Settings = DEFAULT) -> float:
    """
    What one member of the model expects [s].

    Args:
        laps: clean laps, oldest first, one at least.
        next_age: the age of the lap to come.
        memory: the member.
        settings: the others.
    """
    laps = laps[-MODEL_LAPS:]
    usual_s = laps[-1].time_s

    def cold_s(age: int) -> float:
        return memory.warm_share * usual_s * settings.warm_decay ** (age - 1)

    times_s = [lap.time_s - cold_s(lap.age) + cold_s(next_age) for lap in laps]
    weights = [memory.factor**back for back in range(len(laps) - 1, -1, -1)]
    middle_s = weighted_median(times_s, weights)
    most_s = settings.pull_share * usual_s
    pulled_s = [min(max(time_s, middle_s - most_s), middle_s + most_s) for time_s in times_s]
    return sum(time_s * weight for time_s, weight in zip(pulled_s, weights, strict=True)) / sum(weights)


def weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """The value that half the weight lies below, straight between two neighbours."""
    ordered = sorted(zip(values, weights, strict=True))
    half = sum(weights) / 2
    below, before = 0.0, ordered[0]
    for number, (value, weight) in enumerate(ordered):
        middle = below + weight / 2
        if middle >= half:
            if not number:
                return value
            last = below - before[1] / 2
            return before[0] + (half - last) / (middle - last) * (value - before[0])
        below, before = below + weight, (value, weight)
    return ordered[-1][0]
