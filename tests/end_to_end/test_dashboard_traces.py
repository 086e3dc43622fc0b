"""The traces of selected cars in a real browser, before a real server."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from tests.end_to_end.harness import Server, points_of, read_messages, running, wait_for
from tests.end_to_end.test_dashboard import BUSY_SHARE, ROWS, DashboardCase, Viewer

#: What may go over the wire for the plotting library.
MOST_BYTES = 1_500_000
#: Reports of what the page's policy has kept out.
VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(event.blockedURI), true);
"""
#: What is seen of the x axis.
RANGE = "() => document.querySelector('#detail .plot').layout.xaxis.range"
#: How often the lines are interrupted.
HOLES = "() => document.querySelector('#detail .plot').data.flatMap((line) => line.y).filter((y) => y === null).length"
BARBER_M = 3674.7


def trace(viewer: Viewer, *rows: int) -> None:
    """Select the cars of these rows and show their traces."""
    for row in rows:
        viewer.page.locator(f"{ROWS}:nth-child({row})").click()
    viewer.page.get_by_role("button", name="Traces").click()
    viewer.page.wait_for_selector("#detail .plot .scatterlayer path.js-line", state="attached")


def values(viewer: Viewer, title: str) -> str:
    """The figures in the title of a panel."""
    return viewer.text(f"#detail .title:has(.what:text-is('{title}')) .values")


def point_at(viewer: Viewer, share: float) -> None:
    """Put the mouse at a share of the width of the panels."""
    box = viewer.page.locator("#detail .plot .nsewdrag").first.bounding_box()
    assert box is not None
    viewer.page.mouse.move(box["x"] + share * box["width"], box["y"] + 5)


def drag(viewer: Viewer, share: float, other: float) -> None:
    """Drag over the panels, from one share of their width to another."""
    point_at(viewer, share)
    viewer.page.mouse.down()
    for step in (0.3, 0.6, 1):
        point_at(viewer, share + step * (other - share))
    viewer.page.mouse.up()


class DemoTests(DashboardCase):
    """The traces of the demo race."""

    def test_values(self) -> None:
        """The figure at the cursor is what the car sent there; both cars are drawn, and nothing is complained of."""
        with running("--demo") as server, server.connect() as client, self.viewer(server) as viewer:
            got: list[Any] = []
            seen = Event()
            reader = Thread(target=lambda: got.extend(read_messages(client, 60, lambda messages: seen.is_set())))
            reader.start()
            viewer.page.add_init_script(VIOLATIONS)
            viewer.page.reload()
            viewer.wait_rows()
            trace(viewer, 2, 4)
            names = [viewer.text(f"#detail .name-{letter} span:nth-child(2)") for letter in "AB"]
            drag(viewer, 0.06, 0.14)
            wait_for("a part", lambda: viewer.page.evaluate(RANGE)[0] > 0)
            point_at(viewer, 0.5)
            both = r"A ([\d.]+)\s+B ([\d.]+)"
            wait_for("both cars there", lambda: re.search(both, values(viewer, "Speed (km/h)")), 20)
            metres = float(re.sub(r"\D", "", viewer.text("#detail .where")))
            shown = re.findall(both, values(viewer, "Speed (km/h)"))[0]
            seen.set()
            reader.join()
            for speed, name in zip(shown, names, strict=True):
                sent = [point for point in points_of(got) if point["chassis"] == name]
                nearest = min(sent, key=lambda point: abs(point["lapdist_m"] - metres))
                self.assertLess(abs(nearest["lapdist_m"] - metres), 5)
                self.assertLess(abs(float(speed) - nearest["speed_kmh"]), 1.5)
            # Nor has it a hole from when the library was loaded, which stops the page for a second.
            self.assertEqual(viewer.page.evaluate(HOLES), 0)
            self.assertEqual(viewer.page.locator("#detail .key li").count(), 2)
            self.assertTrue(viewer.page.locator("#detail .gg-plot .points path").count() > 20)
            titles = viewer.page.locator("#detail .title .what").all_inner_texts()
            self.assertIn("Brake, front (bar)", titles)
            self.assertNotIn("Brake, rear (bar)", titles)
            self.assertEqual(viewer.page.evaluate("() => violations"), [])
            self.assertEqual(viewer.console, [])
            self.assertEqual(viewer.hosts, {f"127.0.0.1:{server.port}"})

    def test_zoom(self) -> None:
        """
        What was zoomed in on stays while points come, until a double click; buttons and keys do the same.

        With two of twenty cars drawn meanwhile, the browser's main thread has most of its time to itself.
        """
        with running("--demo") as server, self.viewer(server) as viewer:
            viewer.wait_rows()
            trace(viewer, 2, 4)
            whole = viewer.page.evaluate(RANGE)
            self.assertEqual(whole, [0, BARBER_M])
            drag(viewer, 0.2, 0.5)
            wait_for("a part", lambda: viewer.page.evaluate(RANGE)[0] > 0)
            part = viewer.page.evaluate(RANGE)
            self.assertApproximates(part[0], 0.2 * BARBER_M, 20)
            self.assertApproximates(part[1], 0.5 * BARBER_M, 20)
            self.assertLess(viewer.busy_share(5), BUSY_SHARE)
            for end, was in zip(viewer.page.evaluate(RANGE), part, strict=True):
                self.assertApproximates(end, was, 0.001)
            viewer.page.locator("#detail .plot .nsewdrag").first.dblclick()
            wait_for("the whole lap", lambda: viewer.page.evaluate(RANGE) == whole)
            viewer.page.get_by_role("button", name="Zoom in").click()
            wait_for("half of it", lambda: viewer.page.evaluate(RANGE)[1] < BARBER_M)
            viewer.page.locator("#detail .plot").focus()
            viewer.page.keyboard.press("ArrowRight")
            self.assertRegex(viewer.text("#detail .where"), r"^\d+ m$")
            viewer.page.locator("#detail .tools label:nth-of-type(3) select").select_option("time")
            viewer.page.wait_for_selector("#detail .plot .xtitle:text('Time since the line (s)')")
            self.assertEqual(viewer.console, [])

    def test_library(self) -> None:
        """It is fetched when traces are first wanted, once, packed, and not again when the page is loaded anew."""
        with running("--demo") as server, self.viewer(server) as viewer:
            asked: list[Any] = []

            def finished(request: Any) -> None:
                if "/dashboard/plotly-" in urlsplit(request.url).path:
                    asked.append(request)

            viewer.page.on("requestfinished", finished)
            viewer.wait_rows()
            viewer.page.locator(f"{ROWS}:nth-child(2)").click()
            viewer.wait_text('#detail [aria-label="Channels now"]', "Brake, front")
            self.assertEqual(asked, [])
            trace(viewer)
            viewer.page.keyboard.press("Escape")
            viewer.page.locator(f"{ROWS}:nth-child(3)").click()
            viewer.page.wait_for_selector("#detail .plot .scatterlayer path.js-line", state="attached")
            self.assertEqual(len(asked), 1)
            sizes = asked[0].sizes()
            self.assertLess(sizes["responseHeadersSize"] + sizes["responseBodySize"], MOST_BYTES)
            self.assertGreater(sizes["responseBodySize"], 100_000)
            viewer.page.reload()
            viewer.wait_rows()
            viewer.page.locator(f"{ROWS}:nth-child(3)").click()
            viewer.page.wait_for_selector("#detail .plot .scatterlayer path.js-line", state="attached")
            sent = "() => performance.getEntriesByType('resource').filter((one) => /plotly-/.test(one.name))"
            (again,) = viewer.page.evaluate(f"{sent.replace('() =>', '() => (')}).map((one) => one.transferSize)")
            self.assertEqual(again, 0)
            self.assertEqual(viewer.console, [])


class ScriptedTests(DashboardCase):
    """A drive of which all is known."""

    def drive(self, server: Server, speeds: list[tuple[float, float]]) -> float:
        """Drive at each speed [m/s] so many laps; returns how far behind the last line the speed changed last [m]."""
        at = datetime.now(UTC) - timedelta(seconds=150)
        metres, until = 0.95 * BARBER_M, BARBER_M
        for speed, laps in speeds:
            changed, until = metres % BARBER_M, until + laps * BARBER_M
            while metres < until:
                point = {"track": "barber", "chassis": "GR86-004-78", "lap": 1 + int(metres // BARBER_M)}
                point |= {"lapdist_m": round(metres % BARBER_M, 3), "speed_kmh": 3.6 * speed}
                point["meta_time"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
                server.post([point])
                # The page asks for ten messages a second, and would get the newest point alone.
                time.sleep(0.11)
                at += timedelta(seconds=0.7)
                metres += speed * 0.7
        return changed

    def test_delta(self) -> None:
        """The delta against the best lap is the difference between two laps of which both speeds are known."""
        with running() as server, self.viewer(server) as viewer:
            changed = self.drive(server, [(110.0, 2), (100.0, 0.6)])
            viewer.wait_rows(1)
            trace(viewer, 1)
            viewer.wait_text("#detail .summary", "has lost")
            self.assertRegex(viewer.text("#detail .key"), r"\(best, 33\.4\d\d\)")
            point_at(viewer, 0.5)
            metres = float(re.sub(r"\D", "", viewer.text("#detail .where")))
            said = values(viewer, "Delta (s)")
            self.assertIn("slower than", said)
            (seconds,) = re.findall(r"A \+([\d.]+)", said)
            self.assertLess(abs(float(seconds) - (metres - changed) * (1 / 100 - 1 / 110)), 0.02)
            self.assertEqual(viewer.console, [])
