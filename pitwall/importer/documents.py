"""
The telemetry in a JSON document, wherever it stands.

A document is an array of points or of TRD rows, one of them alone, or an object
in which there are such arrays, however deep: ``{"telemetry":[…]}``, or
``{"races":[{"telemetry_sample":[…],"weather_sample":[…]}]}``, of which only the
first is telemetry.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pitwall.model.channels import ALIASES, CHANNELS

#: So many elements of an array are looked at to tell what it holds.
_LOOKED_AT = 20
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class NotTelemetryError(Exception):
    """A document that is no JSON, or has no telemetry in it."""


def telemetry_of(text: bytes) -> Iterator[bytes]:
    """
    The points and rows of a document as they stand there, in order, each in one line.

    An array that holds them comes with all its elements. One that is the whole
    document comes in any case, unless there are such arrays inside it.

    Raises:
        NotTelemetryError: see there.
    """
    try:
        # Takes the line feeds out; inside a text there can be none.
        text = msgspec.json.format(text, indent=-1)
        msgspec.json.decode(text, type=msgspec.Raw)
        found = list(_arrays(text))
    except _DECODE_ERRORS as error:
        raise NotTelemetryError(f"is not JSON: {str(error)[:120]}") from None
    if not found:
        whole = _array(text) if text[:1] == b"[" else []
        if not whole:
            raise NotTelemetryError("has no telemetry in it, wanted an array of points or of rows")
        found = [whole]
    for elements in found:
        yield from map(bytes, elements)


def looks_like_telemetry(names: set[str]) -> bool:
    """Whether an object with these fields is a point or a TRD row; a lap number alone is neither."""
    known = {ALIASES.get(name, name) for name in names}
    return "telemetry_name" in known or {"track", "chassis"} <= known or not known.isdisjoint(CHANNELS.keys() - {"lap"})


def _arrays(text: bytes) -> Iterator[list[msgspec.Raw]]:
    """The arrays of telemetry in a value, in order."""
    if text[:1] == b"{":
        fields = _object(text)
        if _is_telemetry(fields):
            yield [msgspec.Raw(text)]
            return
        for value in fields.values():
            yield from _arrays(bytes(value))
    elif text[:1] == b"[":
        elements = _array(text)
        objects = [_object(element) for element in elements[:_LOOKED_AT] if bytes(element)[:1] == b"{"]
        if any(map(_is_telemetry, objects)):
            yield elements
            return
        for element in elements:
            yield from _arrays(bytes(element))


def _is_telemetry(fields: dict[str, msgspec.Raw]) -> bool:
    # {"track":{"name":…,"speed":[…]}} names a track as well, but says nothing of a car.
    return looks_like_telemetry({name for name, value in fields.items() if bytes(value)[:1] not in (b"{", b"[")})
