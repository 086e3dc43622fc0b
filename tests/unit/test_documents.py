"""The documents say what the code does: their tables and examples are checked against it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from pitwall.config import DEMO, SETTINGS
from pitwall.contract.messages import PackedTelemetryUpdate, Subscribe, TelemetryUpdate
from pitwall.contract.server import Metrics
from pitwall.importer.audit import Books as LedgerBooks
from pitwall.importer.audit import equations
from pitwall.model.channels import ALIASES, CORE, EXTRA
from pitwall.serve.families import FAMILIES
from pitwall.wire import instants, laptriggers
from pitwall.wire.errors import WireError
from pitwall.wire.live import LiveDecoder
from pitwall.wire.points import PointDecoder
from tests.doubles import Screen, WebServer, a_hub, told_of

ROOT = Path(__file__).parents[2]
#: A line that has pip look for PitWall in the index.
BY_NAME = r"pip install (?:-\S+ )*['\"]?pitwall(?![\w.-]).*"


def blocks(document: str, language: str) -> list[str]:
    """The code blocks of a document in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


class DocumentTests(SynchronousTestCase):
    """README and docs."""

    def test_settings(self) -> None:
        """The README's table has every setting with its default and meaning, and no other."""
        rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (.*) \| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
        wanted = [(setting.name, setting.default_text, setting.help) for setting in (*SETTINGS, DEMO)]
        self.assertEqual(rows, wanted)

    def test_own_package(self) -> None:
        """PitWall is installed from a path wherever that is told: the index has another project of its name."""
        found = []
        for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "pitwall").rglob("*.*")]:
            if path.suffix in (".md", ".py", ".js", ".html"):
                found += [f"{path.name}: {line}" for line in re.findall(BY_NAME, path.read_text())]
        self.assertEqual(found, [])
        self.assertRegex("$ pip install 'pitwall[client]'", BY_NAME)
        self.assertNotRegex("$ pip install 'pitwall-0.1.0-py3-none-any.whl[client]'", BY_NAME)

    def test_metrics(self) -> None:
        """The table of metrics has every one with its type, labels and help, and no other."""
        text = (ROOT / "docs/operations.md").read_text()
        rows = re.findall(r"^\| `(pitwall_\w+)` \| (\w+) \| (.*) \| (.*) \|$", text, re.MULTILINE)
        wanted = [
            (each.name, each.kind, ", ".join(f"`{label}`" for label in each.labels), each.help) for each in FAMILIES
        ]
        self.assertEqual(rows, wanted)

    def test_channels(self) -> None:
        """The table of channels has every channel with its unit, range and aliases."""
        text = (ROOT / "docs/telemetry.md").read_text()
        for channel in CORE + EXTRA:
            row = re.search(
                rf"^\| `{channel.name}` \|(.*)\|(.*)\| {channel.low:g} to {channel.high:g} \|", text, re.MULTILINE
            )
            assert row is not None, channel.name
            self.assertEqual(re.findall(r"`(\w+)`", row[1]), list(channel.aliases))
            self.assertEqual(row[2].strip(), channel.unit)
        for alias in ALIASES:
            self.assertIn(f"`{alias}`", text)

    def test_reasons(self) -> None:
        """Every reason for a refusal is explained."""
        text = (ROOT / "docs/telemetry.md").read_text()
        for reason, meaning in WireError.REASONS.items():
            self.assertIn(f"| `{reason}` | {meaning} |", text)

    def test_points(self) -> None:
        """The example points and CSV lines are accepted as they stand."""
        decoder = LiveDecoder(PointDecoder(), told_of())
        point, answer = blocks("docs/telemetry.md", "json")
        self.assertEqual(set(json.loads(answer)), {"ok", "accepted", "rejected", "rejected_total"})
        lines = [point, *blocks("docs/telemetry.md", "csv")[0].splitlines(), blocks("README.md", "json")[0]]
        lines += re.findall(r"^\$ echo '(.*)' \| nc", (ROOT / "README.md").read_text(), re.MULTILINE)
        lines += re.findall(r"^\$ curl .* -d '(.*)' ", (ROOT / "README.md").read_text(), re.MULTILINE)
        self.assertEqual(len(lines), 8)
        for line in lines:
            points, _, refused = decoder.datagrams([line.encode()], 0.0)
            points += decoder.overdue(math.inf).points
            self.assertEqual((len(points), refused), (1, []), line)

    def test_rows(self) -> None:
        """The example rows of the long form make one point together."""
        decoder = LiveDecoder(PointDecoder(), told_of())
        rows, cars = blocks("docs/data.md", "json")
        decoded = decoder.datagrams([line.encode() for line in rows.splitlines()], 0.0)
        self.assertEqual(decoded.refused, [])
        left = decoder.overdue(math.inf)
        (point,) = map(json.loads, left.raws)
        self.assertEqual((point["speed_kmh"], point["accx_can"], point["rpm"], point["lap"]), (126.18, 0.346, 6100, 2))
        self.assertEqual(point["track"], "barber")

        hub = a_hub(self, 100)
        hub.publish("udp", left.points, left.raws, 0.0)
        hub.write_rows()
        shown, (known,) = json.loads(cars)["cars"][0], hub.cars.known(1.0)
        self.assertEqual((shown.keys(), shown["clock"].keys()), (known.keys(), known["clock"].keys()))
        self.assertEqual(shown["channels"]["speed_kmh"].keys(), known["channels"]["speed_kmh"].keys())

    def test_repairs(self) -> None:
        """Every repair is explained, in the words of the code, and no other."""
        told = re.findall(r"^\| `(\w+)` \| (.*?) \| .* \|$", (ROOT / "docs/data.md").read_text(), re.MULTILINE)
        self.assertEqual(dict(told), {**instants.REPAIRS, **laptriggers.REPAIRS})

    def test_messages(self) -> None:
        """The README's messages are JSON and show every field that docs/websocket.md tells of."""
        _, telemetry, insight = map(json.loads, blocks("README.md", "json"))
        self.assertEqual((telemetry["type"], insight["type"]), ("telemetry_update", "insight_update"))
        shown = {**telemetry, **insight, **insight["data"][0], **insight["gaps"][0], **insight["insights"][0]}
        shown |= {f"meta.{name}": None for name in (*insight["meta"], *insight["data"][0]["meta"])}
        first_cells = re.findall(r"^\| (`.*?`) \|", (ROOT / "docs/websocket.md").read_text(), re.MULTILINE)
        told = {name for cell in first_cells for name in re.findall(r"`([\w.]+)`", cell)}
        # Not in what a client gets that asks for nothing.
        asked = {
            name for kind in (TelemetryUpdate, PackedTelemetryUpdate, Subscribe) for name in kind.__struct_fields__
        }
        self.assertEqual(told - set(shown) - asked, set())
        self.assertEqual(asked - told, set())
        self.assertEqual(set(shown) - told - {"type", "meta"}, set())

    def test_health(self) -> None:
        """docs/rest.md tells of every metric of the health, and no other."""
        text = (ROOT / "docs/rest.md").read_text().partition("## `/api/health`")[2].partition("\n## ")[0]
        cells = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
        self.assertEqual(
            [name for cell in cells for name in re.findall(r"`(\w+)`", cell)], list(Metrics.__struct_fields__)
        )

    def test_ledger(self) -> None:
        """The example of the ledger is exact, and has the fields that the server gives, each of them explained."""
        (example,) = blocks("docs/ledger.md", "json")
        found = equations(msgspec.json.decode(example, type=LedgerBooks))
        self.assertEqual(
            [each.name for each in found if each.exact], ["udp points", "udp rows", "client 1", "ring", "workers"]
        )
        server = WebServer(self)
        Screen(server)
        shown, given = json.loads(example), server.books.answer(0.0)
        self.assertEqual(shown.keys(), given.keys())
        text = (ROOT / "docs/ledger.md").read_text()
        for name in ("doors", "clients"):
            for line, real in zip(shown[name], given[name], strict=False):
                self.assertEqual(line.keys(), real.keys())
                for field in line.keys() - {"door", "unit", "id", "address", "since"}:
                    self.assertIn(f"`{field}`", text)

    def test_links(self) -> None:
        """Every link to another file leads somewhere."""
        for document in (ROOT / "README.md", ROOT / "demo/README.md", *(ROOT / "docs").glob("*.md")):
            for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
                self.assertTrue((document.parent / target).exists(), f"{document.name}: {target}")
