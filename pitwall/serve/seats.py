"""
Who is connected: so many at most in all, and of one address at most a share of them.

A connection over the limit gets one of a few spare seats: it is asked for nothing but
health, and told in JSON why it must go.
"""

from __future__ import annotations

from collections import Counter

from pitwall.addresses import source_of

#: Connections over the limit at a time.
SPARE = 16
#: What a connection may be over: MAX_CONNECTIONS, MAX_PER_ADDRESS.
LIMITS = ("total", "address")
#: An address may have so many connections whatever its share comes to.
LEAST_SHARE = 100


def share_of(most: int) -> int:
    """How many of so many connections one address may have, where it is not set: half, and a hundred in any case."""
    return min(most, max(most // 2, LEAST_SHARE))


class Seat:
    """
    The place of a connection.

    Attributes:
        refusal: why it is asked for nothing but health; empty for one within the limits.
    """

    __slots__ = ("_key", "_seats", "refusal")

    def __init__(self, seats: Seats, key: str, refusal: str) -> None:
        self._seats: Seats | None = seats
        self._key = key
        self.refusal = refusal

    def leave(self) -> None:
        """The connection is gone; it does not matter how often this is said."""
        seats, self._seats = self._seats, None
        if seats is not None:
            seats.left(self._key, bool(self.refusal))


class Seats:
    """
    Counts connections.

    Args:
        most: how many there may be.
        most_each: how many of them from one address.

    Attributes:
        taken: connections within the limits now.
        refused: connections that were over them so far, by the limit: "total" or "address".
    """

    def __init__(self, most: int, most_each: int) -> None:
        self.most = most
        self.most_each = most_each
        self.taken = 0
        self.refused = dict.fromkeys(LIMITS, 0)
        self._spare = SPARE
        # No longer than there are connections.
        self._by_address: Counter[str] = Counter()

    def take(self, host: str, again: bool = False) -> Seat | None:
        """
        A seat for a connection from this address; None when not even a spare one is free.

        Args:
            host: the address.
            again: this has been asked for the same connection before, and it is counted.
        """
        key = source_of(host)
        if self.taken >= self.most:
            limit = "total"
            refusal = f"too many connections, wanted {self.most} at most; see MAX_CONNECTIONS"
        elif self._by_address[key] >= self.most_each:
            limit = "address"
            refusal = f"too many connections from your address, wanted {self.most_each} at most; see MAX_PER_ADDRESS"
        else:
            self.taken += 1
            self._by_address[key] += 1
            return Seat(self, key, "")
        if not again:
            self.refused[limit] += 1
        if self._spare == 0:
            return None
        self._spare -= 1
        return Seat(self, key, refusal)

    def left(self, key: str, spare: bool) -> None:
        """A seat is free again."""
        if spare:
            self._spare += 1
            return
        self.taken -= 1
        self._by_address[key] -= 1
        if not self._by_address[key]:
            del self._by_address[key]
