"""
Messages of the subprotocol ``pitwall.msgpack``, as the JSON says them.

Points and ranges come in columns. They are handed out as in JSON, so that a program
need not know which of the two it reads; only ``meta_time``, a number on the way, is
always text of one form then, in UTC with milliseconds or, where it has them, microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

SUBPROTOCOL = "pitwall.msgpack"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST = (
    (end.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) for end in (datetime.min, datetime.max)
)


def unpacker() -> Callable[[bytes], Any]:
    """
    What reads a message.

    Raises:
        ModuleNotFoundError: the package ``msgpack`` is not installed.
    """
    import msgpack

    def unpack(payload: bytes) -> Any:
        try:
            return in_rows(msgpack.unpackb(payload, strict_map_key=False))
        except (ValueError, TypeError, msgpack.UnpackException):  # TypeError: a list for a name
            return None  # no message, which the stream says

    return unpack


def in_rows(content: Any) -> Any:
    """
    A message with ``data`` and ``ranges`` in place of columns; one that has none is left as it is.

    Raises:
        ValueError: its columns do not fit.
    """
    if not isinstance(content, dict) or "rows" not in content:
        return content
    try:
        channels, rows = content.pop("channels"), content.pop("rows")
        if "low" in content:
            bounds = zip(content.pop("low"), content.pop("high"), strict=True)
            content["ranges"] = [_ranges(channels, low, high) for low, high in bounds]
        content["data"] = [_point(channels, row) for row in rows]
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("columns that do not fit") from error
    return content


def _point(channels: list[str], row: list[Any]) -> dict[str, Any]:
    point = {name: value for name, value in zip(channels, row, strict=True) if value is not None}
    if "meta_time" in point:
        point["meta_time"] = iso_time(point["meta_time"])
    return point


def _ranges(channels: list[str], low: list[Any], high: list[Any]) -> dict[str, list[float]]:
    return {
        name: [least, greatest]
        for name, least, greatest in zip(channels, low, high, strict=True)
        if least is not None and greatest is not None
    }


def iso_time(time_ms: float) -> str:
    """A moment [ms since 1970] as ISO 8601 in UTC."""
    # A double of ms may be rounded past the last moment there is.
    micros = min(max(round(time_ms * 1000), _EARLIEST), _LATEST)
    moment = _EPOCH + timedelta(microseconds=micros)
    timespec = "microseconds" if micros % 1000 else "milliseconds"
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")
