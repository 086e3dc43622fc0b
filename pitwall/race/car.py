"""
One car: its rows, where it is, and its laps.

Rows come in the order in which they were accepted, a tick at a time. Those in time are
followed at once; a late one, by up to two minutes, takes the tracker back to before it,
and the laps it touches are computed again from their rows. So a lap's figures depend on
the rows it has, and not on when they came.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pitwall.model.track import Track
from pitwall.race.axes import Axes
from pitwall.race.buffer import RowBuffer
from pitwall.race.gps import Gps
from pitwall.race.intake import Intake, Sorted
from pitwall.race.lap import Lap
from pitwall.race.laptimer import AFTER_LINE_S, MARGIN_S, Boundaries, Figures, LineTime, Way, figures, line_time
from pitwall.race.layouts import Layout, Layouts, StoredLayouts
from pitwall.race.pits import pit_marks, speed_at
from pitwall.race.place import Line, Sample, driven_scale
from pitwall.race.tracker import KEPT_S, LONGEST_HOLE_S, REOPEN_S, Tracker

Rows = NDArray[np.void]

#: A car's last row is believed when it is no further from the one before [s].
_LONGEST_SILENCE_S: Final = 600.0
_NAN = math.nan


class LapChange(Struct, array_like=True):
    """A lap that has ended, or whose figures have changed since it was reported."""

    lap: Lap
    corrected: bool


class Stored(Struct, array_like=True):
    """All that is remembered of a car, as it is stored."""

    points: int
    last_seq: int
    heard_s: float
    clock: int
    sessions: int
    tracker: Tracker
    intake: Intake
    axes: Axes
    laps: list[Lap]
    settled: int
    shift_s: float
    clock_sigma_s: float
    changed_from_s: float
    told_s: float
    reopened_s: float
    kept_from_s: float
    rows: bytes
    late: bytes
    waiting: bytes
    last_whole: bool
    offsets_g: tuple[float, float]
    tells_distance: bool
    gps: Gps
    layouts: StoredLayouts


class Car:
    """
    One car on one track.

    Args:
        track: None where it is not configured: the lap is then one sector.
        stored: what a predecessor remembered; None for a new car. The lap that goes on keeps its track then.

    Attributes:
        points: accepted since the last report.
        laps: the last ones that ended, oldest first.
        shift_s: what is to be added to the car's times for the time that all cars share [s].
        clock_sigma_s: how sure that is, as a standard deviation [s].
        told_s: the time up to which the trace was reported [s].
        heard_s: the latest ``meta_time`` [s since 1970].
        clock, sessions: how often the car's clock was set by now, 0 while it tells none; and at most so far.
        last_seq: the newest row's number.
    """

    def __init__(self, track: Track | None, stored: Stored | None = None) -> None:
        self._layouts = Layouts(track)
        self.points = 0
        self.last_seq = 0
        self.heard_s = -math.inf
        self.clock = self.sessions = 0
        self._begin()
        if stored is not None:
            self._restore(stored)
            self.change_track(track)

    def _begin(self) -> None:
        self.tracker, self.intake, self.axes = Tracker(), Intake(), Axes()
        self.buffer = RowBuffer()
        self.laps: list[Lap] = []
        self.shift_s = self.clock_sigma_s = 0.0
        self._settled = 0
        self._late: list[Rows] = []
        self._back_to_s = self._changed_from_s = math.inf
        self.told_s = -math.inf
        self._reopened_s = -math.inf
        self._waiting: Rows | None = None
        self._last_whole = False
        self._tells_distance = False
        self._gps = Gps()
        self._times: dict[tuple[int, float], LineTime] = {}
        self._offsets_g = (0.0, 0.0)

    @property
    def track(self) -> Track | None:
        """In force for laps that begin now; None where it is not configured."""
        return self._layouts.newest.track

    def change_track(self, track: Track | None) -> None:
        """Another track is in force for laps that begin from now on; the lap that goes on keeps its own."""
        self._layouts.change(track, self.intake.newest_s)

    def take(self, rows: Rows, counted_after: int = 0) -> None:
        """
        Take rows in, in the order in which they were accepted.

        Late ones are taken in as the car's own clock goes on, whatever the ticks: an
        import may lie behind the track's clock as a whole, and come in pieces of any size.

        Args:
            rows: of this car, of ``pitwall.rows.ROW``.
            counted_after: rows numbered up to this were reported before and are not counted again.
        """
        # Just after each row that may bring its clock past a multiple: however rows are cut, these are the same.
        turns = np.floor(np.concatenate(([self.intake.newest_s], rows["time_s"])) / REOPEN_S)
        first = 0
        for end in (*(np.flatnonzero(turns[1:] != turns[:-1]) + 1).tolist(), rows.size):
            if end > first:
                self._take_in(rows[first:end], counted_after)
                first = end
                # Before the first time there is no multiple, and nothing is less than that.
                if not self.intake.newest_s // REOPEN_S <= self._reopened_s // REOPEN_S:
                    self._reopen()

    def _reopen(self) -> None:
        self._reopened_s = self.intake.newest_s
        if not self._late:
            return
        late = np.concatenate(self._late)
        self._late = []
        if not self._tells_distance:
            late = self._gps.place(late, self._finish_line)
        times = late["time_s"]
        late = late[(times >= self.buffer.kept_from_s) & (times > self.tracker.goes_back_to_s)]
        if late.size:
            self._insert(late)
            self._follow()

    def _take_in(self, rows: Rows, counted_after: int) -> None:
        self.points += int(np.count_nonzero(rows["seq"] > counted_after))
        self.last_seq, self.heard_s = int(rows["seq"][-1]), max(self.heard_s, float(rows["meta_s"].max()))
        self.clock, self.sessions = int(rows["clock"][-1]), max(self.sessions, int(rows["clock"].max()))
        if self._waiting is not None:
            rows, self._waiting = np.concatenate([self._waiting, rows]), None
        found = self.intake.sort(rows["time_s"].tolist(), self._known)
        if found.anew:
            self._begin_anew()
            self.heard_s = float(rows["meta_s"][-1])
        if found.waits is not None:
            self._waiting = rows[found.waits : found.waits + 1].copy()
        if found.late:
            self._late.append(rows[found.late])
        if found.near:
            near = rows[found.near] if len(found.near) < rows.size else rows
            if found.close:
                near = self._thinned(near, found)
                if not near.size:
                    return
            self._last_whole = _whole(near[-1])
            kept = self.intake.worth(near["time_s"].tolist(), near["speed_kmh"].tolist())
            if len(kept) < near.size:
                near = near[kept]
                if not near.size:
                    return
            self.shift_s, self.clock_sigma_s = float(near["shift_s"][-1]), float(near["clock_sigma_s"][-1])
            if not self._tells_distance:
                self._tells_distance = bool(np.isfinite(near["lapdist_m"]).any())
                if not self._tells_distance:
                    near = self._gps.place(near, self._finish_line)
            self.axes.add(near, self.length_m)
            self._insert(near)
            self._follow()

    def tick(self, final: bool = False) -> list[LapChange]:
        """
        Compute the laps that have ended, and again those that rows were added to.

        Args:
            final: nothing more comes for now: late rows are taken in at once, and a lap
                ends although nothing was heard after its line.

        Returns:
            What ended or changed since the last call.
        """
        if final and self._waiting is not None:
            self._believe()
        if self._late and final:
            self._reopen()
        from_s, self._changed_from_s = self._changed_from_s, math.inf
        return self._settle(from_s, math.inf if final else self.tracker.place.time_s - AFTER_LINE_S)

    @property
    def unsettled(self) -> bool:
        """Whether there is something that only a final tick would take in."""
        lines = self.tracker.lines
        return bool(self._late) or self._waiting is not None or (len(lines) > 1 and lines[-1].number > self._settled)

    def current(self) -> Figures | None:
        """The figures of the lap that goes on; None before there is a row."""
        if not len(self.buffer):
            return None
        line = self.tracker.lines[-1] if self.tracker.lines else None
        layout = self.layout
        own_m = self.tracker.length(layout.length_m)
        begin_s = self._line_time(line).time_s if line is not None else _NAN
        from_s = self.lap_began_s
        return figures(
            self.buffer.between(from_s - MARGIN_S, math.inf),
            begin_s if math.isfinite(begin_s) else (_NAN if line is None else from_s),
            _NAN,
            _bounds(layout, own_m),
            (line.after_s if line is not None else -math.inf, math.inf),
            self._scale(layout, line, own_m),
            self._offsets_g,
        )

    @property
    def length_m(self) -> float:
        """The lap's now, NaN where the track is not configured [m]."""
        return self._layouts.newest.length_m

    @property
    def layout(self) -> Layout:
        """What the lap that goes on is measured by."""
        lines = self.tracker.lines
        return self._layouts.at(lines[-1].after_s if lines else -math.inf)

    def lap_so_far(self) -> Rows:
        """The rows of the lap that goes on; a view."""
        return self.buffer.between(self.lap_began_s, math.inf)

    @property
    def lap_began_s(self) -> float:
        """When the lap that goes on began, or the first row where no line was crossed [s]."""
        if self.tracker.lines:
            line = self.tracker.lines[-1]
            time_s = self._line_time(line).time_s
            return time_s if math.isfinite(time_s) else line.after_s
        return float(self.buffer.times[0]) if len(self.buffer) else math.inf

    def store(self) -> Stored:
        """All that is remembered; what is read back goes on just the same."""
        return Stored(
            self.points,
            self.last_seq,
            self.heard_s,
            self.clock,
            self.sessions,
            self.tracker,
            self.intake,
            self.axes,
            self.laps,
            self._settled,
            self.shift_s,
            self.clock_sigma_s,
            self._changed_from_s,
            self.told_s,
            self._reopened_s,
            self.buffer.kept_from_s,
            self.buffer.rows.tobytes(),
            np.concatenate(self._late).tobytes() if self._late else b"",
            self._waiting.tobytes() if self._waiting is not None else b"",
            self._last_whole,
            self._offsets_g,
            self._tells_distance,
            self._gps,
            self._layouts.store(),
        )

    def _restore(self, stored: Stored) -> None:
        dtype = self.buffer.rows.dtype
        self.points, self.last_seq, self.heard_s = stored.points, stored.last_seq, stored.heard_s
        self.clock, self.sessions = stored.clock, stored.sessions
        self.tracker, self.intake, self.axes = stored.tracker, stored.intake, stored.axes
        self.laps, self._settled = stored.laps, stored.settled
        self.shift_s, self.clock_sigma_s = stored.shift_s, stored.clock_sigma_s
        self._changed_from_s, self.told_s = stored.changed_from_s, stored.told_s
        self._reopened_s = stored.reopened_s
        self.buffer = RowBuffer(np.frombuffer(stored.rows, dtype), stored.kept_from_s)
        self._tells_distance, self._gps = stored.tells_distance, stored.gps
        self._last_whole, self._offsets_g = stored.last_whole, stored.offsets_g
        self._late = [np.frombuffer(stored.late, dtype)] if stored.late else []
        self._waiting = np.frombuffer(stored.waiting, dtype) if stored.waiting else None
        self._layouts.restore(stored.layouts)

    def _believe(self) -> None:
        """Take in the row that waits for a second one so far ahead, unless it is absurdly far."""
        waiting, self._waiting = self._waiting, None
        assert waiting is not None
        time_s = float(waiting["time_s"][0])
        if time_s - self.intake.newest_s > _LONGEST_SILENCE_S:
            self.intake.astray += 1
            return
        self.intake.newest_s = time_s
        self._insert(waiting)
        self._follow()

    def _thinned(self, near: Rows, found: Sorted) -> Rows:
        """The rows in time without those that come so thick and tell so much that the one before will do."""
        close = set(found.close)
        before, kept = self._last_whole, []
        for at, index in enumerate(found.near):
            whole = _whole(near[at])
            if not (index in close and whole and before):
                kept.append(at)
            before = whole
        return near[kept]

    def _known(self, from_s: float, to_s: float) -> int:
        """How many rows there are of a span of time; -1 where it is too long ago to tell."""
        if from_s < self.buffer.kept_from_s or not len(self.buffer) or from_s < self.buffer.times[0]:
            return -1
        return len(self.buffer.between(from_s, to_s))

    def _begin_anew(self) -> None:
        intake = self.intake
        self._begin()
        self._layouts.begin_anew()
        self.intake = intake

    def _insert(self, rows: Rows) -> None:
        """Put rows among the others, and note from when on the way is to be followed again."""
        first_s = float(rows["time_s"].min())
        self.buffer.add(rows)
        if first_s <= self.tracker.place.time_s:
            self._back_to_s = min(self._back_to_s, first_s)
            self._changed_from_s = min(self._changed_from_s, first_s)

    def _follow(self) -> None:
        """Follow the rows not followed yet; where some lie before others that were, go back to before them."""
        tracker = self.tracker
        if math.isfinite(self._back_to_s):
            at_s = tracker.go_back(self._back_to_s)
            self.told_s = min(self.told_s, at_s)
            self._times = {key: time for key, time in self._times.items() if key[1] + AFTER_LINE_S < self._back_to_s}
            self._back_to_s = math.inf
        else:
            at_s = tracker.place.time_s
        rows = self.buffer.after(at_s) if not math.isnan(at_s) else self.buffer.rows
        if rows.size:
            last = tracker.lines[-1] if tracker.lines else None
            columns = (rows[name].tolist() for name in ("time_s", "lap", "lapdist_m", "speed_kmh"))
            samples = list(map(Sample, *columns))
            taken = 0
            for end, length_m in self._layouts.parts(rows["time_s"]):
                # Those that wait for a sample of the speed are given again.
                taken += tracker.take(samples[taken:end], length_m)
            if last is not None and last not in tracker.lines:
                # It was taken to lie where it does not: the lap that ended there is to be computed again.
                self._changed_from_s = min(self._changed_from_s, last.before_s)

    def _settle(self, from_s: float, upto_s: float) -> list[LapChange]:
        """Compute the laps that have ended, and again those that rows were added to."""
        lines = self.tracker.lines
        changes: list[LapChange] = []
        known = {lap.number: lap for lap in self.laps}
        for first, last in pairwise(lines):
            if last.after_s > upto_s:
                if last.number <= self._settled:
                    self._changed_from_s = min(self._changed_from_s, from_s)
                break
            again = last.after_s + AFTER_LINE_S >= from_s
            if last.number <= self._settled and not again:
                continue
            if first.after_s - MARGIN_S < self.buffer.kept_from_s and last.number <= self._settled:
                continue
            lap = self._lap(first, last, known)
            before = known.get(lap.number)
            if lap != before:
                changes.append(LapChange(lap, before is not None))
                known[lap.number] = lap
            self._settled = max(self._settled, last.number)
        if changes:
            # A line that was not there after all takes its laps with it.
            numbers = {line.lap for line in lines[1:]}
            oldest = min(numbers, default=0)
            self.laps = [known[number] for number in sorted(known) if number in numbers or number < oldest][-60:]
        self._drop()
        return changes

    def _drop(self) -> None:
        """Drop what no late row can change any more."""
        newest_s = self.intake.newest_s
        tracker = self.tracker
        lines = tracker.lines
        while len(lines) > 2 and lines[1].after_s + MARGIN_S < newest_s - KEPT_S:
            del lines[0]
        keep_s = newest_s - KEPT_S
        if lines:
            keep_s = min(keep_s, lines[0].before_s - 2 * MARGIN_S)
        if len(self.buffer) and self.buffer.times[0] < keep_s - 10.0:
            self.buffer.drop_before(keep_s)
        tracker.forget_before(newest_s - KEPT_S)
        if len(tracker.trace) > 4000:
            del tracker.trace[:2000]
        if lines:
            self._layouts.drop_before(lines[0].before_s)
        for key in [key for key in self._times if not lines or key[1] < lines[0].after_s]:
            del self._times[key]

    def _line_time(self, line: Line) -> LineTime:
        key = (line.number, line.after_s)
        found = self._times.get(key)
        if found is None:
            rows = self.buffer.between(line.before_s - MARGIN_S, line.after_s + AFTER_LINE_S)
            found = line_time(rows, line)
            if self.tracker.place.time_s >= line.after_s + AFTER_LINE_S:
                self._times[key] = found
        return found

    def _scale(self, layout: Layout, line: Line | None, own_m: float) -> float:
        if line is not None and line.by == "number":
            return driven_scale(self.tracker.place, layout.length_m) if math.isfinite(layout.length_m) else 1.0
        if math.isfinite(layout.length_m) and math.isfinite(own_m):
            return layout.length_m / own_m
        return 1.0

    def _lap(self, first: Line, last: Line, known: dict[int, Lap]) -> Lap:
        began, ended = self._line_time(first), self._line_time(last)
        rows = self.buffer.between(first.before_s - MARGIN_S, last.after_s + AFTER_LINE_S)
        inside = rows[(rows["time_s"] >= first.after_s) & (rows["time_s"] < last.after_s)]
        clocks = np.unique(inside["clock"]) if inside.size else np.empty(0)
        whole = last.laps == 1 and last.whole
        timed = whole and math.isfinite(began.time_s) and math.isfinite(ended.time_s)
        if not math.isfinite(began.time_s):
            rows = rows[rows["time_s"] >= first.after_s]
        if not math.isfinite(ended.time_s):
            rows = rows[rows["time_s"] <= last.before_s]
        own_m = last.length_m if math.isfinite(last.length_m) else first.length_m
        layout = self._layouts.at(first.after_s)
        made = figures(
            rows,
            began.time_s,
            ended.time_s,
            _bounds(layout, own_m),
            (first.after_s, last.before_s),
            self._scale(layout, last, own_m),
        )
        cut = self.buffer.kept_from_s > first.before_s - MARGIN_S or _lacks(inside)
        estimated = began.estimated or ended.estimated or made.estimated or not timed or clocks.size > 1 or cut
        if timed and last.number >= self._settled:
            self._offsets_g = made.offsets_g
            if not self._tells_distance and not estimated:
                self._learn_way(rows, began.time_s, ended.time_s)
        number = last.lap
        marks = []
        if number == 1 and self.tracker.place.on_grid:
            marks.append("first")
        marks += pit_marks(self.buffer, first, last, inside, [known[each] for each in sorted(known) if each < number])
        if estimated:
            marks.append("estimated")
        start_s = began.time_s if math.isfinite(began.time_s) else first.after_s
        shift_s = float(inside["shift_s"][0]) if inside.size else self.shift_s
        sectors = _spans(made.crossings) if whole else (None,) * layout.sectors
        sent = inside["lap"][np.isfinite(inside["lap"]) & (inside["lap"] > 0) & (inside["lap"] < 32768)]
        return Lap(
            number,
            round(start_s + shift_s, 3),
            round(ended.time_s - began.time_s, 3) if timed else None,
            sectors,
            _spans(made.minis) if whole else (None,) * (made.minis.size - 1),
            tuple(round(float(each), 3) for each in made.stress),
            round(last.read_m, 2) if math.isfinite(last.read_m) else None,
            speed_at(rows, last.after_s),
            int(inside["seq"].min()) if inside.size else 0,
            int(inside["seq"].max()) if inside.size else 0,
            tuple(marks),
            int(sent[sent.size // 2]) if sent.size else None,
            layout.number,
        )

    @property
    def _finish_line(self) -> tuple[float, float] | None:
        return None if self.track is None else self.track.finish_line

    def _learn_way(self, rows: Rows, began_s: float, ended_s: float) -> None:
        """Learn the way around the track from a lap of a car that sends its position and no distance."""
        way = Way(rows)
        begun_m, end_m = np.interp((began_s, ended_s), way.times, way.driven)
        inside = (way.times >= began_s) & (way.times < ended_s)
        length_m = self.length_m if math.isfinite(self.length_m) else float(end_m - begun_m)
        if end_m > begun_m:
            scale = length_m / float(end_m - begun_m)
            self._gps.learn(rows[inside], (way.driven[inside] - begun_m) * scale, length_m)


def _bounds(layout: Layout, own_m: float) -> Boundaries:
    if math.isfinite(layout.length_m):
        return Boundaries(layout.length_m, layout.sectors_m)
    return Boundaries(own_m, ())


def _spans(moments: NDArray[np.float64]) -> tuple[float | None, ...]:
    """From each moment to the next, in whole milliseconds; None where one is not known."""
    spans = np.diff(np.round(moments * 1000)).tolist()
    return tuple(span / 1000 if math.isfinite(span) else None for span in spans)


def _whole(row: np.void) -> bool:
    """Whether a row has both what a place is told from and how fast the car was."""
    return bool(row["lapdist_m"] == row["lapdist_m"] and row["speed_kmh"] == row["speed_kmh"])


def _lacks(rows: Rows) -> bool:
    """Whether a part of a lap is missing, of a car that tells how fast it is."""
    spans = np.diff(rows["time_s"])
    return bool(spans.size and spans.max() > LONGEST_HOLE_S and np.isfinite(rows["speed_kmh"]).any())
