"""
What a datagram or a line may be: a JSON object, a JSON array of them, a CSV line, or lines of these.

A CSV line has no header: its fields are the first six to eleven of the
catalogue's order (``meta_time,track,chassis,lap,lapdist_m,speed_kmh,accx_can,
accy_can,Steering_Angle,pbrake_f,rpm``); an empty one was not sent.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from pitwall.model.channels import CSV_FIELDS
from pitwall.wire.errors import WireError
from pitwall.wire.fields import NOTHING_LACKING
from pitwall.wire.points import EXACT_REFUSALS, Decoded, PointDecoder, Refusal, uncounted

_FEWEST_CSV_FIELDS = 6
# Reasons for which lines that begin with a brace may be several objects.
_NO_OBJECT = frozenset(("not_json", "not_utf8", "too_deep"))
_BLANK = b" \t\r\n"
# The shortest row there is: ",a,b,,,1".
_SHORTEST_ROW = 8
_TOO_SHORT = WireError("not_json", "neither a JSON object nor a CSV line")
_TEXTS = 3
# What most lines are: three plain texts, without blanks around them, then numbers that JSON takes as they are.
_TEXT = rb"[!#-+\--\[\]-~]+(?: +[!#-+\--\[\]-~]+)*"
_NUMBER = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_PLAIN_LINE = re.compile((_TEXT + rb",") * _TEXTS + _NUMBER + rb"(?:," + _NUMBER + rb"){2,7}")
# The JSON of a line by its number of fields.
_TEMPLATES = {
    count: b"{%s}"
    % ",".join(f'"{name}":"%b"' if n < _TEXTS else f'"{name}":%b' for n, name in enumerate(CSV_FIELDS[:count])).encode()
    for count in range(_FEWEST_CSV_FIELDS, len(CSV_FIELDS) + 1)
}


def decode_document(
    decoder: PointDecoder,
    raw: bytes,
    received_at: float,
    lacking: Mapping[str, str] = NOTHING_LACKING,
    came: Callable[[int], object] = uncounted,
) -> Decoded:
    """
    The points of one message in any of the forms above, oldest first.

    ``lacking`` has the track or the chassis of points that do not say it; ``came``
    is told how many rows there are, good or not, before they are looked at.

    Never raises: what is wrong is in the refusals, indexed by row.
    """
    body = raw.removeprefix(b"\xef\xbb\xbf").strip(_BLANK)
    first = body[:1]
    try:
        if not body:
            raise WireError("empty", "nothing in it")
        if first == b"[":
            return decoder.array(body, received_at, lacking, came)
        if b"\n" not in body:
            came(1)
            return decode_rows([body], received_at, decoder, lacking)
        if first == b"{":
            # Pretty-printed JSON has line feeds too: only what is no single object is taken line by line.
            try:
                point, clean = decoder.one(body, received_at, lacking)
            except WireError as error:
                if error.reason not in _NO_OBJECT:
                    raise
            else:
                came(1)
                return Decoded([point], [clean], [])
        lines = [line for line in body.split(b"\n") if line.strip(_BLANK)]
        came(len(lines))
        return decode_rows(lines, received_at, decoder, lacking)
    except WireError as error:
        came(1)
        return Decoded([], [], [Refusal.of(0, error)])


def csv_object(line: bytes) -> bytes:
    """
    The JSON object for one CSV line.

    Raises:
        WireError: not UTF-8, no CSV, or not six to eleven fields.
    """
    if _PLAIN_LINE.fullmatch(line):
        fields = line.split(b",")
        return _TEMPLATES[len(fields)] % tuple(fields)
    try:
        content = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError("not_utf8", f"byte {error.start} is not UTF-8") from None
    try:
        values = next(csv.reader([content])) if '"' in content else content.split(",")
    except csv.Error as error:  # a carriage return between fields, or a field of over 131,072 characters
        raise WireError("csv_fields", f"no CSV line: {str(error)[:60]}") from None
    if not _FEWEST_CSV_FIELDS <= len(values) <= len(CSV_FIELDS):
        if len(values) == 1:
            raise WireError("not_json", "neither a JSON object nor a CSV line")
        wanted = f"{_FEWEST_CSV_FIELDS} to {len(CSV_FIELDS)}"
        raise WireError("csv_fields", f"a CSV line with {len(values)} fields, wanted {wanted}")
    named = zip(CSV_FIELDS, values, strict=False)
    return msgspec.json.encode({name: value for name, text in named if (value := text.strip())})


def decode_rows(
    lines: Sequence[bytes], received_at: float, decoder: PointDecoder, lacking: Mapping[str, str] = NOTHING_LACKING
) -> Decoded:
    """The points of lines, each a JSON object or a CSV line; what is wrong is in the refusals."""
    decoded = Decoded([], [], [])
    for index, line in enumerate(lines):
        row = line.strip(_BLANK)
        if len(decoded.refused) >= EXACT_REFUSALS and len(row) < _SHORTEST_ROW:
            decoded.refused.append(Refusal(index, _TOO_SHORT))
            continue
        try:
            point, clean = decoder.one(row if row[:1] == b"{" else csv_object(row), received_at, lacking)
        except WireError as error:
            decoded.refused.append(Refusal.of(index, error))
        else:
            decoded.points.append(point)
            decoded.raws.append(clean)
    return decoded
