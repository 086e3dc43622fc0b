"""
The messages of the subprotocol ``pitwall.msgpack``: one MessagePack map each, with the members of the JSON message.

Points are told in columns. In place of ``data`` there are ``channels``, the names,
and ``rows``, a list a point in that order, in which nil is a channel that the point
has not. In place of ``ranges`` there are ``low`` and ``high``, rows likewise; nil
there is a channel that did not change. ``meta_time`` is a number [ms since 1970].

What makes it small: names are said once, times are no text, and a whole number of a
catalogued channel is an integer however it came: a brake that is not pressed is one
byte in place of nine. Other numbers are doubles; as float32 next to none of them
would stay what it is, 141.04 for one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from pitwall.model.channels import CHANNELS
from pitwall.wire.messages import Thinned

Rows = Sequence[Sequence[Any]]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
#: What stands first in ``channels``. A vendor's names come after these, as they are first seen.
_ABOUT: Final = ("meta_time", "track", "chassis")
_PLACES: Final = {name: place for place, name in enumerate((*_ABOUT, *CHANNELS))}
#: Whole numbers up to the highest engine speeds, and the integers told in their place: a look-up costs a third of
#: asking ``is_integer``. Not for a vendor's values, for false and true equal 0 and 1.
_whole: Callable[[Any, Any], Any] = {float(whole): whole for whole in range(-1000, 8001)}.get
#: The integers that MessagePack has.
_LEAST, _GREATEST = -(2**63), 2**64 - 1

_encode = msgspec.msgpack.Encoder().encode
# A decoder, unlike msgspec.convert, does not look at the type anew each time: 1 µs less a message.
_moments = msgspec.msgpack.Decoder(list[Annotated[datetime, msgspec.Meta(tz=True)] | None]).decode


class _Layout(NamedTuple):
    """
    The channels of a message.

    Attributes:
        names: in order.
        encoded: ``names`` as MessagePack.
        values: those of a point that has every channel, in order.
        about: how many of the names, the first ones, are of `_ABOUT`.
        numbers: how many of the names are of these or of the catalogue.
    """

    names: tuple[str, ...]
    encoded: msgspec.Raw
    values: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    about: int
    numbers: int


def telemetry_update(
    epoch: str, prev: int, seq: int, points: Sequence[Mapping[str, Any]], thinned: Thinned | None = None
) -> bytes:
    """
    The message of some of the points after ``prev`` up to ``seq``.

    Args:
        epoch: the run of the server.
        prev: the number before the first point that the message stands for.
        seq: the number of the last one.
        points: accepted points as decoded JSON, oldest first.
        thinned: what each of them stands for, where it stands for more than itself.
    """
    message: dict[str, Any] = {"type": "telemetry_update", "epoch": epoch, "seq": seq, "prev": prev}
    if thinned is None:
        layout, message["rows"] = _table(points)
        message["channels"] = layout.encoded
    else:
        layout, rows = _table(points, thinned.ranges)
        bounds = [[ranges.get(name, _UNCHANGED) for name in layout.names] for ranges in thinned.ranges]
        message |= {
            "conflated": sum(thinned.counts) - len(points),
            "counts": thinned.counts,
            "low": [[_whole(low, low) for low, _ in row] for row in bounds],
            "high": [[_whole(high, high) for _, high in row] for row in bounds],
            "channels": layout.encoded,
            "rows": rows,
        }
    return _packed(message)


def snapshot(
    epoch: str,
    seq: int,
    insight_seq: int,
    points: Sequence[Mapping[str, Any]],
    insight: Mapping[str, Any] | None,
) -> bytes:
    """The newest point of each car, oldest first, and the newest ``insight_update``, or nil."""
    layout, rows = _table(points)
    numbers = {"epoch": epoch, "seq": seq, "insight_seq": insight_seq}
    return _packed({"type": "snapshot", **numbers, "channels": layout.encoded, "rows": rows, "insight": insight})


def transcoded(payload: bytes | memoryview) -> bytes:
    """Any other message, from its JSON."""
    return _packed(msgspec.json.decode(payload))


_UNCHANGED: Final = (None, None)


def _table(points: Sequence[Mapping[str, Any]], ranges: Sequence[Mapping[str, Any]] = ()) -> tuple[_Layout, Rows]:
    """The channels of points, and of the ranges beside them, and the points as rows of these."""
    keys = dict.fromkeys(map(tuple, points))
    if len(keys) == 1 and not any(range_.keys() - points[0].keys() for range_ in ranges):
        layout = _layout(*keys)
        return layout, _told(list(map(layout.values, points)), layout)
    layout = _layout(tuple(dict.fromkeys(chain(*keys, *ranges))))
    return layout, _told([tuple(map(point.get, layout.names)) for point in points], layout)


# Which channels there are hardly ever changes; how many ways there are to name them is up to the vendors.
@lru_cache(maxsize=64)
def _layout(names: tuple[str, ...]) -> _Layout:
    ordered = tuple(sorted(names, key=lambda name: _PLACES.get(name, len(_PLACES))))
    about = sum(name in _ABOUT for name in names)
    numbers = sum(name in _PLACES for name in names)
    values = itemgetter(*ordered) if len(ordered) > 1 else lambda point: tuple(point.values())
    return _Layout(ordered, msgspec.Raw(_encode(ordered)), values, about, numbers)


def _told(rows: list[tuple[Any, ...]], layout: _Layout) -> Rows:
    """Rows with their times as numbers, and their whole numbers as integers."""
    about, numbers = layout.about, layout.numbers
    if layout.names[:1] != ("meta_time",):
        return [(*row[:about], *map(_whole, row[about:numbers], row[about:numbers]), *row[numbers:]) for row in rows]
    times = _times([row[0] for row in rows])
    return [
        (time, *row[1:about], *map(_whole, row[about:numbers], row[about:numbers]), *row[numbers:])
        for time, row in zip(times, rows, strict=True)
    ]


def _times(texts: list[str | None]) -> list[float | None]:
    """ISO 8601 texts in ms since 1970, integers where they are whole; read as the points were that have them."""
    told: list[float | None] = []
    for moment in _moments(_encode(texts)):
        if moment is None:
            told.append(None)
        else:
            time_ms: float = (moment - _EPOCH) / _MILLISECOND
            told.append(int(time_ms) if time_ms.is_integer() else time_ms)
    return told


def _packed(message: dict[str, Any]) -> bytes:
    try:
        return _encode(message)
    except OverflowError:
        return _encode(_bounded(message))


def _bounded(value: Any) -> Any:
    """The same with integers that MessagePack has not as doubles, which is what JavaScript reads in JSON too."""
    if isinstance(value, dict):
        return {name: _bounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_bounded, value))
    if type(value) is int and not _LEAST <= value <= _GREATEST:
        return float(value)
    return value
