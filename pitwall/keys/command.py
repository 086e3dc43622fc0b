"""``pitwall keys``: add, list and remove the keys of a file; a running server notices within a second."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime

from pitwall.keys.file import exposed, locked, read, replace
from pitwall.keys.key import (
    SCOPES,
    Key,
    Keys,
    KeysError,
    checked_name,
    checked_scopes,
    digest_of,
    new_token,
    parse_keys,
)

#: What names the file where ``--file`` does not; the server's setting as well.
VARIABLE = "API_KEYS_FILE"


def options(parser: argparse.ArgumentParser) -> None:
    """The options of ``pitwall keys``."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--file", metavar="FILE", help=f"the file with the keys; default: ${VARIABLE}")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    words = "make a new key and print it, this once"
    add = actions.add_parser("add", parents=[shared], help=words, description=f"{words.capitalize()}.")
    add.add_argument("name", metavar="NAME", help="of whoever gets it, such as logger-7 or pit-wall")
    told = "; ".join(f"{scope}: {what}" for scope, what in SCOPES.items())
    add.add_argument("--scope", required=True, metavar="SCOPE,…", help=f"what it is for, by commas. {told}")
    words = "list the names and scopes of the keys"
    actions.add_parser("list", parents=[shared], help=words, description=f"{words.capitalize()}.")
    words = "remove a key; its connections are closed"
    remove = actions.add_parser("remove", parents=[shared], help=words, description=f"{words.capitalize()}.")
    remove.add_argument("name", metavar="NAME", help="as in the list")


def run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Run ``pitwall keys``; returns its status."""
    path = arguments.file or os.environ.get(VARIABLE, "").strip()
    if not path:
        parser.error(f"which file? wanted --file FILE, or {VARIABLE}")
    try:
        if arguments.action == "add":
            _add(path, arguments.name, arguments.scope)
        elif arguments.action == "remove":
            _remove(path, arguments.name)
        else:
            _list(path)
    except KeysError as error:
        _say(f"{path}: {error}")
        return 1
    return 0


def _add(path: str, name: str, scopes: str) -> None:
    token = new_token()
    today = datetime.now(UTC).date().isoformat()
    key = Key(checked_name(name), checked_scopes(scopes), digest_of(token.encode()), today)
    with locked(path) as file:
        before = parse_keys(read(file)) if os.path.exists(file) else Keys()
        replace(file, before.added(key).text().encode())
    # The key alone, so that a script can take it.
    sys.stdout.write(f"{token}\n")
    sys.stdout.flush()
    _say(f"this is the key of {name}, for {key.scopes_text}; {path} has only its SHA-256: it can't be shown again")
    _warn(path)


def _remove(path: str, name: str) -> None:
    checked_name(name)
    with locked(path) as file:
        replace(file, parse_keys(read(file)).removed(name).text().encode())
    _warn(path)


def _list(path: str) -> None:
    keys = list(parse_keys(read(path)))
    width = max((len(key.name) for key in keys), default=0)
    for key in keys:
        sys.stdout.write(f"{key.name:<{width}}  {key.scopes_text:<17}  {key.added}\n")
    sys.stdout.flush()
    _warn(path)


def _warn(path: str) -> None:
    how = exposed(path)
    if how is not None:
        _say(f"{path}: {how}; chmod 600 it")


def _say(sentence: str) -> None:
    sys.stderr.write(f"pitwall keys: {sentence}\n")
