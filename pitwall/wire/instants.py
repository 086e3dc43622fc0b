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

from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pitwall.wire.fields import moment

#: For so long an instant that has left is remembered [s of the car's clock], and so many of them.
RECALL_S: Final = 5.0
MOST_REMEMBERED: Final = 512
#: Microseconds of a second.
US: Final = 1_000_000
LONG_AGO_US: Final = -(1 << 62)
_PLAIN_LENGTH: Final = 24
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

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


class Instant:
    """The samples of one car at one moment, as far as they have come."""

    __slots__ = (
        "at_us",
        "car",
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

    def __init__(self, car: Followed, at_us: int, stamp: str | None, meta_us: int, mark: int) -> None:
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
        #: The how many-th of its file it was.
        self.number = 0
        #: Whether it is held, or on its way out.
        self.to_leave = True


class Followed:
    """A car whose rows come: its instants that are remembered, and where its clock stands."""

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
        self.newest_us = self.released_us = self.arrival_us = LONG_AGO_US
        self.open: Instant | None = None
        self.stopped_us: int | None = None
        self.stopped_meta_us = 0


def fresh_rows(instant: Instant) -> int:
    """The rows whose values have not left."""
    return len(instant.values) - instant.sent


def micros(value: str, name: str) -> int:
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
