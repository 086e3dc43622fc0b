"""
What an insight rests on, kept so that anybody can look later whether it was right.

An insight's ``inputs`` are what its formula was given, with units, and three more
that are the book's own: ``standing``, the severity before it, ``lasted_s`` and
``lasted_laps``, for how long the formula had wanted the change. From these alone
``recomputed`` comes to the severity and the message again.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import json

from pitwall.race.formulas import FORMULAS, decide
from pitwall.race.wording import Values

#: The most the inputs of one insight may take, as JSON [bytes].
MOST_INPUTS: Final = 64 << 10
#: What stands for no severity.
NONE: Final = "none"
#: What is said of a car that is not followed any more.
LEFT: Final = "the car is not followed any more"
#: The inputs that are not a formula's own, with their units.
OWN_INPUTS: Final = {
    "standing": "severity",
    "lasted_s": "s",
    "lasted_laps": "laps",
    "points": "points",
    "followed": "boolean",
    "cut": "names",
}
_CUT_TO: Final = 64


def inputs_of(values: Values, units: dict[str, str], most: int = MOST_INPUTS) -> dict[str, dict[str, Any]]:
    """
    Values with their units, of ``most`` bytes as JSON.

    What is longer is not left out: its longest texts end early, and the input
    ``cut`` names them.
    """
    inputs: dict[str, dict[str, Any]] = {
        name: {"value": value, "unit": units.get(name, "")} for name, value in values.items()
    }
    cut: list[str] = []
    while len(json.encode(inputs)) > most:
        texts = [name for name in values if isinstance(inputs[name]["value"], str) and name not in cut]
        if not texts:
            break
        longest = max(texts, key=lambda name: len(inputs[name]["value"]))
        inputs[longest]["value"] = inputs[longest]["value"][:_CUT_TO]
        cut.append(longest)
        inputs["cut"] = {"value": ", ".join(cut), "unit": OWN_INPUTS["cut"]}
    return inputs


def recomputed(insight: dict[str, Any]) -> dict[str, Any]:
    """
    What an insight's formula says to its inputs now.

    Returns:
        ``severity`` (None for one that is over), ``state``, ``message``, and ``agrees``: whether these are
        the insight's own.
    """
    formula = FORMULAS[insight["formula"]]
    values = {name: held["value"] for name, held in insight["inputs"].items()}
    standing = None if values["standing"] == NONE else values["standing"]
    severity: str | None
    if values.get("followed") is False:
        severity, message = None, LEFT
    else:
        severity = decide(formula, values, standing, values["lasted_s"], values["lasted_laps"])
        message = formula.tell(values, severity)
    state = state_of(standing, severity)
    same_severity = severity == insight["severity"] or (severity is None and standing == insight["severity"])
    agrees = state == insight["state"] and same_severity and message == insight["message"]
    return {"severity": severity, "state": state, "message": message, "agrees": agrees}


def state_of(before: str | None, after: str | None) -> str:
    """What a step from one severity to another is called; ``standing`` for none."""
    if before == after:
        return "standing"
    if before is None:
        return "raised"
    return "cleared" if after is None else "changed"
