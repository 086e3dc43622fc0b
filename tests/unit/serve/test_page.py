"""``pitwall.serve.page``: the dashboard's page and its files, as a browser asks for them."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve import page
from pitwall.serve.page import Page, wants_page
from tests.unit.serve.test_packed import Request
from tests.unit.serve.test_rest import RestCase

ROOT = Path(__file__).parents[3]
FILES = ROOT / "pitwall/serve/dashboard"
REFERENCE = ROOT / "pitwall/serve/reference"
#: What Firefox and Chromium say when an address is opened.
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


class NegotiationTests(SynchronousTestCase):
    """`wants_page`."""

    def test_browsers(self) -> None:
        """Whoever likes HTML better than JSON gets the page."""
        for accept in (BROWSER, "text/html", "TEXT/HTML", "text/html, application/json;q=0.9", "text/html;q=0.1"):
            self.assertTrue(wants_page(accept), accept)

    def test_programs(self) -> None:
        """Everyone else gets the index: curl, fetch, and whoever likes both alike or HTML less."""
        for accept in (
            *("", "*/*", "application/json", "text/*, application/*", "text/html, application/json", "text/html, */*"),
            *("text/html;q=0", "application/json, text/html;q=0.9", "text/htmlx", "text/html;q=x, ;;,"),
        ):
            self.assertFalse(wants_page(accept), accept)


class PageTests(RestCase):
    """``GET /`` by a browser."""

    def test_page(self) -> None:
        """A browser gets the page, and is told that this depends on what it accepts."""
        status, headers, body = self.ask("GET", "/", Accept=BROWSER)
        self.assertEqual((status, headers.getRawHeaders("content-type")), (200, ["text/html; charset=utf-8"]))
        self.assertIn("Accept", headers.getRawHeaders("vary", [""])[0])
        self.assertIn(b"<!doctype html>", body)
        self.assertNotIn(b"{{", body)
        status, headers, body = self.ask("GET", "/", Accept="*/*")
        self.assertEqual((status, headers.getRawHeaders("content-type")), (200, ["application/json"]))
        self.assertEqual(headers.getRawHeaders("vary"), ["Accept"])

    def test_policy(self) -> None:
        """Scripts and styles come from this server alone, none stand in the page, and nobody may frame it."""
        _, headers, body = self.ask("GET", "/", Accept=BROWSER)
        (policy,) = headers.getRawHeaders("content-security-policy", [])
        told = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        self.assertEqual(
            {name: told[name] for name in ("default-src", "frame-ancestors", "base-uri", "form-action")},
            dict.fromkeys(("default-src", "frame-ancestors", "base-uri", "form-action"), "'none'"),
        )
        self.assertEqual({told[name] for name in ("script-src", "style-src", "connect-src", "img-src")}, {"'self'"})
        self.assertEqual(headers.getRawHeaders("x-content-type-options"), ["nosniff"])
        self.assertEqual(headers.getRawHeaders("referrer-policy"), ["no-referrer"])
        text = body.decode()
        self.assertNotRegex(text, r"<style|\sstyle=|\son\w+=|https?:|<script(?![^>]*src=)")

    def test_all_it_loads_is_there(self) -> None:
        """What the page and its modules name is served, and every file of it is named."""
        _, _, body = self.ask("GET", "/", Accept=BROWSER)
        named = set(re.findall(r'(?:href|src)="/dashboard/([^"]+)"', body.decode()))
        for name in sorted(FILES.glob("*.js")):
            named |= set(re.findall(r'^(?:import|export) .* from "\./([^"]+)";$', name.read_text(), re.MULTILINE))
        self.assertEqual(named, page.names())
        for name in named:
            status, headers, content = self.ask("GET", f"/dashboard/{name}")
            self.assertEqual((status, content), (200, (FILES / name).read_bytes()))
            self.assertRegex(
                headers.getRawHeaders("content-type", [""])[0], r"^(text/(javascript|css)|image/svg\+xml);"
            )

    def test_cached(self) -> None:
        """A browser that has a file asks again, and is told in a few bytes that it is the same."""
        for path, accept in (("/", BROWSER), ("/dashboard/main.js", "*/*")):
            _, headers, _ = self.ask("GET", path, Accept=accept)
            (etag,) = headers.getRawHeaders("etag", [])
            self.assertEqual(headers.getRawHeaders("cache-control"), ["no-cache"])
            status, _, body = self.ask("GET", path, Accept=accept, If_None_Match=etag)
            self.assertEqual((status, body), (304, b""))
            self.assertEqual(self.ask("GET", path, Accept=accept, If_None_Match='"other"')[0], 200)

    def test_nothing_else(self) -> None:
        """No other file is to be had, the page's own among them."""
        for name in ("", "index.html", "x.js", "..%2Fpage.py", "%2e%2e%2fpage.py", "../page.py"):
            self.assert_error(404, "GET", f"/dashboard/{name}")

    def test_said(self) -> None:
        """The page says where the WebSocket is and whether a key is needed, escaped."""
        body = Page('/ws"><b>', locked=True).answer(Request()).decode()
        self.assertIn('name="pitwall-websocket" content="/ws&quot;&gt;&lt;b&gt;"', body)
        self.assertIn('name="pitwall-keys" content="needed"', body)
        self.assertIn('content="none"', Page("/ws", locked=False).answer(Request()).decode())


class ReferenceTests(RestCase):
    """``GET /docs``."""

    def test_page(self) -> None:
        """Everyone gets the page, whatever is accepted, with a slash at the end too; HEAD is answered as GET is."""
        for path, accept in (("/docs", BROWSER), ("/docs", "*/*"), ("/docs/", BROWSER)):
            status, headers, body = self.ask("GET", path, Accept=accept)
            self.assertEqual((status, headers.getRawHeaders("content-type")), (200, ["text/html; charset=utf-8"]))
            self.assertIn(b'name="pitwall-websocket" content="/ws/realtime"', body)
            self.assertNotIn(b"{{", body)
        status, head, body = self.ask("HEAD", "/docs")
        self.assertEqual((status, body), (200, b""))
        self.assertEqual(head.getRawHeaders("etag"), headers.getRawHeaders("etag"))

    def test_other_methods(self) -> None:
        """No other method is allowed, and what is, is said."""
        headers = self.assert_error(405, "POST", "/docs", b"")
        self.assertEqual(headers.getRawHeaders("allow"), ["GET, HEAD, OPTIONS"])

    def test_policy(self) -> None:
        """Its policy is that of the dashboard, and nothing stands in it that this would not let run."""
        (policy,) = self.ask("GET", "/", Accept=BROWSER)[1].getRawHeaders("content-security-policy", [])
        _, headers, body = self.ask("GET", "/docs")
        self.assertEqual(headers.getRawHeaders("content-security-policy"), [policy])
        self.assertNotIn("unsafe", policy)
        self.assertNotRegex(body.decode(), r"<style|\sstyle=|\son\w+=|https?:|<script(?![^>]*src=)")

    def test_all_it_loads_is_there(self) -> None:
        """What the page and its modules name is served, of the dashboard's files too, and every file of it is named."""
        text = (REFERENCE / page.INDEX).read_text()
        named = set(re.findall(r'(?:href|src)="(/\w+/[^"]+)"', text))
        for path in REFERENCE.glob("*.js"):
            found = re.findall(r'^(?:import|export) .* from "([^"]+)";$', path.read_text(), re.MULTILINE)
            named |= {f"/docs/{name[2:]}" if name.startswith("./") else name for name in found}
        own = {name.removeprefix("/docs/") for name in named if name.startswith("/docs/")}
        self.assertEqual(own, page.names(page.REFERENCE))
        for path in named:
            status, headers, _ = self.ask("GET", path)
            self.assertEqual(status, 200, path)
            self.assertEqual(len(headers.getRawHeaders("etag", [])), 1, path)

    def test_cached(self) -> None:
        """A browser that has it is told so."""
        for path in ("/docs", "/docs/main.js"):
            (etag,) = self.ask("GET", path)[1].getRawHeaders("etag", [])
            self.assertEqual(self.ask("GET", path, If_None_Match=etag)[::2], (304, b""))

    def test_nothing_else(self) -> None:
        """No other file is to be had there, the page's own and those of the dashboard among them."""
        for name in ("index.html", "tower.js", "..%2Fpage.py", "../page.py", "x/y.js"):
            self.assert_error(404, "GET", f"/docs/{name}")

    def test_no_markup(self) -> None:
        """No module makes elements of a text: what a car is called, or a specification says, stays a text."""
        for path in REFERENCE.glob("*.js"):
            self.assertNotRegex(
                path.read_text(), r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\("
            )


class PackageTests(SynchronousTestCase):
    """What a wheel has of it."""

    def test_listed(self) -> None:
        """Every file is of a kind that setup.cfg puts in, and there is no directory that it would leave out."""
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg")
        self.assertIn("dashboard/*", setup["options.package_data"]["pitwall.serve"])
        self.assertIn("reference/*", setup["options.package_data"]["pitwall.serve"])
        self.assertEqual({path.name for path in FILES.iterdir()}, page.names() | {page.INDEX})
        self.assertEqual({path.name for path in REFERENCE.iterdir()}, page.names(page.REFERENCE) | {page.INDEX})
