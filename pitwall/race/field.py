"""
What compares cars: positions and gaps, per track.

Run in the main process once a tick, on the cars' reports; a few hundred
microseconds for a field of sixty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from pitwall.race.report import CarReport

#: A car ahead within this time can be attacked [s].
CLOSE_S = 1.0


def gaps(reports: Iterable[CarReport]) -> list[dict[str, Any]]:
    """
    Position and gaps of every car, track by track, in order of position.

    Position is by distance covered. The percent figures compare average speeds
    over the current lap: (leader's - own) / leader's, (ahead's - own) / own,
    (own - behind's) / own, each times 100. The latter two are null without such a car
    or where a speed is not known; those to the leader are left out then.
    """
    ordered = sorted(reports, key=lambda report: (report.track, -report.covered_m, report.chassis))
    found: list[dict[str, Any]] = []
    for _, field in groupby(ordered, key=lambda report: report.track):
        cars = list(field)
        found += [_gap(cars, place) for place in range(len(cars))]
    return found


def _gap(cars: Sequence[CarReport], place: int) -> dict[str, Any]:
    own = cars[place]
    ahead = cars[place - 1] if place else None
    behind = cars[place + 1] if place + 1 < len(cars) else None
    gap: dict[str, Any] = {"chassis": own.chassis, "track": own.track, "position": place + 1}
    leader_kmh, own_kmh = cars[0].average_kmh, own.average_kmh
    if leader_kmh is not None and own_kmh is not None:
        gap["gapToLeader"] = _percent(leader_kmh - own_kmh, leader_kmh)
        gap["relativeSpeed"] = round(own_kmh - leader_kmh, 3)
    gap["gapToAhead"] = None if ahead is None else _percent(_difference(ahead, own), own_kmh)
    gap["gapToBehind"] = None if behind is None else _percent(_difference(own, behind), own_kmh)
    gap["overtakingOpportunity"] = ahead is not None and _attacks(own, ahead)
    gap["underPressure"] = behind is not None and _attacks(behind, own)
    return gap


def _difference(faster: CarReport, slower: CarReport) -> float | None:
    if faster.average_kmh is None or slower.average_kmh is None:
        return None
    return faster.average_kmh - slower.average_kmh


def _percent(part: float | None, whole: float | None) -> float | None:
    if part is None or whole is None:
        return None
    return round(100 * part / whole, 3) if whole else 0.0


def _attacks(hunter: CarReport, hunted: CarReport) -> bool:
    """Whether a car is within a second of the one ahead, at its own speed, and faster over the lap."""
    if hunter.average_kmh is None or hunted.average_kmh is None or hunter.speed_kmh <= 0:
        return False
    apart_s = (hunted.covered_m - hunter.covered_m) / (hunter.speed_kmh / 3.6)
    return 0 <= apart_s < CLOSE_S and hunter.average_kmh > hunted.average_kmh
