"""The systemd unit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pitwall.config import SETTINGS, read_settings
from pitwall.service import RESERVED_DESCRIPTORS

UNIT = Path(__file__).parents[2] / "demo/pitwall.service"


def directives() -> dict[str, str]:
    """What the unit says, by name."""
    lines = [line for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


class UnitTests(SynchronousTestCase):
    """`demo/pitwall.service` starts the server and gives it little."""

    def test_starts(self) -> None:
        """It runs twistd in the foreground, with settings that there are, and descriptors for all connections."""
        told = directives()
        self.assertTrue(told["ExecStart"].endswith("/bin/twistd -n --pidfile= pitwall"))
        self.assertIn(told["Environment"].partition("=")[0], {setting.name for setting in SETTINGS})
        wanted = read_settings({}, {})["MAX_CONNECTIONS"] + RESERVED_DESCRIPTORS
        self.assertGreaterEqual(int(told["LimitNOFILE"]), wanted)

    def test_reloads(self) -> None:
        """`systemctl reload` sends the signal on which the server reads keys, certificate and track file again."""
        self.assertEqual(directives()["ExecReload"], "/bin/kill -HUP $MAINPID")

    def test_hardened(self) -> None:
        """It may write to its directory alone, has no capability and can't get any."""
        told = directives()
        wanted = {
            "ProtectSystem": "strict",
            "CapabilityBoundingSet": "",
            "NoNewPrivileges": "yes",
            "DynamicUser": "yes",
        }
        self.assertEqual({name: told[name] for name in wanted}, wanted)

    def test_understood(self) -> None:
        """systemd, where it is there, understands every line."""
        analyze = shutil.which("systemd-analyze")
        if analyze is not None:
            said = subprocess.run(
                [analyze, "verify", "--man=no", UNIT], capture_output=True, text=True, timeout=30, check=False
            )
            # It is not installed where the unit says.
            complaints = [line for line in said.stderr.splitlines() if "/opt/pitwall/bin/twistd" not in line]
            self.assertEqual([line for line in complaints if UNIT.name in line], [])
