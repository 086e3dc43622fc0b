"""Which web pages may use the server from a browser: one policy for CORS, for posts and for the WebSocket."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

_LOCAL = frozenset(("localhost", "127.0.0.1", "::1"))


class OriginPolicy:
    """
    Decides by a request's Origin header.

    Without a list, a page may use the server when it was served from the host it
    asks (on any port), or from localhost. With one, exactly the origins listed
    may: ``https://wall.example.com``, ``http://localhost:*`` for any port, ``*``
    for every page, ``null`` for pages opened from disk.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)

    def allows(self, origin: str | None, host: str | None) -> bool:
        """
        Whether a page from ``origin`` may use this server.

        Args:
            origin: the Origin header; None (no browser sent it) is allowed.
            host: the Host header, for the rule of the same host.
        """
        if origin is None or "*" in self._allowed:
            return True
        origin = origin.strip().lower()
        if self._allowed:
            any_port = (f"{origin}:*", f"{origin.rpartition(':')[0]}:*")
            return origin in self._allowed or not self._allowed.isdisjoint(any_port)
        name = _hostname(origin)
        return name is not None and (name in _LOCAL or name == _hostname(f"http://{host}"))

    def may_change(self, origins: Sequence[str], sites: Sequence[str], host: str | None) -> bool:
        """
        Whether a request that changes something may be from where it says it is.

        A browser may send one for any page, and without asking first; the page only can't
        read the answer. A program sends neither header.

        Args:
            origins: every Origin header.
            sites: every Sec-Fetch-Site header, which tells of a page where it has no Origin.
            host: the Host header.
        """
        if origins:
            return all(self.allows(origin, host) for origin in origins)
        return "*" in self._allowed or not any(site.strip().lower() == "cross-site" for site in sites)


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
