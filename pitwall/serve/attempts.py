"""How often an address may be wrong."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

#: Wrong keys in a row that an address may try, and how long until it may try one more [s].
BURST = 10
PAUSE_S = 6.0
#: Addresses that are remembered; of more, those that were wrong longest ago are forgotten.
MOST_ADDRESSES = 4096


class Attempts:
    """
    A bucket of attempts for each address: a wrong key takes one, time brings them back.

    Args:
        burst: how many there are in a full bucket.
        pause_s: how long one takes to come back [s].
        most: how many addresses are remembered.
    """

    def __init__(self, burst: int = BURST, pause_s: float = PAUSE_S, most: int = MOST_ADDRESSES) -> None:
        self._burst = burst
        self._pause_s = pause_s
        self._most = most
        #: By address, when its bucket would be full again [s]; the one that was wrong longest ago first.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def wrong(self, address: str, now: float) -> float:
        """
        Note a wrong key from an address.

        Returns:
            How long it has to wait before the next one is looked at [s]; 0 when this one still was.
        """
        group = _group(address)
        full_at = max(self._full_at.get(group, now), now)
        wait_s = full_at + self._pause_s - now - self._burst * self._pause_s
        if wait_s > 0:
            self._full_at.move_to_end(group)
            return wait_s
        self._full_at[group] = full_at + self._pause_s
        self._full_at.move_to_end(group)
        while len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return 0.0


def _group(address: str) -> str:
    """What counts as one address: of IPv6 the network of 64 bits that one subscriber has."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or (int(ip) >> 64))
    return address
