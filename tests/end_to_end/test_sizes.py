"""Messages of every size where a frame's length changes its form reach real clients whole, deflated or not."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import SkipTest
from urllib.request import Request, urlopen

from twisted.trial.unittest import SynchronousTestCase
from websockets.sync.client import connect

from tests.doubles import frames_in
from tests.end_to_end.harness import UP_S, clean_environment, free_port, points_of, read_messages, running, wait_for
from tests.end_to_end.relay import Relay, as_it_comes, in_pieces, relaying
from tests.sizes import EDGES, message_deflating_to, message_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

#: Of each size as it is, and of each size when it is deflated; twice, so that the small ones come after the large too.
MESSAGES = [*map(message_of, EDGES), *map(message_deflating_to, EDGES)] * 2
DIGESTS = [hashlib.sha256(message).hexdigest() for message in MESSAGES]
#: How the server's bytes come: as it sends them, many messages in one piece, and cut in many.
WAYS: list[tuple[Callable[[bytes], Iterator[bytes]], bool]] = [
    (as_it_comes, False),
    (as_it_comes, True),
    (in_pieces, False),
]

#: What a page gets: the digest of each message's bytes, in order.
RECEIVE = """
(path) => {
    window.digests = [];
    window.closeCode = null;
    const socket = new WebSocket(`ws://${location.host}${path}`);
    window.socket = socket;
    socket.onclose = (event) => { window.closeCode = event.code; };
    socket.onmessage = (event) => {
        window.digests.push(crypto.subtle.digest("SHA-256", new TextEncoder().encode(event.data)));
    };
    return new Promise((opened) => { socket.onopen = () => opened(socket.extensions); });
}
"""
DIGESTED = """
async () => {
    const digests = await Promise.all(window.digests);
    const hex = (octet) => octet.toString(16).padStart(2, "0");
    return digests.map((digest) => Array.from(new Uint8Array(digest), hex).join(""));
}
"""


class SizesTests(SynchronousTestCase):
    """The production clients, with messages of chosen sizes; the bytes on the wire are looked at too."""

    def setUp(self) -> None:
        """A server that sends what it is told."""
        self.port = free_port()
        command = [sys.executable, "-m", "tests.end_to_end.sized_server", str(self.port)]
        process = subprocess.Popen(command, env=clean_environment(), stdin=subprocess.DEVNULL)
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.kill)
        wait_for("the server", lambda: self.clients() == 0, UP_S)

    def clients(self) -> int | None:
        """How many clients the server has; None before there is one."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                return int(answer.read())
        except OSError:
            return None

    def send_all(self) -> None:
        """Let the server send every message."""
        wait_for("the client", lambda: self.clients() == 1)
        body = b"\n".join(MESSAGES)
        with urlopen(Request(f"http://127.0.0.1:{self.port}/", body), timeout=10) as answer:
            self.assertEqual(answer.read(), b"sent")

    def relays(self) -> Iterator[Relay]:
        """Relays that deliver in each way, one after the other."""
        for cut, together in WAYS:
            with relaying(self.port, cut, together) as relay:
                yield relay
            wait_for("nobody", lambda: self.clients() == 0)

    def assert_on_the_wire(self, sent: bytes, deflated: bool) -> None:
        """The frames are of the sizes that were wanted, in the shortest form, compressed where agreed upon."""
        data = sent.partition(b"\r\n\r\n")[2]
        frames = [frame for frame in frames_in(data) if frame.opcode == 1]
        self.assertEqual({frame.first_byte for frame in frames}, {0xC1 if deflated else 0x81})
        sizes = [len(frame.payload) for frame in frames]
        half = len(EDGES)
        self.assertEqual(sizes[half : 2 * half] if deflated else sizes[:half], list(EDGES))
        heads = sum(2 if size <= 125 else 4 if size <= 65535 else 10 for size in sizes)
        others = [frame for frame in frames_in(data) if frame.opcode != 1]
        self.assertEqual(heads + sum(sizes) + sum(2 + len(frame.payload) for frame in others), len(data))

    def test_websockets(self) -> None:
        """The ``websockets`` client gets every message byte for byte."""
        for path, deflated in (("/plain", False), ("/deflated", True)):
            for relay in self.relays():
                with connect(f"ws://127.0.0.1:{relay.port}{path}", max_size=None, proxy=None) as client:
                    self.assertEqual(bool(client.protocol.extensions), deflated)
                    self.send_all()
                    got = [client.recv(timeout=10) for _ in MESSAGES]
                    self.assertTrue(all(isinstance(message, str) for message in got))
                    self.assertEqual([str(message).encode() for message in got], MESSAGES)
                    self.assertTrue(client.ping().wait(10))
                self.assertEqual(client.close_code, 1000)
                self.assert_on_the_wire(bytes(relay.sent[0]), deflated)

    def test_chromium(self) -> None:
        """So does Chromium, by the digests a page makes of them."""
        if CHROMIUM is None:
            raise SkipTest("needs chromium")
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            try:
                for path, deflated in (("/plain", False), ("/deflated", True)):
                    for relay in self.relays():
                        self.receive(browser.new_page(), relay, path, deflated)
            finally:
                browser.close()

    def receive(self, page: Any, relay: Relay, path: str, deflated: bool) -> None:
        """A page gets every message, and says goodbye."""
        page.goto(f"http://127.0.0.1:{relay.port}/")
        extensions = page.evaluate(RECEIVE, path)
        self.assertEqual("permessage-deflate" in extensions, deflated)
        self.send_all()
        page.wait_for_function(f"window.closeCode !== null || window.digests.length >= {len(MESSAGES)}", timeout=10_000)
        self.assertIsNone(page.evaluate("window.closeCode"))
        self.assertEqual(page.evaluate(DIGESTED), DIGESTS)
        page.evaluate("window.socket.close(4000, 'seen')")
        page.wait_for_function("window.closeCode !== null", timeout=10_000)
        self.assertEqual(page.evaluate("window.closeCode"), 4000)
        page.close()
        (live,) = [sent for sent in relay.sent if sent.startswith(b"HTTP/1.1 101")]
        self.assert_on_the_wire(bytes(live), deflated)


class SwitchTests(SynchronousTestCase):
    """``WS_DEFLATE`` of a real ``twistd``."""

    def test_on(self) -> None:
        """The ``websockets`` client gets the points of small and large posts, compressed when it offers that."""
        posts = [
            [{"track": "barber", "chassis": f"GR86-{n:03}", "note": "é" * n} for n in range(k)] for k in (1, 20, 300)
        ]
        with running(WS_DEFLATE="on") as server, server.connect() as packed, server.connect(compression=None) as plain:
            self.assertEqual((len(packed.protocol.extensions), len(plain.protocol.extensions)), (1, 0))
            for points in posts:
                server.post(points)
                got = [read_messages(client, 5, lambda got: bool(points_of(got))) for client in (packed, plain)]
                self.assertEqual(got[0], got[1])
                self.assertEqual([point["note"] for point in points_of(got[0])], [point["note"] for point in points])
