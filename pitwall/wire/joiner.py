"""Joins rows of the long form to instants, whatever becomes of these: what live rows and those of a file share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec

from pitwall.model.cars import CarNames
from pitwall.model.channels import ALIASES, CHANNELS, MAX_NAME, MAX_TEXT, TEXT_ALIASES, UNKNOWN_LAPS
from pitwall.model.point import iso_text
from pitwall.wire.errors import WireError, shown
from pitwall.wire.fields import number, scalar, text, vendor_name
from pitwall.wire.instants import LONG_AGO_US, US, Followed, Instant, fresh_rows, micros
from pitwall.wire.longform import LongRow
from pitwall.wire.points import NO_ROW, Decoded, PointDecoder, Refusal
from pitwall.wire.tally import NOTHING, Lacking, Repair, Tally

#: A car's clock has stopped when a channel comes again in an instant after so long by ``meta_time`` [s].
STOPPED_S: Final = 0.2
#: The most channels one instant has; with what else a point says there are fewer than its most fields.
_MOST_CHANNELS: Final = 88
#: Cars that are followed at a time by one door.
_MOST_CARS: Final = 1024
_MOST_SPECS: Final = 1024
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Spec(NamedTuple):
    key: str
    low: float
    high: float


class Joiner(ABC):
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
        self._cars: dict[str, Followed] = {}
        #: The car by whatever it was called.
        self._spellings: dict[str, Followed] = {}
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
            meta_us = micros(row.meta_time, "meta_time")
        else:
            meta_us = int(received_at * 1000) * 1000
            if not row.timestamp:
                meta_us = max(meta_us, car.arrival_us)
        stamp_us = micros(row.timestamp, "timestamp") if row.timestamp else None
        at_us = meta_us if stamp_us is None else stamp_us
        if car.stopped_us is not None:
            if stamp_us == car.stopped_us:
                at_us = stamp_us + meta_us - car.stopped_meta_us
            else:
                # By that it goes on long before what took its place.
                car.stopped_us, car.newest_us = None, LONG_AGO_US
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
            meta_us = micros(row.meta_time, "meta_time")
            if abs(meta_us - instant.meta_us) >= STOPPED_S * US:
                car.stopped_us, car.stopped_meta_us = micros(row.timestamp, "timestamp"), instant.meta_us
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

    def _car(self, vehicle_id: str) -> Followed:
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
            found = self._cars[name] = Followed(name)
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
        return sum(map(fresh_rows, self._done)) + sum(map(fresh_rows, self._open()))

    @abstractmethod
    def _open(self) -> Iterable[Instant]:
        """The instants that are not complete."""

    @abstractmethod
    def _entered(self, instant: Instant, received_at: float) -> None:
        """An instant has something new; decide when it leaves."""

    @abstractmethod
    def _taken(self) -> None:
        """All rows of a call have been taken."""

    @abstractmethod
    def _left(self, instant: Instant) -> None:
        """An instant has left."""

    @abstractmethod
    def _forget(self, car: Followed) -> None:
        """A car is followed no longer: let leave what it has."""
