"""
What insights say: each function here tells one formula's finding, by its inputs, to a person.

With a severity the finding stands; without, it is over.
"""

from __future__ import annotations

from collections.abc import Mapping

#: An input: JSON has it as it is. None is a figure that is not known.
Value = float | int | str | bool | None
Values = Mapping[str, Value]


def _shown(value: Value, digits: int = 2) -> str:
    """A figure for a message; ? for one that is not known."""
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "?"


def wear(values: Values, severity: str | None) -> str:
    """Pace that goes away."""
    loss = f"losing {_shown(values['loss_per_lap_s'])} s a lap"
    between = f" ({_shown(values['loss_low'])} to {_shown(values['loss_high'])}, {_shown(values['laps'], 0)} laps)"
    return loss + between if severity else f"the pace holds again, {loss}"


def stress(values: Values, severity: str | None) -> str:
    """Tires that are worked harder than others'."""
    index = f"{_shown(values['stress_index'], 0)} % of the field's"
    return f"tires worked hard, stress {index}" if severity else f"tire stress back to {index}"


def stop(values: Values, severity: str | None) -> str:
    """How long the tires are good for."""
    laps = _shown(values["laps_until_loss"], 1)
    if severity is None:
        return f"no stop is pressing any more, half a second slower in {laps} laps"
    return (
        f"half a second slower in {laps} laps ({_shown(values['laps_low'], 1)} to {_shown(values['laps_high'], 1)}),"
        " think of a stop"
    )


def uneven(values: Values, severity: str | None) -> str:
    """Lap times that are uneven."""
    return f"{'uneven laps' if severity else 'laps are even again'}, consistency {_shown(values['consistency'], 1)}"


def trend(values: Values, severity: str | None) -> str:
    """Where the pace is heading."""
    return f"pace {values['direction']}" if severity else f"pace no longer {values['direction']}"


def slow(values: Values, severity: str | None) -> str:
    """A lap slower than any that was foretold."""
    lap = f"lap {_shown(values['lap'], 0)}"
    if severity is None:
        return "laps as foretold again" if values["lap_time_s"] is not None else f"{lap} was no clean lap"
    return (
        f"{lap} took {_shown(values['lap_time_s'], 3)} s, foretold were {_shown(values['forecast_high_s'])} s at most"
    )


def best(values: Values, severity: str | None) -> str:
    """Whose the fastest lap is."""
    if severity:
        return f"fastest lap, {_shown(values['best_lap_s'], 3)} s"
    return f"no longer the fastest lap, {_shown(values['field_best_s'], 3)} s is"


def attack(values: Values, severity: str | None) -> str:
    """A car ahead that can be attacked."""
    ahead = values["ahead"] or "the car ahead"
    gap = f"gap {_shown(values['gap_to_ahead_s'])} s to {ahead}"
    if severity is None:
        known = values["gap_to_ahead_s"] is not None
        return f"out of reach, {gap}" if known else f"no more fight with {ahead}, now at position {values['position']}"
    how = "closing" if values["overtakingOpportunity"] else "within reach"
    return f"{gap}, {how}" + (", and under pressure from behind" if severity == "high" else "")


def pressure(values: Values, severity: str | None) -> str:
    """A car behind that can attack."""
    behind = values["behind"] or "the car behind"
    gap = f"gap {_shown(values['gap_to_behind_s'])} s to {behind}"
    if severity is None:
        known = values["gap_to_behind_s"] is not None
        return (
            f"out of pressure, {gap}" if known else f"no more fight with {behind}, now at position {values['position']}"
        )
    return f"under pressure, {gap}"


def stuck(values: Values, severity: str | None) -> str:
    """A channel that stays the same."""
    return f"{values['channel']} {'does not change any more' if severity else 'changes again'}"


def flipped(values: Values, severity: str | None) -> str:
    """A channel whose sign is wrong."""
    return f"{values['channel']} {'has the wrong sign' if severity else 'has the right sign again'}"


def clock_stopped(values: Values, severity: str | None) -> str:
    """A car's clock that stands still."""
    return "the car's clock stands still" if severity else f"the car's clock: {values['clock']}"


def clock_set(values: Values, severity: str | None) -> str:
    """A car's clock that was set."""
    return f"the car's clock {'was set' if severity else 'has not been set for a minute'}, session {values['sessions']}"


def silent(values: Values, severity: str | None) -> str:
    """A car that says nothing."""
    return f"silent for {_shown(values['silent_s'], 0)} s" if severity else "heard again"
