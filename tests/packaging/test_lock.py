"""The locks: what the image is made of, each package of one version, known by the hashes of its files."""

import re
import tomllib
from configparser import ConfigParser
from functools import cache
from typing import NamedTuple

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from twisted.trial.unittest import SynchronousTestCase

from tests.packaging.shipping import LOCKS, ROOT

#: The Pythons that a base of the image may have.
PYTHONS = "3.11", "3.12", "3.13"
DEPENDENCIES = ROOT / "docs/dependencies.md"


class Pin(NamedTuple):
    """A line of a lock: one version, for which Pythons, and the hashes of its files."""

    version: Version
    marker: Marker | None
    hashes: tuple[str, ...]

    def holds(self, python: str) -> bool:
        """Whether it is for this Python, of the usual kind, on Linux."""
        here = {
            "python_version": python,
            "python_full_version": f"{python}.0",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "extra": "",
        }
        return self.marker is None or self.marker.evaluate(here)


@cache
def pins(lock: str) -> dict[str, list[Pin]]:
    """Every line of a lock, by the package's name; more than one where Pythons differ."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / lock).read_text()).replace("\\\n", " ")
    found: dict[str, list[Pin]] = {}
    for line in text.splitlines():
        wanted, *hashes = re.split(r"\s+--hash=", line)
        requirement = Requirement(wanted)
        (exactly,) = requirement.specifier
        assert exactly.operator == "==", line
        pin = Pin(Version(exactly.version), requirement.marker, tuple(hash_.strip() for hash_ in hashes))
        found.setdefault(canonicalize_name(requirement.name), []).append(pin)
    return found


def pinned(lock: str, python: str) -> dict[str, Version]:
    """The version of each package that a Python gets."""
    found = {}
    for name, lines in pins(lock).items():
        for pin in lines:
            if pin.holds(python):
                assert name not in found, f"{lock} has two of {name} for Python {python}"
                found[name] = pin.version
    return found


def wanted_to_run() -> list[Requirement]:
    """What the package asks for."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return [Requirement(line) for line in setup["options"]["install_requires"].split("\n") if line]


def wanted_to_build() -> list[Requirement]:
    """What building it asks for."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return [Requirement(line) for line in tomllib.load(file)["build-system"]["requires"]]


class LockTests(SynchronousTestCase):
    """Both locks."""

    def test_hashes(self) -> None:
        """Every package has SHA-256 hashes of its files."""
        for lock in LOCKS:
            self.assertGreater(len(pins(lock)), 20)
            for name, lines in pins(lock).items():
                for pin in lines:
                    self.assertGreaterEqual(len(pin.hashes), 1, name)
                    for hash_ in pin.hashes:
                        self.assertRegex(hash_, r"^sha256:[0-9a-f]{64}$", name)

    def test_satisfies(self) -> None:
        """Whatever setup.cfg and pyproject.toml ask for is in them, in a version that they allow."""
        for lock, wanted in zip(LOCKS, (wanted_to_run(), wanted_to_build()), strict=True):
            for python in PYTHONS:
                versions = pinned(lock, python)
                for requirement in wanted:
                    version = versions[canonicalize_name(requirement.name)]
                    self.assertIn(version, requirement.specifier, f"{requirement.name}: run .ci/lock")

    def test_index_files(self) -> None:
        """Nothing in them is a path, an address, or an option that leads pip elsewhere."""
        for lock in LOCKS:
            self.assertNotRegex((ROOT / lock).read_text(), r"(?m)^-|://|@ ")


class FloorTests(SynchronousTestCase):
    """The versions that docs/dependencies.md says are the least, for what was wrong before them."""

    def setUp(self) -> None:
        """The table."""
        rows = re.findall(r"(?m)^\| ([\w-]+) \| (\d[\w.]*) \| (.+) \|$", DEPENDENCIES.read_text())
        self.least = {name: Version(least) for name, least, _ in rows}
        self.assertGreater(len(self.least), 5)

    def test_locks_are_above(self) -> None:
        """No version that is known to be bad is in a lock; every name in the table is in one."""
        for python in PYTHONS:
            versions = pinned(LOCKS[1], python) | pinned(LOCKS[0], python)
            for name, least in self.least.items():
                self.assertGreaterEqual(versions[name], least, name)

    def test_package_asks_for_them(self) -> None:
        """Of what it names itself the package allows no version that is known to be bad."""
        for requirement in (*wanted_to_run(), *wanted_to_build()):
            if least := self.least.get(canonicalize_name(requirement.name)):
                (at_least,) = requirement.specifier
                self.assertEqual(at_least.operator, ">=")
                self.assertGreaterEqual(Version(at_least.version), least, requirement.name)
