"""
What a key is, and how the file says it.

A key is 32 random bytes as text. The file has no keys, but their SHA-256, one a
line::

    # name  scopes       SHA-256 of the key    added
    pit-wall read        9f86d081884c7d65…     2025-09-06

A password would want a slow, salted hash, for it can be guessed: there are
dictionaries. Of 2²⁵⁶ keys there is none, so the quickest hash is as safe as the
slowest, and no request waits for it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Self

INGEST: Final = "ingest"
READ: Final = "read"
ADMIN: Final = "admin"
#: What a key may be for.
SCOPES: Final = {
    INGEST: "send points (POST /api/ingest)",
    READ: "read what the server has: GET, and the WebSocket",
    ADMIN: "everything",
}
#: The most keys of a file: each one costs every request a comparison.
MOST_KEYS: Final = 1000
#: How a key begins, so that it is known for one where it does not belong, such as in a repository.
PREFIX: Final = "pw_"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HEAD = "# The keys of PitWall: name, scopes, SHA-256 of the key, day it was added. See docs/security.md.\n"


class KeysError(ValueError):
    """No keys; the message says where, what was seen and what was wanted."""


class Key(NamedTuple):
    """
    A key, as far as the server knows it.

    Attributes:
        name: of whoever has it.
        scopes: what it is for.
        digest: the SHA-256 of the key.
        added: the day, as in 2025-09-06.
    """

    name: str
    scopes: frozenset[str]
    digest: bytes
    added: str

    def may(self, scope: str) -> bool:
        """Whether it is for that."""
        return scope in self.scopes or ADMIN in self.scopes

    @property
    def scopes_text(self) -> str:
        """The scopes, by commas, always in the same order."""
        return ",".join(scope for scope in SCOPES if scope in self.scopes)


class Keys:
    """
    The keys there are.

    Args:
        keys: of different names.
    """

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = {key.name: key for key in keys}

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys.values())

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, token: bytes) -> Key | None:
        """The key that a client says; it is compared with every one, and takes as long whichever it is."""
        digest, found = digest_of(token), None
        for key in self._keys.values():
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def has(self, key: Key, scope: str) -> bool:
        """Whether a key that was found before still is one, and is for that."""
        now = self._keys.get(key.name)
        return now is not None and now.digest == key.digest and now.may(scope)

    def added(self, key: Key) -> Self:
        """
        These and one more.

        Raises:
            KeysError: there is one of that name, or there are too many.
        """
        if key.name in self._keys:
            raise KeysError(f"there is a key named {key.name} already; remove it first, or take another name")
        if len(self._keys) >= MOST_KEYS:
            raise KeysError(f"there are {MOST_KEYS} keys already, which is the most")
        return type(self)([*self, key])

    def removed(self, name: str) -> Self:
        """
        These without one.

        Raises:
            KeysError: there is none of that name.
        """
        if name not in self._keys:
            raise KeysError(f"there is no key named {name!a}")
        return type(self)(key for key in self if key.name != name)

    def text(self) -> str:
        """The file."""
        return _HEAD + "".join(f"{key.name} {key.scopes_text} {key.digest.hex()} {key.added}\n" for key in self)


def new_token() -> str:
    """A new key: 256 random bits, in characters that need no quotes anywhere."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(token: bytes) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(token).digest()


def checked_name(name: str) -> str:
    """
    The name of a key, if it can be one.

    Raises:
        KeysError: it can't.
    """
    if name.startswith(PREFIX):
        raise KeysError("this is a key, or looks like one, wanted a name")
    if not _NAME.fullmatch(name):
        raise KeysError(f"the name is {name[:70]!a}, wanted 1 to 64 of A-Z a-z 0-9 . _ - with a letter or digit first")
    return name


def checked_scopes(text: str) -> frozenset[str]:
    """
    The scopes in a text, by commas.

    Raises:
        KeysError: one is unknown, or there is none.
    """
    scopes = frozenset(text.split(","))
    if not scopes <= SCOPES.keys():
        # They are not shown: it may be a key, in the wrong place, and this goes to the log.
        raise KeysError(f"there is an unknown scope, wanted some of {','.join(SCOPES)}")
    return scopes


def parse_keys(content: bytes) -> Keys:
    """
    The keys of a file; one without keys is a file all the same, and lets nobody in.

    Raises:
        KeysError: a line is none; the whole is refused then.
    """
    found: dict[str, Key] = {}
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise KeysError("it is no text") from None
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            key = _key(words)
            if key.name in found:
                raise KeysError(f"a second key named {key.name}")
            found[key.name] = key
        except KeysError as error:
            raise KeysError(f"line {number}: {error}") from None
    if len(found) > MOST_KEYS:
        raise KeysError(f"it has {len(found)} keys, wanted at most {MOST_KEYS}")
    return Keys(found.values())


def _key(words: list[str]) -> Key:
    if len(words) != 4:
        # What they are is not said: one may be a key that was written where its hash belongs.
        raise KeysError(f"{len(words)} words, wanted 4: name, scopes, SHA-256 of the key, date")
    name, scopes, digest, added = words
    if not _DIGEST.fullmatch(digest):
        raise KeysError("the third word is no SHA-256, wanted 64 hexadecimal digits; `pitwall keys add` writes them")
    if not _DATE.fullmatch(added):
        raise KeysError("the fourth word is no date, wanted one such as 2025-09-06")
    return Key(checked_name(name), checked_scopes(scopes), bytes.fromhex(digest), added)
