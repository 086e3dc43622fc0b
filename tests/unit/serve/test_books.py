"""``pitwall.serve.books``: whatever comes in, by whatever door, the books are exact at every moment."""

from __future__ import annotations

import gzip
import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.importer.audit import Books, DoorLine, equations
from pitwall.ingest.http import UPLOAD_IDLE_S
from pitwall.model.point import iso_utc
from pitwall.wire.longform import COLUMNS
from tests.doubles import A_POINT, Screen, WebServer, a_live_intake, publish
from tests.unit.wire.test_long_rows import CARS, Row

HEADER = ",".join(COLUMNS).encode()
WIDE = b"meta_time,track,chassis,speed"
TRIGGERS = b"lap,meta_event,timestamp,value,vehicle_id"


def row(number: int, name: str = "speed", value: float = 1.0) -> Row:
    """A row of the long form."""
    return Row(CARS[0], number, name, value)


def bundle(*samples: Any) -> bytes:
    """A row with several samples."""
    content = {"vehicle_id": CARS[0], "track": "barber", "timestamp": "2025-09-06T18:00:00.000Z", "value": samples}
    return json.dumps(content).encode()


CSV_LINE = b"2025-09-06T18:40:00Z,barber,GR86-002,1,100.5,120"
OBJECTS = (
    A_POINT,
    b'{"track":"barber"}',
    b'{"track":"barber","chassis":"a","speed":"7"}',
    b'{"track":"barber","chassis":"a","rpm":-1}',
    b"nonsense",
    b"",
    b"[]",
    b"{",
    b'{"track":"barber","chassis":"\xff"}',
    b'{"telemetry_name":1,"telemetry_value":[]}',
    b'{"telemetry_name":"speed","telemetry_value":1}',
    bundle({"name": "speed", "value": 1}, {"name": "nmot", "value": 1}, {"name": "nmot", "value": 2}),
    bundle(),
    bundle({"name": "speed"}, 7),
    row(0).json(),
    row(0, value=2.0).json(),
    row(0, "nmot").json(),
    row(1).json(),
    row(1, "rpm", -5.0).json(),
    row(1, "rpm", 1e9).json(),
    row(90).json(),
)
LINES = (*OBJECTS, CSV_LINE, b"a,b", row(0).csv(), row(2).csv(), row(2, "timestamp").csv(), b",,,,,,,,,,,,", b" ")
WIDE_LINES = (
    b"2025-09-06T18:40:00Z,barber,GR86-002,120",
    b",,,",
    b"",
    b',"",,',
    b"x,barber,a,1",
    b",barber,a,900",
    b"a",
)
TRIGGER_LINES = (
    b"2,I_R06_2025-09-07,2025-09-06T18:00:00Z,97000,GR86-002-2",
    b"2,I_R06_2025-09-07,2025-09-06T18:00:05Z,97000,GR86-002-2",
    b"3,I_R06_2025-09-07,2025-09-06T18:02:00Z,97000,GR86-002-2",
    b"3,I_R06_2025-09-07,nothing,97000,GR86-002-2",
    b"3,\xff",
    b"",
    b",,,,",
)


def some(lines: tuple[bytes, ...]) -> st.SearchStrategy[list[bytes]]:
    """Some of them, in any order, any number of times."""
    return st.lists(st.sampled_from(lines), max_size=12)


def array(parts: list[bytes]) -> bytes:
    """A JSON array, or what is none."""
    return b"[%b]" % b",".join(parts)


BODIES = st.one_of(
    st.tuples(st.just("application/json"), st.sampled_from(OBJECTS)),
    st.tuples(st.just("application/json"), some(OBJECTS).map(array)),
    st.tuples(
        st.just("application/json"), some(tuple(o for o in OBJECTS if o[:1] == b"{" and o[-1:] == b"}")).map(array)
    ),
    st.tuples(st.just("application/x-ndjson"), some(LINES).map(b"\n".join)),
    st.tuples(st.just("text/csv"), some(LINES).map(b"\n".join)),
    st.tuples(st.just("text/csv"), some(LINES).map(lambda lines: b"\n".join([HEADER, *lines]))),
    st.tuples(st.just("text/csv"), some(WIDE_LINES).map(lambda lines: b"\n".join([WIDE, *lines]))),
    st.tuples(st.just("text/csv"), some(TRIGGER_LINES).map(lambda lines: b"\n".join([TRIGGERS, *lines]))),
)
QUERIES = st.sampled_from(("", "", "?upload=a", "?upload=a&last=1", "?track=barber&chassis=x"))
DATAGRAMS = st.lists(
    st.one_of(
        st.sampled_from(LINES),
        some(LINES).map(b"\n".join),
        some(OBJECTS).map(array),
        some(LINES).map(lambda lines: b"\n".join([HEADER, *lines])),
    ),
    min_size=1,
    max_size=5,
)


class BooksTests(SynchronousTestCase):
    """The answer of ``GET /api/ledger``."""

    def setUp(self) -> None:
        """A server with both live doors."""
        self.begin()

    def begin(self) -> None:
        """A server that has heard nothing."""
        self.server = WebServer(self, max_body=1 << 20, max_inflated=2 << 20)
        self.udp = a_live_intake(self.server.hub, "udp", self.server.reactor)
        self.server.held = lambda: {"udp": self.udp.decoder.joiner.held(), "http": self.server.ingest.held()}

    def books(self) -> Books:
        """The books as they are now."""
        (answer,) = self.server.ask(b"GET /api/ledger HTTP/1.1\r\nHost: h\r\n\r\n")
        return msgspec.json.decode(answer.body, type=Books)

    def line(self, door: str, unit: str) -> DoorLine:
        """A line of the books."""
        (found,) = [line for line in self.books().doors if (line.door, line.unit) == (door, unit)]
        return found

    def assert_exact(self) -> None:
        """Every equation holds."""
        self.assertEqual([str(each) for each in equations(self.books()) if not each.exact], [])

    def send(self, *datagrams: bytes) -> None:
        """Datagrams that come together."""
        received_at = self.server.reactor.seconds()
        self.udp.take(self.udp.decoder.datagrams(datagrams, received_at), received_at)

    def post(self, body: bytes, kind: str, query: str = "", encoding: str = "", turns: int = 3000) -> None:
        """Post something, and look at the books at every turn of the reactor."""
        head = f"POST /api/ingest{query} HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\n"
        if encoding:
            head += f"Content-Encoding: {encoding}\r\n"
        self.server.connect().deliver(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.assert_exact()
        for _ in range(turns):
            if not self.server.ingest.busy:
                break
            self.server.reactor.advance(0.001)
            self.assert_exact()

    @settings(deadline=None, max_examples=150)
    @given(
        st.lists(st.one_of(DATAGRAMS, st.tuples(BODIES, QUERIES, st.booleans()), st.floats(0.001, 2 * UPLOAD_IDLE_S)))
    )
    def test_anything(self, events: list[Any]) -> None:
        """Whatever comes, in whatever form, every row of it is accounted for, and none twice."""
        self.begin()
        Screen(self.server)
        for event in events:
            if isinstance(event, list):
                self.send(*event)
            elif isinstance(event, tuple):
                (kind, body), query, packed = event
                self.post(gzip.compress(body) if packed else body, kind, query, "gzip" if packed else "")
            else:
                self.server.run_for(0.02)
                self.server.reactor.advance(event)
                self.server.ingest.sweep()
            self.assert_exact()
        self.server.run_for(0.2)
        self.server.reactor.advance(2 * UPLOAD_IDLE_S)
        self.server.ingest.sweep()
        self.server.run_for(0.2)
        self.assert_exact()
        self.assertEqual(sum(line.pending for line in self.books().doors), 0)

    def test_lines(self) -> None:
        """A door has a line for points and one for rows, with the reasons of what it refused."""
        self.send(
            A_POINT, b"noise", b"[%b,%b]" % (A_POINT, b"{}"), row(0).json(), row(0).json(), row(0, "rpm", -1.0).json()
        )
        points, rows = self.line("udp", "points"), self.line("udp", "rows")
        self.assertEqual((points.received, points.accepted), (4, 2))
        self.assertEqual(points.refused, {"not_json": 1, "missing_field": 1})
        self.assertEqual((rows.received, rows.accepted, rows.duplicate, rows.pending), (3, 0, 1, 1))
        self.assertEqual(rows.refused, {"out_of_range": 1})
        self.server.run_for(0.1)
        rows = self.line("udp", "rows")
        self.assertEqual((rows.received, rows.accepted, rows.pending), (3, 1, 0))
        self.assertEqual(self.books().ring.published, 3)

    def test_without_time(self) -> None:
        """Rows without any time make way for each other, and for those that have one."""
        untimed = {"telemetry_name": "speed", "telemetry_value": 1.0, "vehicle_id": "a", "track": "barber"}
        timed = {**untimed, "timestamp": iso_utc(self.server.reactor.seconds() + 0.001)}
        self.send(*(json.dumps(each).encode() for each in (timed, untimed, untimed, untimed)))
        self.assert_exact()
        self.server.run_for(0.1)
        self.assert_exact()
        self.assertEqual(self.line("udp", "rows").accepted, 4)

    def test_upload(self) -> None:
        """What an upload holds is pending until it ends."""
        body = b"\n".join([HEADER, row(1).csv(), row(2).csv(), b""])
        self.post(body, "text/csv", "?upload=a")
        self.assertEqual((self.line("http", "rows").accepted, self.line("http", "rows").pending), (0, 2))
        self.server.reactor.advance(2 * UPLOAD_IDLE_S)
        self.server.ingest.sweep()
        self.assert_exact()
        self.server.run_for(0.1)
        self.assertEqual((self.line("http", "rows").accepted, self.line("http", "rows").pending), (2, 0))

    def test_long_bodies(self) -> None:
        """While a long body is under way its rows are pending, and no turn of the reactor sees half of them."""
        rows = [row(n, name) for n in range(2500) for name in ("speed", "nmot")]
        self.post(b"\n".join([HEADER, *(each.csv() for each in rows)]), "text/csv", turns=3)
        books = self.books()
        self.assertEqual(books.http_bodies_under_way, 1)
        self.assertGreater(self.line("http", "rows").pending, 500)
        self.server.run_for(1)
        self.assert_exact()
        self.assertEqual(self.line("http", "rows").accepted, 5000)
        self.post(b"[%b]" % b",".join([A_POINT] * 6000), "application/json")
        self.assertEqual(self.line("http", "points").accepted, 6000)

    def test_broken_off(self) -> None:
        """The rows before the place where a packed body breaks off are points, not lost."""
        packed = gzip.compress(b"\n".join([HEADER, *(row(n).csv() for n in range(3000))]))
        self.post(packed[:-9], "text/csv", "", "gzip")
        self.assertEqual(self.line("http", "rows").pending, 0)
        self.assertGreater(self.line("http", "rows").accepted, 1000)
        self.assertEqual(self.line("http", "rows").accepted, self.books().ring.published)

    def test_clients(self) -> None:
        """A client's line counts from when it joined; what is not sent yet is pending."""
        publish(self.server.hub, 5, door="udp")
        self.server.run_for(0.1)
        healthy, frozen = Screen(self.server), Screen(self.server, room=0)
        self.server.hub.ledger.received["udp"] += 5
        for _ in range(40):
            publish(self.server.hub, 20, padding=500, door="udp")
            self.server.hub.ledger.received["udp"] += 20
            self.assert_exact()
            self.server.run_for(0.2)
            self.assert_exact()
        first, second = self.books().clients
        self.assertEqual((first.id, first.accepted, first.delivered, first.pending), (1, 800, 800, 0))
        self.assertEqual(len(healthy.points()), 800)
        self.assertTrue(first.address.endswith("127.0.0.1:50000"), first.address)
        self.assertGreater(second.pending, 0)
        frozen.read()
        self.server.run_for(0.2)
        _, second = self.books().clients
        self.assertGreater(second.conflated, 0)
        self.assertEqual((second.dropped, second.pending), (0, 0))
        self.assertEqual(second.delivered, len(frozen.points()))
        self.assert_exact()
