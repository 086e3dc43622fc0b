"""Why a point was refused."""

from __future__ import annotations

from typing import ClassVar

from pitwall.model.channels import MAX_NAME


class WireError(ValueError):
    """
    Bytes that are no point.

    Attributes:
        reason: one of the short stable words below, for counting.
        field: the field at fault, by the name it was sent under, cut to the length of a name; None for the whole.
        message: what was seen and what was wanted; ASCII, safe to print.
    """

    #: Every reason there is, and what it says.
    REASONS: ClassVar = {
        "not_json": "neither a JSON object nor a CSV line",
        "not_utf8": "text that is not UTF-8",
        "not_an_object": "JSON, but no object",
        "empty": "nothing in it",
        "csv_fields": "a CSV line with too few or too many fields",
        "missing_field": "track or chassis is missing",
        "wrong_type": "text where a number is wanted, or the other way round",
        "out_of_range": "a number outside the channel's range, or not finite",
        "nested_value": "an object or a list inside a point",
        "bad_text": "control characters in a text",
        "bad_name": "a field name that is empty, too long or not allowed",
        "too_long": "a text over its length",
        "too_many_fields": "more fields than a point may have",
        "bad_time": "meta_time is no ISO 8601 time",
        "too_deep": "JSON nested too deeply",
        "unsigned": "a datagram without an HMAC, where there is a shared key",
        "bad_signature": "a datagram with another HMAC than the shared key makes",
        "bad_gzip": "a gzip object that is broken",
        "not_allowed": "a datagram from an address that is not in UDP_ALLOW",
        "too_often": "more datagrams from one address than UDP_RATE",
    }

    def __init__(self, reason: str, message: str, field: str | None = None) -> None:
        # A vendor's name for a field may have characters that turn a terminal's line around.
        message = message.encode("ascii", "backslashreplace").decode()
        super().__init__(message)
        self.reason = reason
        # A lone surrogate, which JSON can smuggle in, could not be encoded in an answer.
        self.field = None if field is None else field[:MAX_NAME].encode("utf-8", "backslashreplace").decode()
        self.message = message


def shown(value: object) -> str:
    """A foreign value as it may stand in a message: escaped, at most 40 characters."""
    text = ascii(value)
    return text if len(text) <= 40 else text[:37] + "..."
