"""What each formula is given of a car at a tick, and what must be remembered from tick to tick for that."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from msgspec import Struct

from pitwall.race.formulas import FORMULAS, Formula
from pitwall.race.lap import Lap
from pitwall.race.wording import Value, Values

#: Channels of a car that are looked at as stuck or flipped at most.
MOST_CHANNELS: Final = 32
#: What is silent for less has just been heard [s].
_SILENT_FROM_S: Final = 2.0
_DIRECTIONS: Final = ("degrading", "improving")
_NOTHING: Final[Mapping[str, Any]] = {}


class CarNow(Struct):
    """
    What a tick knows of one car.

    Attributes:
        chassis: which car.
        first_seq, last_seq: the points it rests on, from the first of the current lap to the newest.
        gap: as clients get it, with ``gapToAheadSeconds``, ``gapToBehindSeconds``, ``gapSigmaSeconds`` [s]
            and, where known, the chassis ``ahead`` and ``behind``.
        pace: ``loss_per_lap_s``, ``loss_low``, ``loss_high`` [s/lap], ``laps_until_loss``, ``laps_low``,
            ``laps_high``, ``laps`` [laps], ``consistency`` [0 to 100], ``trend``, and of the lap that is being
            driven ``forecast_s``, ``forecast_low_s``, ``forecast_high_s`` [s]; what is not known is None or left out.
        stress: ``lap``, of the last clean lap [g²·m], and ``index``, 100 for the median of the field.
        last_lap: the last that ended.
        best_lap_s, field_best_s: the car's and the field's fastest [s].
        stuck, flipped: channels that do not change, or have the wrong sign.
        clock: ``none``, ``running`` or ``stopped``.
        sessions: of the car's clock; one more for each time it was set.
        silent_s: since its last point, by the track's analysis time [s].
        points: this car's points from ``first_seq`` to ``last_seq``; None where nobody counted them.
    """

    chassis: str
    first_seq: int
    last_seq: int
    gap: dict[str, Any] | None = None
    pace: dict[str, Any] | None = None
    stress: dict[str, Any] | None = None
    last_lap: Lap | None = None
    best_lap_s: float | None = None
    field_best_s: float | None = None
    stuck: tuple[str, ...] = ()
    flipped: tuple[str, ...] = ()
    clock: str = "none"
    sessions: int = 0
    silent_s: float = 0.0
    points: int | None = None


class Finding(NamedTuple):
    """A formula with its inputs; ``subject`` tells apart what one formula finds of one car."""

    formula: Formula
    subject: str
    values: Values


class CarMemory:
    """
    What earlier ticks knew of a car.

    Attributes:
        foretold: what was foretold for the last lap that ended, and the most that was [s].
        lap_is_news: whether this tick tells anything of laps that the one before did not.
    """

    __slots__ = ("_forecast", "_lap", "_seen", "_sessions", "_set_ms", "foretold", "lap_is_news")

    def __init__(self) -> None:
        self.foretold: tuple[Value, Value] = (None, None)
        self.lap_is_news = True
        self._lap: int | None = None
        self._forecast: tuple[Value, Value] = (None, None)
        self._seen: tuple[Any, ...] = ()
        self._sessions: int | None = None
        self._set_ms: int | None = None

    def note(self, car: CarNow, at_ms: int) -> None:
        """Take a tick in, before its findings are asked for."""
        lap = None if car.last_lap is None else car.last_lap.number
        if lap != self._lap:
            # Only the lap that the forecast was made for is held against it.
            followed = self._lap is not None and lap == self._lap + 1
            self.foretold = self._forecast if followed else (None, None)
            self._lap = lap
        seen = (car.pace, car.stress, car.last_lap, car.best_lap_s, car.field_best_s)
        self.lap_is_news, self._seen = seen != self._seen, seen
        pace = car.pace or _NOTHING
        self._forecast = (pace.get("forecast_s"), pace.get("forecast_high_s"))
        if self._sessions and car.sessions > self._sessions:
            self._set_ms = at_ms
        self._sessions = car.sessions

    def since_set_s(self, at_ms: int) -> float | None:
        """How long ago the clock was set [s]; None if it was not while the car was watched."""
        return None if self._set_ms is None else max(at_ms - self._set_ms, 0) / 1000


def findings(car: CarNow, memory: CarMemory, at_ms: int, open_subjects: Iterable[str]) -> Iterator[Finding]:
    """
    Every formula that may have something new to say, in their order.

    What would say nothing is left out: it is a few microseconds a car then, not thirty.

    Args:
        car: what is known of it now.
        memory: of the same car, with this tick in it.
        at_ms: the tick [ms since 1970].
        open_subjects: what stands or is about to, so that it is looked at even where the tick does not speak of it.
    """
    open_now = frozenset(open_subjects)
    if memory.lap_is_news:
        yield from _of_laps(car, memory)
    yield from _fights("attack", "ahead", "overtakingOpportunity", car.gap or _NOTHING, open_now)
    yield from _fights("pressure", "behind", "underPressure", car.gap or _NOTHING, open_now)
    yield from _channels("stuck", car.stuck, open_now)
    yield from _channels("flipped", car.flipped, open_now)
    if car.clock == "stopped" or "clock:stopped" in open_now:
        yield _finding("anomaly.clock_stopped", "clock:stopped", {"clock": car.clock})
    since_set_s = memory.since_set_s(at_ms)
    if since_set_s is not None:
        figures = {"sessions": car.sessions, "since_set_s": since_set_s}
        yield _finding("anomaly.clock_set", "clock:set", figures)
    if car.silent_s >= _SILENT_FROM_S or "silent" in open_now:
        yield _finding("anomaly.silent", "silent", {"silent_s": car.silent_s})


def _of_laps(car: CarNow, memory: CarMemory) -> Iterator[Finding]:
    """What can only change with a lap that ends, of this car or of another one."""
    stress = car.stress or _NOTHING
    lap = car.last_lap
    figures: dict[str, Any] = {
        **(car.pace or _NOTHING),
        "stress_index": stress.get("index"),
        "stress_g2m": stress.get("lap"),
        "lap": None if lap is None else lap.number,
        "lap_time_s": lap.time_s if lap is not None and lap.clean else None,
        "best_lap_s": car.best_lap_s,
        "field_best_s": car.field_best_s,
    }
    yield _finding("tire_wear.loss", "loss", figures)
    yield _finding("tire_wear.stress", "stress", figures)
    yield _finding("strategy.stop", "stop", figures)
    yield _finding("performance.consistency", "consistency", figures)
    for direction in _DIRECTIONS:
        yield _finding("performance.trend", f"trend:{direction}", {**figures, "direction": direction})
    forecast_s, high_s = memory.foretold
    yield _finding("performance.slow", "slow", {**figures, "forecast_s": forecast_s, "forecast_high_s": high_s})
    yield _finding("performance.best", "best", figures)


def _finding(name: str, subject: str, figures: Mapping[str, Any]) -> Finding:
    formula = FORMULAS[name]
    return Finding(formula, subject, {each: _plain(figures.get(each)) for each in formula.units})


def _fights(kind: str, other: str, flag: str, gap: Mapping[str, Any], open_now: frozenset[str]) -> Iterator[Finding]:
    """The fight with the car that is next to it now, and the end of fights with cars that no longer are."""
    rival = gap.get(other)
    subject = f"{kind}:{rival}" if rival else kind
    if gap and (gap.get(flag) or subject in open_now):
        figures = {
            **gap,
            "gap_to_ahead_s": gap.get("gapToAheadSeconds"),
            "gap_to_behind_s": gap.get("gapToBehindSeconds"),
            "gap_sigma_s": gap.get("gapSigmaSeconds"),
        }
        yield _finding(f"gap_analysis.{kind}", subject, figures)
    for old in sorted(open_now):
        if (old == kind or old.startswith(f"{kind}:")) and not (gap and old == subject):
            figures = {"position": gap.get("position"), other: old.partition(":")[2] or None}
            yield _finding(f"gap_analysis.{kind}", old, figures)


def _channels(kind: str, found: tuple[str, ...], open_now: frozenset[str]) -> Iterator[Finding]:
    if not (found or open_now):
        return
    known = {subject.partition(":")[2] for subject in open_now if subject.startswith(f"{kind}:")}
    for channel in sorted(known | set(sorted(found)[:MOST_CHANNELS])):
        yield _finding(f"anomaly.{kind}", f"{kind}:{channel}", {"channel": channel, kind: channel in found})


def _plain(value: Any) -> Value:
    """A value as JSON can have it, and as it is judged: six places, None for what is no number."""
    if isinstance(value, float):
        return round(float(value), 6) if math.isfinite(value) else None
    return value if isinstance(value, int | str | bool) else None
