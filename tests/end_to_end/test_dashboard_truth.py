"""Whether what the dashboard shows holds at that moment, in a real browser before a real server."""

from __future__ import annotations

import time

from tests.end_to_end.harness import running, wait_for
from tests.end_to_end.test_dashboard import ROWS, DashboardCase

#: While the page is away, its WebSockets go nowhere.
AWAY = """
window.away = false;
window.sockets = [];
window.WebSocket = class extends WebSocket {
    constructor(url, ...more) {
        super(window.away ? new URL("/nowhere", url).href : url, ...more);
        window.sockets.push(this);
    }
};
"""
#: Longer than after which a car is silent [s].
AWAY_S = 6.5


class AwayTests(DashboardCase):
    """After a time without the stream."""

    def test_silent_meanwhile(self) -> None:
        """A car that fell silent while the page was away is silent when it is back, though points come then."""
        point = {"track": "barber", "chassis": "GR86-004-78", "lap": 3, "lapdist_m": 812.5, "speed_kmh": 141.0}
        with running() as server, self.viewer(server) as viewer:
            viewer.page.add_init_script(AWAY)
            viewer.page.reload()
            server.post([point])
            viewer.wait_rows(1)
            viewer.page.evaluate("() => { away = true; sockets.at(-1).close(4000); }")
            viewer.wait_text("#trust .trust-link dd", "Lost")
            server.post([{**point, "speed_kmh": 152.0}])
            time.sleep(AWAY_S)
            viewer.page.evaluate("() => { away = false; }")
            viewer.wait_text("#trust .trust-link dd", "Live", 40)
            wait_for("a silent car", lambda: "Silent" in (viewer.page.text_content(f"{ROWS} .c-state") or ""), 3)
