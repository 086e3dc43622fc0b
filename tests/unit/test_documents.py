"""The documents say what the code does: their tables and examples are checked against it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pitwall.config import DEMO, SETTINGS
from pitwall.model.channels import ALIASES, CORE, EXTRA
from pitwall.wire.errors import WireError
from pitwall.wire.points import PointDecoder
from pitwall.wire.text import decode_document

ROOT = Path(__file__).parents[2]


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
        decoder = PointDecoder()
        point, answer = blocks("docs/telemetry.md", "json")
        self.assertEqual(set(json.loads(answer)), {"ok", "accepted", "rejected", "rejected_total"})
        lines = [point, *blocks("docs/telemetry.md", "csv")[0].splitlines(), blocks("README.md", "json")[0]]
        lines += re.findall(r"^\$ echo '(.*)' \| nc", (ROOT / "README.md").read_text(), re.MULTILINE)
        lines += re.findall(r"^\$ curl .* -d '(.*)' ", (ROOT / "README.md").read_text(), re.MULTILINE)
        self.assertEqual(len(lines), 7)
        for line in lines:
            decoded = decode_document(decoder, line.encode(), 0.0)
            self.assertEqual((len(decoded.points), decoded.refused), (1, []), line)

    def test_messages(self) -> None:
        """The README's messages are JSON and show every field that docs/websocket.md tells of."""
        _, telemetry, insight = map(json.loads, blocks("README.md", "json"))
        self.assertEqual((telemetry["type"], insight["type"]), ("telemetry_update", "insight_update"))
        shown = {**telemetry, **insight, **insight["data"][0], **insight["gaps"][0], **insight["insights"][0]}
        shown |= {f"meta.{name}": None for name in (*insight["meta"], *insight["data"][0]["meta"])}
        first_cells = re.findall(r"^\| (`.*?`) \|", (ROOT / "docs/websocket.md").read_text(), re.MULTILINE)
        told = {name for cell in first_cells for name in re.findall(r"`([\w.]+)`", cell)}
        self.assertEqual(told - set(shown), set())
        self.assertEqual(set(shown) - told - {"type", "meta"}, set())

    def test_links(self) -> None:
        """Every link to another file leads somewhere."""
        for document in (ROOT / "README.md", ROOT / "demo/README.md", *(ROOT / "docs").glob("*.md")):
            for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
                self.assertTrue((document.parent / target).exists(), f"{document.name}: {target}")
