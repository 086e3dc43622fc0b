"""Every decoder is given what nobody would send, for a moment; and what would be wrong is found out."""

from __future__ import annotations

import ast
import random
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.fuzz.__main__ import main
from benchmarks.fuzz.mutate import LONGEST, Mutator
from benchmarks.fuzz.table import NO_DECODERS, TARGETS
from benchmarks.fuzz.target import Broken, Target, Trial, run

ROOT = Path(__file__).parents[3]
#: Inputs of each decoder, its samples included.
_INPUTS = 40


class Planted(Target):
    """A decoder with every fault there is."""

    name = "planted"
    of = ()
    family = (ValueError,)
    samples = (b"fine",)

    def __init__(self) -> None:
        self._came = 0

    def decode(self, data: bytes) -> Any:
        """Fail as the first letter says."""
        self._came += 1
        match data[:1]:
            case b"e":
                raise KeyError(data)
            case b"r":
                raise ValueError(data)
            case b"t":
                return self._came
            case b"s":
                end = time.thread_time() + 0.3
                while time.thread_time() < end:
                    pass
        return data

    def judge(self, data: bytes, found: Any) -> str:
        """Find fault with one letter."""
        if data[:1] == b"b":
            raise Broken("it does not hold")
        return "accepted"


class EveryDecoderTests(SynchronousTestCase):
    """`python -m benchmarks.fuzz`, in short."""

    def test_short(self) -> None:
        """Nothing escapes from any decoder, and whatever is accepted holds."""
        for name, target in TARGETS.items():
            figures = run(target, seed=7, seconds=20, most=_INPUTS)
            self.assertEqual([(each.kind, each.text) for each in figures.failures.values()], [], name)
            self.assertGreaterEqual(figures.inputs, _INPUTS, name)
            self.assertGreater(figures.accepted, 0, name)

    def test_every_module(self) -> None:
        """A module that raises an exception of ours is gone through by some decoder, or is said to be none."""
        trees = {
            ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text())
            for path in sorted((ROOT / "pitwall").rglob("*.py"))
        }
        ours = {node.name for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        raising = set()
        for module, tree in trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.Raise) and node.exc is not None:
                    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                    if isinstance(raised, ast.Name) and raised.id in ours:
                        raising.add(module)
        covered = {module for target in TARGETS.values() for module in target.of}
        self.assertEqual(raising - covered - NO_DECODERS.keys(), set())
        self.assertEqual((covered | NO_DECODERS.keys()) - trees.keys(), set())
        self.assertEqual(NO_DECODERS.keys() - raising, set())
        self.assertEqual(NO_DECODERS.keys() & covered, set())


class TrialTests(SynchronousTestCase):
    """`Trial` keeps what came of inputs, and finds out what is wrong."""

    def test_faults(self) -> None:
        """What is neither accepted nor refused as it should be is a failure, with the shortest input that shows it."""
        trial = Trial(Planted)
        for data in (b"fine", b"refused", b"escapes, long", b"escapes", b"twice", b"broken", b"slow"):
            trial.give(data)
        figures = trial.figures
        self.assertEqual((figures.inputs, figures.accepted, dict(figures.refused)), (7, 2, {"ValueError": 1}))
        found = sorted((failure.data, kind.split()[0]) for kind, failure in figures.failures.items())
        self.assertEqual(
            found, [(b"broken", "Broken"), (b"escapes", "KeyError"), (b"slow", "slow"), (b"twice", "Broken")]
        )
        self.assertGreater(figures.slowest_s, 0.25)

    def test_refused_sample(self) -> None:
        """A sample that is refused is a failure, for then nothing is tried in earnest."""

        class Refusing(Planted):
            samples = (b"refused",)

        (failure,) = run(Refusing, 1, 5, most=1).failures.values()
        self.assertEqual((failure.data, failure.kind), (b"refused", "a sample is refused"))

    def test_repeated(self) -> None:
        """The same seed gives the same inputs, of at most 64 KiB; another one others."""

        def inputs(seed: int) -> list[bytes]:
            mutator = Mutator(TARGETS["http json"].samples, random.Random(seed))
            return [mutator.next() for _ in range(300)]

        self.assertEqual(inputs(1), inputs(1))
        self.assertNotEqual(inputs(1), inputs(2))
        self.assertLessEqual(max(map(len, inputs(1))), LONGEST)
        self.assertGreater(len(set(inputs(1))), 200)

    def test_unknown(self) -> None:
        """A decoder that does not exist is an error."""
        with self.assertRaises(SystemExit) as caught:
            main(["warp"])
        self.assertEqual(caught.exception.code, 2)
