"""
The image: built without a container engine, and run as a strict cluster would.

Building is left to `.ci/build-image`. To run what was built there is `buildah run` for one command, and for the server
itself a sandbox of the kernel's own parts, made by `unshare`:

    the image's files, all of them read-only      new mount namespace
      /data, /tmp: empty and writable
    /mnt: a directory of secrets, read-only
    twistd is process 1                           new PID namespace
    the image's user, no capability,              setpriv
      no way to gain one
    the machine's network                         so that the test can knock

Command, environment, user and directory are read from the image, not repeated here.
"""

import json
import os
import platform
import sys
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.packaging.shipping import ROOT, Server, need, new_directory, run, scratch, wheelhouse
from tests.packaging.test_lock import pinned

PACKAGES = "/opt/pitwall/lib/python3*/site-packages"
#: Prints what is installed beside the Python that runs it.
LIST = """
import importlib.metadata, json, sysconfig
found = importlib.metadata.distributions(path=[sysconfig.get_path("purelib")])
print(json.dumps([(each.name, each.version) for each in found]))
"""

# --kill-child ends the server with the test until it changes its user, which undoes that; --pdeathsig from there on.
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child")

# Positional: the image's root, the secrets, its user and group, its directory, settings as KEY=value, then its command.
SANDBOX = """
set -e
root=$1 secrets=$2 user=$3 group=$4 directory=$5
shift 5
mount --bind "$root" "$root"
mount -o remount,ro,bind "$root"
mount --bind "$secrets" "$root/mnt"
mount -o remount,ro,bind "$root/mnt"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o "uid=$user,gid=$group" tmpfs "$root/data"
exec chroot "$root" setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all --pdeathsig KILL \
    env --ignore-environment --chdir="$directory" "PORT=$PORT" "UDP_PORT=$UDP_PORT" "$@"
"""


def buildah(*arguments: str | Path) -> str:
    """What one buildah command printed; on storage of this run's own, the machine's images are not touched."""
    storage = scratch() / "storage"
    tool = need("buildah")
    return run(tool, "--root", storage / "root", "--runroot", storage / "run", "--storage-driver", "vfs", *arguments)


@cache
def container() -> str:
    """The name of a container from the freshly built image."""
    for tool in ("buildah", "debootstrap", "unshare", "setpriv"):
        need(tool)
    if os.geteuid() != 0:
        raise SkipTest("needs root")
    # The base is this machine's own release, and the wheels are of this Python.
    if platform.freedesktop_os_release()["ID"] != "debian":
        raise SkipTest("needs Debian")
    if run("/usr/bin/python3", "--version").split(".")[:2] != run(sys.executable, "--version").split(".")[:2]:
        raise SkipTest("needs the Python version of this Debian")
    storage = scratch() / "storage"
    run(ROOT / ".ci" / "build-image", storage, wheelhouse())
    return buildah("from", "--signature-policy", storage / "policy.json", "localhost/pitwall").strip()


def in_image(*command: str) -> str:
    """What a command printed that was run in the image, as the image's user."""
    return buildah("run", "--isolation", "chroot", container(), "--", *command)


def image_config() -> dict[str, Any]:
    """What the image says of itself: User, Env, Cmd, Healthcheck and so on."""
    container()
    inspected = json.loads(buildah("inspect", "--type", "image", "localhost/pitwall"))
    config: dict[str, Any] = inspected["Docker"]["config"]
    return config


def start(test: SynchronousTestCase, *settings: str, secrets: Path | None = None) -> Server:
    """
    A server from the image, in a sandbox.

    Args:
        test: whose end is its end.
        settings: further ones, as KEY=value.
        secrets: a directory that is /mnt in the sandbox; an empty one by default.
    """
    config = image_config()
    root = buildah("mount", container()).strip()
    what = [*config["Env"], *settings, *config["Cmd"]]
    command = ["sh", "-c", SANDBOX, "sh", root, secrets or new_directory(), *config["User"].split(":")]
    return Server(test, [*UNSHARE, *command, config["WorkingDir"], *what], Path(test.mktemp()))


class ImageTests(SynchronousTestCase):
    """What is in the image, and what it says of itself."""

    def test_options(self) -> None:
        """`twistd pitwall --help` in the image lists the options."""
        self.assertIn("--udp-port", in_image("twistd", "pitwall", "--help"))

    def test_user_owns_nothing(self) -> None:
        """The user is a number other than 0, and can write nowhere but in /data."""
        self.assertRegex(in_image("id"), r"^uid=[1-9]\d*\D")
        writable = in_image("sh", "-c", "find / -xdev -type d -writable 2> /dev/null || true").splitlines()
        self.assertEqual(set(writable) - {"/tmp", "/var/tmp", "/run/lock"}, {"/data"})

    def test_nothing_of_the_building(self) -> None:
        """What only the building needed, sources, wheels and pip, is not in it."""
        self.assertEqual(in_image("sh", "-c", f"ls -d /build /mnt/* {PACKAGES}/pip 2> /dev/null || true").strip(), "")

    def test_as_locked(self) -> None:
        """Besides PitWall there is what requirements.lock names for this Python, in these versions, and no more."""
        listed = json.loads(in_image("python3", "-P", "-c", LIST))
        installed = {canonicalize_name(name): Version(version) for name, version in listed}
        del installed[canonicalize_name("pitwall")]
        self.assertEqual(installed, pinned("requirements.lock", ".".join(map(str, sys.version_info[:2]))))

    def test_sbom(self) -> None:
        """The SBOM names each package that is installed, by name and version; CI keeps it as a file."""
        text = in_image("cat", "/opt/pitwall/sbom.cdx.json")
        sbom = json.loads(text)
        self.assertEqual(sbom["bomFormat"], "CycloneDX")
        named = sorted((component["name"], component["version"]) for component in sbom["components"])
        self.assertEqual(named, sorted(map(tuple, json.loads(in_image("python3", "-P", "-c", LIST)))))
        if keep := os.environ.get("PITWALL_SBOM"):
            Path(keep).write_text(text)

    def test_labels(self) -> None:
        """Its labels tell what it is, of which version, and upon which base."""
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg")
        label = {name.rpartition(".")[2]: value for name, value in image_config()["Labels"].items()}
        self.assertEqual((label["title"], label["version"]), ("PitWall", setup["metadata"]["version"]))
        self.assertEqual(label["name"], "localhost/pitwall-base")

    def test_declares_its_doors(self) -> None:
        """Both ports, the volume, the signal and the health check are declared, the command in exec form."""
        config = image_config()
        self.assertEqual(set(config["ExposedPorts"]), {"8081/tcp", "20777/udp"})
        self.assertEqual(set(config["Volumes"]), {"/data"})
        self.assertEqual(config["StopSignal"], "SIGTERM")
        self.assertEqual(config["Healthcheck"]["Test"], ["CMD", "python3", "-P", "-m", "pitwall.ready"])
        self.assertEqual(config["Cmd"][0], "twistd")

    def test_plugin_cache(self) -> None:
        """The plugin cache is in the image and younger, in whole seconds as layers keep them, than every plugin."""
        listed = in_image("sh", "-c", f"cd {PACKAGES}/twisted/plugins && stat -c '%Y %n' *.py dropin.cache")
        ages = {name: int(seconds) for seconds, name in (line.split() for line in listed.splitlines())}
        cache_written = ages.pop("dropin.cache")
        self.assertIn("pitwall_plugin.py", ages)
        self.assertLess(max(ages.values()), cache_written)


class RunningTests(SynchronousTestCase):
    """The image at work: read-only root, process 1, no capability."""

    def setUp(self) -> None:
        """A server from the image that has become healthy."""
        self.config = image_config()
        self.server = start(self)
        self.server.wait("/api/health", "ok")

    def test_from_datagram_to_answer(self) -> None:
        """A car's datagram is taken in, worked on by a warm worker, and handed out again."""
        point = {"track": "barber", "chassis": "GR86-044", "lap": 3, "lapdist_m": 812.5, "speed_kmh": 141.0}
        self.server.send(json.dumps(point).encode())
        (taken,) = self.server.wait("/api/recent/10", "recent")["recent"]
        self.assertEqual(taken, taken | point)
        self.server.wait("/api/health", "metrics.aggregationsProcessed")

    def test_shared_memory(self) -> None:
        """The workers have the server's anonymous memory, through /proc, as a user without a name or a capability."""
        server = self._process_1()
        workers = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        self.assertTrue(workers)
        for worker in workers:
            files = [os.readlink(fd) for fd in Path(f"/proc/{worker}/fd").iterdir()]
            self.assertIn("/memfd:pitwall-rows (deleted)", files)
            status = Path(f"/proc/{worker}/status").read_text()
            self.assertIn("\nUid:\t10001\t10001\t10001\t10001\n", status)
            self.assertIn("\nCapEff:\t0000000000000000\n", status)
            self.assertIn("\nNoNewPrivs:\t1\n", status)

    def test_complains_of_nothing(self) -> None:
        """Where only /data and /tmp can be written, no line of the log speaks of a file it could not write."""
        seen = Path(f"/proc/{self._process_1()}/root")
        can = {path for path in ("data", "tmp", "opt/pitwall", "var/tmp", "run") if os.access(seen / path, os.W_OK)}
        self.assertEqual(can, {"data", "tmp"})
        self.assertEqual(os.listdir(seen / "data"), [], "it serves where it may not write here either")
        self.assertNotRegex(self.server.log(), "(?i)unable to write|read-only|permission denied|traceback")

    def test_health_check(self) -> None:
        """The image's health check passes while the server is well, also on another port, and fails when it is gone."""
        check = self.config["Healthcheck"]["Test"][1:]
        in_image("env", f"PORT={self.server.port}", *check)
        self.server.stop(self._process_1())
        self.assertRaises(AssertionError, in_image, "env", f"PORT={self.server.port}", *check)

    def test_docker_stop(self) -> None:
        """On SIGTERM it ends, and ends well, inside the ten seconds after which `docker stop` kills."""
        self.assertEqual(self.server.stop(self._process_1(), seconds=5), 0)

    def _process_1(self) -> int:
        """The server's process as seen from outside: the one child of unshare."""
        pid = self.server.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
