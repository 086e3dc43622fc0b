"""Tables as CSV."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.csvtext import flattened, table

_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
_NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
_ROWS = st.lists(
    st.fixed_dictionaries(
        {"name": _TEXTS | st.sampled_from(["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", 'a"b', "a,b", "null"])},
        optional={"figure": _NUMBERS | st.none(), "flag": st.booleans(), "list": st.lists(_NUMBERS, max_size=4)},
    ),
    min_size=1,
    max_size=5,
)


def read(text: bytes) -> list[dict[str, str]]:
    """The rows of a table, as a program reads them."""
    return list(csv.DictReader(StringIO(text.decode(), newline=""), strict=True))


class TableTests(SynchronousTestCase):
    """Rows as CSV."""

    def test_cells(self) -> None:
        """Numbers are as in JSON, what is not known is empty, words are joined, and objects are JSON."""
        rows = [{"a": 1.5, "b": None, "c": True, "d": ["in", "out"], "e": {"x": [1, 2]}, "f": 'say "hi", you'}]
        self.assertEqual(table(rows), b'a,b,c,d,e,f\r\n1.5,,true,in out,"{""x"":[1,2]}","say ""hi"", you"\r\n')

    def test_no_rows(self) -> None:
        """A table without rows has its columns all the same."""
        self.assertEqual(table([], ("a", "b")), b"a,b\r\n")

    def test_columns(self) -> None:
        """Every column that some row has is there, the wanted ones first."""
        self.assertEqual(table([{"x": 1}, {"y": 2, "a": 3}], ("a",)), b"a,x,y\r\n,1,\r\n3,,2\r\n")

    def test_lists(self) -> None:
        """A list is as many columns as the longest of the table, in its place."""
        rows: list[dict[str, Any]] = [{"lap": 1, "times": [30.5], "kind": "in"}, {"lap": 2, "times": [30.5, None, 31]}]
        text = table(rows, ("lap", "times"), {"times": "sector_{}_s"})
        self.assertEqual(text, b"lap,sector_1_s,sector_2_s,sector_3_s,kind\r\n1,30.5,,,in\r\n2,30.5,,31,\r\n")

    def test_no_formulas(self) -> None:
        """A text that a spreadsheet would take for a formula is none any more; a number below zero stays one."""
        for text in ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"):
            (row,) = read(table([{"name": text, "figure": -1.5}]))
            self.assertEqual((row["name"], row["figure"]), (f"'{text}", "-1.5"))
        (row,) = read(table([{"name": ["=1", "x"]}]))
        self.assertEqual(row["name"], "'=1 x")

    def test_no_numbers(self) -> None:
        """What is no number is empty."""
        rows = [{"a": float("nan"), "b": float("inf"), "c": "null", "d": 1.0, "e": None}]
        self.assertEqual(table(rows), b"a,b,c,d,e\r\n,,null,1.0,\r\n")

    @given(_ROWS)
    def test_read_back(self, rows: list[dict[str, Any]]) -> None:
        """Whatever is in a table is read back by Python's csv, and every line ends in CR LF."""
        text = table(rows, ("name", "figure", "flag", "list"), {"list": "item_{}"})
        self.assertTrue(text.endswith(b"\r\n"))
        for row, cells in zip(rows, read(text), strict=True):
            self.assertEqual(cells["name"].removeprefix("'"), row["name"].removeprefix("'"))
            self.assertNotIn(cells["name"][:1], tuple("=+-@\t\r\n"))
            figure = row.get("figure")
            self.assertEqual(cells["figure"] and float(cells["figure"]), "" if figure is None else float(figure))
            self.assertEqual(cells["flag"], json.dumps(row["flag"]) if "flag" in row else "")
            items = [float(cell) for name, cell in cells.items() if name.startswith("item_") and cell]
            self.assertEqual(items, list(map(float, row.get("list", ()))))


class FlattenedTests(SynchronousTestCase):
    """An object as lines of name and value."""

    def test_names(self) -> None:
        """Names within names are joined by dots, and the objects of a list have their number."""
        content = {"a": 1, "b": {"c": None, "d": {"e": "x"}}, "f": [{"g": 2}, {"g": 3}], "h": [1, 2]}
        self.assertEqual(
            [(row["name"], row["value"]) for row in flattened(content)],
            [("a", 1), ("b.c", None), ("b.d.e", "x"), ("f.0.g", 2), ("f.1.g", 3), ("h", [1, 2])],
        )
