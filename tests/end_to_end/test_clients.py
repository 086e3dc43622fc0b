"""Clients over a network that fails: the Python client, ``pitwall tail``, and the module for browsers."""

from __future__ import annotations

import asyncio
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread, Timer
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.client import Backoff, Message, PitWallClient, Position, RefusedError, StreamError
from tests.end_to_end.harness import clean_environment, free_port, running, wait_for
from tests.end_to_end.stream_server import StreamServer

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "pitwall/serve/static"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: How long a test may take at most, a slow machine included [s].
LONGEST_S = 60.0
BREAKS = 200

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


def quick() -> Backoff:
    """Pauses that a test has the time for."""
    return Backoff(0.005, 0.02, chance=random.Random(2))


def bounded(work: Callable[[], Awaitable[Any]]) -> Any:
    """What a coroutine returns, if it does in time."""

    async def in_time() -> Any:
        return await asyncio.wait_for(work(), LONGEST_S)

    return asyncio.run(in_time())


def numbers(messages: list[Message]) -> list[int]:
    """The points by their number."""
    return [point["n"] for message in messages if message.type == "telemetry_update" for point in message.points]


async def collect(client: PitWallClient, enough: Callable[[list[Message]], bool]) -> list[Message]:
    """The messages until there are enough."""
    messages: list[Message] = []
    while not enough(messages):
        message = await client.receive()
        assert message is not None
        messages.append(message)
    return messages


def publish_while_breaking(server: StreamServer) -> Thread:
    """Send points and insights for as long as there are connections to break, and some more."""

    def publish() -> None:
        end, chance = time.monotonic() + LONGEST_S, random.Random(3)
        while server.breaks_left and time.monotonic() < end:
            server.publish(chance.randint(1, 30), insight=chance.random() < 0.2)
            time.sleep(0.002)
        server.publish(5, insight=True)

    thread = Thread(target=publish, daemon=True)
    thread.start()
    return thread


class PythonClientTests(SynchronousTestCase):
    """``PitWallClient``."""

    def test_many_breaks(self) -> None:
        """Over 200 connections that break at any moment, every point and every insight comes once, in order."""
        with StreamServer(breaks=BREAKS) as server:

            async def watch() -> tuple[list[Message], PitWallClient]:
                async with PitWallClient(server.url, since=Position("first", 0, 0), backoff=quick()) as client:
                    return await collect(client, lambda _: all_sent(client)), client

            def all_sent(client: PitWallClient) -> bool:
                there_is = Position(server.epoch, server.seq, server.insight_seq)
                return not publisher.is_alive() and client.position == there_is

            publisher = publish_while_breaking(server)
            messages, client = bounded(watch)
            got = numbers(messages)
            self.assertEqual(got, list(range(got[0], server.seq + 1)))
            self.assertGreater(client.counters.connections, BREAKS)
            said = [m.content["insight_seq"] for m in messages if m.type == "insight_update"]
            self.assertEqual(said, list(range(said[0], server.insight_seq + 1)))
            self.assertEqual((client.counters.gaps, client.counters.insights_lost), (0, 0))
            self.assertTrue(all(message.recovered for message in messages))

    def test_overwritten(self) -> None:
        """What the server no longer holds when the client is back is told as a gap."""
        with StreamServer(ring=10) as server:

            async def watch() -> tuple[list[Message], PitWallClient]:
                async with PitWallClient(server.url, since=Position("first", 2, 0), backoff=quick()) as client:
                    return await collect(client, lambda got: len(numbers(got)) >= 10), client

            server.publish(50)
            messages, client = bounded(watch)
            self.assertEqual([m.type for m in messages[:2]], ["resumed", "gap"])
            self.assertEqual(numbers(messages), list(range(41, 51)))
            self.assertEqual((messages[0].recovered, client.counters.points_lost), (False, 38))

    def test_restart(self) -> None:
        """After a restart of the server all points of its new epoch come, those before the client was back too."""
        with StreamServer() as server:

            async def watch() -> tuple[list[Message], PitWallClient]:
                async with PitWallClient(server.url, snapshot=True, backoff=quick()) as client:
                    first = await collect(client, lambda got: bool(got))
                    await asyncio.to_thread(server.publish, 3)
                    first += await collect(client, lambda got: len(numbers(got)) == 3)
                    await asyncio.to_thread(server.restart, "second", 7)
                    return first + await collect(client, lambda got: len(numbers(got)) == 7), client

            messages, client = bounded(watch)
            self.assertEqual(numbers(messages), [1, 2, 3, 1, 2, 3, 4, 5, 6, 7])
            self.assertEqual((client.counters.gaps, client.counters.unknown_gaps), (1, 1))
            self.assertEqual(client.position, Position("second", 7, 0))

    def test_cancelled(self) -> None:
        """Waiting for a message may be given up at any time; none is lost by it."""
        with StreamServer(breaks=5) as server:

            async def watch() -> list[int]:
                got: list[int] = []
                async with PitWallClient(server.url, since=Position("first", 0, 0), backoff=quick()) as client:
                    while len(got) < 300:
                        try:
                            message = await asyncio.wait_for(client.receive(), 0.003)
                        except TimeoutError:
                            await asyncio.to_thread(server.publish, 5)
                            continue
                        assert message is not None
                        got += numbers([message])
                return got

            got = bounded(watch)
            self.assertEqual(got, list(range(1, len(got) + 1)))

    def test_close(self) -> None:
        """Closing ends the iteration of whoever waits, connected or between two tries."""
        with StreamServer() as server:
            for url in (server.url, f"ws://127.0.0.1:{free_port()}"):

                async def watch(url: str = url) -> int:
                    client = PitWallClient(url, backoff=Backoff(50, 50))
                    asyncio.get_running_loop().call_later(0.1, lambda: asyncio.ensure_future(client.close()))
                    return len([message async for message in client])

                self.assertEqual(bounded(watch), 0)

    def test_refused(self) -> None:
        """A server that says no ends it, with its reason; one that can't just now is tried again."""
        with StreamServer() as server:
            told: list[str] = []

            async def watch() -> None:
                async with PitWallClient(server.url, tell=told.append, backoff=quick()) as client:
                    await client.receive()

            server.refuse = 503
            Timer(0.3, setattr, (server, "refuse", 403)).start()
            with self.assertRaises(RefusedError) as caught:
                bounded(watch)
            self.assertIn("answered 403: not you", str(caught.exception))
            self.assertGreater(len(told), 3)
            self.assertIn("answered 503: not you; trying again in 0.0 s", told[0])

    def test_no_pitwall(self) -> None:
        """A WebSocket that is no PitWall's is found out."""
        with StreamServer() as server:

            async def watch() -> None:
                async with PitWallClient(server.url) as client:
                    await client.receive()

            Timer(0.3, server.do, (lambda: server.say("[1]"),)).start()
            with self.assertRaises(StreamError):
                bounded(watch)

    def test_real_server(self) -> None:
        """With the real server every point comes, over one connection."""
        point = {"track": "barber", "chassis": "GR86-001"}
        with running() as server:

            async def watch() -> tuple[list[Message], PitWallClient]:
                async with PitWallClient(f"http://127.0.0.1:{server.port}") as client:
                    feed = asyncio.ensure_future(asyncio.to_thread(post_often))
                    messages = await collect(client, lambda got: len(numbers(got)) > 20)
                    await feed
                    return messages, client

            def post_often() -> None:
                for n in range(100):
                    server.post({**point, "n": n})

            messages, client = bounded(watch)
            got = numbers(messages)
            self.assertEqual(got, list(range(got[0], got[0] + len(got))))
            self.assertEqual((client.counters.gaps, client.counters.connections), (0, 1))


class TailTests(SynchronousTestCase):
    """``pitwall tail``, a process of its own."""

    @contextmanager
    def tail(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """The command, ended in any case."""
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; from pitwall.cli import main; sys.exit(main())", "tail", *arguments],
            env=clean_environment(PYTHONPATH=str(ROOT)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def test_resumes(self) -> None:
        """It prints each point as JSON, comes back by itself, says what happened, and ends with 0 at Ctrl-C."""
        with StreamServer() as server, self.tail(server.url, "--json", "--chassis", "GR86-001") as tail:
            wait_for("a client", lambda: server.queries)
            server.publish(4)
            assert tail.stdout is not None and tail.stderr is not None
            self.assertEqual([json.loads(tail.stdout.readline())["n"] for _ in range(2)], [1, 3])
            server.do(server.drop)
            server.publish(4)
            self.assertEqual([json.loads(tail.stdout.readline())["n"] for _ in range(2)], [5, 7])
            server.do(lambda: server.skip(10))
            server.publish(1)
            server.publish(1, insight=True)
            self.assertEqual(json.loads(tail.stdout.readline())["n"], 19)
            tail.send_signal(signal.SIGINT)
            output, errors = tail.communicate(timeout=20)
            self.assertEqual((tail.returncode, output), (0, ""))
            self.assertRegex(errors, r"^pitwall: lost ws://.*: the connection broke; trying again in \d\.\d s\n")
            self.assertIn("pitwall: 10 points are missing, 9 to 18: this client is too slow\n", errors)
            self.assertNotIn("Traceback", errors)

    def test_lines(self) -> None:
        """Without ``--json`` it prints lines for a person, from the snapshot on, insights too."""
        with StreamServer() as server:
            server.publish(3)
            with self.tail(server.url, "--snapshot", "--insights") as tail:
                assert tail.stdout is not None
                self.assertRegex(tail.stdout.readline(), r"^ +barber +GR86-001 +3 +141\.0 km/h$")
                server.publish(0, insight=True)
                self.assertRegex(tail.stdout.readline(), r"^low +barber +GR86-001 +tire_wear.*worn$")

    def test_refused(self) -> None:
        """A server that says no is a sentence and status 1."""
        with StreamServer() as server:
            server.refuse = 403
            with self.tail(server.url) as tail:
                _, errors = tail.communicate(timeout=20)
                self.assertEqual((tail.returncode, errors), (1, f"pitwall: {server.url} answered 403: not you\n"))

    def test_pipe(self) -> None:
        """It ends quietly when its reader has had enough."""
        with StreamServer() as server, self.tail(server.url) as tail:
            wait_for("a client", lambda: server.queries)
            assert tail.stdout is not None and tail.stderr is not None
            tail.stdout.close()
            server.publish(1)
            self.assertEqual((tail.wait(20), tail.stderr.read()), (0, ""))


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

    def test_real_server(self) -> None:
        """A page imports the module from the real server and counts the demo's points, none of them missing."""
        with running("--demo") as server, self.page(f"http://127.0.0.1:{server.port}/") as page:
            page.evaluate(COLLECT, ["/ws/realtime", {}])
            wait_for("points", lambda: page.evaluate("() => window.seen.numbers.length") > 500)
            self.assertEqual(page.evaluate("() => window.seen.gaps"), [])
