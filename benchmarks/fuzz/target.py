"""A decoder, driven: what it is given, what must hold of what it makes of it, and what that takes."""

from __future__ import annotations

import gc
import os
import random
import signal
import time
import traceback
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from benchmarks.fuzz.mutate import Mutator

#: The longest that an input may take [s of this thread], and the longest that is waited for it [s].
LONGEST_S: Final = 0.25
_HUNG_S: Final = 20
#: How much the process may grow while a decoder is at work, from a quarter of its time on [MiB].
MOST_GROWN_MIB: Final = 32
#: Different failures of a decoder that are kept.
_MOST_FAILURES: Final = 5
#: A decoder that remembers something is made anew after so many inputs.
_FRESH_AFTER: Final = 5000
ACCEPTED: Final = "accepted"


class Broken(AssertionError):  # noqa: N818 - not raised by what is tried, but of it
    """Something that must hold does not."""


class Hung(BaseException):
    """An input has no end."""


class Target:
    """
    A decoder of bytes.

    Attributes:
        name: what it is called.
        of: the modules it goes through.
        family: what it may raise, for this is how it refuses.
        samples: inputs that it takes.
    """

    name: ClassVar[str]
    of: ClassVar[tuple[str, ...]]
    family: ClassVar[tuple[type[Exception], ...]] = ()
    samples: ClassVar[tuple[bytes, ...]]

    @abstractmethod
    def decode(self, data: bytes) -> Any:
        """What the decoder makes of an input; the time this takes counts."""

    def judge(self, data: bytes, found: Any) -> str:
        """
        ``accepted``, or why it was refused, by the result.

        Raises:
            Broken: something does not hold of it.
        """
        return ACCEPTED

    def same(self, one: Any, other: Any) -> bool:
        """Whether two results of the same bytes are alike."""
        return bool(one == other)

    def close(self) -> None:
        """It is not needed any more."""


@dataclass(slots=True)
class Failure:
    """An input that shows a fault: what, and in which words."""

    data: bytes
    kind: str
    text: str


@dataclass(slots=True)
class Figures:
    """What came of a decoder's inputs."""

    inputs: int = 0
    seconds: float = 0.0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: bytes = b""
    grown_mib: float = 0.0
    failures: dict[str, Failure] = field(default_factory=dict)


class Trial:
    """
    Gives inputs to a decoder and keeps the figures.

    Args:
        kind: which decoder.
    """

    def __init__(self, kind: type[Target]) -> None:
        self.figures = Figures()
        self._kind = kind
        self._target = kind()

    def close(self) -> None:
        """Nothing more is given."""
        self._target.close()

    def give(self, data: bytes) -> str:
        """Give one input, twice; returns what became of it."""
        figures, target = self.figures, self._target
        figures.inputs += 1
        if figures.inputs % _FRESH_AFTER == 0:
            target.close()
            self._target = target = self._kind()
        try:
            with _bounded():
                verdict, found, took_s = _timed(target, data)
                if took_s > figures.slowest_s:
                    if took_s > LONGEST_S:  # once more: the machine may have been busy
                        took_s = min(took_s, _timed(target, data)[2])
                    if took_s > LONGEST_S:
                        self._fail(data, f"slow in {target.name}", f"{took_s * 1000:.0f} ms")
                    figures.slowest_s, figures.slowest = max(took_s, figures.slowest_s), data
                again, found_again, _ = _timed(target, data)
                if again != verdict or not (verdict or target.same(found, found_again)):
                    raise Broken(f"the second time it was {again or found_again!r:.200}, not {verdict or found!r:.200}")
                verdict = verdict or target.judge(data, found)
        except (Exception, Hung) as error:
            frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            self._fail(data, f"{type(error).__name__} at {frames[-1]}", traceback.format_exc())
            return "failed"
        if verdict == ACCEPTED:
            figures.accepted += 1
        else:
            figures.refused[verdict] += 1
        return verdict

    def _fail(self, data: bytes, kind: str, text: str) -> None:
        failures = self.figures.failures
        known = failures.get(kind)
        if len(failures) < _MOST_FAILURES if known is None else len(data) < len(known.data):
            failures[kind] = Failure(data, kind, text)


def run(kind: type[Target], seed: int, seconds: float, most: int | None = None) -> Figures:
    """
    Give a decoder its samples, and then what is nearly like them, for so long or so many.

    Each sample must be accepted. The same seed gives the same inputs in the same order.
    """
    trial = Trial(kind)
    figures = trial.figures
    mutator = Mutator(kind.samples, random.Random(f"{seed} {kind.name}"))
    began = time.monotonic()
    warm_at, warm_mib = began + seconds / 4, None
    for sample in kind.samples:
        verdict = trial.give(sample)
        if verdict not in (ACCEPTED, "failed"):
            figures.failures[f"sample {sample[:40]!r}"] = Failure(sample, "a sample is refused", verdict)
    while (now := time.monotonic()) < began + seconds and (most is None or figures.inputs < most):
        if warm_mib is None and now >= warm_at:
            warm_mib = _resident_mib()
        for _ in range(20):
            trial.give(mutator.next())
    figures.seconds = time.monotonic() - began
    trial.close()
    if warm_mib is not None:
        figures.grown_mib = max(_resident_mib() - warm_mib, 0.0)
        if figures.grown_mib > MOST_GROWN_MIB:
            figures.failures["growth"] = Failure(
                b"", "growth", f"{figures.grown_mib:.0f} MiB more than when it was warm"
            )
    return figures


def _timed(target: Target, data: bytes) -> tuple[str, Any, float]:
    """Why an input was refused, or else what came of it; and the time it took [s of this thread]."""
    began_s = time.thread_time()
    try:
        found, verdict = target.decode(data), ""
    except target.family as error:
        found, verdict = None, str(getattr(error, "reason", "")) or type(error).__name__
    return verdict, found, time.thread_time() - began_s


@contextmanager
def _bounded() -> Iterator[None]:
    """Whatever has no end is ended."""

    def ring(signum: int, frame: Any) -> None:
        raise Hung(f"no end within {_HUNG_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, _HUNG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _resident_mib() -> float:
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
