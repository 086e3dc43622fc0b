"""``pitwall.client.subscription``: what is asked for, and what holds."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.client.connection import PitWallClient, with_query
from pitwall.client.subscription import TYPES, Subscribing, Subscription

ONE = Subscription(chassis=["a"])
OTHER = Subscription(track=["cota"], max_hz=10)
REFUSED = {"type": "error", "request": "subscribe", "error": "no"}


def subscribed(subscription: Subscription) -> dict[str, Any]:
    """The answer to a subscription, in the server's own order."""
    limited = {name: value for name, value in subscription._asdict().items() if value is not None}
    return {"type": "subscribed", "epoch": "a", "seq": 1, "types": list(reversed(TYPES)), **limited}


class SubscriptionTests(SynchronousTestCase):
    """What is asked for, in an address and in a message."""

    def test_said(self) -> None:
        """Only what is limited is said, lists in an address with commas."""
        wanted = Subscription(["a", "b"], channels=("rpm",), max_hz=0.5)
        self.assertEqual(wanted.query(), {"chassis": "a,b", "channels": "rpm", "max_hz": "0.5"})
        message = {"type": "subscribe", "chassis": ["a", "b"], "channels": ["rpm"], "max_hz": 0.5}
        self.assertEqual(json.loads(wanted.message()), message)

    def test_nothing_limited(self) -> None:
        """Asking for everything is not asking for nothing: the address says so."""
        self.assertEqual(Subscription().query(), {"types": "telemetry_update,insight_update,quality"})
        self.assertEqual(json.loads(Subscription().message()), {"type": "subscribe"})

    def test_told_nonsense(self) -> None:
        """A server's answer that no subscription can be is refused, as are messages nested too deeply to be read."""
        nonsense: tuple[dict[str, Any], ...] = (
            *({"chassis": 5}, {"track": []}, {"types": [None]}, {"max_hz": "x"}, {"max_hz": 10**400}),
        )
        for told in nonsense:
            self.assertRaises((TypeError, ValueError), Subscription.told, told)
        self.assertIsNone(PitWallClient()._parsed("[" * 100_000))

    def test_checked(self) -> None:
        """What an address can't say is refused."""
        for wanted in (Subscription("a"), Subscription([]), Subscription(["a", ""]), Subscription(track=["a,b"])):
            with self.assertRaises(ValueError):
                wanted.checked()
            with self.assertRaises(ValueError):
                PitWallClient(subscribe=wanted)

    def test_url(self) -> None:
        """A subscription is in place of all that a URL asks for; the rest of it stays."""
        url = "ws://h/ws?chassis=b&token=x&since=a:1"
        query = {"since": "a:2", **OTHER.query()}
        wanted = "ws://h/ws?token=x&since=a:2&track=cota&max_hz=10"
        self.assertEqual(with_query(url, query, Subscription._fields), wanted)
        self.assertEqual(with_query(url, {"since": "a:2"}), "ws://h/ws?chassis=b&token=x&since=a:2")


class SubscribingTests(SynchronousTestCase):
    """A subscription over several connections."""

    def setUp(self) -> None:
        """A client with a subscription from the start, connected."""
        self.subscribing = Subscribing(ONE)
        self.assertEqual(self.subscribing.connecting(), {"chassis": "a"})

    def ask(self, *wanted: Subscription) -> None:
        """Ask by messages."""
        for subscription in wanted:
            self.subscribing.wanted = subscription
            self.assertIs(self.subscribing.unsaid, subscription)
            self.subscribing.said(subscription)
            self.assertIsNone(self.subscribing.unsaid)

    def hear(self, *contents: dict[str, Any]) -> None:
        """Take answers of the server."""
        for content in contents:
            self.subscribing.answered(content)

    def test_remembered(self) -> None:
        """The next connection asks for the newest, answered or not; one that asks for nothing says nothing."""
        self.ask(OTHER)
        self.assertEqual(self.subscribing.connecting(), {"track": "cota", "max_hz": "10"})
        self.hear(subscribed(OTHER))
        self.assertEqual(self.subscribing.connecting(), {"track": "cota", "max_hz": "10"})
        self.assertEqual(Subscribing().connecting(), {})

    def test_refused(self) -> None:
        """One that is refused is forgotten, and the one before holds on."""
        self.ask(OTHER)
        self.hear(REFUSED)
        self.assertEqual(self.subscribing.connecting(), {"chassis": "a"})
        self.assertIsNone(self.subscribing.unsaid)

    def test_answers_to_the_address(self) -> None:
        """An answer to the address is none to a message that was sent meanwhile."""
        self.ask(OTHER)
        self.hear(subscribed(ONE), REFUSED)
        self.assertTrue(self.subscribing.wanted and self.subscribing.wanted.means(ONE))

    def test_in_flight(self) -> None:
        """Of several that are under way the last that is not refused holds."""
        third = Subscription(channels=["rpm"])
        self.ask(OTHER, third)
        self.hear(REFUSED)
        self.assertIs(self.subscribing.wanted, third)
        self.hear(subscribed(third))
        self.ask(OTHER, ONE)
        self.hear(subscribed(OTHER), REFUSED)
        self.assertTrue(self.subscribing.wanted and self.subscribing.wanted.means(OTHER))

    def test_not_yet_said(self) -> None:
        """A refusal does not undo what has been asked for since."""
        self.ask(OTHER)
        self.subscribing.wanted = newest = Subscription(channels=["rpm"])
        self.hear(REFUSED, {"type": "error", "request": "resume", "error": "no"}, {"type": "gap"})
        self.assertIs(self.subscribing.unsaid, newest)
