"""
The long form of TRD's loggers: a row is one sample of one channel.

A row has up to thirteen columns. Those that count are ``vehicle_id`` (the car),
``timestamp`` (the car's own clock), ``meta_time`` (UTC at the receiver), ``lap``,
``meta_event`` (tells the track), ``meta_source``, and ``telemetry_name`` with
``telemetry_value``. As JSON a row is an object with these names; instead of one
sample it may have several, as ``value``: a list of ``{"name": …, "value": …}``.
As CSV the columns may stand in any order under their header. The reduced form has
``meta_time,telemetry_name,telemetry_value`` alone: what else there is to know, the
name of its file tells.

`pitwall.wire.joiner` makes points of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from operator import methodcaller
from typing import Any, Final, NamedTuple

import msgspec

from pitwall.model.channels import MAX_NAME, MAX_TEXT
from pitwall.wire.cells import cells_of
from pitwall.wire.errors import WireError, shown
from pitwall.wire.fields import text
from pitwall.wire.points import DECODE_ERRORS, json_object

#: TRD's columns, in the order of their files; a CSV line of so many fields without a header is a row.
COLUMNS: Final = (
    "expire_at",
    "lap",
    "meta_event",
    "meta_session",
    "meta_source",
    "meta_time",
    "original_vehicle_id",
    "outing",
    "telemetry_name",
    "telemetry_value",
    "timestamp",
    "vehicle_id",
    "vehicle_number",
)
#: What JSON bytes must contain to be a row, one or the other.
_MARKS: Final = (b'"telemetry_name"', b'"value"')


#: Is told of a line that is no row: its index and what is wrong.
Refuse = Callable[[int, WireError], object]


class LongRow(msgspec.Struct, gc=False):
    """
    One sample as it was sent; None, and an empty text, stand for what was not.

    ``timestamp`` is the car's clock, ``meta_time`` the receiver's, both as text.
    The names are those of the format.
    """

    telemetry_name: str
    telemetry_value: float | str | bool | None
    vehicle_id: str
    timestamp: str | None = None
    meta_time: str | None = None
    lap: float | str | None = None
    meta_event: str | None = None
    meta_source: str | None = None
    track: str | None = None
    circuit: str | None = None


class _Named(msgspec.Struct, gc=False):
    name: str
    value: float | str | bool | None = None


class _Bundle(msgspec.Struct, gc=False):
    """A row with several samples in ``value``."""

    value: list[_Named]
    vehicle_id: str
    timestamp: str | None = None
    meta_time: str | None = None
    lap: float | str | None = None
    meta_event: str | None = None
    meta_source: str | None = None
    track: str | None = None
    circuit: str | None = None

    def rows(self) -> list[LongRow]:
        shared = msgspec.structs.astuple(self)[1:]
        return [LongRow(sample.name, sample.value, *shared) for sample in self.value]


_one = msgspec.json.Decoder(LongRow).decode
_commas = methodcaller("count", b",")
_VALUE: Final = LongRow.__struct_fields__.index("telemetry_value")
#: What a row can't be made without comes first.
_NEEDED: Final = len(LongRow.__struct_fields__) - len(LongRow.__struct_defaults__)
_list = msgspec.json.Decoder(list[LongRow]).decode
_bundle = msgspec.json.Decoder(_Bundle).decode
_floats = msgspec.json.Decoder(list[float]).decode
_TEXTS: Final = ("timestamp", "meta_time", "meta_event", "meta_source", "track", "circuit")
#: What else the car may be called.
_CAR_NAMES: Final = ("vehicle_id", "chassis", "vehicle")


def may_have_rows(raw: bytes) -> bool:
    """Whether there may be a row in some JSON; one scan, so that points need not pay for rows."""
    return _MARKS[0] in raw or _MARKS[1] in raw


def json_rows(raw: bytes) -> list[LongRow] | None:
    """
    The rows of one JSON object; None where it is something else.

    Raises:
        WireError: it is a row, but a broken one.
    """
    if _MARKS[0] in raw:
        try:
            return [_one(raw)]
        except DECODE_ERRORS:
            pass
    elif _MARKS[1] not in raw:
        return None
    else:
        try:
            return _bundle(raw).rows()
        except DECODE_ERRORS:
            pass
    try:
        content = json_object(raw)
    except WireError:
        return None  # whoever takes points says what is wrong with it
    return _careful(content)


def array_rows(body: bytes) -> list[LongRow] | None:
    """The rows of a JSON array of nothing but single-sample rows; None where it is something else."""
    try:
        return _list(body)
    except DECODE_ERRORS:
        return None


def _careful(content: Mapping[str, Any]) -> list[LongRow] | None:
    samples = content.get("value")
    if "telemetry_name" in content and "telemetry_value" in content:
        pairs = [(content["telemetry_name"], content["telemetry_value"])]
    elif isinstance(samples, list):
        pairs = []
        for sample in samples:
            if not isinstance(sample, dict) or "name" not in sample:
                raise WireError(
                    "wrong_type", f"value holds {shown(sample)}, wanted objects with name and value", "value"
                )
            pairs.append((sample["name"], sample.get("value")))
    else:
        return None
    known: dict[str, Any] = {"vehicle_id": ""}
    for name in (*_TEXTS, *_CAR_NAMES):
        value = content.get(name)
        if value is not None:
            known["vehicle_id" if name in _CAR_NAMES else name] = text(value, name, MAX_TEXT)
    lap = content.get("lap")
    if lap is not None and (isinstance(lap, bool) or not isinstance(lap, int | float | str)):
        raise WireError("wrong_type", f"lap is {shown(lap)}, wanted a number", "lap")
    rows = []
    for name, value in pairs:
        if isinstance(value, dict | list):
            raise WireError(
                "nested_value", "telemetry_value is an object or a list, wanted a scalar", "telemetry_value"
            )
        rows.append(LongRow(text(name, "telemetry_name", MAX_NAME), value, lap=lap, **known))
    return rows


class Indexed(NamedTuple):
    """Rows, and beside each the number of the line it came from."""

    rows: list[LongRow]
    lines: Sequence[int]


class LongColumns:
    """
    The columns of one CSV text in the long form, or in the reduced one.

    Args:
        names: the header's, which must `fit`, or `COLUMNS`.

    Attributes:
        blank: lines without any content, of those decoded last.
    """

    def __init__(self, names: Sequence[str]) -> None:
        names = ["vehicle_id" if name in _CAR_NAMES and "vehicle_id" not in names else name for name in names]
        self.blank = 0
        self._width = len(names)
        at = [names.index(name) if name in names else None for name in LongRow.__struct_fields__]
        while at[-1] is None and len(at) > _NEEDED:
            at.pop()
        self._at = at

    @staticmethod
    def fit(names: Sequence[str]) -> bool:
        """Whether a header is one of the long form."""
        return "telemetry_name" in names and "telemetry_value" in names

    def decode(self, lines: Sequence[bytes], refuse: Refuse) -> Indexed:
        """
        The rows of some lines; a line without any content is none.

        Args:
            lines: without their line feeds.
            refuse: is called with the index of a line and the WireError, for one that is no row.
        """
        self.blank = 0
        if not lines:
            return Indexed([], ())
        try:
            joined = b"\n".join(lines).decode()
        except UnicodeDecodeError:
            joined = ""
        # Where each line is nothing but its cells, as most are, all of them are cut at one go.
        plain = joined and '"' not in joined and "\r" not in joined and "," * (self._width - 1) not in joined
        if plain and ", " not in joined and " ," not in joined and {*map(_commas, lines)} == {self._width - 1}:
            flat = joined.replace("\n", ",").split(",")
            if len(flat) == len(lines) * self._width:
                return Indexed(self._rows([flat[at :: self._width] for at in range(self._width)]), range(len(lines)))
        cells: list[list[str]] = []
        numbers: list[int] = []
        for number, line in enumerate(lines):
            try:
                careful = cells_of(line, self._width)
            except WireError as error:
                refuse(number, error)
            else:
                if careful is not None:
                    cells.append(careful)
                    numbers.append(number)
                else:
                    self.blank += 1
        return Indexed(self._rows(list(zip(*cells, strict=True))), numbers)

    def _rows(self, columns: Sequence[Sequence[str]]) -> list[LongRow]:
        if not columns:
            return []
        picked: list[Any] = [repeat("") if at is None else columns[at] for at in self._at]
        picked[_VALUE] = _numbers(picked[_VALUE])
        return list(map(LongRow, *picked))


def _numbers(texts: Sequence[str]) -> list[Any]:
    """The numbers that texts show; what shows none stays text."""
    try:
        # At one go a value costs 30 ns; what JSON would not take for a number makes all of them go the long way.
        values = _floats(f"[{','.join(texts)}]".encode())
        if len(values) == len(texts):
            return values
    except DECODE_ERRORS:
        pass
    found: list[Any] = []
    for content in texts:
        try:
            (number,) = _floats(f"[{content}]".encode())
        except (ValueError, *DECODE_ERRORS):
            found.append(content)
        else:
            found.append(number)
    return found
