"""A text that comes in pieces, perhaps packed: unpacked, and cut into whole lines."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from pitwall.wire.errors import WireError

#: The largest piece of unpacked text [bytes].
PIECE = 2 << 20
#: What gzip begins with.
GZIP = b"\x1f\x8b"
#: A line without an end for so long is none [bytes].
LONGEST_LINE = 1 << 20
#: What was taken last is kept up to so much [bytes].
WINDOW = 64 << 10
#: Lines are cut from so much at a time: with the number of rows, this bounds what a slice costs [bytes].
_SLICE = 32 << 10


def inflated(pieces: Iterator[bytes], most: int = PIECE) -> Iterator[bytes]:
    """
    Unpacked gzip, one member or several, in pieces of at most ``most`` bytes.

    Raises:
        WireError: it is broken, or ends too early.
    """
    unpack = zlib.decompressobj(wbits=31)
    begun = False
    for piece in pieces:
        data, full = piece, False
        while data or full:
            # After a member: a further one, or zeros that fill a block up.
            data = data if begun else data.lstrip(b"\0")
            begun = begun or bool(data)
            try:
                text = unpack.decompress(data, most)
            except zlib.error as error:
                raise WireError("bad_gzip", f"broken gzip: {error}") from None
            if text:
                yield text
            data, full = unpack.unconsumed_tail, len(text) == most
            if unpack.eof:
                data, full, begun = unpack.unused_data, False, False
                unpack = zlib.decompressobj(wbits=31)
    if begun:
        raise WireError("bad_gzip", "gzip that ends too early")


class Lines:
    """
    The whole lines of a text that comes in pieces.

    Args:
        pieces: the text.
        offset: where in the whole it begins [bytes].

    Attributes:
        offset: where the first line not taken yet begins [bytes].
    """

    def __init__(self, pieces: Iterator[bytes], offset: int = 0) -> None:
        self.offset = offset
        self._pieces = pieces
        self._buffer = b""
        self._at = 0
        self._before = b""

    @property
    def rest(self) -> bytes:
        """What stands after the last line taken, as far as it has come; at the end, the half line."""
        return self._buffer[self._at :]

    @property
    def window(self) -> bytes:
        """What was taken last, at most ``WINDOW`` bytes."""
        near = self._buffer[max(0, self._at - WINDOW) : self._at]
        return near if len(near) == WINDOW else (self._before + near)[-WINDOW:]

    def take(self, most: int) -> list[bytes]:
        """
        The next whole lines, without their line feeds; none at the end.

        Raises:
            WireError: a line that is too long to be one.
        """
        reach = _SLICE
        while True:
            stretch = self._buffer[self._at : self._at + reach]
            *lines, rest = stretch.split(b"\n", most)
            if lines:
                self._move(len(stretch) - len(rest))
                return lines
            if len(stretch) > LONGEST_LINE:
                raise WireError("too_long", f"a line of over {LONGEST_LINE} bytes")
            if len(stretch) == reach:
                reach *= 2
            elif not self._more():
                return []

    def skip(self, count: int) -> bytes:
        """So many bytes, or what there is."""
        while len(self._buffer) - self._at < count and self._more():
            pass
        skipped = self._buffer[self._at : self._at + count]
        self._move(len(skipped))
        return skipped

    def _move(self, count: int) -> None:
        self._at += count
        self.offset += count

    def _more(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._before = self.window
        self._buffer = self.rest + piece
        self._at = 0
        return True
