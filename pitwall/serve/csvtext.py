"""
Tables as CSV (RFC 4180), safe to open in a spreadsheet.

The first line names the columns; lines end in CR LF, text is UTF-8, and what is not
known is an empty cell. Numbers are as in JSON, booleans ``true`` and ``false``, lists of
words joined by spaces, and other lists and objects JSON.

A text that begins with one of ``= + - @``, a tab or a line's end would be a formula to a
spreadsheet, and names come from whoever sends telemetry: it gets a ' in front. A
program that needs the name exactly takes JSON, where nothing is done to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Raw, json

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_SPECIAL: Final = re.compile('[,"\r\n]')
_NUMBERS: Final = frozenset({float, int})
_EMPTY: Final = Raw(b"")


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows of as many cells as there are columns, as CSV."""
    lines = [_line(map(_cell, columns))]
    for row in rows:
        cells = [cell if type(cell) in _NUMBERS else _cell(cell) for cell in row]
        line = _line(cells)
        if b"null" in line:
            # A number that is none, such as NaN.
            line = _line(_EMPTY if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in cells)
        lines.append(line)
    return b"\r\n".join([*lines, b""])


def _line(cells: Iterable[Any]) -> bytes:
    """
    A line of numbers and of cells that are written already.

    msgspec writes a number in a tenth of the time that it takes Python, and a laps table has 200,000.
    """
    return json.encode(list(cells))[1:-1]


def _cell(value: Any) -> Raw:
    """A cell that is no number, as it is written."""
    if value is None or value == []:
        return _EMPTY
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = " ".join(value)
    if not isinstance(value, str):
        text = json.encode(value).decode()
    else:
        text = f"'{value}" if value.startswith(_FORMULA) else value
    if _SPECIAL.search(text):
        text = '"{}"'.format(text.replace('"', '""'))
    return Raw(text.encode())


def table(
    rows: Sequence[Mapping[str, Any]], first: Sequence[str] = (), lists: Mapping[str, str] | None = None
) -> bytes:
    """
    Rows as CSV, with every column that one of them has.

    Args:
        rows: the rows.
        first: columns that are there in any case, before the others; those follow as they are met.
        lists: names of lists that get a column for each item, and what that is called, with {} for its
            number from 1; there are as many as the longest list has items.
    """
    names = dict.fromkeys(first)
    for row in rows:
        names.update(dict.fromkeys(row))
    columns: list[str] = []
    # By name, for how many columns a list is; None for what is one cell.
    widths: dict[str, int | None] = {}
    for name in names:
        column = (lists or {}).get(name)
        if column is None:
            widths[name] = None
            columns.append(name)
        else:
            widths[name] = width = max((len(row.get(name) or ()) for row in rows), default=0)
            columns += [column.format(number) for number in range(1, width + 1)]
    return csv_text(columns, (_spread(row, widths) for row in rows))


def _spread(row: Mapping[str, Any], widths: Mapping[str, int | None]) -> list[Any]:
    cells: list[Any] = []
    for name, width in widths.items():
        if width is None:
            cells.append(row.get(name))
        else:
            items = row.get(name) or ()
            cells += items
            cells += [None] * (width - len(items))
    return cells


def flattened(content: Mapping[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    """An object as rows of ``name`` and ``value``; names within names, and numbers within lists, are joined by dots."""
    rows: list[dict[str, Any]] = []
    for name, value in content.items():
        path = f"{prefix}{name}"
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            value = {str(number): item for number, item in enumerate(value)}
        if isinstance(value, dict):
            rows += flattened(value, f"{path}.")
        else:
            rows.append({"name": path, "value": value})
    return rows
