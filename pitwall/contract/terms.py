"""The words that definitions are written in: members with what they mean, their unit and range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from msgspec import Meta

#: Where the unit of a number stands in a schema.
UNIT: Final = "x-unit"


def told(what: str = "", unit: str = "", least: float | None = None, most: float | None = None, **further: Any) -> Meta:
    """
    What a member means.

    Args:
        what: in words.
        unit: of a number, or of the numbers in it.
        least: the least it may be; of the number alone, where the member may be null too.
        most: the most it may be, likewise.
        further: what else its schema says.
    """
    schema = {UNIT: unit, "minimum": least, "maximum": most, **further}
    schema = {name: value for name, value in schema.items() if value not in (None, "")}
    return Meta(description=what or None, extra_json_schema=schema)


def among(words: Sequence[str], what: str = "") -> Meta:
    """One of these words."""
    return Meta(description=what or None, extra_json_schema={"enum": list(words)})


#: What a text is: control characters are refused in every one.
PLAIN: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"

#: A number of 0 or more of anything that is counted.
Count = Annotated[int, told(least=0)]
#: ISO 8601, in UTC.
Moment = Annotated[str, told(format="date-time")]
#: The number of a point within an epoch.
Seq = Annotated[int, told(least=0)]
#: A figure of an insight.
Scalar = float | int | str | bool | None
#: Two numbers: where something begins and where it ends, or what was and what is.
Pair = Annotated[list[float], Meta(min_length=2, max_length=2)]
PairOrNull = Annotated[list[float | None], Meta(min_length=2, max_length=2)]
#: Numbers by the index of a sector, from 0.
BySector = dict[Annotated[str, Meta(pattern=r"^[0-9]+$")], float]
#: Counts by a name.
Counts = dict[str, Count]

Track = Annotated[str, told("the track", minLength=1)]
Chassis = Annotated[str, told("the car", minLength=1)]
Epoch = Annotated[
    str, told("names this run of the server; numbers are counted within it", pattern="^[0-9A-Za-z_-]{1,64}$")
]
