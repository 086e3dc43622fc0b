"""The gate: who may ask for what, by REST, by the short way for posts, and by the WebSocket."""

from __future__ import annotations

import json

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from pitwall.keys.key import ADMIN, INGEST, READ, Keys
from pitwall.serve import rest, tickets
from pitwall.serve.attempts import BURST, PAUSE_S
from pitwall.serve.live.websocket import KEY_REMOVED
from pitwall.serve.openapi import CLIENT_FILES, OPERATIONS
from pitwall.serve.rest import RestAPI
from pitwall.serve.tickets import TICKET_S
from tests.doubles import A_POINT, Answer, Screen, WebServer, handshake, publish
from tests.unit.keys.test_key import a_key

TOKENS = {scope: b"pw_" + scope.encode() for scope in (INGEST, READ, ADMIN)}
#: What everyone may have, keys or not: what has nothing of the race in it, and what probes look at.
FOR_EVERYONE = {"index", "client", "dashboard", "docs", "docs_file", "live", "ready"}


class Held:
    """A file of keys that can be changed."""

    def __init__(self, *names: str) -> None:
        self.keep(*names)

    def keep(self, *names: str) -> None:
        """Have the keys of these scopes, each named by its scope."""
        self.value = Keys(a_key(name, TOKENS[name], name) for name in names)


def bearer(scope: str) -> bytes:
    """The line that says the key of a scope."""
    return b"Authorization: Bearer %b\r\n" % TOKENS[scope]


def request(line: str, headers: bytes = b"", body: bytes = b"") -> bytes:
    """A request that is not taken the short way."""
    head = f"{line} HTTP/1.1\r\nHost: wall\r\nContent-Length: {len(body)}\r\n".encode()
    return head + headers + b"\r\n" + body


def post(headers: bytes = b"", *more: bytes) -> bytes:
    """A plain post of a point, such as is taken the short way."""
    head = b"POST /api/ingest HTTP/1.1\r\nHost: wall\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    return head % len(A_POINT) + headers + b"".join(more) + b"\r\n" + A_POINT


class GateCase(SynchronousTestCase):
    """A server that has a key of each scope."""

    def setUp(self) -> None:
        """Start it."""
        self.keys = Held(INGEST, READ, ADMIN)
        self.server = WebServer(self, keys=self.keys)

    def ask(self, data: bytes) -> Answer:
        """The answer to a request."""
        (answer,) = self.server.ask(data)
        return answer

    def status(self, line: str, headers: bytes = b"") -> int:
        """The status of the answer to a request."""
        connection = self.server.connect()
        connection.deliver(request(line, headers))
        return int(connection.flush()[9:12])


class RestTests(GateCase):
    """The REST resources."""

    def test_every_route(self) -> None:
        """Every route wants a key but those for everyone, and takes the keys of its scope and of admin alone."""
        values = {"count": "1", "insight_id": "i1", "name": next(iter(CLIENT_FILES)), "asset": "main.js"}
        seen = set()
        for rule in RestAPI.app.url_map.iter_rules():
            built = rule.build(values, append_unknown=False)
            assert built is not None
            path = built[1]
            for method in rule.methods or ():
                seen.add(rule.endpoint)
                line = f"{method} {path}"
                scope = OPERATIONS[rule.endpoint].scope
                if rule.endpoint in FOR_EVERYONE:
                    self.assertIsNone(scope)
                    self.assertLess(self.status(line), 400)
                    continue
                self.assertIn(scope, (READ, INGEST))
                self.assertEqual(self.status(line), 401, line)
                for key in TOKENS:
                    refused = self.status(line, bearer(key)) == 403
                    self.assertEqual(refused, key not in (scope, ADMIN), (line, key))
        self.assertEqual(seen, set(OPERATIONS))

    def test_forgotten(self) -> None:
        """A route that nobody gave a scope answers nobody, not even where no keys are needed."""
        told = dict(OPERATIONS)
        del told["cars"]
        self.patch(rest, "OPERATIONS", told)
        self.assertEqual(self.status("GET /api/cars", bearer(ADMIN)), 500)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_by_default(self) -> None:
        """A route wants a key that may read unless it says otherwise."""
        self.assertEqual(OPERATIONS["cars"]._field_defaults["scope"], READ)

    def test_disguised(self) -> None:
        """However a path is written, it is the route it leads to that is asked for."""
        for path in ("/api/%63ars", "/api/recent/%31", "/%61pi/ledger", "/api/cars?x=/client/pitwall-client.js"):
            self.assertEqual(self.status(f"GET {path}"), 401, path)
        for path in ("//api/cars", "/client/../api/cars", "/api/cars/", "/client/..%2fapi%2fcars"):
            self.assertIn(self.status(f"GET {path}"), (400, 401, 404), path)

    def test_answers(self) -> None:
        """A refusal is JSON, and says by WWW-Authenticate what is wanted (RFC 6750)."""
        for headers, status, challenge in (
            (b"", 401, 'Bearer realm="pitwall"'),
            (b"Authorization: Bearer pw_wrong\r\n", 401, 'Bearer realm="pitwall", error="invalid_token"'),
            (bearer(INGEST), 403, 'Bearer realm="pitwall", error="insufficient_scope", scope="read"'),
        ):
            answer = self.ask(request("GET /api/cars", headers))
            self.assertEqual((answer.status, answer.headers["www-authenticate"]), (status, challenge))
            self.assertEqual(answer.headers["content-type"], "application/json")
            said = json.loads(answer.body)
            self.assertFalse(said["ok"])
            self.assertNotIn("pw_", said["error"])

    def test_header(self) -> None:
        """The scheme may be written anyhow; another scheme, two keys, or a key with something added are none."""
        for line in (b"authorization: bearer pw_read", b"Authorization:BEARER   pw_read "):
            self.assertEqual(self.status("GET /api/cars", line + b"\r\n"), 200, line)
        for line in (
            b"Authorization: pw_read",
            b"Authorization: Basic cHdfcmVhZA==",
            b"Authorization: Bearer",
            b"Authorization: Bearer pw_read,pw_read",
            b"Authorization: Bearer pw_read x",
            b"Authorization: Bearer pw_rea",
            b"Authorization: Bearer pw_read\r\nAuthorization: Bearer pw_read",
            b"Authorization: Bearer " + b"x" * 300,
        ):
            self.assertEqual(self.status("GET /api/cars", line + b"\r\n"), 401, line)

    def test_not_in_the_address(self) -> None:
        """A key in an address is none: addresses stand in logs."""
        for query in ("key", "ticket", "access_token"):
            self.assertEqual(self.status(f"GET /api/cars?{query}=pw_read"), 401)

    def test_changed_keys(self) -> None:
        """A key that is removed is none from the next request on, over the same connection too; an added one is."""
        connection = self.server.connect()
        connection.deliver(request("GET /api/cars", bearer(READ)))
        self.keys.keep(INGEST)
        connection.deliver(request("GET /api/cars", bearer(READ)))
        self.keys.keep(READ)
        connection.deliver(request("GET /api/cars", bearer(READ)))
        sent = connection.flush()
        self.assertEqual([part[:3] for part in sent.split(b"HTTP/1.1 ")[1:]], [b"200", b"401", b"200"])

    def test_no_keys_in_the_file(self) -> None:
        """A file without keys lets nobody in."""
        self.keys.keep()
        self.assertEqual(self.status("GET /api/cars", bearer(ADMIN)), 401)
        self.assertEqual(self.ask(post(bearer(ADMIN))).status, 401)

    def test_preflight(self) -> None:
        """A browser asks without a key whether it may send one."""
        answer = self.ask(request("OPTIONS /api/cars", b"Origin: http://wall\r\n"))
        self.assertEqual(answer.status, 204)
        self.assertIn("Authorization", answer.headers["access-control-allow-headers"])

    def test_open(self) -> None:
        """Without a keys file nothing is asked of anyone, whatever they say."""
        server = WebServer(self)
        for headers in (b"", b"Authorization: Bearer pw_wrong\r\n"):
            for data in (request("GET /api/cars", headers), post(headers), request("POST /api/ticket", headers)):
                self.assertEqual(server.ask(data)[0].status, 200)
        Screen(server, query=b"?ticket=x").updates()
        self.assertEqual(len(server.broadcaster.clients), 1)


class PostTests(GateCase):
    """The short way for single posts is no way around."""

    def quick(self, data: bytes) -> bytes | None:
        """What the short way answers; None when it leaves it to the ordinary one."""
        assert self.server.site.quick is not None
        return self.server.site.quick(data)

    def test_quick(self) -> None:
        """With a key that may post, a post is answered the short way."""
        for scope in (INGEST, ADMIN):
            answer = self.quick(post(bearer(scope)))
            assert answer is not None
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "))
        self.assertEqual(self.server.hub.last_seq, 2)

    def test_refused(self) -> None:
        """Without one it is left to the ordinary way, which says why, and nothing of it is taken in."""
        for headers, status in (
            (b"", 401),
            (b"Authorization: Bearer pw_wrong\r\n", 401),
            (b"Authorization: Basic pw_ingest\r\n", 401),
            (bearer(READ), 403),
            (bearer(INGEST) * 2, 401),
        ):
            self.assertIsNone(self.quick(post(headers)), headers)
            self.assertEqual(self.ask(post(headers)).status, status, headers)
        self.assertEqual((self.server.hub.last_seq, self.server.hub.ledger.received.total()), (0, 0))

    def test_same(self) -> None:
        """What comes in two pieces goes the ordinary way, with a key as well."""
        data = post(bearer(INGEST))
        (answer,) = self.server.ask(data[:50], data[50:])
        self.assertEqual(answer.status, 200)


class AttemptsTests(GateCase):
    """Wrong keys are limited by address."""

    def wrong(self) -> Answer:
        """The answer to a wrong key."""
        return self.ask(request("GET /api/cars", b"Authorization: Bearer pw_wrong\r\n"))

    def test_limit(self) -> None:
        """After some wrong keys in a row the answer is 429, and says how long to wait; then one more is looked at."""
        self.assertEqual({self.wrong().status for _ in range(BURST)}, {401})
        answer = self.wrong()
        self.assertEqual((answer.status, answer.headers["retry-after"]), (429, str(int(PAUSE_S))))
        self.assertEqual(json.loads(answer.body), {"ok": False, "error": "too many wrong keys from this address"})
        self.server.reactor.advance(PAUSE_S)
        self.assertEqual([self.wrong().status for _ in range(2)], [401, 429])

    def test_right_keys(self) -> None:
        """A right key is let in all the same: one old logger does not shut out those behind its proxy."""
        for _ in range(BURST + 5):
            self.wrong()
        self.assertEqual(self.status("GET /api/cars", bearer(READ)), 200)
        self.assertEqual(self.ask(post(bearer(INGEST))).status, 200)
        self.assertEqual(self.status("GET /api/cars", bearer(INGEST)), 403)

    def test_no_key_is_no_attempt(self) -> None:
        """Who has no key has not tried one."""
        self.assertEqual({self.status("GET /api/cars") for _ in range(BURST + 5)}, {401})
        self.assertEqual(self.wrong().status, 401)

    def test_every_way(self) -> None:
        """Posts, tickets and WebSockets take from the same few."""
        ways = (
            post(b"Authorization: Bearer x\r\n"),
            handshake(path=b"/ws/realtime?ticket=x"),
            request("POST /api/ticket", b"Authorization: x\r\n"),
        )
        for n in range(BURST):
            self.assertEqual(self.ask(ways[n % 3]).status, 401)
        for way in ways:
            self.assertEqual(self.ask(way).status, 429)

    def test_log(self) -> None:
        """The log has a line in ten seconds, with the address and never the key."""
        with capturedLogs() as events:
            for _ in range(BURST + 5):
                self.wrong()
            self.server.reactor.advance(10)
            self.wrong()
        lines = list(map(formatEvent, events))
        self.assertEqual(lines, [f"wrong keys: {count}, the last from 127.0.0.1" for count in (1, BURST + 5)])


class WebSocketTests(GateCase):
    """The WebSocket."""

    def ticket(self, scope: str = READ) -> bytes:
        """A ticket, as the end of an address."""
        answer = self.ask(request("POST /api/ticket", bearer(scope)))
        said = json.loads(answer.body)
        self.assertEqual((said["ok"], said["expires_s"]), (True, TICKET_S))
        ticket: str = said["ticket"]
        return b"?ticket=" + ticket.encode()

    def test_header(self) -> None:
        """A key that may read opens it; any other is answered in JSON in place of the handshake."""
        for scope in (READ, ADMIN):
            self.assertEqual(Screen(self.server, headers=bearer(scope)).answer.status, 101)
        for headers, status in ((b"", 401), (b"Authorization: Bearer x\r\n", 401), (bearer(INGEST), 403)):
            answer = self.ask(handshake(headers))
            self.assertEqual((answer.status, answer.headers["content-type"]), (status, "application/json"))
            self.assertIn("www-authenticate", answer.headers)
        self.assertEqual(len(self.server.broadcaster.clients), 2)

    def test_ticket(self) -> None:
        """A ticket opens it once, within 30 s, beside whatever else the address asks for."""
        ticket = self.ticket()
        screen = Screen(self.server, query=ticket + b"&snapshot=1")
        self.assertEqual((screen.answer.status, screen.messages()[0]["type"]), (101, "snapshot"))
        self.assertEqual(self.ask(handshake(path=b"/ws/realtime" + ticket)).status, 401)
        late = self.ticket()
        self.server.reactor.advance(TICKET_S)
        self.assertEqual(self.ask(handshake(path=b"/ws/realtime" + late)).status, 401)
        twice = self.ticket()
        self.assertEqual(self.ask(handshake(path=b"/ws/realtime" + twice + b"&" + twice[1:])).status, 401)

    def test_ticket_of_a_removed_key(self) -> None:
        """A ticket is worth nothing once its key is removed, and is no key itself."""
        ticket = self.ticket()
        self.assertEqual(self.status("GET /api/cars", b"Authorization: Bearer " + ticket[8:] + b"\r\n"), 401)
        self.keys.keep(ADMIN)
        self.assertEqual(self.ask(handshake(path=b"/ws/realtime" + ticket)).status, 401)

    def test_too_many_tickets(self) -> None:
        """A key that takes tickets and does not use them has to wait."""
        self.patch(tickets, "MOST_OF_A_KEY", 2)
        self.ticket(), self.ticket()
        answer = self.ask(request("POST /api/ticket", bearer(READ)))
        self.assertEqual((answer.status, answer.headers["retry-after"]), (429, str(TICKET_S)))
        self.ticket(ADMIN)

    def test_removed(self) -> None:
        """The connections of a key that is removed, or may not read any more, are closed with 4001; others stay."""
        by_read, by_admin = Screen(self.server, headers=bearer(READ)), Screen(self.server, headers=bearer(ADMIN))
        by_ticket = Screen(self.server, query=self.ticket())
        self.server.factory.turn_out(self.server.gate.holds)
        publish(self.server.hub, 1)
        self.server.run_for(0.1)
        self.assertEqual([len(screen.points()) for screen in (by_read, by_admin, by_ticket)], [1, 1, 1])
        self.keys.keep(ADMIN)
        self.server.factory.turn_out(self.server.gate.holds)
        self.server.run_for(0.1)
        self.assertEqual((by_read.close_code, by_ticket.close_code), (KEY_REMOVED, KEY_REMOVED))
        self.assertIsNone(by_admin.close_code)
        self.assertEqual(len(self.server.broadcaster.clients), 1)

    def test_origin(self) -> None:
        """A page that may not connect may not with a key either, and its ticket is not used up by that."""
        ticket = self.ticket()
        elsewhere = handshake(b"Origin: http://elsewhere.example\r\n", b"/ws/realtime" + ticket)
        self.assertEqual(self.ask(elsewhere).status, 403)
        self.assertEqual(Screen(self.server, query=ticket).answer.status, 101)


class DocumentTests(GateCase):
    """What the server says of itself."""

    def test_openapi(self) -> None:
        """With keys each operation says what its key must be for and how it is refused; without, no key is told of."""
        paths = json.loads(self.server.api._openapi)["paths"]
        for operation in (each for path in paths.values() for each in path.values()):
            scope = OPERATIONS[operation["operationId"]].scope
            self.assertEqual(operation["security"], [] if scope is None else [{"key": [scope]}])
            self.assertEqual({"401", "403", "429"} <= operation["responses"].keys(), scope is not None)
        for path in json.loads(WebServer(self).api._openapi)["paths"].values():
            for operation in path.values():
                self.assertNotIn("security", operation)
                self.assertNotIn("401", operation["responses"])

    def test_asyncapi(self) -> None:
        """With keys the WebSocket says that it wants one, or a ticket."""
        document = json.loads(self.server.api._asyncapi)
        security = document["servers"]["pitwall"]["security"]
        names = [each["$ref"].rpartition("/")[2] for each in security]
        self.assertEqual(names, list(document["components"]["securitySchemes"]))
        self.assertNotIn("security", json.loads(WebServer(self).api._asyncapi)["servers"]["pitwall"])
