"""
The telemetry stream as framed messages, each made once for all clients.

The log keeps the newest frames for as long as a client may lag: a client that
falls behind what is kept goes on with what is newest, because live beats
complete on a screen. Frames are shared, so a hundred slow clients cost no more
memory than one.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Sequence

from pitwall.wire.columnar import transcoded

#: The first byte of a frame: FIN and its opcode; RSV1 marks a compressed one (RFC 6455, RFC 7692).
TEXT = 0x81
BINARY = 0x82
PING = 0x89
_RSV1 = 0x40


def frame(payload: bytes, first_byte: int = TEXT) -> bytes:
    """An unmasked frame that is a whole message, as a server sends it (RFC 6455, section 5.2)."""
    size = len(payload)
    if size <= 125:
        return b"%c%c%b" % (first_byte, size, payload)
    if size <= 0xFFFF:
        return b"%c\x7e%b%b" % (first_byte, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (first_byte, size.to_bytes(8, "big"), payload)


def payload_of(framed: bytes) -> memoryview:
    """The payload of an unmasked frame, without a copy."""
    return memoryview(framed)[{126: 4, 127: 10}.get(framed[1], 2) :]


def deflated_frame(payload: bytes | memoryview, first_byte: int = TEXT) -> bytes:
    """The frame of a compressed payload, without context takeover (RFC 7692, section 7.2.1)."""
    compressor = zlib.compressobj(level=6, wbits=-15)
    packed = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return frame(packed[:-4], first_byte | _RSV1)


class Frame:
    """
    A message on the wire, in all its forms; those beside the plain one are made when first asked for.

    Args:
        payload: the message.
        prev: of telemetry: the last point before what it covers.
        seq: the last point it covers.
        points: how many points it has.
        conflated: how many are in their ranges alone.
        opcode: the first byte, ``TEXT`` or ``BINARY``.
    """

    __slots__ = ("_deflated", "_packed", "conflated", "filtered", "plain", "points", "prev", "sent_at", "seq")

    def __init__(
        self, payload: bytes, prev: int = 0, seq: int = 0, points: int = 0, conflated: int = 0, opcode: int = TEXT
    ) -> None:
        self.plain = frame(payload, opcode)
        self.prev = prev
        self.seq = seq
        self.points = points
        self.conflated = conflated
        self.filtered = seq - prev - points - conflated
        self.sent_at = 0.0
        self._deflated: bytes | None = None
        self._packed: Frame | None = None

    @property
    def deflated(self) -> bytes:
        """The frame for clients that agreed on permessage-deflate."""
        if self._deflated is None:
            self._deflated = deflated_frame(payload_of(self.plain), self.plain[0])
        return self._deflated

    @property
    def packed(self) -> Frame:
        """The same message for clients that agreed on MessagePack; not for telemetry, whose stream is packed."""
        if self._packed is None:
            binary = self.plain[0] == BINARY
            self._packed = self if binary else Frame(transcoded(payload_of(self.plain)), opcode=BINARY)
        return self._packed


class FrameLog:
    """
    The newest telemetry frames, by a running index.

    Args:
        max_age_s: frames older than this are let go [s].
        max_bytes: and so are those above this size together [bytes].
    """

    def __init__(self, max_age_s: float = 1.0, max_bytes: int = 8 << 20) -> None:
        self._max_age_s = max_age_s
        self._max_bytes = max_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        #: The index after the newest frame.
        self.end = 0

    @property
    def start(self) -> int:
        """The index of the oldest frame kept; ``end`` while there is none."""
        return self.end - len(self._frames)

    def append(self, frames: Sequence[Frame], now: float) -> None:
        """Keep new frames and let old ones go; those given now are kept in any case."""
        for one in frames:
            one.sent_at = now
            self._frames.append(one)
            self._bytes += len(one.plain)
        self.end += len(frames)
        oldest_wanted = now - self._max_age_s
        while len(self._frames) > len(frames) and (
            self._bytes > self._max_bytes or self._frames[0].sent_at < oldest_wanted
        ):
            self._bytes -= len(self._frames.popleft().plain)

    @property
    def newest(self) -> Frame:
        """The newest frame; there must be one."""
        return self._frames[-1]

    def get(self, index: int) -> Frame:
        """The frame of that index; it must be kept still."""
        return self._frames[index - self.start]

    def after(self, seq: int) -> int | None:
        """The index of the frame whose ``prev`` is ``seq``; None where there is none."""
        low, high = self.start, self.end
        while low < high:
            middle = (low + high) // 2
            prev = self.get(middle).prev
            if prev == seq:
                return middle
            if prev < seq:
                low = middle + 1
            else:
                high = middle
        return None

    def end_of(self, seq: int) -> int | None:
        """The last point of the frame that covers ``seq``; None where none does."""
        for index in range(self.start, self.end):
            frame = self.get(index)
            if frame.prev < seq <= frame.seq:
                return frame.seq
        return None

    def expire(self, now: float) -> None:
        """Let go of what is too old, also when nothing new comes."""
        while self._frames and self._frames[0].sent_at < now - self._max_age_s:
            self._bytes -= len(self._frames.popleft().plain)
