"""
Wide CSV: a header row that names the fields, then one point a line.

The header's names are taken like those of a JSON object: the catalogue's
aliases apply, further names are the vendor's own. An empty cell was not sent, a
column without a name is left out, and a line without any content is no row. A
row is one line: a line feed inside quotes ends it all the same.

Rows become JSON objects and go to the decoder, which checks them. Most rows are
plain (no quotes, blanks at the edges or odd numbers): one regular expression
tells, and their JSON is put together without a look at each cell.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from itertools import compress
from typing import Any

import msgspec

from pitwall.model.channels import ALIASES, CHANNELS, MAX_FIELDS, MAX_NAME, TEXT_ALIASES
from pitwall.wire.errors import WireError, shown
from pitwall.wire.points import Decoded, PointDecoder, Refusal
from pitwall.wire.tally import NOTHING, Lacking

#: A header has at most this many columns: those of a point, and as many again without a name.
_MOST_COLUMNS = 2 * MAX_FIELDS
_BLANK = b" \t\r"
_JSON_NUMBER = rb"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?(?:[eE][-+]?[0-9]{1,3})?"
_PLAIN_TEXT = rb"[ !#-+\--\[\]-~]*"
_NUMBER = re.compile(_JSON_NUMBER)
#: UTC without saying so; with its Z the decoder's quick way takes it.
_BARE_TIME = re.compile(rb"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,9})?)")
#: Numbers as other programs write them: +1.5, .5, 5., 007.
_LENIENT_NUMBER = re.compile(r"[-+]?(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:[eE][-+]?\d{1,3})?", re.ASCII)


class WideRows:
    """
    The columns of one CSV text, and how its rows are read.

    Args:
        header: the first line, with or without its byte order mark and line end.
        lacking: the track and the car of every row, used where no column says it.

    Raises:
        WireError: it is no header of telemetry: not text, without a column
            for the car, too many columns, or one that is there twice.

    Attributes:
        blank: lines without any content, of those decoded last.
    """

    def __init__(self, header: bytes, lacking: Lacking = NOTHING) -> None:
        names = header_names(header)
        known = [ALIASES.get(name, name) for name in names]
        told = {name: value for name, value in lacking.fields().items() if name not in known}
        if "chassis" not in known and "chassis" not in told:
            raise WireError("missing_field", f"no column for the chassis in the header {shown(', '.join(names))}")
        # Of two names for one channel the decoder chooses, row by row: both stay as they were sent.
        names = [name if known.count(channel) > 1 else channel for name, channel in zip(names, known, strict=True)]
        self._begin = msgspec.json.encode(told)[:-1] + b"," if told else b"{"
        self.blank = 0
        self._names = names
        self._told = told
        self._vendor = [n for n, name in enumerate(names) if name and _kind(name) == "vendor"]
        self._whole = [n for n, name in enumerate(names) if name in CHANNELS and CHANNELS[name].integer]
        self._time = names.index("meta_time") if "meta_time" in names else None
        self._named = None if all(names) else [bool(name) for name in names]
        pattern = {"text": _PLAIN_TEXT, "vendor": _PLAIN_TEXT, "number": b"(?:%b)?" % _JSON_NUMBER}
        self._plain = re.compile(b",".join(pattern[_kind(name)] for name in names)).fullmatch
        quote = {"text": b'"', "vendor": b"", "number": b""}
        pieces = [
            (b"%b:%b" % (msgspec.json.encode(name), quote[_kind(name)]), quote[_kind(name)]) for name in names if name
        ]
        self._heads = [head for head, _ in pieces]
        self._tails = [tail for _, tail in pieces]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names the cells get, in order; empty for a column that is left out."""
        return tuple(self._names)

    def decode(self, decoder: PointDecoder, lines: Sequence[bytes], received_at: float) -> Decoded:
        """
        The points of some lines (without their line feeds), in order.

        Args:
            decoder: checks them.
            lines: any of the lines after the header.
            received_at: when they came [s since 1970], for rows without ``meta_time``.

        Returns:
            The points, and the refused lines by their index.
        """
        objects: list[bytes] = []
        rows: list[int] = []
        refused: list[Refusal] = []
        self.blank = 0
        for index, line in enumerate(lines):
            try:
                row = self._object(line.strip(_BLANK))
            except WireError as error:
                refused.append(Refusal.of(index, error))
            else:
                if row is not None:
                    objects.append(row)
                    rows.append(index)
                else:
                    self.blank += 1
        points, raws, wrong = decoder.objects(objects, received_at)
        if wrong:
            refused = sorted([*refused, *(Refusal(rows[row], error) for row, error in wrong)], key=_row)
        return Decoded(points, raws, refused)

    def _object(self, line: bytes) -> bytes | None:
        """The JSON object for one line; None where there is nothing in it."""
        if b", " in line or b" ," in line or not self._plain(line):
            return self._careful(line)
        cells = line.split(b",")
        for n in self._vendor:
            if cells[n] and not _NUMBER.fullmatch(cells[n]):
                cells[n] = b'"%b"' % cells[n]
        for n in self._whole:
            # A column of whole numbers with holes in it is written as 12.0 by pandas.
            cells[n] = cells[n].removesuffix(b".0")
        if self._time is not None and cells[self._time][-1:] != b"Z":
            bare = _BARE_TIME.fullmatch(cells[self._time])
            if bare:
                cells[self._time] = b"%bT%bZ" % bare.groups()
        if self._named is not None:
            cells = list(compress(cells, self._named))
        filled = [head + cell + tail for head, cell, tail in zip(self._heads, cells, self._tails, strict=True) if cell]
        return self._begin + b",".join(filled) + b"}" if filled else None

    def _careful(self, line: bytes) -> bytes | None:
        cells = [cell.strip() for cell in _cells(line)]
        wanted = len(self._names)
        if not any(cells):
            return None
        if len(cells) < wanted or any(cells[wanted:]):
            raise WireError("csv_fields", f"a row with {len(cells)} fields under a header with {wanted}")
        content: dict[str, Any] = {**self._told}
        for name, cell in zip(self._names, cells, strict=False):
            if name and cell:
                content[name] = _value(_kind(name), cell)
        return msgspec.json.encode(content)


def header_names(header: bytes) -> list[str]:
    """
    The names of a header, without blanks around them; empty for a column without a name.

    Raises:
        WireError: not UTF-8, too many columns, or one that is there twice.
    """
    names = [name.strip() for name in _cells(header.removeprefix(b"\xef\xbb\xbf").strip(_BLANK))]
    if len(names) > _MOST_COLUMNS:
        raise WireError("too_many_fields", f"a header with {len(names)} columns, wanted {_MOST_COLUMNS} at most")
    seen = set()
    for name in names:
        if name and name in seen:
            raise WireError("bad_name", f"the column {shown(name)} is in the header twice", name[:MAX_NAME])
        seen.add(name)
    return names


def _cells(line: bytes) -> list[str]:
    try:
        content = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError("not_utf8", f"byte {error.start} is not UTF-8") from None
    if '"' not in content:
        return content.split(",")
    try:
        return next(csv.reader([content], strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise WireError("csv_fields", f"no CSV line: {str(error)[:60]}") from None


def _kind(name: str) -> str:
    if name in CHANNELS or ALIASES.get(name) in CHANNELS:
        return "number"
    return "text" if name in TEXT_ALIASES or ALIASES.get(name) in TEXT_ALIASES else "vendor"


def _value(kind: str, cell: str) -> Any:
    """A cell as JSON is to have it; what is no number where one is wanted stays text, for the decoder to refuse."""
    if kind == "text":
        return cell
    if cell.isascii() and _NUMBER.fullmatch(cell.encode()):
        return msgspec.Raw(cell.encode())
    if kind == "number" and _LENIENT_NUMBER.fullmatch(cell):
        return float(cell)
    return cell


def _row(refusal: Refusal) -> int:
    return refusal.row
