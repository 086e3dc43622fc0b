"""The cells of a CSV line."""

from __future__ import annotations

import csv
from typing import Final

from pitwall.wire.errors import WireError

#: What may stand around a cell; Python takes some control characters for blanks too, which no text may have.
_BLANK: Final = " \t\r"


def cells_of(line: bytes, wanted: int) -> list[str] | None:
    """
    The cells of one line under a header, without blanks around them; None for a line without any content.

    Args:
        line: without its line feed; cells may be quoted.
        wanted: how many cells the header has.

    Raises:
        WireError: it is not UTF-8, no CSV, or has more or fewer cells.
    """
    try:
        content = line.decode().strip(_BLANK)
    except UnicodeDecodeError as error:
        raise WireError("not_utf8", f"byte {error.start} is not UTF-8") from None
    if not content.strip(","):
        return None
    try:
        cells = (
            next(csv.reader([content], strict=True, skipinitialspace=True)) if '"' in content else content.split(",")
        )
    except csv.Error as error:
        raise WireError("csv_fields", f"no CSV line: {str(error)[:60]}") from None
    if len(cells) != wanted:
        raise WireError("csv_fields", f"a row with {len(cells)} fields under a header with {wanted}")
    return [cell.strip(_BLANK) for cell in cells]
