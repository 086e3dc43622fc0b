"""
From rows of the long form to points: the samples of one car at one instant are one point.

The instant is the car's own clock, ``timestamp``. When a channel comes again in an
instant although ``meta_time`` has moved on by `STOPPED_S`, that clock has stopped:
``meta_time`` takes its place until the clock shows something else. Rows without a
``timestamp`` go by ``meta_time`` anyway.

A point holds the channels that came and nothing else. The same channel of the same
instant again is a duplicate when its value is the same, and conflicting otherwise:
the first one stays. Both are counted, as is every other repair.

::

    rows ── of one instant? ──> open instant ── later instant, or 50 ms ──> point      live: `LiveJoiner`
                                held instants ── window full, or the end ──> points    a file: `FileJoiner`

Live, an instant that has left is remembered for `RECALL_S` of the car's clock, so that
a duplicate is known again; a further channel of it makes a point of its own. A file's
instants are held in a window and leave in the order of the car's clock.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heapreplace
from itertools import chain, islice
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from pitwall.model.cars import CarNames
from pitwall.model.channels import ALIASES, CHANNELS, MAX_NAME, MAX_TEXT, TEXT_ALIASES, UNKNOWN_LAPS
from pitwall.model.point import iso_text
from pitwall.wire.errors import WireError, shown
from pitwall.wire.fields import moment, number, scalar, text, vendor_name
from pitwall.wire.longform import LongRow
from pitwall.wire.points import NO_ROW, Decoded, PointDecoder, Refusal
from pitwall.wire.tally import NOTHING, Lacking, Repair, Tally

#: A live instant is complete so long after its first row, at the latest [s].
WAIT_S: Final = 0.05
#: A car's clock has stopped when a channel comes again in an instant after so long by ``meta_time`` [s].
STOPPED_S: Final = 0.2
#: For so long an instant that has left is remembered [s of the car's clock], and so many of them.
RECALL_S: Final = 5.0
_MOST_REMEMBERED: Final = 512
#: A car whose rows are so much older than its newest one has had its clock put back [s].
_PUT_BACK_S: Final = 10.0
#: The most channels one instant has; with what else a point says there are fewer than its most fields.
_MOST_CHANNELS: Final = 88
#: Cars that are followed at a time by one door.
_MOST_CARS: Final = 1024
#: Rows that a file's window holds: a lap of one car is some 25,000.
WINDOW_ROWS: Final = 131_072
_MOST_SPECS: Final = 1024
_US: Final = 1_000_000
_PLAIN_LENGTH: Final = 24
_LONG_AGO_US: Final = -(1 << 62)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

#: The repairs made here, and what each one does.
REPAIRS: Final = {
    "duplicate_row": "the same car, instant, channel and value again: dropped",
    "conflicting_row": "the same car, instant and channel with another value: the first one stays",
    "unknown_lap": "a point whose lap is 0 or 32768: the lap is left out",
    "conflicting_lap": "an instant with two lap numbers: the first one stays",
    "late_row": "a sample whose instant had left already: a point of its own",
    "taken_before": "a row of an object that was taken before the server was restarted: dropped",
    "clock_stopped": "a car's clock that stands still: `meta_time` takes its place until it moves",
}


class _Spec(NamedTuple):
    key: str
    low: float
    high: float


class Instant:
    """The samples of one car at one moment, as far as they have come."""

    __slots__ = (
        "at_us",
        "car",
        "deadline_s",
        "lap",
        "mark",
        "meta_us",
        "number",
        "sent",
        "source",
        "stamp",
        "to_leave",
        "track",
        "values",
    )

    def __init__(self, car: _Car, at_us: int, stamp: str | None, meta_us: int, mark: int) -> None:
        self.car = car
        #: Where it stands among the others of its car [µs].
        self.at_us = at_us
        #: The car's clock, as it was sent.
        self.stamp = stamp
        self.meta_us = meta_us
        self.mark = mark
        self.lap: int | None = None
        self.track = ""
        self.source: str | None = None
        self.values: dict[str, Any] = {}
        #: So many of the values have left.
        self.sent = 0
        self.deadline_s = math.inf
        #: The how many-th of its file it was.
        self.number = 0
        #: Whether it is held, or on its way out.
        self.to_leave = True


class _Car:
    __slots__ = (
        "ages",
        "arrival_us",
        "chassis",
        "instants",
        "newest_us",
        "open",
        "released_us",
        "stopped_meta_us",
        "stopped_us",
    )

    def __init__(self, chassis: str) -> None:
        self.chassis = chassis
        self.instants: dict[int, Instant] = {}
        self.ages: deque[int] = deque()
        self.newest_us = self.released_us = self.arrival_us = _LONG_AGO_US
        self.open: Instant | None = None
        self.stopped_us: int | None = None
        self.stopped_meta_us = 0


class Joiner:
    """
    Joins rows to instants; what to do with an instant is told by those below.

    Args:
        names: the name each car goes by.
        events: the track of each ``meta_event``.
        lacking: for rows that do not say their track or car.
    """

    def __init__(self, names: CarNames, events: Mapping[str, str], lacking: Lacking = NOTHING) -> None:
        self.tally = Tally()
        self._names = names
        self._events = events
        self._lacking = lacking
        self._cars: dict[str, _Car] = {}
        #: The car by whatever it was called.
        self._spellings: dict[str, _Car] = {}
        self._specs: dict[str, _Spec] = {}
        self._done: list[Instant] = []
        # What was looked at last is what comes next, as a rule.
        self._sent: tuple[str | None, ...] | None = None
        self._origin: tuple[str, str | None] = ("", None)
        self._lap_sent: float | str | None = None
        self._lap_number = 0
        #: Rows taken whose values are not in a point yet.
        self.pending = 0
        #: A place in the text that the rows are from; an instant keeps that of its first row.
        self.mark = 0

    def take(
        self,
        rows: Sequence[LongRow],
        received_at: float,
        lines: Sequence[int] | None = None,
        came: int | None = None,
    ) -> list[Refusal]:
        """
        Take rows in, in order.

        Args:
            rows: as they came.
            received_at: when [s since 1970], for rows without any time.
            lines: the number of each row, for refusals; by default they are counted from 0.
            came: how many came, where that was counted before they were decoded; by default as many as there are.

        Returns:
            The rows that were refused.
        """
        refused: list[Refusal] = []
        tally, specs = self.tally, self._specs
        tally.rows += len(rows) if came is None else came
        before = tally.duplicates
        stamp = meta_time = vehicle_id = lap = None
        instant: Instant | None = None
        values: dict[str, Any] = {}
        for index, row in enumerate(rows):
            try:
                if (
                    row.timestamp != stamp
                    or row.meta_time != meta_time
                    or row.vehicle_id != vehicle_id
                    or row.lap != lap
                    or instant is None
                ):
                    instant = None
                    instant = self._enter(row, received_at)
                    values = instant.values
                    stamp, meta_time, vehicle_id, lap = row.timestamp, row.meta_time, row.vehicle_id, row.lap
                key, low, high = specs.get(row.telemetry_name) or self._spec(row.telemetry_name)
                value = row.telemetry_value
                if type(value) is not float or not low <= value <= high:
                    value = self._checked(row.telemetry_name, key, value)
                if key in values:
                    instant = self._again(instant, row, key, value, received_at)
                    values = instant.values
                else:
                    if len(values) >= _MOST_CHANNELS:
                        raise WireError("too_many_fields", f"an instant of over {_MOST_CHANNELS} channels")
                    values[key] = value
            except WireError as error:
                refused.append(Refusal.of(lines[index] if lines is not None else index, error))
        tally.refuse(error for _, error in refused)
        samples = len(rows) - len(refused) - (tally.duplicates - before)
        tally.samples += samples
        self.pending += samples
        self._taken()
        return refused

    def leave(self, decoder: PointDecoder, received_at: float, most: int | None = None) -> Decoded:
        """
        The points of the instants that are complete, at most so many instants.

        What the decoder refuses of them all the same (a point that is too long) is
        in the refusals, once for each of its rows.
        """
        done, self._done = self._done, []
        if most is not None and len(done) > most:
            done, self._done = done[:most], done[most:]
        raws, leaving = [], []
        for instant in done:
            instant.to_leave = False
            self._left(instant)
            fresh = dict(islice(instant.values.items(), instant.sent, None))
            if fresh:
                raws.append(self._encode(instant, fresh))
                leaving.append((instant, len(instant.values) - instant.sent))
                self.pending -= leaving[-1][1]
                instant.sent = len(instant.values)
        decoded = decoder.objects(raws, received_at)
        refused: list[Refusal] = []
        if decoded.refused:
            for row, error in decoded.refused:
                count = leaving[row][1]
                refused += [Refusal(NO_ROW, error)] * count
                self.tally.samples -= count
                self.tally.refuse([error] * count)
            wrong = {row for row, _ in decoded.refused}
            leaving = [left for index, left in enumerate(leaving) if index not in wrong]
        self.tally.joined += len(decoded.points)
        for (instant, count), point in zip(leaving, decoded.points, strict=True):
            self.tally.left += count
            if instant.lap is not None and instant.lap in UNKNOWN_LAPS:
                point.lap = float(instant.lap)  # it says that it is not known, which is more than nothing
        return Decoded(decoded.points, decoded.raws, refused)

    @property
    def complete(self) -> bool:
        """Whether there are instants for `leave` to take."""
        return bool(self._done)

    def _enter(self, row: LongRow, received_at: float) -> Instant:
        """The instant that a row belongs to."""
        car = self._car(row.vehicle_id)
        if row.meta_time:
            meta_us = _micros(row.meta_time, "meta_time")
        else:
            meta_us = int(received_at * 1000) * 1000
            if not row.timestamp:
                meta_us = max(meta_us, car.arrival_us)
        stamp_us = _micros(row.timestamp, "timestamp") if row.timestamp else None
        at_us = meta_us if stamp_us is None else stamp_us
        if car.stopped_us is not None:
            if stamp_us == car.stopped_us:
                at_us = stamp_us + meta_us - car.stopped_meta_us
            else:
                # By that it goes on long before what took its place.
                car.stopped_us, car.newest_us = None, _LONG_AGO_US
        instant = car.instants.get(at_us)
        lap = None if row.lap is None or row.lap == "" else self._lap(row.lap)
        if instant is None:
            if (row.track, row.circuit, row.meta_event, row.meta_source) != self._sent:
                self._origin = self._place(row)
                self._sent = (row.track, row.circuit, row.meta_event, row.meta_source)
            instant = Instant(car, at_us, row.timestamp or None, meta_us, self.mark)
            instant.track, instant.source = self._origin
            instant.lap = lap
            car.instants[at_us] = instant
            self._entered(instant, received_at)
        else:
            if not instant.to_leave:
                instant.to_leave = True
                self._entered(instant, received_at)
            instant.meta_us = min(instant.meta_us, meta_us)
            if lap is not None and lap != instant.lap:
                if instant.lap is None or instant.lap in UNKNOWN_LAPS:
                    instant.lap = lap
                elif lap not in UNKNOWN_LAPS:
                    self._repaired("conflicting_lap", instant)
        return instant

    def _again(self, instant: Instant, row: LongRow, key: str, value: Any, received_at: float) -> Instant:
        """A channel has come again in an instant; returns the instant it belongs to."""
        car = instant.car
        if row.timestamp and car.stopped_us is None and row.meta_time:
            meta_us = _micros(row.meta_time, "meta_time")
            if abs(meta_us - instant.meta_us) >= STOPPED_S * _US:
                car.stopped_us, car.stopped_meta_us = _micros(row.timestamp, "timestamp"), instant.meta_us
                self._repaired("clock_stopped", instant)
                instant = self._enter(row, received_at)
                if key not in instant.values:
                    instant.values[key] = value
                    return instant
        if not row.timestamp and not row.meta_time:
            # Without any time the channel itself tells that this is another instant.
            while key in instant.values:
                car.arrival_us = instant.at_us + 1000
                instant = self._enter(row, received_at)
            instant.values[key] = value
            return instant
        self.tally.duplicates += 1
        self._repaired("duplicate_row" if instant.values[key] == value else "conflicting_row", instant)
        return instant

    def _car(self, vehicle_id: str) -> _Car:
        found = self._spellings.get(vehicle_id)
        if found is not None:
            return found
        sent = vehicle_id or self._lacking.chassis
        if not sent:
            raise WireError("missing_field", "vehicle_id is missing", "vehicle_id")
        name = self._names.name(text(sent, "vehicle_id", MAX_NAME))
        found = self._cars.get(name)
        if found is None:
            while len(self._cars) >= _MOST_CARS:
                gone = self._cars.pop(next(iter(self._cars)))
                self._spellings.clear()
                self._forget(gone)
            found = self._cars[name] = _Car(name)
        self._spellings[vehicle_id] = found
        return found

    def _spec(self, name: str) -> _Spec:
        """What the values of a channel are checked by."""
        known = ALIASES.get(name, name)
        channel = CHANNELS.get(known)
        if channel is not None:
            whole = channel.integer
            spec = _Spec(known, math.inf if whole else channel.low, -math.inf if whole else channel.high)
        else:
            if known in TEXT_ALIASES or known == "timestamp":
                raise WireError("bad_name", f"{shown(name)} is no channel", "telemetry_name")
            spec = _Spec(vendor_name(name), -1.7e308, 1.7e308)
        if len(self._specs) < _MOST_SPECS:
            self._specs[name] = spec
        return spec

    @staticmethod
    def _checked(name: str, key: str, value: Any) -> Any:
        channel = CHANNELS.get(key)
        if value is None or value == "":
            raise WireError("missing_field", f"{shown(name)} has no value", "telemetry_value")
        return number(channel, value, name) if channel is not None else scalar(value, name)

    def _place(self, row: LongRow) -> tuple[str, str | None]:
        """The track and the source of a row."""
        track = row.track or row.circuit or self._events.get(row.meta_event or "") or self._lacking.track
        if not track:
            wanted = f"{shown(row.meta_event)} is no event that is known" if row.meta_event else "track is missing"
            raise WireError("missing_field", wanted, "meta_event" if row.meta_event else "track")
        return text(track, "track", MAX_NAME), text(
            row.meta_source, "meta_source", MAX_TEXT
        ) if row.meta_source else None

    def _lap(self, lap: float | str) -> int:
        if lap != self._lap_sent:
            self._lap_number = int(number(CHANNELS["lap"], lap, "lap"))
            self._lap_sent = lap
        return self._lap_number

    def _encode(self, instant: Instant, fresh: dict[str, Any]) -> bytes:
        """The JSON of an instant's point; fields in the order of the contract."""
        content: dict[str, Any] = {
            "meta_time": iso_text(_EPOCH + timedelta(microseconds=instant.meta_us)),
            "track": instant.track,
            "chassis": instant.car.chassis,
        }
        lap = fresh.pop("lap", None)
        if lap is not None:
            instant.lap = lap
        if instant.lap is not None:
            if instant.lap in UNKNOWN_LAPS:
                self._repaired("unknown_lap", instant)
            else:
                content["lap"] = instant.lap
        content.update(fresh)
        if instant.stamp is not None:
            content["timestamp"] = instant.stamp
        if instant.source is not None:
            content["raw_source"] = instant.source
        if instant.sent:
            self._repaired("late_row", instant, len(fresh) + (lap is not None))
        return msgspec.json.encode(content)

    def _repaired(self, name: str, instant: Instant, count: int = 1) -> None:
        self.tally.repairs[Repair(name, instant.track, instant.car.chassis)] += count

    def held(self) -> int:
        """The rows whose values are in no point yet, counted in the instants themselves; `pending` keeps account."""
        return sum(map(_fresh, self._done)) + sum(map(_fresh, self._open()))

    def _open(self) -> Iterable[Instant]:
        """The instants that are not complete."""
        raise NotImplementedError

    def _entered(self, instant: Instant, received_at: float) -> None:
        """An instant has something new; decide when it leaves."""
        raise NotImplementedError

    def _taken(self) -> None:
        """All rows of a call have been taken."""
        raise NotImplementedError

    def _left(self, instant: Instant) -> None:
        """An instant has left."""

    def _forget(self, car: _Car) -> None:
        """A car is followed no longer: let leave what it has."""
        raise NotImplementedError


class LiveJoiner(Joiner):
    """For rows as they come: an instant leaves as soon as it is complete."""

    def __init__(self, names: CarNames, events: Mapping[str, str], lacking: Lacking = NOTHING) -> None:
        super().__init__(names, events, lacking)
        self._late: list[Instant] = []
        self._waiting: dict[_Car, float] = {}

    @property
    def waiting(self) -> bool:
        """Whether an instant waits for its time to be over."""
        return bool(self._waiting)

    def overdue(self, now: float) -> None:
        """Complete the instants that have waited long enough; ``now`` as in ``received_at``."""
        for car, deadline_s in tuple(self._waiting.items()):
            if now >= deadline_s:
                self._complete(car)

    def _open(self) -> Iterable[Instant]:
        return [car.open for car in self._waiting if car.open is not None]

    def _complete(self, car: _Car) -> None:
        if car.open is not None:
            self._done.append(car.open)
            car.open = None
        self._waiting.pop(car, None)

    def _forget(self, car: _Car) -> None:
        self._complete(car)

    def _entered(self, instant: Instant, received_at: float) -> None:
        car = instant.car
        if not instant.sent:
            car.ages.append(instant.at_us)
        if car.newest_us - _PUT_BACK_S * _US <= instant.at_us <= car.newest_us:
            if instant is not car.open:
                self._late.append(instant)
            return
        self._complete(car)
        car.open, car.newest_us = instant, instant.at_us
        self._waiting[car] = received_at + WAIT_S
        oldest_us = car.newest_us - RECALL_S * _US
        while car.ages[0] < oldest_us or len(car.ages) > _MOST_REMEMBERED:
            # Should it have something to leave with, whoever lets it leave has it too.
            car.instants.pop(car.ages.popleft(), None)

    def _taken(self) -> None:
        self._done += self._late
        self._late.clear()


class FileJoiner(Joiner):
    """
    For the rows of a file: instants are held, and leave in the order of their car's clock.

    Args:
        names, events, lacking: as for every joiner.
        window: so many rows are held at most.
        released: where an earlier reading of the same file stood, from `released`;
            its rows from `held_from` on come once more.

    Attributes:
        again: set while rows come that an earlier reading has seen: what it let leave is dropped.
    """

    def __init__(
        self,
        names: CarNames,
        events: Mapping[str, str],
        lacking: Lacking = NOTHING,
        window: int = WINDOW_ROWS,
        released: Mapping[str, Sequence[int | None]] = MappingProxyType({}),
    ) -> None:
        super().__init__(names, events, lacking)
        self.again = False
        self._window = window
        self._late: list[Instant] = []
        self._gone: list[Instant] = []
        self._ending = False
        self._recalling = False
        self._count = 0
        #: By car, in the order of its clock.
        self._held_by_car: dict[_Car, list[Instant]] = {}
        self._marks: Counter[int] = Counter()
        for chassis, (released_us, stopped_us, stopped_meta_us) in released.items():
            name = self._names.name(chassis)
            car = self._cars[name] = _Car(name)
            car.released_us = _LONG_AGO_US if released_us is None else released_us
            car.stopped_us, car.stopped_meta_us = stopped_us, stopped_meta_us or 0

    @property
    def complete(self) -> bool:
        """Whether there are instants for `leave` to take."""
        return bool(self._done) or (self._ending and bool(self._held_by_car))

    @property
    def held_from(self) -> int | None:
        """The first mark whose rows are not all in points yet; None without such rows."""
        return min(self._marks, default=None)

    @property
    def released(self) -> dict[str, tuple[int | None, int | None, int]]:
        """How far each car's points have left, and whether its clock stands still, for a later reading."""
        return {
            car.chassis: (
                None if car.released_us == _LONG_AGO_US else car.released_us,
                car.stopped_us,
                car.stopped_meta_us,
            )
            for car in self._cars.values()
        }

    def leave(self, decoder: PointDecoder, received_at: float, most: int | None = None) -> Decoded:
        """The points of the instants that are complete, at most so many instants."""
        if self._ending:
            self._release(0, most)
        return super().leave(decoder, received_at, most)

    def recall(self, rows: Sequence[LongRow]) -> None:
        """Remember rows that an earlier reading has taken, to know their duplicates; nothing else comes of them."""
        tally, self.tally = self.tally, Tally()
        self._recalling = True
        self.take(rows, 0.0)
        self._recalling = False
        self.tally = tally

    def finish(self) -> None:
        """There are no further rows: let all leave."""
        self._ending = True

    def _open(self) -> Iterable[Instant]:
        return chain.from_iterable(self._held_by_car.values())

    def _entered(self, instant: Instant, received_at: float) -> None:
        self._ending = False
        instant.mark = self.mark
        self._count += 1
        instant.number = self._count
        self._marks[self.mark] += 1
        car = instant.car
        if self._recalling:
            self._gone.append(instant)
            car.ages.append(instant.at_us)
        elif instant.at_us > car.released_us:
            held = self._held_by_car.setdefault(car, [])
            if held and held[-1].at_us > instant.at_us:
                insort(held, instant, key=attrgetter("at_us"))
            else:
                held.append(instant)
        elif self.again:
            self._gone.append(instant)
        else:
            self._late.append(instant)

    def _taken(self) -> None:
        for instant in self._gone:
            count = _fresh(instant)
            instant.sent = len(instant.values)
            instant.to_leave = False
            self.pending -= count
            self.tally.samples -= count
            self.tally.duplicates += count
            self._repaired("taken_before", instant, count)
            self._left(instant)
        self._gone.clear()
        self._done += self._late
        self._late.clear()
        if self.pending > self._window:
            self._release(self._window, None)

    def _forget(self, car: _Car) -> None:
        self._done += self._held_by_car.pop(car, [])

    def _release(self, keep: int, most: int | None) -> None:
        """Let the oldest instants leave, until only so many rows are held, or so many instants are on their way."""
        held_by_car = self._held_by_car
        excess = self.pending - keep - sum(map(_fresh, self._done))
        # Among cars, whose clocks are days apart, by arrival at the end. Until then, by what was read first: of the
        # car that is read now, a lap may be half there, however early that was.
        rank = attrgetter("meta_us" if self._ending else "number")
        heads = [(rank(held[0]), number, held, 0) for number, held in enumerate(held_by_car.values())]
        heapify(heads)
        taken: dict[int, int] = {}
        # At the end those go too of whose rows none was good.
        while heads and (excess > 0 or not keep) and (most is None or len(self._done) < most):
            latest, number, held, at = heads[0]
            instant = held[at]
            excess -= _fresh(instant)
            self._done.append(instant)
            instant.car.released_us = instant.at_us
            taken[number] = at = at + 1
            if at < len(held):
                heapreplace(heads, (max(latest, rank(held[at])), number, held, at))
            else:
                heappop(heads)
        for number, (car, held) in enumerate(tuple(held_by_car.items())):
            gone = held[: taken.get(number, 0)]
            del held[: len(gone)]
            if not held:
                del held_by_car[car]
            car.ages.extend(instant.at_us for instant in gone)
            while car.ages and (car.ages[0] < car.released_us - RECALL_S * _US or len(car.ages) > _MOST_REMEMBERED):
                car.instants.pop(car.ages.popleft(), None)

    def _left(self, instant: Instant) -> None:
        self._marks[instant.mark] -= 1
        if self._marks[instant.mark] <= 0:
            del self._marks[instant.mark]


def _fresh(instant: Instant) -> int:
    """The rows whose values have not left."""
    return len(instant.values) - instant.sent


def _micros(value: str, name: str) -> int:
    """A time from its text [µs since 1970]."""
    # The loggers' own form, 2025-09-06T18:40:41.926Z, needs no closer look.
    if (
        len(value) == _PLAIN_LENGTH
        and value[10] == "T"
        and value[19] == "."
        and value[4] == value[7] == "-"
        and value[-1] == "Z"
    ):
        try:
            return (datetime.fromisoformat(value) - _EPOCH) // _MICROSECOND
        except ValueError:
            pass
    # In whole numbers: as a float the last moment of the year 9999 would be the first one after it.
    return (moment(value, name) - _EPOCH) // _MICROSECOND
