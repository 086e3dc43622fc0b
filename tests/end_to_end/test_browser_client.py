"""The module for browsers, over a network that fails."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.client.stream import Position, Stream
from tests.end_to_end.harness import running, wait_for
from tests.end_to_end.stream_server import StreamServer
from tests.end_to_end.test_clients import BREAKS, LONGEST_S, publish_while_breaking
from tests.end_to_end.test_keys import KeyedServer

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "pitwall/serve/static"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ALL_TYPES = "telemetry_update,insight_update,quality"

#: Collects what the browser client tells; window.seen is for the test to look at.
COLLECT = """
async ([url, options]) => {
    const { PitWallClient } = await import("/client/pitwall-client.js");
    const seen = { numbers: [], gaps: [], types: [], states: [], recovered: [], insights: 0 };
    const client = new PitWallClient({ url, ...options });
    client.on("telemetry_update", (message) => {
        message.data.forEach((point) => seen.numbers.push(point.n));
        seen.recovered.push(message.recovered);
    });
    client.on("gap", (gap) => seen.gaps.push([gap.first, gap.last, gap.reason]));
    client.on("insight_update", () => { seen.insights += 1; });
    client.on("state", (change) => seen.states.push(change.state));
    client.on("message", (message) => { if (!seen.types.includes(message.type)) seen.types.push(message.type); });
    Object.assign(window, { seen, client });
}
"""


#: Has a client that gets tickets by the key in window.key, as docs/clients.md does.
WITH_TICKETS = """
async (first) => {
    window.key = first;
    const { PitWallClient } = await import("/client/pitwall-client.js");
    const seen = { points: 0, refused: 0, codes: [] };
    const ticket = async () => {
        const headers = { Authorization: `Bearer ${window.key}` };
        const answer = await fetch("/api/ticket", { method: "POST", headers });
        if (!answer.ok) { seen.refused += 1; throw new Error(`no ticket: ${answer.status}`); }
        return (await answer.json()).ticket;
    };
    const client = new PitWallClient({ ticket, backoff: { first: 50, longest: 200 } });
    client.on("telemetry_update", (message) => { seen.points += message.data.length; });
    client.on("state", (change) => { if (change.code) seen.codes.push(change.code); });
    Object.assign(window, { seen, client });
}
"""


#: Has the stream of the module follow messages, and says all there is to say after each.
FOLLOW = """
async (cases) => {
    const { Stream } = await import("/client/pitwall-client.js");
    return cases.map((messages) => {
        const stream = new Stream({ since: { epoch: "a", seq: 5, insight_seq: 1 }, snapshot: true });
        const steps = [stream.query()];
        for (const content of messages) {
            const taken = stream.take(content).map((message) => {
                const { recovered, ...told } = message;
                return [content.type === "resumed" ? { ...told, recovered } : told, recovered];
            });
            const counters = Object.values(stream.counters);
            steps.push([taken, stream.position, counters, stream.again]);
        }
        return steps;
    });
}
"""


def any_message(chance: random.Random) -> dict[str, Any]:
    """A message that a server may send, though not after those before it."""
    epoch = chance.choice("aaaaab")
    prev = chance.randint(0, 12)
    seq = prev + chance.randint(1, 6)
    numbers = {"epoch": epoch, "seq": seq, "insight_seq": chance.randint(0, 5)}
    data = [{"n": n} for n in range(prev + 1, seq + 1)]
    kind = chance.choice(["telemetry_update"] * 4 + ["insight_update", "snapshot", "resumed", "gap", "subscribed"])
    if kind == "telemetry_update":
        few = chance.sample(data, chance.randint(0, len(data)))
        data = chance.choice((data, few))
        more = {"conflated": 3, "counts": [n for n, _ in enumerate(data)], "ranges": [{} for _ in data]}
        return {"type": kind, "epoch": epoch, "seq": seq, "prev": prev, "data": data, **chance.choice(({}, more))}
    if kind == "gap":
        last = chance.choice((None, seq))
        first, points = (None, None) if last is None else (prev + 1, seq - prev)
        return {"type": kind, "epoch": epoch, "first": first, "last": last, "points": points, "reason": "overwritten"}
    if kind == "resumed":
        return {"type": kind, **numbers, "recovered": chance.random() < 0.7}
    return {"type": kind, **numbers, "data": [], "insight": None}


class BrowserClientTests(SynchronousTestCase):
    """The ES module in Debian's Chromium, driven by Playwright."""

    if CHROMIUM is None:
        skip = "needs chromium"

    @contextmanager
    def page(self, url: str) -> Iterator[Any]:
        """A page of this address."""
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            try:
                page = browser.new_page()
                page.goto(url)
                yield page
            finally:
                browser.close()

    def serve(self, more: dict[str, tuple[str, bytes]] | None = None, **options: Any) -> StreamServer:
        """A server with a page, the module, and more files."""
        module = (STATIC / "pitwall-client.js").read_bytes()
        files = {"/": ("text/html", b"<p>wall</p>"), "/client/pitwall-client.js": ("text/javascript", module)}
        return StreamServer(files={**files, **(more or {})}, **options)

    def test_many_breaks(self) -> None:
        """Over 200 connections that break at any moment, every point comes once, in order."""
        quick_ones = {"backoff": {"first": 5, "longest": 20}}
        with self.serve(breaks=BREAKS) as server, self.page(f"http://127.0.0.1:{server.port}/") as page:
            page.evaluate(COLLECT, [server.url, quick_ones])
            publish_while_breaking(server).join(LONGEST_S)
            last = "() => window.seen.numbers.at(-1)"
            wait_for("the last point", lambda: page.evaluate(last) == server.seq, 20)
            seen = page.evaluate("() => ({...window.seen, counters: window.client.counters})")
            self.assertEqual(seen["numbers"], list(range(seen["numbers"][0], server.seq + 1)))
            self.assertEqual((seen["gaps"], seen["counters"]["insightsLost"]), ([], 0))
            self.assertGreater(seen["counters"]["connections"], BREAKS)
            self.assertEqual(set(seen["recovered"]), {True})

    def test_restart_and_gaps(self) -> None:
        """A gap is told, a restart recovers what the new epoch has, and close() ends it."""
        with self.serve() as server, self.page(f"http://127.0.0.1:{server.port}/") as page:
            page.evaluate(COLLECT, ["/", {"snapshot": True, "backoff": {"first": 5, "longest": 20}}])
            wait_for("the snapshot", lambda: page.evaluate("() => window.seen.types.length"))
            server.publish(2)
            server.do(lambda: server.skip(3))
            server.publish(1)
            wait_for("three points", lambda: page.evaluate("() => window.seen.numbers.length") == 3)
            server.restart("second", 4)
            wait_for("seven points", lambda: page.evaluate("() => window.seen.numbers.length") == 7)
            page.evaluate("() => window.client.close()")
            seen = page.evaluate("() => window.seen")
            self.assertEqual(seen["numbers"], [1, 2, 6, 1, 2, 3, 4])
            self.assertEqual(seen["gaps"], [[3, 5, "skipped"], [None, None, "other_epoch"]])
            self.assertEqual(seen["recovered"].count(False), 2)
            self.assertEqual(seen["states"][-1], "closed")
            self.assertEqual(seen["types"], ["snapshot", "telemetry_update", "gap", "resumed"])

    def test_react_hook(self) -> None:
        """The hook of docs/clients.md, with a React that does no more than call it, has points, insights and state."""
        (hook,) = re.findall(r"```js\n// usePitWall.js\n(.*?)```", (ROOT / "docs/clients.md").read_text(), re.DOTALL)
        react = "export const useEffect = (f) => { window.end ??= f(); };"
        react += "export const useState = (first) => [window.view ?? first, (view) => { window.view = view; }];"
        script = ("text/javascript", hook.replace('"react"', '"/react.js"').encode())
        more = {"/usePitWall.js": script, "/react.js": ("text/javascript", react.encode())}
        with self.serve(more) as server, self.page(f"http://127.0.0.1:{server.port}/") as page:
            server.publish(1)
            page.evaluate("async () => { (await import('/usePitWall.js')).usePitWall('/ws/realtime', { keep: 2 }); }")
            wait_for("the snapshot", lambda: page.evaluate("() => window.view?.connected && window.view.points"))
            server.publish(6, insight=True)
            wait_for("the insight", lambda: page.evaluate("() => window.view.insights.length"))
            view = page.evaluate("() => window.view")
            points = {chassis: [point["n"] for point in points] for chassis, points in view["points"].items()}
            self.assertEqual(points, {"GR86-001": [5, 7], "GR86-000": [4, 6]})
            self.assertEqual((view["lost"], view["recovered"], view["meta"]), (0, True, {"vehicle_count": 0}))
            page.evaluate("() => window.end()")
            wait_for("the end", lambda: not server.clients)

    def test_subscribe(self) -> None:
        """A subscription holds from its answer on, and over a break; one that is refused changes nothing."""
        types = "() => window.seen.types"
        ask = "(wanted) => window.client.subscribe(wanted)"
        backoff = {"first": 5, "longest": 20}
        with self.serve() as server, self.page(server.url.replace("ws:", "http:").removesuffix("/ws/realtime")) as page:
            options = {"subscribe": {"chassis": ["GR86-000"], "channels": ["n"]}, "backoff": backoff}
            page.evaluate(COLLECT, [server.url + "?track=cota&token=x", options])
            wait_for("the answer", lambda: "subscribed" in page.evaluate(types))
            self.assertEqual(server.queries, [{"token": "x", "snapshot": "1", "chassis": "GR86-000", "channels": "n"}])
            server.publish(4)
            wait_for("points", lambda: page.evaluate("() => window.seen.numbers") == [2, 4])
            page.evaluate(ask, {"chassis": ["GR86-001"]})
            page.evaluate(ask, {"max_hz": 1000})
            wait_for("the refusal", lambda: "error" in page.evaluate(types))
            server.publish(4)
            wait_for("points", lambda: page.evaluate("() => window.seen.numbers") == [2, 4, 5, 7])
            server.do(server.drop)
            wait_for("the next connection", lambda: "resumed" in page.evaluate(types))
            self.assertEqual(
                server.queries[-1],
                {"token": "x", "since": "first:8", "insight_seq": "0", "chassis": "GR86-001", "types": ALL_TYPES},
            )
            page.evaluate(ask, {"max_hz": 50})
            wait_for("the message", lambda: server.heard[2:])
            server.publish(10)
            wait_for("points", lambda: page.evaluate("() => window.seen.numbers")[4:] == [17, 18])
            self.assertEqual(page.evaluate("() => window.seen.gaps"), [])
            counters = page.evaluate("() => window.client.counters")
            self.assertEqual((counters["points"], counters["pointsConflated"]), (6, 8))

    def test_same_as_python(self) -> None:
        """It makes of any messages, in any order, what the Python client makes of them."""
        chance = random.Random(5)
        cases = [[any_message(chance) for _ in range(12)] for _ in range(400)]
        with self.serve() as server, self.page(server.url.replace("ws:", "http:").removesuffix("/ws/realtime")) as page:
            found = page.evaluate(FOLLOW, cases)
        for case, told in zip(cases, found, strict=True):
            stream = Stream(Position("a", 5, 1), snapshot=True)
            wanted: list[Any] = [stream.query()]
            for content in case:
                taken = [[dict(message.content), message.recovered] for message in stream.take(content)]
                position = stream.position and stream.position._asdict()
                wanted.append([taken, position, list(asdict(stream.counters).values()), stream.again])
            self.assertEqual(told, wanted)

    def test_ticket(self) -> None:
        """A page asks for a ticket for each connection; while it gets none it waits, and comes back when it does."""
        server = KeyedServer("--demo")
        self.addCleanup(server.close)
        server.wait_well()
        with self.page(f"http://127.0.0.1:{server.port}/") as page:
            page.evaluate(WITH_TICKETS, server.tokens["ingest"])
            wait_for("the refusals", lambda: page.evaluate("() => window.seen.refused") >= 2)
            self.assertEqual(page.evaluate("() => window.seen.points"), 0)
            page.evaluate("(key) => { window.key = key; }", server.tokens["read"])
            wait_for("points", lambda: page.evaluate("() => window.seen.points") > 100)
            token = server.pitwall("keys", "add", "other", "--scope", "read").stdout.strip()
            wait_for("the other key", lambda: "4 keys" in server.log())
            page.evaluate("(key) => { window.key = key; }", token)
            server.pitwall("keys", "remove", "read")
            wait_for("the next connection", lambda: page.evaluate("() => window.client.counters.connections") == 2)
            self.assertIn(4001, page.evaluate("() => window.seen.codes"))
            count = page.evaluate("() => window.seen.points")
            wait_for("more points", lambda: page.evaluate("() => window.seen.points") > count)
            self.assertEqual(page.evaluate("() => window.client.counters.pointsLost"), 0)
            page.evaluate("() => window.client.close()")
            self.assertEqual(page.evaluate("() => window.client.state"), "closed")

    def test_real_server(self) -> None:
        """A page imports the module from the real server and counts the demo's points, none of them missing."""
        with running("--demo") as server, self.page(f"http://127.0.0.1:{server.port}/") as page:
            page.evaluate(COLLECT, ["/ws/realtime", {}])
            wait_for("points", lambda: page.evaluate("() => window.seen.numbers.length") > 500)
            self.assertEqual(page.evaluate("() => window.seen.gaps"), [])
