"""The dashboard in a real browser, before a real server."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.harness import Server, running, wait_for
from tests.end_to_end.test_keys import KeyedServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROWS = "#tower tbody tr"
CARS = 20
#: Of the browser's main thread, on a machine that does other things too.
BUSY_SHARE = 0.4
#: What JavaScript's memory may grow by in the first minute, in which lines get longer and tables fuller [MB].
GROWN_MB = 8.0
#: A name that the browser resolves to this machine, but does not take for it: a page from there is not secure.
ELSEWHERE = "wall.example"
#: A race is watched for so long, and looked at so often [s].
WATCHED_S = 60.0
LOOK_S = 1.5
#: Rows are wanted within 1.5 s; this machine may have other things to do meanwhile [s].
FIRST_ROWS_S = 3.0
#: Notes when the first row with a car and a place stood [ms since the address was opened].
FIRST_ROW = """
new MutationObserver((_, watch) => {
    if (!document.querySelector("#tower tbody .c-pos .value")?.textContent) return;
    window.firstRowMs = performance.now();
    watch.disconnect();
}).observe(document, { childList: true, subtree: true, characterData: true });
"""
#: The order that the page shows, and the one that the server tells at that moment.
ORDERS = """
async () => {
    const { gaps } = await (await fetch("/api/gaps")).json();
    const rows = [...document.querySelectorAll("#tower tbody tr")];
    return [rows.map((row) => row.querySelector(".c-car .value").textContent), gaps.map((gap) => gap.chassis)];
}
"""
#: Keeps the page's WebSockets where a test can close them.
SOCKETS = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
    constructor(...parts) {
        super(...parts);
        window.sockets.push(this);
    }
};
"""
#: Names that are markup, as a logger might send them.
MARKUP = {"chassis": "<img src=x onerror=hacked=1>", "track": "<b>barber</b>"}


class Viewer:
    """
    A page of the server, and what it did besides showing it.

    Attributes:
        page: Playwright's.
        console: what it wrote, and errors that nobody caught.
        hosts: those it asked for anything.
        session: with the browser's own tools.
    """

    def __init__(self, page: Any, server: Server, path: str = "/") -> None:
        self.page = page
        self.console: list[str] = []
        self.hosts: set[str] = set()
        self.session = page.context.new_cdp_session(page)
        self.session.send("Performance.enable")
        page.on("console", lambda message: self.console.append(message.text))
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("websocket", lambda socket: self.hosts.add(urlsplit(socket.url).netloc))
        page.goto(f"http://127.0.0.1:{server.port}{path}")

    def wait_rows(self, count: int = CARS) -> None:
        """Wait until so many cars are shown."""
        self.page.wait_for_function(
            "([rows, count]) => document.querySelectorAll(rows).length === count", arg=[ROWS, count]
        )

    def text(self, selector: str) -> str:
        """What stands there."""
        return str(self.page.locator(selector).inner_text())

    def wait_text(self, selector: str, text: str, within_s: float = 20.0) -> None:
        """Wait until a text stands there."""
        wait_for(f"{text!r} in {selector}", lambda: text in self.text(selector), within_s)

    def metric(self, name: str) -> float:
        """One of the browser's own figures."""
        metrics = self.session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == name))

    def busy_s(self) -> float:
        """For how long its main thread has worked by now."""
        return self.metric("TaskDuration")

    def busy_share(self, for_s: float) -> float:
        """How much of a time, from now on, the browser's main thread works."""
        before_s, began = self.busy_s(), time.monotonic()
        time.sleep(for_s)
        return (self.busy_s() - before_s) / (time.monotonic() - began)

    def heap_mb(self) -> float:
        """What JavaScript holds when garbage has been collected [MB]."""
        self.session.send("HeapProfiler.collectGarbage")
        return self.metric("JSHeapUsedSize") / 1e6

    def overflow_px(self) -> int:
        """How much wider the page is than the window."""
        return int(self.page.evaluate("() => document.documentElement.scrollWidth - innerWidth"))


class DashboardCase(SynchronousTestCase):
    """Debian's Chromium, driven by Playwright."""

    if CHROMIUM is None:
        skip = "needs chromium"

    @contextmanager
    def viewer(
        self,
        server: Server,
        width: int = 1440,
        height: int = 900,
        path: str = "/",
        cold: str = "",
        **options: Any,
    ) -> Iterator[Viewer]:
        """The dashboard of a server, or another page of it; ``cold`` is a script that runs before its own."""
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
            arguments.append(f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1")
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            try:
                page = browser.new_page(viewport={"width": width, "height": height}, **options)
                page.add_init_script(cold)
                yield Viewer(page, server, path)
            finally:
                browser.close()


class RaceTests(DashboardCase):
    """The demo race on a screen."""

    def test_watched(self) -> None:
        """
        Cars are soon seen; for a minute the order is the server's, no other host is asked, the console is empty.

        With two of the twenty cars selected and their traces drawn, the browser's main thread has most of its time to
        itself meanwhile, and its memory grows by little.
        """
        with running("--demo") as server, self.viewer(server, cold=FIRST_ROW) as viewer:
            # A server that has just started, and a browser that has never been there.
            viewer.page.wait_for_function("() => window.firstRowMs !== undefined")
            first_s = viewer.page.evaluate("() => firstRowMs") / 1000
            sys.stdout.write(f" first rows after {first_s:.2f} s ")
            self.assertLess(first_s, FIRST_ROWS_S)
            viewer.wait_rows()
            for row in (2, 4):
                viewer.page.locator(f"{ROWS}:nth-child({row})").click()
            viewer.page.get_by_role("button", name="Traces").click()
            viewer.page.wait_for_selector("#detail .plot .scatterlayer path.js-line", state="attached")
            heap_mb, busy_s, began = viewer.heap_mb(), viewer.busy_s(), time.monotonic()
            end, seen = began + WATCHED_S, set()
            while time.monotonic() < end:
                # Between the answer and the next message the order may be another one: then it is asked again.
                wait_for("the server's order", lambda: len(set(map(tuple, viewer.page.evaluate(ORDERS)))) == 1, 2)
                seen.add(tuple(viewer.page.evaluate(ORDERS)[1]))
                time.sleep(LOOK_S)
            busy, grown_mb = (viewer.busy_s() - busy_s) / (time.monotonic() - began), viewer.heap_mb() - heap_mb
            sys.stdout.write(f" main thread {busy:.0%} busy, heap {heap_mb:.1f} + {grown_mb:.1f} MB ")
            self.assertLess(busy, BUSY_SHARE)
            self.assertLess(grown_mb, GROWN_MB)
            self.assertGreater(len(seen), 1, "nobody overtook anybody: that told nothing")
            self.assertEqual(viewer.text(f"{ROWS}:first-child .c-pos"), "1")
            self.assertEqual(viewer.text(f"{ROWS}:first-child .c-gap"), "Leader")
            self.assertRegex(viewer.text(f"{ROWS}:nth-child(2) .c-gap .value"), r"^\+\d+\.\d{3}$")
            self.assertIn("Live", viewer.text("#trust .trust-link dd"))
            self.assertTrue(viewer.page.locator("#demo").is_visible())
            self.assertEqual(viewer.console, [])
            self.assertEqual(viewer.hosts, {f"127.0.0.1:{server.port}"})

    def test_keyboard(self) -> None:
        """Arrow keys go from car to car, Enter selects one and compares another, Esc lets go, ? explains."""
        with running("--demo") as server, self.viewer(server) as viewer:
            viewer.wait_rows()
            keys = viewer.page.keyboard
            focused = "() => document.activeElement.querySelector('.c-car .value')?.textContent"
            keys.press("ArrowDown")
            keys.press("ArrowDown")
            first = viewer.page.evaluate(focused)
            keys.press("Enter")
            viewer.wait_text("#detail .name-A", first)
            for _ in range(3):
                keys.press("ArrowDown")
            second = viewer.page.evaluate(focused)
            self.assertNotIn(second, (first, None))
            keys.press("Enter")
            viewer.wait_text("#detail .name-B", second)
            self.assertEqual(viewer.page.locator(f'{ROWS}[aria-selected="true"]').count(), 2)
            viewer.wait_text('#detail [aria-label="Channels now"]', "Brake, front")
            keys.press("Escape")
            viewer.page.wait_for_selector("#detail", state="hidden")
            keys.press("?")
            viewer.page.wait_for_selector("dialog[open]")
            keys.press("Escape")
            viewer.page.wait_for_selector("dialog[open]", state="hidden")
            self.assertEqual(viewer.console, [])

    def test_choices_kept(self) -> None:
        """Theme, units and what is shown are as they were when the page is opened anew."""
        with running("--demo") as server, self.viewer(server) as viewer:
            viewer.wait_rows()
            viewer.page.locator(f"{ROWS}:first-child").click()
            viewer.wait_text('#detail [aria-label="Channels now"]', "km/h")
            for key in "mut":
                viewer.page.keyboard.press(key)
            viewer.wait_text('#detail [aria-label="Channels now"]', "mph")
            viewer.page.reload()
            viewer.wait_rows()
            self.assertFalse(viewer.page.locator("#map").is_visible())
            self.assertTrue(viewer.page.locator("#insights").is_visible())
            self.assertEqual(viewer.page.evaluate("() => document.documentElement.dataset.theme"), "dark")
            self.assertEqual(viewer.text("#controls .units"), "mph")

    def test_evidence(self) -> None:
        """A click on an insight shows what it was computed from, and that it is the same computed again."""
        with running("--demo") as server, self.viewer(server) as viewer:
            viewer.page.wait_for_selector("#insights .line", timeout=40000)
            viewer.page.locator("#insights .line").first.click()
            viewer.wait_text("#insights li:has([aria-expanded=true]) .evidence", "Computed again: the same")
            self.assertIn("gap to ahead", viewer.text("#insights .evidence:not([hidden]) table"))

    def test_sizes(self) -> None:
        """From a phone to a wall of pixels nothing makes the page scroll sideways, and whoever leads is seen."""
        with running("--demo") as server, self.viewer(server, 360, 740) as viewer:
            viewer.wait_rows()
            for width, height in ((360, 740), (820, 1180), (1440, 900), (3840, 2160)):
                viewer.page.set_viewport_size({"width": width, "height": height})
                viewer.page.locator(f"{ROWS}:nth-child(3)").click()
                time.sleep(0.5)
                self.assertEqual(viewer.overflow_px(), 0, width)
                box = viewer.page.locator(f"{ROWS}:first-child").bounding_box()
                assert box is not None
                self.assertLess(box["y"], height / 3, width)
                for name in ("pos", "car", "gap", "int", "last", "tire"):
                    cell = viewer.page.locator(f"{ROWS}:nth-child(2) .c-{name}").bounding_box()
                    assert cell is not None, (width, name)
                    self.assertLessEqual(cell["x"] + cell["width"], width, name)

    def test_accessible(self) -> None:
        """Axe finds nothing serious, in the dark and in the light, with cars selected and an insight open."""
        from axe_playwright_python.sync_playwright import Axe

        with running("--demo") as server, self.viewer(server, color_scheme="dark") as viewer:
            viewer.page.wait_for_selector("#insights .line", timeout=40000)
            viewer.page.locator("#insights .line").first.click()
            for row in (2, 4):
                viewer.page.locator(f"{ROWS}:nth-child({row})").click()
            time.sleep(1)
            for scheme in ("dark", "light"):
                viewer.page.emulate_media(color_scheme=scheme)
                found = Axe().run(viewer.page).response["violations"]
                bad = [each for each in found if each["impact"] in ("serious", "critical")]
                seen = [(each["id"], [node["html"][:120] for node in each["nodes"]][:3]) for each in bad]
                self.assertEqual(seen, [], scheme)


class TroubleTests(DashboardCase):
    """What it shows when something is not as it should be."""

    def test_restart(self) -> None:
        """It says that the server is gone, comes back to the next run by itself, and says that too."""
        with running("--demo") as server:
            port = server.port
            with self.viewer(server) as viewer:
                viewer.wait_rows()
                server.stop()
                viewer.wait_text("#trust .trust-link dd", "Lost")
                with running("--demo", PORT=str(port)):
                    viewer.wait_text("#notice", "restarted", 30)
                    viewer.wait_rows()
                    viewer.wait_text("#trust .trust-link dd", "Live")

    def test_broken_connection(self) -> None:
        """After a connection that broke it gets what it missed, says so, and misses nothing."""
        with running("--demo") as server, self.viewer(server) as viewer:
            viewer.page.add_init_script(SOCKETS)
            viewer.page.reload()
            viewer.wait_rows()
            viewer.wait_text("#trust .trust-link dd", "Live")
            viewer.page.evaluate("() => sockets.at(-1).close(4000)")
            viewer.wait_text("#notice", "Nothing is missing")
            viewer.wait_text("#trust .trust-link dd", "Live")
            self.assertEqual(viewer.text("#trust .trust-missed dd"), "0")
            self.assertEqual(viewer.page.evaluate("() => sockets.length"), 2)

    def test_markup(self) -> None:
        """Names that are markup are shown letter by letter, and nothing of them runs."""
        with running() as server, self.viewer(server) as viewer:
            point = {**MARKUP, "lap": 1, "lapdist_m": 10.0, "speed_kmh": 90.0, "<i>x</i>": "<u>y</u>"}
            self.assertEqual(server.post([point])[0], 200)
            viewer.wait_rows(1)
            self.assertEqual(viewer.text(f"{ROWS} .c-car .value"), MARKUP["chassis"])
            self.assertIn(MARKUP["track"].lower(), viewer.text("#tower h2").lower())
            viewer.page.locator(ROWS).click()
            viewer.wait_text("#detail .name-A", MARKUP["chassis"])
            server.post([{**point, "lapdist_m": 20.0}])
            viewer.wait_text('#detail [aria-label="Channels now"]', "<u>y</u>")
            self.assertEqual(viewer.page.locator("main img, main b, main i, main u").count(), 0)
            self.assertEqual(viewer.page.evaluate("() => typeof hacked"), "undefined")
            self.assertEqual(viewer.console, [])

    def test_silent(self) -> None:
        """A car that is not heard any more looks so, and one whose points have no time is marked."""
        with running() as server, self.viewer(server) as viewer:
            server.post([{"track": "barber", "chassis": "GR86-004-78", "speed_kmh": 141.0}])
            viewer.wait_rows(1)
            viewer.wait_text(f"{ROWS} .c-state", "Run")
            style = "(row) => ['fontStyle', 'color'].map((name) => getComputedStyle(row.querySelector('.c-gap'))[name])"
            fresh = viewer.page.eval_on_selector(ROWS, style)
            viewer.wait_text("#trust .trust-clocks summary", "1 of 1 wrong")
            self.assertIn("stamped on arrival", viewer.page.get_attribute(f"{ROWS} .wrong", "title") or "")
            viewer.wait_text(f"{ROWS} .c-state", "Silent")
            self.assertIn("silent", viewer.text("#trust .trust-oldest dd"))
            stale = viewer.page.eval_on_selector(ROWS, style)
            self.assertEqual((fresh[0], stale[0]), ("normal", "italic"))
            self.assertNotEqual(fresh[1], stale[1])
            self.assertRegex(viewer.text(f"{ROWS} .c-age"), r"^\d+ s$")

    def test_nothing_arrives(self) -> None:
        """Before the first point it tells what the doors refuse, and shows lines that work; then the race."""
        with running() as server, self.viewer(server, 360, 740) as viewer:
            viewer.page.wait_for_selector("#arriving h2")
            viewer.wait_text("#arriving", f"nc -u -w0 127.0.0.1 {server.udp_port}")
            self.assertIn(f"http://127.0.0.1:{server.port}/api/ingest", viewer.text("#arriving"))
            self.assertEqual(viewer.overflow_px(), 0)
            server.send(b'{"track":"barber"}')
            viewer.wait_text("#arriving .warn", "by udp")
            server.send(viewer.page.locator("#arriving code").nth(1).inner_text().split("'")[1].encode())
            viewer.wait_rows(1)
            self.assertFalse(viewer.page.locator("#arriving").is_visible())
            viewer.wait_text("#tower header", "3\u202f675 m")

    def test_key(self) -> None:
        """A server with keys is asked for nothing before there is one; a wrong one is told, a right one kept."""
        server = KeyedServer("--demo")
        self.addCleanup(server.close)
        server.wait_well()
        with self.viewer(server) as viewer:
            viewer.page.wait_for_selector("dialog[open]")
            self.assertEqual(viewer.console, [])
            viewer.page.fill("#key", "wrong")
            viewer.page.keyboard.press("Enter")
            viewer.wait_text("dialog[open] [role=alert]", "the key is not known")
            viewer.page.fill("#key", server.tokens["read"])
            viewer.page.keyboard.press("Enter")
            viewer.wait_rows()
            viewer.wait_text("#trust .trust-link dd", "Live")
            viewer.page.reload()
            viewer.wait_rows()
            self.assertEqual(viewer.page.locator("dialog[open]").count(), 0)
            self.assertNotIn(server.tokens["read"], viewer.page.evaluate("() => JSON.stringify(localStorage)"))
