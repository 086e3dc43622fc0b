"""What a viewer chooses on the dashboard: which cars, which alerts; and what it tells of the cars' clocks."""

from __future__ import annotations

from typing import Any

from tests.end_to_end.harness import running, wait_for
from tests.end_to_end.modules import CALL
from tests.end_to_end.test_dashboard import ELSEWHERE, ROWS, DashboardCase, Viewer

#: Counts the tones and keeps the notifications, where a test can see them.
EARS = """
window.heard = { tones: 0, shown: [], asked: 0 };
const { createOscillator } = AudioContext.prototype;
AudioContext.prototype.createOscillator = function () {
    heard.tones += 1;
    return createOscillator.call(this);
};
window.Notification = class extends EventTarget {
    static permission = "default";
    static async requestPermission() {
        heard.asked += 1;
        return (Notification.permission = "granted");
    }
    constructor(title, options) {
        super();
        heard.shown.push([title, options.body]);
    }
};
"""
#: Tells alerts what stands and what is said, as the server would, and gives what was told by each way.
ALERTED = """
async () => {
    const { Alerts } = await import("/dashboard/alerts.js");
    const settings = { sound: true, soundLeast: "high", notify: true, notifyLeast: "critical" };
    const told = [];
    const way = (name) => (insight, more) => told.push([name, insight.id, more]);
    const wanted = ({ chassis }) => chassis !== "hidden";
    const alerts = new Alerts(settings, { wanted, ways: { sound: way("sound"), notify: way("notify") } });
    const say = (id, subject, severity, state = "raised", chassis = "A") =>
        ({ id, track: "barber", chassis, formula: "f", data: { subject }, severity, state });
    const soon = () => new Promise((done) => setTimeout(done, 30));
    alerts.know([say("i1", "stands", "critical")]);
    alerts.tell([say("i1", "stands", "critical"), say("i2", "stands", "critical", "changed")]);
    alerts.tell([say("i3", "low", "medium"), say("i4", "elsewhere", "critical", "raised", "hidden")]);
    await soon();
    const quiet = [...told];
    alerts.tell([say("i5", "a", "high"), say("i6", "b", "critical")]);
    alerts.tell([say("i7", "c", "high"), say("i8", "c", "high", "cleared")]);
    await soon();
    const first = told.splice(0);
    alerts.tell([say("i6", "b", "critical"), say("i9", "d", "high")]);
    await soon();
    const early = told.splice(0);
    const due = alerts.toldAt.sound + 5000 - performance.now();
    alerts.toldAt.sound -= 10000;
    clearTimeout(alerts.timers.sound);
    alerts.timers.sound = undefined;
    alerts.tell([say("i10", "low", "high", "changed")]);
    await soon();
    return { quiet, first, early, due, later: told };
}
"""
#: What a finger should hit on a touch screen is at least so wide and high.
FINGER_PX = 36
#: What can be pressed and is smaller, in words.
SMALL = """
(least) => [...document.querySelectorAll("button, select, summary")]
    .filter((one) => one.checkVisibility())
    .map((one) => [one.textContent.slice(0, 20), one.getBoundingClientRect()])
    .filter(([, box]) => Math.min(box.width, box.height) < least - 0.5)
    .map(([text, { width, height }]) => `${text}: ${width} by ${height}`)
"""
#: How far the middle of what opens in the bar is from that of its neighbour [px].
APART = """
() => {
    const middle = (selector) => {
        const box = document.querySelector(selector).getBoundingClientRect();
        return (box.top + box.bottom) / 2;
    };
    return Math.abs(middle("#trust .trust-clocks summary") - middle("#trust .trust-oldest dd"));
}
"""
#: Drives a car around a circle of a kilometre and at last within it, from one share of the lap to another.
LANE = """
async ([from, to, speed]) => {
    const { Outline, metres } = await import("/dashboard/outline.js");
    const { PitLane } = await import("/dashboard/pitlane.js");
    const outline = new Outline();
    const turn = 2 * Math.PI;
    const fix = (share, size = 1) =>
        [33.5 + size * 0.0014 * Math.cos(turn * share), -86.6 + size * 0.0017 * Math.sin(turn * share)];
    for (let step = 0; step < 4000; step += 1) outline.learn(...fix(step / 2000), (step / 2000) % 1);
    const lane = new PitLane();
    const drive = (from, to, size, speed) => {
        for (let share = from; share < to; share += 0.002)
            lane.learn("a", metres(outline.origin, ...fix(share, size)), speed, outline);
    };
    drive(0, from, 1, 140);
    drive(from, to, 0.9, speed);
    drive(to, to + 0.3, 1, 140);
    const kept = new PitLane();
    kept.take(JSON.parse(JSON.stringify(lane.keep())));
    const far = (place) => Math.hypot(...place.map((value, axis) => value - metres(outline.origin, 33.5, -86.6)[axis]));
    // A few positions that are old do not move the track.
    for (let step = 0; step < 6; step += 1) outline.learn(...fix(0.25), 0.3);
    return { lines: lane.lines.map((line) => line.length), kept: kept.lines.length, off: lane.lines.flat().map(far),
        pulled: outline.off(...fix(0.3)) };
}
"""


class ViewerCase(DashboardCase):
    """What the tests of this module have in common."""

    def call(self, viewer: Viewer, module: str, name: str, *calls: list[Any]) -> list[Any]:
        """What a function of a module returns for each list of arguments."""
        found: list[Any] = viewer.page.evaluate(CALL, [module, name, list(calls)])
        return found


class ChoiceTests(ViewerCase):
    """Cars that are hidden, and alerts."""

    def test_chosen(self) -> None:
        """A hidden car is counted, a hidden leader named, and both are kept; nothing is heard before it is chosen."""
        with running("--demo") as server, self.viewer(server) as viewer:
            page = viewer.page
            page.add_init_script(EARS)
            page.reload()
            viewer.wait_rows()
            leader = viewer.text(f"{ROWS}:first-child .c-car .value")
            page.keyboard.press("c")
            page.locator("dialog[open] label", has_text=leader).locator("input").click()
            viewer.wait_rows(19)
            self.assertIn(f"{leader} leads", viewer.text("#tower .urgent"))
            self.assertIn("1 hidden", viewer.text("#tower header"))
            page.keyboard.press("Escape")
            page.wait_for_selector("dialog[open]", state="hidden")
            self.assertEqual(viewer.text("#controls .alerts"), "Alerts off")
            page.keyboard.press("a")
            self.assertEqual(page.evaluate("() => heard"), {"tones": 0, "shown": [], "asked": 0})
            page.locator("#alert-sound").click()
            page.locator("#alert-notify").click()
            wait_for("what confirms them", lambda: page.evaluate("() => heard.tones > 0 && heard.shown.length > 0"))
            self.assertEqual(page.evaluate("() => heard.asked"), 1)
            page.reload()
            viewer.wait_rows(19)
            self.assertIn(viewer.text("#controls .alerts"), ("Alerts on", "Alerts: click to hear"))
            page.keyboard.press("c")
            page.locator("dialog[open] button", has_text="Show all").click()
            viewer.wait_rows(20)
            page.keyboard.press("Escape")
            page.wait_for_selector("dialog[open]", state="hidden")
            page.keyboard.press("?")
            self.assertIn("Choose the cars", viewer.text("dialog[open]"))
            self.assertEqual(viewer.console, [])

    def test_touched(self) -> None:
        """On a touch screen a finger hits what can be pressed, on both pages; the legend's marks are by the words."""
        with running("--demo") as server, self.viewer(server, 390, 844, has_touch=True, is_mobile=True) as viewer:
            viewer.wait_rows()
            viewer.page.locator(f"{ROWS}:nth-child(3)").click()
            viewer.page.get_by_role("button", name="Traces").click()
            self.assertEqual(viewer.page.evaluate(SMALL, FINGER_PX), [])
            self.assertEqual(viewer.overflow_px(), 0)
            shown = "() => getComputedStyle(document.querySelector('#tower .legend .key')).display"
            self.assertEqual(viewer.page.evaluate(shown), "block")
            self.assertLess(viewer.page.evaluate(APART), 2)
            viewer.page.goto(f"http://127.0.0.1:{server.port}/docs")
            viewer.page.wait_for_selector("#op-cars .try")
            self.assertEqual(viewer.page.evaluate(SMALL, FINGER_PX), [])
            self.assertEqual(viewer.overflow_px(), 0)

    def test_not_secure(self) -> None:
        """Where the browser shows no notifications, for the page came by http, that is said in words."""
        with running() as server, self.viewer(server) as viewer:
            server.post([{"track": "barber", "chassis": "GR86-004-78", "speed_kmh": 141.0}])
            viewer.page.goto(f"http://{ELSEWHERE}:{server.port}/")
            viewer.wait_rows(1)
            viewer.page.keyboard.press("a")
            self.assertIn("This one was opened by http", viewer.text("dialog[open]"))
            self.assertTrue(viewer.page.locator("#alert-notify").is_disabled())
            found = viewer.page.evaluate(ALERTED)
            self.assertEqual(found["quiet"], [])
            self.assertEqual(sorted(found["first"]), [["notify", "i6", 0], ["sound", "i6", 1]])
            self.assertEqual(found["early"], [])
            self.assertGreater(found["due"], 4000)
            self.assertEqual(found["later"], [["sound", "i9", 1]])

    def test_parts(self) -> None:
        """Mini-sectors are judged, a way over the line is the pit lane, what is wrong with clocks is put in words."""
        with running() as server, self.viewer(server) as viewer:
            judged = self.call(
                *(viewer, "minis", "judged"),
                [[3.9, 3.8, 4.0, None, 4.1], [3.9, 3.9, 3.9, 3.9, None], [3.8, 3.8, 3.8, 3.8, None]],
            )
            self.assertEqual(judged, [["own", "field", "slower", "", ""]])
            self.assertEqual(
                self.call(viewer, "minis", "compared", [[3.9, 3.8, 4.0, None], [4.0, 3.7, 4.0, 3.9]]),
                [["A", "B", "", ""]],
            )
            lane = viewer.page.evaluate(LANE, [0.9, 1.05, 50])
            self.assertEqual((len(lane["lines"]), lane["kept"]), (1, 1))
            self.assertGreater(lane["lines"][0], 30)
            self.assertTrue(all(130 < each < 150 for each in lane["off"]), lane["off"])
            self.assertLess(lane["pulled"], 8)
            for otherwise in ([0.98, 1.02, 50], [0.6, 0.75, 50], [0.9, 1.05, 130]):
                self.assertEqual(viewer.page.evaluate(LANE, otherwise)["lines"], [], otherwise)
            about = {"last_heard": "2026-01-02T12:00:00Z", "clock": {"state": "running"}}
            cars = [
                {"chassis": name, "about": {**about, "time": {"late_s": late, "apart_s": apart, "trouble": trouble}}}
                for name, late, apart, trouble in (("A", 0.1, 0, []), ("B", 12.0, 11.9, ["stopped", "apart"]))
            ]
            (found,) = self.call(viewer, "clocks", "clocks", [cars])
            self.assertEqual((found["text"], found["level"]), ("▲ 1 of 2 wrong", "warn"))
            self.assertEqual(found["lines"], ["B: its clock stands still, 12 s behind the other cars"])
            old = {**about, "time": {"late_s": 86400.0 * 100, "apart_s": 0, "trouble": ["past"]}}
            (found,) = self.call(viewer, "clocks", "clocks", [[{"chassis": "A", "about": old}]])
            self.assertEqual(found["text"], "▲ of 2025-09-24")
            hidden = {"chassis": "B", "gap": {"position": 1}}
            insight = {"chassis": "B", "severity": "critical", "state": "raised"}
            said = self.call(viewer, "hidden", "hiddenSaid", [[hidden], [insight]], [[], [insight]])
            self.assertEqual(said[0]["urgent"], "▲ Hidden: B leads and has a critical insight.")
            self.assertEqual(said[1], {"text": "", "urgent": ""})
            kept = self.call(viewer, "settings", "parse", [None], ['{"sound":true,"hidden":["a",7],"notifyLeast":"x"}'])
            self.assertEqual([(each["sound"], each["hidden"]) for each in kept], [(False, []), (True, ["a"])])
            self.assertEqual(kept[1]["notifyLeast"], "critical")
