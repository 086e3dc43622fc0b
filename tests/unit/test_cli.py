"""The command line: what it takes, and what it says when that is wrong."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from pitwall.cli import COMMANDS, audit_options, import_options, main, tail_options


class CommandLineTests(SynchronousTestCase):
    """``pitwall``."""

    def run_main(self, *arguments: str) -> tuple[int, str, str]:
        """The status, standard output and standard error."""
        output, errors = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", output)
        self.patch(sys, "stderr", errors)
        try:
            status = main(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        return status, output.getvalue(), errors.getvalue()

    def test_help(self) -> None:
        """``--help`` names every command; without a command the same goes to standard error, with status 2."""
        status, output, _ = self.run_main("--help")
        self.assertEqual(status, 0)
        for name, command in COMMANDS.items():
            self.assertRegex(output, rf"(?m)^ +{name}\s+{command.help}$")
        self.assertEqual(self.run_main(), (2, "", output))

    def test_command_help(self) -> None:
        """Each command tells its options."""
        for name in COMMANDS:
            status, output, _ = self.run_main(name, "--help")
            self.assertEqual(status, 0)
            self.assertTrue(output.startswith(f"usage: pitwall {name} "))

    def test_version(self) -> None:
        """``--version`` tells the version."""
        self.assertRegex(self.run_main("--version")[1], r"^pitwall \d+\.\d+")

    def test_wrong_usage(self) -> None:
        """Wrong usage ends with status 2 and a sentence that says what was wanted."""
        for arguments, words in (
            (("export",), "invalid choice: 'export'"),
            (("import",), "FILE"),
            (("import", "--follow", "-"), "--follow is for local files, and - is none"),
            (("import", "--follow", "a.csv", "s3://race/a"), "--follow is for local files, and s3://race/a is none"),
            (("import", "-", "-"), "standard input can be read once"),
            (("audit",), "URL"),
            (("audit", "localhost:8081"), "wanted a URL such as http://localhost:8081"),
            (("import", "s3://race"), "s3://race names no object, wanted s3://bucket/key"),
            (("import", "s3:///key"), "s3:///key names no object, wanted s3://bucket/key"),
            (("import", "--server", "localhost:8081", "a"), "wanted a URL such as http://localhost:8081"),
            (("import", "--server", "http://host:x", "a"), "wanted a URL such as http://localhost:8081"),
            (("import", "--server", "http://host?x", "a"), "wanted a URL such as http://localhost:8081"),
            (("tail", "localhost:8081"), "wanted a URL such as ws://localhost:8081"),
            (("tail", "--chassis", ""), "wanted a name"),
            (("tail", "--channels", "rpm,,gear"), "wanted a name"),
            (("tail", "--max-hz", "0"), "wanted 0.1 to 100"),
            (("tail", "--max-hz", "often"), "wanted 0.1 to 100"),
            (("import", "--server", "ftp://host", "a"), "wanted a URL such as http://localhost:8081"),
            (("import", "--batch-bytes", "1023", "a"), "wanted 1024 to 67108864"),
            (("import", "--batch-bytes", "9" * 5000, "a"), "wanted 1024 to 67108864"),
            (("import", "--batch-bytes", "\u0662", "a"), "wanted 1024 to 67108864"),
            (("import", "--track", " ", "a"), "wanted a name of at most 64 characters"),
            (("import", "--chassis", "x" * 65, "a"), "wanted a name of at most 64 characters"),
            (("import", "--retry-seconds", "-1", "a"), "wanted 0 to 86400"),
            (("import", "--retry-seconds", "nan", "a"), "wanted 0 to 86400"),
            (("import", "--retry-seconds", "soon", "a"), "wanted 0 to 86400"),
            (("import", "--key", "pw x", "a"), "this is no key"),
            (("audit", "--key", "", "http://host"), "this is no key"),
            (("score",), "FILE"),
            (("score", "-", "a.csv", "-"), "standard input can be read once"),
            (("score", "--track", " ", "a"), "wanted a name of at most 64 characters"),
        ):
            status, output, errors = self.run_main(*arguments)
            self.assertEqual((status, output), (2, ""), arguments)
            self.assertIn(words, errors)

    def test_defaults(self) -> None:
        """What is not said is the server on this machine, batches of 1 MiB, and half a minute of trying."""
        parser = argparse.ArgumentParser()
        import_options(parser)
        found = parser.parse_args(["a.csv", "-"])
        self.assertEqual(found.files, ["a.csv", "-"])
        self.assertEqual((found.server, found.batch_bytes, found.retry_seconds), ("http://localhost:8081", 1 << 20, 30))
        self.assertEqual((found.track, found.chassis, found.follow, found.json), (None, None, False, False))

    def test_key(self) -> None:
        """The key is what the option says, or else the environment; a wrong one is not repeated on the screen."""
        for options, files in ((import_options, ["a"]), (audit_options, ["http://pit"]), (tail_options, [])):
            for environ, given, wanted in (
                ({}, (), None),
                ({"PITWALL_KEY": "pw_env\n"}, (), "pw_env"),
                ({"PITWALL_KEY": "pw_env"}, ("--key", "pw_option"), "pw_option"),
            ):
                self.patch(os, "environ", environ)
                parser = argparse.ArgumentParser()
                options(parser)
                self.assertEqual(parser.parse_args([*files, *given]).key, wanted)
        self.assertNotIn("pw_s\u00e9cret", self.run_main("audit", "--key", "pw_s\u00e9cret", "http://pit")[2])

    def test_server(self) -> None:
        """A server may have a path and a slash at its end."""
        parser = argparse.ArgumentParser()
        import_options(parser)
        for url, wanted in (
            ("https://pit.example/wall/", "https://pit.example/wall"),
            ("http://[::1]:80", "http://[::1]:80"),
        ):
            self.assertEqual(parser.parse_args(["--server", url, "a"]).server, wanted)

    def test_light(self) -> None:
        """The command line is there at once: it loads nothing large, and no reactor, before a command runs."""
        loaded = subprocess.run(
            [sys.executable, "-c", "import sys, pitwall.cli; print(*sys.modules)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for name in ("twisted", "rich", "treq", "boto3", "numpy", "msgspec", "klein"):
            self.assertNotIn(name, loaded)
