"""``POST /api/ingest`` with lines, CSV and gzip, and files in several bodies."""

from __future__ import annotations

import gzip
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.ingest.http import LANES, MOST_UPLOADS, UPLOAD_IDLE_S
from pitwall.wire.longform import COLUMNS
from tests.doubles import A_POINT, WebServer, answers_in
from tests.unit.wire.test_long_rows import CARS, Row

HEADER = ",".join(COLUMNS).encode()
LINES, CSV = "application/x-ndjson", "text/csv"


class FormatsTests(SynchronousTestCase):
    """Every format, through the whole HTTP side."""

    def setUp(self) -> None:
        """A server with small bounds."""
        self.server = WebServer(self, max_body=1 << 20, max_inflated=2 << 20)

    def post(self, body: bytes, kind: str = CSV, query: str = "", encoding: str = "") -> tuple[int, dict[str, Any]]:
        """The status and the answer."""
        connection = self.server.connect()
        head = f"POST /api/ingest{query} HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\n"
        if encoding:
            head += f"Content-Encoding: {encoding}\r\n"
        connection.deliver(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        for _ in range(3000):
            self.server.reactor.advance(0.001)
            if not self.server.ingest.busy:
                break
        (answer,) = answers_in(bytes(connection.flush()))
        return answer.status, json.loads(answer.body)

    def points(self) -> list[dict[str, Any]]:
        """What is in the ring."""
        return [json.loads(raw) for raw in self.server.hub.ring.newest(100_000)]

    def rows(self, first: int, last: int) -> list[bytes]:
        """Lines of the long form: two channels an instant."""
        return [Row(CARS[0], n, name, 1.0).csv() for n in range(first, last) for name in ("speed", "nmot")]

    def test_lines(self) -> None:
        """Lines of JSON: points and rows, blank lines skipped, a bad one told by its number."""
        body = b"\n".join([A_POINT, b"", b'{"track":"barber"}', Row(CARS[0], 1, "speed", 1.0).json(), b"nonsense"])
        status, answer = self.post(body, LINES)
        self.assertEqual((status, answer["accepted"], answer["rejected_total"], answer["rows"]), (200, 2, 2, 4))
        self.assertEqual(
            [(r["index"], r["reason"]) for r in answer["rejected"]], [(2, "missing_field"), (4, "not_json")]
        )
        self.assertEqual(answer["points"], 1)
        self.server.reactor.advance(0.06)
        self.assertEqual(len(self.points()), 2)

    def test_csv(self) -> None:
        """A CSV body is a file: all of its points are out, in order, when the answer comes."""
        lines = self.rows(0, 50)
        status, answer = self.post(b"\r\n".join([HEADER, *reversed(lines), lines[0]]))
        self.assertEqual(status, 200)
        self.assertEqual({**answer, "repairs": None}, {
            "ok": True, "accepted": 100, "rejected": [], "rejected_total": 0, "rows": 101, "duplicates": 1,
            "points": 50, "rejected_by_reason": {}, "repairs": None,
        })  # fmt: skip
        stamps = [point["timestamp"] for point in self.points()]
        self.assertEqual(stamps, sorted(stamps))

    def test_wide_csv(self) -> None:
        """Points under a header, and lines without one; what they lack is in the address."""
        self.assertEqual(self.post(b"chassis,speed\nA,100\nB,900\n", query="?track=barber")[1]["accepted"], 1)
        self.assertEqual(self.post(b"speed\n100\n", query="?track=barber&chassis=C")[0], 200)
        self.assertEqual(self.post(b",barber,D,3,1.5,141.0\n,barber,D,3,,x\n")[1]["rejected"][0]["index"], 1)
        self.assertEqual([point["chassis"] for point in self.points()], ["A", "C", "D"])

    def test_no_telemetry(self) -> None:
        """What is no table of telemetry is refused as a whole; an empty body too."""
        for body in (b"a,b,c\n1,2,3\n", b"", b"\n\n", b"\xff\xfe\n"):
            status, answer = self.post(body)
            self.assertEqual((status, answer["ok"], answer["rejected_total"]), (400, False, 1), body)

    def test_lacking_json(self) -> None:
        """JSON points and rows take what they lack from the address, and what they say themselves comes first."""
        body = json.dumps([{"speed": 100}, {"speed": 101, "track": "cota"}]).encode()
        self.assertEqual(self.post(body, "application/json", "?track=barber&chassis=A")[0], 200)
        self.assertEqual([(p["track"], p["chassis"]) for p in self.points()], [("barber", "A"), ("cota", "A")])

    def test_packed(self) -> None:
        """Gzip is unpacked, for every format; what is broken is 400, another encoding 415."""
        for kind, body in (("application/json", b"[%b]" % A_POINT), (LINES, A_POINT), (CSV, b"track,chassis\nb,A\n")):
            status, answer = self.post(gzip.compress(body), kind, encoding="gzip")
            self.assertEqual((status, answer["accepted"]), (200, 1), kind)
            self.assertEqual(self.post(b"\x1f\x8bnonsense", kind, encoding="gzip")[0], 400)
            self.assertEqual(self.post(gzip.compress(body)[:-9], kind, encoding="gzip")[0], 400)
            self.assertEqual(self.post(body, kind, encoding="br")[0], 415)

    def test_bounds(self) -> None:
        """A text that unpacks to more than MAX_INFLATED, or JSON to more than MAX_BODY, is 413; what came stands."""
        lines = b"\n".join([HEADER, *self.rows(0, 20_000)])
        self.assertGreater(len(lines), 2 << 20)
        status, answer = self.post(gzip.compress(lines), encoding="gzip")
        self.assertEqual((status, "MAX_INFLATED" in answer["error"]), (413, True))
        body = b"[%b]" % b",".join([A_POINT] * 20_000)
        status, answer = self.post(gzip.compress(body), "application/json", encoding="gzip")
        self.assertEqual((status, "MAX_BODY" in answer["error"], len(body) > 1 << 20), (413, True, True))

    def test_lanes(self) -> None:
        """Of many packed bodies a few are unpacked at a time; the others wait as they came, and all are answered."""
        body = gzip.compress(b"[%b]" % b",".join([A_POINT] * 9000))
        head = b"POST /api/ingest HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(
            body
        )
        connections = [self.server.connect() for _ in range(LANES + 4)]
        for connection in connections:
            connection.deliver(head + body)
        self.server.reactor.pump([0.001] * 60)
        self.assertTrue(self.server.hub.last_seq)
        self.assertEqual(self.server.ingest._lanes.tokens, 0)
        self.assertEqual(len(self.server.ingest._lanes.waiting), 4)
        self.server.reactor.pump([0.001] * 3000)
        for connection in connections:
            self.assertEqual([answer.status for answer in answers_in(connection.flush())], [200])
        self.assertEqual(self.server.hub.last_seq, 9000 * len(connections))

    def test_gone(self) -> None:
        """Who leaves before the answer frees no lane that is in use; what had not begun is forgotten."""
        body = gzip.compress(b"[%b]" % b",".join([A_POINT] * 9000))
        head = b"POST /api/ingest HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(
            body
        )
        for _ in range(LANES + 4):
            connection = self.server.connect()
            connection.deliver(head + body)
            self.server.reactor.pump([0.001] * 2)
            connection.hang_up(clean=False)
        self.assertEqual((self.server.ingest._lanes.tokens, self.server.ingest.bodies), (0, LANES))
        self.server.reactor.pump([0.001] * 3000)
        self.assertEqual((self.server.ingest._lanes.tokens, self.server.ingest.bodies), (LANES, 0))
        self.assertEqual(self.server.hub.last_seq, 9000 * LANES)
        self.assertEqual(self.server.site.bodies.held, 0)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_many_refusals(self) -> None:
        """The first hundred refusals are listed, the total and the reasons are of all."""
        rows = [Row(CARS[0], n, "speed", 900.0).csv() for n in range(250)]
        status, answer = self.post(b"\n".join([HEADER, *rows]))
        self.assertEqual((status, len(answer["rejected"]), answer["rejected_total"]), (400, 100, 250))
        self.assertEqual(answer["rejected_by_reason"], {"out_of_range": 250})
        self.assertEqual(answer["rejected"][99]["index"], 99)

    def test_again(self) -> None:
        """A batch of JSON rows that is sent again is nothing but duplicates, and all is well."""
        body = b"[%b]" % b",".join(Row(CARS[0], n, "speed", 1.0).json() for n in range(10))
        self.post(body, "application/json")
        status, answer = self.post(body, "application/json")
        self.assertEqual((status, answer["accepted"], answer["duplicates"]), (200, 0, 10))

    def test_upload(self) -> None:
        """A file in several bodies is one file: instants are joined over their borders and leave in order."""
        lines = self.rows(0, 30)[::-1]
        for start in (0, 7, 14, 21, 28, 35, 42, 49):
            last = "&last=1" if start == 49 else ""
            answer = self.post(
                b"\n".join([HEADER, *lines[start : start + (7 if start < 49 else 99)]]), query=f"?upload=a{last}"
            )[1]
            self.assertEqual(answer["rows"], 7 if not last else 11)
        points = self.points()
        self.assertEqual((len(points), answer["points"]), (30, 30))
        self.assertEqual({(p["speed_kmh"], p["rpm"]) for p in points}, {(1.0, 1.0)})
        self.assertEqual(self.server.ingest.pending, 0)

    def test_upload_left_alone(self) -> None:
        """An upload that nobody goes on with is finished after a minute; there are only so many at a time."""
        for number in range(MOST_UPLOADS):
            self.assertEqual(
                self.post(b"\n".join([HEADER, *self.rows(number, number + 1)]), query=f"?upload={number}")[0], 200
            )
        self.assertEqual(self.post(HEADER, query="?upload=more")[0], 503)
        self.assertEqual((self.points(), self.server.ingest.pending), ([], 2 * MOST_UPLOADS))
        self.server.reactor.advance(UPLOAD_IDLE_S + 1)
        self.server.ingest.sweep()
        self.server.reactor.pump([0.001] * 200)
        self.assertEqual((len(self.points()), self.server.ingest.pending), (MOST_UPLOADS, 0))

    def test_parameters(self) -> None:
        """A parameter that is not known, or can't be, is 400 and said to be so."""
        for query in ("?trak=barber", "?upload=a%2Fb", f"?track={'x' * 65}", "?name=%00", "?chassis=%FF"):
            status, answer = self.post(b"track,chassis\nb,A\n", query=query)
            self.assertEqual((status, answer["ok"]), (400, False), query)
        self.assertEqual(self.points(), [])

    @settings(max_examples=60, deadline=None)
    @given(st.binary(max_size=300), st.sampled_from(("application/json", LINES, CSV)), st.booleans())
    def test_any_bytes(self, body: bytes, kind: str, packed: bool) -> None:
        """Any bytes in any format, packed or not, are answered in JSON, and never by a fault of ours."""
        for content in (body, HEADER + b"\n" + body, b'[{"telemetry_name":' + body):
            encoding = "gzip" if packed else ""
            for sent in (gzip.compress(content), content) if packed else (content,):
                status, answer = self.post(sent, kind, "?upload=u" if kind != "application/json" else "", encoding)
                self.assertIn(status, (200, 400, 413), answer)
                self.assertIn("ok", answer)
