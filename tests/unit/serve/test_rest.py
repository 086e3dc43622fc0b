"""``pitwall.serve.rest``: the REST resources, asked as a program asks them."""

from __future__ import annotations

import json
from typing import Any

from treq.testing import StubTreq
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from pitwall import __version__
from tests.doubles import A_POINT, WebServer, publish


class RestCase(SynchronousTestCase):
    """A server behind treq."""

    def setUp(self) -> None:
        """A server with a ring of 6000 points."""
        self.server = WebServer(self, capacity=6000)
        self.http: Any = StubTreq(self.server.root)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Headers, bytes]:
        """Status, headers and body of the answer; header names have _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.successResultOf(self.http.request(method, f"http://wall:8081{path}", data=body, headers=named))
        return response.code, response.headers, self.successResultOf(self.http.content(response))

    def get(self, path: str) -> Any:
        """The JSON of a good answer."""
        status, headers, body = self.ask("GET", path)
        self.assertEqual(status, 200)
        self.assertEqual(headers.getRawHeaders("content-type"), ["application/json"])
        return json.loads(body)

    def assert_error(self, status: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Headers:
        """The answer is an error in JSON; returns its headers."""
        seen, answered, content = self.ask(method, path, body, **headers)
        self.assertEqual(seen, status, (method, path))
        self.assertEqual(answered.getRawHeaders("content-type"), ["application/json"])
        self.assertEqual(json.loads(content)["ok"], False)
        self.assertTrue(json.loads(content)["error"])
        self.assertNotIn(b"<", content)
        return answered


class HealthAnswerTests(RestCase):
    """``GET /api/health``."""

    def test_well(self) -> None:
        """A server that is well answers 200 with what it knows."""
        self.assertEqual(self.get("/api/health"), {"ok": True})

    def test_not_well(self) -> None:
        """One that is not answers 503, with the same figures."""
        self.server.well = False
        status, _, body = self.ask("GET", "/api/health")
        self.assertEqual((status, json.loads(body)), (503, {"ok": False}))

    def test_fault(self) -> None:
        """A fault of ours is a 500 in JSON that tells nothing of its inside, and stands in the log."""

        def fault() -> tuple[bool, dict[str, Any]]:
            raise RuntimeError("secret")

        self.server.api._health = fault
        headers = self.assert_error(500, "GET", "/api/health")
        self.assertIsNone(headers.getRawHeaders("server"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class RecentTests(RestCase):
    """``GET /api/recent/:n``."""

    def test_oldest_first(self) -> None:
        """The last points come oldest first, as they were sent, with their numbers."""
        raws = publish(self.server.hub, 10)
        answer = self.get("/api/recent/3")
        self.assertEqual(answer["recent"], list(map(json.loads, raws[-3:])))
        self.assertEqual((answer["first_seq"], answer["last_seq"], answer["epoch"]), (8, 10, "abcd"))
        self.assertEqual(set(answer), {"recent", "first_seq", "last_seq", "epoch"})

    def test_fewer_than_asked_for(self) -> None:
        """Who asks for more than there are gets those there are."""
        publish(self.server.hub, 2)
        self.assertEqual([point["rpm"] for point in self.get("/api/recent/100")["recent"]], [1, 2])

    def test_at_most_5000(self) -> None:
        """No answer holds more than 5000."""
        publish(self.server.hub, 7000)
        for asked in ("5001", "1000000000", "9" * 18, "9" * 5000):
            answer = self.get(f"/api/recent/{asked}")
            self.assertEqual((len(answer["recent"]), answer["first_seq"], answer["last_seq"]), (5000, 2001, 7000))

    def test_none(self) -> None:
        """None, where there are none or none are asked for: the next point would be the first."""
        self.assertEqual(self.get("/api/recent/5"), {"recent": [], "first_seq": 1, "last_seq": 0, "epoch": "abcd"})
        publish(self.server.hub, 4)
        self.assertEqual(self.get("/api/recent/0"), {"recent": [], "first_seq": 5, "last_seq": 4, "epoch": "abcd"})

    def test_no_number(self) -> None:
        """Anything but a whole number is refused, and shown escaped and shortened."""
        for count in ("-1", "1.5", "ten", "1e3", "0x10", "%20", "+5", "%D9%A3", "%22%7D"):
            self.assert_error(400, "GET", f"/api/recent/{count}")
        _, _, body = self.ask("GET", f"/api/recent/{'x' * 5000}")
        self.assertLess(len(body), 200)

    def test_percent_encoded_digits(self) -> None:
        """A number is one however it is encoded."""
        publish(self.server.hub, 3)
        self.assertEqual(len(self.get("/api/recent/%32")["recent"]), 2)


class IndexTests(RestCase):
    """``GET /``."""

    def test_says_what_it_is(self) -> None:
        """The root tells a newcomer what runs here and where to look."""
        answer = self.get("/")
        self.assertEqual((answer["name"], answer["version"]), ("pitwall", __version__))
        for path in answer["paths"]:
            self.assertNotEqual(self.ask("GET", path)[0], 404, path)


class WrongRequestTests(RestCase):
    """What is asked in a wrong way is answered in JSON, with the status that says what was wrong."""

    def test_no_such_path(self) -> None:
        """404 for what is not there, its look-alikes included."""
        for path in ("/nowhere", "/api", "/api/", "/api/health/", "/api/healthz", "/API/health", "/api/recent", "/%00"):
            self.assert_error(404, "GET", path)
        for path in ("/api/recent/5/", "/api/recent/5/6", "/api/recent/5%2F6", "/api/recent/"):
            self.assert_error(404, "GET", path)

    def test_odd_paths(self) -> None:
        """Dots, double slashes and queries make no error of the server's and no page."""
        for path in ("/../../etc/passwd", "//api/health", "/./api/health", "/api//health", "/;", "/%2e%2e/"):
            status, headers, body = self.ask("GET", path)
            self.assertIn(status, (200, 400, 404), path)
            self.assertEqual(headers.getRawHeaders("content-type"), ["application/json"])
            json.loads(body)
        self.assertEqual(self.get("/api/health?verbose=1&x=%ff"), {"ok": True})

    def test_not_utf8(self) -> None:
        """400 for a path that is no text."""
        self.assert_error(400, "GET", "/api/%ff%fe")
        self.assert_error(400, "GET", "/%C3%28")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_odd_hosts(self) -> None:
        """A Host header that no name server would know is no reason to fail."""
        for host in ("", "x" * 300, "a..b", "[::1]:8081", "[::1", "wall:99999", "über.local", ".", "xn--a"):
            status, headers, body = self.ask("GET", "/api/health", Host=host)
            self.assertIn(status, (200, 400), host)
            self.assertEqual(headers.getRawHeaders("content-type"), ["application/json"])
            json.loads(body)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_method(self) -> None:
        """405 for what a path is not made for, with what it is made for."""
        for method, path, allowed in (
            ("POST", "/api/health", "GET, HEAD, OPTIONS"),
            ("DELETE", "/api/recent/5", "GET, HEAD, OPTIONS"),
            ("PUT", "/", "GET, HEAD, OPTIONS"),
            ("GET", "/api/ingest", "OPTIONS, POST"),
            ("PROPFIND", "/api/ingest", "OPTIONS, POST"),
            ("POST", "/ws/realtime", "GET"),
        ):
            headers = self.assert_error(405, method, path)
            self.assertEqual(headers.getRawHeaders("allow"), [allowed], (method, path))

    def test_options(self) -> None:
        """OPTIONS says what a path is made for; of one that leads nowhere, what any is."""
        for path, allowed in (
            ("/api/health", "GET, HEAD, OPTIONS"),
            ("/api/recent/5?x=1", "GET, HEAD, OPTIONS"),
            ("/api/insights/%ff", "GET, HEAD, OPTIONS"),
            ("/api/ingest", "OPTIONS, POST"),
            ("/ws/realtime", "GET, OPTIONS"),
            ("/nowhere", "GET, HEAD, OPTIONS, POST"),
            ("*", "GET, HEAD, OPTIONS, POST"),
        ):
            (answer,) = self.server.ask(f"OPTIONS {path} HTTP/1.1\r\nHost: wall:8081\r\n\r\n".encode())
            self.assertEqual((answer.status, answer.headers["allow"], answer.body), (204, allowed, b""), path)

    def test_media_type(self) -> None:
        """415 for a body that is said to be neither JSON nor CSV; the type may have parameters, or be left out."""
        for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/ndjson", "json", "/"):
            self.assert_error(415, "POST", "/api/ingest", A_POINT, Content_Type=media_type)
        self.assertEqual(self.server.hub.last_seq, 0)
        for media_type in ("application/json", "Application/JSON; charset=utf-8"):
            self.assertEqual(self.ask("POST", "/api/ingest", A_POINT, Content_Type=media_type)[0], 200)
        self.assertEqual(self.ask("POST", "/api/ingest", A_POINT)[0], 200)


class IngestAnswerTests(RestCase):
    """``POST /api/ingest`` as a whole; `tests.unit.ingest.test_http` has the rows."""

    def test_taken(self) -> None:
        """A point that is posted is in the ring, and is broadcast like any other."""
        status, _, body = self.ask("POST", "/api/ingest", A_POINT)
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(body), {"ok": True, "accepted": 1, "rejected": [], "rejected_total": 0})
        self.server.run_for(0.02)
        self.assertEqual(self.server.hub.ledger.messages_broadcast, 1)
        self.assertEqual(self.get("/api/recent/1")["recent"], [json.loads(A_POINT)])

    def test_not_taken(self) -> None:
        """When nothing was acceptable the status is 400, with the reason."""
        status, headers, body = self.ask("POST", "/api/ingest", b'{"track":"barber"}')
        self.assertEqual(status, 400)
        self.assertEqual(headers.getRawHeaders("content-type"), ["application/json"])
        answer = json.loads(body)
        self.assertEqual((answer["ok"], answer["accepted"], answer["rejected_total"]), (False, 0, 1))
        (row,) = answer["rejected"]
        self.assertEqual((row["index"], row["field"], row["reason"]), (0, "chassis", "missing_field"))


class CrossOriginTests(RestCase):
    """Pages that may use the server can read what it answers."""

    def allowed(self, origin: str, method: str = "GET", path: str = "/api/health") -> str | None:
        """What the answer says about the origin."""
        _, headers, _ = self.ask(method, path, Origin=origin)
        self.assertEqual(headers.getRawHeaders("vary"), ["Origin"])
        found = headers.getRawHeaders("access-control-allow-origin")
        return None if found is None else found[0]

    def test_own_pages(self) -> None:
        """A page of the same host or of localhost is named in the answer, an error's too."""
        for origin in ("http://wall:3000", "http://localhost:5173"):
            for path in ("/api/health", "/nowhere"):
                self.assertEqual(self.allowed(origin, path=path), origin)

    def test_foreign_pages(self) -> None:
        """A page from elsewhere gets its answer without leave to read it."""
        self.assertIsNone(self.allowed("http://evil.example"))
        self.assertIsNone(self.allowed("null"))

    def test_no_page(self) -> None:
        """A program that sends no Origin is not told about origins."""
        _, headers, _ = self.ask("GET", "/api/health")
        self.assertIsNone(headers.getRawHeaders("access-control-allow-origin"))

    def test_preflight(self) -> None:
        """A browser that asks before it posts JSON is told that it may: 204."""
        status, headers, body = self.ask(
            "OPTIONS",
            "/api/ingest",
            Origin="http://localhost:5173",
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="content-type",
        )
        self.assertEqual((status, body), (204, b""))
        self.assertEqual(headers.getRawHeaders("access-control-allow-origin"), ["http://localhost:5173"])
        (methods,) = headers.getRawHeaders("access-control-allow-methods", [])
        (named,) = headers.getRawHeaders("access-control-allow-headers", [])
        self.assertIn("POST", methods)
        self.assertIn("content-type", named.lower())
        self.assertIsNone(self.allowed("http://evil.example", "OPTIONS"))


class ForeignPostTests(RestCase):
    """Pages that may not use the server can't change anything by a visitor's browser."""

    def post(self, path: str = "/api/ingest", method: str = "POST", **headers: str) -> int:
        """Post a point; the status."""
        before = self.server.hub.last_seq
        status, _, body = self.ask(method, path, A_POINT, **headers)
        answer = json.loads(body)
        if status == 403:
            self.assertEqual(answer, {"ok": False, "error": "pages from this origin may not post; see ALLOWED_ORIGINS"})
            self.assertEqual(self.server.hub.last_seq, before)
        return status

    def test_foreign(self) -> None:
        """Whatever the type of the body, and wherever it goes: 403 in JSON, and nothing is taken in."""
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": "http://evil.example", "Sec_Fetch_Site": "same-origin"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": " Cross-Site "},
        ):
            for kind in ({}, {"Content_Type": "text/plain"}, {"Content_Type": "application/json"}):
                self.assertEqual(self.post(**headers, **kind), 403, (headers, kind))
            for path in ("/api/ticket", "/api/health", "/nowhere", "/ws/realtime"):
                self.assertEqual(self.post(path, **headers), 403, (headers, path))
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "MADEUP"):
            self.assertEqual(self.post(method=method, Origin="http://evil.example"), 403)

    def test_own(self) -> None:
        """A page of the same host or of localhost may, and a program, which says nothing of where it is from."""
        for headers in (
            {},
            {"Origin": "http://wall:3000"},
            {"Origin": "http://localhost:5173", "Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-origin"},
            {"Sec_Fetch_Site": "none"},
        ):
            self.assertEqual(self.post(**headers), 200, headers)
            self.assertEqual(self.post("/api/ticket", **headers), 200, headers)

    def test_reading(self) -> None:
        """What changes nothing is answered as before: the browser keeps the answer from the page."""
        for method in ("GET", "HEAD", "OPTIONS"):
            status, _, _ = self.ask(method, "/api/health", Origin="http://evil.example", Sec_Fetch_Site="cross-site")
            self.assertIn(status, (200, 204))


class HeaderTests(RestCase):
    """Headers that every answer has."""

    def test_every_answer(self) -> None:
        """No answer is cached or sniffed, and none says what the server is made of."""
        for method, path in (("GET", "/api/health"), ("GET", "/nowhere"), ("POST", "/"), ("OPTIONS", "/")):
            _, headers, _ = self.ask(method, path)
            self.assertEqual(headers.getRawHeaders("cache-control"), ["no-store"])
            self.assertEqual(headers.getRawHeaders("x-content-type-options"), ["nosniff"])
            self.assertIsNone(headers.getRawHeaders("server"))

    def test_head(self) -> None:
        """HEAD has GET's headers and no body."""
        publish(self.server.hub, 3)
        for path in ("/", "/api/health", "/api/recent/2"):
            status, _, body = self.ask("HEAD", path)
            self.assertEqual((status, body), (200, b""), path)


class ClientFileTests(RestCase):
    """``GET /client/…``: the browser client."""

    def test_served(self) -> None:
        """A page imports the module from the server it watches; its types are beside it."""
        for name, kind in (("pitwall-client.js", "text/javascript"), ("pitwall-client.d.ts", "text/plain")):
            status, headers, body = self.ask("GET", f"/client/{name}")
            self.assertEqual(status, 200)
            self.assertEqual(headers.getRawHeaders("content-type"), [f"{kind}; charset=utf-8"])
            self.assertEqual(headers.getRawHeaders("x-content-type-options"), ["nosniff"])
            self.assertIn(b"class PitWallClient", body)

    def test_nothing_else(self) -> None:
        """No other file is to be had."""
        for name in ("", "x.js", "..%2Frest.py", "%2e%2e%2frest.py", "../rest.py"):
            self.assert_error(404, "GET", f"/client/{name}")
        self.assert_error(405, "POST", "/client/pitwall-client.js", b"")
