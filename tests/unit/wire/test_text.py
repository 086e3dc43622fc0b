"""What a datagram may be besides one JSON object: CSV lines, arrays, and lines of these."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.channels import CSV_FIELDS
from pitwall.wire.errors import WireError
from pitwall.wire.points import Decoded, PointDecoder
from pitwall.wire.text import csv_object, decode_document
from tests.strategies import LETTERS, NAMES, RECEIVED_AT, Fields, core, csv_line, encode, points, read_strictly

LINE = b"2025-09-06T18:40:41.775Z,barber,GR86-004-78,3,815.6,141.0,0.12,-0.87,31.5,0.0,5920"
OBJECT = b'{"meta_time":"2025-09-06T18:40:41.775Z","track":"barber","chassis":"GR86-004-78"}'
#: Names that need no quotes in CSV.
CSV_NAMES = NAMES.map(lambda name: "".join(name.split()).replace(",", "").replace('"', "")).filter(bool)


def decode(datagram: bytes) -> Decoded:
    """What becomes of one datagram."""
    return decode_document(PointDecoder(), datagram, RECEIVED_AT)


def reasons(decoded: Decoded) -> list[tuple[int, str]]:
    """The rows that were refused, and why."""
    return [(row, error.reason) for row, error in decoded.refused]


class CSVTests(SynchronousTestCase):
    """A CSV line without a header is a point."""

    def test_full_line(self) -> None:
        """Eleven fields are the catalogue's, in its order."""
        (raw,) = decode(LINE + b"\r\n").raws
        sent = read_strictly(raw)
        self.assertEqual(tuple(sent), CSV_FIELDS)
        self.assertEqual(sent["chassis"], "GR86-004-78")
        self.assertEqual(list(sent.values())[3:], [3, 815.6, 141.0, 0.12, -0.87, 31.5, 0.0, 5920])

    def test_lengths(self) -> None:
        """Six to eleven fields are a point, fewer or more are not."""
        cells = [*LINE.split(b","), b"1"]
        for count in range(2, 13):
            decoded = decode(b",".join(cells[:count]))
            if 6 <= count <= 11:
                self.assertEqual(len(read_strictly(decoded.raws[0])), count)
            else:
                self.assertEqual(reasons(decoded), [(0, "csv_fields")])

    def test_empty_fields(self) -> None:
        """An empty field was not sent; the time is then that of arrival."""
        (raw,) = decode(b" ,barber, GR86-004-78 ,,815.6,").raws
        wanted = {"meta_time": "2025-09-06T18:41:40.062Z", "track": "barber", "chassis": "GR86-004-78"}
        self.assertEqual(read_strictly(raw), {**wanted, "lapdist_m": 815.6})

    def test_blanks(self) -> None:
        """Blanks around a name are not part of it, whatever the rest of the line looks like."""
        for rest in (b"3,4,5", b"3, 4, 5", b"3,4,"):
            (point,) = decode(b"2025-09-06T18:40:41Z, road  america ,GR86 004," + rest).points
            self.assertEqual((point.track, point.chassis), ("road  america", "GR86 004"))

    def test_quoted(self) -> None:
        """Fields may be quoted, the first one too, and then hold commas and quotes."""
        (point,) = decode(b'"2025-09-06T18:40:41Z","barber","the ""old"", red one","3","4","5"').points
        self.assertEqual(core(point)[1:6], ('the "old", red one', point.meta_time, 3, 4, 5))

    def test_no_injection(self) -> None:
        """No text of a line can become a field of its own."""
        for cell in (b'x","lap":9,"y":"', b'x\\","lap":9,"y":"', b"x\\", b"x}", b"\\u0022"):
            for line in (b",a," + cell + b",1,2,3", b'"",a,"' + cell.replace(b'"', b'""') + b'",1,2,3'):
                for raw in decode(line).raws:
                    sent = read_strictly(raw)
                    self.assertEqual(set(sent), {"meta_time", "track", "chassis", "lap", "lapdist_m", "speed_kmh"})
                    self.assertEqual(sent["lap"], 1)

    def test_refused(self) -> None:
        """What is no line of telemetry is refused with its reason."""
        for line, reason in (
            (b"hello", "not_json"),
            (b"a,b", "csv_fields"),
            (b",a,b,fast,2,3", "wrong_type"),
            (b",a,b,1,2,nan", "wrong_type"),
            (b",a,b,1,2,501", "out_of_range"),
            (b",a,b,1.5,2,3", "wrong_type"),
            (b",,b,1,2,3", "missing_field"),
            (b"soon,a,b,1,2,3", "bad_time"),
            (b",a,b\xff,1,2,3", "not_utf8"),
            (b",a,b\x00,1,2,3", "bad_text"),
            (b",a," + b"b" * 65 + b",1,2,3", "too_long"),
            (b',a,"b\rc",1,2,3', "bad_text"),
            (b',a,"b",1\r2,2,3', "csv_fields"),
            (b',a,"' + b"b" * 140_000 + b'",1,2,3', "csv_fields"),
            (b",".join(name.encode() for name in CSV_FIELDS), "bad_time"),
        ):
            self.assertEqual(reasons(decode(line)), [(0, reason)], line[:40])

    @given(points(), CSV_NAMES, CSV_NAMES)
    def test_round_trip(self, fields: Fields, track: str, chassis: str) -> None:
        """A point written as CSV has the same values as the one written as JSON."""
        fields = {key: value for key, value in fields.items() if key in CSV_FIELDS}
        fields |= {"track": track[:64], "chassis": chassis[:64]}
        self.assertEqual(
            [core(point) for point in decode(csv_line(fields)).points],
            [core(point) for point in decode(encode(fields)).points],
        )

    @given(st.binary(max_size=60) | st.lists(st.text(LETTERS, max_size=5), max_size=13).map(",".join).map(str.encode))
    def test_any_line(self, line: bytes) -> None:
        """Any bytes give a JSON object or are refused."""
        try:
            content = csv_object(line)
        except WireError as error:
            self.assertIn(error.reason, ("not_utf8", "not_json", "csv_fields"))
        else:
            self.assertIsInstance(read_strictly(content), dict)


class LinesTests(SynchronousTestCase):
    """Several points in one datagram."""

    def test_json_lines(self) -> None:
        """JSON objects, one a line, blank lines between them left out."""
        self.assertEqual(decode(OBJECT + b"\n\n" + OBJECT + b"\r\n").raws, [OBJECT, OBJECT])

    def test_mixed(self) -> None:
        """JSON and CSV may be mixed."""
        self.assertEqual(len(decode(LINE + b"\n" + OBJECT + b"\n" + LINE).points), 3)

    def test_bad_lines(self) -> None:
        """A bad line never costs the good ones, wherever it stands."""
        for bad, reason in (
            (b"{", "not_json"),
            (b'{"track":"\xff"}', "not_utf8"),
            (b'{"track":1,"chassis":"b"}', "wrong_type"),
            (b'{"v":' * 3000, "too_deep"),
            (b"a,b,c", "csv_fields"),
        ):
            for place in range(3):
                lines = [OBJECT, OBJECT]
                lines.insert(place, bad)
                decoded = decode(b"\n".join(lines))
                self.assertEqual((decoded.raws, reasons(decoded)), ([OBJECT, OBJECT], [(place, reason)]), bad[:20])

    def test_pretty(self) -> None:
        """One object printed over several lines is one point, or one refusal."""
        pretty = OBJECT.replace(b",", b",\n  ").replace(b"}", b"\n}")
        self.assertEqual(read_strictly(decode(pretty).raws[0]), read_strictly(OBJECT))
        self.assertEqual(reasons(decode(pretty.replace(b'"barber"', b"7"))), [(0, "wrong_type")])

    def test_array(self) -> None:
        """A JSON array of points, over several lines or in one."""
        for array in (b"[" + OBJECT + b"," + OBJECT + b"]", b"\n[\n" + OBJECT + b",\n" + OBJECT + b"\n]\n"):
            self.assertEqual(decode(array).raws, [OBJECT, OBJECT])

    @given(st.lists(points(), min_size=1, max_size=5))
    def test_forms_agree(self, rows: list[Fields]) -> None:
        """An array, lines, and one datagram each give the same points."""
        raws = [encode(row) for row in rows]
        singly = [core(point) for raw in raws for point in decode(raw).points]
        self.assertEqual(len(singly), len(rows))
        for together in (b"[" + b",".join(raws) + b"]", b"\n".join(raws)):
            self.assertEqual([core(point) for point in decode(together).points], singly)
