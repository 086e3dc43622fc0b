"""``pitwall.serve.seats``: who may be connected."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.metrics import Collector
from pitwall.serve.seats import SPARE, Seat, Seats, share_of
from tests.doubles import A_POINT, Answer, FakeConnection, Screen, WebServer, answers_in, handshake

HEALTH = b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n"
RECENT = b"GET /api/recent/1 HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /api/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(A_POINT),
    A_POINT,
)


class SeatsTests(SynchronousTestCase):
    """`Seats` counts connections, in all and by address."""

    def test_share(self) -> None:
        """An address may have half of the connections, but a hundred in any case, or all there are."""
        found = {most: share_of(most) for most in (1, 100, 150, 201, 5000)}
        self.assertEqual(found, {1: 1, 100: 100, 150: 100, 201: 100, 5000: 2500})

    @given(st.lists(st.one_of(st.sampled_from("abc"), st.integers(0, 30)), max_size=80))
    def test_any_order(self, steps: list[str | int]) -> None:
        """However connections come and go, those within the limits are as many as are there, and no limit is passed."""
        seats = Seats(6, 3)
        there: list[tuple[str, Seat]] = []
        for step in steps:
            if isinstance(step, str):
                seat = seats.take(step)
                if seat is not None:
                    there.append((step, seat))
            elif there:
                _, seat = there.pop(step % len(there))
                seat.leave()
                seat.leave()
            within = [host for host, seat in there if not seat.refusal]
            self.assertEqual(seats.taken, len(within))
            self.assertLessEqual(len(within), 6)
            self.assertTrue(all(within.count(host) <= 3 for host in "abc"))
            self.assertLessEqual(len(there) - len(within), SPARE)
        for _, seat in there:
            seat.leave()
        self.assertEqual((seats.taken, seats._by_address, seats._spare), (0, {}, SPARE))


class OverTheLimitTests(SynchronousTestCase):
    """A connection too many is told so in JSON, and sees health all the same."""

    def setUp(self) -> None:
        """A server that has place for three, two of them from one address, and has two there."""
        self.server = WebServer(self, most_clients=3, most_each=2)
        self.screen = Screen(self.server)
        self.idle = self.server.connect()

    def assert_refused(self, connection: FakeConnection, request: bytes, setting: str) -> None:
        """One 503 in JSON, and the end of the connection."""
        connection.deliver(request)
        (answer,) = answers_in(connection.flush())
        self.assert_error(answer, setting)
        self.server.run_for(2.1, step=0.1)
        self.assertFalse(connection.connected)

    def assert_error(self, answer: Answer, setting: str) -> None:
        """A 503 that names the setting."""
        self.assertEqual((answer.status, answer.headers["content-type"]), (503, "application/json"))
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
        self.assertIn(setting, json.loads(answer.body)["error"])

    def test_share(self) -> None:
        """An address that has its share is refused whatever it asks for; another is served."""
        for request in (RECENT, POST, handshake(), b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"):
            self.assert_refused(self.server.connect(), request, "MAX_PER_ADDRESS")
        self.assertEqual(self.server.hub.last_seq, 0)
        other = self.server.connect(host="192.0.2.1")
        other.deliver(POST + RECENT)
        self.assertEqual([answer.status for answer in answers_in(other.flush())], [200, 200])

    def test_most(self) -> None:
        """When all places are taken, any address is refused."""
        self.server.connect(host="192.0.2.1")
        self.assert_refused(self.server.connect(host="192.0.2.2"), RECENT, "MAX_CONNECTIONS")

    def test_health(self) -> None:
        """Health is answered all the same, once: whoever looks after the server must not think it dead."""
        connection = self.server.connect()
        connection.deliver(HEALTH + RECENT)
        (answer,) = answers_in(connection.flush())
        self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))
        self.assertFalse(connection.connected)

    def test_says_nothing(self) -> None:
        """A connection over the limit has two seconds to ask."""
        connection = self.server.connect()
        self.server.run_for(4.1, step=0.1)
        connection.flush()
        self.assertFalse(connection.connected)

    def test_flood(self) -> None:
        """There are only a few of these: with each further one the oldest is cut, and who asks at once is answered."""
        over = [self.server.connect() for _ in range(SPARE + 10)]
        self.server.reactor.advance(0)
        self.assertEqual([connection.connected for connection in over], [False] * 10 + [True] * SPARE)
        connection = self.server.connect()
        connection.deliver(HEALTH)
        self.assertEqual(answers_in(connection.flush())[0].status, 200)
        self.assert_refused(self.server.connect(), RECENT, "MAX_PER_ADDRESS")
        self.server.run_for(5, step=0.5)
        for connection in over:
            connection.flush()
        self.assertEqual((self.server.site.hurried, self.server.seats._spare), ({}, SPARE))

    def test_counted(self) -> None:
        """Each is counted once, by the limit it is over, also where another had to make place for it."""
        self.assertEqual(self.server.seats.refused, {"total": 0, "address": 0})
        for _ in range(SPARE + 10):
            self.server.connect()
        self.assertEqual(self.server.seats.refused, {"total": 0, "address": SPARE + 10})
        for _ in range(4):
            self.server.connect(host="192.0.2.1")
        self.assertEqual(self.server.seats.refused, {"total": 3, "address": SPARE + 10})
        found = {
            (labels["limit"]): value
            for family in Collector(self.server.sources).collect()
            for name, labels, value, *_ in family.samples
            if name == "pitwall_connections_refused_total"
        }
        self.assertEqual(found, self.server.seats.refused)

    def test_places_are_free_again(self) -> None:
        """Whoever leaves makes place, a screen too, and one whose handshake fails."""
        self.screen.connection.hang_up(clean=False)
        self.assertEqual(self.server.seats.taken, 1)
        connection = self.server.connect()
        connection.deliver(handshake().replace(b"Sec-WebSocket-Key", b"X"))
        self.assertEqual(answers_in(connection.flush())[0].status, 400)
        connection.hang_up()
        self.assertEqual(Screen(self.server).answer.status, 101)
        self.assertEqual(self.server.seats.taken, 2)
