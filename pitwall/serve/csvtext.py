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

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Any, Final

from msgspec import json

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as CSV, with these columns; what a row has beside them is left out."""
    out = StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([_cell(column) for column in columns])
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    # Nearly every cell is a number or empty.
    if value is None or type(value) is float or type(value) is int:
        return value
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return _cell(" ".join(value))
    return json.encode(value).decode() if value != [] else None


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
    lists = lists or {}
    names = dict.fromkeys(first)
    for row in rows:
        names.update(dict.fromkeys(row))
    columns: list[str] = []
    for name in names:
        if name in lists:
            longest = max((len(row.get(name) or ()) for row in rows), default=0)
            columns += [lists[name].format(number) for number in range(1, longest + 1)]
        else:
            columns.append(name)
    return csv_text(columns, (_spread(row, lists) for row in rows))


def _spread(row: Mapping[str, Any], lists: Mapping[str, str]) -> dict[str, Any]:
    cells = dict(row)
    for name, column in lists.items():
        cells.update((column.format(number), item) for number, item in enumerate(cells.pop(name, None) or (), 1))
    return cells


def flattened(content: Mapping[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    """An object as rows of ``name`` and ``value``; names within names, and the numbers of a list, are joined by dots."""
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
