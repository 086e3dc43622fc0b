"""``pitwall keys`` and the file it keeps, on a real disk."""

from __future__ import annotations

import io
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from pitwall.cli import main
from pitwall.keys.file import LARGEST, Watched, exposed
from pitwall.keys.key import KeysError, digest_of, parse_keys


class KeysCase(SynchronousTestCase):
    """A directory for a file of keys."""

    def setUp(self) -> None:
        """An empty one, and no file named in the environment."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.path = self.directory / "keys"
        self.patch(os, "environ", {**os.environ, "API_KEYS_FILE": ""})

    def run_keys(self, *arguments: str) -> tuple[int, str, str]:
        """The status, standard output and standard error of ``pitwall keys``."""
        output, errors = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", output)
        self.patch(sys, "stderr", errors)
        try:
            status = main(["keys", *arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        return status, output.getvalue(), errors.getvalue()

    def add(self, name: str, scope: str = "read") -> str:
        """Add a key; returns it."""
        status, output, errors = self.run_keys("add", name, "--scope", scope, "--file", str(self.path))
        self.assertEqual(status, 0, errors)
        return output.strip()


class CommandTests(KeysCase):
    """`pitwall keys`."""

    def test_add(self) -> None:
        """A key is printed alone on standard output, once; the file has its SHA-256, and is its owner's alone."""
        self.addCleanup(os.umask, os.umask(0))
        token = self.add("pit-wall", "read,ingest")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        text = self.path.read_text()
        self.assertNotIn(token, text)
        (key,) = parse_keys(text.encode())
        self.assertEqual((key.name, key.scopes_text), ("pit-wall", "ingest,read"))
        self.assertEqual(key.digest, digest_of(token.encode()))
        _, listed, _ = self.run_keys("list", "--file", str(self.path))
        self.assertRegex(listed, r"\Apit-wall  ingest,read +\d{4}-\d\d-\d\d\n\Z")

    def test_remove(self) -> None:
        """A key is removed by its name, and the others stay."""
        self.add("a")
        self.add("b")
        self.assertEqual(self.run_keys("remove", "a", "--file", str(self.path))[0], 0)
        self.assertEqual([key.name for key in parse_keys(self.path.read_bytes())], ["b"])

    def test_variable(self) -> None:
        """The file is the one that the server would take, unless another is named."""
        os.environ["API_KEYS_FILE"] = str(self.path)
        self.assertEqual(self.run_keys("add", "a", "--scope", "admin")[0], 0)
        self.assertIn("a", self.run_keys("list")[1])

    def test_wrong(self) -> None:
        """What can't be done is told in a sentence, with status 1, or 2 for wrong usage; the file stays."""
        self.add("a")
        before, file = self.path.read_bytes(), ("--file", str(self.path))
        for arguments, status, said in (
            (("add", "a", "--scope", "read", *file), 1, "already"),
            (("add", "b", "--scope", "write", *file), 1, "wanted some of ingest,read,admin"),
            (("add", "b b", "--scope", "read", *file), 1, "the name is"),
            (("add", "b", *file), 2, "--scope"),
            (("remove", "b", *file), 1, "no key named"),
            (("list",), 2, "wanted --file FILE, or API_KEYS_FILE"),
            ((), 2, "ACTION"),
            (("list", "--file", "/no/such/file"), 1, "can't be read"),
            (("add", "b", "--scope", "read", "--file", "/no/such/file"), 1, "directory"),
        ):
            found, output, errors = self.run_keys(*arguments)
            self.assertEqual((found, output), (status, ""), arguments)
            self.assertIn(said, errors)
        self.assertEqual(self.path.read_bytes(), before)
        self.assertEqual([each.name for each in self.directory.iterdir()], ["keys"])

    def test_broken_file(self) -> None:
        """A file that is none of keys is not written over."""
        self.path.write_text("my shopping list\n")
        self.assertIn("wanted 4", self.run_keys("add", "a", "--scope", "read", "--file", str(self.path))[2])
        self.assertEqual(self.path.read_text(), "my shopping list\n")

    def test_mode_and_link_stay(self) -> None:
        """A file that a group may read stays so, a link stays a link, and a file open to others is warned of."""
        self.add("a")
        self.path.chmod(0o640)
        link = self.directory / "link"
        link.symlink_to(self.path)
        self.assertEqual(self.run_keys("add", "b", "--scope", "read", "--file", str(link))[0], 0)
        self.assertTrue(link.is_symlink())
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o640)
        self.path.chmod(0o644)
        self.assertIn("others may read it", self.run_keys("list", "--file", str(self.path))[2])

    def test_at_once(self) -> None:
        """Of keys that are added in the same moment none is lost."""
        self.patch(sys, "stdout", io.StringIO())
        self.patch(sys, "stderr", io.StringIO())
        with ThreadPoolExecutor(8) as pool:
            done = pool.map(
                lambda n: main(["keys", "add", f"k{n}", "--scope", "read", "--file", str(self.path)]), range(24)
            )
            self.assertEqual(set(done), {0})
        self.assertEqual(len(parse_keys(self.path.read_bytes())), 24)


class WatchedTests(KeysCase):
    """`Watched` notices what happens to a file."""

    def test_changes(self) -> None:
        """A file is read again when it is another one, or was written to, and not otherwise."""
        self.add("a")
        watched = Watched(str(self.path), parse_keys)
        self.assertFalse(watched.look())
        self.add("b")
        self.assertTrue(watched.look())
        self.assertEqual(len(watched.value), 2)
        self.assertFalse(watched.look())
        self.path.write_bytes(b"")
        self.assertTrue(watched.look())
        self.assertEqual(len(watched.value), 0)
        self.assertTrue(watched.look(anyway=True))

    def test_broken(self) -> None:
        """A file that is broken or gone is told of once, and what it said before holds until it is well again."""
        self.add("a")
        watched = Watched(str(self.path), parse_keys)
        good = self.path.read_bytes()
        for spoil in (lambda: self.path.write_text("x"), self.path.unlink):
            spoil()
            self.assertRaises(KeysError, watched.look)
            self.assertFalse(watched.look())
            self.assertEqual([key.name for key in watched.value], ["a"])
        self.path.write_bytes(good)
        self.assertTrue(watched.look())

    def test_too_large(self) -> None:
        """A file that can't be one of keys is not read to its end."""
        self.path.write_bytes(b"#" * (LARGEST + 1))
        self.assertRaises(KeysError, Watched, str(self.path), parse_keys)

    def test_exposed(self) -> None:
        """Who else may read or write a file is told; of a secret the group counts too."""
        self.path.write_bytes(b"")
        for mode, open_keys, open_secret in (
            (0o600, None, None),
            (0o640, None, "others may read it"),
            (0o644, "others may read it", "others may read it"),
            (0o660, "others may write it", "others may write it"),
            (0o602, "others may write it", "others may write it"),
        ):
            self.path.chmod(mode)
            self.assertEqual((exposed(str(self.path)), exposed(str(self.path), secret=True)), (open_keys, open_secret))
        self.assertIsNone(exposed("/no/such/file"))

    def test_exposed_of_root(self) -> None:
        """A secret of root's may be read by its group, for that is how a server that is not root is given one."""
        if os.geteuid() != 0:
            raise SkipTest("only root can make a file of root's")
        self.path.write_bytes(b"")
        self.path.chmod(0o440)
        self.assertEqual(exposed(str(self.path), secret=True), "others may read it")
        self.patch(os, "geteuid", lambda: 10001)
        self.assertIsNone(exposed(str(self.path), secret=True))
        self.path.chmod(0o444)
        self.assertEqual(exposed(str(self.path), secret=True), "others may read it")
        self.path.chmod(0o440)
        os.chown(self.path, 10001, 10001)
        self.assertEqual(exposed(str(self.path), secret=True), "others may read it")
