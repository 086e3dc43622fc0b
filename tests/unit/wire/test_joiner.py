"""``pitwall.wire.joiner`` and the two kinds of it: rows of the long form become points."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.cars import CarNames
from pitwall.model.events import EVENTS, parse_events
from pitwall.wire.filejoiner import FileJoiner
from pitwall.wire.joiner import Joiner
from pitwall.wire.livejoiner import LiveJoiner
from pitwall.wire.longform import LongRow
from pitwall.wire.points import Decoded, PointDecoder
from pitwall.wire.tally import Lacking

EVENT = "I_R06_2025-09-07"
#: What the receiver is ahead of the cars [ms].
AHEAD_MS = 25_000


def clock(ms: int) -> str:
    """A time of day as the loggers write it; ``ms`` counts from 18:40:00."""
    return f"2025-09-06T18:{40 + ms // 60_000:02}:{ms // 1000 % 60:02}.{ms % 1000:03}Z"


def row(ms: int, name: str = "speed", value: Any = 100.0, **other: Any) -> LongRow:
    """A row of a car at a moment of its clock."""
    fields: dict[str, Any] = {
        "vehicle_id": "GR86-002-2",
        "timestamp": clock(ms),
        "meta_time": clock(ms + AHEAD_MS),
        "meta_event": EVENT,
    }
    return LongRow(name, value, **{**fields, **other})


def seen(decoded: Decoded) -> list[dict[str, Any]]:
    """The points as clients get them."""
    return list(map(json.loads, decoded.raws))


class JoinCase(SynchronousTestCase):
    """A joiner, and what has left it."""

    def setUp(self) -> None:
        """A joiner of a live door."""
        self.joiner: Joiner = LiveJoiner(CarNames(), EVENTS)
        self.decoder = PointDecoder()

    def take(self, *rows: LongRow, at: float = 0.0) -> list[dict[str, Any]]:
        """Take rows; returns the points that leave at once."""
        self.refused = [(each.row, each.error.reason) for each in self.joiner.take(rows, at)]
        return self.left()

    def left(self) -> list[dict[str, Any]]:
        """The points that leave."""
        decoded = self.joiner.leave(self.decoder, 0.0)
        self.points = decoded.points
        return seen(decoded)

    def waited(self) -> list[dict[str, Any]]:
        """The points that leave when nothing else comes."""
        assert isinstance(self.joiner, LiveJoiner)
        self.joiner.overdue(1e12)
        return self.left()

    def repairs(self) -> dict[str, int]:
        """What was repaired, by name."""
        return {repair.name: count for repair, count in self.joiner.tally.repairs.items()}

    def balances(self) -> None:
        """Every row is in a point, a duplicate, or refused."""
        tally = self.joiner.tally
        self.assertEqual(tally.rows, tally.samples + tally.duplicates + tally.refused)


class LiveJoinerTests(JoinCase):
    """`LiveJoiner` lets an instant leave as soon as it is complete."""

    def test_one_instant_one_point(self) -> None:
        """The rows of an instant are one point with just the channels that came; a later instant completes it."""
        self.assertEqual(self.take(row(0), row(0, "nmot", 5000), row(0, "oil_temp", 92.5)), [])
        (point,) = self.take(row(40))
        self.assertEqual(
            point,
            {
                "meta_time": clock(AHEAD_MS),
                "track": "barber",
                "chassis": "GR86-002-2",
                "speed_kmh": 100.0,
                "rpm": 5000,
                "oil_temp": 92.5,
                "timestamp": clock(0),
            },
        )

    def test_fifty_milliseconds(self) -> None:
        """An instant leaves 50 ms after its first row at the latest."""
        assert isinstance(self.joiner, LiveJoiner)
        self.take(row(0), at=10.0)
        self.assertTrue(self.joiner.waiting)
        self.joiner.overdue(10.049)
        self.assertEqual(self.left(), [])
        self.joiner.overdue(10.05)
        self.assertEqual(len(self.left()), 1)
        self.assertFalse(self.joiner.waiting)

    def test_late_row(self) -> None:
        """A channel whose instant has left is a point of its own, and counted."""
        self.take(row(0), row(40))
        (point,) = self.take(row(0, "nmot", 5000))
        self.assertEqual((point["timestamp"], point["rpm"], "speed_kmh" in point), (clock(0), 5000, False))
        self.assertEqual(self.repairs(), {"late_row": 1})

    def test_duplicate_and_conflict(self) -> None:
        """The first value of a channel stays, whether the same one comes again or another, also after it left."""
        self.take(row(0), row(0), row(0, value=7.0))
        self.assertEqual([point["speed_kmh"] for point in self.take(row(40))], [100.0])
        self.assertEqual(self.take(row(0)), [])
        self.assertEqual(self.repairs(), {"duplicate_row": 2, "conflicting_row": 1})
        self.assertEqual(self.joiner.tally.duplicates, 3)
        self.balances()

    def test_unknown_lap(self) -> None:
        """Laps 0 and 32768 are left out and counted; the race is told that the lap is not known."""
        for number, lap in enumerate((0, 32768)):
            self.take(row(number * 40, lap=lap))
            (point,) = self.waited()
            self.assertNotIn("lap", point)
            self.assertEqual(self.points[0].lap, lap)
        self.assertEqual(self.repairs(), {"unknown_lap": 2})

    def test_stopped_clock(self) -> None:
        """When a channel comes again 0.2 s later by ``meta_time``, that is the key until the clock moves."""
        left = [point for n in range(4) for point in self.take(row(0, value=float(n), meta_time=clock(n * 250)))]
        left += self.take(row(40, value=9.0, meta_time=clock(1000))) + self.waited()
        self.assertEqual([point["speed_kmh"] for point in left], [0, 1, 2, 3, 9])
        self.assertEqual([point["meta_time"] for point in left], [clock(n * 250) for n in range(5)])
        self.assertEqual(self.repairs(), {"clock_stopped": 1})

    def test_spellings(self) -> None:
        """GR86-002-2 and GR86-002-002 are one car, 3 and 03 are two."""
        self.take(row(0), row(0, "nmot", 5000, vehicle_id="GR86-002-002"))
        self.assertEqual([point["chassis"] for point in self.waited()], ["GR86-002-2"])
        self.take(row(0, vehicle_id="GR86-002-3"), row(0, vehicle_id="GR86-002-03"))
        self.assertEqual([point["chassis"] for point in self.waited()], ["GR86-002-3", "GR86-002-03"])

    def test_events(self) -> None:
        """An unknown event is refused by its name; further events, and a track that is told, are taken."""
        (refusal,) = self.joiner.take([row(0, meta_event="I_R99")], 0.0)
        self.assertIn("'I_R99'", refusal.error.message)
        self.take(row(0, meta_event="I_R99", circuit="cota"), row(40, meta_event="I_R99", track="sebring"))
        self.assertEqual(self.refused, [])
        self.joiner = LiveJoiner(CarNames(), {**EVENTS, **parse_events("I_R99 = sonoma")})
        self.take(row(0, meta_event="I_R99"))
        self.assertEqual([point["track"] for point in self.waited()], ["sonoma"])

    def test_told(self) -> None:
        """A row that says neither its track nor its car gets what was told beforehand."""
        self.joiner = LiveJoiner(CarNames(), EVENTS, Lacking("cota", "GR86-7"))
        self.take(row(0, vehicle_id="", meta_event=None))
        (point,) = self.waited()
        self.assertEqual((point["track"], point["chassis"]), ("cota", "GR86-7"))

    def test_bad_rows_among_good_ones(self) -> None:
        """A bad row is refused for itself, the others of its instant are kept."""
        self.take(
            row(0, value=999.0),
            row(0, "nmot", "fast"),
            row(0, "gear", 3),
            row(0, "aps", None),
            row(0, "__proto__", 1.0),
            row(0, "timestamp", 1.0),
            row(0, vehicle_id=""),
            row(0, timestamp="noon"),
        )
        reasons = ["out_of_range", "wrong_type", "missing_field", "bad_name", "bad_name", "missing_field", "bad_time"]
        self.assertEqual(self.refused, list(zip((0, 1, 3, 4, 5, 6, 7), reasons, strict=True)))
        self.assertEqual([point["gear"] for point in self.waited()], [3])
        self.balances()


class FileJoinerTests(JoinCase):
    """`FileJoiner` lets instants leave in the order of the car's clock."""

    def setUp(self) -> None:
        """A joiner of a file."""
        super().setUp()
        self.joiner = self.file = FileJoiner(CarNames(), EVENTS)

    def end(self) -> list[dict[str, Any]]:
        """What leaves at the end."""
        self.file.finish()
        points = []
        for _ in range(1000):
            points += seen(self.file.leave(self.decoder, 0.0, 3))
            if not self.file.complete:
                return points
        raise AssertionError("no end")

    def test_newest_first(self) -> None:
        """A lap whose rows are the newest first leaves the oldest first."""
        self.assertEqual(self.take(*(row(ms) for ms in range(4000, -1, -40))), [])
        self.assertEqual([point["timestamp"] for point in self.end()], [clock(ms) for ms in range(0, 4001, 40)])
        self.assertEqual((self.file.pending, self.file.held_from), (0, None))

    def test_window(self) -> None:
        """No more rows are held than the window has; the oldest leave."""
        self.joiner = self.file = FileJoiner(CarNames(), EVENTS, window=10)
        left = self.take(*(row(ms) for ms in range(0, 1000, 40)))
        self.assertEqual([point["timestamp"] for point in left], [clock(ms) for ms in range(0, 600, 40)])
        self.assertEqual(self.file.pending, 10)

    def test_nothing_but_bad_rows(self) -> None:
        """An instant of which no row was good holds nothing up."""
        self.take(row(0, value=999.0))
        self.assertEqual(self.end(), [])
        self.assertIsNone(self.file.held_from)

    def test_bad_row_then_good_one(self) -> None:
        """A good row after a bad one of its instant leaves, and its place in the text is done with."""
        self.file.mark = 1
        self.take(row(0, value=999.0))
        self.file.mark = 2
        self.take(row(0))
        self.assertEqual(len(self.end()), 1)
        self.assertIsNone(self.file.held_from)

    def test_resumed_under_another_spelling(self) -> None:
        """What an earlier reading let leave is known although the car is called otherwise by now."""
        names = CarNames()
        names.name("GR86-002-002")
        self.take(row(0))
        self.end()
        self.joiner = self.file = FileJoiner(names, EVENTS, released=self.file.released)
        self.file.again = True
        self.take(row(0))
        self.assertEqual(self.end(), [])
        self.assertEqual(self.repairs(), {"taken_before": 1})

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["speed", "nmot", "gear"])), max_size=60, unique=True),
        st.integers(1, 20),
        st.integers(0, 60),
    )
    def test_resumed_anywhere(self, moments: list[tuple[int, str]], window: int, cut: int) -> None:
        """A reading cut at any batch and resumed gives the same points, each of them once."""
        batches = [[row(ms * 40, name, 1.0) for ms, name in moments[at : at + 4]] for at in range(0, len(moments), 4)]

        def read(file: FileJoiner, start: int, end: int, seen_to: int = 0) -> list[str]:
            points = []
            for mark in range(start, end):
                file.mark, file.again = mark, mark < seen_to
                file.take(batches[mark], 0.0)
                points += file.leave(self.decoder, 0.0).raws
            return [raw.decode() for raw in points]

        whole = self.file = FileJoiner(CarNames(), EVENTS, window=window)
        wanted = read(whole, 0, len(batches)) + [json.dumps(point, separators=(",", ":")) for point in self.end()]
        cut = min(cut, len(batches))
        first = FileJoiner(CarNames(), EVENTS, window=window)
        got = read(first, 0, cut)
        again = self.file = FileJoiner(CarNames(), EVENTS, window=window, released=first.released)
        start = cut if first.held_from is None else first.held_from
        got += read(again, start, len(batches), cut)
        got += [json.dumps(point, separators=(",", ":")) for point in self.end()]
        self.assertEqual(samples(got), samples(wanted))
        tally = whole.tally
        self.assertEqual((tally.rows, tally.samples, len(samples(wanted))), (len(moments),) * 3)


def samples(points: list[str]) -> list[tuple[str, str]]:
    """Each instant and channel, sorted."""
    wanted = ("speed_kmh", "rpm", "gear")
    return sorted((p["timestamp"], name) for p in map(json.loads, points) for name in wanted if name in p)
