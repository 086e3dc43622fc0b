"""Cars as a tick knows them, for the tests of insights."""

from __future__ import annotations

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


_maybe = st.none() | st.floats(allow_nan=True, allow_infinity=True)
_seconds = st.none() | st.floats(0, 3)
_loss = st.none() | st.floats(-0.2, 0.5)
_channels = st.lists(st.sampled_from(["speed_kmh", "accx_can", "accy_can", "rpm"]), unique=True, max_size=3).map(tuple)
_rivals = st.sampled_from([None, "GR86-022-13", "GR86-033-46"])


@st.composite
def cars(draw: st.DrawFn, chassis: str) -> CarNow:
    """A car in any state that a tick may find it in, many of them at the edges of the levels."""
    loss = draw(_loss)
    pace = a_pace(
        loss,
        width=draw(st.floats(0, 0.1)),
        consistency=draw(st.none() | st.floats(95, 100)),
        trend=draw(st.sampled_from(["improving", "stable", "degrading"])),
        forecast_high_s=draw(_maybe | st.floats(95, 100)),
    )
    gap = a_gap(draw(_seconds), draw(_seconds), ahead=draw(_rivals), behind=draw(_rivals))
    lap = a_lap(draw(st.integers(1, 6)), draw(st.none() | st.floats(90, 110)), draw(st.sampled_from([(), ("in",)])))
    return a_car(
        chassis,
        gap=draw(st.none() | st.just(gap)),
        pace=draw(st.none() | st.just(pace)),
        stress=draw(st.none() | st.fixed_dictionaries({"lap": _maybe, "index": _maybe | st.floats(100, 150)})),
        last_lap=draw(st.none() | st.just(lap)),
        best_lap_s=draw(st.none() | st.sampled_from([97.0, 97.5])),
        stuck=draw(_channels),
        flipped=draw(_channels),
        clock=draw(st.sampled_from(["none", "running", "stopped"])),
        sessions=draw(st.integers(0, 3)),
        silent_s=draw(st.floats(0, 40) | _maybe.filter(lambda value: value is not None)),
        points=draw(st.none() | st.integers(0, 100)),
    )


#: Ticks one after the other: how long after the one before [ms], and the cars that are new in it.
TICKS = st.lists(
    st.tuples(
        st.integers(-1000, 8000),
        st.lists(st.sampled_from(["GR86-004-78", "GR86-022-13"]), unique=True).flatmap(
            lambda names: st.tuples(*map(cars, names))
        ),
    ),
    max_size=12,
)
