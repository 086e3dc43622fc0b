"""Rows of the long form: whatever their order, repeats and cuts, the same samples come out, and all are counted."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.wire.cells import cells_of
from pitwall.wire.live import LiveDecoder
from pitwall.wire.longform import COLUMNS
from pitwall.wire.points import PointDecoder
from pitwall.wire.tables import open_table
from tests.doubles import told_of

START = datetime(2025, 9, 6, 18, 0, tzinfo=UTC)
EVENT = "I_R06_2025-09-07"
NAMES = {"accx_can": "accx_can", "speed": "speed_kmh", "nmot": "rpm", "oil_t": "oil_t"}
CARS = ("GR86-002-2", "GR86-037-03", "GR86-040-3")
ABOUT = {"meta_time", "track", "chassis", "timestamp", "raw_source", "lap"}
DAYS_BEHIND = {car: 1 + number for number, car in enumerate(CARS)}


def iso(seconds: float) -> str:
    """A moment as the loggers write it."""
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Row(NamedTuple):
    """A row, by its car and its instant, the how many-th twentieth of a second."""

    car: str
    instant: int
    name: str
    value: float
    lap: int = 3

    def fields(self) -> dict[str, Any]:
        """As JSON has it."""
        at = self.instant / 20
        return {
            "lap": self.lap,
            "meta_event": EVENT,
            "meta_time": iso(at + 0.4),
            "telemetry_name": self.name,
            "telemetry_value": self.value,
            "timestamp": iso(at - 86_400 * DAYS_BEHIND.get(self.car, 0)),
            "vehicle_id": self.car,
        }

    def json(self) -> bytes:
        """As a JSON object."""
        return json.dumps(self.fields()).encode()

    def csv(self) -> bytes:
        """As a line of a file."""
        fields = self.fields()
        return ",".join(str(fields.get(name, "")) for name in COLUMNS).encode()


def samples(raws: list[bytes]) -> Counter[tuple[str, str, str, float]]:
    """The (car, instant, channel, value) of points, and how often each is there."""
    points = [json.loads(raw) for raw in raws]
    return Counter(
        (point["chassis"], point["timestamp"], name, point[name]) for point in points for name in point.keys() - ABOUT
    )


def wanted(rows: list[Row]) -> Counter[tuple[str, str, str, float]]:
    """Those that rows are to come to: each once."""
    return Counter({(row.car, row.fields()["timestamp"], NAMES[row.name], row.value) for row in rows})


@st.composite
def recordings(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Rows in order, and the same shuffled within two seconds, some of them twice."""
    rows = []
    for car in draw(st.lists(st.sampled_from(CARS), min_size=1, unique=True)):
        for instant in sorted(draw(st.sets(st.integers(0, 200), min_size=1, max_size=12))):
            for name in draw(st.lists(st.sampled_from(list(NAMES)), min_size=1, unique=True)):
                rows.append(Row(car, instant, name, float(draw(st.integers(0, 3)))))
    copies = [row for row in rows if draw(st.booleans())]
    moved = [(row.instant + draw(st.integers(0, 19)), number, row) for number, row in enumerate([*rows, *copies])]
    return rows, [row for _, _, row in sorted(moved)]


class LiveTests(SynchronousTestCase):
    """`LiveDecoder` joins rows as they come."""

    def setUp(self) -> None:
        """Nothing has come yet."""
        self.live = LiveDecoder(PointDecoder(), told_of())

    def points(self, *datagrams: bytes, at: float = 0.0, ended: bool = True) -> list[dict[str, Any]]:
        """The points of datagrams; ``ended``: and of what waits after them."""
        decoded = self.live.datagrams(datagrams, at)
        raws = decoded.raws + (self.live.overdue(math.inf).raws if ended else [])
        return [json.loads(raw) for raw in raws]

    def repairs(self) -> dict[str, int]:
        """What was repaired, of all cars."""
        counts: Counter[str] = Counter()
        for repair, count in self.live.joiner.tally.repairs.items():
            counts[repair.name] += count
        return dict(counts)

    def row(self, **changes: Any) -> bytes:
        """A row with some fields changed; None leaves one out."""
        fields = {**Row(CARS[0], 10, "speed", 120.5).fields(), **changes}
        return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()

    def test_one_instant(self) -> None:
        """Rows of one car and one instant are one point with the channels that came, and nothing else."""
        (point,) = self.points(*(Row(CARS[0], 10, name, 1.5).json() for name in ("speed", "accx_can")))
        self.assertEqual(
            point,
            {
                "meta_time": iso(0.9),
                "track": "barber",
                "chassis": CARS[0],
                "lap": 3,
                "speed_kmh": 1.5,
                "accx_can": 1.5,
                "timestamp": iso(0.5 - 86_400),
            },
        )

    def test_complete(self) -> None:
        """An instant leaves when a later one of its car comes, or 50 ms after its first row."""
        first, second, other = (
            Row(CARS[0], 10, "speed", 1.0),
            Row(CARS[0], 11, "speed", 2.0),
            Row(CARS[1], 99, "speed", 3.0),
        )
        self.assertEqual(self.points(first.json(), other.json(), at=5.0, ended=False), [])
        self.assertEqual([p["speed_kmh"] for p in self.points(second.json(), at=5.02, ended=False)], [1.0])
        self.assertEqual(len(self.live.overdue(5.049).points), 0)
        self.assertEqual([p.speed_kmh for p in self.live.overdue(5.05).points], [3.0])
        self.assertEqual([p.speed_kmh for p in self.live.overdue(5.071).points], [2.0])
        self.assertFalse(self.live.joiner.waiting)
        self.assertEqual(self.live.joiner.pending, 0)

    def test_late(self) -> None:
        """A row that comes after its instant has left is a point of its own, and counted."""
        self.points(Row(CARS[0], 10, "speed", 1.0).json(), Row(CARS[0], 11, "speed", 2.0).json())
        (point,) = self.points(Row(CARS[0], 10, "nmot", 5000.0).json(), ended=False)
        self.assertEqual((point["rpm"], "speed_kmh" in point), (5000.0, False))
        self.assertEqual(self.repairs(), {"late_row": 1})

    def test_repeats(self) -> None:
        """The same value again is dropped, another one too: the first stays; each has its count."""
        rows = [Row(CARS[0], 10, "speed", value).json() for value in (1.0, 1.0, 2.0)]
        self.assertEqual([p["speed_kmh"] for p in self.points(*rows)], [1.0])
        self.assertEqual(self.repairs(), {"duplicate_row": 1, "conflicting_row": 1})
        tally = self.live.joiner.tally
        self.assertEqual((tally.rows, tally.samples, tally.duplicates, tally.refused), (3, 1, 2, 0))

    def test_unknown_lap(self) -> None:
        """Lap 0 and 32768 are left out of the point, and the race computation is told that it is not known."""
        for at, lap in enumerate((0, 32768, "32768")):
            decoded = self.live.datagrams([self.row(lap=lap, timestamp=iso(at))], 0.0)
            left = self.live.overdue(math.inf)
            (point,) = decoded.points + left.points
            self.assertNotIn(b'"lap"', left.raws[0])
            self.assertEqual(point.lap, float(str(lap)))
        self.assertEqual(self.repairs(), {"unknown_lap": 3})

    def test_stopped_clock(self) -> None:
        """A clock that shows the same for 0.2 s and more stands still: meta_time is the key until it moves."""
        stamp = iso(0)
        rows = [self.row(timestamp=stamp, meta_time=iso(n / 10), telemetry_value=float(n)) for n in range(6)]
        points = self.points(*rows, self.row(timestamp=iso(5), meta_time=iso(1), telemetry_value=9.0))
        # 0.1 s is no proof yet; from 0.2 s on each has its point.
        self.assertEqual([p["speed_kmh"] for p in points], [0.0, 2.0, 3.0, 4.0, 5.0, 9.0])
        self.assertEqual([p["meta_time"] for p in points], [iso(n / 10) for n in (0, 2, 3, 4, 5, 10)])
        self.assertEqual(self.repairs(), {"conflicting_row": 1, "clock_stopped": 1})

    def test_cars(self) -> None:
        """A number filled up to three digits is the same car; 3 and 03 are two, and so are two chassis."""
        cars = ("GR86-002-2", "GR86-002-002", "GR86-010-3", "GR86-010-03", "GR86-011-3")
        points = self.points(*(self.row(vehicle_id=car, timestamp=iso(n)) for n, car in enumerate(cars)))
        self.assertEqual(
            [p["chassis"] for p in points], ["GR86-002-2", "GR86-002-2", "GR86-010-3", "GR86-010-03", "GR86-011-3"]
        )

    def test_track(self) -> None:
        """The track is the row's own, or its event's; an unknown event is refused by its name."""
        points = self.points(self.row(track="cota"), self.row(circuit="sonoma", timestamp=iso(9)))
        self.assertEqual([p["track"] for p in points], ["cota", "sonoma"])
        (refusal,) = self.live.datagrams([self.row(meta_event="I_R99")], 0.0).refused
        self.assertEqual((refusal.error.reason, refusal.error.field), ("missing_field", "meta_event"))
        self.assertIn("I_R99", refusal.error.message)
        told = told_of()._replace(events={"I_R99": "barber"})
        self.live = LiveDecoder(PointDecoder(), told)
        self.assertEqual(self.points(self.row(meta_event="I_R99"))[0]["track"], "barber")

    def test_refused(self) -> None:
        """A bad row is refused for what is wrong with it, and the others of its instant stay."""
        for changes, reason in (
            ({"telemetry_value": 900}, "out_of_range"),
            ({"telemetry_value": "fast"}, "wrong_type"),
            ({"telemetry_value": ""}, "missing_field"),
            ({"telemetry_value": [1]}, "nested_value"),
            ({"telemetry_name": ""}, "bad_name"),
            ({"telemetry_name": "track"}, "bad_name"),
            ({"telemetry_name": "__proto__"}, "bad_name"),
            ({"timestamp": "yesterday"}, "bad_time"),
            ({"meta_time": "noon"}, "bad_time"),
            ({"lap": "three"}, "wrong_type"),
            ({"vehicle_id": None}, "missing_field"),
            ({"vehicle_id": "a\nb"}, "bad_text"),
        ):
            self.live = LiveDecoder(PointDecoder(), told_of())
            good = Row(CARS[0], 10, "nmot", 5000.0).json()
            decoded = self.live.datagrams([good, self.row(**changes)], 0.0)
            self.assertEqual([refusal.error.reason for refusal in decoded.refused], [reason], changes)
            self.assertEqual([p.rpm for p in self.live.overdue(math.inf).points], [5000.0])
            tally = self.live.joiner.tally
            self.assertEqual((tally.rows, tally.samples, tally.refused), (2, 1, 1), changes)

    def test_last_moment(self) -> None:
        """A row of the last moment there is costs the others nothing, and neither does one of the first."""
        ends = ("9999-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00Z")
        datagrams = [self.row(vehicle_id=f"b{n}", meta_time=end) for n, end in enumerate(ends)]
        datagrams += [self.row(vehicle_id=f"c{n}", timestamp=end) for n, end in enumerate(ends)]
        points = self.points(*datagrams, self.row(vehicle_id="good"))
        self.assertEqual(sorted(p["chassis"] for p in points), ["b0", "b1", "c0", "c1", "good"])
        self.assertEqual({p["meta_time"] for p in points if p["chassis"] == "b0"}, {"9999-12-31T23:59:59.999999Z"})

    def test_name_in_a_cell(self) -> None:
        """A first line with a column's name somewhere in it is no header by that, and costs the good ones nothing."""
        good = b"2025-09-06T18:41:40.5Z,barber,b,1,2,3"
        for first in (
            b"telemetry_name",
            b"telemetry_name,a,b,1,2,3",
            b"telemetry_name,vehicle_id",  # where the value stood there was no end
            b"telemetry_name,telemetry_vLlue,timestamp",
            b'2025-09-06T18:41:40.5Z,barber,"telemetry_name',
        ):
            decoded = self.live.datagrams([good, first + b"\n" + good], 0.0)
            self.assertEqual([point.chassis for point in decoded.points[:1] + decoded.points[-1:]], ["b", "b"], first)
            self.assertEqual(len(decoded.points) + len(decoded.refused), 3, first)

    def test_control_characters(self) -> None:
        """One at the end of a cell is no blank: it costs that row, also beside one that is no text."""
        self.assertEqual(cells_of(b" a ,\tb\x1f,c", 3), ["a", "b\x1f", "c"])

    def test_without_time(self) -> None:
        """Rows without any time get that of their arrival; a channel that comes again begins another instant."""
        rows = [self.row(timestamp=None, meta_time=None, telemetry_value=float(n)) for n in range(3)]
        points = self.points(*rows, at=1_757_184_100.0)
        self.assertEqual([p["speed_kmh"] for p in points], [0.0, 1.0, 2.0])
        self.assertEqual(points[0]["meta_time"], "2025-09-06T18:41:40.000Z")
        self.assertNotIn("timestamp", points[0])

    def test_point_with_like_names(self) -> None:
        """A point with a vendor's field called value, or telemetry_name alone, is a point as ever."""
        for extra in ({"value": 5}, {"telemetry_name": "x"}):
            (point,) = self.points(json.dumps({"track": "barber", "chassis": "A", **extra}).encode())
            self.assertEqual({**point, **extra}, point)
        self.assertEqual(self.live.joiner.tally.rows, 0)

    @given(recordings(), st.data())
    def test_any_cut(self, recording: tuple[list[Row], list[Row]], data: st.DataObject) -> None:
        """Shuffled, repeated and cut into datagrams of any form, the same samples come out, each once."""
        rows, sent = recording
        self.live = LiveDecoder(PointDecoder(), told_of())
        raws: list[bytes] = []
        at = 0
        while at < len(sent):
            size = data.draw(st.integers(1, 6))
            part = sent[at : at + size]
            at += size
            form = data.draw(st.sampled_from(("objects", "array", "lines", "csv", "headed", "bundle")))
            if form == "objects":
                datagrams = [row.json() for row in part]
            elif form == "array":
                datagrams = [b"[%b]" % b",".join(row.json() for row in part)]
            elif form == "lines":
                datagrams = [b"\n".join(row.json() for row in part)]
            elif form == "csv":
                datagrams = [b"\r\n".join(row.csv() for row in part)]
            elif form == "headed":
                datagrams = [b"\n".join([",".join(COLUMNS).encode(), *(row.csv() for row in part)])]
            else:
                datagrams = []
                for row in part:
                    fields = row.fields()
                    name, value = fields.pop("telemetry_name"), fields.pop("telemetry_value")
                    datagrams.append(json.dumps({**fields, "value": [{"name": name, "value": value}]}).encode())
            decoded = self.live.datagrams(datagrams, float(at))
            self.assertEqual(decoded.refused, [])
            raws += decoded.raws
        raws += self.live.overdue(math.inf).raws
        self.assertEqual(samples(raws), wanted(rows))
        tally = self.live.joiner.tally
        self.assertEqual((tally.rows, tally.samples, tally.duplicates), (len(sent), len(rows), len(sent) - len(rows)))
        self.assertEqual(self.live.joiner.pending, 0)

    @given(st.lists(st.binary(max_size=200), max_size=5), st.binary(max_size=3), st.integers(0, 300))
    def test_any_bytes(self, datagrams: list[bytes], patch: bytes, place: int) -> None:
        """Any bytes, and rows with any bytes in them, give points or counted refusals."""
        live = LiveDecoder(PointDecoder(), told_of())
        row, line = Row(CARS[0], 10, "speed", 1.0).json(), Row(CARS[0], 10, "speed", 1.0).csv()
        broken = [raw[:place] + patch + raw[place + len(patch) :] for raw in (row, line, row + b"\n" + row)]
        decoded = live.datagrams([*datagrams, *broken, *(b'{"telemetry_name":' + raw for raw in datagrams)], 0.0)
        left = live.overdue(math.inf)
        for raw in (*decoded.raws, *left.raws):
            json.loads(raw.decode())
        tally = live.joiner.tally
        self.assertEqual(tally.rows, tally.samples + tally.duplicates + tally.refused)
        self.assertEqual(live.joiner.pending, 0)


class FileTests(SynchronousTestCase):
    """A file of the long form, by its header."""

    def read(self, lines: list[bytes], batch: int = 7, name: str = "") -> tuple[list[bytes], Any]:
        """The points of a text and its table, read so many lines at a time."""
        table, is_header = open_table(lines[0], told_of(), name)
        decoder, raws = PointDecoder(), []
        rest = lines[1:] if is_header else lines
        for start in range(0, len(rest), batch):
            table.take(rest[start : start + batch], 0.0)
            raws += table.leave(decoder, 0.0).raws
        table.finish()
        while table.complete:
            raws += table.leave(decoder, 0.0, 3).raws
        return raws, table

    @given(recordings(), st.integers(1, 20))
    def test_same_points(self, recording: tuple[list[Row], list[Row]], batch: int) -> None:
        """Whatever the order within two seconds, the repeats and the cuts: the same points, each car's in order."""
        rows, sent = recording
        header = ",".join(COLUMNS).encode()
        found, table = self.read([header, *(row.csv() for row in sent)], batch)
        straight, _ = self.read([header, *(row.csv() for row in rows)], 10_000)
        key = lambda point: (point["chassis"], point["timestamp"])  # noqa: E731
        self.assertEqual(sorted(map(json.loads, found), key=key), sorted(map(json.loads, straight), key=key))
        for car in CARS:
            stamps = [p["timestamp"] for p in map(json.loads, found) if p["chassis"] == car]
            self.assertEqual(stamps, sorted(set(stamps)))
        tally = table.tally
        self.assertEqual((tally.rows, tally.samples, tally.duplicates), (len(sent), len(rows), len(sent) - len(rows)))
        self.assertEqual((table.pending, table.held_from), (0, None))

    @given(
        st.binary(max_size=120), st.lists(st.binary(max_size=120).filter(lambda line: b"\n" not in line), max_size=6)
    )
    def test_any_bytes(self, header: bytes, lines: list[bytes]) -> None:
        """Any bytes under any header give points or refusals."""
        for head in (
            header,
            ",".join(COLUMNS).encode(),
            b"meta_time,telemetry_name,telemetry_value",
            b"lap,timestamp,vehicle_id,value",
        ):
            try:
                table, _ = open_table(head, told_of(), "GR86-013-80.csv", "barber")
            except ValueError as error:
                self.assertTrue(getattr(error, "reason", ""))
                continue
            table.take(lines, 0.0)
            table.leave(PointDecoder(), 0.0)
            table.finish()
            while table.complete:
                table.leave(PointDecoder(), 0.0)
            tally = table.tally
            self.assertEqual(tally.rows, tally.samples + tally.duplicates + tally.refused)

    def test_reduced(self) -> None:
        """In the reduced form a lap is a channel, and the file's name tells car and track."""
        lines = [b"meta_time,telemetry_name,telemetry_value"]
        lines += [f"{iso(n)},{name},{value}".encode() for n in range(3) for name, value in (("lap", n), ("aps", 4.5))]
        raws, table = self.read(lines, name="R1_barber_GR86-013-80.csv.gz")
        points = list(map(json.loads, raws))
        self.assertEqual([p.get("lap") for p in points], [None, 1, 2])
        self.assertEqual({(p["track"], p["chassis"], p["aps"]) for p in points}, {("barber", "GR86-013-80", 4.5)})
        self.assertEqual((table.tally.rows, table.tally.samples), (6, 6))

    def test_nothing_but_samples(self) -> None:
        """A text that tells nothing but names and values is of the moment it came, of the car that its name tells."""
        raws, table = self.read([b"telemetry_name,telemetry_value", b"speed,141.2", b"nmot,6000"], 7, "barber/a.csv")
        self.assertEqual(
            [(p["chassis"], p["speed_kmh"], p["rpm"]) for p in map(json.loads, raws)], [("a", 141.2, 6000)]
        )
        self.assertEqual(table.tally.refused, 0)

    def test_columns_in_any_order(self) -> None:
        """The columns of the long form may stand in any order, quoted, with a byte order mark and CRLF."""
        row = Row(CARS[0], 10, "speed", 120.5).fields()
        names = sorted(row, reverse=True)
        lines = [b"\xef\xbb\xbf" + ",".join(f'"{name}"' for name in names).encode() + b"\r"]
        lines.append(",".join(f'"{row[name]}"' for name in names).encode() + b"\r")
        raws, _ = self.read(lines)
        self.assertEqual([json.loads(raw)["speed_kmh"] for raw in raws], [120.5])
