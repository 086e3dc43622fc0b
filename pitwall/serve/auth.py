"""
The gate: who may ask for what.

A program says its key in the header ``Authorization: Bearer KEY``; a page, whose
WebSocket can't have headers, gets a ticket for it first. Without a keys file the
gate is open, and nothing of this is looked at.

A wrong key costs its address one of a few attempts. When they are used up, wrong
keys are answered 429; a right one is let in at all times. Guessing is hopeless at
any rate, and a logger with an old key must not shut out those behind the same proxy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import Logger

from pitwall.keys.file import Watched
from pitwall.keys.key import INGEST, READ, Key, Keys
from pitwall.serve.attempts import Attempts
from pitwall.serve.tickets import TICKET_S, Tickets, TooManyTicketsError, new_ticket

_BEARER = re.compile(rb"bearer +([!-~]{1,256})", re.IGNORECASE)
#: The least time between two lines of the log about wrong keys [s].
_LOG_S = 10.0


class DeniedError(Exception):
    """
    A request that is not answered.

    Attributes:
        status: of the answer.
        headers: of the answer, by name.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str]) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class Gate:
    """
    Lets requests in, or says why not.

    Args:
        keys: the file with the keys; None where everyone may do everything.
        seconds: tells the time [s].
    """

    log = Logger()

    def __init__(self, keys: Watched[Keys] | None, seconds: Callable[[], float]) -> None:
        self._keys = keys
        self._seconds = seconds
        self._attempts = Attempts()
        self._tickets = Tickets()
        self._logged_at = -math.inf
        self._unlogged = 0

    @property
    def locked(self) -> bool:
        """Whether keys are needed."""
        return self._keys is not None

    def check(self, request: Any, scope: str | None) -> Key | None:
        """
        Let a request in; returns its key, None where none is needed.

        Args:
            request: with its header.
            scope: what it wants; None when that is for everyone.

        Raises:
            DeniedError: it has no key for that.
        """
        if self._keys is None or scope is None:
            return None
        headers = request.requestHeaders.getRawHeaders(b"authorization", ())
        if not headers:
            raise _unknown("a key is needed here: Authorization: Bearer KEY")
        key = self._said(headers[0]) if len(headers) == 1 else None
        if key is None:
            raise self._wrong(request, "the key is not known, wanted Authorization: Bearer KEY")
        return _allowed(key, scope)

    def enter(self, request: Any) -> Key | None:
        """
        Let a WebSocket in, by its header or by the ticket in its address; returns its key.

        Raises:
            DeniedError: it has neither.
        """
        tickets = request.args.get(b"ticket", ())
        if self._keys is None or not tickets:
            return self.check(request, READ)
        key = self._tickets.take(tickets[0].decode("latin-1"), self._seconds()) if len(tickets) == 1 else None
        if key is None or not self._keys.value.has(key, READ):
            raise self._wrong(request, f"the ticket is not known: it is good for one connection, within {TICKET_S} s")
        return key

    def ticket(self, request: Any) -> str:
        """
        A ticket for a WebSocket; where no keys are needed it is one too, but nobody looks at it.

        Raises:
            DeniedError: the request has no key for that, or has too many tickets already.
        """
        key = self.check(request, READ)
        if key is None:
            return new_ticket()
        try:
            return self._tickets.give(key, self._seconds())
        except TooManyTicketsError:
            headers = {"Retry-After": str(TICKET_S)}
            raise DeniedError(429, "too many tickets are not used", headers) from None

    def may_post(self, header: bytes | None) -> bool:
        """Whether points may come under such a header Authorization; says nothing of why not, and counts nothing."""
        if self._keys is None:
            return True
        key = None if header is None else self._said(header)
        return key is not None and key.may(INGEST)

    def holds(self, key: Key | None) -> bool:
        """Whether a WebSocket that came by a key may stay."""
        return self._keys is None or (key is not None and self._keys.value.has(key, READ))

    def _said(self, header: bytes) -> Key | None:
        """The key that a header says."""
        assert self._keys is not None
        found = _BEARER.fullmatch(header.strip())
        return None if found is None else self._keys.value.find(found[1])

    def _wrong(self, request: Any, message: str) -> DeniedError:
        """Count a wrong key, or a wrong ticket."""
        address = address_of(request)
        now = self._seconds()
        wait_s = self._attempts.wrong(address, now)
        self._unlogged += 1
        if now - self._logged_at >= _LOG_S:
            self.log.warn("wrong keys: {count}, the last from {address}", count=self._unlogged, address=address)
            self._logged_at, self._unlogged = now, 0
        if wait_s > 0:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            return DeniedError(429, "too many wrong keys from this address", headers)
        return _unknown(message, wrong=True)


def deny(request: Any, error: DeniedError) -> None:
    """Give an answer the status and the headers of a refusal."""
    request.setResponseCode(error.status)
    for name, value in error.headers.items():
        request.setHeader(name.encode(), value.encode())


def address_of(request: Any) -> str:
    """The address a request comes from; a socket of this machine has none."""
    return str(getattr(request.getClientAddress(), "host", None) or "unix")


def _allowed(key: Key, scope: str) -> Key:
    if not key.may(scope):
        challenge = f'Bearer realm="pitwall", error="insufficient_scope", scope="{scope}"'
        raise DeniedError(403, f"this key is not for that, wanted one for {scope}", {"WWW-Authenticate": challenge})
    return key


def _unknown(message: str, wrong: bool = False) -> DeniedError:
    challenge = 'Bearer realm="pitwall"' + (', error="invalid_token"' if wrong else "")
    return DeniedError(401, message, {"WWW-Authenticate": challenge})
