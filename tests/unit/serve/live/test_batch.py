"""``pitwall.serve.live.batch``: points in the forms that subscriptions want them in."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.live.batch import Batch, decoded, narrowed
from pitwall.serve.live.conflation import Columns
from pitwall.serve.live.subscription import ALWAYS, Subscription

HEAD = b'"meta_time":"2025-09-06T18:41:40.000Z","track":"barber","chassis":"GR86-004-78"'
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
FIELDS = st.dictionaries(TEXT.filter(lambda name: name not in ALWAYS), st.integers() | st.floats(-1e9, 1e9) | TEXT)


def of_cars(*names: str) -> list[bytes]:
    """A point of each car, with its place as ``rpm``."""
    return [b'{"track":"t","chassis":"%b","rpm":%d}' % (name.encode(), n) for n, name in enumerate(names)]


class NarrowedTests(SynchronousTestCase):
    """Some channels of a point."""

    def test_as_they_came(self) -> None:
        """Values keep their text: a number is not rounded, nor an escape undone."""
        rest = b'"rpm":5400.10000000000000001,"x":"a\\u00e9\\"b"}'
        more = '"gear":-0,"note":"é, \\\\",'.encode()
        raw = b'{"lap":3.0,%b,%b%b' % (HEAD, more, rest)
        (found,) = narrowed([raw], frozenset(["rpm", "gear", "x", "note", "absent"]))
        self.assertEqual(found, b"{%b,%b%b" % (HEAD, more, rest))

    def test_always(self) -> None:
        """Whose a point is and when stays, also when asked for by name; a point may lack all else."""
        raw = b'{"track":"t","chassis":"c","meta_time":"m","rpm":1}'
        wanted = b'{"meta_time":"m","track":"t","chassis":"c"}'
        for channels in ([], ["chassis"], ["track", "meta_time", "gear"]):
            self.assertEqual(narrowed([raw], frozenset(channels)), [wanted])

    def test_odd_names(self) -> None:
        """Channels may be named by anything a vendor comes up with, names of our own insides included."""
        for name in ("f0", "f3", "é", "ряд", "a b", "a-b", "__init__", "class", "type", "🏎", "0"):
            raw = json.dumps({"track": "t", "chassis": "c", name: 7, "other": 8}).encode()
            (found,) = narrowed([raw], frozenset([name]))
            self.assertEqual(json.loads(found), {"track": "t", "chassis": "c", name: 7})

    @given(st.lists(FIELDS, max_size=4), st.frozensets(st.sampled_from(("rpm", "é", "f1", "speed_kmh")) | TEXT))
    def test_anything(self, points: list[dict[str, Any]], channels: frozenset[str]) -> None:
        """It is what is left when the other fields are taken away."""
        channels = frozenset(name for name in channels if name.isprintable() and name.strip('"\\') == name != "")
        channels = frozenset(name for name in channels if '"' not in name and "\\" not in name)
        points = [{"track": "t", "chassis": "c", "rpm": 1, **point} for point in points]
        raws = [json.dumps(point, ensure_ascii=False).encode() for point in points]
        wanted = [{name: point[name] for name in point if name in (*ALWAYS, *channels)} for point in points]
        self.assertEqual([json.loads(raw) for raw in narrowed(raws, channels)], wanted)
        self.assertEqual(decoded(raws), points)


class BatchTests(SynchronousTestCase):
    """`Batch` makes each form once."""

    def test_wanted(self) -> None:
        """The points of the cars that are wanted, in order."""
        batch = Batch(11, of_cars(*"abcab"), Columns())
        self.assertEqual((batch.first, batch.last), (11, 15))
        self.assertEqual(list(batch.wanted(Subscription())), [0, 1, 2, 3, 4])
        self.assertEqual(batch.wanted(Subscription(chassis=frozenset("ba"))), [0, 1, 3, 4])
        self.assertEqual(batch.wanted(Subscription(track=frozenset(["u"]))), [])

    def test_once(self) -> None:
        """What one stream has had made of a point, another one gets."""
        batch = Batch(1, of_cars(*"abc"), Columns())
        rpm = frozenset(["rpm"])
        first = batch.projected([0, 2], rpm)
        second = batch.projected([0, 1, 2], rpm)
        self.assertIs(first[0], second[0])
        self.assertIs(first[1], second[2])
        self.assertEqual([json.loads(raw)["rpm"] for raw in second], [0, 1, 2])
        self.assertIs(batch.digest, batch.digest)
        self.assertIs(batch.points, batch.points)

    def test_whole(self) -> None:
        """Without channels it is the very bytes that came."""
        raws = of_cars(*"ab")
        self.assertIs(Batch(1, raws, Columns()).projected([1], None)[0], raws[1])
