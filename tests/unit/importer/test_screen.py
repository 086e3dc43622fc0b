"""What a terminal shows of an import."""

from __future__ import annotations

import io

import msgspec
from rich.console import Console
from rich.progress import Progress
from twisted.trial.unittest import SynchronousTestCase

from pitwall.importer.screen import BarScreen, Screen, plain_console, print_tables
from pitwall.importer.sources import Source
from pitwall.importer.tally import Answer, Rejected, Tally
from tests.unit.importer.doubles import a_source, memory


def a_console() -> tuple[Console, io.StringIO]:
    """A console, and what it has printed."""
    output = io.StringIO()
    console = plain_console()
    console.file = output
    return console, output


def a_tally(label: str, **figures: int) -> Tally:
    """What became of a file."""
    tally = Tally(label)
    tally.add(msgspec.convert({"accepted": 0, "rows": 0, "rejected_total": 0, **figures}, Answer), 1)
    return tally


class TableTests(SynchronousTestCase):
    """`print_tables` says what became of the files."""

    def shown(self, *tallies: Tally) -> list[list[str]]:
        """The lines that are printed, as words."""
        console, output = a_console()
        print_tables(console, tallies)
        return [line.split() for line in output.getvalue().splitlines() if line.strip(" ─")]

    def test_files(self) -> None:
        """A line a file, and one for all of them."""
        found = self.shown(
            a_tally("a.csv", rows=1200, accepted=1100, duplicates=100, points=90), a_tally("b.csv", rows=5, accepted=5)
        )
        self.assertEqual(found[0], ["file", "rows", "accepted", "duplicates", "rejected", "points"])
        self.assertEqual(
            found[1:3], [["a.csv", "1,200", "1,100", "100", "0", "90"], ["b.csv", "5", "5", "0", "0", "0"]]
        )
        self.assertEqual(found[3], ["total", "1,205", "1,105", "100", "0", "90"])
        self.assertEqual(len(found), 4)

    def test_one_file(self) -> None:
        """One file needs no total."""
        self.assertEqual(len(self.shown(a_tally("a.csv"))), 2)

    def test_reasons(self) -> None:
        """Reasons, repairs and the first rejections are told where there are any, with the row in the file."""
        tally = Tally("a.csv")
        listed = [Rejected(n, "out_of_range", f"rpm is {n}", "rpm") for n in range(100)]
        reasons = {"bad_time": 30, "out_of_range": 120}
        tally.add(Answer(0, 150, 150, 0, 0, listed, reasons, {"lap_unknown": 7}), 1001)
        found = self.shown(tally)
        self.assertIn(["out_of_range", "120"], found)
        self.assertIn(["lap_unknown", "7"], found)
        self.assertLess(found.index(["out_of_range", "120"]), found.index(["bad_time", "30"]))
        self.assertIn(["a.csv:", "row", "1001:", "rpm", "is", "0"], found)
        self.assertNotIn(["a.csv:", "row", "1006:", "rpm", "is", "5"], found)
        self.assertEqual(found[-1], ["and", "145", "more"])

    def test_odd_names(self) -> None:
        """A name is printed as it is: it is no markup, and cut nowhere."""
        name = "[red]" + "very-long-" * 12 + ".csv"
        self.assertEqual(self.shown(a_tally(name))[1][0], name)


class ScreenTests(SynchronousTestCase):
    """Sentences and the progress bar."""

    def test_told(self) -> None:
        """A sentence comes in one line, and not at all when it is to be quiet."""
        console, output = a_console()
        Screen(console).tell("x" * 300)
        Screen(console, quiet=True).tell("nothing")
        self.assertEqual(output.getvalue(), f"pitwall: {'x' * 300}\n")

    def test_bar(self) -> None:
        """The bar goes by bytes over all files, each from where it begins."""
        progress = Progress(console=a_console()[0], auto_refresh=False)
        first, second = a_source(b"x" * 1000, "a.csv"), a_source(b"x" * 500, "b.csv")
        screen = BarScreen(a_console()[0], progress, [first, second])
        (task,) = progress.tasks
        self.assertEqual(task.total, 1500)
        screen.begin(first)
        screen.progress(first, 600, 10)
        self.assertEqual((task.completed, task.description, task.fields["rows"]), (600, "1/2 a.csv", "10 rows"))
        screen.begin(second)
        self.assertEqual(task.completed, 1000)
        screen.progress(second, 500, 30)
        self.assertEqual((task.completed, task.fields["rows"]), (1500, "40 rows"))

    def test_unknown_size(self) -> None:
        """With standard input among the files, nobody knows how far it is."""
        progress = Progress(console=a_console()[0], auto_refresh=False)
        BarScreen(a_console()[0], progress, [a_source(b"x"), Source("-", "-", None, lambda: memory(b""))])
        self.assertIsNone(progress.tasks[0].total)
