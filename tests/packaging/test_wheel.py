"""The wheel, and what someone has who installs it or the source tree in a clean environment."""

import signal
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZipFile

from twisted.trial.unittest import SynchronousTestCase

from tests.packaging.shipping import ROOT, Server, clean_environment, copy_source, new_directory, run, wheel


class ContentTests(SynchronousTestCase):
    """What travels in the wheel."""

    def test_every_file_of_the_package(self) -> None:
        """Modules, the track file and what the dashboard is made of are all in it, and nothing else is."""
        shipped = {name for name in ZipFile(wheel()).namelist() if ".dist-info/" not in name}
        ours = {
            str(path.relative_to(ROOT))
            for path in (ROOT / "pitwall").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        self.assertEqual(shipped, ours | {"twisted/plugins/pitwall_plugin.py"})


class InstalledTests(SynchronousTestCase):
    """PitWall from any directory, in an environment that holds nothing else."""

    def test_from_the_wheel(self) -> None:
        """After installing the wheel, twistd lists pitwall, explains it, serves it, and ends on SIGTERM."""
        bin_, elsewhere = self._installed(wheel())
        self._check_listed(bin_, elsewhere)
        run(bin_ / "pip", "check")
        server = Server(self, [bin_ / "twistd", "-n", "--pidfile=", "pitwall"], elsewhere / "log", cwd=elsewhere)
        self.assertIs(server.wait("/api/health", "ok")["ok"], True)
        self.assertEqual(server.stop(), -signal.SIGTERM)
        self.assertEqual({path.name for path in elsewhere.iterdir()}, {"log"}, "files it left where it was started")

    def test_from_the_source_tree(self) -> None:
        """After an editable install twistd lists pitwall too."""
        source = copy_source(new_directory() / "source")
        self._check_listed(*self._installed("--editable", source))

    def _installed(self, *what: str | Path) -> tuple[Path, Path]:
        """The bin directory of a clean environment, and an empty directory."""
        directory = new_directory()
        elsewhere = directory / "elsewhere"
        elsewhere.mkdir()
        return clean_environment(directory / "venv", *what), elsewhere

    def _check_listed(self, bin_: Path, elsewhere: Path) -> None:
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg")
        listed = run(bin_ / "twistd", "--help", cwd=elsewhere)
        self.assertRegex(listed, r"(?m)^\s+pitwall\s+\S")
        self.assertNotIn("Traceback", listed)
        self.assertIn("--udp-port", run(bin_ / "twistd", "pitwall", "--help", cwd=elsewhere))
        version = run(bin_ / "python", "-c", "import importlib.metadata as m; print(m.version('pitwall'))")
        self.assertEqual(version.strip(), setup["metadata"]["version"])
