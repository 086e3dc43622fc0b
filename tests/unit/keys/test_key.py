"""Keys, and the text of the file that holds them."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.keys.key import (
    ADMIN,
    INGEST,
    MOST_KEYS,
    READ,
    SCOPES,
    Key,
    Keys,
    KeysError,
    digest_of,
    new_token,
    parse_keys,
)

LINE = f"logger-7 ingest,read {'ab' * 32} 2025-09-06\n"


def a_key(name: str, token: bytes = b"pw_x", *scopes: str) -> Key:
    """A key that may do these things."""
    return Key(name, frozenset(scopes or (READ,)), digest_of(token), "2025-09-06")


class KeyTests(SynchronousTestCase):
    """`Key` and `Keys`."""

    def test_new(self) -> None:
        """A new key has 256 random bits, in characters that a shell, a URL and a header take as they are."""
        tokens = {new_token() for _ in range(100)}
        self.assertEqual(len(tokens), 100)
        for token in tokens:
            self.assertRegex(token, r"\Apw_[A-Za-z0-9_-]{43}\Z")

    def test_scopes(self) -> None:
        """A key may do what its scopes say, and with admin everything."""
        for scope, wanted in ((INGEST, {INGEST}), (READ, {READ}), (ADMIN, set(SCOPES))):
            self.assertEqual({other for other in SCOPES if a_key("a", b"t", scope).may(other)}, wanted)
        self.assertTrue(a_key("a", b"t", ADMIN).may("a scope of later"))
        self.assertEqual(a_key("a", b"t", READ, INGEST).scopes_text, "ingest,read")

    def test_find(self) -> None:
        """A key is found by all of its text, and by nothing else."""
        keys = Keys([a_key("a", b"pw_a"), a_key("b", b"pw_b")])
        found = keys.find(b"pw_b")
        assert found is not None
        self.assertEqual(found.name, "b")
        for token in (b"pw_", b"pw_c", b"", b"pw_bb", digest_of(b"pw_b"), digest_of(b"pw_b").hex().encode()):
            self.assertIsNone(keys.find(token))

    def test_compared_with_all(self) -> None:
        """Every key is compared, whichever it is, in constant time."""
        compared: list[bytes] = []
        compare = hmac.compare_digest

        def noted(one: Any, other: Any) -> bool:
            compared.append(one)
            return compare(one, other)

        keys = Keys(a_key(str(n), b"pw_%d" % n) for n in range(5))
        self.patch(hmac, "compare_digest", noted)
        for token in (b"pw_0", b"pw_4", b"none"):
            compared.clear()
            keys.find(token)
            self.assertEqual(len(compared), 5)

    def test_has(self) -> None:
        """A key that was found once holds until it is removed, replaced, or may no longer do that."""
        key = a_key("a", b"pw_a", READ)
        self.assertTrue(Keys([key]).has(key, READ))
        self.assertFalse(Keys([key]).has(key, INGEST))
        for now in ((), (a_key("b", b"pw_a"),), (a_key("a", b"pw_other"),), (a_key("a", b"pw_a", INGEST),)):
            self.assertFalse(Keys(now).has(key, READ))


class FileTextTests(SynchronousTestCase):
    """`parse_keys` and `Keys.text`."""

    def refusal(self, content: str | bytes) -> str:
        """What is said of a file that is none."""
        raw = content.encode() if isinstance(content, str) else content
        return str(self.assertRaises(KeysError, parse_keys, raw))

    def test_lines(self) -> None:
        """A line is a name, scopes, a hash and a day; comments and empty lines may stand between."""
        (key,) = parse_keys(f"# mine\n\n  # more\n{LINE}".encode())
        self.assertEqual(key, Key("logger-7", frozenset((INGEST, READ)), b"\xab" * 32, "2025-09-06"))

    @given(
        st.lists(
            st.tuples(
                st.from_regex(r"[a-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True).filter(
                    lambda n: not n.startswith("pw_")
                ),
                st.sets(st.sampled_from(sorted(SCOPES)), min_size=1),
                st.binary(min_size=32, max_size=32),
            ),
            unique_by=lambda key: key[0],
            max_size=5,
        )
    )
    def test_there_and_back(self, told: list[tuple[str, set[str], bytes]]) -> None:
        """What is written is read again as it was."""
        keys = Keys(Key(name, frozenset(scopes), digest, "2025-09-06") for name, scopes, digest in told)
        self.assertEqual(list(parse_keys(keys.text().encode())), list(keys))

    def test_no_keys(self) -> None:
        """A file without keys is one, and nobody is in it."""
        self.assertEqual(len(parse_keys(b"")), 0)
        self.assertEqual(list(parse_keys(Keys().text().encode())), [])

    def test_never_the_key(self) -> None:
        """The text has the SHA-256 of the key, and not the key."""
        token = new_token()
        text = Keys([a_key("a", token.encode())]).text()
        self.assertNotIn(token, text)
        self.assertIn(hashlib.sha256(token.encode()).hexdigest(), text)

    def test_wrong_lines(self) -> None:
        """One line that is wrong is told by its number, and the whole file is refused."""
        for line, said in (
            ("logger-7 read", "2 words, wanted 4"),
            (LINE.replace("ingest", "write"), "unknown scope, wanted some of ingest,read,admin"),
            (LINE.replace("ingest,read", ","), "unknown scope"),
            (LINE.replace("ab", "AB"), "no SHA-256"),
            (LINE.replace("abab", "ab"), "no SHA-256"),
            (LINE.replace("2025-", "25-"), "no date"),
            (LINE.replace("logger-7", "-x"), "the name is '-x'"),
            (LINE.replace("logger-7", "x" * 65), "the name is"),
            (LINE + LINE, "line 3: a second key named logger-7"),
        ):
            self.assertIn(said, self.refusal(LINE.replace("logger-7", "other") + line))
        self.assertTrue(self.refusal(LINE + "x").startswith("line 2: "))
        self.assertEqual(self.refusal(b"\xff"), "it is no text")
        many = "".join(LINE.replace("logger-7", f"k{n}") for n in range(MOST_KEYS + 1))
        self.assertIn("1001 keys, wanted at most 1000", self.refusal(many))

    def test_a_key_in_its_place(self) -> None:
        """A key that somebody wrote into the file is not repeated in what is said of it."""
        token = new_token()
        for line in (token, f"a read {token} 2025-09-06", f"a {token} x y", f"{token} read {'ab' * 32} 2025-09-06"):
            self.assertNotIn(token, self.refusal(line))

    def test_added_removed(self) -> None:
        """A name is there once; what is not there can't be removed."""
        keys = Keys().added(a_key("a"))
        self.assertIn("already", str(self.assertRaises(KeysError, keys.added, a_key("a", b"pw_other"))))
        self.assertIn("no key named 'b'", str(self.assertRaises(KeysError, keys.removed, "b")))
        self.assertEqual(len(keys.removed("a")), 0)
        full = Keys(a_key(str(n)) for n in range(MOST_KEYS))
        self.assertIn("the most", str(self.assertRaises(KeysError, full.added, a_key("x"))))
