"""A client whose network fails again and again, on a real server."""

from __future__ import annotations

import json
import random
import threading
import time

from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.end_to_end.harness import Server, running

RATE = 2000
DISCONNECTIONS = 200


class ResumeTests(SynchronousTestCase):
    """What was missed meanwhile comes when the client is back."""

    def send(self, server: Server, stop: threading.Event) -> None:
        """Send points at 2,000 a second, numbered by ``rpm``."""
        began, number = time.monotonic(), 0
        while not stop.is_set():
            due = int((time.monotonic() - began) * RATE)
            while number < due:
                number += 1
                point = b'{"track":"barber","chassis":"GR86-%d","rpm":%d}' % (number % 20, number % 30_000)
                server.send(point)
            time.sleep(0.005)

    def test_many_disconnections(self) -> None:
        """Two hundred of them at random moments: every point comes once, in order, and none is lost."""
        chance = random.Random(7)
        stop = threading.Event()
        seen: list[int] = []
        insights: list[int] = []
        with running() as server:
            sender = threading.Thread(target=self.send, args=(server, stop))
            url = f"ws://127.0.0.1:{server.port}/ws/realtime"
            epoch = server.get("/api/recent/0")[1]["epoch"]
            sender.start()
            try:
                at, said, gone = 0, 0, 0
                while gone < DISCONNECTIONS:
                    query = f"?since={epoch}:{at}&insight_seq={said}"
                    with connect(url + query, max_size=None, proxy=None, close_timeout=0) as client:
                        end = time.monotonic() + chance.random() * 0.1
                        try:
                            while (left := end - time.monotonic()) > 0:
                                message = json.loads(client.recv(timeout=left))
                                if message["type"] == "telemetry_update":
                                    self.assertEqual(message["prev"], at)
                                    at = message["seq"]
                                    seen += [point["rpm"] for point in message["data"]]
                                elif message["type"] == "insight_update":
                                    said = message["insight_seq"]
                                    insights.append(said)
                                else:
                                    self.assertEqual((message["type"], message["recovered"]), ("resumed", True))
                        except (TimeoutError, ConnectionClosed):
                            pass
                        # Cut, without a goodbye, every second time.
                        if gone % 2:
                            client.socket.close()
                    gone += 1
            finally:
                stop.set()
                sender.join()
            time.sleep(0.5)
            with connect(f"{url}?since={epoch}:{at}", max_size=None, proxy=None) as client:
                last = server.metrics()["messagesReceived"]
                while at < last:
                    message = json.loads(client.recv(timeout=5))
                    if message["type"] == "telemetry_update":
                        at = message["seq"]
                        seen += [point["rpm"] for point in message["data"]]
            self.assertEqual(seen, [number % 30_000 for number in range(1, last + 1)])
            self.assertGreater(last, 5000)
            self.assertEqual(insights, list(range(1, len(insights) + 1)))
            self.assertGreater(len(insights), 5)
