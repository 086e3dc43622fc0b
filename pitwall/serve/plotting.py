"""
Plotly's script, which the dashboard draws traces with: from the installed package, sent by this server.

The package is not imported, for what is wanted of it runs in browsers alone: its file is found,
and read and packed when the first browser asks for it, in a thread, since that takes a fifth
of a second. What is kept, and sent, is the packed one: every browser takes that, and five
megabytes for each connection that asks and does not read would fill the memory. Its address has
the version in it, so that browsers need never ask again. A server without the package, or
without the file in it, does all else.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.python.failure import Failure

from pitwall.serve.packed import KEEP, File, takes_gzip
from pitwall.serve.request import error_body

PACKAGE: Final = "plotly"
JAVASCRIPT: Final = "text/javascript"
#: Requests that may wait for it to be packed.
MOST_WAITING: Final = 20


def script_path() -> Path | None:
    """Where the script is; None where it is not installed."""
    spec = find_spec(PACKAGE)
    for place in (spec.submodule_search_locations if spec is not None else None) or ():
        path = Path(place, "package_data", "plotly.min.js")
        if path.is_file():
            return path
    return None


def script_name() -> str:
    """What it is called under ``/dashboard/``, other for each version; empty where there is none."""
    try:
        return f"plotly-{version(PACKAGE)}.js" if script_path() is not None else ""
    except PackageNotFoundError:
        return ""


class PlottingLibrary:
    """
    The script as this server gives it.

    Args:
        path: of the script, None where there is none.
        name: of it under ``/dashboard/``.
        in_thread: calls a function elsewhere.
    """

    log = Logger()

    def __init__(self, path: Path | None, name: str, in_thread: Callable[..., Deferred[File]] = deferToThread) -> None:
        self.name = name
        self._path = path
        self._in_thread = in_thread
        self._file: File | None = None
        #: Who waits for it; None while it is not being packed.
        self._waiting: list[Deferred[File | None]] | None = None

    @classmethod
    def installed(cls) -> PlottingLibrary:
        """The one of this environment."""
        name = script_name()
        return cls(script_path() if name else None, name)

    async def answer(self, request: Any) -> bytes | None:
        """
        The script, packed once for all; None when it could not be read.

        Who does not take gzip gets 406; who comes when too many wait for it to be packed already, 503.
        """
        accept = request.getHeader(b"accept-encoding")
        # Who says nothing takes anything (RFC 9110, section 12.5.3).
        if accept is not None and not takes_gzip(accept):
            request.setResponseCode(406)
            return error_body("this file is sent packed by gzip alone")
        if self._waiting is not None and len(self._waiting) >= MOST_WAITING:
            request.setResponseCode(503)
            return error_body("too many wait for this file")
        found = self._file or await self._packed()
        return None if found is None else found.answer(request, KEEP, packed=True)

    def _packed(self) -> Deferred[File | None]:
        waiter: Deferred[File | None] = Deferred()
        if self._waiting is not None:
            self._waiting.append(waiter)
            return waiter
        self._waiting = [waiter]
        assert self._path is not None, "it has no name, so nobody asks for it"
        self._in_thread(_read, self._path).addCallbacks(self._give, self._fail)
        return waiter

    def _fail(self, failure: Failure) -> None:
        failure.trap(OSError)
        self.log.warn("the plotting library cannot be read: {error}", error=failure.value)
        self._give(None)

    def _give(self, found: File | None) -> None:
        self._file = found
        waiting, self._waiting = self._waiting or (), None
        for waiter in waiting:
            waiter.callback(found)


def _read(path: Path) -> File:
    return File.of(path.read_bytes(), JAVASCRIPT)._replace(content=b"")
