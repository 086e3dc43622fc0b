"""
Where a car is: followed row by row, in the order of its own clock.

A lap ends when the lap distance falls back by the length of the lap, as far as what was
driven since the last reading says so; without a lap distance, when the lap number rises
and the car has driven a lap. A reading that fits nothing is odd: it is passed over unless
the next ones agree with it, and then the car was put elsewhere.

Between two samples of the speed a row waits for the second, so that the way is integrated
over what the speed was and not over what it had been. Rows are taken in one at a time,
in plain Python: at a tick there are some fourteen a car, for which numpy's calls cost
several times as much, and however rows are cut into ticks the floats are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import Final

from msgspec import Struct, field

from pitwall.model.channels import UNKNOWN_LAPS
from pitwall.race.place import Line, Place, Sample, driven_scale, median, own_length

#: No interpolation over a hole of more than this: a second, and what a logger with one point a second is late by [s].
HOLE_S: Final = 1.05
#: Nothing is said about what happened in a hole of more than this; no distance is integrated over more [s].
LONGEST_HOLE_S: Final = 5.0
#: A reading may be off by so much and a share of what was driven since the last one; more is odd [m].
JUMP_M: Final = 100.0
_JUMP_SHARE: Final = 0.3
#: A car whose speed is not known is no faster than this [m/s].
_FASTEST_M_S: Final = 100.0
#: A reading that is off by more is not averaged with those before [m].
_STEP_M: Final = 10.0
#: Readings averaged to say where the car is.
_AVERAGED: Final = 6
#: How fast what is known of their noise follows them.
_NOISE_GAIN: Final = 0.02
#: What speed alone makes of a way is off by this share of it.
_DRIVEN_SIGMA: Final = 0.003
#: A track whose length is not known is at least so long [m].
SHORTEST_LAP_M: Final = 400.0
#: A lap number that rises sooner than this after it rose is a trigger that repeats itself [s].
_SHORTEST_LAP_S: Final = 10.0
#: Beyond the lap by this share and distance, the line was crossed although nothing was reset there.
_BEYOND: Final = 0.03
_BEYOND_M: Final = 20.0
#: A lap number counts as a trigger once no distance was read for so long [s].
_NO_READING_S: Final = 10.0
#: A lap whose length differs by more from the track's tells nothing about how the car measures.
LENGTH_OFF: Final = 0.05
_DRIVEN_OFF: Final = 0.1
_LEARNT_FROM: Final = 9
#: What so many laps came to within so much is how the car measures [m].
_SURE_FROM: Final = 3
_SURE_M: Final = 3.0
#: A lap number holds for this long while the car says that it has none [s].
_LAP_HOLDS_S: Final = 10.0
#: A car's lap counter may be so many laps ahead of the race.
_LAPS_AHEAD: Final = 2
#: A place is remembered so often, and for so long [s].
_REMEMBERED_EVERY_S: Final = 1.0
LATE_S: Final = 120.0
#: Late rows are taken in so often, by the car's clock [s].
REOPEN_S: Final = 6.0
#: What is to be kept for them [s].
KEPT_S: Final = LATE_S + REOPEN_S + 8.0
#: A point of the trace for each span of this [s].
_TRACE_S: Final = 0.2

_NAN = math.nan


class Tracker(Struct):
    """
    Follows one car.

    Attributes:
        place: where it is by the last row that was taken in.
        lines: the lines it crossed, oldest first; the caller drops those no longer wanted.
        trace: time, lines crossed and distance in the lap of some of its moments, oldest first; likewise.
        remembered: earlier places, oldest first, to go back to when a late row comes.
        forgot: whether there were places before these.
    """

    place: Place = field(default_factory=Place)
    lines: list[Line] = field(default_factory=list)
    trace: list[tuple[float, int, float]] = field(default_factory=list)
    remembered: list[Place] = field(default_factory=list)
    forgot: bool = False

    def take(self, samples: Sequence[Sample], length_m: float) -> int:
        """
        Take samples in that follow on those taken before, oldest first.

        Args:
            samples: sorted by time.
            length_m: of the lap; NaN where it is not known.

        Returns:
            How many were taken; the others wait for a sample of the speed and are to be given again.
        """
        place = self.place
        taken = 0
        for index, sample in enumerate(samples):
            speed = sample.speed_kmh
            if speed == speed:
                now = speed / 3.6
                before, since_s = place.speed_m_s, place.speed_at_s
                span_s = sample.time_s - since_s
                if index > taken and 0 < span_s <= HOLE_S and before == before:
                    for waiting in samples[taken:index]:
                        between = before + (now - before) * (waiting.time_s - since_s) / span_s
                        self._take(waiting, between, length_m)
                else:
                    for waiting in samples[taken:index]:
                        self._take(waiting, before, length_m)
                self._take(sample, now, length_m)
                place.speed_at_s = sample.time_s
                taken = index + 1
            elif sample.time_s == place.speed_at_s:
                self._take(sample, place.speed_m_s, length_m)
                taken = index + 1
            elif not sample.time_s - place.speed_at_s <= HOLE_S:
                held = place.speed_m_s if sample.time_s - place.speed_at_s <= LONGEST_HOLE_S else _NAN
                for waiting in samples[taken : index + 1]:
                    self._take(waiting, held, length_m)
                taken = index + 1
        return taken

    def go_back(self, before_s: float) -> float:
        """
        Forget all from some moment on; returns the time of the place it went back to.

        Rows after that are to be given again. It is -infinity where all are.
        """
        while self.remembered and not self.remembered[-1].time_s < before_s:
            self.remembered.pop()
        self.place = self.remembered.pop() if self.remembered else Place()
        at_s = self.place.time_s
        if math.isnan(at_s):
            at_s = -math.inf
        # One that nothing was reset at may lie before the place from which it was not known yet.
        while self.lines and (self.lines[-1].after_s > at_s or self.lines[-1].number > self.place.lines):
            self.lines.pop()
        while self.trace and self.trace[-1][0] > at_s:
            self.trace.pop()
        return at_s

    @property
    def goes_back_to_s(self) -> float:
        """A late row can be taken in if it is later than this [s]."""
        return self.remembered[0].time_s if self.forgot else -math.inf

    def forget_before(self, time_s: float) -> None:
        """No row from before that will be taken in any more."""
        remembered = self.remembered
        while len(remembered) > 1 and remembered[1].time_s < time_s:
            del remembered[0]
            self.forgot = True

    def length(self, length_m: float) -> float:
        """What the car's distance makes of a lap [m]; NaN where that is not known."""
        return own_length(self.place, length_m)

    def in_lap_m(self, length_m: float) -> float:
        """How far the car is in its lap, in the track's metres where these are known."""
        place = self.place
        if place.offset_m == place.offset_m:
            own_m = own_length(place, length_m)
            way_m = place.driven_m + place.offset_m
            if own_m == own_m:
                way_m -= place.counted * own_m
                scale = length_m / own_m if length_m == length_m else 1.0
                return min(max(way_m, 0.0), own_m) * scale
            return max(way_m, 0.0)
        way_m = place.driven_m - place.line_driven_m
        if length_m == length_m:
            way_m = min(way_m * driven_scale(place, length_m), length_m - 0.1) if place.line_by else way_m
        return max(way_m, 0.0)

    def sigma_m(self, length_m: float) -> float:
        """The standard deviation of ``in_lap_m``, as far as is known; infinite of a car that sends laps alone [m]."""
        place = self.place
        if place.offset_m == place.offset_m:
            noise_m2 = place.noise_m2 if place.noise_m2 == place.noise_m2 else 1.0
            return math.sqrt(noise_m2 / _AVERAGED)
        if place.speed_at_s == -math.inf:
            return math.inf
        return 1.0 + _DRIVEN_SIGMA * self.in_lap_m(length_m)

    def _take(self, sample: Sample, speed_m_s: float, length_m: float) -> None:
        place = self.place
        time_s, lap, reading_m, _ = sample
        before_s, before_m_s = place.time_s, place.speed_m_s
        if time_s > before_s or before_s != before_s:
            if before_s == before_s and self._memorable(before_s):
                self.remembered.append(copy(place))
            span_s = time_s - before_s
            if speed_m_s == speed_m_s and span_s == span_s:
                if before_m_s != before_m_s:
                    before_m_s = speed_m_s
                place.driven_m += min(span_s, LONGEST_HOLE_S) * (before_m_s + speed_m_s) / 2
            if span_s > LONGEST_HOLE_S:
                place.starved = True
            place.time_s = time_s
        place.speed_m_s = speed_m_s
        known = lap == lap and lap not in UNKNOWN_LAPS
        rose = False
        if known:
            rose = place.lap_sent < lap
            place.lap, place.lap_known_s = int(lap), time_s
        elif lap == lap and time_s - place.lap_known_s > _LAP_HOLDS_S:
            place.lap = None
        if reading_m == reading_m:
            self._read(time_s, reading_m, length_m, known)
        elif rose and not time_s - place.read_at_s <= _NO_READING_S:
            self._rise(time_s, before_s, length_m)
        if known:
            place.lap_sent, place.lap_sent_s = lap, time_s
            if place.offset_checked != place.lines or place.lap_offset is None:
                self._count_laps(int(lap), length_m)
        # The first of each fifth of a second, whatever came before: a row that is missed moves no other.
        if not time_s // _TRACE_S <= place.traced_s // _TRACE_S:
            place.traced_s = time_s
            self.trace.append((time_s, place.lines, self.in_lap_m(length_m)))

    def _memorable(self, time_s: float) -> bool:
        """Whether a place is to be remembered; never between two samples of the speed, the second yet to come."""
        place = self.place
        if self.remembered and time_s - self.remembered[-1].time_s < _REMEMBERED_EVERY_S:
            return False
        return time_s == place.speed_at_s or not time_s - place.speed_at_s <= HOLE_S

    def _read(self, time_s: float, reading_m: float, length_m: float, lap_known: bool) -> None:
        """Compare a lap distance with what was driven since the last one."""
        place = self.place
        own_m = own_length(place, length_m)
        if place.offset_m != place.offset_m:
            self._put(time_s, reading_m)
            if own_m == own_m:
                place.counted = _laps_in(reading_m, own_m)
                in_lap_m = reading_m - place.counted * own_m
                place.on_grid = not place.lines and in_lap_m > own_m / 2 and not lap_known
            return
        driven_m = place.driven_m - place.driven_at_reading_m
        expected_m = place.driven_m + place.offset_m
        off_m = reading_m - expected_m
        hole_s = time_s - place.read_at_s
        unsure_m = _FASTEST_M_S * hole_s if place.speed_m_s != place.speed_m_s else 0.0
        usual_m = JUMP_M + _JUMP_SHARE * driven_m
        if -usual_m <= off_m <= usual_m + unsure_m:
            if place.starved and hole_s * _FASTEST_M_S > own_m:
                place.jumped = True  # within so long nothing was heard that it may have gone round
            if hole_s > HOLE_S:
                self._begin_burst(time_s, off_m)
            self._average(time_s, reading_m, off_m if unsure_m == 0.0 else math.inf)
            beyond_m = reading_m - place.counted * own_m - own_m * (1 + _BEYOND) - _BEYOND_M
            if beyond_m > 0:  # never where the length is not known
                self._assume_line(time_s, beyond_m + own_m * _BEYOND + _BEYOND_M, own_m)
            return
        last_m = place.driven_at_reading_m + place.offset_m
        if off_m < 0 and hole_s > HOLE_S and reading_m >= last_m - JUMP_M:
            self._begin_burst(time_s, off_m)
            self._put(time_s, reading_m)
            return
        if 0 < off_m <= usual_m + place.burst_m and time_s - place.burst_at_s <= HOLE_S:
            place.burst_m -= off_m
            self._put(time_s, reading_m)
            return
        if own_m == own_m:
            back_m = expected_m + unsure_m / 2 - reading_m
            turns = round(back_m / own_m)
            unsure_m = 0.5 * own_m if unsure_m or hole_s > LONGEST_HOLE_S else 0.2 * own_m
            wrapped = turns >= 1 and abs(back_m - turns * own_m) <= unsure_m
        else:
            turns = 1
            wrapped = expected_m - reading_m > max(expected_m / 2, SHORTEST_LAP_M / 2)
        if wrapped:
            self._wrap(time_s, reading_m, expected_m - reading_m, turns, length_m)
            return
        # Odd: passed over until others agree; one that is a lap ahead may be the last of the lap before.
        odd_m = reading_m - place.driven_m
        agrees = abs(odd_m - place.odd_m) <= usual_m + unsure_m
        place.odd = place.odd + 1 if agrees else 1
        place.odd_m = odd_m
        stale = own_m == own_m and off_m > own_m / 2
        if place.odd > (5 if stale else 1) or hole_s > LONGEST_HOLE_S:
            self._put(time_s, reading_m)
            # After a hole too short for a lap it may well have come so far.
            came = place.starved and 0 < off_m <= _FASTEST_M_S * hole_s < own_m
            place.jumped = place.jumped or not came
            place.counted = _laps_in(reading_m, own_m) if own_m == own_m else 0

    def _begin_burst(self, time_s: float, off_m: float) -> None:
        """
        After a hole a car has not come as far as its speed says: rows stamped when they arrived, all at once.

        What was driven in the hole comes in the moments after it.
        """
        place = self.place
        place.burst_m, place.burst_from_s, place.burst_at_s = max(-off_m, 0.0), place.read_at_s, time_s

    def _put(self, time_s: float, reading_m: float) -> None:
        place = self.place
        place.offset_m, place.averaged = reading_m - place.driven_m, 1
        place.odd, place.odd_m = 0, _NAN
        place.read_at_s, place.driven_at_reading_m = time_s, place.driven_m

    def _average(self, time_s: float, reading_m: float, off_m: float) -> None:
        place = self.place
        if abs(off_m) > _STEP_M:
            place.stepped = place.stepped or math.isfinite(off_m)
            self._put(time_s, reading_m)
            return
        squared_m2 = off_m * off_m
        noise_m2 = place.noise_m2
        place.noise_m2 = noise_m2 + _NOISE_GAIN * (squared_m2 - noise_m2) if noise_m2 == noise_m2 else squared_m2
        place.averaged = min(place.averaged + 1, _AVERAGED)
        place.offset_m += off_m / place.averaged
        place.odd, place.odd_m = 0, _NAN
        place.read_at_s, place.driven_at_reading_m = time_s, place.driven_m

    def _wrap(self, time_s: float, reading_m: float, read_m: float, turns: int, length_m: float) -> None:
        """The distance was reset; ``read_m`` is what it came to since it last was."""
        place = self.place
        laps = turns - place.counted
        before_s = place.read_at_s
        if place.burst_m > 0 and time_s - place.burst_at_s <= HOLE_S:
            before_s = place.burst_from_s
        if laps <= 0:
            # The line was taken to lie a little earlier than here.
            if not (self.lines and self.lines[-1].by == "length"):
                self._put(time_s, reading_m)
                place.counted, place.jumped = 0, True
                return
            assumed = self.lines.pop()
            place.lines -= assumed.laps
            place.crossed -= 1
            place.lap_ended = self.lines[-1].lap if self.lines else place.lap_ended - 1
            laps = assumed.laps
        whole = bool(place.line_by) and not place.jumped and laps == 1
        measured = whole and not place.starved and place.counted == 0 and time_s - before_s <= HOLE_S
        if measured and length_m == length_m:
            # Without a speed the last reading is not followed to the line.
            evenly = not place.stepped and place.speed_m_s == place.speed_m_s
            measured = evenly and abs(read_m / length_m - 1) <= LENGTH_OFF
        if measured:
            place.lengths_m = (*place.lengths_m[1 - _LEARNT_FROM :], read_m)
        self._cross(before_s, time_s, "distance", read_m if whole else _NAN, laps, whole, length_m)
        place.counted = 0
        self._put(time_s, reading_m)

    def _assume_line(self, time_s: float, beyond_m: float, own_m: float) -> None:
        place = self.place
        speed_m_s = max(place.speed_m_s, 1.0) if place.speed_m_s == place.speed_m_s else 40.0
        at_s = time_s - beyond_m / speed_m_s
        self._cross(at_s, at_s, "length", _NAN, 1, bool(place.line_by) and not place.jumped, _NAN)
        place.counted += 1
        self.lines[-1].length_m = own_m

    def _rise(self, time_s: float, row_before_s: float, length_m: float) -> None:
        """The lap number rose, and there is no lap distance."""
        place = self.place
        since_m = place.driven_m - place.line_driven_m
        moving = place.speed_m_s == place.speed_m_s and not place.starved
        if place.line_by:
            if time_s - place.line_at_s < _SHORTEST_LAP_S:
                return
            if moving:
                least_m = 0.5 * length_m if length_m == length_m else SHORTEST_LAP_M
                if since_m * (driven_scale(place, length_m) if length_m == length_m else 1.0) < least_m:
                    return
        laps = 1
        if length_m == length_m and place.line_by and moving:
            laps = max(round(since_m * driven_scale(place, length_m) / length_m), 1)
        whole = bool(place.line_by) and laps == 1
        if whole and moving and (length_m != length_m or abs(since_m / length_m - 1) < _DRIVEN_OFF):
            place.driven_laps_m = (*place.driven_laps_m[1 - _LEARNT_FROM :], since_m)
        before_s = place.lap_sent_s if place.lap_sent_s == place.lap_sent_s else row_before_s
        if place.speed_at_s == -math.inf and not time_s - before_s < _SHORTEST_LAP_S:
            # Nothing but lap numbers comes: these are the triggers themselves, each at its moment.
            before_s = time_s
        place.offset_m = _NAN
        self._cross(before_s, time_s, "number", since_m if whole else _NAN, laps, whole, length_m)

    def _cross(
        self, before_s: float, after_s: float, by: str, read_m: float, laps: int, whole: bool, length_m: float
    ) -> None:
        place = self.place
        place.lines += laps
        place.line_at_s, place.line_driven_m, place.line_by = after_s, place.driven_m, by
        place.jumped = place.starved = place.stepped = False
        own_m = own_length(place, length_m) if by != "number" else median(place.driven_laps_m)
        lengths_m = place.lengths_m
        sure = by == "distance" and len(lengths_m) >= _SURE_FROM and max(lengths_m) - min(lengths_m) < _SURE_M
        # From the second line on the lap number has been looked at away from the line.
        place.lap_ended = place.laps_done if place.crossed < 2 else max(place.lap_ended + 1, place.laps_done)
        place.crossed += 1
        self.lines.append(Line(place.lines, before_s, after_s, by, read_m, own_m, sure, laps, whole, place.lap_ended))

    def _count_laps(self, lap: int, length_m: float) -> None:
        """
        Compare the lap number with the lines seen here, away from the line, where it may tick early.

        A car that was seen on the grid was seen to begin: its counter may be ahead. What is
        sure is changed only by two laps that agree.
        """
        place = self.place
        into_m = self.in_lap_m(length_m)
        sure = (
            0.2 < into_m / length_m < 0.8 if length_m == length_m else place.line_by != "" and into_m > SHORTEST_LAP_M
        )
        if place.lap_offset is not None and not sure:
            return
        offset = lap - 1 - place.lines
        if place.on_grid:
            ahead = offset + 1 if place.counts_ahead is None else place.counts_ahead
            if 0 <= ahead <= _LAPS_AHEAD:
                offset -= ahead
                if sure:
                    # So much it is ahead for good: what it is ahead by later are laps that nobody saw.
                    place.counts_ahead = ahead
        if place.lap_offset is None or not place.offset_sure or offset == place.offset_next:
            place.lap_offset, place.offset_sure = offset, sure
        place.offset_next = offset
        if sure:
            place.offset_checked = place.lines


def _laps_in(reading_m: float, own_m: float) -> int:
    """Laps in a distance that was not reset; a car may measure a lap a little too long."""
    return int(max(reading_m - own_m * _BEYOND - _BEYOND_M, 0.0) // own_m)
