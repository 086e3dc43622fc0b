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
from typing import Any, Final, NamedTuple

from pitwall.race.report import CarTick
from pitwall.race.traces import Trace

#: A car is compared while it was heard within so long [s].
HEARD_S: Final = 5.0
#: A car not heard for so long is of another session: it comes after those that are heard [s].
GONE_S: Final = 600.0
#: A car ahead within this interval can be attacked [s].
CLOSE_S: Final = 1.0
#: Whether an interval closes is told from how it changed over so long at least [s].
CLOSING_OVER_S: Final = 5.0
#: At less than this nobody races, and for a while after a start every interval closes [m/s, s].
_SLOW_M_S: Final = 8.0
_STARTING_S: Final = 20.0
#: A car whose track's length is not known counts with the longest there is [m].
LONGEST_LAP_M: Final = 30_000.0
#: Cars keep their order while neither is further by more than this many deviations of what is known.
STEADY: Final = 1.0


class FieldCar:
    """What the field knows of a car."""

    def __init__(self, chassis: str) -> None:
        self.chassis = chassis
        self.trace = Trace()
        self.heard_s = -math.inf
        #: In the order of the last tick; 0 before the first.
        self.position = 0
        self.shift_s = 0.0
        self.sigma_m = 1.0
        self.clock_sigma_s = 0.0
        self.average_kmh: float | None = None
        self.racing_from_s = -math.inf
        #: Moment, the car ahead, and the interval to it.
        self.intervals: deque[tuple[float, str, float]] = deque(maxlen=64)

    def take(self, tick: CarTick, length_m: float) -> None:
        """Take a report in."""
        self.heard_s = tick.heard_s
        self.shift_s, self.average_kmh = tick.shift_s, tick.average_kmh
        self.sigma_m = math.inf if tick.sigma_m is None else tick.sigma_m
        self.clock_sigma_s = tick.clock_sigma_s
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
        then = [
            each
            for at_s, _, each in self.intervals
            if moment_s - 2 * CLOSING_OVER_S <= at_s <= moment_s - CLOSING_OVER_S
        ]
        return bool(then) and then[-1] - interval_s > max(0.5 * sigma_s, 0.01)


class _Place(NamedTuple):
    """A car, how far it was at the moment of comparison [m], and whether that is known."""

    car: FieldCar
    way_m: float
    known: bool


def gaps(
    track: str, cars: list[FieldCar], now_s: float, length_m: float | None, note: bool = True
) -> list[dict[str, Any]]:
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
        note: off where this is no tick, and nothing is to be remembered of it.
    """
    heard = [car for car in cars if len(car.trace) and abs(now_s - car.heard_s) <= HEARD_S]
    newest_s = max((car.known_s for car in heard), default=-math.inf)
    moment_s = min((car.known_s for car in heard if newest_s - car.known_s <= HEARD_S), default=newest_s)
    places = []
    for car in cars:
        known = moment_s <= car.known_s <= now_s + HEARD_S and math.isfinite(car.sigma_m) and math.isfinite(moment_s)
        places.append(_Place(car, car.distance(moment_s), known and bool(len(car.trace))))
    here = [place for place in places if not _gone(place.car, now_s)]
    gone = [place for place in places if _gone(place.car, now_s)] if here else []
    if not here:
        here = places
    _put_in_order(here)
    _put_in_order(gone)
    places = here + gone
    found: list[dict[str, Any]] = []
    for index, (car, way_m, known) in enumerate(places):
        if note:
            car.position = index + 1
        ahead = places[index - 1].car if index else None
        behind = places[index + 1].car if index + 1 < len(places) else None
        gap: dict[str, Any] = {"chassis": car.chassis, "track": track, "position": index + 1}
        gap |= _percents(car, places[0].car, ahead, behind)
        gap["overtakingOpportunity"] = gap["underPressure"] = False
        gap["gapToLeaderSeconds"] = 0.0 if not index and known else None
        gap["gapToAheadSeconds"] = gap["gapToBehindSeconds"] = gap["gapSigmaSeconds"] = None
        gap["lapsDown"] = None
        if ahead is not None:
            gap["ahead"] = ahead.chassis
            found[-1]["behind"] = car.chassis
        if known and ahead is not None:
            _seconds(gap, found[-1], places[index], places[index - 1], places[0], moment_s, note)
        if index < len(here) and length_m is not None and math.isfinite(way_m) and math.isfinite(places[0].way_m):
            gap["lapsDown"] = max(int((places[0].way_m - way_m) // length_m), 0)
        if math.isfinite(moment_s):
            gap["asOf"] = round(moment_s * 1000)
        found.append(gap)
    return found


def _gone(car: FieldCar, now_s: float) -> bool:
    return math.isfinite(car.heard_s) and now_s - car.heard_s > GONE_S


def _put_in_order(places: list[_Place]) -> None:
    """By distance; cars side by side stay as they were, for who is ahead of them by inches is noise."""
    places.sort(key=lambda place: (place.car.position or len(places) + 1, -place.way_m, place.car.chassis))
    for index in range(1, len(places)):
        at = index
        while at and _passed(places[at], places[at - 1]):
            places[at - 1], places[at] = places[at], places[at - 1]
            at -= 1


def _passed(behind: _Place, ahead: _Place) -> bool:
    further_m = behind.way_m - ahead.way_m
    if not further_m > 0:
        return False
    if not (behind.car.position and ahead.car.position):
        return True
    return further_m > STEADY * math.hypot(behind.car.sigma_m, ahead.car.sigma_m)


def _seconds(
    gap: dict[str, Any],
    before: dict[str, Any],
    own: _Place,
    ahead: _Place,
    leader: _Place,
    moment_s: float,
    note: bool,
) -> None:
    car = own.car
    to_leader_s, interval_s = _gap_s(own, leader, moment_s), _gap_s(own, ahead, moment_s)
    if math.isfinite(to_leader_s):
        gap["gapToLeaderSeconds"] = round(to_leader_s, 3)
    if not math.isfinite(interval_s):
        return
    gap["gapToAheadSeconds"] = before["gapToBehindSeconds"] = round(interval_s, 3)
    speed_m_s = max(car.trace.speed(moment_s - car.shift_s), 1.0)
    sigma_s = math.hypot(
        car.sigma_m / speed_m_s, ahead.car.sigma_m / speed_m_s, car.clock_sigma_s, ahead.car.clock_sigma_s
    )
    gap["gapSigmaSeconds"] = round(sigma_s, 4)
    if note and speed_m_s < _SLOW_M_S:
        car.racing_from_s = moment_s + _STARTING_S
        car.intervals.clear()
    racing = note and moment_s >= car.racing_from_s
    close = racing and car.closes(moment_s, ahead.car.chassis, interval_s, sigma_s) and interval_s < CLOSE_S
    gap["overtakingOpportunity"] = before["underPressure"] = close


def _gap_s(own: _Place, ahead: _Place, moment_s: float) -> float:
    """Now less the moment the car ahead was here; 0 where the two are side by side, NaN where not known [s]."""
    if own.way_m >= ahead.way_m:
        return 0.0
    return moment_s - ahead.car.when(own.way_m)


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
