"""
The quick way from JSON bytes to points, and the careful one behind it.

A point that names only known fields, in plain ASCII without escapes, is checked
in one msgspec decode and relayed to clients byte for byte. Whatever that decode
refuses (an alias, numeric text, an escape, a name not seen before) is decoded
generically, checked field by field and encoded anew (``pitwall.wire.fields``).

Vendor fields must not be skipped unread: a bad byte in one would close every
browser, a nested object could break out of a batch. So the decoder refuses
unknown names, and is re-made with a vendor's names once it has seen them a few
times. That is bounded, for names are foreign input: past the bounds a point
with further names goes the careful way each time, and nothing else changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple, NoReturn, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pitwall.model.channels import (
    CAR_CLOCK,
    CHANNELS,
    CORE,
    EXTRA,
    MAX_FIELDS,
    MAX_NAME,
    MAX_POINT,
    MAX_TEXT,
    TEXT_ALIASES,
    Channel,
)
from pitwall.model.point import ARRIVAL, Point, iso_text, moment_at
from pitwall.wire.errors import WireError, shown
from pitwall.wire.fields import NOTHING_LACKING, canonical

#: Vendor names the quick decoder may learn, and how often it may be re-made. With the names it knows from the start
#: they are no more than a point may have, so that it need not count them.
MAX_VENDOR_NAMES = MAX_FIELDS - len((*CORE, *EXTRA, *TEXT_ALIASES, CAR_CLOCK))
MAX_VARIANTS = 16
_CANDIDATES = 256
_SEEN_BEFORE_LEARNT = 3

#: What msgspec raises for bytes that are not JSON of the wanted shape.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


#: So many refusals of a message name the field at fault. Thousands of tiny rows fit into a datagram: those after
#: them, when they are too short to be points, must not cost what a real mistake costs.
EXACT_REFUSALS = 100


#: The row of a refusal that no single row is to blame for.
NO_ROW = -1


class Refusal(NamedTuple):
    """A row that was refused: which one (from 0), and why."""

    row: int
    error: WireError

    @classmethod
    def of(cls, row: int, error: WireError) -> Self:
        """A refusal for an error that was caught; its traceback, which would hold the whole batch, is let go."""
        error.__traceback__ = error.__context__ = None
        return cls(row, error)


class Decoded(NamedTuple):
    """Points and, beside each, the JSON that clients get; then what was refused."""

    points: list[Point]
    raws: list[bytes]
    refused: list[Refusal]


def uncounted(count: int) -> None:
    """Nobody counts what comes."""


class PointDecoder:
    """Decodes points; remembers only which vendor fields it has seen."""

    def __init__(self) -> None:
        self._learnt: dict[str, None] = {}
        self._candidates: dict[str, int] = {}
        self._variants = 0
        self._remake()

    def objects(
        self,
        raws: Sequence[bytes],
        received_at: float,
        otherwise: Callable[[bytes, float], Decoded] | None = None,
        lacking: Mapping[str, str] = NOTHING_LACKING,
    ) -> Decoded:
        """
        The points of messages that mostly hold one JSON object each.

        Args:
            raws: what came, in order.
            received_at: when it came [s since 1970], for points without ``meta_time``.
            otherwise: what to do with a message that is no such object; by
                default it is refused.
            lacking: the track or the chassis of points that do not say it.
        """
        decoded = Decoded([], [], [])
        points, clean, refused = decoded
        decode = self._decode if _all_plain(raws) else _never
        for index, raw in enumerate(raws):
            if len(refused) >= EXACT_REFUSALS and len(raw) < _SHORTEST and otherwise is None:
                refused.append(Refusal(index, _TOO_SHORT if raw[:1] == b"{" else _NO_OBJECT))
                continue
            try:
                point = decode(raw)
                if point.meta_time is UNSET:
                    raw = _stamped(point, raw, received_at)
            except DECODE_ERRORS:
                if otherwise is None:
                    self._careful(index, raw, received_at, lacking, decoded)
                else:
                    rest = otherwise(raw, received_at)
                    points += rest.points
                    clean += rest.raws
                    refused += rest.refused
            else:
                points.append(point)
                clean.append(raw)
        return decoded

    def array(
        self,
        body: bytes,
        received_at: float,
        lacking: Mapping[str, str] = NOTHING_LACKING,
        came: Callable[[int], object] = uncounted,
    ) -> Decoded:
        """
        The points of a JSON array of objects, oldest first; ``came`` is told how many elements there are.

        Raises:
            WireError: the whole is no JSON array.
        """
        try:
            parts = split_array(body)
        except DECODE_ERRORS as error:
            raise json_error(error) from None
        if not parts:
            raise WireError("empty", "an empty array, wanted points")
        came(len(parts))
        if _all_plain(parts):
            try:
                points = self._decode_list(body)
            except DECODE_ERRORS:
                pass  # a row of it is bad: find out which
            else:
                if all(point.meta_time is not UNSET for point in points):
                    return Decoded(points, parts, [])
        return self.objects(parts, received_at, lacking=lacking)

    def one(self, raw: bytes, received_at: float, lacking: Mapping[str, str] = NOTHING_LACKING) -> tuple[Point, bytes]:
        """
        One point from one JSON object, by whichever way takes it.

        Raises:
            WireError: what is wrong, and with which field.
        """
        if _plain(raw):
            try:
                point = self._decode(raw)
            except DECODE_ERRORS:
                pass
            else:
                return point, raw if point.meta_time is not UNSET else _stamped(point, raw, received_at)
        point, clean, vendor = canonical(json_object(raw), received_at, lacking)
        if vendor:
            self._consider(vendor)
        return point, clean

    def _careful(
        self, index: int, raw: bytes, received_at: float, lacking: Mapping[str, str], decoded: Decoded
    ) -> None:
        try:
            point, clean = self.one(raw, received_at, lacking)
        except WireError as error:
            decoded.refused.append(Refusal.of(index, error))
        else:
            decoded.points.append(point)
            decoded.raws.append(clean)

    def _consider(self, names: Iterable[str]) -> None:
        """Count unknown names; those seen often enough are learnt, within bounds."""
        if self._variants >= MAX_VARIANTS:
            return
        fresh = False
        for name in names:
            if name in self._learnt or len(self._learnt) >= MAX_VENDOR_NAMES or not _learnable(name):
                continue
            if len(self._candidates) >= _CANDIDATES:
                self._candidates.clear()
            seen = self._candidates.get(name, 0) + 1
            self._candidates[name] = seen
            if seen >= _SEEN_BEFORE_LEARNT:
                del self._candidates[name]
                self._learnt[name] = None
                fresh = True
        if fresh:
            self._remake()

    def _remake(self) -> None:
        self._variants += 1
        identity = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
        label = Annotated[str, Meta(max_length=MAX_TEXT)]
        fields: list[tuple[str, Any, Any]] = [
            ("track", identity, msgspec.NODEFAULT),
            ("chassis", identity, msgspec.NODEFAULT),
            ("meta_time", Annotated[datetime, Meta(tz=True)] | UnsetType, UNSET),
        ]
        fields += [(channel.name, _range(channel), float("nan")) for channel in CORE + EXTRA]
        fields += [(CAR_CLOCK, float | label | bool | None, None), ("raw_source", label | UnsetType, UNSET)]
        fields += [(f"vendor_{n}", float | label | bool | None, None) for n in range(len(self._learnt))]
        variant = msgspec.defstruct(
            "PointVariant",
            fields,
            bases=(Point,),
            rename={f"vendor_{n}": name for n, name in enumerate(self._learnt)},
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decode: Any = msgspec.json.Decoder(variant).decode
        self._decode_list: Any = msgspec.json.Decoder(list[variant]).decode  # type: ignore[valid-type]


_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
# float() makes 1e400 infinite, so that the field can be named when it is refused.
_generic = msgspec.json.Decoder(float_hook=float).decode


def split_array(body: bytes) -> list[bytes]:
    """
    The elements of a JSON array, as they stand there.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is none.
    """
    return list(map(bytes, _split(body)))


#: No object shorter than this has a track and a chassis [bytes].
_SHORTEST = len('{"track":"a","chassis":"b"}')
_TOO_SHORT = WireError("missing_field", "an object too short to have a track and a chassis")
_NO_OBJECT = WireError("not_an_object", "wanted a JSON object")


def json_object(raw: bytes) -> dict[str, Any]:
    """
    A JSON object decoded without a wish for its form.

    Raises:
        WireError: not UTF-8, not JSON, or no object.
    """
    try:
        content = _generic(raw.decode("utf-8"))
    except DECODE_ERRORS as error:
        content = _with_nan(raw)
        if content is None:
            raise json_error(error) from None
    if not isinstance(content, dict):
        raise WireError("not_an_object", f"{shown(content)} is no JSON object")
    return content


def json_error(error: Exception) -> WireError:
    """The refusal for what msgspec, or Python's UTF-8 decoder, raised."""
    if isinstance(error, UnicodeDecodeError):
        return WireError("not_utf8", f"byte {error.start} is not UTF-8")
    if isinstance(error, RecursionError):
        return WireError("too_deep", "JSON nested too deeply")
    if isinstance(error, msgspec.ValidationError):
        # Raised for a number outside what a float holds, or for another top-level type.
        return WireError("not_an_object" if "Expected" in str(error) else "out_of_range", str(error)[:120])
    return WireError("not_json", str(error)[:120])


def _with_nan(raw: bytes) -> Any:
    """What Python's own encoder and others write for a missing number, read so that the field can be named."""
    if b"NaN" not in raw and b"Infinity" not in raw:
        return None
    try:
        return json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def _plain(raw: bytes) -> bool:
    """Whether it is safe to relay when it decodes: printable ASCII and blanks, no escapes, not too long."""
    return len(raw) <= MAX_POINT and _printable(raw)


def _all_plain(raws: Sequence[bytes]) -> bool:
    """Whether each of them is plain; one scan of the joined bytes is cheaper than three scans of each."""
    joined = b"".join(raws)
    return _printable(joined) and (len(joined) <= MAX_POINT or max(map(len, raws)) <= MAX_POINT)


def _printable(raw: bytes) -> bool:
    return raw.isascii() and b"\\" not in raw and b"\n" not in raw and b"\r" not in raw and b"\x7f" not in raw


def _stamped(point: Point, raw: bytes, received_at: float) -> bytes:
    """The JSON of a point that had no ``meta_time`` and now, like the point, has that of its arrival."""
    point.meta_time = moment = moment_at(received_at, ARRIVAL)
    start = raw.index(b"{") + 1
    return b'{"meta_time":"%b",%b' % (iso_text(moment).encode(), raw[start:])


def _learnable(name: str) -> bool:
    """Whether a name can stand in plain JSON."""
    return name.isascii() and '"' not in name and "\\" not in name


def _never(raw: bytes) -> NoReturn:
    raise msgspec.DecodeError


def _range(channel: Channel) -> Any:
    kind = int if channel.integer else float
    return Annotated[kind, Meta(ge=channel.low, le=channel.high)]


assert set(CHANNELS) == {channel.name for channel in CORE + EXTRA}
