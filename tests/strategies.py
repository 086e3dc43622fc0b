"""What hypothesis makes telemetry from: valid points, spoilt ones, and plain noise."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import strategies as st

from pitwall.model.channels import ALIASES, CHANNELS, CORE, CSV_FIELDS, MAX_NAME, TEXT_ALIASES, Channel
from pitwall.model.point import Point

Fields = dict[str, Any]

#: 2025-09-06T18:41:40.0625Z.
RECEIVED_AT = 1_757_184_100.0625

#: Characters a text may have.
LETTERS = st.characters(exclude_categories=("Cs", "Cc"))
#: Names of cars and tracks.
NAMES = st.text(LETTERS, min_size=1, max_size=MAX_NAME) | st.sampled_from(["barber", "GR86-004-78"])
#: Times with a millisecond's or a microsecond's resolution.
TIMES = st.datetimes(timezones=st.just(UTC)) | st.datetimes(timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(LETTERS, max_size=20)
)
VENDOR_NAMES = st.sampled_from(["brake_temp_fl", "seq", "vendor_0", "ütf-8", 'with "quotes"', "back\\slash"]) | st.text(
    LETTERS, min_size=1, max_size=MAX_NAME
)
_TAKEN = {*CHANNELS, *ALIASES, *TEXT_ALIASES, "constructor", "prototype", "__proto__"}


def _in_range(channel: Channel) -> st.SearchStrategy[float]:
    if channel.integer:
        return st.integers(int(channel.low), int(channel.high))
    return st.floats(channel.low, channel.high) | st.integers(math.ceil(channel.low), math.floor(channel.high))


def iso(moment: datetime) -> str:
    """The time as most senders write it."""
    return moment.isoformat().replace("+00:00", "Z")


def points() -> st.SearchStrategy[Fields]:
    """The fields of a valid point under their own names, some of them left out."""
    return st.fixed_dictionaries(
        {"track": NAMES, "chassis": NAMES},
        optional={
            "meta_time": TIMES.map(iso),
            "raw_source": st.text(LETTERS, max_size=40),
            **{name: _in_range(channel) for name, channel in CHANNELS.items()},
        },
    )


def vendor_points() -> st.SearchStrategy[Fields]:
    """Valid points with a vendor's fields in them."""
    vendor = st.dictionaries(VENDOR_NAMES.filter(lambda name: name not in _TAKEN), SCALARS, max_size=3)
    return st.tuples(points(), vendor).map(lambda both: {**both[0], **both[1]})


def encode(fields: Fields, ascii_only: bool = True) -> bytes:
    """A point as a sender's JSON."""
    return json.dumps(fields, ensure_ascii=ascii_only, separators=(",", ":")).encode()


def csv_line(fields: Fields) -> bytes:
    """A point as a CSV line, all eleven fields of it."""
    return ",".join(str(fields.get(name, "")) for name in CSV_FIELDS).encode()


_ANY_JSON = st.recursive(
    SCALARS | st.floats() | st.sampled_from(["1.5", " 7 ", "1e999", "NaN", "\x00", "\ud800", "x" * 5000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_ANY_NAME = st.sampled_from([*_TAKEN, "", "x" * 65, "\ud800", "a\tb"]) | st.text(max_size=5)
#: JSON with the right names and any values, or the other way round; NaN and lone surrogates too.
SPOILT = (
    st.tuples(points(), st.dictionaries(_ANY_NAME, _ANY_JSON, max_size=3)).map(lambda both: {**both[0], **both[1]})
    | st.lists(points() | _ANY_JSON, max_size=3)
    | _ANY_JSON
).flatmap(lambda content: st.booleans().map(lambda plain: json.dumps(content, ensure_ascii=plain)))

_PIECES = st.sampled_from(
    [
        *(
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b'"',
            b"\n",
            b"\r",
            b" ",
            b"\t",
            b"\\",
            b"\xff",
            b"\x00",
            b"\x7f",
            b"NaN",
        ),
        *(b'"track":"a"', b'"chassis":"b"', b'"rpm":1', b'"rpm":-1', b'"speed":"9"', b'"x":null', b'"lap":32768'),
        *(b'"meta_time":"2025-09-06T18:40:41Z"', b'"v":"\\u0000"', b'"v":1e999', b'"v":"\xc3\xa9"', b'"\\ud800":1'),
        *(b'{"track":"a","chassis":"b"}', b"a,b,c,1,2,3", b',a,b,,,"4"'),
    ]
)
_JOINED = st.lists(_PIECES, max_size=12).map(b"".join)


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    whole = encode(draw(vendor_points()), draw(st.booleans()))
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(start + 5, len(whole))))
    return whole[:start] + draw(st.binary(max_size=3) | _PIECES) + whole[end:]


#: What may come by any door: noise, pieces of JSON and CSV, spoilt points, damaged points, points.
NOISE = (
    st.binary(max_size=40)
    | _JOINED
    | SPOILT.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | _damaged()
    | vendor_points().map(encode)
    | points().map(csv_line)
)


def read_strictly(raw: bytes) -> Any:
    """JSON read as RFC 8259 has it: UTF-8, no NaN, no Infinity."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    return json.loads(raw.decode("utf-8"), parse_constant=refuse)


def core(point: Point) -> tuple[Any, ...]:
    """A point's values in the catalogue's order, None where it has none: comparable, which NaN is not."""
    values = msgspec.structs.astuple(point)[: 3 + len(CORE)]
    return tuple(None if value is msgspec.UNSET or value != value else value for value in values)
