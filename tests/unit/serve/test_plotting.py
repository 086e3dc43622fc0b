"""``pitwall.serve.plotting``: the plotting library of the dashboard, from its package."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve import plotting
from pitwall.serve.plotting import MOST_WAITING, PlottingLibrary, script_name, script_path
from tests.unit.serve.test_packed import Request
from tests.unit.serve.test_page import BROWSER
from tests.unit.serve.test_rest import RestCase

#: What a browser may be made to fetch for it, at most.
MOST_BYTES = 1_500_000
#: Tells its name, and whether it has been imported.
NOT_IMPORTED = """
import sys
from pitwall.serve.plotting import script_name
print(script_name(), "plotly" in sys.modules)
"""


class PlottingLibraryTests(SynchronousTestCase):
    """`PlottingLibrary`."""

    def setUp(self) -> None:
        """A library of a few bytes, and a thread that is one when it is told to be."""
        self.path = Path(self.mktemp())
        self.path.write_bytes(b"window.Plotly = {};\n" * 50)
        self.work: list[Callable[[], Any]] = []
        self.library = PlottingLibrary(self.path, "plotly-1.js", self.in_thread)

    def in_thread(self, function: Any, *parts: Any) -> Deferred[Any]:
        """Call it later."""
        done: Deferred[Any] = Deferred()
        self.work.append(lambda: maybeDeferred(function, *parts).chainDeferred(done))
        return done

    def ask(self, **headers: str) -> tuple[Request, Deferred[bytes | None]]:
        """A request, and its answer."""
        request = Request(**headers)
        return request, Deferred.fromCoroutine(self.library.answer(request))

    def test_packed_once(self) -> None:
        """Two browsers that ask at the same time, and one that asks later, have it packed once."""
        first, second = self.ask(accept_encoding="gzip"), self.ask(accept_encoding="gzip")
        self.assertNoResult(first[1])
        self.assertEqual(len(self.work), 1)
        self.work.pop()()
        third = self.ask(accept_encoding="gzip")
        for request, answer in (first, second, third):
            self.assertEqual(gzip.decompress(self.successResultOf(answer) or b""), self.path.read_bytes())
            self.assertEqual(request.answered("cache-control"), "public, max-age=31536000, immutable")
            self.assertEqual(request.answered("content-type"), "text/javascript; charset=utf-8")
        self.assertEqual(self.work, [])

    def test_plain(self) -> None:
        """Who does not take gzip gets none of it; who does not say what it takes, the packed one."""
        request, answer = self.ask(accept_encoding="identity")
        self.assertIn(b"gzip", self.successResultOf(answer) or b"")
        self.assertEqual((request.status, self.work), (406, []))
        request, answer = self.ask()
        self.work.pop()()
        self.assertEqual(gzip.decompress(self.successResultOf(answer) or b""), self.path.read_bytes())
        self.assertEqual(request.answered("content-encoding"), "gzip")

    def test_many(self) -> None:
        """So many may wait for it to be packed; more are to ask again."""
        asked = [self.ask(accept_encoding="gzip") for _ in range(MOST_WAITING + 2)]
        self.assertEqual([request.status for request, _ in asked], [200] * MOST_WAITING + [503] * 2)
        self.work.pop()()
        for _, answer in asked[:MOST_WAITING]:
            self.assertEqual(gzip.decompress(self.successResultOf(answer) or b""), self.path.read_bytes())

    def test_unreadable(self) -> None:
        """A file that cannot be read is none; it is tried again when it is asked for again."""
        content = self.path.read_bytes()
        self.path.unlink()
        _, answer = self.ask(accept_encoding="gzip")
        self.work.pop()()
        self.assertIsNone(self.successResultOf(answer))
        self.path.write_bytes(content)
        _, answer = self.ask(accept_encoding="gzip")
        self.work.pop()()
        self.assertEqual(gzip.decompress(self.successResultOf(answer) or b""), content)


class InstalledTests(RestCase):
    """The package that is installed."""

    def ask_for_script(self, path: Path | None, name: str) -> tuple[int, Any, bytes]:
        """What a browser is answered that asks for it."""
        self.patch(self.server.api, "_plotting", PlottingLibrary(path, name, maybeDeferred))
        return self.ask("GET", f"/dashboard/plotly-{version('plotly')}.js", Accept_Encoding="gzip")

    def test_sent(self) -> None:
        """It is sent under the name that the page tells, in less than 1.5 MB."""
        _, _, page = self.ask("GET", "/", Accept=BROWSER)
        self.assertIn(f'name="pitwall-plotting" content="{script_name()}"'.encode(), page)
        status, headers, body = self.ask_for_script(script_path(), script_name())
        self.assertEqual((status, headers.getRawHeaders("vary")), (200, ["Accept-Encoding"]))
        self.assertIn(b"plotly.js v", body[:200])
        packed = self.server.api._plotting._file
        assert packed is not None
        self.assertLess(len(packed.packed), MOST_BYTES)

    def test_missing(self) -> None:
        """Without the package there is no such file, and the page tells of none."""
        self.patch(plotting, "PACKAGE", "no_such_package")
        self.assertEqual((script_path(), script_name()), (None, ""))
        self.assertEqual(PlottingLibrary.installed().name, "")
        self.assertEqual(self.ask_for_script(None, "")[0], 404)
        gone = Path("no/such/file")
        self.assertEqual(self.ask_for_script(gone, f"plotly-{version('plotly')}.js")[0], 404)

    def test_not_imported(self) -> None:
        """A server that knows where it is has not imported it."""
        seen = subprocess.check_output([sys.executable, "-c", NOT_IMPORTED], text=True)
        self.assertEqual(seen.split(), [script_name(), "False"])
