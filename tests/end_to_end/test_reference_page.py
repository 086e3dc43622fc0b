"""The page of references in a real browser, before a real server."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.end_to_end.harness import Server, running, wait_for
from tests.end_to_end.test_dashboard import MARKUP, DashboardCase, Viewer
from tests.end_to_end.test_keys import KeyedServer

LIVE = "#live-view"
MESSAGES = f"{LIVE} .messages li"
#: A piece of each kind; Axe takes its time with all the page.
PARTS = (
    ".bar",
    "#toc",
    LIVE,
    "#lines",
    "#address",
    "#close-codes",
    "#message-InsightUpdate",
    "#op-health",
    "#op-ingest",
)
#: How many messages of a type are listed, and what their lines say.
LISTED = """
() => Object.entries(Object.groupBy(
    [...document.querySelectorAll("#live-view .messages li")].map((row) => row.dataset.type),
    (type) => type,
)).map(([type, rows]) => [type, rows.length])
"""
#: Adds five hundred messages to a list; how many it keeps, the first and the last of them.
MANY = """
async () => {
    const { MessageList } = await import("/docs/messagelist.js");
    const list = new MessageList(() => {});
    for (let number = 0; number < 500; number += 1) {
        list.add({ type: "x", text: `message ${number}`, content: 1, bytes: 1, at: 0, sent: false });
        if (number % 90 === 0) list.draw();
    }
    list.draw();
    const told = [...list.element.querySelectorAll(".told")].map((each) => each.textContent);
    return [told.length, told[0], told.at(-1)];
}
"""
#: What schemas are told as; some JSON as it is shown, and coloured; and a text that a shell is to take as it is.
VALUES = r"""
async () => {
    const [{ Spec }, { pretty, coloured }, { quoted }] = await Promise.all(
        ["spec", "json", "lines"].map((name) => import(`/docs/${name}.js`)),
    );
    const car = { title: "Car", type: "object", properties: { name: { type: "string" } } };
    const spec = new Spec({ components: { schemas: { Car: car } } });
    const number = { anyOf: [{ type: "number", "x-unit": "s" }, { type: "null" }] };
    const schemas = [
        { type: "array", minItems: 2, maxItems: 2, items: number },
        { type: "object", additionalProperties: { $ref: "#/components/schemas/Car" } },
        { enum: ["a", "b"], default: "a" },
        { type: "integer", minimum: 0, maximum: 9, "x-unit": "m" },
        { allOf: [{ $ref: "#/components/schemas/Car" }], description: "the car" },
        { enum: ["gap"] },
        { type: "string", minLength: 1, maxLength: 64, pattern: "^[^\\x00-\\x1f\\x7f-\\x9f]*$" },
    ];
    const told = schemas.map((each) => [spec.kind(each), spec.limits(each).join("|"), spec.unit(each)]);
    const value = { list: [...Array(60).keys()], text: 'a "b"\n<c>', more: [{ x: null }, { y: [1.5e-7, true] }] };
    const shown = pretty(value);
    const box = document.createElement("pre");
    box.append(coloured(shown));
    const kinds = new Set([...box.children].map((each) => each.className)).size;
    return [told, shown, [box.textContent, kinds], quoted("it's $HOME `x` \"y\"")];
}
"""


class ReferenceCase(DashboardCase):
    """The page, open in a browser."""

    @contextmanager
    def reference(self, server: Server, path: str = "/docs", shown: bool = True, **options: Any) -> Iterator[Viewer]:
        """It, of a server, with all it shows there."""
        with self.viewer(server, path=path, **options) as viewer:
            if shown:
                viewer.page.wait_for_selector("#op-health")
            yield viewer

    def connect(self, viewer: Viewer, **fields: str) -> None:
        """Have messages come, with what is filled in."""
        for name, value in fields.items():
            viewer.page.fill(f"#live-{name.replace('_', '-')}", value)
        viewer.page.locator(f"{LIVE} .primary").click()
        viewer.wait_text(f"{LIVE} .state", "Connected")

    def listed(self, viewer: Viewer) -> dict[str, int]:
        """How many messages of each type are listed."""
        return dict(viewer.page.evaluate(LISTED))


class PageTests(ReferenceCase):
    """What is to be read, and tried."""

    def test_read(self) -> None:
        """All that the specifications tell of is there, can be found and linked to, and nothing is asked elsewhere."""
        with running("--demo") as server, self.reference(server, "/docs#op-laps") as viewer:
            page = viewer.page
            openapi, asyncapi = server.get("/api/openapi.json")[1], server.get("/api/asyncapi.json")[1]
            for path, told in openapi["paths"].items():
                for method, operation in told.items():
                    piece = page.locator(f"#op-{operation['operationId']}")
                    self.assertEqual(piece.get_attribute("aria-label"), f"{method.upper()} {path}")
                    text = piece.inner_text()
                    for said in (operation["summary"].replace("`", ""), *operation["responses"]):
                        self.assertIn(said, text)
                    for parameter in operation.get("parameters", ()):
                        self.assertIn(parameter["description"], text)
            for name, message in asyncapi["components"]["messages"].items():
                text = page.locator(f"#message-{name}").inner_text()
                for said in (message["name"], message["description"]):
                    self.assertIn(said, text)
                schema = asyncapi["components"]["schemas"][name]
                self.assertLessEqual(set(schema["properties"]), set(text.split()), name)
            (channel,) = asyncapi["channels"].values()
            for code in channel["x-close-codes"]:
                self.assertIn(code, viewer.text("#close-codes"))
            self.assertIn("km/h", viewer.text("#point"))
            self.assertLess(abs(page.locator("#op-laps").bounding_box()["y"]), 120)
            page.keyboard.press("/")
            page.keyboard.type("gapToAheadSeconds")
            self.assertTrue(page.locator("#message-InsightUpdate").is_visible())
            self.assertFalse(page.locator("#message-Resume").is_visible())
            self.assertRegex(viewer.text("#found"), r"^\d of \d\d$")
            page.keyboard.press("Escape")
            self.assertTrue(page.locator("#message-Resume").is_visible())
            self.assertEqual(viewer.console, [])
            self.assertEqual(viewer.hosts, {f"127.0.0.1:{server.port}"})

    def test_try(self) -> None:
        """A resource is asked with what is filled in, its answer shown, and the line of curl is the same request."""
        with running() as server, self.reference(server) as viewer:
            page = viewer.page
            page.locator("#op-health .primary").click()
            viewer.wait_text("#op-health .answer", "200 OK")
            self.assertIn('"messagesReceived"', viewer.text("#op-health .try .code:last-child"))
            page.locator("#op-ingest .primary").click()
            viewer.wait_text("#op-ingest .answer", "200 OK")
            self.assertIn('"accepted": 1', viewer.text("#op-ingest .try .code:last-child"))
            page.fill("#recent-count", "1")
            page.locator("#op-recent .primary").click()
            viewer.wait_text("#op-recent .try .code:last-child", "GR86-004-78")
            page.fill("#laps-limit", "7")
            page.fill("#laps-chassis", "a b'c")
            said = f"curl 'http://127.0.0.1:{server.port}/api/laps?chassis=a+b%27c&limit=7'"
            self.assertEqual(viewer.text("#op-laps .try .code:first-child code"), said)
            page.fill("#laps-limit", "")
            page.select_option("#laps-format", "csv")
            page.locator("#op-laps .primary").click()
            viewer.wait_text("#op-laps .try .code:last-child", "chassis,track,lap")
            page.fill("#ingest-body", '{"track":"barber"}')
            page.locator("#op-ingest .primary").click()
            viewer.wait_text("#op-ingest .answer", "400")
            self.assertEqual([text for text in viewer.console if "400" not in text], [])

    def test_accessible(self) -> None:
        """Axe finds nothing serious in the dark and the light, and no width makes the page scroll sideways."""
        from axe_playwright_python.sync_playwright import Axe

        with running("--demo") as server, self.reference(server, color_scheme="dark") as viewer:
            page = viewer.page
            self.connect(viewer)
            page.locator("#op-health .primary").click()
            viewer.wait_text("#op-health .answer", "200 OK")
            page.locator("#message-InsightUpdate .inner > summary").first.click()
            page.wait_for_selector(MESSAGES)
            page.locator(f"{MESSAGES} summary").first.click()
            for width, height in ((360, 740), (820, 1180), (3840, 2160), (1440, 900)):
                page.set_viewport_size({"width": width, "height": height})
                self.assertLessEqual(viewer.overflow_px(), 0, width)
            for scheme in ("dark", "light"):
                page.emulate_media(color_scheme=scheme)
                found = Axe().run(page, {"include": [[part] for part in PARTS]}).response["violations"]
                bad = [each for each in found if each["impact"] in ("serious", "critical")]
                seen = [(each["id"], [node["html"][:120] for node in each["nodes"]][:3]) for each in bad]
                self.assertEqual(seen, [], scheme)


class ModuleTests(ReferenceCase):
    """What the page's modules make of values."""

    def test_values(self) -> None:
        """Schemas are told in words, JSON that is shown is the same JSON, and a word of a shell is one."""
        with running() as server, self.reference(server) as viewer:
            told, shown, words, line = viewer.page.evaluate(VALUES)
            self.assertEqual(
                told,
                [
                    ["list of (number or null)", "2 items", "s"],
                    ["map of Car", "", ""],
                    ["string", "one of a, b|default a", ""],
                    ["integer", "0 to 9", "m"],
                    ["Car", "", ""],
                    ['"gap"', "", ""],
                    ["string", "1 to 64 characters|no control characters", ""],
                ],
            )
            value = json.loads(shown)
            self.assertEqual(value["list"], list(range(60)))
            self.assertEqual(value["text"], 'a "b"\n<c>')
            self.assertGreater(shown.count("\n"), 4)
            self.assertLess(max(map(len, shown.splitlines())), 80)
            self.assertEqual(words, [shown, 3])
            said = subprocess.run(["sh", "-c", f"printf %s {line}"], capture_output=True, text=True, check=True)
            self.assertEqual(said.stdout, 'it\'s $HOME `x` "y"')


class LiveTests(ReferenceCase):
    """The live view."""

    def test_messages(self) -> None:
        """Messages come by what was subscribed to, and can be held, opened, left out and asked for; the end is told."""
        with running("--demo") as server, self.reference(server) as viewer:
            page = viewer.page
            cars = wait_for("cars", lambda: server.get("/api/cars")[1]["cars"])
            chassis = cars[0]["chassis"]
            self.connect(viewer, chassis=chassis, channels="speed_kmh", max_hz="10")
            wait_for("messages", lambda: self.listed(viewer).get("telemetry_update", 0) > 5)
            wait_for("insights", lambda: self.listed(viewer).get("insight_update", 0) > 0)
            told = page.locator(f'{MESSAGES}[data-type="telemetry_update"] .told').all_inner_texts()
            self.assertEqual([text for text in told if f"of {chassis}" not in text], [])
            self.assertRegex(viewer.text(f"{LIVE} .rates"), r"telemetry_update\s+\d+\s+\d+\.\d\s+\d+\.\d\s+\d+")
            page.locator(f'{MESSAGES}[data-type="telemetry_update"] summary').first.click()
            viewer.wait_text(f"{MESSAGES} .code", '"speed_kmh"')
            self.assertNotIn('"rpm"', viewer.text(f"{MESSAGES} .code"))
            held = self.listed(viewer)
            viewer.wait_text(f"{LIVE} .buttons", "more)")
            self.assertEqual(self.listed(viewer), held)
            page.get_by_role("button", name="Go on").click()
            page.locator(f'{LIVE} .rates tr[data-type="insight_update"] input').uncheck()
            self.assertNotIn("insight_update", self.listed(viewer))
            page.get_by_text("Send a message of your own").click()
            page.fill("#live-message", '{"type":"subscribe","max_hz":0}')
            page.get_by_role("button", name="Send", exact=True).click()
            viewer.wait_text(f"{LIVE} .messages", "max_hz is 0")
            page.fill("#live-chassis", "nobody")
            page.get_by_role("button", name="Subscribe").click()
            wait_for("an answer", lambda: self.listed(viewer).get("subscribed", 0) == 2)
            page.get_by_role("button", name="Clear").click()
            time.sleep(0.6)
            self.assertNotIn("telemetry_update", self.listed(viewer))
            server.stop()
            viewer.wait_text(f"{LIVE} .state", "code 1001: the server is ending")
            self.assertEqual(viewer.console, [])

    def test_markup(self) -> None:
        """Names that are markup are shown letter by letter; and however many messages come, the last 200 are kept."""
        with running() as server, self.reference(server) as viewer:
            self.connect(viewer, max_hz="")
            server.post([MARKUP])
            viewer.wait_text(f"{LIVE} .messages", f"of {MARKUP['chassis']}")
            viewer.page.locator(f'{MESSAGES}[data-type="telemetry_update"] summary').first.click()
            viewer.wait_text(f"{MESSAGES} .code", MARKUP["track"])
            viewer.page.locator("#op-recent .primary").click()
            viewer.wait_text("#op-recent .try .code:last-child", MARKUP["chassis"])
            self.assertEqual(viewer.page.evaluate(MANY), [200, "message 499", "message 300"])
            self.assertEqual(viewer.page.locator("main img").count(), 0)
            self.assertEqual(viewer.page.evaluate("() => typeof hacked"), "undefined")
            self.assertEqual(viewer.console, [])

    def test_key(self) -> None:
        """A server with keys is asked for nothing before there is one; then it is shown with all that is asked."""
        server = KeyedServer("--demo")
        self.addCleanup(server.close)
        server.wait_well()
        with self.reference(server, shown=False) as viewer:
            page = viewer.page
            page.wait_for_selector("dialog[open]")
            self.assertEqual(page.locator("#op-health").count(), 0)
            page.fill("#key", server.tokens["read"])
            page.keyboard.press("Enter")
            page.wait_for_selector("#op-health")
            self.assertIn("scope read", viewer.text("#op-cars .key"))
            self.assertIn("For everyone", viewer.text("#op-live .key"))
            self.assertIn('-H "Authorization: Bearer $KEY"', viewer.text("#op-cars .try .code:first-child"))
            page.locator("#op-cars .primary").click()
            viewer.wait_text("#op-cars .answer", "200 OK")
            page.locator("#op-ingest .primary").click()
            viewer.wait_text("#op-ingest .answer", "403")
            self.connect(viewer)
            wait_for("messages", lambda: self.listed(viewer).get("telemetry_update", 0) > 1)
            self.assertNotIn(server.tokens["read"], page.content())
