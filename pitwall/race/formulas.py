"""
The formulas behind insights: figures in, a severity and a sentence out.

A formula is a pure function of its inputs and of the severity that stands; that is
its hysteresis. Each severity has a level from which it is raised and a weaker one
until which it stays, so that a figure on the edge does not flicker::

    raised at 0.15 ───────╱─╲──────────────    severity    none  high  high  none
    stays to  0.12 ──────╱───╲─╱─╲─────────

Where figures jump (the gap from tick to tick) a change must also have lasted before it
counts. ``decide`` has both, and so everything that an insight rests on: given the same
inputs again it says the same again. ``docs/insights.md`` has the table of all this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from pitwall.race import wording
from pitwall.race.wording import Value, Values

#: The severities, the mildest first.
SEVERITIES: Final = ("low", "medium", "high", "critical")
#: The types of insights.
TYPES: Final = ("tire_wear", "performance", "gap_analysis", "anomaly", "strategy")

#: Pace is said to go away only where the lower end of its interval is above this [s/lap] …
SURE_LOSS: Final = 0.0
#: … and said no more where it is below this [s/lap].
UNSURE_LOSS: Final = -0.05
#: A fight goes on while the gap is within this, whoever is faster [s].
FIGHT_S: Final = 1.3
#: A clock that was set is said for so long [s].
CLOCK_SET_S: Final = 60.0
#: The fastest lap is spoken of from this lap on: before, every lap is one [laps].
BEST_FROM_LAP: Final = 3
#: Without these channels laps and gaps are wrong.
_VITAL: Final = frozenset({"speed_kmh", "lapdist_m", "lap"})


def rank(severity: str | None) -> int:
    """From 0 for no severity to 4 for critical."""
    return 0 if severity is None else SEVERITIES.index(severity) + 1


class Step(NamedTuple):
    """A severity, the level it is raised at and the one until which it stays, both included."""

    severity: str
    raised_at: float
    stays_to: float


class Ladder(NamedTuple):
    """
    The severities of a figure.

    Attributes:
        steps: the worst first.
        sinking: whether lower is worse.
    """

    steps: tuple[Step, ...]
    sinking: bool = False

    def severity(self, value: Value, standing: str | None) -> str | None:
        """The severity of a figure where ``standing`` is the one so far; None for one that is not known."""
        if value is None or isinstance(value, str):
            return None
        sign = -1 if self.sinking else 1
        for step in self.steps:
            level = step.stays_to if rank(standing) >= rank(step.severity) else step.raised_at
            if sign * value >= sign * level:
                return step.severity
        return None


class Dwell(NamedTuple):
    """How long a change must have lasted before it counts: seconds, and laps ended since."""

    seconds: float = 0.0
    laps: int = 0


class Formula(NamedTuple):
    """
    How an insight is come by.

    Attributes:
        name: its type, a dot, and what it looks at.
        units: the inputs in the order they are shown, with the unit of each; empty for none.
        judge: the severity by the inputs and the severity so far; None for nothing to say.
        tell: the message by the inputs and the severity; None for one that is over.
        ladder: of the first input where there is one; in ``performance.slow``, of how far the first is over the second.
        rising: before it is raised or gets worse.
        sinking: before it gets milder or is cleared.
        wire: the names that inputs have always had in an insight's ``data``.
    """

    name: str
    units: Mapping[str, str]
    judge: Callable[[Values, str | None], str | None]
    tell: Callable[[Values, str | None], str]
    ladder: Ladder | None = None
    rising: Dwell = Dwell()
    sinking: Dwell = Dwell()
    wire: Mapping[str, str] = MappingProxyType({})

    @property
    def type(self) -> str:
        """One of ``TYPES``."""
        return self.name.partition(".")[0]


def decide(formula: Formula, values: Values, standing: str | None, lasted_s: float, lasted_laps: int) -> str | None:
    """
    The severity from now on, None for none.

    Args:
        formula: the formula.
        values: its inputs, by the names in ``formula.units``.
        standing: the severity until now.
        lasted_s: for how long the formula has wanted it worse, or milder, without a break [s].
        lasted_laps: how many laps the car has ended meanwhile.
    """
    wanted = formula.judge(values, standing)
    if wanted == standing:
        return standing
    dwell = formula.rising if rank(wanted) > rank(standing) else formula.sinking
    return wanted if lasted_s >= dwell.seconds and lasted_laps >= dwell.laps else standing


def _sure(values: Values, standing: str | None) -> bool:
    low = values["loss_low"]
    return isinstance(low, int | float) and (low > SURE_LOSS or (standing is not None and low >= UNSURE_LOSS))


_WEAR = Ladder(
    (Step("critical", 0.30, 0.25), Step("high", 0.15, 0.12), Step("medium", 0.08, 0.06), Step("low", 0.04, 0.02))
)
_STRESS = Ladder((Step("high", 140, 132), Step("medium", 125, 120), Step("low", 115, 110)))
_STOP = Ladder((Step("high", 2, 3), Step("medium", 5, 6.5)), sinking=True)
_UNEVEN = Ladder((Step("medium", 97.0, 97.5), Step("low", 98.5, 98.8)), sinking=True)
_SLOW = Ladder((Step("high", 3.0, 2.5), Step("medium", 1.0, 0.8), Step("low", 0.3, 0.1)))
_SILENT = Ladder((Step("high", 30, 2), Step("medium", 5, 2)))


def _wear(values: Values, standing: str | None) -> str | None:
    return _WEAR.severity(values["loss_per_lap_s"], standing) if _sure(values, standing) else None


def _stop(values: Values, standing: str | None) -> str | None:
    loss = values["loss_per_lap_s"]
    losing = isinstance(loss, int | float) and loss > 0 and _sure(values, standing)
    return _STOP.severity(values["laps_until_loss"], standing) if losing else None


def _trend(values: Values, standing: str | None) -> str | None:
    return "low" if values["trend"] is not None and values["trend"] == values["direction"] else None


def _slow(values: Values, standing: str | None) -> str | None:
    lap_time_s, high_s = values["lap_time_s"], values["forecast_high_s"]
    if not isinstance(lap_time_s, int | float) or not isinstance(high_s, int | float):
        return None
    return _SLOW.severity(lap_time_s - high_s, standing)


def _best(values: Values, standing: str | None) -> str | None:
    own, field, lap = values["best_lap_s"], values["field_best_s"], values["lap"]
    if not isinstance(own, int | float) or not isinstance(field, int | float) or not isinstance(lap, int):
        return None
    return "low" if lap >= BEST_FROM_LAP and own <= field else None


def _fights(flag: Value, gap_s: Value, standing: bool) -> bool:
    return bool(flag) or (standing and isinstance(gap_s, int | float) and gap_s <= FIGHT_S)


def _attack(values: Values, standing: str | None) -> str | None:
    if not _fights(values["overtakingOpportunity"], values["gap_to_ahead_s"], standing is not None):
        return None
    both = _fights(values["underPressure"], values["gap_to_behind_s"], rank(standing) >= rank("high"))
    return "high" if both else "medium"


def _pressure(values: Values, standing: str | None) -> str | None:
    return "medium" if _fights(values["underPressure"], values["gap_to_behind_s"], standing is not None) else None


def _stuck(values: Values, standing: str | None) -> str | None:
    return ("high" if values["channel"] in _VITAL else "medium") if values["stuck"] else None


def _flipped(values: Values, standing: str | None) -> str | None:
    return "medium" if values["flipped"] else None


def _clock_stopped(values: Values, standing: str | None) -> str | None:
    return "medium" if values["clock"] == "stopped" else None


def _clock_set(values: Values, standing: str | None) -> str | None:
    since = values["since_set_s"]
    return "low" if isinstance(since, int | float) and since < CLOCK_SET_S else None


def _of(ladder: Ladder, name: str) -> Callable[[Values, str | None], str | None]:
    return lambda values, standing: ladder.severity(values[name], standing)


_LOSS = {"loss_per_lap_s": "s/lap", "loss_low": "s/lap", "loss_high": "s/lap", "laps": "laps"}
_FLAGS = {"overtakingOpportunity": "boolean", "underPressure": "boolean"}
_FIGHT = {"position": "", "gap_to_ahead_s": "s", "gap_to_behind_s": "s", "gap_sigma_s": "s", **_FLAGS}

#: Every formula, in the order their insights are said.
FORMULAS: Final[Mapping[str, Formula]] = {
    formula.name: formula
    for formula in (
        Formula(
            "tire_wear.loss",
            {**_LOSS, "stress_g2m": "g²·m"},
            _wear,
            wording.wear,
            _WEAR,
            wire={"loss_per_lap_s": "predicted_loss_per_lap_seconds"},
        ),
        Formula(
            "tire_wear.stress",
            {"stress_index": "100 = median of the field", "stress_g2m": "g²·m"},
            _of(_STRESS, "stress_index"),
            wording.stress,
            _STRESS,
        ),
        Formula(
            "strategy.stop",
            {"laps_until_loss": "laps", "laps_low": "laps", "laps_high": "laps", **_LOSS},
            _stop,
            wording.stop,
            _STOP,
            wire={"laps_until_loss": "laps_until_0_5s_loss", "loss_per_lap_s": "predicted_loss_per_lap_seconds"},
        ),
        Formula(
            "performance.consistency",
            {"consistency": "0 to 100", "laps": "laps", "trend": ""},
            _of(_UNEVEN, "consistency"),
            wording.uneven,
            _UNEVEN,
            wire={"trend": "performanceTrend"},
        ),
        Formula(
            "performance.trend",
            {"trend": "", "direction": "", "loss_per_lap_s": "s/lap", "laps": "laps"},
            _trend,
            wording.trend,
            rising=Dwell(laps=1),
            sinking=Dwell(laps=1),
            wire={"trend": "performanceTrend"},
        ),
        Formula(
            "performance.slow",
            {"lap_time_s": "s", "forecast_high_s": "s", "forecast_s": "s", "lap": ""},
            _slow,
            wording.slow,
            _SLOW,
        ),
        Formula("performance.best", {"best_lap_s": "s", "field_best_s": "s", "lap": ""}, _best, wording.best),
        Formula(
            "gap_analysis.attack",
            {**_FIGHT, "ahead": ""},
            _attack,
            wording.attack,
            rising=Dwell(4.0),
            sinking=Dwell(8.0),
        ),
        Formula(
            "gap_analysis.pressure",
            {**_FIGHT, "behind": ""},
            _pressure,
            wording.pressure,
            rising=Dwell(4.0),
            sinking=Dwell(8.0),
        ),
        Formula("anomaly.stuck", {"channel": "", "stuck": "boolean"}, _stuck, wording.stuck, sinking=Dwell(2.0)),
        Formula(
            "anomaly.flipped", {"channel": "", "flipped": "boolean"}, _flipped, wording.flipped, sinking=Dwell(10.0)
        ),
        Formula(
            "anomaly.clock_stopped",
            {"clock": ""},
            _clock_stopped,
            wording.clock_stopped,
            rising=Dwell(2.0),
            sinking=Dwell(5.0),
        ),
        Formula("anomaly.clock_set", {"sessions": "", "since_set_s": "s"}, _clock_set, wording.clock_set),
        Formula("anomaly.silent", {"silent_s": "s"}, _of(_SILENT, "silent_s"), wording.silent, _SILENT),
    )
}
