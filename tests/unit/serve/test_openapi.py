"""``GET /api/openapi.json``: the document is right, whole, and what the server does."""

from __future__ import annotations

import gzip
import json
from typing import Any

from openapi_spec_validator import validate
from treq.testing import StubTreq
from twisted.trial.unittest import SynchronousTestCase

from pitwall import __version__
from pitwall.contract.parameters import INGEST, Parameter
from pitwall.contract.point import Point as ToldPoint
from pitwall.ingest import http
from pitwall.model.channels import CHANNELS
from pitwall.model.point import Point
from pitwall.serve import openapi, page, tables
from pitwall.serve.openapi import CLIENT_FILES, OPERATIONS
from pitwall.serve.rest import RestAPI
from pitwall.serve.tables import Asked
from tests.doubles import A_POINT, WebServer, publish
from tests.schemas import Strict, nodes, resolved, untold
from tests.unit.race.insight_cars import START_MS, a_car, a_pace
from tests.unit.serve.races import ARace
from tests.unit.serve.test_tables import a_lap

JSON = {"Content-Type": "application/json"}


class OpenAPICase(SynchronousTestCase):
    """A server with a little of everything, behind treq, and its document."""

    def setUp(self) -> None:
        """A lap, an insight, some points."""
        self.race = ARace()
        self.server = WebServer(self, capacity=6000, max_body=4096, race=self.race)
        self.http: Any = StubTreq(self.server.root)
        publish(self.server.hub, 50)
        self.race.driven = {("barber", "GR86-004-78"): [a_lap(1, 105.0, marks=("first",)), a_lap(2, 98.4)]}
        self.race.insights.tick("barber", START_MS, [a_car(pace=a_pace(0.05), first_seq=1, last_seq=50, points=50)])
        self.document = json.loads(self.ask("GET", "/api/openapi.json")[2])
        self.strict = Strict(self.document)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, bytes]:
        """Status, media type and body of the answer."""
        request = self.http.request(method, f"http://wall:8081{path}", data=body, headers=headers or {})
        self.server.run_for(0.02)  # packed bodies are taken in slices
        self.http.flush()
        response = self.successResultOf(request)
        (media_type,) = response.headers.getRawHeaders("content-type", [""])
        return response.code, media_type.partition(";")[0], self.successResultOf(self.http.content(response))


class DocumentTests(OpenAPICase):
    """The document by itself."""

    def test_valid(self) -> None:
        """It is a document of OpenAPI 3.1, of this version of PitWall, and every reference leads somewhere."""
        validate(self.document)
        self.assertEqual((self.document["openapi"], self.document["info"]["version"]), ("3.1.0", __version__))
        for node in nodes(self.document):
            if "$ref" in node:
                self.assertEqual(len(node), 1)
                resolved(self.document, node["$ref"])

    def test_when_asked(self) -> None:
        """It is made when it is first asked for, and once."""
        server = WebServer(self)
        self.assertNotIn("_openapi", vars(server.api))
        client: Any = StubTreq(server.root)
        self.successResultOf(client.get("http://wall:8081/api/openapi.json"))
        self.assertIs(server.api._openapi, server.api._openapi)
        self.assertEqual(json.loads(server.api._openapi), self.document)

    def test_every_route(self) -> None:
        """Every route of the server is told of, with each of its methods and its variables, and no other is."""
        rules = list(RestAPI.app.url_map.iter_rules())
        self.assertEqual({rule.endpoint for rule in rules}, set(OPERATIONS))
        told = {
            (operation["operationId"], method)
            for path in self.document["paths"].values()
            for method, operation in path.items()
        }
        self.assertEqual(
            told,
            {(rule.endpoint, method.lower()) for rule in rules for method in rule.methods or () if method != "HEAD"},
        )
        for rule in rules:
            self.assertEqual({each.name for each in OPERATIONS[rule.endpoint].path}, set(rule.arguments))

    def test_forgotten(self) -> None:
        """A route that nobody told of is no document, but an error."""
        rules = list(RestAPI.app.url_map.iter_rules())
        told = dict(OPERATIONS)
        del told["cars"]
        self.patch(openapi, "OPERATIONS", told)
        self.assertRaises(KeyError, openapi.document, rules, RestAPI)

    def test_words(self) -> None:
        """Every operation, parameter and answer, and every definition of ours, is told in words."""
        for path in self.document["paths"].values():
            for operation in path.values():
                self.assertTrue(operation["summary"].strip())
                for each in (*operation.get("parameters", ()), *operation["responses"].values()):
                    self.assertTrue(each["description"])
            self.assertLessEqual({tag for each in path.values() for tag in each["tags"]}, set(openapi.TAGS))
        for name, schema in self.document["components"]["schemas"].items():
            self.assertTrue(schema.get("description"), name)
        self.assertEqual(list(untold(self.document["components"]["schemas"])), [])

    def test_examples(self) -> None:
        """Every answer of ours is shown by an example, which is as its schema has it."""
        shown = [node for node in nodes(self.document["paths"]) if "example" in node and "schema" in node]
        named = [(node["schema"]["$ref"].rpartition("/")[2], node) for node in shown if "$ref" in node["schema"]]
        structs = {each.__name__ for each in openapi._structs()}
        self.assertEqual({name for name, _ in named}, structs)
        for name, node in named:
            self.assertEqual(self.strict.faults(name, node["example"]), [], name)

    def test_headers(self) -> None:
        """Where keys are needed, the refusals tell of the headers that they have."""
        rules = RestAPI.app.url_map.iter_rules()
        answers = openapi.document(rules, RestAPI, locked=True)["paths"]["/api/cars"]["get"]["responses"]
        self.assertEqual(list(answers["429"]["headers"]), ["Retry-After"])
        self.assertEqual(list(answers["401"]["headers"]), ["WWW-Authenticate"])
        self.assertNotIn("headers", answers["200"])

    def test_index(self) -> None:
        """The index names every resource that can be got, and all that it names is told of."""
        paths = {path for path, told in self.document["paths"].items() if path.startswith("/api/") and "get" in told}
        named = set(json.loads(self.ask("GET", "/")[2])["paths"])
        self.assertEqual(named - paths, {"/api/recent/100", "/api/ingest", "/api/ticket", "/docs"})
        self.assertEqual(paths - named, {"/api/recent/{count}", "/api/insights/{insight_id}"})

    def test_channels(self) -> None:
        """A point is told by the catalogue: each channel with its unit and range, and all that we read of a point."""
        for name, optional in (("Point", False), ("SentPoint", True)):
            properties = self.document["components"]["schemas"][name]["properties"]
            for channel in CHANNELS.values():
                for each in (channel.name, *channel.aliases) if optional else (channel.name,):
                    told = properties[each]
                    number = told["anyOf"][0] if optional else told
                    self.assertEqual((number["minimum"], number["maximum"]), (channel.low, channel.high), each)
                    self.assertEqual(number["type"], "integer" if channel.integer else "number")
                    self.assertEqual(told.get("x-unit", ""), channel.unit)
        self.assertEqual(set(ToldPoint.__struct_fields__), {*Point.__struct_fields__, "raw_source"})


class Recorder(Asked):
    """Remembers which parameters were looked at."""

    def __init__(self, arguments: dict[bytes, list[bytes]]) -> None:
        super().__init__(arguments)
        self.seen: set[Parameter] = set()

    def text(self, parameter: Parameter) -> str | None:
        """Note it, and answer."""
        self.seen.add(parameter)
        return super().text(parameter)


class ParameterTests(OpenAPICase):
    """What is told of parameters is what is read."""

    def test_tables(self) -> None:
        """Each table looks at the parameters that are told of it, and at no other."""
        ring = self.server.hub.ring
        answers = {
            "laps": lambda asked: tables.laps(self.race, asked),
            "gaps": lambda asked: tables.gaps(self.race, asked),
            "score": lambda asked: tables.score(self.race, asked),
            "insights": lambda asked: tables.insights(self.race, asked),
            "insight": lambda asked: tables.insight(self.race, ring, "i1", asked),
        }
        of_tables = {name for name, operation in OPERATIONS.items() if tables.FORMAT in operation.query}
        self.assertEqual(of_tables, set(answers))
        for name, answer in answers.items():
            asked = Recorder({})
            tables.render(asked, answer)
            self.assertEqual(asked.seen, set(OPERATIONS[name].query), name)

    def test_no_other(self) -> None:
        """Nothing else is asked with a query, but a post, which refuses any parameter that is not told of."""
        others = {name for name, each in OPERATIONS.items() if each.query and tables.FORMAT not in each.query}
        self.assertEqual(others, {"ingest"})
        for parameter in INGEST:
            self.assertEqual(self.ask("POST", f"/api/ingest?{parameter.name}=", A_POINT, JSON)[0], 200)
            for longest in (parameter.longest, (parameter.longest or 0) + 1):
                status, _, body = self.ask(
                    "POST", f"/api/ingest?{parameter.name}={'x' * (longest or 0)}", A_POINT, JSON
                )
                self.assertEqual(status, 200 if longest == parameter.longest else 400, body)
        self.assertEqual(self.ask("POST", "/api/ingest?colour=red", A_POINT, JSON)[0], 400)

    def test_bodies(self) -> None:
        """The types of body that are told of are those that are taken."""
        taken = {media_type.decode() for media_type in (http.JSON, http.LINES, http.CSV)}
        self.assertEqual(set(OPERATIONS["ingest"].body or ()), taken)

    def test_counts(self) -> None:
        """A count is taken from the least that its schema has, and a larger one than there can be for the most."""
        for parameter in (tables.NEWEST_LAPS, openapi.COUNT):
            schema = parameter.schema()
            self.assertEqual(parameter.whole(str(schema["minimum"])), 0)
            self.assertIsNone(parameter.whole(str(schema["minimum"] - 1)))
            for text, count in (("0007", 7), ("9" * 18, parameter.most), ("1" + "0" * 10_000, parameter.most)):
                self.assertEqual(parameter.whole(text), count, text[:20])
            self.assertEqual(parameter.whole("0" * 10_000), 0)


class AnswerTests(OpenAPICase):
    """Every kind of answer is one that the document tells of."""

    def check(
        self, status: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> str:
        """Ask, and hold the answer against the document; returns which status of which operation it was."""
        seen, media_type, content = self.ask(method, path, body, headers)
        self.assertEqual(seen, status, (path, content))
        endpoint, _ = RestAPI.app.url_map.bind("").match(path.partition("?")[0], method)
        (operation,) = (
            each
            for told in self.document["paths"].values()
            for each in told.values()
            if each["operationId"] == endpoint
        )
        schema = operation["responses"][str(status)]["content"][media_type]["schema"]
        if media_type == "application/json":
            value = json.loads(content)
            names = [each["$ref"].rpartition("/")[2] for each in nodes(schema) if "$ref" in each]
            faults = [self.strict.faults(name, value) for name in names]
            self.assertIn([], faults or [[]], (path, content[:300]))
        return f"{endpoint} {status}"

    def test_every_answer(self) -> None:
        """Each status that is told of is answered somewhere, in a type and a form that are told of."""
        post = "/api/ingest"
        csv = {"Content-Type": "text/csv"}
        lines = {"Content-Type": "application/x-ndjson"}
        seen = {
            self.check(200, "GET", "/"),
            self.check(200, "GET", "/", None, {"Accept": "text/html"}),
            self.check(200, "GET", "/api/ledger"),
            self.check(200, "GET", "/api/live"),
            self.check(200, "GET", "/api/ready"),
            self.check(200, "GET", "/metrics"),
            self.check(200, "GET", "/metrics", None, {"Accept": "application/openmetrics-text;version=1.0.0"}),
            self.check(200, "GET", "/api/recent/7"),
            self.check(200, "GET", "/api/recent/0"),
            self.check(400, "GET", "/api/recent/x"),
            self.check(200, "GET", "/api/cars"),
            self.check(200, "GET", "/api/laps?track=barber"),
            self.check(200, "GET", "/api/laps", None, {"Accept": "text/csv"}),
            self.check(400, "GET", "/api/laps?limit=ten"),
            self.check(406, "GET", "/api/laps", None, {"Accept": "text/html"}),
            self.check(200, "GET", "/api/gaps"),
            self.check(400, "GET", "/api/gaps?format=xml"),
            self.check(406, "GET", "/api/gaps", None, {"Accept": "text/html"}),
            self.check(200, "GET", "/api/score"),
            self.check(400, "GET", "/api/score?format=xml"),
            self.check(406, "GET", "/api/score", None, {"Accept": "text/html"}),
            self.check(200, "GET", "/api/insights?type=tire_wear"),
            self.check(400, "GET", "/api/insights?type=rain"),
            self.check(406, "GET", "/api/insights", None, {"Accept": "text/html"}),
            self.check(200, "GET", "/api/insights/i1"),
            self.check(400, "GET", "/api/insights/i1?format=xml"),
            self.check(404, "GET", "/api/insights/i99"),
            self.check(406, "GET", "/api/insights/i1", None, {"Accept": "text/html"}),
            self.check(200, "POST", post, A_POINT, JSON),
            self.check(200, "POST", post, b"[" + A_POINT + b',{"lap":1}]', JSON),
            self.check(200, "POST", post, A_POINT + b"\n" + A_POINT, lines),
            self.check(200, "POST", post, b",barber,GR86-004-78,3,,141.0", csv),
            self.check(400, "POST", post, b'{"track":"barber"}', JSON),
            self.check(400, "POST", post + "?colour=red", A_POINT, JSON),
            self.check(400, "POST", post, b"noise", {**lines, "Content-Encoding": "gzip"}),
            self.check(413, "POST", post, gzip.compress(b" " * 5000), {**JSON, "Content-Encoding": "gzip"}),
            self.check(415, "POST", post, A_POINT, {"Content-Type": "image/png"}),
            *(self.check(200, "GET", f"/client/{name}") for name in CLIENT_FILES),
            self.check(404, "GET", "/client/other.js"),
            *(self.check(200, "GET", f"/dashboard/{name}") for name in page.names()),
            self.check(404, "GET", "/dashboard/other.js"),
            self.check(200, "GET", "/docs"),
            *(self.check(200, "GET", f"/docs/{name}") for name in page.names(page.REFERENCE)),
            self.check(404, "GET", "/docs/other.js"),
            self.check(200, "POST", "/api/ticket"),
            self.check(403, "POST", "/api/ticket", None, {"Origin": "http://evil.example"}),
            self.check(403, "POST", post, A_POINT, {"Origin": "null"}),
            self.check(200, "GET", "/api/openapi.json"),
            self.check(200, "GET", "/api/asyncapi.json"),
        }
        self.server.running = False
        seen.add(self.check(503, "GET", "/api/ready"))
        seen.add(self.check(503, "POST", post, A_POINT, JSON))
        self.server.api._metrics = None  # another port has them
        seen.add(self.check(404, "GET", "/metrics"))
        told = {
            f"{operation['operationId']} {status}"
            for path in self.document["paths"].values()
            for operation in path.values()
            for status in operation["responses"]
        }
        # What else is told: see the tests of the site, uploads, health with real figures, and the plotting library.
        site = {f"{endpoint} {status}" for endpoint in OPERATIONS for status in (400, 413, 503)}
        self.assertEqual(told - seen - site, {"health 200", "ingest 409", "dashboard 406"})
