"""
The dashboard and the references: pages, and the modules and style sheets they load, as files of the package.

A page has nothing of the race in it, so it is for everyone; what it shows it asks for
as any client does. It loads nothing from elsewhere, and its policy would not let it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Final

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from pitwall.serve.packed import File

#: A page itself; every other file of its directory has an address of its own.
INDEX: Final = "index.html"
#: The directories of the pages.
DASHBOARD: Final = "dashboard"
REFERENCE: Final = "reference"
HTML: Final = "text/html"
JAVASCRIPT: Final = "text/javascript"
CSS: Final = "text/css"
SVG: Final = "image/svg+xml"
#: By the end of a file's name.
_TYPES: Final[Mapping[str, str]] = {"html": HTML, "js": JAVASCRIPT, "css": CSS, "svg": SVG}
_HEADERS: Final[Mapping[bytes, bytes]] = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    b" connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
}


class Page:
    """
    A page as this server gives it.

    Args:
        ws_path: where the WebSocket is.
        locked: whether keys are needed.
        plotting: what the plotting library is called; empty where there is none.
        directory: where it is.
    """

    def __init__(self, ws_path: str, locked: bool, plotting: str = "", directory: str = DASHBOARD) -> None:
        self._directory = directory
        self._said = {
            "{{websocket}}": ws_path,
            "{{keys}}": "needed" if locked else "none",
            "{{plotting}}": plotting,
        }
        self._file: File | None = None

    def answer(self, request: Any) -> bytes:
        """The page."""
        if self._file is None:
            text = _read(self._directory, INDEX).decode()
            for mark, value in self._said.items():
                text = text.replace(mark, escape(value))
            self._file = File.of(text.encode(), HTML)
        for name, said in _HEADERS.items():
            request.setHeader(name, said)
        return self._file.answer(request)


def wants_page(accept: str) -> bool:
    """Whether whoever says that header Accept likes HTML better than JSON, as a browser does that opens an address."""
    if HTML not in accept.lower():
        return False
    liked = parse_accept_header(accept, MIMEAccept)
    return liked.quality(HTML) > liked.quality("application/json")


@cache
def names(directory: str = DASHBOARD) -> frozenset[str]:
    """The files that a page loads."""
    found = (entry.name for entry in files("pitwall.serve").joinpath(directory).iterdir())
    return frozenset(name for name in found if name != INDEX and name.rpartition(".")[2] in _TYPES)


@cache
def file(name: str, directory: str = DASHBOARD) -> File:
    """One of these files."""
    return File.of(_read(directory, name), _TYPES[name.rpartition(".")[2]])


def _read(directory: str, name: str) -> bytes:
    return files("pitwall.serve").joinpath(directory, name).read_bytes()
