"""Parameters of addresses: the code that reads them and the OpenAPI document know them from here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pitwall.contract.terms import PLAIN
from pitwall.model.channels import MAX_NAME

_COUNT: Final = re.compile(r"0*(\d+)", re.ASCII)
#: A number of so many digits is more than any count; Python reads no more than 4,300 of them.
_DIGITS: Final = 18


class Parameter(NamedTuple):
    """
    A parameter, in the query or in the path.

    Attributes:
        name: as it stands there.
        what: what it does.
        choices: what it may be; anything without.
        most: of a count, what larger ones are taken as, and what it is when it is missing.
        longest: of a text [characters].
        pattern: of a text.
        example: a value that makes sense, where none is to be had from the others.
    """

    name: str
    what: str
    choices: Sequence[str] = ()
    most: int | None = None
    longest: int | None = None
    pattern: str | None = None
    example: str | None = None

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        if self.most is not None:
            return {"type": "integer", "minimum": 0, "default": self.most}
        schema: dict[str, Any] = {"type": "string"}
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.longest is not None:
            schema["maxLength"] = self.longest
        if self.pattern is not None:
            schema["pattern"] = self.pattern
        return schema

    def whole(self, text: str) -> int | None:
        """The number that a text stands for, ``most`` where it is larger; None where it is no whole number."""
        found = _COUNT.fullmatch(text)
        if found is None:
            return None
        count = int(found[1][:_DIGITS])
        return count if self.most is None else min(count, self.most)


#: Of ``POST /api/ingest``.
INGEST: Final = (
    Parameter("track", "the track of rows that do not say it", longest=MAX_NAME, pattern=PLAIN),
    Parameter("chassis", "the car of rows that do not say it", longest=MAX_NAME, pattern=PLAIN),
    Parameter("name", "the name of the file that the rows are from", longest=255, pattern=PLAIN),
    Parameter(
        "upload",
        "names a file that comes as several bodies, lines or CSV, one after the other",
        longest=64,
        pattern=r"^[A-Za-z0-9_-]*$",
    ),
    Parameter(
        "last", "1 with the last of these bodies; 0 and false are as if it were missing", longest=5, pattern=PLAIN
    ),
)
