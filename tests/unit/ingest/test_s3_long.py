"""Objects in the long form: in order, once, and on after a crash."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pitwall.ingest import s3object
from pitwall.model.point import Point
from pitwall.wire.longform import COLUMNS
from tests.doubles import told_of
from tests.unit.ingest.s3_doubles import MemoryStore, refusal
from tests.unit.ingest.s3cases import S3TestCase

KEY = "telemetry/R1.csv"
START = datetime(2025, 9, 6, 18, 0, tzinfo=UTC)
#: Instants of a lap.
LAP = 60


def stamp(seconds: float) -> str:
    """A moment as the loggers write it."""
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def lap_rows(car: str, lap: int) -> list[str]:
    """The rows of one lap, newest first, as TRD's files have them; three channels an instant, one row twice."""
    lines = []
    for instant in reversed(range(lap * LAP, (lap + 1) * LAP)):
        for name, value in (("accx_can", 0.1), ("speed", 100 + instant % 80), ("nmot", 5000 + instant)):
            cells = dict.fromkeys(COLUMNS, "")
            cells |= {"lap": str(lap), "meta_event": "I_R06_2025-09-07", "meta_time": stamp(instant / 20 + 90_000)}
            cells |= {"telemetry_name": name, "telemetry_value": str(value)}
            cells |= {"timestamp": stamp(instant / 20), "vehicle_id": car}
            lines.append(",".join(cells.values()))
    return [*lines, lines[0]]


def text(laps: int = 12) -> str:
    """A file of two cars, one after the other."""
    lines = [row for car in ("GR86-002-2", "GR86-004-78") for lap in range(1, laps + 1) for row in lap_rows(car, lap)]
    return "\n".join([",".join(COLUMNS), *lines, ""])


class LongObjectTests(S3TestCase):
    """The long form in a bucket."""

    def setUp(self) -> None:
        """A window of three laps and small ranges, so that much is held and much has left at any time."""
        super().setUp()
        self.patch(s3object, "FIRST_RANGE", 4000)
        self.patch(s3object, "RANGE", 4000)
        self.told = told_of()._replace(window=3 * LAP * 3)

    def points(self) -> list[dict[str, Any]]:
        """The points that came, in their order."""
        return [json.loads(raw) for raw in self.hub.ring.newest(100_000)]

    def test_in_order(self) -> None:
        """Each car's points come in the order of its clock, each instant once, with all its channels."""
        self.begin(told=self.told)
        self.bucket.put(KEY, text())
        self.start()
        points = self.points()
        self.assertEqual(len(points), 2 * 12 * LAP)
        for car in ("GR86-002-2", "GR86-004-78"):
            stamps = [point["timestamp"] for point in points if point["chassis"] == car]
            self.assertEqual(stamps, [stamp(n / 20) for n in range(LAP, 13 * LAP)])
        self.assertEqual({len(point) for point in points}, {8})
        self.assertEqual(self.hub.ledger.rows["s3"], Counter(rows=4344, samples=4320, duplicates=24))
        self.assertEqual((self.door.objects_read, self.door.rows_read, self.door.pending), (1, 4344, 0))

    def test_crash(self) -> None:
        """Wherever the server is killed, each instant is published once by the two runs together."""
        self.bucket.put(KEY, text(6))
        self.begin(told=self.told, store=MemoryStore())
        self.start()
        whole = sorted(raw for raw in self.hub.ring.newest(100_000))

        saved: list[tuple[bytes, int]] = []
        store = MemoryStore()
        self.begin(told=self.told, store=store)
        write = store.write
        store.write = lambda content: (saved.append((content, self.hub.last_seq)), write(content))  # type: ignore[assignment, func-returns-value]
        self.start()
        self.assertEqual(sorted(self.hub.ring.newest(100_000)), whole)
        self.assertGreater(len(saved), 20)
        first = self.hub.ring.newest(100_000)
        dropped = 0
        for content, published in saved:
            self.begin(told=self.told, store=MemoryStore(content))
            self.start()
            again = self.hub.ring.newest(100_000)
            self.assertEqual(sorted([*first[:published], *again]), whole, published)
            dropped += self.hub.ledger.repairs["taken_before"]
            self.door.stopService()
        self.assertGreater(dropped, 0)

    def test_set_back(self) -> None:
        """Rows that are held when an object can't be read on come once more; the books tell of them."""
        self.begin(told=self.told)
        self.bucket.put(KEY, text(6))
        lines: list[dict[str, Any]] = []

        def fail(points: Sequence[Point]) -> None:
            lines.append(self.lines_of(self.hub, self.door)["rows"])
            if self.hub.last_seq > 200:
                self.bucket.failures[KEY] = refusal(500, "InternalError")

        self.before_publish(fail)
        self.start()
        rows = self.lines_of(self.hub, self.door)["rows"]
        self.assertGreater(rows["refused"]["set_back"], 100)
        self.assertEqual((rows["pending"], self.door.pending), (0, 0))
        self.assertGreater(max(line["pending"] for line in lines), 100)
        self.patch(self.hub, "publish", type(self.hub).publish.__get__(self.hub))
        self.bucket.failures.clear()
        for _ in range(3):
            self.look()
        again = self.lines_of(self.hub, self.door)["rows"]
        self.assertEqual(again["refused"], rows["refused"])
        self.assertEqual(again["accepted"], 2 * 6 * LAP * 3)

    def test_grows(self) -> None:
        """An object that is written on is read on; what was there is not taken again."""
        self.begin(told=self.told)
        lines = text(4).splitlines(keepends=True)
        self.bucket.put(KEY, "".join(lines[:500]))
        self.start()
        self.bucket.put(KEY, "".join(lines))
        self.look()
        channels = Counter(
            (point["chassis"], point["timestamp"], name)
            for point in self.points()
            for name in ("accx_can", "speed_kmh", "rpm")
            if name in point
        )
        self.assertEqual((len(channels), set(channels.values())), (2 * 4 * LAP * 3, {1}))

    def test_reduced(self) -> None:
        """Three columns are a car's rows: its name is that of the object, its track that of a folder."""
        self.begin(told=self.told)
        body = "meta_time,telemetry_name,telemetry_value\n"
        body += "".join(f"{stamp(n / 4)},{name},{n}\n" for n in range(40) for name in ("speed", "aps"))
        self.bucket.put("telemetry/barber/GR86-013-80.csv", body)
        self.bucket.put("telemetry/GR86-013-81.csv", body)
        self.start()
        points = self.points()
        self.assertEqual({(point["track"], point["chassis"]) for point in points}, {("barber", "GR86-013-80")})
        self.assertEqual([point["meta_time"] for point in points], [stamp(n / 4) for n in range(40)])
        # Without a track anywhere, rows are refused, by name and number.
        self.assertEqual(self.hub.ledger.refused, Counter({("s3", "missing_field"): 80}))

    def test_lap_triggers(self) -> None:
        """A lap-trigger file in the bucket becomes lap events, in the order of time."""
        self.begin(told=self.told)
        header = "expire_at,lap,meta_event,meta_session,meta_source,meta_time,outing,timestamp,value,vehicle_id\r\n"
        rows = [(3, 200.0, 99_500), (2, 100.5, 100_100), (2, 100.9, 100_100), (1, 0.4, 44)]
        body = header + "".join(
            f",{lap},I_R05_2025-08-17,R2,kafka:gr-raw,{stamp(at + 1)},0,{stamp(at)},{ms},GR86-024-41\r\n"
            for lap, at, ms in rows
        )
        self.bucket.put("telemetry/road_america_lap_time_R2.csv", body)
        self.start()
        self.assertEqual(
            [(point["lap"], point["meta_time"], point.get("lap_time_s")) for point in self.points()],
            [(1, stamp(0.4), None), (2, stamp(100.5), 100.1), (3, stamp(200), 99.5)],
        )
        self.assertEqual(self.hub.ledger.repairs, Counter(repeated_trigger=1, bad_lap_time=1))
