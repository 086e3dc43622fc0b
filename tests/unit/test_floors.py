"""
The floors of the house: imports go down, and the doors do not know one another.

::

    3  service, config, cli, listen …    composes; service alone knows every door
    2  ingest, serve, store, pool        doors: Twisted on one side, the hub on the other
       importer, client                  the other end of a door: what a command sends to a server, or gets from it
    1  hub, intake, cars, times, ring …     what is known now
    0  model, wire, race, sim, contract  bytes and arrays in, values out
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2] / "pitwall"
_ADDRESSES = ("addresses", "rates", "senders")
FLOORS = {
    **dict.fromkeys(("model", "wire", "race", "sim", "contract"), 0),
    **dict.fromkeys(("hub", "intake", "cars", "times", "ring", "rows", "ledger", "histogram", "shared", "keys"), 1),
    **dict.fromkeys(_ADDRESSES, 1),
    **dict.fromkeys(("ingest", "serve", "store", "pool", "importer", "client"), 2),
    **dict.fromkeys(("service", "config", "cli", "listen", "guards", "tls", "ready", "logs", "trackfile"), 3),
}
#: What floors 0 and 1 do without. Klein and Ampoule install a reactor when they are imported.
FRAMEWORKS = {"twisted", "klein", "autobahn", "ampoule", "treq"}
#: All that the client knows besides itself: it is for programs that want nothing else of PitWall. ``msgpack`` it only
#: needs where its user asks for that encoding.
OF_THE_CLIENT = {*sys.stdlib_module_names, "websockets", "msgpack", "pitwall"}
#: Who may know more doors than one.
COMPOSERS = {"service", "cli"}


class Import(NamedTuple):
    """A module that another one imports, by its full name; ``at_import`` when that happens at once."""

    line: int
    target: str
    at_import: bool


def imports(source: str, package: str) -> Iterator[Import]:
    """Every import of a module that belongs to ``package``, wherever it stands."""

    def visit(node: ast.AST, at_import: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(child.lineno, alias.name, at_import)
            elif isinstance(child, ast.ImportFrom):
                parents = package.split(".")
                above = ".".join(parents[: len(parents) - child.level + 1]) if child.level else ""
                base = ".".join(part for part in (above, child.module) if part)
                for alias in child.names:
                    yield Import(child.lineno, f"{base}.{alias.name}", at_import)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from visit(child, at_import and not inside)

    return visit(ast.parse(source), True)


def room(name: str) -> str:
    """The part of PitWall that a module is in: ``pitwall.ingest.udp`` is in ``ingest``; empty for what is not ours."""
    parts = name.split(".")
    # pitwall itself is only its version.
    return parts[1] if parts[0] == "pitwall" and len(parts) > 1 and not parts[1].startswith("__") else ""


def door(name: str) -> str:
    """The door a module of floor 2 belongs to; one of ``ingest`` is a file, or files that begin alike: s3, s3reader."""
    parts = name.split(".")
    if parts[1] == "ingest" and len(parts) > 2:
        found = re.match(r"[a-z]+\d*", parts[2])
        return f"ingest.{found[0] if found else parts[2]}"
    return parts[1]


def faults(name: str, source: str, package: str = "") -> list[str]:
    """What in a module, by its full name and its text, goes against the floors."""
    here = room(name)
    found = []
    for line, target, at_import in imports(source, package or name.rpartition(".")[0]):
        there = room(target)
        where = f"{name}:{line}"
        if at_import and target.startswith("twisted.internet.reactor"):
            found.append(f"{where} installs a reactor when it is imported")
        if here and FLOORS[here] < 2 and target.split(".")[0] in FRAMEWORKS:
            found.append(f"{where} knows {target.split('.')[0]}")
        if here == "client" and target.split(".")[0] not in OF_THE_CLIENT:
            found.append(f"{where} knows {target.split('.')[0]}")
        if here and there:
            if there not in FLOORS:
                found.append(f"{where} imports {there}, which is on no floor")
            elif FLOORS[there] > FLOORS[here]:
                found.append(f"{where} imports {target}, which is above it")
            elif FLOORS[there] == 2 and FLOORS[here] == 2 and door(target) != door(name):
                found.append(f"{where} imports another door, {target}")
            elif FLOORS[there] == 2 and FLOORS[here] == 3 and here not in COMPOSERS:
                found.append(f"{where} imports a door, {target}")
    return found


class FloorsTests(SynchronousTestCase):
    """Every module of PitWall keeps to its floor."""

    def test_every_module(self) -> None:
        """Imports go down, doors do not import one another, and nothing below the doors knows Twisted."""
        paths = sorted(ROOT.rglob("*.py"))
        self.assertGreater(len(paths), 40)
        found = []
        for path in paths:
            parts = path.relative_to(ROOT.parent).with_suffix("").parts
            package = ".".join(parts[:-1])
            name = package if parts[-1] == "__init__" else ".".join(parts)
            if name != "pitwall":
                self.assertIn(room(name), FLOORS, f"{name} is on no floor")
            found += faults(name, path.read_text(), package)
        self.assertEqual(found, [])

    def test_seen(self) -> None:
        """A module that does not keep to its floor is found out, however it writes its import."""
        for name, source, fault in (
            ("pitwall.wire.text", "import pitwall.hub", "above"),
            ("pitwall.wire.text", "from ..ingest import udp", "above"),
            ("pitwall.hub", "from pitwall.config import Options", "above"),
            ("pitwall.hub", "def f():\n    from pitwall.serve import rest", "above"),
            ("pitwall.model.point", "if TYPE_CHECKING:\n    from pitwall.ring import PointRing", "above"),
            ("pitwall.ring", "from twisted.python import log", "knows twisted"),
            ("pitwall.race.car", "try:\n    import ampoule.child\nexcept ImportError:\n    pass", "knows ampoule"),
            ("pitwall.sim.race", "import treq", "knows treq"),
            ("pitwall.ingest.http", "from pitwall.ingest.udp import MAX_DATAGRAM", "another door"),
            ("pitwall.ingest.s3reader", "from .http import Report", "another door"),
            ("pitwall.serve.rest", "from pitwall.ingest import http", "another door"),
            ("pitwall.pool.service", "from pitwall.serve.live.broadcast import Pace", "another door"),
            ("pitwall.client.stream", "import msgspec", "knows msgspec"),
            ("pitwall.client.stream", "from pitwall.serve.live import frames", "another door"),
            ("pitwall.config", "from pitwall.serve.rest import RestAPI", "a door"),
            ("pitwall.service", "from pitwall.attic import old", "no floor"),
            ("pitwall.service", "from twisted.internet import reactor", "installs a reactor"),
            ("pitwall.ingest.udp", "class A:\n    import twisted.internet.reactor", "installs a reactor"),
        ):
            found = faults(name, source)
            self.assertEqual(len(found), 1, f"{name}: {source}")
            self.assertIn(fault, found[0])

    def test_allowed(self) -> None:
        """What the floors allow is not found fault with."""
        for name, source in (
            ("pitwall.ingest.s3", "from pitwall.ingest.s3reader import S3Reader\nfrom pitwall.hub import Hub"),
            ("pitwall.serve.rest", "from pitwall import __version__\nfrom pitwall.serve.site import error_body"),
            ("pitwall.service", "from pitwall.ingest.udp import A\ndef f():\n    from twisted.internet import reactor"),
            ("pitwall.wire.text", "from .points import Decoded\nimport msgspec"),
            ("pitwall.client.connection", "import asyncio\nimport websockets\nfrom .stream import Stream"),
        ):
            self.assertEqual(faults(name, source), [])
