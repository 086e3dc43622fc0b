"""Messages of exact sizes, around those where a frame's length changes its form (RFC 6455, section 5.2)."""

from __future__ import annotations

import json
import random
import string

from pitwall.serve.live.frames import deflated_frame, payload_of

#: Sizes on both sides of 125, of 65,535 and of their neighbours [bytes].
EDGES = (124, 125, 126, 127, 65534, 65535, 65536, 65537)

_LETTERS = string.ascii_letters + string.digits


def message_of(size: int) -> bytes:
    """A JSON message of so many bytes, at least 20; one of 65,537 deflates to a few hundred."""
    note = "αβγ 🏁 "
    head, tail = f'{{"size":{size},"note":"', '"}'
    room = size - len(head) - len(tail)
    text = note * (room // len(note.encode()))
    payload = (head + text + "x" * (room - len(text.encode())) + tail).encode()
    assert len(payload) == size and json.loads(payload)
    return payload


def message_deflating_to(size: int) -> bytes:
    """A JSON message that the server deflates to so many bytes."""

    def deflated(length: int, dice: random.Random) -> tuple[bytes, int]:
        payload = b'{"size":%d,"note":"%b"}' % (size, "".join(dice.choices(_LETTERS, k=length)).encode())
        return payload, len(payload_of(deflated_frame(payload)))

    # The size grows by about 0.75 with each letter, and by chance.
    length = size
    for seed in range(1000):
        payload, got = deflated(length, random.Random(seed))
        if got == size:
            return payload
        length = max(length + round((size - got) * 1.3) + seed % 2, 0)
    raise AssertionError(f"nothing found that deflates to {size}")
