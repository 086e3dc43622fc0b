"""What the dashboard costs a browser: Chromium without a graphics card, before a server with the demo's race."""

from __future__ import annotations

import shutil
import time
from typing import Any

from benchmarks.scenarios import Figures
from benchmarks.server import serving

#: Notes when the first row with a car and a place stood [ms since the address was opened].
_FIRST_ROW = """
new MutationObserver((_, watch) => {
    if (!document.querySelector("#tower tbody .c-pos .value")?.textContent) return;
    window.firstRowMs = performance.now();
    watch.disconnect();
}).observe(document, { childList: true, subtree: true, characterData: true });
"""
_ROW = "#tower tbody tr:nth-child({row})"


def dashboard(quick: bool) -> dict[str, Figures]:
    """Twenty cars at 22 Hz: nothing selected, two cars, and their traces, which are watched for five minutes."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("chromium is not installed")
    found = {}
    with serving(DEMO="1") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(_FIRST_ROW)
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.wait_for_function("() => window.firstRowMs !== undefined")
        look = _Look(page)
        found["opened"] = {"first rows, s": page.evaluate("() => firstRowMs") / 1000}
        # A lap of everyone's, which the page keeps.
        look.pass_by(5 if quick else 100)
        found["nothing selected"] = look.figures(10 if quick else 60)
        for row in (2, 4):
            page.locator(_ROW.format(row=row)).click()
        found["two cars"] = look.figures(10 if quick else 60)
        page.get_by_role("button", name="Traces").click()
        page.wait_for_selector("#detail .plot .scatterlayer path.js-line", state="attached")
        look.pass_by(5)
        found["their traces"] = look.figures(20 if quick else 300)
        browser.close()
    return found


class _Look:
    """Looks at a page from outside."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable")

    def pass_by(self, seconds: float) -> None:
        """Let it be for a time."""
        self._page.wait_for_timeout(seconds * 1000)

    def figures(self, seconds: float) -> Figures:
        """What it does in a time from now on."""
        heap_mb, busy_s, began = self._heap_mb(), self._busy_s(), time.monotonic()
        self.pass_by(seconds)
        share = (self._busy_s() - busy_s) / (time.monotonic() - began)
        return {"main thread busy, %": 100 * share, "heap before, MB": heap_mb, "heap after, MB": self._heap_mb()}

    def _metric(self, name: str) -> float:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == name))

    def _busy_s(self) -> float:
        return self._metric("TaskDuration")

    def _heap_mb(self) -> float:
        self._session.send("HeapProfiler.collectGarbage")
        return self._metric("JSHeapUsedSize") / 1e6
