"""Inputs that are nearly right: samples with a few bytes, cells, members or values of them changed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from benchmarks.fuzz.oddities import NAMES, ODD_NUMBERS, ODD_TEXTS, TOKENS

#: No input is longer [bytes].
LONGEST: Final = 64 << 10
_DIGITS: Final = re.compile(rb"-?\d+(?:\.\d+)?")


class Verbatim:
    """A piece of JSON that is written as it stands."""

    def __init__(self, text: str) -> None:
        self.text = text


class Members(list[tuple[str, Any]]):
    """An object of JSON as its members, so that a name may stand in it twice."""


class Mutator:
    """
    Makes inputs of samples.

    Args:
        samples: what is right.
        chance: decides; the same chance gives the same inputs.
    """

    def __init__(self, samples: Sequence[bytes], chance: random.Random) -> None:
        self._samples = samples
        self._chance = chance
        self._bytes: Sequence[Callable[[bytes], bytes]] = (
            *(self._flipped, self._without, self._doubled, self._inserted, self._spliced, self._cut, self._odd_number),
            *(self._moved, self._line_ends, self._repeated, self._odd_byte),
        )

    def next(self) -> bytes:
        """One more input, of at most `LONGEST` bytes."""
        chance = self._chance
        kind = chance.random()
        if kind < 0.04:
            return b"".join(chance.choices(TOKENS, k=chance.randrange(12)))
        return self.mutated(chance.choice(self._samples), kind)

    def mutated(self, data: bytes, kind: float) -> bytes:
        """An input made of another; ``kind``, from 0 to 1, says how."""
        if kind < 0.55:
            data = self._structure(data)
        if kind > 0.45:
            while True:
                data = self._chance.choice(self._bytes)(data)
                if self._chance.random() < 0.5:
                    break
        return data[:LONGEST]

    def _span(self, data: bytes) -> tuple[int, int]:
        start = self._chance.randrange(len(data) + 1)
        return start, min(len(data), start + int(2 ** self._chance.uniform(0, 8)))

    def _flipped(self, data: bytes) -> bytes:
        if not data:
            return data
        at = self._chance.randrange(len(data))
        return data[:at] + bytes((data[at] ^ 1 << self._chance.randrange(8),)) + data[at + 1 :]

    def _odd_byte(self, data: bytes) -> bytes:
        start, _ = self._span(data)
        return data[:start] + bytes((self._chance.randrange(256),)) + data[start + 1 :]

    def _without(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[end:]

    def _doubled(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:end] + data[start:]

    def _moved(self, data: bytes) -> bytes:
        start, end = self._span(data)
        at = self._chance.randrange(len(data) + 1)
        rest = data[:start] + data[end:]
        return rest[:at] + data[start:end] + rest[at:]

    def _inserted(self, data: bytes) -> bytes:
        start, _ = self._span(data)
        return data[:start] + self._chance.choice(TOKENS) + data[start:]

    def _spliced(self, data: bytes) -> bytes:
        other = self._chance.choice(self._samples)
        return data[: self._span(data)[0]] + other[self._span(other)[0] :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._span(data)[0]]

    def _repeated(self, data: bytes) -> bytes:
        start, end = self._span(data)
        times = int(2 ** self._chance.triangular(0, 14, 0))
        room = max(LONGEST - len(data), 0)
        return data[:start] + (data[start:end] * times)[:room] + data[end:]

    def _odd_number(self, data: bytes) -> bytes:
        found = list(_DIGITS.finditer(data[:LONGEST]))
        if not found:
            return data
        start, end = self._chance.choice(found).span()
        return data[:start] + self._chance.choice(ODD_NUMBERS).encode("utf-8", "surrogatepass") + data[end:]

    def _line_ends(self, data: bytes) -> bytes:
        old, new = self._chance.choice(
            ((b"\n", b"\r\n"), (b"\n", b"\r"), (b"\r\n", b"\n"), (b"\n", b"\n\n"), (b"\n", b""))
        )
        return data.replace(old, new, self._chance.choice((1, -1)))

    def _structure(self, data: bytes) -> bytes:
        """Change what the bytes mean: a value of JSON or MessagePack, or a cell of a line."""
        if data[:1] and data[0] >= 0x80 and data[:2] != b"\x1f\x8b":
            try:
                return self._packed(data)
            except (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError):
                return self._flipped(data)
        try:
            tree = json.loads(data, object_pairs_hook=Members)
        except (ValueError, RecursionError):
            lines = data.split(b"\n")
            at = self._chance.randrange(len(lines))
            if lines[at][:1] == b"{" and len(lines) > 1:
                lines[at] = self._structure(lines[at])
                return b"\n".join(lines)
            return self._cells(lines, at)
        return self._written(self._changed(tree))

    def _packed(self, data: bytes) -> bytes:
        tree = msgspec.msgpack.decode(data)
        changed = self._changed(json.loads(msgspec.json.encode(tree), object_pairs_hook=Members))
        plain = json.loads(self._written(changed))
        return msgspec.msgpack.encode(plain)

    def _cells(self, lines: list[bytes], at: int) -> bytes:
        chance = self._chance
        marks = [mark for mark in (b",", b";", b"&", b"=", b": ", b"/", b" ", b"-") if mark in lines[at]]
        if not marks:
            return self._inserted(b"\n".join(lines))
        mark = chance.choice(marks[:3])
        cells = lines[at].split(mark)
        place = chance.randrange(len(cells))
        text = chance.choice(chance.choice((ODD_NUMBERS, ODD_TEXTS, NAMES))).encode("utf-8", "surrogatepass")
        match chance.randrange(6):
            case 0 | 1:
                cells[place] = text
            case 2:
                del cells[place]
            case 3:
                cells.insert(place, text)
            case 4:
                cells[place] = b'"%b"' % cells[place]
            case 5:
                cells[place], cells[0] = cells[0], cells[place]
        lines[at] = mark.join(cells)
        if chance.random() < 0.2:
            lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
        return b"\n".join(lines)

    def _odd(self) -> Any:
        chance = self._chance
        match chance.randrange(8):
            case 0 | 1 | 2:
                return Verbatim(chance.choice(ODD_NUMBERS))
            case 3 | 4:
                return chance.choice(ODD_TEXTS)
            case 5:
                return chance.choice((None, True, False, [], Members()))
            case 6:
                depth = int(2 ** chance.uniform(0, 13))
                begin, end = chance.choice((("[", "]"), ('{"a":', "}")))
                return Verbatim(begin * depth + "1" + end * chance.choice((depth, depth, 0)))
            case _:
                return Members([(chance.choice(NAMES), 1), (chance.choice(NAMES), chance.choice(ODD_TEXTS))])

    def _changed(self, tree: Any) -> Any:
        """The tree with one place of it changed; places near its top are changed as often as those deep down."""
        chance = self._chance
        if not isinstance(tree, list) or not tree or chance.random() < 0.08:
            return self._odd()
        at = chance.randrange(len(tree))
        members = isinstance(tree, Members)
        match chance.randrange(12):
            case 0:
                del tree[at]
            case 1:
                tree.insert(at, (chance.choice(NAMES), self._odd()) if members else self._odd())
            case 2:
                tree.insert(chance.randrange(len(tree) + 1), tree[at])
            case 3 if members:
                tree[at] = (chance.choice(NAMES), tree[at][1])
            case 4 if members:
                tree.append((tree[at][0], self._odd()))
            case 5 if members:
                tree += [(f"v{n}", n) for n in range(chance.choice((1, 50, 70, 2000)))]
            case 6 if not members:
                tree *= chance.choice((2, 20, 300)) if len(repr(tree)) < 200 else 1
            case _:
                tree[at] = (tree[at][0], self._changed(tree[at][1])) if members else self._changed(tree[at])
        return tree

    def _written(self, tree: Any) -> bytes:
        chance = self._chance
        ascii_only = chance.random() < 0.7
        comma, colon = chance.choice(((",", ":"), (",", ":"), (", ", ": "), (" ,\t", " :\n")))

        def write(value: Any) -> str:
            if isinstance(value, Verbatim):
                return value.text
            if isinstance(value, Members):
                members = (json.dumps(name, ensure_ascii=ascii_only) + colon + write(inner) for name, inner in value)
                return f"{{{comma.join(members)}}}"
            if isinstance(value, list):
                return f"[{comma.join(map(write, value))}]"
            return json.dumps(value, ensure_ascii=ascii_only)

        return write(tree).encode("utf-8", "surrogatepass")
