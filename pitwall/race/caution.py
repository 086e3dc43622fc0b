"""
What lap is usual, which lap is clean, and when the field drives under caution.

Nobody sends flags. A caution shows in that many cars are much slower than usual at the
same time, where traffic or a mistake slows one. The first car to end such a lap has
nobody's lap to compare with, so a lap that is not ended yet tells too, once it has taken
longer than usual.
"""

from __future__ import annotations

from typing import Final

from pitwall.race.history import DrivenLap, FieldLaps
from pitwall.race.lap import MARKS
from pitwall.race.pace import SHORT_LAP, SLOW_LAP

#: A lap of more than this share of the usual is slow where most of the field is as slow.
CAUTION_LAP: Final = 1.03
#: Before a lap under caution, one of more than this share is not trusted to be a racing lap.
BEGUN_LAP: Final = 1.015
#: The share of the other cars that must be slow, and how many at least.
CAUTION_SHARE: Final = 0.5
CAUTION_CARS: Final = 2
#: The usual lap is sought in so many laps of each car: more than a caution lasts, and few
#: enough that a track that got wet has a new usual lap.
USUAL_LAPS: Final = 8
#: A car may be slower than the quick ones by this share and still have a usual lap of its own.
SLOW_CAR: Final = 1.05
#: A car that has not ended a lap for so many usual ones has gone.
GONE_LAPS: Final = 4.0
#: Laps with these marks tell nothing of the usual one.
_UNUSUAL: Final = frozenset(("in", "out", "estimated"))


def best_s(laps: list[DrivenLap]) -> float | None:
    """The quickest of a car's last laps that went from line to line on the track [s]; None where there is none."""
    return min(_timed_s(laps), default=None)


def quick_s(field: FieldLaps) -> float | None:
    """
    A lap of the quicker cars when nothing is in their way [s]; None while nobody has one.

    Not the quickest car's, for a single lap may be timed wrongly. The first laps of a
    race count too, for it may begin behind the safety car and have no quicker one yet.
    """
    bests = sorted(times_s[0] for times_s in _here(field))
    return bests[max(len(bests) // 8, min(1, len(bests) // 3))] if bests else None


def settled(field: FieldLaps, quick: float) -> bool:
    """
    Whether ``quick_s`` can be trusted: some car drove a second lap about as quick.

    In a race that begins behind the safety car each lap may be much quicker than the one
    before, without being a racing lap.
    """
    return any(times_s[1] <= SLOW_LAP * quick for times_s in _here(field) if len(times_s) > 1)


def _here(field: FieldLaps) -> list[list[float]]:
    """The times of each car's last laps, the quickest first, of the cars that have not gone [s]."""
    found = []
    for laps in field.cars.values():
        times_s, end_s = sorted(_timed_s(laps)), laps[-1].end_s if laps else None
        if times_s and (end_s is None or field.now_s - end_s <= GONE_LAPS * times_s[0]):
            found.append(times_s)
    return found


def _timed_s(laps: list[DrivenLap]) -> list[float]:
    return [lap.time_s for lap in laps[-USUAL_LAPS:] if lap.time_s and _UNUSUAL.isdisjoint(lap.marks)]


def usual_s(laps: list[DrivenLap], quick: float) -> float:
    """A car's lap when nothing is in its way [s]: its best lately, held between ``quick_s`` and ``SLOW_CAR`` of it."""
    own = best_s(laps)
    return quick if own is None else min(max(own, quick), SLOW_CAR * quick)


def is_clean(lap: DrivenLap, usual: float) -> bool:
    """Whether it was a racing lap: no mark, and not much slower or quicker than usual."""
    return not lap.marks and lap.time_s is not None and SHORT_LAP * usual <= lap.time_s <= SLOW_LAP * usual


def under_caution(field: FieldLaps, chassis: str, lap: DrivenLap, quick: float) -> bool:
    """
    Whether a lap that just ended was driven under caution, as the field tells.

    Args:
        field: all that is known, this lap included.
        chassis: the car whose lap it is.
        lap: the lap.
        quick: a lap of the quicker cars [s].
    """
    if lap.time_s is None or lap.end_s is None or lap.time_s <= CAUTION_LAP * usual_s(field.cars[chassis], quick):
        return False
    slow = others = 0
    for other, laps in field.cars.items():
        seen = None if other == chassis else _is_slow(laps, lap.start_s, lap.end_s, quick)
        slow += seen is True
        others += seen is not None
    return slow >= CAUTION_CARS and slow >= CAUTION_SHARE * others


def began_before(lap: DrivenLap, usual: float) -> bool:
    """Whether the caution of the next lap began during this one: it was a little slow already."""
    return lap.time_s is not None and lap.time_s > BEGUN_LAP * usual


def _is_slow(laps: list[DrivenLap], start_s: float, end_s: float, quick: float) -> bool | None:
    """Whether a car with these laps was slow between two times; None where it tells nothing."""
    last = laps[-1] if laps else None
    if last is None or last.end_s is None or last.time_s is None:
        return None
    usual = usual_s(laps, quick)
    running_s = end_s - last.end_s
    if CAUTION_LAP * usual < running_s < GONE_LAPS * usual:
        return True
    if running_s >= GONE_LAPS * usual or not _UNUSUAL.isdisjoint(last.marks):
        return None
    # Of a lap that ended when this one had hardly begun, next to nothing was driven at the same time.
    if last.end_s - start_s < 0.25 * (end_s - start_s):
        return None
    return last.time_s > CAUTION_LAP * usual


def with_caution(marks: tuple[str, ...]) -> tuple[str, ...]:
    """The marks and "caution", in the order of ``MARKS``."""
    return tuple(mark for mark in MARKS if mark == "caution" or mark in marks)
