"""
Whether the ring still bears an insight out.

An insight names the numbers of the points it rests on; the ring has the points
themselves, as long as they are not overwritten. What is looked at:

- ``points``: the car has as many points within the numbers as were counted when the insight was made
  (where nobody counted them, it has any);
- ``constant``: a channel that is said to be stuck has one value in the last ``CONSTANT`` points of it;
- ``sign``: a flipped ``accx_can`` falls while the speed rises, a flipped ``accy_can`` is against the steering;
- ``stamps``: a clock that is said to stand still shows the same in the last ``STAMPS`` points;
- ``silence``: the next point of the car, if one came at all, is later by its ``meta_time`` than the insight
  says the car was silent.

The last four only where the insight says so, and not where it says that it is over. The
verdict is ``contradicted`` when one of them fails, ``gone`` when part of the numbers has been
overwritten (or there are none), ``confirmed`` else.

At most the newest ``most`` numbers are looked at. Where an insight rests on more, the
points are not counted, and ``looked_at`` tells the numbers that were. A channel is
looked at in the last ``NEWEST`` points of the car among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from msgspec import MsgspecError, Struct, json

from pitwall.ring import PointRing

#: The most numbers that are looked at: 5 ms, whether of twenty cars or of one.
MOST_LOOKED_AT: Final = 10_000
#: The most points of a car whose channels are looked at.
NEWEST: Final = 500
#: The points of a stuck channel that are compared.
CONSTANT: Final = 20
#: The points of a stopped clock that are compared.
STAMPS: Final = 3
#: The fewest points that tell a sign.
_FEWEST: Final = 20
#: How much earlier than foretold a car may be heard again: the track's time is not that of the point [s].
_EARLY_S: Final = 1.0

Point = dict[str, Any]


class _Name(Struct):
    """Whose a point is; reading no more of it takes a third of the time."""

    chassis: str
    track: str


_NAMES: Final = json.Decoder(_Name)


def confirm(ring: PointRing, insight: dict[str, Any], most: int = MOST_LOOKED_AT) -> dict[str, Any]:
    """
    What the ring says to an insight.

    Args:
        ring: the points.
        insight: as ``InsightBook.get`` gives it.
        most: numbers that are looked at.

    Returns:
        ``verdict``, ``looked_at`` (the first and the last number, or null), ``points`` (those of the
        car among them), and ``checks``: what was looked at, and whether it holds.
    """
    first, last = insight["first_seq"], insight["last_seq"]
    answer: dict[str, Any] = {"verdict": "gone", "looked_at": None, "points": 0, "checks": {}}
    if not 1 <= first <= last:
        return answer
    if last > ring.last_seq:
        answer["verdict"] = "contradicted"
        return answer
    if first < ring.first_seq:
        return answer
    start = max(first, last - most + 1)
    own = _own(insight, ring.between(start, last))
    points = [json.decode(raw) for raw in own[-NEWEST:]]
    values = {name: held["value"] for name, held in insight["inputs"].items()}
    checks: dict[str, bool] = {}
    if start == first:
        counted = values.get("points")
        checks["points"] = bool(own) if counted is None else len(own) == counted
    if insight["state"] != "cleared":
        look = _LOOKS.get(insight["formula"])
        name, holds = (None, None) if look is None else look(values, points)
        if name is not None and holds is not None:
            checks[name] = holds
        if insight["formula"] == "anomaly.silent" and points:
            after = _own(insight, ring.between(last + 1, last + most))[:1]
            checks["silence"] = _silent(points[-1], [json.decode(raw) for raw in after], values["silent_s"])
    answer["verdict"] = "confirmed" if all(checks.values()) else "contradicted"
    return {**answer, "looked_at": [start, last], "points": len(own), "checks": checks}


def _own(insight: dict[str, Any], raws: Sequence[bytes]) -> list[bytes]:
    """The points of the insight's car, oldest first."""
    chassis, track = insight["chassis"], insight["track"]
    # Most points are of other cars, and need not be read: a name stands in a point as it is, or escaped.
    name = chassis.encode()
    found = []
    for raw in raws:
        if name in raw or b"\\" in raw:
            try:
                whose = _NAMES.decode(raw)
            except MsgspecError:
                continue
            if whose.chassis == chassis and whose.track == track:
                found.append(raw)
    return found


def _numbers(points: Sequence[Point], *channels: str) -> list[tuple[float, ...]]:
    """The values of channels where all of them were sent."""
    picked = (tuple(point.get(channel) for channel in channels) for point in points)
    return [values for values in picked if all(type(value) in (int, float) for value in values)]  # type: ignore[misc]


Look = Callable[[dict[str, Any], Sequence[Point]], tuple[str, bool | None]]


def _constant(values: dict[str, Any], points: Sequence[Point]) -> tuple[str, bool | None]:
    sent = _numbers(points, values["channel"])[-CONSTANT:]
    return "constant", len(set(sent)) == 1 if len(sent) == CONSTANT else None


def _sign(values: dict[str, Any], points: Sequence[Point]) -> tuple[str, bool | None]:
    if values["channel"] == "accx_can":
        sent = _numbers(points, "speed_kmh", "accx_can")
        products = [(speed - before) * (ax + ax_before) for (before, ax_before), (speed, ax) in pairwise(sent)]
    elif values["channel"] == "accy_can":
        products = [steering * ay for steering, ay in _numbers(points, "Steering_Angle", "accy_can")]
    else:
        return "sign", None
    return "sign", sum(products) < 0 if len(products) >= _FEWEST else None


def _stamps(values: dict[str, Any], points: Sequence[Point]) -> tuple[str, bool | None]:
    stamps = [point["timestamp"] for point in points if isinstance(point.get("timestamp"), str)][-STAMPS:]
    return "stamps", len(set(stamps)) == 1 if len(stamps) == STAMPS else None


_LOOKS: Final[dict[str, Look]] = {
    "anomaly.stuck": _constant,
    "anomaly.flipped": _sign,
    "anomaly.clock_stopped": _stamps,
}


def _silent(last: Point, after: Sequence[Point], silent_s: Any) -> bool:
    if not after or silent_s is None:
        return True
    fell_s, spoke_s = _meta_time_s(last), _meta_time_s(after[0])
    return fell_s is None or spoke_s is None or spoke_s - fell_s >= silent_s - _EARLY_S


def _meta_time_s(point: Point) -> float | None:
    try:
        return datetime.fromisoformat(point["meta_time"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None
