"""Rows of wide CSV become points."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.channels import ALIASES, CSV_FIELDS
from pitwall.model.point import Point
from pitwall.wire.errors import WireError
from pitwall.wire.fields import canonical
from pitwall.wire.points import Decoded, PointDecoder
from pitwall.wire.tally import Lacking
from pitwall.wire.widecsv import WideRows

NOON = "2025-09-07T12:00:00.000Z"
AT = 1_757_246_400.0


def decoded(header: str, *rows: str, track: str | None = None) -> Decoded:
    """What a header and rows give."""
    return WideRows(header.encode(), Lacking(track)).decode(PointDecoder(), [row.encode() for row in rows], AT)


def only(header: str, row: str, track: str | None = None) -> tuple[Point, dict[str, Any]]:
    """The point of a header and one row, and its JSON read back."""
    points, raws, refused = decoded(header, row, track=track)
    assert not refused, refused[0].error
    return points[0], json.loads(raws[0])


def csv_line(cells: Sequence[str]) -> str:
    """Cells as Python's own CSV writer puts them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


class HeaderTests(SynchronousTestCase):
    """The header row names the fields."""

    def test_names_of_the_contract(self) -> None:
        """Columns may stand in any order, and arrive under their names."""
        point, sent = only("speed_kmh,chassis,meta_time,track", f"123.5,GR86-004,{NOON},barber")
        self.assertEqual(sent, {"speed_kmh": 123.5, "chassis": "GR86-004", "meta_time": NOON, "track": "barber"})
        self.assertEqual((point.chassis, point.track, point.speed_kmh), ("GR86-004", "barber", 123.5))

    def test_aliases(self) -> None:
        """A header with the names of the hackathon feeds gives points with the names of the contract."""
        header = "time_utc,circuit,vehicle_id,lap,lap_distance,speed,ax,ay,steering_deg,brake_front_bar,nmot"
        point, sent = only(header, f"{NOON},cota,GR86-7,3,1200,99.5,-0.5,0.25,-12,4.5,6100")
        self.assertEqual(
            list(sent),
            ["meta_time", *CSV_FIELDS[1:]],
        )
        self.assertEqual((point.lap, point.lapdist_m, point.accx_can, point.rpm), (3, 1200, -0.5, 6100))

    def test_byte_order_mark_blanks_and_line_ends(self) -> None:
        """A file saved by Excel is read like any other."""
        rows = WideRows(b'\xef\xbb\xbf track , chassis ,"speed"\r')
        points, _, refused = rows.decode(PointDecoder(), [b"barber,A,50\r"], AT)
        self.assertEqual(rows.columns, ("track", "chassis", "speed_kmh"))
        self.assertEqual((points[0].speed_kmh, refused), (50, []))

    def test_columns_without_a_name(self) -> None:
        """The index column of pandas, and the empty one behind a last comma, are left out."""
        _, sent = only(",track,chassis,speed,", "0,barber,A,50,")
        self.assertEqual((sent["chassis"], sent["speed_kmh"], len(sent)), ("A", 50, 4))

    def test_two_names_for_one_channel(self) -> None:
        """Where a channel has two columns, its own name counts, and the other one where that is empty."""
        points, raws, _ = decoded("track,chassis,speed,speed_kmh", "b,A,10,20", "b,A,10,")
        self.assertEqual([point.speed_kmh for point in points], [20, 10])
        self.assertEqual(json.loads(raws[0])["speed"], 10)

    def test_track_of_the_file(self) -> None:
        """Rows of a file without a track column get the track the file is known to be of."""
        point, sent = only("chassis,speed", "A,50", track="road_america")
        self.assertEqual((point.track, sent["track"]), ("road_america", "road_america"))
        self.assertEqual(only("chassis,speed", '"A",50', track="sebring")[0].track, "sebring")

    def test_own_track_counts(self) -> None:
        """What a row says of its track counts, not what the file is known to be of."""
        self.assertEqual(only("chassis,circuit", "A,sonoma", track="sebring")[0].track, "sonoma")
        refused = decoded("chassis,circuit", "A,", track="sebring").refused
        self.assertEqual([refusal.error.reason for refusal in refused], ["missing_field"])

    def test_no_headers(self) -> None:
        """What is no header of telemetry is refused as a whole, with the reason."""
        for header, reason in (
            (b"PAR1\x15\x04\xff\xfe", "not_utf8"),
            (b"<html><body>Access denied</body></html>", "missing_field"),
            (b'{"track":"barber","chassis":"A"}', "csv_fields"),
            (b"{'track':'barber','chassis':'A'}", "missing_field"),
            (b"", "missing_field"),
            (b"track,speed,lap", "missing_field"),
            (b"chassis,speed,speed", "bad_name"),
            (b'chassis,"speed', "csv_fields"),
            (b"chassis" + b",x" * 100_000, "too_many_fields"),
        ):
            error = self.assertRaises(WireError, WideRows, header)
            self.assertEqual((error.reason, len(error.message) < 200), (reason, True), header[:30])


class RowTests(SynchronousTestCase):
    """Each row is a point, or refused for a reason that is told."""

    def test_empty_cells(self) -> None:
        """An empty cell was not sent."""
        point, sent = only("track,chassis,speed,ax,note", "barber,A,,0.5,")
        self.assertTrue(math.isnan(point.speed_kmh))
        self.assertEqual(set(sent), {"meta_time", "track", "chassis", "accx_can"})

    def test_stamped_on_arrival(self) -> None:
        """A row without a time carries the moment it was taken in."""
        point, sent = only("track,chassis", "barber,A")
        self.assertEqual((point.time_s(), sent["meta_time"]), (AT, NOON))

    def test_times(self) -> None:
        """Times with a blank, without a zone or in another one are UTC in the end."""
        for sent in ("2025-09-07T12:00:00Z", "2025-09-07 12:00:00.000", "2025-09-07T14:00:00+02:00"):
            point, _ = only("track,chassis,meta_time", f"barber,A,{sent}")
            self.assertEqual(point.time_s(), AT, sent)

    def test_vendor_columns(self) -> None:
        """A vendor's column stays a number where it is one, and text where it is not."""
        _, sent = only("track,chassis,oil_c,driver,car_no", "barber,A,-98.5e0,O. Sato,007")
        self.assertEqual((sent["oil_c"], sent["driver"], sent["car_no"]), (-98.5, "O. Sato", "007"))

    def test_texts_that_look_like_numbers(self) -> None:
        """Car 78 is a name, not a number."""
        self.assertEqual(only("track,chassis", "1,78")[0].chassis, "78")

    def test_numbers_as_others_write_them(self) -> None:
        """Numbers with a plus, without a digit before or after the point, or with zeros before them are numbers."""
        point, sent = only("track,chassis,speed,ax,ay,lap,rpm", "b,A,+50,.5,-1.,12.0,0500")
        self.assertEqual(
            (point.speed_kmh, point.accx_can, point.accy_can, point.lap, point.rpm), (50, 0.5, -1, 12, 500)
        )
        self.assertEqual((sent["lap"], sent["rpm"]), (12, 500))

    def test_quotes_and_blanks(self) -> None:
        """Quoted cells may hold commas and quotes; blanks around a cell do not count."""
        _, sent = only("track,chassis,speed,note", '"barber", A ,"50"," went ""wide"", lost it "')
        self.assertEqual((sent["chassis"], sent["speed_kmh"], sent["note"]), ("A", 50, 'went "wide", lost it'))

    def test_blanks_after_commas(self) -> None:
        """A file with blanks between its cells gives the same points as one without."""
        _, sent = only("track, chassis ,speed, note", "Road America, A ,50, x y")
        self.assertEqual(
            (sent["track"], sent["chassis"], sent["speed_kmh"], sent["note"]), ("Road America", "A", 50, "x y")
        )

    def test_letters_of_every_alphabet(self) -> None:
        """Names need not be ASCII."""
        self.assertEqual(only("track,chassis,Fahrer", "Nürburgring,A,Müller")[1]["Fahrer"], "Müller")

    def test_blank_lines(self) -> None:
        """Empty lines, and lines of nothing but commas, are no rows."""
        points, _, refused = decoded("track,chassis,speed", "", "b,A,1", ",,", "  ", "\r", '"",,')
        self.assertEqual((len(points), refused), (1, []))

    def test_bad_rows_among_good_ones(self) -> None:
        """A bad row is refused with its reason and never costs the good ones."""
        points, raws, refused = decoded(
            "track,chassis,speed,lap",
            "b,A,1,1",
            "b,A,fast,1",
            "b,A,501,1",
            "b,A,2,1",
            "b,A,NaN,1",
            "b,A,1",
            "b,A,1,1,1",
            "b,,1,1",
            'b,"A,1,1',
            'b,"A",3,1,',
        )
        self.assertEqual([point.speed_kmh for point in points], [1, 2, 3])
        self.assertEqual(len(raws), 3)
        self.assertEqual(
            [(row, error.reason) for row, error in refused],
            [
                *((1, "wrong_type"), (2, "out_of_range"), (4, "wrong_type"), (5, "csv_fields"), (6, "csv_fields")),
                *((7, "missing_field"), (8, "csv_fields")),
            ],
        )

    def test_bytes_that_are_no_text(self) -> None:
        """A row that is not UTF-8 is refused alone."""
        found = WideRows(b"track,chassis").decode(PointDecoder(), [b"b,A", b"b,\xff", b"b,\x00"], AT)
        self.assertEqual(len(found.points), 1)
        self.assertEqual([error.reason for _, error in found.refused], ["not_utf8", "bad_text"])

    def test_no_json_gets_in(self) -> None:
        """What looks like JSON in a cell stays text, or is refused where a number is wanted."""
        _, sent = only("track,chassis,note", "b,A,{[1]}")
        self.assertEqual(sent["note"], "{[1]}")
        for cell in ("1}", "null", "true", "[1]", "1 2", "\\u0031", "1e999"):
            refused = decoded("track,chassis,speed", f"b,A,{cell}").refused
            self.assertIn(refused[0].error.reason, ("wrong_type", "out_of_range"), cell)

    def test_huge_vendor_numbers(self) -> None:
        """Digits that no number of a browser can hold stay text."""
        self.assertEqual(only("track,chassis,id", f"b,A,{'9' * 400}")[1]["id"], "9" * 400)


_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12) | st.floats().map(repr)
_NAMES = st.sampled_from(["speed", "lap", "rpm", "ax", "note", "größe", "gear", "raw_source", "oil c"])


class AnyRowTests(SynchronousTestCase):
    """Whatever stands in a file, it becomes points or refusals."""

    @given(st.lists(_NAMES, unique=True), st.data())
    def test_like_json(self, names: list[str], data: st.DataObject) -> None:
        """A row written by any CSV writer gives the point that its cells, sent as a JSON object, give."""
        header = ["track", "chassis", "meta_time", *names]
        cells = ["barber", "A", NOON, *(data.draw(_CELL) for _ in names)]
        sent = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}
        found = decoded(csv_line(header), csv_line(cells))
        try:
            wanted, _, _ = canonical(sent, AT)
        except WireError as error:
            self.assertEqual([refusal.error.reason for refusal in found.refused], [error.reason])
        else:
            point, relayed = found.points[0], json.loads(found.raws[0])
            for channel in Point.__struct_fields__:
                self.assertEqual(repr(getattr(point, channel)), repr(getattr(wanted, channel)), channel)
            self.assertEqual({ALIASES.get(name, name) for name in sent}, set(relayed))

    @given(st.binary(max_size=60), st.lists(st.binary(max_size=40)))
    def test_any_bytes(self, header: bytes, lines: list[bytes]) -> None:
        """Any bytes give valid JSON or a refusal for each line, never an accident."""
        for begin in (b"", b"chassis,circuit,", b"lap,note,chassis\r"):
            try:
                rows = WideRows(begin + header, Lacking("barber"))
            except WireError:
                continue
            found = rows.decode(PointDecoder(), lines, AT)
            self.assertLessEqual(len(found.points) + len(found.refused), len(lines))
            self.assertTrue(all(isinstance(json.loads(raw.decode("utf-8")), dict) for raw in found.raws))
