"""``pitwall.addresses``, ``pitwall.rates`` and ``pitwall.senders``: who may send, and how often."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall import senders
from pitwall.addresses import networks_in, source_of
from pitwall.rates import Allowance
from pitwall.senders import MOST_SOURCES, NOT_ALLOWED, TOO_OFTEN, Senders


class AddressTests(SynchronousTestCase):
    """What senders are told apart by."""

    def test_sources(self) -> None:
        """An IPv6 network is one source, and an IPv4 address written as IPv6 is that address."""
        for one, other, same in (
            ("10.0.0.1", "10.0.0.2", False),
            ("::ffff:10.0.0.1", "10.0.0.1", True),
            ("2001:db8::1", "2001:db8::ffff:1", True),
            ("2001:db8::1", "2001:db8:0:1::1", False),
            ("fe80::1%eth0", "fe80::2%eth1", True),
        ):
            self.assertEqual(source_of(one) == source_of(other), same, (one, other))
        self.assertEqual(source_of("no address"), "no address")

    def test_networks(self) -> None:
        """Networks are given with commas between them, and an address is one of a single address."""
        self.assertEqual(list(map(str, networks_in(" 10.0.0.7/8,, ::1 "))), ["10.0.0.0/8", "::1/128"])
        self.assertRaises(ValueError, networks_in, "10.0.0.0/8, car 7")


class AllowanceTests(SynchronousTestCase):
    """`Allowance` lets so much happen in a second."""

    def test_burst(self) -> None:
        """At once as many as in a second; then one as soon as its share of a second is over."""
        allowance = Allowance(50, 1000.0)
        self.assertEqual([allowance.spend(1000.0) for _ in range(51)], [True] * 50 + [False])
        self.assertEqual([allowance.spend(1000.021) for _ in range(2)], [True, False])

    @given(st.lists(st.floats(-1, 3), max_size=200), st.integers(1, 20))
    def test_never_more(self, pauses: list[float], per_s: int) -> None:
        """Whenever they come, and if the clock is set back: never more than those at first and those since."""
        now, forward, may = 1_757_184_100.0, 0.0, 0
        allowance = Allowance(per_s, now)
        for pause_s in pauses:
            now += pause_s
            forward += max(pause_s, 0.0)
            may += allowance.spend(now)
            self.assertLessEqual(may, per_s * (1 + forward) + 1e-3)

    def test_burst_of_its_own(self) -> None:
        """A burst may be larger or smaller than what comes in a second."""
        for burst in (10, 200):
            allowance = Allowance(50, 1000.0, burst)
            self.assertEqual([allowance.spend(1000.0) for _ in range(burst + 1)], [True] * burst + [False])
            self.assertFalse(allowance.rested(1000.0 + (burst - 1) / 50))
            self.assertTrue(allowance.rested(1000.0 + (burst + 1) / 50))

    def test_steady(self) -> None:
        """What comes at just that rate is never too much."""
        allowance = Allowance(50, 1000.0)
        self.assertTrue(all(allowance.spend(1000.0 + n / 50) for n in range(1000)))


class SendersTests(SynchronousTestCase):
    """`Senders` decides by the address."""

    def test_allow(self) -> None:
        """Those in the networks of the list may send, others not."""
        some = Senders(networks_in("10.1.0.0/16, 192.0.2.7, 2001:db8::/32"))
        for host, refusal in (
            ("10.1.255.1", None),
            ("::ffff:10.1.0.1", None),
            ("192.0.2.7", None),
            ("2001:db8:9::1", None),
            ("10.2.0.1", NOT_ALLOWED),
            ("192.0.2.8", NOT_ALLOWED),
            ("::1", NOT_ALLOWED),
            ("", NOT_ALLOWED),
        ):
            self.assertEqual(some.refusal(host, 0.0), refusal, host)
        self.assertIsNone(Senders().refusal("192.0.2.8", 0.0))

    def test_rate(self) -> None:
        """A source has its burst and then its rate; another source has its own."""
        some = Senders(per_s=10, burst=20)
        said = [some.refusal("192.0.2.7", 0.0) for _ in range(30)]
        self.assertEqual(said, [None] * 20 + [TOO_OFTEN] * 10)
        self.assertEqual([some.refusal("192.0.2.8", 0.0) for _ in range(20)], [None] * 20)
        self.assertEqual([some.refusal("192.0.2.7", 1.0) for _ in range(11)], [None] * 10 + [TOO_OFTEN])

    def test_bounded(self) -> None:
        """Made-up addresses share one allowance when the table is full; those in it keep theirs."""
        some = Senders(per_s=5)
        self.assertIsNone(some.refusal("car", 0.0))
        taken = sum(some.refusal(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 0.0) is None for n in range(100_000))
        self.assertEqual(taken, MOST_SOURCES - 1 + 5)
        self.assertEqual(len(some._allowances), MOST_SOURCES)
        self.assertEqual([some.refusal("car", 0.0) for _ in range(5)], [None] * 4 + [TOO_OFTEN])

    def test_forgotten(self) -> None:
        """Who was quiet for long enough makes place for others."""
        self.patch(senders, "MOST_SOURCES", 2)
        some = Senders(per_s=1)
        for host in ("a", "b"):
            self.assertIsNone(some.refusal(host, 0.0))
        for host in ("c", "d", "e"):
            some.refusal(host, 0.5)
        self.assertEqual(list(some._allowances), ["a", "b"])
        for host in ("c", "d", "e"):
            self.assertIsNone(some.refusal(host, 2.0))
        self.assertEqual(list(some._allowances), ["c", "d"])
