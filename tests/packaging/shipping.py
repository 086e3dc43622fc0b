"""What the tests of this package share: the wheels, clean environments to put them in, a server to watch."""

import atexit
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]
#: What the image runs with, and what it is built with.
LOCKS = "requirements.lock", "requirements-build.lock"
#: Options of pip by which it takes files with the hashes of a lock, and no others; the lock comes behind.
FROM_LOCK = "--require-hashes", "--only-binary", ":all:", "--requirement"


def need(tool: str) -> str:
    """
    Where this program is, beside the running Python or on the PATH.

    Raises:
        SkipTest: it is not installed; the reason begins with "needs", by which the CI run tells it from other skips.
    """
    path = shutil.which(tool, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if path is None:
        raise SkipTest(f"needs {tool}")
    return path


def run(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """What a command printed, both streams together; a failing one fails the test and shows it."""
    done = subprocess.run(
        command,
        cwd=cwd,
        # With PYTHONPATH a clean environment would see this checkout besides what is installed in it.
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} if env is None else env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


@cache
def scratch() -> Path:
    """A directory for what is costly to make and shared by several tests; gone when the run ends."""
    directory = tempfile.mkdtemp(prefix="pitwall-packaging-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory)


def new_directory() -> Path:
    """An empty directory that goes with the rest; trial's own would stay, and an environment is some 200 MB."""
    return Path(tempfile.mkdtemp(dir=scratch()))


def copy_source(to: Path) -> Path:
    """What a wheel is made of, copied: building in place leaves a build/ that later wheels would swallow."""
    to.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, to)
    for name in ("pitwall", "twisted"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
    return to


@cache
def wheelhouse() -> Path:
    """PitWall's wheel, and those that the locks name: of all it depends on, and of what builds the image."""
    if find_spec("pip") is None:
        raise SkipTest("needs pip")
    wheels = scratch() / "wheels"
    pip = sys.executable, "-m", "pip"
    for lock in LOCKS:
        run(*pip, "download", "--quiet", "--dest", wheels, *FROM_LOCK, ROOT / lock)
    source = copy_source(scratch() / "source")
    run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, source)
    return wheels


@cache
def wheel() -> Path:
    """PitWall's own wheel."""
    (path,) = wheelhouse().glob("pitwall-*.whl")
    return path


def clean_environment(at: Path, *what: str | Path) -> Path:
    """A fresh virtual environment with what the lock names, and then only this; returns its bin directory."""
    run(sys.executable, "-m", "venv", at)
    install = at / "bin" / "pip", "install", "--quiet", "--no-index", "--find-links", wheelhouse(), "--no-compile"
    run(*install, *FROM_LOCK, ROOT / "requirements.lock")
    run(*install, "--no-deps", *what)
    return at / "bin"


def free_port(kind: socket.SocketKind) -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """
    A PitWall in a process of its own, on free ports of this machine.

    It is killed with the test that started it. Its log is a file, for a pipe that nobody reads would stop it.
    """

    def __init__(self, test: SynchronousTestCase, command: Sequence[str | Path], log: Path, **popen: Any) -> None:
        self.port = free_port(socket.SOCK_STREAM)
        self.udp_port = free_port(socket.SOCK_DGRAM)
        self._log = log
        # Nothing of the developer's own environment: a setting there would be a setting here.
        env = {
            "PATH": os.environ["PATH"],
            "PORT": str(self.port),
            "UDP_PORT": str(self.udp_port),
            **popen.pop("env", {}),
        }
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, **popen
            )
        test.addCleanup(self._kill)

    def _kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def log(self) -> str:
        """What the server has printed so far."""
        return self._log.read_text(errors="replace")

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON body of one request; status 0 while nobody listens."""
        door = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            door.request("GET", path)
            answer = door.getresponse()
            return answer.status, json.loads(answer.read())
        except ConnectionError:
            return 0, None
        finally:
            door.close()

    def wait(self, path: str, wanted: str, seconds: float = 30.0) -> Any:
        """
        Ask until the answer is 200 and holds something under `wanted` ("metrics.wsClients"), and return the body.

        Raises:
            AssertionError: the server ended, or the time is over; its log is in the message.
        """
        deadline = time.monotonic() + seconds
        seen: tuple[int, Any] = 0, None
        while time.monotonic() < deadline and self.process.poll() is None:
            seen = status, body = self.get(path)
            value = body
            for name in wanted.split("."):
                value = value.get(name) if isinstance(value, dict) else None
            if status == 200 and value:
                return body
            time.sleep(0.1)
        raise AssertionError(f"{path}: wanted 200 with {wanted}, got {seen}; its log:\n{self.log()[-4000:]}")

    def send(self, datagram: bytes) -> None:
        """One datagram to the UDP door."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as car:
            car.sendto(datagram, ("127.0.0.1", self.udp_port))

    def stop(self, pid: int | None = None, seconds: float = 10.0) -> int:
        """End it by SIGTERM (sent to `pid`, where what was started only leads to the server); its exit status."""
        os.kill(pid or self.process.pid, signal.SIGTERM)
        return self.process.wait(timeout=seconds)
