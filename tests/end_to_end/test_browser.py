"""A real browser watches a race."""

from __future__ import annotations

import shutil
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.harness import running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

#: What a front end does: count points, note what is missing, keep the last insight.
WATCH = """
(path) => {
    const seen = {points: 0, gaps: 0, insights: 0, last: null, closed: null, types: []};
    window.seen = seen;
    const socket = new WebSocket(`ws://${location.host}${path}`);
    socket.onclose = (event) => { seen.closed = event.code; };
    socket.onmessage = (event) => {
        const message = JSON.parse(event.data);
        if (!seen.types.includes(message.type)) seen.types.push(message.type);
        if (message.type === "telemetry_update") {
            if (seen.last !== null && message.prev !== seen.last) seen.gaps += 1;
            seen.last = message.seq;
            seen.points += message.data.length;
        } else {
            seen.insights += 1;
        }
    };
}
"""


class BrowserTests(SynchronousTestCase):
    """Debian's Chromium, driven by Playwright."""

    if CHROMIUM is None:
        skip = "needs chromium"

    def watch(self, seconds: float, **settings: str) -> dict[str, Any]:
        """What a page sees of the demo race."""
        from playwright.sync_api import sync_playwright

        with running("--demo", **settings) as server, sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            try:
                page = browser.new_page()
                page.goto(f"http://127.0.0.1:{server.port}/")
                page.evaluate(WATCH, "/ws/realtime")
                time.sleep(seconds)
                seen: dict[str, Any] = page.evaluate("() => window.seen")
            finally:
                browser.close()
            return seen

    def test_counts_points(self) -> None:
        """It opens the WebSocket and counts the points of twenty cars at 22 Hz, none of them missing."""
        seen = self.watch(5)
        self.assertGreater(seen["points"], 0.7 * 5 * 20 * 22)
        self.assertEqual((seen["gaps"], seen["closed"]), (0, None))
        self.assertGreater(seen["insights"], 2)
        self.assertEqual(sorted(seen["types"]), ["insight_update", "telemetry_update"])

    def test_compressed(self) -> None:
        """The same with WS_DEFLATE, which browsers offer."""
        seen = self.watch(3, WS_DEFLATE="on")
        self.assertGreater(seen["points"], 0.7 * 3 * 20 * 22)
        self.assertEqual((seen["gaps"], seen["closed"]), (0, None))
