"""How often an address may be wrong."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.attempts import BURST, MOST_ADDRESSES, PAUSE_S, Attempts


class AttemptsTests(SynchronousTestCase):
    """`Attempts` counts wrong keys by address."""

    def setUp(self) -> None:
        """Three in a row, one more every ten seconds, four addresses."""
        self.attempts = Attempts(3, 10.0, 4)

    def test_burst(self) -> None:
        """So many are looked at in a row; then it is said how long to wait, and waiting is not made longer by more."""
        self.assertEqual([self.attempts.wrong("10.0.0.1", 100.0) for _ in range(5)], [0, 0, 0, 10, 10])
        self.assertEqual(self.attempts.wrong("10.0.0.1", 104.0), 6)

    def test_time_brings_them_back(self) -> None:
        """One comes back at a time, up to the burst, however long it takes."""
        for _ in range(3):
            self.attempts.wrong("10.0.0.1", 100.0)
        self.assertEqual([self.attempts.wrong("10.0.0.1", 110.0) for _ in range(2)], [0, 10])
        self.assertEqual([self.attempts.wrong("10.0.0.1", 9000.0) for _ in range(4)], [0, 0, 0, 10])

    def test_each_address(self) -> None:
        """One address costs another nothing; of IPv6 a network of 64 bits is one, and IPv4 in it is IPv4."""
        for _ in range(3):
            self.attempts.wrong("2001:db8::1", 0.0)
        self.assertGreater(self.attempts.wrong("2001:db8::2:3", 0.0), 0)
        self.assertEqual(self.attempts.wrong("2001:db8:0:1::1", 0.0), 0)
        for _ in range(3):
            self.attempts.wrong("10.0.0.1", 0.0)
        self.assertGreater(self.attempts.wrong("::ffff:10.0.0.1", 0.0), 0)
        self.assertEqual(self.attempts.wrong("::ffff:10.0.0.2", 0.0), 0)
        self.assertEqual(self.attempts.wrong("unix", 0.0), 0)

    def test_bounded(self) -> None:
        """However many addresses there are, only so many are remembered: those that were wrong last."""
        for _ in range(3):
            self.attempts.wrong("10.0.0.1", 0.0)
        for n in range(3):
            self.attempts.wrong(f"10.0.1.{n}", 0.0)
        self.assertGreater(self.attempts.wrong("10.0.0.1", 0.0), 0)  # the newest again
        for n in range(3):
            self.attempts.wrong(f"10.0.2.{n}", 0.0)
        self.assertEqual(len(self.attempts), 4)
        self.assertGreater(self.attempts.wrong("10.0.0.1", 0.0), 0)
        for n in range(1000):
            self.attempts.wrong(f"10.0.{n // 250}.{n % 250}", 0.0)
        self.assertEqual(len(self.attempts), 4)

    def test_as_documented(self) -> None:
        """The figures are those of docs/security.md."""
        self.assertEqual((BURST, PAUSE_S, MOST_ADDRESSES), (10, 6.0, 4096))
