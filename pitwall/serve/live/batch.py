"""
Points that go out together, in the forms that streams want them in, each made once.

A stream without a subscription joins the JSON the points came as, and needs nothing of
this. Others want to know whose the points are, some of their channels, or their digest;
what one of fifty streams has asked for, the others get for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, json

from pitwall.serve.live.conflation import Car, Columns, Digest, digest_of
from pitwall.serve.live.subscription import ALWAYS, Subscription


class _Names(Struct, gc=False):
    track: str
    chassis: str


_names = json.Decoder(list[_Names])
_points = json.Decoder(list[dict[str, Any]])


class Batch:
    """
    Points numbered on from ``first``, oldest first.

    Args:
        first: the number of the first.
        raws: their JSON.
        columns: of the server, for digests.
    """

    def __init__(self, first: int, raws: Sequence[bytes], columns: Columns) -> None:
        self.first = first
        self.last = first + len(raws) - 1
        self.raws = raws
        self._columns = columns
        self._projected: dict[frozenset[str], list[bytes | None]] = {}

    @cached_property
    def points(self) -> Sequence[dict[str, Any]]:
        """The points decoded."""
        return decoded(self.raws)

    @cached_property
    def cars(self) -> dict[Car, list[int]]:
        """The indices of each car's points."""
        found: dict[Car, list[int]] = {}
        for index, name in enumerate(_names.decode(b"[%b]" % b",".join(self.raws))):
            found.setdefault((name.track, name.chassis), []).append(index)
        return found

    @cached_property
    def digest(self) -> Digest:
        """What the points come to, by car."""
        return digest_of(self.first, self.raws, self.points, self._columns)

    def wanted(self, subscription: Subscription) -> Sequence[int]:
        """The indices of the points of the cars that are wanted, oldest first."""
        if subscription.every_car:
            return range(len(self.raws))
        found: list[int] = []
        for car, indices in self.cars.items():
            if subscription.wants(*car):
                found += indices
        found.sort()
        return found

    def projected(self, indices: Sequence[int], channels: frozenset[str] | None) -> list[bytes]:
        """The JSON of points, with some channels alone where that is asked for; values as they came."""
        if channels is None:
            raws = self.raws
            return [raws[index] for index in indices]
        made = self._projected.get(channels)
        if made is None:
            made = self._projected[channels] = [None] * len(self.raws)
        missing = [index for index in indices if made[index] is None]
        for index, raw in zip(missing, narrowed([self.raws[index] for index in missing], channels), strict=True):
            made[index] = raw
        return [made[index] or b"" for index in indices]


def decoded(raws: Sequence[bytes]) -> list[dict[str, Any]]:
    """The points whose JSON this is."""
    return _points.decode(b"[%b]" % b",".join(raws))


def narrowed(raws: Sequence[bytes], channels: frozenset[str]) -> list[bytes]:
    """The JSON of points with these channels alone, besides ``ALWAYS``; values as they came."""
    decoder = _decoder_of(channels)
    encode = json.encode
    return [encode(decoder.decode(raw)) for raw in raws]


# As many as there may be subscriptions: making one takes 0.1 ms for ten channels, and each flush needs all of them.
@lru_cache(256)
def _decoder_of(channels: frozenset[str]) -> json.Decoder[Any]:
    """A decoder to a Struct that keeps the text of these channels as it is, and skips the others."""
    names = [*ALWAYS, *sorted(channels.difference(ALWAYS))]
    fields = [(f"f{index}", Raw | UnsetType, UNSET) for index in range(len(names))]
    kind: Any = msgspec.defstruct(
        "Narrowed", fields, rename={f"f{index}": name for index, name in enumerate(names)}, gc=False
    )
    return json.Decoder(kind)


def at_most(size: int, raws: Sequence[bytes]) -> Sequence[bytes]:
    """The first of these points that come to so many bytes together; one at least."""
    if sum(map(len, raws)) <= size:
        return raws
    for count, raw in enumerate(raws):
        size -= len(raw)
        if size < 0:
            return raws[: max(count, 1)]
    return raws
