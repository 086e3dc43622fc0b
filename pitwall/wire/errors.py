"""Why a point was refused."""

from __future__ import annotations

from typing import ClassVar


class WireError(ValueError):
    """
    Bytes that are no point.

    Attributes:
        reason: one of the short stable words below, for counting.
        field: the field at fault, by the name it was sent under; None for the whole.
        message: what was seen and what was wanted, safe to print.
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
    }

    def __init__(self, reason: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.field = field
        self.message = message


def shown(value: object) -> str:
    """A foreign value as it may stand in a message: escaped, at most 40 characters."""
    text = ascii(value)
    return text if len(text) <= 40 else text[:37] + "..."
