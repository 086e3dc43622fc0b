"""``pitwall.serve.live.subscription``: what a client may ask for, and how it is told that it may not."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.contract.messages import LEAST_HZ, MOST_HZ
from pitwall.serve.live.subscription import (
    MOST_NAMES,
    TYPES,
    AskError,
    Subscription,
    from_message,
    from_query,
)

NAMES = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters='"\\,'), min_size=1, max_size=64)
LISTS = st.none() | st.frozensets(NAMES, min_size=1, max_size=5)
SUBSCRIPTIONS = st.builds(
    Subscription,
    LISTS,
    LISTS,
    LISTS,
    st.frozensets(st.sampled_from(TYPES), min_size=1),
    st.none() | st.floats(LEAST_HZ, MOST_HZ),
)

#: A list in a list, and so on, too deep to be shown.
NESTED: list[Any] = []
for _ in range(5000):
    NESTED = [NESTED]


class QueryTests(SynchronousTestCase):
    """A subscription by the address."""

    def test_nothing(self) -> None:
        """Who says nothing of it has none; what is not known, and what is empty, says nothing."""
        for query in ({}, {"chassis": [""], "max_hz": [""]}, {"colour": ["red"], "since": ["a:1"]}, {"types": [",,"]}):
            self.assertIsNone(from_query(query), query)

    def test_members(self) -> None:
        """Each member limits one thing, and leaves the others as they are."""
        for query, wanted in (
            ({"chassis": ["a"]}, Subscription(chassis=frozenset("a"))),
            ({"track": ["barber"]}, Subscription(track=frozenset(["barber"]))),
            ({"channels": ["rpm,speed_kmh"]}, Subscription(channels=frozenset(["rpm", "speed_kmh"]))),
            ({"types": ["quality"]}, Subscription(types=frozenset(["quality"]))),
            ({"max_hz": ["0.1"]}, Subscription(max_hz=0.1)),
            ({"max_hz": ["100"]}, Subscription(max_hz=100.0)),
        ):
            self.assertEqual(from_query(query), wanted)

    def test_written_differently(self) -> None:
        """It is the same subscription by commas, repeated, in another order, and by a message."""
        wanted = Subscription(chassis=frozenset("abc"), max_hz=10.0)
        for chassis in (["a,b,c"], ["a", "b", "c"], ["c,a", "b"], [",b,,a", "", "c,c"]):
            self.assertEqual(from_query({"chassis": chassis, "max_hz": ["10.0"]}), wanted)
        message = {"type": "subscribe", "chassis": ["c", "b", "a", "a"], "max_hz": 10, "track": None}
        self.assertEqual(from_message(message), wanted)
        self.assertEqual(hash(from_message(message)), hash(wanted))

    def test_refused(self) -> None:
        """What makes no sense is refused by a sentence that says what was seen and what was wanted."""
        hz = "wanted 0.1 to 100"
        for query, said in (
            ({"max_hz": ["0"]}, f"max_hz is 0.0, {hz}"),
            ({"max_hz": ["100.5"]}, f"max_hz is 100.5, {hz}"),
            ({"max_hz": ["-1"]}, f"max_hz is -1.0, {hz}"),
            ({"max_hz": ["nan"]}, f"max_hz is nan, {hz}"),
            ({"max_hz": ["inf"]}, f"max_hz is inf, {hz}"),
            ({"max_hz": ["9" * 5000]}, f"max_hz is inf, {hz}"),
            ({"max_hz": ["fast"]}, f"max_hz is 'fast', {hz}"),
            ({"max_hz": ["1", "2"]}, "max_hz is there 2 times, wanted once"),
            ({"types": ["quality,x", "a"]}, "types has 'a', wanted telemetry_update, insight_update, quality"),
            ({"chassis": ["x" * 65]}, f"chassis has '{'x' * 40}', wanted names of 1 to 64 characters"),
            ({"track": [",".join(map(str, range(257)))]}, "track has 257 names, wanted 256 at most"),
        ):
            self.assertEqual(str(self.assertRaises(AskError, from_query, query)), said)


class MessageTests(SynchronousTestCase):
    """A subscription by a message."""

    def test_all(self) -> None:
        """A message that limits nothing asks for all."""
        self.assertEqual(from_message({"type": "subscribe"}), Subscription())
        self.assertEqual(from_message({"type": "subscribe", "chassis": None, "max_hz": None}), Subscription())

    def test_refused(self) -> None:
        """What makes no sense is refused by a sentence that says what was seen and what was wanted."""
        odd = "wanted names without quotes, backslashes and control characters"
        for member, value, said in (
            ("max_hz", 0, "max_hz is 0, wanted 0.1 to 100"),
            ("max_hz", True, "max_hz is True, wanted 0.1 to 100"),
            ("max_hz", "10", "max_hz is 10, wanted 0.1 to 100"),
            ("max_hz", 10**4000, f"max_hz is 1{'0' * 39}, wanted 0.1 to 100"),
            ("chassis", "a", "chassis is 'a', wanted a list of names"),
            ("chassis", [], "chassis is '[]', wanted a list of names"),
            ("chassis", {"a": 1}, "chassis is \"{'a': 1}\", wanted a list of names"),
            ("chassis", [NESTED], "chassis has 'a long list', wanted names of 1 to 64 characters"),
            ("max_hz", NESTED, "max_hz is a long list, wanted 0.1 to 100"),
            ("chassis", [7], "chassis has '7', wanted names of 1 to 64 characters"),
            ("chassis", [""], "chassis has '', wanted names of 1 to 64 characters"),
            ("channels", ['a"b'], f"channels has 'a\"b', {odd}"),
            ("channels", ["a\\b"], f"channels has 'a\\\\b', {odd}"),
            ("channels", ["a\nb"], f"channels has 'a\\nb', {odd}"),
            ("channels", ["é", "\ud800"], f"channels has '\\ud800', {odd}"),
            ("types", ["Quality"], "types has 'Quality', wanted telemetry_update, insight_update, quality"),
            ("cars", ["a"], "subscribe has 'cars', wanted chassis, track, channels, types, max_hz"),
        ):
            error = self.assertRaises(AskError, from_message, {"type": "subscribe", member: value})
            self.assertEqual(str(error), said)
            self.assertTrue(str(error).isascii(), "it goes into a header too")

    def test_most_names(self) -> None:
        """As many names as may be are taken."""
        names = [f"car {n}" for n in range(MOST_NAMES)]
        self.assertEqual(from_message({"chassis": names}).chassis, frozenset(names))

    @given(SUBSCRIPTIONS)
    def test_said_and_asked(self, subscription: Subscription) -> None:
        """What a client is told of its subscription asks for the same one, as a message and as a query."""
        members = subscription.members()
        self.assertEqual(from_message({"type": "subscribe", **members}), subscription)
        query = {name: [str(value)] if name == "max_hz" else value for name, value in members.items()}
        self.assertEqual(from_query(query), subscription)

    @given(st.dictionaries(st.sampled_from(("chassis", "track", "channels", "types", "max_hz", "x")), st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
    )))  # fmt: skip
    def test_anything(self, message: dict[str, Any]) -> None:
        """Whatever it says is a subscription or a refusal."""
        try:
            subscription = from_message(message)
        except AskError:
            return
        self.assertEqual(from_message(subscription.members()), subscription)


class SubscriptionTests(SynchronousTestCase):
    """What a subscription says."""

    def test_wants(self) -> None:
        """A car must be among the cars and its track among the tracks, where these are limited."""
        both = Subscription(chassis=frozenset(["a"]), track=frozenset(["barber"]))
        cars = [("barber", "a"), ("barber", "b"), ("sonoma", "a")]
        self.assertEqual([both.wants(*car) for car in cars], [True, False, False])
        self.assertEqual([both._replace(track=None).wants(*car) for car in cars], [True, False, True])
        self.assertEqual([both._replace(chassis=None).wants(*car) for car in cars], [True, True, False])
        self.assertEqual([Subscription().wants(*car) for car in cars], [True, True, True])
        self.assertEqual((both.every_car, Subscription(max_hz=1.0).every_car), (False, True))

    def test_members(self) -> None:
        """What is not limited is left out, except for the types; names come in order."""
        self.assertEqual(Subscription().members(), {"types": list(TYPES)})
        limited = Subscription(chassis=frozenset("ba"), types=frozenset(["quality", "telemetry_update"]), max_hz=10.0)
        wanted = {"chassis": ["a", "b"], "types": ["telemetry_update", "quality"], "max_hz": 10.0}
        self.assertEqual(limited.members(), wanted)
