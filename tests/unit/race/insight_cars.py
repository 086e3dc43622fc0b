"""Cars as a tick knows them, for the tests of insights."""

from __future__ import annotations

import math
import random
from typing import Any

from hypothesis import strategies as st

from pitwall.race.insights import CarNow
from pitwall.race.lap import Lap

#: 2025-09-06T18:41:40Z, and what ticks are apart [ms since 1970, ms].
START_MS = 1_757_184_100_000
TICK_MS = 600


def a_lap(number: int, time_s: float | None = 98.0, marks: tuple[str, ...] = ()) -> Lap:
    """A lap of three sectors."""
    part = None if time_s is None else time_s / 3
    return Lap(number, 1_757_184_000.0, time_s, (part,) * 3, (None,) * 25, (600.0, 600.0, 600.0), marks=marks)


def a_pace(loss: float | None = 0.0, width: float = 0.01, **figures: Any) -> dict[str, Any]:
    """A pace that is lost at this rate [s/lap], known within ``width`` to both sides."""
    laps = 99.0 if loss is None or loss <= 0 else min(0.5 / loss, 99.0)
    return {
        "loss_per_lap_s": loss,
        "loss_low": None if loss is None else loss - width,
        "loss_high": None if loss is None else loss + width,
        "laps_until_loss": laps,
        "laps_low": laps / 2,
        "laps_high": min(laps * 2, 99.0),
        "laps": 8,
        "consistency": 99.5,
        "trend": "stable",
        "level_s": 98.0,
        "forecast_s": 98.1,
        "forecast_low_s": 97.6,
        "forecast_high_s": 98.6,
        **figures,
    }


def a_gap(ahead_s: float | None = 5.0, behind_s: float | None = 5.0, **fields: Any) -> dict[str, Any]:
    """The gap of the second car; who is within a second attacks."""
    return {
        "position": 2,
        "gapToAheadSeconds": ahead_s,
        "gapToBehindSeconds": behind_s,
        "gapToLeaderSeconds": ahead_s,
        "lapsDown": 0,
        "gapSigmaSeconds": 0.05,
        "overtakingOpportunity": ahead_s is not None and ahead_s < 1,
        "underPressure": behind_s is not None and behind_s < 1,
        "ahead": "GR86-022-13",
        "behind": "GR86-033-46",
        **fields,
    }


def a_car(chassis: str = "GR86-004-78", **fields: Any) -> CarNow:
    """A car of which there is nothing to say, but for these fields."""
    healthy: dict[str, Any] = {
        "gap": a_gap(),
        "pace": a_pace(),
        "stress": {"lap": 1800.0, "index": 100.0},
        "last_lap": a_lap(7),
        "best_lap_s": 97.5,
        "field_best_s": 97.0,
        "clock": "running",
        "sessions": 1,
        "points": 60,
    }
    return CarNow(chassis, **{"first_seq": 101, "last_seq": 1300, **healthy, **fields})


#: Figures near every level, far from all of them, not known, and none at all.
_LOSSES = (None, -0.2, 0.0, 0.03, 0.05, 0.07, 0.1, 0.13, 0.2, 0.28, 0.5, math.nan)
_INDEXES = (None, 100.0, 112.0, 116.0, 122.0, 126.0, 135.0, 150.0, math.inf)
_EVENNESS = (None, 96.0, 97.2, 98.0, 98.6, 99.5)
_GAPS_S = (None, 0.2, 0.9, 1.1, 1.4, 3.0)
_SILENT_S = (0.0, 1.0, 3.0, 6.0, 40.0, math.nan)
_CHANNELS = ("speed_kmh", "accx_can", "rpm")
_RIVALS = (None, "GR86-022-13", "GR86-033-46")


def a_race(seed: int) -> list[tuple[int, tuple[CarNow, ...]]]:
    """Eighty ticks of two cars in which figures jump about: how long after the one before [ms], and the cars in it."""
    dice = random.Random(seed)
    state = {chassis: _any_fields(dice, 1) for chassis in ("GR86-004-78", "GR86-022-13")}
    ticks = []
    for number in range(80):
        for chassis, fields in state.items():
            fresh = _any_fields(dice, 1 + number // 8)
            fields.update({name: fresh[name] for name in fresh if dice.random() < 0.3})
            if dice.random() < 0.02:
                state[chassis] = fresh
        cars = [a_car(chassis, **fields) for chassis, fields in state.items() if dice.random() < 0.8]
        ticks.append((dice.choice((-1000, 0, 600, 600, 600, 2500, 8000)), tuple(cars)))
    return ticks


def _any_fields(dice: random.Random, lap: int) -> dict[str, Any]:
    pace = a_pace(
        dice.choice(_LOSSES),
        width=dice.choice((0.01, 0.06)),
        consistency=dice.choice(_EVENNESS),
        trend=dice.choice(("improving", "stable", "degrading", None)),
        forecast_high_s=dice.choice((None, 97.0, 98.0, 99.0)),
    )
    gap = a_gap(dice.choice(_GAPS_S), dice.choice(_GAPS_S), ahead=dice.choice(_RIVALS), behind=dice.choice(_RIVALS))
    last_lap = a_lap(lap, dice.choice((None, 97.5, 98.5, 99.5, 104.0)), dice.choice(((), (), ("in",))))
    return {
        "gap": dice.choice((None, gap, gap, gap)),
        "pace": dice.choice((None, pace, pace, pace)),
        "stress": dice.choice((None, {"lap": 1800.0, "index": dice.choice(_INDEXES)})),
        "last_lap": dice.choice((None, last_lap, last_lap, last_lap)),
        "best_lap_s": dice.choice((None, 97.0, 97.5)),
        "stuck": tuple(dice.sample(_CHANNELS, dice.choice((0, 0, 1, 2)))),
        "flipped": tuple(dice.sample(_CHANNELS, dice.choice((0, 0, 1)))),
        "clock": dice.choice(("none", "running", "stopped")),
        "sessions": dice.choice((0, 1, 1, 2)),
        "silent_s": dice.choice(_SILENT_S),
        "points": dice.choice((None, 60)),
    }


#: Any such race.
RACES = st.integers(0, 2**32).map(a_race)
