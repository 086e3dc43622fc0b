"""How Schemathesis writes lines of JSON."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(context: Any, value: Any) -> bytes:
    """The text as it is, whatever it is."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
