"""Datagrams that say who made them."""

from __future__ import annotations

import hashlib
import hmac
import re
import subprocess
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.wire.errors import WireError
from pitwall.wire.signed import Seal, parse_keys
from tests.doubles import A_POINT

KEY = b"0123456789abcdef" * 4
ROOT = Path(__file__).parents[3]


def signed(datagram: bytes, key: bytes = KEY, between: bytes = b" ") -> bytes:
    """A datagram with its trailer, made the plain way."""
    return datagram + between + b"hmac-sha256=" + hmac.digest(key, datagram, "sha256").hex().encode()


class SealTests(SynchronousTestCase):
    """`Seal` opens what is signed by its key."""

    def reason(self, datagram: bytes, *keys: bytes) -> str:
        """Why a datagram is not opened."""
        error: WireError = self.assertRaises(WireError, Seal(keys or (KEY,)).opened, datagram)
        return error.reason

    @given(st.binary(max_size=300), st.binary(min_size=1, max_size=200), st.sampled_from((b" ", b"\n")))
    def test_opened(self, datagram: bytes, key: bytes, between: bytes) -> None:
        """Any bytes that are signed by any key come out as they went in; a line feed may follow the trailer."""
        for after in (b"", b"\n", b"\r\n"):
            self.assertEqual(Seal([key]).opened(signed(datagram, key, between) + after), datagram)

    def test_digits(self) -> None:
        """The digits may be large."""
        said, _, digits = signed(A_POINT).rpartition(b"=")
        self.assertEqual(Seal([KEY]).opened(said + b"=" + digits.upper()), A_POINT)

    def test_two_keys(self) -> None:
        """While loggers get a new key both are good."""
        seal = Seal([KEY, b"x" * 32])
        for key in (KEY, b"x" * 32):
            self.assertEqual(seal.opened(signed(A_POINT, key)), A_POINT)
        self.assertRaises(WireError, seal.opened, signed(A_POINT, b"y" * 32))

    def test_unsigned(self) -> None:
        """What has no whole trailer at its end is not signed."""
        good = signed(A_POINT)
        for datagram in (b"", A_POINT, good[:-1], good + b" ", good + b"\n\n", good.replace(b"sha256", b"sha512")):
            self.assertEqual(self.reason(datagram), "unsigned", datagram)
        self.assertEqual(self.reason(A_POINT + good[len(A_POINT) + 1 :]), "unsigned")
        self.assertEqual(self.reason(good[len(A_POINT) + 1 :]), "unsigned")

    def test_wrong(self) -> None:
        """A trailer of other bytes, or by another key, is a wrong one; so is one that is no number."""
        good = signed(A_POINT)
        for datagram in (
            good.replace(b"101.5", b"101.6"),
            signed(A_POINT, KEY[:-1]),
            b" " + good,
            good[:-1] + (b"0" if good[-1:] != b"0" else b"1"),
            good[:-1] + b"g",
            good[:-1] + b"\xff",
            A_POINT + b" hmac-sha256=" + hashlib.sha256(A_POINT).hexdigest().encode(),
        ):
            self.assertEqual(self.reason(datagram), "bad_signature", datagram)

    @given(st.binary(max_size=200))
    def test_any_bytes(self, noise: bytes) -> None:
        """No bytes are opened that nobody signed, wherever they stand, and none make it fail otherwise."""
        for datagram in (noise, noise + b" hmac-sha256=" + b"0" * 64, A_POINT + b" hmac-sha256=" + noise):
            self.assertIn(self.reason(datagram), ("unsigned", "bad_signature"))

    def test_file(self) -> None:
        """A file has a key a line, one or two, of at least 32 characters; their bytes are the key."""
        self.assertEqual(parse_keys(KEY + b"\n").opened(signed(A_POINT)), A_POINT)
        two = parse_keys(b"\n" + b"x" * 32 + b"\r\n" + KEY)
        self.assertEqual(two.opened(signed(A_POINT)), A_POINT)
        for content, said in (
            (b"", "0 lines"),
            (b"\n \n", "0 lines"),
            (b"x" * 31, "shorter than 32"),
            (b"\n".join([KEY] * 3), "3 lines"),
        ):
            error = self.assertRaises(ValueError, parse_keys, content)
            self.assertIn(said, str(error))
            self.assertNotIn("xxx", str(error))

    def test_openssl(self) -> None:
        """The line of docs/telemetry.md that signs a point by openssl makes what is opened."""
        text = (ROOT / "docs/telemetry.md").read_text()
        found = re.search(r"^\$ (printf .*openssl dgst.*) \| nc -u -w0 localhost 20777$", text, re.MULTILINE)
        assert found is not None
        point = re.search(r"^\$ point='(.*)'$", text, re.MULTILINE)
        assert point is not None
        script = f"point='{point[1]}'\n{found[1]}"
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "udp.key").write_bytes(KEY + b"\n")
            sent = subprocess.run(["sh", "-c", script], cwd=directory, capture_output=True, check=True).stdout
        self.assertEqual(Seal([KEY]).opened(sent), point[1].encode())
