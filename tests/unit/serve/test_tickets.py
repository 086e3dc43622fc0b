"""Tickets for pages."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve import tickets
from pitwall.serve.tickets import TICKET_S, Tickets, TooManyTicketsError
from tests.unit.keys.test_key import a_key

KEY, OTHER = a_key("wall"), a_key("other", b"pw_y")


class TicketsTests(SynchronousTestCase):
    """`Tickets` are good once, and not for long."""

    def setUp(self) -> None:
        """None yet."""
        self.tickets = Tickets()

    def test_once(self) -> None:
        """A ticket stands for the key it was given for, once."""
        one, two = self.tickets.give(KEY, 0.0), self.tickets.give(OTHER, 0.0)
        self.assertRegex(one, r"\Apt_[A-Za-z0-9_-]{43}\Z")
        self.assertIs(self.tickets.take(two, 1.0), OTHER)
        self.assertIs(self.tickets.take(one, 1.0), KEY)
        for ticket in (one, two, "", "pt_", "\udc80"):
            self.assertIsNone(self.tickets.take(ticket, 1.0))

    def test_thirty_seconds(self) -> None:
        """It is good for 30 s, and is forgotten then."""
        one, two = self.tickets.give(KEY, 0.0), self.tickets.give(KEY, 1.0)
        self.assertIs(self.tickets.take(two, TICKET_S + 0.9), KEY)
        self.assertIsNone(self.tickets.take(one, TICKET_S))
        self.assertEqual(len(self.tickets), 0)

    def test_bounded(self) -> None:
        """A key may have so many that are not used, all together so many; used or over, they make room."""
        self.patch(tickets, "MOST_OF_A_KEY", 3)
        self.patch(tickets, "MOST_TICKETS", 4)
        given = [self.tickets.give(KEY, float(n)) for n in range(3)]
        self.assertRaises(TooManyTicketsError, self.tickets.give, KEY, 3.0)
        self.tickets.give(OTHER, 3.0)
        self.tickets.take(given[2], 4.0)
        self.tickets.give(KEY, 4.0)
        self.assertRaises(TooManyTicketsError, self.tickets.give, OTHER, 4.0)
        self.tickets.give(OTHER, float(TICKET_S))
        self.assertEqual(len(self.tickets), 4)
