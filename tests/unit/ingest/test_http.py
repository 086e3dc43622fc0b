"""``pitwall.ingest.http``: points that are posted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.doubles import A_POINT, FakeConnection, WebServer, a_point, answers_in

NO_CHASSIS = b'{"track":"barber"}'


def post(body: bytes, *headers: bytes) -> bytes:
    """The request that posts a body."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST /api/ingest HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (lines, len(body), body)


def array(rows: list[bytes] | Iterator[bytes]) -> bytes:
    """A JSON array of these."""
    return b"[%b]" % b",".join(rows)


class PostCase(SynchronousTestCase):
    """A server to post to."""

    def setUp(self) -> None:
        """A server."""
        self.server = WebServer(self)
        self.hub = self.server.hub

    def begin(self, body: bytes) -> FakeConnection:
        """A connection over which the body has come."""
        connection = self.server.connect()
        connection.deliver(post(body))
        return connection

    def posted(self, body: bytes) -> tuple[int, Any]:
        """The status and the answer, however many turns of the reactor it takes."""
        connection = self.begin(body)
        self.wait(connection)
        (answer,) = answers_in(connection.flush())
        self.assertEqual(answer.headers["content-type"], "application/json")
        return answer.status, json.loads(answer.body)

    def wait(self, *connections: FakeConnection) -> int:
        """Let the reactor turn until all of these have an answer; returns how many turns that took."""
        for turns in range(1000):
            if all(connection.waiting for connection in connections):
                return turns
            self.server.reactor.advance(0.001)
        raise AssertionError("no answer")

    def relayed(self) -> list[Any]:
        """The points that clients can see, oldest first."""
        return list(map(json.loads, self.hub.ring.newest(self.hub.last_seq)))


class SmallBodyTests(PostCase):
    """One point, or an array of some."""

    def test_one(self) -> None:
        """One point is accepted and relayed as it came."""
        self.assertEqual(
            self.posted(A_POINT), (200, {"ok": True, "accepted": 1, "rejected": [], "rejected_total": 0})
        )  # fmt: skip
        self.assertEqual(self.relayed(), [json.loads(A_POINT)])
        self.assertEqual(self.hub.ledger.accepted, {"http": 1})

    def test_array(self) -> None:
        """An array is accepted in its order; two equal points are two points."""
        rows = [a_point(1), a_point(2), a_point(2)]
        self.assertEqual(self.posted(array(rows))[1]["accepted"], 3)
        self.assertEqual([point["rpm"] for point in self.relayed()], [1, 2, 2])

    def test_bad_rows_among_good_ones(self) -> None:
        """A bad row costs no good one; each is listed with its place, its field and the reason."""
        rows = [a_point(1), NO_CHASSIS, a_point(2), A_POINT[:-1] + b',"rpm":1e9}', b"5", a_point(3)]
        status, answer = self.posted(array(rows))
        self.assertEqual((status, answer["ok"], answer["accepted"], answer["rejected_total"]), (200, True, 3, 3))
        listed = [(row["index"], row["field"], row["reason"]) for row in answer["rejected"]]
        expected = [(1, "chassis", "missing_field"), (3, "rpm", "out_of_range"), (4, None, "not_an_object")]
        self.assertEqual(listed, expected)
        self.assertTrue(all(row["message"] for row in answer["rejected"]))
        self.assertEqual([point["rpm"] for point in self.relayed()], [1, 2, 3])
        reasons = {("http", reason): 1 for _, _, reason in expected}
        self.assertEqual(self.hub.ledger.refused, reasons)

    def test_nothing_acceptable(self) -> None:
        """When no row is good the status is 400, in the same shape."""
        status, answer = self.posted(array([NO_CHASSIS] * 2))
        self.assertEqual((status, answer["ok"], answer["accepted"], answer["rejected_total"]), (400, False, 0, 2))
        self.assertEqual([row["index"] for row in answer["rejected"]], [0, 1])

    def test_lists_a_hundred(self) -> None:
        """Of many bad rows the first hundred are listed, and all are counted."""
        status, answer = self.posted(array([NO_CHASSIS] * 250 + [A_POINT]))
        self.assertEqual((status, answer["accepted"], answer["rejected_total"]), (200, 1, 250))
        self.assertEqual([row["index"] for row in answer["rejected"]], list(range(100)))
        self.assertEqual(self.hub.ledger.points_refused, 250)

    def test_what_is_no_json(self) -> None:
        """A body that is no point and no array is one refusal, with a reason that fits."""
        for body, reason in (
            (b"", "empty"),
            (b" \r\n ", "empty"),
            (b"[]", "empty"),
            (b"hello", "not_json"),
            (b"{", "not_json"),
            (b"[", "not_json"),
            (array([A_POINT]) + b"]", "not_json"),
            (A_POINT + b"\n" + A_POINT, "not_json"),
            (b"barber,GR86,1,2,3,4,5", "not_json"),
            (b'"text"', "not_an_object"),
            (b"null", "not_an_object"),
            (b"[" * 100_000, "too_deep"),
            (b'{"track":"\xff","chassis":"x"}', "not_utf8"),
        ):
            status, answer = self.posted(body)
            self.assertEqual((status, answer["accepted"], answer["rejected_total"]), (400, 0, 1), body[:40])
            self.assertEqual((answer["rejected"][0]["index"], answer["rejected"][0]["reason"]), (0, reason), body[:40])
        self.assertEqual(self.relayed(), [])

    def test_blanks_and_byte_order_mark(self) -> None:
        """Blanks around a body, a byte order mark before it and line feeds within it do no harm."""
        pretty = json.dumps(json.loads(A_POINT), indent=2).encode()
        for body in (
            b" \r\n" + A_POINT + b"\n",
            b"\xef\xbb\xbf" + A_POINT,
            pretty,
            b" " + array([pretty, A_POINT]) + b" ",
        ):
            self.assertEqual(self.posted(body)[0], 200, body)
        self.assertEqual(self.relayed(), [json.loads(A_POINT)] * 5)

    def test_form_is_not_parsed(self) -> None:
        """A form is refused for its type, whether it is one or not."""
        for media_type in (b"multipart/form-data; boundary=x", b"application/x-www-form-urlencoded", b"\xff"):
            (answer,) = self.server.ask(post(A_POINT, b"Content-Type: " + media_type))
            self.assertEqual(answer.status, 415)
            self.assertEqual(json.loads(answer.body)["ok"], False)

    def test_stamped(self) -> None:
        """A point without a time gets that of its arrival."""
        self.posted(b'{"track":"barber","chassis":"GR86-004-78"}')
        self.assertEqual(self.relayed()[0]["meta_time"], "2025-09-06T18:41:40.000Z")

    def test_broadcast(self) -> None:
        """What is posted is broadcast like what comes by UDP."""
        self.posted(A_POINT)
        self.server.run_for(0.02)
        self.assertEqual(self.hub.ledger.messages_broadcast, 1)


class LargeBodyTests(PostCase):
    """Arrays of megabytes, taken in slices so that the reactor is never held for long."""

    def rows(self, count: int) -> list[bytes]:
        """Rows, every seventh of which is bad in one way or another."""
        bad = (NO_CHASSIS, b"[]", b'"}, {"', A_POINT[:-1] + b',"note":"},{"}')
        return [bad[n // 7 % 4] if n % 7 == 6 else a_point(n, padding=40) for n in range(count)]

    def test_same_as_at_once(self) -> None:
        """A large array has the same result as its rows in small ones."""
        rows = self.rows(9000)
        body = array(rows)
        self.assertGreater(len(body), 1 << 20)
        status, answer = self.posted(body)
        relayed = self.relayed()
        other = WebServer(self)
        listed, refused, accepted = [], 0, 0
        for start in range(0, len(rows), 500):
            (small,) = other.ask(post(array(rows[start : start + 500])))
            part = json.loads(small.body)
            listed += [{**row, "index": row["index"] + start} for row in part["rejected"]]
            refused += part["rejected_total"]
            accepted += part["accepted"]
        self.assertEqual((status, answer["accepted"], answer["rejected_total"]), (200, accepted, refused))
        self.assertEqual(answer["rejected"], listed[:100])
        self.assertEqual(relayed, list(map(json.loads, other.hub.ring.newest(accepted))))

    def test_others_have_their_turn(self) -> None:
        """While a large body is decoded others are answered, and its first points are already there."""
        connection = self.begin(array(self.rows(20_000)))
        self.assertEqual(connection.waiting, b"")
        (health,) = self.server.ask(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(health.status, 200)
        self.server.reactor.advance(0.001)
        self.assertGreater(self.hub.last_seq, 0)
        self.assertLess(self.hub.last_seq, 1001)
        self.assertGreater(self.wait(connection), 15)
        self.assertGreater(self.hub.last_seq, 17_000)

    def test_many_tiny_rows(self) -> None:
        """A body that is not large but holds very many rows is taken in slices too."""
        connection = self.begin(array([b"{}"] * 60_000))
        self.assertGreater(self.wait(connection), 50)
        (answer,) = answers_in(connection.flush())
        self.assertEqual((answer.status, json.loads(answer.body)["rejected_total"]), (400, 60_000))

    def test_malformed_tail(self) -> None:
        """An array that is not JSON to its end is refused as a whole, as a small one is: nothing of it is taken."""
        for count in (10, 9000):
            body = array([a_point(n, padding=40) for n in range(count)])[:-1] + b",{]"
            status, answer = self.posted(body)
            self.assertEqual((status, answer["accepted"], answer["rejected_total"]), (400, 0, 1), count)
            self.assertEqual(answer["rejected"][0]["reason"], "not_json")
        self.assertEqual(self.relayed(), [])

    def test_element_that_is_no_point(self) -> None:
        """An element of megabytes ends the array where it stands; what came before it is taken, and said to be."""
        rows = [a_point(n, padding=40) for n in range(3000)] + [b'{"a":"%b"}' % (b"x" * 3_000_000), A_POINT]
        status, answer = self.posted(array(rows))
        self.assertEqual((status, answer["rejected_total"]), (200, 1))
        self.assertEqual(answer["accepted"], self.hub.last_seq)
        self.assertLessEqual(answer["accepted"], 3000)

    def test_lines_of_objects(self) -> None:
        """A body of very many lines is one refusal, told at once: it is no array."""
        self.assertEqual(self.posted(b"{\n" * 1_000_000)[1]["rejected_total"], 1)
        self.assertEqual(self.posted(b"%b\n" % A_POINT * 30_000)[1]["rejected_total"], 1)

    def test_endless_point(self) -> None:
        """One object of megabytes is no point."""
        status, answer = self.posted(b'{"track":"barber","chassis":"%b"}' % (b"x" * 2_000_000))
        self.assertEqual((status, answer["rejected"][0]["reason"]), (400, "too_long"))

    def test_client_that_leaves(self) -> None:
        """A client that hangs up while its body is decoded leaves no trace in the log; what it sent is taken."""
        connection = self.begin(array(self.rows(20_000)))
        self.server.reactor.advance(0.001)
        connection.hang_up(clean=False)
        for _ in range(100):
            self.server.reactor.advance(0.001)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertGreater(self.hub.last_seq, 17_000)
        self.assertEqual(self.server.reactor.getDelayedCalls(), [])

    def test_two_at_a_time(self) -> None:
        """Two large bodies share the reactor, and each gets its own answer."""
        first, second = self.begin(array(self.rows(9000))), self.begin(array(self.rows(5000)))
        self.wait(first, second)
        accepted = [json.loads(answers_in(end.flush())[0].body)["accepted"] for end in (first, second)]
        self.assertEqual(sum(accepted), self.hub.last_seq)
        self.assertGreater(accepted[0], accepted[1])


class AnyBodyTests(PostCase):
    """Bodies nobody foresaw."""

    @settings(deadline=None, max_examples=150)
    @given(
        st.binary(max_size=60)
        | st.lists(
            st.sampled_from([A_POINT, NO_CHASSIS, b"5", b'"},{"', b"{", b",", b"", b"\xff", b"NaN"]), max_size=5
        ).map(array)
    )
    def test_any_body(self, body: bytes) -> None:
        """Every body has an answer, and what is accepted and relayed agrees with it."""
        before = self.hub.last_seq
        status, answer = self.posted(body)
        self.assertEqual(self.hub.last_seq - before, answer["accepted"])
        self.assertEqual(status, 200 if answer["accepted"] else 400)
        self.assertEqual(answer["ok"], answer["accepted"] > 0)
        self.assertEqual(len(answer["rejected"]), answer["rejected_total"])
        self.assertGreater(answer["accepted"] + answer["rejected_total"], 0)
        self.assertEqual(self.flushLoggedErrors(), [])
