"""
Inputs chosen by what they reach: atheris keeps those that come to code no other has come to, and changes these.

It takes a process for itself and does not give it back, so each decoder has its own:
``python -m benchmarks.fuzz.guided NAME SEED SECONDS FILE``, which writes its figures to a file as it goes.
"""

from __future__ import annotations

import pickle
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.fuzz.target import Failure, Figures

#: Figures are written so often [s].
_EVERY_S = 1.0


def guided(name: str, seed: int, seconds: float) -> Figures:
    """Give a decoder such inputs for so long."""
    with tempfile.TemporaryDirectory(prefix="pitwall-fuzz-") as directory:
        path = Path(directory) / "figures"
        command = [sys.executable, "-m", "benchmarks.fuzz.guided", name, str(seed), str(seconds), str(path)]
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        # Written by the process that was just started, for this one.
        figures = pickle.loads(path.read_bytes()) if path.exists() else Figures()
        if ended.returncode or not figures.inputs:
            figures.failures["ended"] = Failure(b"", f"ended with {ended.returncode}", ended.stderr[-2000:])
        return figures


def main(name: str, seed: int, seconds: float, path: Path) -> None:
    """Be that process."""
    import atheris

    with atheris.instrument_imports(include=["pitwall"]):
        from benchmarks.fuzz.table import TARGETS
    from twisted.logger import globalLogBeginner

    from benchmarks.fuzz.mutate import LONGEST, Mutator
    from benchmarks.fuzz.target import Trial

    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)
    trial = Trial(TARGETS[name])
    mutator = Mutator(TARGETS[name].samples, random.Random(f"{seed} {name}"))
    chance = random.Random(seed)
    began = written_at = time.monotonic()
    # The one thing that is begun with is the samples.
    corpus = path.parent / "corpus"
    corpus.mkdir()
    for number, sample in enumerate(TARGETS[name].samples):
        (corpus / str(number)).write_bytes(sample)

    def once(data: bytes) -> None:
        nonlocal written_at
        trial.give(data)
        now = time.monotonic()
        if now >= written_at + _EVERY_S or trial.figures.inputs == 1:
            written_at = now
            trial.figures.seconds = now - began
            path.write_bytes(pickle.dumps(trial.figures))

    def changed(data: bytes, most: int, seed: int) -> bytes:
        # Half of them as libFuzzer would, half by what they mean.
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return mutator.mutated(data, chance.random())[:most]

    options = [
        f"-max_total_time={max(int(seconds), 1)}",
        f"-seed={seed or 1}",
        f"-max_len={LONGEST}",
        "-rss_limit_mb=0",
    ]
    argv: list[Any] = [sys.argv[0], *options, "-timeout=60", str(corpus)]
    atheris.Setup(argv, once, custom_mutator=changed)
    atheris.Fuzz()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
