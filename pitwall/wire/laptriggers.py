"""
The lap-trigger files: when a car began a lap, ended one, and how long that took.

TRD ships three files a race, ``lap_start``, ``lap_end`` and ``lap_time``, in three
layouts. Each has ``vehicle_id``, ``lap`` and ``timestamp``, which is true UTC here.
``value`` repeats that time, or is the lap time in ms, or is not there at all; the
kind of a file is told by its name, a lap time also by its value.

A trigger becomes a point with the fields ``lap``, ``lap_event`` (the kind) and, where
it makes sense, ``lap_time_s``; for the race, a lap that has ended is the next one
begun. One trigger is seen again and again by a loop: those of a kind that follow a
car's former one within `REPEATS_S` are merged with it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from pitwall.model.cars import CarNames
from pitwall.model.channels import CHANNELS, MAX_NAME, MAX_TEXT, UNKNOWN_LAPS
from pitwall.model.point import iso_text
from pitwall.wire.cells import cells_of
from pitwall.wire.errors import WireError, shown
from pitwall.wire.fields import moment, number, text
from pitwall.wire.points import Decoded, PointDecoder, Refusal
from pitwall.wire.tally import Lacking, Repair, Tally

#: No lap is so short [s].
REPEATS_S: Final = 10.0
#: A lap time below or above is none [s].
SHORTEST_S: Final = 10.0
LONGEST_S: Final = 1800.0
#: Triggers held to be put in order; a race has some 1,000.
_MOST_HELD: Final = 50_000
_US: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WANTED: Final = frozenset(("vehicle_id", "lap", "timestamp"))

#: The repairs made here, and what each one does.
REPAIRS: Final = {
    "repeated_trigger": "a lap trigger within 10 s of the same car's former one of its kind: merged with that",
    "bad_lap_time": "a lap time below 10 s or over 30 min: left out",
}


class _Trigger(NamedTuple):
    at_us: int
    line: int
    chassis: str
    track: str
    kind: str
    lap: int | None
    time_s: float | None
    bad_time: bool
    source: str | None


class TriggerTable:
    """
    The rows of one lap-trigger file.

    Args:
        names: the header's.
        kind: of the triggers, where the file's name tells it.
        cars, events, lacking: as for a joiner of rows.

    Attributes:
        tally: what became of the rows.
        mark: where in the text the next lines are.
        pending: rows held.
    """

    def __init__(
        self, names: Sequence[str], kind: str | None, cars: CarNames, events: Mapping[str, str], lacking: Lacking
    ) -> None:
        self.tally = Tally()
        self.mark = 0
        self.again = False
        self._names = tuple(names)
        self._kind = kind
        self._cars = cars
        self._events = events
        self._lacking = lacking
        self._held: list[_Trigger] = []
        self._held_from: int | None = None
        self._ready: list[_Trigger] = []
        self._ending = False
        self._seen: dict[tuple[str, str], list[int]] = {}

    @staticmethod
    def fit(names: Sequence[str]) -> bool:
        """Whether a header is that of a lap-trigger file."""
        return {*names} >= _WANTED and not {"lapdist_m", "speed", "speed_kmh", "chassis", "track"} & {*names}

    @property
    def released(self) -> dict[str, tuple[int | None, int | None, int]]:
        """All leave together, or none."""
        return {}

    @property
    def pending(self) -> int:
        """Rows that are held."""
        return len(self._held) + len(self._ready)

    @property
    def complete(self) -> bool:
        """Whether there is something for `leave` to take."""
        return bool(self._ready) or (self._ending and bool(self._held))

    @property
    def held_from(self) -> int | None:
        """The first mark whose rows have not all left; None without such rows."""
        return self._held_from if self.pending else None

    def held(self) -> int:
        """Rows that are held."""
        return self.pending

    def take(self, lines: Sequence[bytes], received_at: float) -> list[Refusal]:
        """Take lines in; returns those that were refused."""
        refused: list[Refusal] = []
        rows = 0
        before = len(self._held)
        self._ending = False
        for index, line in enumerate(lines):
            try:
                cells = cells_of(line, len(self._names))
                if cells is None:
                    continue
                rows += 1
                self._held.append(self._trigger(index, {n: c for n, c in zip(self._names, cells, strict=True) if c}))
                if self._held_from is None:
                    self._held_from = self.mark
            except WireError as error:
                rows += error.reason in ("not_utf8", "csv_fields")
                refused.append(Refusal.of(index, error))
        self.tally.rows += rows
        self.tally.refuse(error for _, error in refused)
        self.tally.samples += len(self._held) - before
        if len(self._held) > _MOST_HELD:
            self._sort()
        return refused

    def finish(self) -> None:
        """There are no further rows: let all leave, in the order of time."""
        self._ending = True

    def _sort(self) -> None:
        """Make ready what is held, without what is repeated."""
        held, self._held, self._held_from = sorted(self._held, key=attrgetter("at_us")), [], None
        for trigger in held:
            seen = self._seen.setdefault((trigger.chassis, trigger.kind), [])
            at = bisect_left(seen, trigger.at_us)
            near = [each for each in seen[max(at - 1, 0) : at + 1] if abs(each - trigger.at_us) < REPEATS_S * _US]
            if near:
                self.tally.samples -= 1
                self.tally.duplicates += 1
                self._repaired("repeated_trigger", trigger)
                continue
            seen.insert(at, trigger.at_us)
            if trigger.bad_time:
                self._repaired("bad_lap_time", trigger)
            if trigger.lap in UNKNOWN_LAPS:
                self._repaired("unknown_lap", trigger)
            self._ready.append(trigger)

    def recall(self, lines: Sequence[bytes]) -> None:
        """Remember triggers that an earlier reading has taken, so that repeated ones are merged with them."""
        tally, self.tally = self.tally, Tally()
        self.take(lines, 0.0)
        self._sort()
        self._ready.clear()
        self.tally = tally

    def leave(self, decoder: PointDecoder, received_at: float, most: int | None = None) -> Decoded:
        """The points of what may leave, at most so many."""
        if self._ending:
            self._sort()
        ready = self._ready if most is None else self._ready[:most]
        self._ready = self._ready[len(ready) :]
        decoded = decoder.objects(list(map(_encode, ready)), received_at)
        self.tally.left += len(decoded.points)
        self.tally.joined += len(decoded.points)
        self.tally.samples -= len(decoded.refused)
        self.tally.refuse(error for _, error in decoded.refused)
        if not decoded.refused:
            for trigger, point in zip(ready, decoded.points, strict=True):
                if trigger.lap is not None and trigger.lap not in UNKNOWN_LAPS:
                    point.lap = float(trigger.lap + (trigger.kind != "lap_start"))
        return decoded

    def _trigger(self, line: int, sent: Mapping[str, str]) -> _Trigger:
        vehicle = sent.get("vehicle_id") or self._lacking.chassis
        if not vehicle:
            raise WireError("missing_field", "vehicle_id is missing", "vehicle_id")
        event = sent.get("meta_event")
        track = sent.get("track") or self._events.get(event or "") or self._lacking.track
        if not track:
            raise WireError("missing_field", f"{shown(event)} is no event that is known", "meta_event")
        if "timestamp" not in sent:
            raise WireError("missing_field", "timestamp is missing", "timestamp")
        at_us = (moment(sent["timestamp"], "timestamp") - _EPOCH) // timedelta(microseconds=1)
        lap = int(number(CHANNELS["lap"], sent["lap"], "lap")) if "lap" in sent else None
        kind, time_s, bad_time = self._kind, None, False
        value = sent.get("value", "")
        if value and kind in (None, "lap_time"):
            try:
                time_s = float(value) / 1000
                kind = "lap_time"
            except ValueError:
                pass  # a time of day: the timestamp once more
        if kind is None:
            raise WireError("missing_field", "neither the name nor a value tells which lap trigger this is", "value")
        if time_s is not None and not SHORTEST_S <= time_s <= LONGEST_S:
            time_s, bad_time = None, True
        source = sent.get("meta_source")
        return _Trigger(
            at_us,
            line,
            self._cars.name(text(vehicle, "vehicle_id", MAX_NAME)),
            text(track, "track", MAX_NAME),
            kind,
            lap,
            time_s,
            bad_time,
            None if source is None else text(source, "meta_source", MAX_TEXT),
        )

    def _repaired(self, name: str, trigger: _Trigger) -> None:
        self.tally.repairs[Repair(name, trigger.track, trigger.chassis)] += 1


def _encode(trigger: _Trigger) -> bytes:
    content: dict[str, Any] = {
        "meta_time": iso_text(_EPOCH + timedelta(microseconds=trigger.at_us)),
        "track": trigger.track,
        "chassis": trigger.chassis,
    }
    if trigger.lap is not None and trigger.lap not in UNKNOWN_LAPS:
        content["lap"] = trigger.lap
    content["lap_event"] = trigger.kind
    if trigger.time_s is not None:
        content["lap_time_s"] = trigger.time_s
    if trigger.source is not None:
        content["raw_source"] = trigger.source
    return msgspec.json.encode(content)
