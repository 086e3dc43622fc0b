"""The race does not depend on how its points are cut, shared out among workers, or late."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import Tracks
from pitwall.race.analysis import Analysis
from pitwall.race.book import RaceBook
from pitwall.race.report import CarTick
from pitwall.race.share import Share, StoredShare, TickMark, Told
from pitwall.sim import Faults
from tests.unit.race.recordings import (
    SHORTWAY,
    Recording,
    Rows,
    analysis,
    as_told,
    in_order,
    in_parts,
    in_ticks,
    names_of,
    recording,
)

#: Three laps and a bit.
SECONDS = 112.0
#: As bad as the real ones.
REAL = Faults(
    clock_behind_h=(24, 30),
    laps_ahead=2,
    burst_s=0.6,
    latency_s=0.5,
    shuffled_share=0.1,
    duplicate_share=0.02,
    lapdist_noise_m=0.3,
)


def real_race(seconds: float = SECONDS, **more: Any) -> Recording:
    """Four cars at the loggers' rates, with the faults of real recordings."""
    return recording(seconds, **{"track": SHORTWAY, "cars": 4, "seed": 2, "real_rates": True, "faults": REAL, **more})


def blind_race() -> Recording:
    """Three cars without a lap distance."""
    return recording(SECONDS, track=SHORTWAY, cars=3, rate_hz=22, faults=Faults(missing_lapdist_share=1))


class CutTests(SynchronousTestCase):
    """How the points are cut into batches makes no difference, to the last byte."""

    def test_lengths(self) -> None:
        """One point at a time, 37, a tick's and all at once, on a configured track and on another."""
        for made, configured in ((real_race(), True), (real_race(), False), (blind_race(), True)):
            whole = as_told(analysis([made.rows], made.numbers, SHORTWAY, configured))
            cuts = [in_parts(made.rows, 37), in_ticks(made.rows, 0.6)]
            if made is blind_race() or not configured:
                cuts.append(in_parts(made.rows, 1))
            for parts in cuts:
                self.assertEqual(as_told(analysis(parts, made.numbers, SHORTWAY, configured)), whole)

    @settings(max_examples=4)
    @given(st.lists(st.integers(0, 9000), max_size=30))
    def test_any_cut(self, at: list[int]) -> None:
        """Nor do any other cuts."""
        made = real_race(75.0)
        whole = as_told(analysis([made.rows], made.numbers, SHORTWAY))
        parts = [part for part in np.split(made.rows, sorted(at)) if part.size]
        self.assertEqual(as_told(analysis(parts, made.numbers, SHORTWAY)), whole)

    def test_results(self) -> None:
        """Nor in what clients get of each car in the end; every point is counted once."""
        made = real_race()
        counted: list[dict[str, int]] = []
        last: list[bytes] = []
        for length in (37, 5000, len(made.rows)):
            found = analysis([], made.numbers, SHORTWAY, finish=False)
            points = dict.fromkeys(made.numbers, 0)
            results: dict[str, dict[str, Any]] = {}
            for part in in_parts(made.rows, length):
                found.take(part)
                for result in found.results():
                    points[result["chassis"]] += result["meta"].pop("pointCount")
                    results[result["chassis"]] = result
            counted.append(points)
            last.append(msgspec.json.encode(results, order="deterministic"))
        self.assertEqual(len({*last}), 1)
        expected = {chassis: int(np.sum(made.rows["car"] == number)) for chassis, number in made.numbers.items()}
        self.assertEqual(counted, [expected] * 3)


class Workers:
    """Shares of the cars and the step that compares them, as the server has them in processes."""

    def __init__(self, count: int, made: Recording, stored: Sequence[bytes] = ()) -> None:
        self.tracks = Tracks([SHORTWAY])
        self.names = names_of(made.numbers, made.race.track.name)
        self.shares = [self.share(number, count, stored[number] if stored else None) for number in range(count)]
        self.result = Analysis(self.tracks)
        self.book = self.result.book = RaceBook(self.tracks)
        for name in self.names:
            self.book.know(*name)

    def share(self, number: int, count: int, stored: bytes | None = None) -> Share:
        """One of them, new or in the place of another."""
        state = None if stored is None else msgspec.msgpack.decode(stored, type=StoredShare)
        share = Share(self.tracks, 0.6, lambda chassis: zlib.crc32(chassis.encode()) % count == number, stored=state)
        share.know(self.names, [])
        return share

    def collect(self, told: Told) -> None:
        """What a worker tells travels as bytes."""
        content = msgspec.msgpack.encode([*told.marks, *told.cars])
        items = msgspec.msgpack.decode(content, type=list[CarTick | TickMark])
        marks = [item for item in items if isinstance(item, TickMark)]
        self.book.collect(Told(marks, [item for item in items if isinstance(item, CarTick)]))

    def compare(self, upto: int) -> None:
        """Work off what all have told of."""
        for said in self.book.due(upto):
            self.result.insights += said
            self.result.corrections += self.book.take_corrections()

    def run(self, parts: Sequence[Rows], replaced_at: Iterable[int] = ()) -> bytes:
        """All that is said; the workers read in turns, and from some parts on are replaced by others."""
        replaced = {*replaced_at}
        for index, part in enumerate(parts):
            for number, share in enumerate(self.shares):
                if index in replaced:
                    stored = msgspec.msgpack.encode(share.store())
                    share = self.shares[number] = self.share(number, len(self.shares), stored)
                self.collect(share.take(part))
            self.compare(int(part["seq"][-1]))
        for share in self.shares:
            self.collect(share.flush())
        self.compare(2**63)
        return as_told(self.result)


class WorkersTests(SynchronousTestCase):
    """The number of workers makes no difference, to the last byte."""

    def test_numbers(self) -> None:
        """One, two and four give what the computation in one place does."""
        for made in (real_race(), blind_race()):
            whole = as_told(analysis([made.rows], made.numbers, SHORTWAY))
            for count in (1, 2, 4):
                self.assertEqual(Workers(count, made).run(list(in_parts(made.rows, 301))), whole)

    def test_in_turns(self) -> None:
        """Nor does it if one of them is far behind the others all the time."""
        made = real_race()
        workers, parts = Workers(4, made), list(in_parts(made.rows, 211))
        for index in range(len(parts)):
            for number, share in enumerate(workers.shares):
                behind = index - 3 * number
                if behind >= 0:
                    workers.collect(share.take(parts[behind]))
            workers.compare(int(parts[index - 9]["seq"][-1]) if index >= 9 else 0)
        for number, share in enumerate(workers.shares):
            for part in parts[len(parts) - 3 * number :] if number else []:
                workers.collect(share.take(part))
            workers.collect(share.flush())
        workers.compare(2**63)
        self.assertEqual(as_told(workers.result), as_told(analysis([made.rows], made.numbers, SHORTWAY)))

    @settings(max_examples=3)
    @given(st.sets(st.integers(1, 40), max_size=8))
    def test_replaced(self, at: set[int]) -> None:
        """A worker that is replaced at any moment goes on as if nothing had been."""
        for made in (real_race(75.0), blind_race()):
            parts = list(in_parts(made.rows, 203))
            whole = as_told(analysis([made.rows], made.numbers, SHORTWAY))
            self.assertEqual(Workers(2, made).run(parts, at), whole)

    def test_replaced_all_the_time(self) -> None:
        """Even if that is after every few points, also with points that are late."""
        made = real_race(90.0)
        rows = late(made, 3)
        whole = as_told(analysis([rows], made.numbers, SHORTWAY))
        parts = list(in_parts(rows, 53))
        self.assertEqual(Workers(2, made).run(parts, range(len(parts))), whole)


def late(made: Recording, seed: int, share: float = 0.1) -> Rows:
    """The rows with a share of them 30 to 119 s late."""
    chance = np.random.default_rng(seed)
    is_late = chance.random(len(made.rows)) < share
    return in_order(made.rows, made.rows["time_s"] + np.where(is_late, chance.uniform(30, 119, len(made.rows)), 0))


def tables(found: Analysis) -> dict[str, Any]:
    """Laps and gaps, without what tells of the order in which points came."""
    rows = [{**row, "first_seq": 0, "last_seq": 0, "corrected": False} for row in found.book.laps()]
    return {"laps": rows, "gaps": found.book.gaps()}


class OrderTests(SynchronousTestCase):
    """The order in which points came makes no difference to the laps and gaps there are in the end."""

    def races(self) -> list[tuple[Recording, bool]]:
        """At 22 Hz and at real rates, with noise, without a lap distance, and on a track not configured."""
        noise = {"track": SHORTWAY, "cars": 4, "seed": 2, "faults": Faults(lapdist_noise_m=0.5)}
        return [
            (recording(SECONDS, **{**noise, "rate_hz": 22}), True),
            (recording(SECONDS, **{**noise, "real_rates": True}), True),
            (recording(SECONDS, **{**noise, "real_rates": True}), False),
            (blind_race(), True),
        ]

    def test_shuffled(self) -> None:
        """Shuffled within two seconds."""
        for made, configured in self.races():
            ordered = tables(analysis([in_order(made.rows, made.rows["time_s"])], made.numbers, SHORTWAY, configured))
            came_s = made.rows["time_s"] + np.random.default_rng(1).uniform(0, 2, len(made.rows))
            found = analysis([in_order(made.rows, came_s)], made.numbers, SHORTWAY, configured)
            self.assertEqual(tables(found), ordered)

    def test_late(self) -> None:
        """Every tenth of them from 30 to 119 s late; laps that were told otherwise before are told again."""
        for made, configured in self.races():
            ordered = tables(analysis([in_order(made.rows, made.rows["time_s"])], made.numbers, SHORTWAY, configured))
            found = analysis(in_parts(late(made, 2), 500), made.numbers, SHORTWAY, configured)
            self.assertEqual(tables(found), ordered)
            self.assertTrue(any(row["corrected"] for row in found.book.laps()))
            told = {(each["chassis"], each["lap"]) for each in found.corrections}
            marked = {(row["chassis"], row["lap"]) for row in found.book.laps() if row["corrected"]}
            self.assertEqual(told - marked, set())

    def test_correction(self) -> None:
        """A correction says what was told, and what is right; the last one says what the tables do."""
        made = recording(SECONDS, track=SHORTWAY, cars=2, rate_hz=22)
        first = made.rows["car"] == 0
        # Everything that the first car sent in ten seconds of its second lap comes a minute late.
        at_s = made.rows["time_s"] - made.race.config.start
        held_up = first & (at_s > 45) & (at_s < 55)
        found = analysis([in_order(made.rows, at_s + 60 * held_up)], made.numbers, SHORTWAY)
        chassis = made.race.truth.chassis[0]
        (lap,) = (row for row in found.book.laps(chassis) if row["lap"] == 2)
        said = [each["changed"] for each in found.corrections if (each["chassis"], each["lap"]) == (chassis, 2)]
        self.assertTrue(lap["corrected"])
        self.assertEqual([each["marks"] for each in said if "marks" in each], [[["estimated"], []]])
        sectors = [each["sectorTimes"] for each in said if "sectorTimes" in each]
        self.assertEqual((sectors[0][0][:2], sectors[-1][1]), ([None, None], lap["sector_times_s"]))
        # The lines were heard in time, and so the lap's time was known from the beginning.
        self.assertFalse(any("lapTime" in each for each in said))
        self.assertApproximates(lap["lap_time_s"], made.race.truth.lap(chassis, 2).lap_time_s, 0.002)
        self.assertEqual(found.book.take_corrections(), [])
