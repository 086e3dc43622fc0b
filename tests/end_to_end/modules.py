"""The pages' modules in a real browser, without a server."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: Where ``/dashboard/`` is.
FILES = Path(__file__).parents[2] / "pitwall/serve"
#: Calls a function of a module for each list of arguments.
CALL = """
async ([module, name, calls]) => {
    const found = await import(`/dashboard/${module}.js`);
    return calls.map((parts) => found[name](...parts));
}
"""


class ModuleCase(SynchronousTestCase):
    """An empty page that loads modules from their files, without a server."""

    if CHROMIUM is None:
        skip = "needs chromium"

    def setUp(self) -> None:
        """Open it."""
        from playwright.sync_api import sync_playwright

        playwright = sync_playwright().start()
        self.addCleanup(playwright.stop)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        self.addCleanup(browser.close)
        self.page: Any = browser.new_page()
        self.page.route("**/*", lambda route: route.fulfill(body="", content_type="text/html"))
        self.page.route("**/*.js", lambda route: route.fulfill(path=FILES / urlsplit(route.request.url).path[1:]))
        self.page.goto("http://pitwall.invalid/")

    def call(self, module: str, name: str, *calls: list[Any]) -> list[Any]:
        """What a function of a module of the dashboard returns for each list of arguments."""
        found: list[Any] = self.page.evaluate(CALL, [module, name, list(calls)])
        return found
