"""
Datagrams with a trailer that says who made them.

A signed datagram is what it would be without, a blank, and the trailer::

    {"track":"barber","chassis":"GR86-004-78","speed_kmh":141.2} hmac-sha256=6c0fd3c1…

which is ``hmac-sha256=`` and the 64 hexadecimal digits of the HMAC with SHA-256
(RFC 2104) of all bytes before that blank, by the shared key. In place of the blank
there may be a line feed, and another may follow, since shells like to send one.
No JSON ends like this, and no number in a line of CSV does. It has no clock: whoever
hears a datagram can send it once more.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from pitwall.wire.errors import WireError

#: How the trailer begins.
TRAILER: Final = b"hmac-sha256="
#: The fewest characters of a key.
SHORTEST_KEY: Final = 32
#: The most keys: a new one beside the last one, until all loggers have it.
MOST_KEYS: Final = 2

_DIGITS: Final = 64
_SIZE: Final = 1 + len(TRAILER) + _DIGITS
_STARTS: Final = (b" " + TRAILER, b"\n" + TRAILER)
_BLOCK: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class Seal:
    """
    Checks datagrams against the shared key, or against either of two.

    Args:
        keys: at least one.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        # The first block of both hashes is the same for every datagram.
        self._halves = [_halves(key) for key in keys]

    def opened(self, datagram: bytes) -> bytes:
        """
        What a datagram says, without its trailer.

        Raises:
            WireError: it has none, or another one than the key makes.
        """
        if datagram.endswith(b"\n"):
            datagram = datagram[:-2] if datagram.endswith(b"\r\n") else datagram[:-1]
        said, trailer = datagram[:-_SIZE], datagram[-_SIZE:]
        if not trailer.startswith(_STARTS):
            raise WireError("unsigned", "no hmac-sha256=… at the end, wanted one")
        digits = trailer[-_DIGITS:].lower()
        for inner, outer in self._halves:
            first, second = inner.copy(), outer.copy()
            first.update(said)
            second.update(first.digest())
            if hmac.compare_digest(second.hexdigest().encode(), digits):
                return said
        raise WireError("bad_signature", "the hmac-sha256=… at the end is not of these bytes by the shared key")


def parse_keys(content: bytes) -> Seal:
    """
    The seal of a file with a key a line.

    Raises:
        ValueError: it has no key, too many, or one that is too short.
    """
    keys = [line.strip() for line in content.split(b"\n") if line.strip()]
    if not 1 <= len(keys) <= MOST_KEYS:
        raise ValueError(f"it has {len(keys)} lines, wanted a key a line, one or {MOST_KEYS}")
    if min(map(len, keys)) < SHORTEST_KEY:
        raise ValueError(f"a key is shorter than {SHORTEST_KEY} characters; `openssl rand -hex 32` makes one")
    return Seal(keys)


def _halves(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    key = key.ljust(_BLOCK, b"\0")
    return hashlib.sha256(key.translate(_INNER)), hashlib.sha256(key.translate(_OUTER))
