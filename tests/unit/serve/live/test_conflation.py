"""``pitwall.serve.live.conflation``: many points made few, against the plainest of ways to do it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.channels import CHANNELS
from pitwall.serve.live.conflation import MOST_CARS, MOST_CHANNELS, Columns, Conflation, Digest, digest_of
from tests.unit.serve.live.viewers import thinned

CARS = (("barber", "1"), ("barber", "2"), ("sonoma", "1"))
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = NUMBERS | st.booleans() | st.text(max_size=3) | st.integers(0, 2)
POINTS = st.builds(
    lambda car, more: {"track": car[0], "chassis": car[1], **more},
    st.sampled_from(CARS),
    st.dictionaries(st.sampled_from(("rpm", "speed_kmh", "vendor é", "x")), VALUES),
)


def digest(first: int, points: list[dict[str, Any]], columns: Columns) -> Digest:
    """A digest of points as they are."""
    return digest_of(first, [json.dumps(point).encode() for point in points], points, columns)


def anybody(track: str, chassis: str) -> bool:
    """Every car is wanted."""
    return True


class ConflationTests(SynchronousTestCase):
    """`Conflation` of any points."""

    @given(st.lists(st.lists(POINTS, min_size=1, max_size=8), max_size=6), st.sampled_from((None, "1", "2", "3")))
    def test_anything(self, flushes: list[list[dict[str, Any]]], chassis: str | None) -> None:
        """However points are cut into flushes: the newest of each car, its count, exact ranges of its numbers."""
        columns = Columns()
        conflation = Conflation(10, lambda track, name: chassis in (None, name), columns)
        first, wanted = 11, []
        for flush in flushes:
            self.assertEqual(conflation.add(digest(first, flush, columns)), 0)
            first += len(flush)
            wanted += [point for point in flush if chassis in (None, point["chassis"])]
            self.assertEqual(conflation.last, first - 1)
            self.assertEqual(conflation.empty, not wanted)
        found = conflation.take()
        told = thinned(wanted)
        self.assertEqual([json.loads(raw) for raw in found.newest], [each.point for each in told])
        self.assertEqual(found.counts, [each.stands_for for each in told])
        ranges = [{name: list(bounds) for name, bounds in each.items()} for each in found.ranges]
        self.assertEqual(ranges, [each.ranges for each in told])
        self.assertEqual((conflation.empty, conflation.after, conflation.last), (True, first - 1, first - 1))

    def test_channels(self) -> None:
        """With channels asked for there are ranges of these alone."""
        columns = Columns()
        conflation = Conflation(0, anybody, columns)
        points = [{"track": "t", "chassis": "c", "rpm": n, "speed_kmh": n, "aps": 1} for n in range(3)]
        conflation.add(digest(1, points, columns))
        self.assertEqual(conflation.take(frozenset(["rpm", "aps", "gear"])).ranges, [{"rpm": (0, 2)}])

    def test_what_the_newest_has_not(self) -> None:
        """A value that the newest point does not tell, or not as a number, is told though it did not change."""
        columns = Columns()
        conflation = Conflation(0, anybody, columns)
        old = {"track": "t", "chassis": "c", "rpm": 5, "x": 7, "y": 8}
        conflation.add(digest(1, [old, {"track": "t", "chassis": "c", "x": "n/a", "y": 8}], columns))
        self.assertEqual(conflation.take().ranges, [{"rpm": (5, 5), "x": (7, 7)}])

    def test_invented_names(self) -> None:
        """Thousands of names cost bounded memory: the first have ranges, and the catalogue's channels always."""
        columns = Columns()
        conflation = Conflation(0, anybody, columns)
        for first in range(1, 4001, 100):
            names = {f"n{first + n}": n for n in range(100)}
            conflation.add(digest(first, [{"track": "t", "chassis": "c", **names}], columns))
        self.assertEqual(len(columns), MOST_CHANNELS)
        last = [{"track": "t", "chassis": "c", name: n} for name in CHANNELS for n in (1, 2)]
        conflation.add(digest(4001, last, columns))
        (ranges,) = conflation.take().ranges
        self.assertEqual({name: ranges[name] for name in CHANNELS}, dict.fromkeys(CHANNELS, (1, 2)))
        self.assertLessEqual(len(ranges), MOST_CHANNELS)

    def test_invented_cars(self) -> None:
        """Above so many cars at a time what was conflated is let go, which is said; the newest flush is kept."""
        columns = Columns()
        conflation = Conflation(0, anybody, columns)
        cars = [{"track": "t", "chassis": str(n), "rpm": n} for n in range(MOST_CARS)]
        self.assertEqual(conflation.add(digest(1, cars, columns)), 0)
        self.assertEqual(conflation.add(digest(MOST_CARS + 1, cars[:5], columns)), 0)
        one_more = [{"track": "t", "chassis": "new", "rpm": 1}, cars[0]]
        self.assertEqual(conflation.add(digest(MOST_CARS + 6, one_more, columns)), MOST_CARS + 5)
        self.assertEqual(conflation.after, MOST_CARS + 5)
        found = conflation.take()
        self.assertEqual((found.counts, [json.loads(raw)["chassis"] for raw in found.newest]), ([1, 1], ["new", "0"]))

    def test_order(self) -> None:
        """The newest points come in the order of their numbers, whichever car was seen first."""
        columns = Columns()
        conflation = Conflation(0, anybody, columns)
        for first, names in ((1, "abc"), (4, "ca"), (6, "b")):
            conflation.add(digest(first, [{"track": "t", "chassis": name} for name in names], columns))
        found = conflation.take()
        self.assertEqual([json.loads(raw)["chassis"] for raw in found.newest], ["c", "a", "b"])
        self.assertEqual(found.counts, [2, 2, 2])
