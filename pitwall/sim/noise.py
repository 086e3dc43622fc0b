"""
Random numbers that are looked up, not drawn in order.

Each number is a hash (the finalizer of splitmix64) of a key and an index, so
the noise on a car's sample is the same whether the race is asked for in one
window or in ten thousand, from the start or from the middle. It rests on
integer arithmetic alone: no generator whose stream could change with a
numpy release.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_MASK: Final = 2**64 - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB


def stream_key(seed: int, *parts: int) -> int:
    """The key of one stream of numbers: the race's seed and what the stream is for."""
    key = seed & _MASK
    for part in parts:
        key = _mix((key + _GOLDEN * (part + 1)) & _MASK)
    return key


def uniform(key: int, index: IntArray) -> FloatArray:
    """Evenly spread numbers, 0 < u < 1; the shape of ``index`` (one dimension or more)."""
    bits = _hash(key, index)
    # The upper 53 bits, in the middle of their interval: never 0, never 1.
    return ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def normal(key: int, index: IntArray) -> FloatArray:
    """Normal numbers of mean 0 and deviation 1 (Box and Muller); the shape of ``index``."""
    radius = np.sqrt(-2.0 * np.log(uniform(key, index)))
    angle = (2.0 * np.pi) * uniform(stream_key(key, 1), index)
    spread: FloatArray = radius * np.cos(angle)
    return spread


def _mix(bits: int) -> int:
    bits = ((bits ^ (bits >> 30)) * _FIRST) & _MASK
    bits = ((bits ^ (bits >> 27)) * _SECOND) & _MASK
    return bits ^ (bits >> 31)


def _hash(key: int, index: IntArray) -> npt.NDArray[np.uint64]:
    bits = index.astype(np.uint64)
    bits *= np.uint64(_GOLDEN)
    bits += np.uint64(key)
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(_FIRST)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(_SECOND)
    bits ^= bits >> np.uint64(31)
    return bits
