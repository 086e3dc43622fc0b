"""One example of each message and each answer, as a server sends them; the documents show them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Final

from msgspec import json

#: By the name of the definition.
FILE: Final = "examples.json"


@cache
def examples() -> dict[str, Any]:
    """All of them."""
    found: dict[str, Any] = json.decode(files("pitwall.contract").joinpath(FILE).read_bytes())
    return found


def example(type_: Any) -> Any:
    """
    That of a Struct.

    Raises:
        KeyError: there is none.
    """
    return examples()[type_.__name__]
