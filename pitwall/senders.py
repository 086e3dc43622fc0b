"""
Who may send by UDP, and how often.

A bounded table has an allowance for each source. When it is full, the source that
was quiet for longest is forgotten, if it has been quiet for so long that nothing is
lost by that; else a new one shares one allowance with all the others that found no
place. So a flood from made-up addresses passes no more than a full table's worth,
and takes nothing from those that are in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from pitwall.addresses import Network, address_of, source_of
from pitwall.rates import Allowance

NOT_ALLOWED, TOO_OFTEN = "not_allowed", "too_often"
#: Sources with an allowance of their own.
MOST_SOURCES = 4096


class Senders:
    """
    Decides about datagrams by their sender's address.

    Args:
        allow: the networks that may send; empty: all.
        per_s: datagrams of a source in a second; None: any number.
        burst: how many of them may come at once; None: those of a second.
    """

    def __init__(self, allow: Sequence[Network] = (), per_s: float | None = None, burst: float | None = None) -> None:
        self._allow = tuple(allow)
        self._per_s = per_s
        self._burst = burst
        self._allowances: dict[str, Allowance] = {}  # the one that was quiet for longest first
        self._shared: Allowance | None = None
        self._known = lru_cache(MOST_SOURCES)(self._look_up)

    def refusal(self, host: str, now: float) -> str | None:
        """Why a datagram from this address is refused; None when it is taken. ``now`` is in s."""
        source = self._known(host)
        if source is None:
            return NOT_ALLOWED
        if self._per_s is None:
            return None
        allowance = self._allowances.pop(source, None)
        if allowance is None:
            if len(self._allowances) >= MOST_SOURCES:
                quiet = next(iter(self._allowances))
                if not self._allowances[quiet].rested(now):
                    return None if self._share(now) else TOO_OFTEN
                del self._allowances[quiet]
            allowance = Allowance(self._per_s, now, self._burst)
        self._allowances[source] = allowance
        return None if allowance.spend(now) else TOO_OFTEN

    def _share(self, now: float) -> bool:
        if self._shared is None:
            assert self._per_s is not None
            self._shared = Allowance(self._per_s, now, self._burst)
        return self._shared.spend(now)

    def _look_up(self, host: str) -> str | None:
        """What a sender is told apart by; None when it may not send."""
        if self._allow:
            address = address_of(host)
            if address is None or not any(address in network for network in self._allow):
                return None
        return source_of(host)
