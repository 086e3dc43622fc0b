"""
What the main process and a worker say to each other, over AMP.

An AMP value ends at 65,535 bytes, so lists travel in parts below ``PART_BYTES``:
the names of cars as several ``Know`` calls, reports as the answer to
``Aggregate`` and one ``Fetch`` for each further part. Lists are msgpack.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from twisted.protocols import amp

#: The most one value may be.
PART_BYTES = 60_000


class Know(amp.Command):
    """Cars the worker has not heard of: a list of [number, track, chassis]; and numbers to forget."""

    arguments = [(b"cars", amp.String()), (b"forget", amp.String())]  # noqa: RUF012
    response = []  # noqa: RUF012


class Lay(amp.Command):
    """
    Other tracks, in force for the rows after ``after_seq``; told before any of these is to be read.

    They are msgpack of a list of ``Track``, which may be longer than a value: this is a part
    of it, ``last`` or not.
    """

    arguments = [(b"part", amp.String()), (b"last", amp.Boolean()), (b"after_seq", amp.Integer())]  # noqa: RUF012
    response = []  # noqa: RUF012


class Aggregate(amp.Command):
    """
    Read the rows up to ``upto`` and tell what comes of them; with ``flush`` also what waits for more rows.

    ``counted`` is the last row that was reported before: rows up to it are read
    again after a worker was replaced, but not counted again. The answer says up
    to which row was read, how many had been overwritten, the time it took, and the
    first of ``parts`` parts of the reports.
    """

    arguments = [  # noqa: RUF012
        (b"upto", amp.Integer()),
        (b"counted", amp.Integer()),
        (b"flush", amp.Boolean()),
    ]
    response = [  # noqa: RUF012
        (b"read", amp.Integer()),
        (b"missed", amp.Integer()),
        (b"took_us", amp.Integer()),
        (b"parts", amp.Integer()),
        (b"part", amp.String()),
    ]


class Fetch(amp.Command):
    """A further part of the last answer, by index."""

    arguments = [(b"index", amp.Integer())]  # noqa: RUF012
    response = [(b"part", amp.String())]  # noqa: RUF012


def in_parts(items: Sequence[Any]) -> list[bytes]:
    """A list as msgpack lists of fewer items, each of at most ``PART_BYTES`` (a single larger item is an error)."""
    encode = msgspec.msgpack.Encoder().encode
    parts: list[bytes] = []
    start, size = 0, 0
    for index, item in enumerate(items):
        length = len(encode(item))
        if length > PART_BYTES:
            raise ValueError(f"an item of {length} bytes, wanted {PART_BYTES} at most")
        if size + length > PART_BYTES:
            parts.append(encode(items[start:index]))
            start, size = index, 0
        size += length
    parts.append(encode(items[start:]))
    return parts
