"""``GET /api/asyncapi.json``: the document is right, and so is every message that is shown anywhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jsonschema_rs import Draft7Validator, Draft202012Validator
from treq.testing import StubTreq
from twisted.trial.unittest import SynchronousTestCase

from pitwall import __version__
from pitwall.contract import asyncapi, messages
from pitwall.contract.messages import CLIENT_SENDS, CLOSE_CODES, PACKED, REFUSALS, SERVER_SENDS
from pitwall.serve.live import websocket
from pitwall.serve.live.joining import asked_by, wanted_by
from pitwall.serve.live.subscription import AskError
from tests.doubles import WebServer
from tests.schemas import Strict, nodes, resolved, untold

ROOT = Path(__file__).parents[3]


def by_name(document: dict[str, Any]) -> dict[str, str]:
    """The schema of each type of message that is JSON."""
    return {
        told["name"]: told["payload"]["$ref"].rpartition("/")[2]
        for told in document["components"]["messages"].values()
        if told["contentType"] == "application/json"
    }


class DocumentTests(SynchronousTestCase):
    """The document by itself: AsyncAPI's own schema is in no Python package, so what it asks is checked here."""

    def setUp(self) -> None:
        """The document, as it is served."""
        client: Any = StubTreq(WebServer(self).root)
        response = self.successResultOf(client.get("http://wall:8081/api/asyncapi.json"))
        self.assertEqual(response.headers.getRawHeaders("content-type"), ["application/json"])
        self.document = self.successResultOf(response.json())

    def test_whole(self) -> None:
        """It has what AsyncAPI 3.0 wants, and every reference leads somewhere."""
        self.assertEqual(self.document["asyncapi"], "3.0.0")
        self.assertEqual(self.document["info"]["version"], __version__)
        known = {"asyncapi", "info", "defaultContentType", "servers", "channels", "operations", "components"}
        self.assertEqual(set(self.document), known)
        for server in self.document["servers"].values():
            self.assertLessEqual({"host", "protocol"}, set(server))
        for node in nodes(self.document):
            if isinstance(node.get("$ref"), str):
                self.assertEqual(len(node), 1)
                resolved(self.document, node["$ref"])

    def test_operations(self) -> None:
        """Every message is sent or received by an operation, over a channel that has it."""
        (channel,) = self.document["channels"].values()
        carried = set()
        for operation in self.document["operations"].values():
            self.assertIn(operation["action"], ("send", "receive"))
            self.assertIs(resolved(self.document, operation["channel"]["$ref"]), channel)
            for told in (*operation["messages"], *operation.get("reply", {}).get("messages", ())):
                # A message of an operation is one of its channel's, not of the components.
                self.assertRegex(told["$ref"], "^#/channels/realtime/messages/")
                carried.add(told["$ref"].rpartition("/")[2])
        self.assertEqual(carried, set(channel["messages"]))
        self.assertEqual(carried, {type_.__name__ for type_ in (*SERVER_SENDS, *CLIENT_SENDS)})
        self.assertEqual(carried, set(self.document["components"]["messages"]))

    def test_messages(self) -> None:
        """Each message has a schema of its own, which tells its type; those in MessagePack say so."""
        for name, told in self.document["components"]["messages"].items():
            schema = resolved(self.document, told["payload"]["$ref"])
            self.assertEqual(schema["properties"]["type"]["enum"], [told["name"]])
            self.assertIn("type", schema["required"])
            self.assertTrue(told["summary"])
            self.assertTrue(told["description"])
            (example,) = told["examples"]
            self.assertEqual(Strict(self.document).faults(name, example["payload"]), [], name)
            packed = name in {type_.__name__ for type_ in PACKED}
            self.assertEqual(told["contentType"], "application/msgpack" if packed else "application/json")
        self.assertEqual(set(messages.SUBSCRIBABLE) - set(by_name(self.document)), set())

    def test_schemas(self) -> None:
        """Schemas are such by draft 7, which AsyncAPI reads, and by draft 2020-12; none of them is idle."""
        query = self.document["channels"]["realtime"]["bindings"]["ws"]["query"]
        schemas = self.document["components"]["schemas"]
        for schema in (query, *schemas.values()):
            whole = {**schema, "components": {"schemas": schemas}}
            Draft7Validator(whole)
            Draft202012Validator(whole)
            self.assertFalse(
                {"prefixItems", "$defs", "discriminator"} & {key for each in nodes(schema) for key in each}
            )
        self.assertEqual(list(untold(schemas)), [])
        used = {each["$ref"].rpartition("/")[2] for each in nodes(self.document) if isinstance(each.get("$ref"), str)}
        self.assertEqual(set(schemas) - used, set())

    def test_path(self) -> None:
        """The channel is where WS_PATH says."""
        self.assertEqual(asyncapi.document("/live")["channels"]["realtime"]["address"], "/live")
        self.assertEqual(self.document["channels"]["realtime"]["address"], "/ws/realtime")

    def test_close_codes(self) -> None:
        """The codes are those of the code, and docs/websocket.md has the same words for them."""
        text = (ROOT / "docs/websocket.md").read_text()
        rows = re.findall(r"^\| (\d{4}(?:, \d{4})*) \| (.*) \|$", text, re.MULTILINE)
        told = {int(code): what.replace("`", "") for codes, what in rows for code in codes.split(", ")}
        self.assertEqual(told, CLOSE_CODES)
        codes = (websocket.GOING_AWAY, websocket.INTERNAL_ERROR, websocket.TOO_SLOW, websocket.STALLED)
        self.assertLessEqual(set(codes), set(CLOSE_CODES))

    def test_refusals(self) -> None:
        """What is answered in place of the handshake is told, each status with the words of the code."""
        channel = self.document["channels"]["realtime"]
        self.assertEqual({int(status): what for status, what in channel["x-refusals"].items()}, REFUSALS)
        for status, what in REFUSALS.items():
            self.assertIn(f"- {status}: {what}", channel["description"])

    def test_since(self) -> None:
        """What fits the schemas of the address and of resume is understood, what does not is refused."""
        strict = Strict(self.document)
        for since, good in (
            ("5f0c2a9e:4242", True),
            ("a:0", True),
            ("x" * 64 + ":" + "9" * 18, True),
            ("x" * 65 + ":1", False),
            ("a:" + "9" * 19, False),
            ("a", False),
            ("", False),
            ("a:b", False),
            ("a:1 ", False),
            ("a b:1", False),
        ):
            message = {"type": "resume", "since": since}
            self.assertEqual(strict.faults("Resume", message) == [], good, since)
            try:
                wanted_by(message)
                if since:
                    asked_by({"since": [since]})
            except AskError:
                self.assertFalse(good, since)
            else:
                self.assertTrue(good, since)


class ExampleTests(SynchronousTestCase):
    """The messages that README.md and docs/websocket.md show."""

    def setUp(self) -> None:
        """The schemas, closed."""
        self.document = asyncapi.document("/ws/realtime")
        self.strict = Strict(self.document)
        self.names = by_name(self.document)

    def shown(self, document: str) -> list[Any]:
        """Every JSON object that a document shows in full: in blocks of one or several, and within the text."""
        text = (ROOT / document).read_text()
        found = []
        for block in re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            decoder = json.JSONDecoder()
            while block.strip():
                value, end = decoder.raw_decode(block.strip())
                found.append(value)
                block = block.strip()[end:]
        return found + [json.loads(each) for each in re.findall(r"`(\{\"[^…`]*\})`", text)]

    def test_websocket(self) -> None:
        """Each is as its schema has it."""
        shown = self.shown("docs/websocket.md")
        self.assertLessEqual({"resume", "resumed", "gap", "snapshot", "error"}, {each.get("type") for each in shown})
        for example in shown:
            # The one thing shown that is no message is a correction, a part of one.
            name = self.names[example["type"]] if "type" in example else "Correction"
            self.assertEqual(self.strict.faults(name, example), [], example)

    def test_readme(self) -> None:
        """Each is as its schema has it, the point that is shown among them."""
        point, *others = self.shown("README.md")
        self.assertEqual(self.strict.faults("Point", point), [])
        shown = [each for each in others if "type" in each]
        self.assertEqual([each["type"] for each in shown], ["telemetry_update", "insight_update"])
        for example in shown:
            self.assertEqual(self.strict.faults(self.names[example["type"]], example), [])

    def test_announced(self) -> None:
        """Subscriptions, thinned telemetry, quality and rows are told of; what is wrong in them is found."""
        point = {"meta_time": "2025-09-06T18:42:10.250Z", "track": "barber", "chassis": "A", "speed_kmh": 188.0}
        numbers = {"epoch": "5f0c2a9e", "seq": 5100}
        thinned = {"type": "telemetry_update", **numbers, "prev": 5088, "data": [point], "counts": [12]}
        thinned |= {"ranges": [{"speed_kmh": [101.2, 188.0]}], "conflated": 11}
        rows = {
            "channels": ["meta_time", "track", "chassis", "speed_kmh"],
            "rows": [[1757184130431, "barber", "A", None]],
        }
        packed = {"type": "telemetry_update", **numbers, "prev": 5099, **rows}
        for name, good, change in (
            ("Subscribe", {"type": "subscribe"}, {"max_hz": 0}),
            ("Subscribe", {"type": "subscribe", "chassis": ["A"], "track": None, "max_hz": 10}, {"types": ["gap"]}),
            ("Subscribed", {"type": "subscribed", **numbers, "types": ["quality"], "max_hz": 10.0}, {"track": None}),
            ("Quality", {"type": "quality", **numbers, "level": "full", "since": 1, "conflated": 3}, {"level": "good"}),
            ("Refused", {"type": "error", "request": "subscribe", "error": "max_hz is 0"}, {"request": "data"}),
            ("TelemetryUpdate", thinned, {"ranges": [{"speed_kmh": [101.2]}]}),
            ("TelemetryUpdate", thinned, {"data": [{**point, "speed_kmh": 501}]}),
            ("TelemetryUpdate", thinned, {"data": [{**point, "vendor": {"nested": 1}}]}),
            ("PackedTelemetryUpdate", packed, {"rows": [[{}]]}),
            ("PackedTelemetryUpdate", {**packed, "low": [[None, None, None, 1.0]], "high": [[None] * 4]}, {"data": []}),
            ("PackedSnapshot", {"type": "snapshot", **numbers, "insight_seq": 1, "insight": None, **rows}, {"seq": -1}),
        ):
            self.assertEqual(self.strict.faults(name, good), [], good)
            self.assertNotEqual(self.strict.faults(name, {**good, **change}), [], change)
