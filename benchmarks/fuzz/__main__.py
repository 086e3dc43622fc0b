"""
Give every decoder what nobody would send: ``python -m benchmarks.fuzz [--minutes 10] [--seed N] [name …]``.

They are the decoders of all that comes from outside: datagrams, requests and their bodies, what clients of the
WebSocket send, objects of a bucket and the messages about them, files, settings, what workers and their checkpoints
say, and, for the commands and the clients, what a server that means it ill says. Each has its part of the time, in
which it gets samples with bits, bytes, cells, members and values of them changed.

Refusing is right, in the manner of each decoder. Wrong is any other exception, an accepted point that is no JSON to
strict readers or outside its ranges, a good point lost beside a bad one, an answer that is another one the second
time, an input of 64 KiB that takes over 250 ms, or memory that grows. What is found is written to ``fuzz-failures``
and shown with the words that repeat it; the status is 1 then.

``--guided`` lets atheris choose the inputs by the code they reach, a process for each decoder; it must be installed.
``--again FILE name`` gives a decoder an input that was written.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from twisted.logger import globalLogBeginner

from benchmarks.fuzz.guided import guided
from benchmarks.fuzz.table import TARGETS
from benchmarks.fuzz.target import Figures, Trial, run

#: What is asked of the machine at most, lest an input takes all of its memory [bytes].
_MOST_MEMORY: Final = 4 << 30
_FAILURES: Final = Path("fuzz-failures")


def show(name: str, figures: Figures) -> None:
    """Print a line of the table."""
    refused = sum(figures.refused.values())
    reasons = ", ".join(f"{reason} {count}" for reason, count in figures.refused.most_common(4))
    rate = figures.inputs / max(figures.seconds, 1e-9)
    print(
        f"| {name} | {figures.inputs:,} | {rate:,.0f} | {figures.accepted:,} | {refused:,}: {reasons} "
        f"| {figures.slowest_s * 1000:.1f} | {figures.grown_mib:.1f} | {len(figures.failures)} |",
        flush=True,
    )


def keep(name: str, figures: Figures, words: str) -> None:
    """Write the inputs that failed, and show them."""
    for failure in figures.failures.values():
        _FAILURES.mkdir(exist_ok=True)
        path = _FAILURES / f"{name.replace(' ', '-')}-{sha256(failure.data).hexdigest()[:12]}"
        path.write_bytes(failure.data)
        print(f"\n{name}: {failure.kind}\n{failure.text.rstrip()}\n{failure.data[:500]!r}")
        print(f"again: python -m benchmarks.fuzz --again {path} '{name}', or {words}\n", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for, print it, and say whether all is as wanted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--minutes", type=float, default=10, help="for all of them together")
    parser.add_argument("--seed", type=int, help="the same seed gives the same inputs")
    parser.add_argument("--guided", action="store_true", help="by atheris")
    parser.add_argument("--again", type=Path, metavar="FILE", help="an input that was written")
    given = parser.parse_args(arguments)
    unknown = set(given.names) - TARGETS.keys()
    if unknown:
        parser.error(f"no such decoder: {', '.join(sorted(unknown))}")
    # What is logged as a fault counts; nothing else is of interest.
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, resource.RLIM_INFINITY))
    names = given.names or list(TARGETS)
    if given.again is not None:
        return _again(given.again.read_bytes(), names)
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    seconds = 60 * given.minutes / len(names)
    print(f"seed {seed}\n")
    print("| decoder | inputs | inputs/s | accepted | refused | slowest, ms | grown, MiB | failures |")
    print("| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: |", flush=True)
    found = {}
    for name in names:
        found[name] = guided(name, seed, seconds) if given.guided else run(TARGETS[name], seed, seconds)
        show(name, found[name])
    for name, figures in found.items():
        keep(name, figures, f"--seed {seed} '{name}'")
    failures = sum(len(figures.failures) for figures in found.values())
    inputs = sum(figures.inputs for figures in found.values())
    print(f"\n{inputs:,} inputs, {failures} failures")
    return 1 if failures else 0


def _again(data: bytes, names: Sequence[str]) -> int:
    """Give one input to each of these decoders."""
    failures = 0
    for name in names:
        trial = Trial(TARGETS[name])
        verdict = trial.give(data)
        print(f"{name}: {verdict}, {trial.figures.slowest_s * 1000:.1f} ms")
        for failure in trial.figures.failures.values():
            failures += 1
            print(failure.text)
        trial.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
