"""The scoreboard: every forecast against the lap it was of, the baselines beside it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pitwall.race.forecast import BASELINES, METHODS, Forecast

#: Scored forecasts that are told one by one.
LATEST_SCORED: Final = 100
PUBLISHED: Final = "published"


class Scored(NamedTuple):
    """A forecast and what became of it: times and interval [s], by what method, and what each method had said [s]."""

    chassis: str
    lap: int
    time_s: float
    forecast_s: float
    low_s: float
    high_s: float
    method: str
    parts_s: dict[str, float]


@dataclass(slots=True)
class Tally:
    """
    Sums over scored forecasts.

    Attributes:
        scored: how many there were.
        discarded: how many were of a lap that was not clean, or never came.
        inside: how many laps were inside the interval.
        wrong_s: what ``PUBLISHED`` and each of ``METHODS`` were wrong by together [s].
    """

    scored: int = 0
    discarded: int = 0
    inside: int = 0
    wrong_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys((PUBLISHED, *METHODS), 0.0))

    def add(self, forecast: Forecast, time_s: float) -> None:
        """A clean lap took ``time_s``."""
        self.scored += 1
        self.inside += forecast.low_s <= time_s <= forecast.high_s
        self.wrong_s[PUBLISHED] += abs(forecast.time_s - time_s)
        for name, part_s in forecast.parts_s.items():
            self.wrong_s[name] += abs(part_s - time_s)

    def told(self) -> dict[str, Any]:
        """For JSON; what needs a scored forecast is None without one."""
        if not self.scored:
            return {"n": 0, "discarded": self.discarded, "mae_s": None, "skill": None, "coverage90": None}
        mae_s = {name: total_s / self.scored for name, total_s in self.wrong_s.items()}
        return {
            "n": self.scored,
            "discarded": self.discarded,
            "mae_s": {name: round(error_s, 4) for name, error_s in mae_s.items()},
            "best_baseline": min(BASELINES, key=mae_s.__getitem__),
            "skill": _rounded(skill(mae_s)),
            "coverage90": round(self.inside / self.scored, 4),
        }


def skill(mae_s: dict[str, float]) -> float | None:
    """
    1 − MAE of what is published / MAE of the best baseline, picked in hindsight; None where that one was never wrong.

    Args:
        mae_s: by ``PUBLISHED`` and each of ``BASELINES`` [s].
    """
    best_s = min(mae_s[name] for name in BASELINES)
    return 1 - mae_s[PUBLISHED] / best_s if best_s > 0 else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


class Scoreboard:
    """What the forecasts on a track were worth: of all cars, of each, and the latest one by one."""

    def __init__(self) -> None:
        self._all = Tally()
        self._cars: dict[str, Tally] = {}
        self._latest: deque[Scored] = deque(maxlen=LATEST_SCORED)

    def add(self, chassis: str, forecast: Forecast, time_s: float) -> None:
        """The lap of a forecast ended, was clean, and took ``time_s``."""
        for tally in (self._all, self._cars.setdefault(chassis, Tally())):
            tally.add(forecast, time_s)
        self._latest.append(
            Scored(
                chassis,
                forecast.lap,
                time_s,
                forecast.time_s,
                forecast.low_s,
                forecast.high_s,
                forecast.method,
                forecast.parts_s,
            )
        )

    def discard(self, chassis: str) -> None:
        """The lap of a forecast was not clean, or did not come."""
        self._all.discarded += 1
        self._cars.setdefault(chassis, Tally()).discarded += 1

    def forget(self, chassis: str) -> None:
        """Tell no more of a car; its part in the sums of all stays."""
        self._cars.pop(chassis, None)

    def told(self) -> dict[str, Any]:
        """For JSON: n, MAE [s], skill, coverage; ``cars`` by chassis, ``latest`` oldest first."""
        return {
            **self._all.told(),
            "cars": {chassis: tally.told() for chassis, tally in sorted(self._cars.items())},
            "latest": [_told(scored) for scored in self._latest],
        }


def _told(scored: Scored) -> dict[str, Any]:
    numbers = {name: round(getattr(scored, name), 3) for name in ("time_s", "forecast_s", "low_s", "high_s")}
    return {
        "chassis": scored.chassis,
        "lap": scored.lap,
        **numbers,
        "method": scored.method,
        "parts_s": {name: round(part_s, 3) for name, part_s in scored.parts_s.items()},
    }
