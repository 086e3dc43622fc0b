"""
A large JSON array of points in slices, so that the reactor is never held for long.

An array of 8 MiB is some 30,000 points, 50 to 140 ms of decoding at once. It is
cut where one object ends and the next begins; a cut that proves wrong (the
marks stood inside a text) moves on to the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from pitwall.wire.errors import WireError
from pitwall.wire.points import DECODE_ERRORS, json_error

#: Cut where possible after this many bytes.
SLICE_BYTES = 256 << 10
#: No point is longer than this: text without a cut for so long holds none [bytes].
LONGEST_POINT = 1 << 20

_BETWEEN = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*(?=\{)")
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_check = msgspec.json.Decoder(msgspec.Raw).decode


def array_slices(body: bytes) -> Iterator[list[bytes]]:
    """
    The elements of a JSON array, as they stand there, a slice at a time.

    Raises:
        WireError: before the first slice, when the whole is not JSON; at the
            slice at fault, when an element is too long to be a point.
    """
    try:
        _check(body)
    except DECODE_ERRORS as error:
        raise json_error(error) from None
    inner = body.strip(b" \t\r\n")[1:-1]
    start = 0
    while start < len(inner):
        end, following = _cut(inner, start)
        step = 1
        while True:
            try:
                elements = _split(b"[%b]" % inner[start:end])
                break
            except DECODE_ERRORS as error:
                if end == len(inner):
                    raise json_error(error) from None
                if end - start > LONGEST_POINT:
                    raise WireError("too_long", f"an element of over {LONGEST_POINT} bytes, wanted points") from None
                # Ever further on, lest an element full of such marks is read anew at each of them.
                end, following = _cut(inner, start, end + step)
                step *= 2
        yield list(map(bytes, elements))
        start = following


def _cut(inner: bytes, start: int, after: int = 0) -> tuple[int, int]:
    """Where the slice from ``start`` ends, and where the next one begins."""
    wanted = max(start + SLICE_BYTES, after)
    if wanted >= len(inner):
        return len(inner), len(inner)
    found = _BETWEEN.search(inner, wanted, wanted + LONGEST_POINT)
    if found is not None:
        return found.start() + 1, found.end()
    if len(inner) - wanted > LONGEST_POINT:
        raise WireError("not_an_object", "an array whose elements are no points")
    return len(inner), len(inner)
