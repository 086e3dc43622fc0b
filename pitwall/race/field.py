"""
What compares cars: order and gaps, per track.

A gap is a time: now less the moment at which the car ahead was where this car is now,
looked up in its trace. It is right in slow corners and fast ones, for cars whose speeds
differ, and across the line. All cars are compared at one moment, the latest up to which
something is known of each that is heard; a car not heard for five seconds keeps its
place, and has no gaps.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any, Final

from pitwall.race.report import CarTick
from pitwall.race.traces import Trace

#: A car is compared while it was heard within so long [s].
HEARD_S: Final = 5.0
#: A car ahead within this interval can be attacked [s].
CLOSE_S: Final = 1.0
#: Whether an interval closes is told from how it changed over so long at least [s].
CLOSING_OVER_S: Final = 5.0
#: A car whose track's length is not known counts with the longest there is [m].
LONGEST_LAP_M: Final = 30_000.0
#: What is not known of a car's clock besides: two clocks are compared by points that came at their quickest [s].
CLOCK_SIGMA_S: Final = 0.005


class FieldCar:
    """What the field knows of a car."""

    def __init__(self, chassis: str) -> None:
        self.chassis = chassis
        self.trace = Trace()
        self.heard_s = -math.inf
        self.shift_s = 0.0
        self.sigma_m = 1.0
        self.average_kmh: float | None = None
        #: Moment, the car ahead, and the interval to it.
        self.intervals: deque[tuple[float, str, float]] = deque(maxlen=64)

    def take(self, tick: CarTick, length_m: float) -> None:
        """Take a report in."""
        self.heard_s = max(self.heard_s, tick.heard_s)
        self.shift_s, self.sigma_m, self.average_kmh = tick.shift_s, tick.sigma_m, tick.average_kmh
        self.trace.replace(tick.trace_from_s, tick.trace, length_m, tick.ahead)

    @property
    def known_s(self) -> float:
        """Up to when its place is known, in the time all cars share [s]."""
        return self.trace.newest_s + self.shift_s

    def distance(self, moment_s: float) -> float:
        """How far it was at a moment that all cars share [m]."""
        return self.trace.distance(moment_s - self.shift_s)

    def when(self, distance_m: float) -> float:
        """When it was there, in the time all cars share; NaN where not known [s]."""
        return self.trace.time(distance_m) + self.shift_s

    def closes(self, moment_s: float, ahead: str, interval_s: float, sigma_s: float) -> bool:
        """Note the interval to the car ahead; whether it closes."""
        while self.intervals and self.intervals[-1][1] != ahead:
            self.intervals.clear()
        self.intervals.append((moment_s, ahead, interval_s))
        then = [each for at_s, _, each in self.intervals if moment_s - 2 * CLOSING_OVER_S <= at_s <= moment_s - CLOSING_OVER_S]
        return bool(then) and then[-1] - interval_s > max(0.5 * sigma_s, 0.01)


def gaps(track: str, cars: list[FieldCar], now_s: float, length_m: float | None) -> list[dict[str, Any]]:
    """
    Position and gaps of every car of a track, in order of position.

    The percent figures compare average speeds over the current lap: (leader's - own) /
    leader's, (ahead's - own) / own, (own - behind's) / own, each times 100. The latter two
    are null without such a car or where a speed is not known; those to the leader are left
    out then. Seconds are null where they are not known.

    Args:
        track: its name.
        cars: changed: intervals are noted.
        now_s: the track's clock [s since 1970].
        length_m: of the lap; None where it is not known.
    """
    heard = [car for car in cars if len(car.trace) and now_s - car.heard_s <= HEARD_S]
    newest_s = max((car.known_s for car in heard), default=-math.inf)
    moment_s = min((car.known_s for car in heard if newest_s - car.known_s <= HEARD_S), default=newest_s)
    places = []
    for car in cars:
        known = bool(len(car.trace)) and car.known_s >= moment_s and math.isfinite(moment_s)
        places.append((-car.distance(moment_s), car.chassis, car, known))
    places.sort(key=lambda place: place[:2])
    found: list[dict[str, Any]] = []
    for index, (minus_m, _, car, known) in enumerate(places):
        ahead = places[index - 1] if index else None
        gap = _percents(car, places[0][2], ahead[2] if ahead else None,
                        places[index + 1][2] if index + 1 < len(places) else None)
        gap = {"chassis": car.chassis, "track": track, "position": index + 1, **gap}
        gap["overtakingOpportunity"] = gap["underPressure"] = False
        gap["gapToLeaderSeconds"] = 0.0 if not index and known else None
        gap["gapToAheadSeconds"] = gap["gapToBehindSeconds"] = gap["gapSigmaSeconds"] = None
        gap["lapsDown"] = None
        if ahead is not None:
            gap["ahead"] = ahead[2].chassis
            found[-1]["behind"] = car.chassis
        if known and ahead is not None:
            _seconds(gap, found[-1], car, ahead[2], places[0][2], moment_s, -minus_m)
        if length_m is not None and math.isfinite(minus_m) and math.isfinite(places[0][0]):
            gap["lapsDown"] = int((minus_m - places[0][0]) // length_m)
        if math.isfinite(moment_s):
            gap["asOf"] = round(moment_s * 1000)
        found.append(gap)
    return found


def _seconds(
    gap: dict[str, Any],
    before: dict[str, Any],
    car: FieldCar,
    ahead: FieldCar,
    leader: FieldCar,
    moment_s: float,
    here_m: float,
) -> None:
    to_leader_s, interval_s = moment_s - leader.when(here_m), moment_s - ahead.when(here_m)
    if math.isfinite(to_leader_s):
        gap["gapToLeaderSeconds"] = round(to_leader_s, 3)
    if not math.isfinite(interval_s):
        return
    gap["gapToAheadSeconds"] = before["gapToBehindSeconds"] = round(interval_s, 3)
    speed_m_s = max(car.trace.speed(moment_s - car.shift_s), 1.0)
    sigma_s = math.hypot(car.sigma_m / speed_m_s, ahead.sigma_m / speed_m_s, CLOCK_SIGMA_S)
    gap["gapSigmaSeconds"] = round(sigma_s, 4)
    close = car.closes(moment_s, ahead.chassis, interval_s, sigma_s) and interval_s < CLOSE_S
    gap["overtakingOpportunity"] = before["underPressure"] = close


def _percents(
    own: FieldCar, leader: FieldCar, ahead: FieldCar | None, behind: FieldCar | None
) -> dict[str, float | None]:
    gap: dict[str, float | None] = {}
    leader_kmh, own_kmh = leader.average_kmh, own.average_kmh
    if leader_kmh is not None and own_kmh is not None:
        gap["gapToLeader"] = _percent(leader_kmh - own_kmh, leader_kmh)
        gap["relativeSpeed"] = round(own_kmh - leader_kmh, 3)
    gap["gapToAhead"] = None if ahead is None else _percent(_difference(ahead, own), own_kmh)
    gap["gapToBehind"] = None if behind is None else _percent(_difference(own, behind), own_kmh)
    return gap


def _difference(faster: FieldCar, slower: FieldCar) -> float | None:
    if faster.average_kmh is None or slower.average_kmh is None:
        return None
    return faster.average_kmh - slower.average_kmh


def _percent(part: float | None, whole: float | None) -> float | None:
    if part is None or whole is None:
        return None
    return round(100 * part / whole, 3) if whole else 0.0
