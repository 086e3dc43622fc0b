"""
Which lap of the telemetry is which lap of the official timing.

A car's lap counter runs up to two laps ahead, by an amount of its own, so laps are told
by their times. Drivers repeat theirs to a few hundredths, so that one lap alone may fit
several: where the timing tells when a lap ended, and the telemetry when it was received,
that settles it, for a lap takes longer than telemetry does to arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final, NamedTuple

from pitwall.wire.timing import OfficialLap

#: How far the telemetry's lap number may be ahead of the official one.
AHEAD: Final = range(-1, 4)
#: Lap times that differ by more are not of one lap [s].
AGREE_S: Final = 0.5
#: A lap's last telemetry is received this long after its end: the least and the most [s].
_RECEIVED_S = (-5.0, 70.0)
#: Time zones are apart by whole quarters of an hour [s].
_ZONE_S = 900.0


class SentLap(NamedTuple):
    """
    A lap as the telemetry has it.

    Attributes:
        number: as the car counted.
        time_s: from line to line [s].
        received_s: when its end was received [s, UTC]; None where it is not known.
    """

    number: int
    time_s: float
    received_s: float | None = None


class Matched(NamedTuple):
    """
    The laps of one car that were found.

    Attributes:
        ahead: by how much the car's count is ahead of the official one.
        laps: the index of a lap sent, and the official one, in the order sent.
        dropped: the indexes of laps that have no official one, or one of another time.
    """

    ahead: int
    laps: tuple[tuple[int, OfficialLap], ...]
    dropped: tuple[int, ...]


def number_of(vehicle_id: str, official: Iterable[str]) -> str | None:
    """
    The official number of a car: what follows the last dash of its id; None where no such car was timed.

    ``GR86-040-3`` is car 3 and ``GR86-015-03`` car 03. Some events fill numbers up to three
    digits, so that ``GR86-022-013`` is car 13 where there is no car 013.
    """
    number = vehicle_id.rpartition("-")[2]
    known = frozenset(official)
    if number in known:
        return number
    short = number.lstrip("0") or "0"
    return short if len(number) == 3 and short in known else None


def match_laps(sent: Sequence[SentLap], official: Sequence[OfficialLap]) -> Matched:
    """
    The official lap of each lap of one car.

    Of the ways to count, the one is taken by which the most laps agree in time, and of
    several those that agree best; ways by which laps were received before they ended, or
    minutes later, only where there is no other.
    """
    timed = {lap.number: lap for lap in official}
    best: tuple[tuple[bool, int, float], Matched] | None = None
    for ahead in AHEAD:
        pairs = [(index, timed.get(lap.number - ahead)) for index, lap in enumerate(sent)]
        found = [
            (index, lap) for index, lap in pairs if lap is not None and abs(sent[index].time_s - lap.time_s) <= AGREE_S
        ]
        if not found:
            continue
        apart_s = median(abs(sent[index].time_s - lap.time_s) for index, lap in found)
        rank = (_received_late([(sent[index], lap) for index, lap in found]), -len(found), apart_s)
        if best is None or rank < best[0]:
            kept = {index for index, _ in found}
            dropped = tuple(index for index in range(len(sent)) if index not in kept)
            best = rank, Matched(ahead, tuple(found), dropped)
    return Matched(0, (), tuple(range(len(sent)))) if best is None else best[1]


def _received_late(pairs: Sequence[tuple[SentLap, OfficialLap]]) -> bool:
    """Whether these laps can't have been received when they were."""
    low_s, high_s = _RECEIVED_S
    late = [
        (sent.received_s - lap.clock_s - low_s) % _ZONE_S + low_s
        for sent, lap in pairs
        if sent.received_s is not None and lap.clock_s is not None
    ]
    return bool(late) and median(late) > high_s
