"""Tickets: what a page shows at the WebSocket in place of its key, which a browser can't send there."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from typing import Final, NamedTuple

from pitwall.keys.key import Key

#: How long a ticket is good for [s].
TICKET_S: Final = 30
#: The most tickets that are not used yet, of a key and of all: a server that is back has all its screens at once.
MOST_OF_A_KEY: Final = 1000
MOST_TICKETS: Final = 20_000


class TooManyTicketsError(Exception):
    """Too many tickets are not used."""


class _Ticket(NamedTuple):
    key: Key
    good_until: float


class Tickets:
    """
    Tickets that were given, each for one connection, soon.

    An address is seen by proxies and stands in their logs; a ticket in it is worth nothing by then. They are found
    by their SHA-256, so that how long that takes says nothing of any other ticket.
    """

    def __init__(self) -> None:
        #: By SHA-256, oldest first.
        self._given: dict[bytes, _Ticket] = {}
        self._unused: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._given)

    def give(self, key: Key, now: float) -> str:
        """
        A new ticket for whoever has a key.

        Raises:
            TooManyTicketsError: of this key, or of all, there are too many.
        """
        self._expire(now)
        if self._unused[key.name] >= MOST_OF_A_KEY or len(self._given) >= MOST_TICKETS:
            raise TooManyTicketsError
        ticket = new_ticket()
        self._given[_digest(ticket)] = _Ticket(key, now + TICKET_S)
        self._unused[key.name] += 1
        return ticket

    def take(self, ticket: str, now: float) -> Key | None:
        """The key that a ticket was given for; None when there is no such ticket, or not any more."""
        self._expire(now)
        digest = _digest(ticket)
        return self._remove(digest).key if digest in self._given else None

    def _expire(self, now: float) -> None:
        while self._given:
            oldest = next(iter(self._given))
            if self._given[oldest].good_until > now:
                return
            self._remove(oldest)

    def _remove(self, digest: bytes) -> _Ticket:
        ticket = self._given.pop(digest)
        self._unused[ticket.key.name] -= 1
        if not self._unused[ticket.key.name]:
            del self._unused[ticket.key.name]
        return ticket


def new_ticket() -> str:
    """256 random bits."""
    return "pt_" + secrets.token_urlsafe(32)


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "replace")).digest()
