"""What a CSV text is, its first line tells; lap triggers become lap events."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.wire.errors import WireError
from pitwall.wire.laptriggers import TriggerTable
from pitwall.wire.longform import COLUMNS
from pitwall.wire.points import PointDecoder
from pitwall.wire.tables import JsonTable, LongTable, PlainTable, WideTable, open_table
from tests.doubles import told_of
from tests.strategies import NOISE, read_strictly

TRD = ",".join(COLUMNS).encode()
#: The three layouts of lap-trigger files.
QUOTED = (
    b'"meta_source","meta_time","meta_event","meta_session","timestamp","vehicle_id","outing","lap","expire_at","value"'
)
WITHOUT = (
    b"expire_at,lap,meta_event,meta_session,meta_source,meta_time,original_vehicle_id,outing,timestamp,vehicle_id,"
    b"vehicle_number\r"
)
WITH = b"expire_at,lap,meta_event,meta_session,meta_source,meta_time,outing,timestamp,value,vehicle_id\r"
#: A row of the long form, and one of the thirteen fields that stand twice.
ROW = b",7,I_R06_2025-09-07,R1,k,2025-09-06T18:40:41.926Z,A,0,speed,1.5,2025-09-05T00:28:20.593Z,A,1"


class FirstLineTests(SynchronousTestCase):
    """`open_table` tells one kind of text from another."""

    def test_kinds(self) -> None:
        """The long form, the reduced one, wide rows, lap triggers, and rows without a header."""
        for first, kind, is_header in (
            (TRD, LongTable, True),
            (b",".join(reversed(TRD.split(b","))), LongTable, True),
            (b"meta_time,telemetry_name,telemetry_value", LongTable, True),
            (
                b",7,I_R06_2025-09-07,R1,k,2025-09-06T18:40:41.926Z,A,0,speed,1.5,2025-09-05T00:28:20.593Z,A,1",
                LongTable,
                False,
            ),
            (b"time_utc,circuit,vehicle_id,speed", WideTable, True),
            (b"vehicle_id,lap,timestamp,speed", WideTable, True),
            (b",barber,A,3,1.5,141.0", PlainTable, False),
            (QUOTED, TriggerTable, True),
            (WITH, TriggerTable, True),
        ):
            table, header = open_table(first, told_of(), "", "barber")
            self.assertEqual((type(table), header), (kind, is_header), first)
        for first in (b"a,b,c", b"", b'"', b"\xff", b"x" * 70_000):
            self.assertRaises(WireError, open_table, first, told_of(), "GR86-002-2.csv", "barber")

    def test_which_trigger(self) -> None:
        """Lap triggers without a value need a name that tells which they are."""
        self.assertRaises(WireError, open_table, WITHOUT, told_of())
        table, _ = open_table(WITHOUT, told_of(), "R1_barber_lap_start.csv")
        self.assertIsInstance(table, TriggerTable)


class JsonTableTests(SynchronousTestCase):
    """`JsonTable` takes lines of JSON."""

    @given(st.lists(NOISE.filter(lambda line: b"\n" not in line), max_size=6), st.booleans())
    def test_any_lines(self, lines: list[bytes], lacks: bool) -> None:
        """Any lines give points that can be relayed, or refusals."""
        told = told_of("barber")
        table = JsonTable(told, told.lacking("", None, "A" if lacks else None))
        refused = table.take(lines, 0.0)
        table.finish()
        found = table.leave(PointDecoder(), 0.0)
        while table.complete:
            table.leave(PointDecoder(), 0.0)
        for raw in found.raws:
            self.assertIsInstance(read_strictly(raw), dict)
        for refusal in (*refused, *found.refused):
            self.assertIn(refusal.error.reason, WireError.REASONS)


class LapTriggerTests(SynchronousTestCase):
    """`TriggerTable` makes lap events of triggers."""

    def read(self, header: bytes, lines: list[bytes], name: str = "") -> tuple[list[dict[str, Any]], list[float], Any]:
        """The points, the lap the race computation gets of each, and the table."""
        table, _ = open_table(header, told_of(), name)
        self.refused = table.take(lines, 0.0)
        table.finish()
        decoded = table.leave(PointDecoder(), 0.0)
        return [json.loads(raw) for raw in decoded.raws], [point.lap for point in decoded.points], table

    def test_lap_times(self) -> None:
        """Lap times are known by their values; absurd ones and unknown laps are left out, the event stays."""
        line = '"k","2025-05-17T18:26:31.200Z","I_R03_2025-05-18","R1","2025-05-17T18:{}:30.493Z","GR86-006-7",0,{},{},'
        header = QUOTED.replace(b'"expire_at","value"', b'"value","expire_at"')
        wanted = ((26, 19, 147269), (24, 18, 44), (20, 0, -5), (10, 32768, 7127986))
        points, laps, table = self.read(header, [line.format(*each).encode() for each in wanted])
        self.assertEqual([p["meta_time"][14:16] for p in points], ["10", "20", "24", "26"])
        self.assertEqual([p.get("lap") for p in points], [None, None, 18, 19])
        self.assertEqual([p.get("lap_time_s") for p in points], [None, None, None, 147.269])
        self.assertEqual({p["lap_event"] for p in points}, {"lap_time"})
        # A lap that has ended is the next one begun.
        self.assertEqual(laps[2:], [19.0, 20.0])
        self.assertTrue(all(map(math.isnan, laps[:2])))
        repairs = {repair.name: count for repair, count in table.tally.repairs.items()}
        self.assertEqual(repairs, {"bad_lap_time": 3, "unknown_lap": 2})

    def test_repeated(self) -> None:
        """Triggers of a kind within ten seconds are one, by car; the first in time stays, whatever their order."""
        line = ",{},I_R06_2025-09-07,R1,k,2025-09-06T18:40:41.927Z,{},0,2025-09-06T18:{}Z,{},0\r"
        sent = (
            (3, "A", "42:25.504"),
            (3, "A", "42:25.900"),
            (2, "A", "40:41.775"),
            (3, "B", "42:26.000"),
            (3, "A", "42:16.000"),
        )
        lines = [line.format(lap, car, at, car).encode() for lap, car, at in sent]
        points, laps, table = self.read(WITHOUT, lines, "R1_barber_lap_start.csv")
        self.assertEqual(
            [(p["chassis"], p["meta_time"][14:23]) for p in points],
            [("A", "40:41.775"), ("A", "42:16.000"), ("B", "42:26.000")],
        )
        self.assertEqual((laps, {p["track"] for p in points}), ([2.0, 3.0, 3.0], {"barber"}))
        tally = table.tally
        self.assertEqual((tally.rows, tally.samples, tally.duplicates, tally.refused), (5, 3, 2, 0))

    @given(
        st.sampled_from([QUOTED, WITHOUT, WITH]),
        st.lists(
            st.lists(
                st.sampled_from(["", "2", "-1", "1e9", "x" * 5000, "I_R05_2025-08-17", "2025-08-17T17:45:07.102Z", "A"])
                | st.text(max_size=9).filter(lambda cell: "\n" not in cell),
                min_size=9,
                max_size=11,
            ),
            max_size=5,
        ),
    )
    def test_any_rows(self, header: bytes, rows: list[list[str]]) -> None:
        """Whatever is in the cells, each line is a sample, a repeat or a refusal, and what is published is JSON."""
        lines = [",".join(row).encode("utf-8", "surrogatepass") for row in rows]
        points, _, table = self.read(header, lines, "R1_barber_lap_start.csv")
        tally = table.tally
        self.assertEqual(tally.rows, tally.samples + tally.duplicates + tally.refused)
        self.assertLessEqual(len(points), tally.samples)

    def test_refused(self) -> None:
        """A trigger without a time, a car or a track that is known is refused by name, and the others stay."""
        lines = [
            b",2,I_R05_2025-08-17,R2,k,t,0,2025-08-17T17:45:07.102Z,2025-08-17T17:45:07.102Z,GR86-006-7\r",
            b",2,I_R99,R2,k,t,0,2025-08-17T17:45:07.102Z,x,GR86-006-7\r",
            b",2,I_R05_2025-08-17,R2,k,t,0,,x,GR86-006-7\r",
            b",2,I_R05_2025-08-17,R2,k,t,0,2025-08-17T17:45:07.102Z,x,\r",
            b",two,I_R05_2025-08-17,R2,k,t,0,2025-08-17T17:45:07.102Z,x,A\r",
            b"1,2\r",
            b"\r",
        ]
        points, _, table = self.read(WITH, lines, "lap_end_R2.csv")
        self.assertEqual([(p["track"], p["lap_event"]) for p in points], [("road_america", "lap_end")])
        reasons = [refusal.error.reason for refusal in self.refused]
        self.assertEqual(reasons, ["missing_field"] * 3 + ["wrong_type", "csv_fields"])
        self.assertEqual((table.tally.rows, table.tally.samples, table.tally.refused), (6, 1, 5))
