"""What a terminal shows: the progress of an import, and in the end its tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from pitwall.importer.sources import Source
from pitwall.importer.tally import Tally, total

#: So many rejections are shown.
_SHOWN = 5
#: The width of what no terminal shows [characters].
_WIDTH = 1000


class Screen:
    """
    Says what is to be said, on standard error.

    Args:
        console: standard error.
        quiet: say nothing but why an import failed.
    """

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet

    def begin(self, source: Source) -> None:
        """A file is begun."""

    def progress(self, source: Source, read_bytes: int, rows: int) -> None:
        """So much of it has been read, and so many rows more were answered for."""

    def tell(self, sentence: str) -> None:
        """Something is to be said."""
        if not self._quiet:
            self._console.print(f"pitwall: {sentence}", soft_wrap=True)


class BarScreen(Screen):
    """
    A progress bar over all files, by bytes.

    Args:
        console: standard error.
        progress: shows the bar.
        sources: the files.
        endless: whether they have no end.
    """

    def __init__(self, console: Console, progress: Progress, sources: Sequence[Source], endless: bool = False) -> None:
        super().__init__(console)
        sizes = [source.size for source in sources]
        self._bar = progress
        self._files = len(sources)
        self._begun = 0
        self._before = 0
        self._size = 0
        self._rows = 0
        self._started = time.monotonic()
        known = not endless and None not in sizes
        self._task: TaskID = progress.add_task(
            "", total=sum(size or 0 for size in sizes) if known else None, rows="", rate=""
        )

    def begin(self, source: Source) -> None:
        """A file is begun."""
        self._begun += 1
        self._before += self._size
        self._size = source.size or 0
        number = f"{self._begun}/{self._files} " if self._files > 1 else ""
        self._bar.update(self._task, description=f"{number}{source.name}", completed=self._before)

    def progress(self, source: Source, read_bytes: int, rows: int) -> None:
        """So much of it has been read, and so many rows more were answered for."""
        self._rows += rows
        rate = self._rows / max(time.monotonic() - self._started, 1e-3)
        self._bar.update(
            self._task, completed=self._before + read_bytes, rows=f"{self._rows:,} rows", rate=f"{rate:,.0f} rows/s"
        )


def plain_console(stderr: bool = False) -> Console:
    """A console that takes names and messages as they are, and cuts nothing off where no terminal needs it."""
    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH
    return console


@contextmanager
def shown(sources: Sequence[Source], quiet: bool, endless: bool) -> Iterator[Screen]:
    """A screen for an import: with a progress bar on a terminal, unless it is to be quiet."""
    console = plain_console(stderr=True)
    if quiet or not console.is_terminal:
        yield Screen(console, quiet)
        return
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rows]}", markup=False),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        yield BarScreen(console, progress, sources, endless)


def print_tables(console: Console, tallies: Sequence[Tally]) -> None:
    """What became of the files, then why rows were refused and what was repaired in them."""
    table = Table(box=box.SIMPLE)
    table.add_column("file", overflow="fold")
    for name in ("rows", "accepted", "duplicates", "rejected", "points"):
        table.add_column(name, justify="right", no_wrap=True)
    summed = total(tallies)
    for tally in tallies:
        table.add_row(tally.label, *_figures(tally))
    if len(tallies) != 1:
        table.add_section()
        table.add_row("total", *_figures(summed))
    console.print(table)
    for title, counts in (("rejected because of", summed.reasons), ("repaired", summed.repairs)):
        if counts:
            table = Table(box=box.SIMPLE)
            table.add_column(title, overflow="fold")
            table.add_column("rows", justify="right", no_wrap=True)
            for name, count in counts.most_common():
                table.add_row(name, f"{count:,}")
            console.print(table)
    rejections = [(tally.label, rejection) for tally in tallies for rejection in tally.rejections]
    for label, rejection in rejections[:_SHOWN]:
        row = "" if rejection.row is None else f"row {rejection.row}: "
        console.print(f"{label}: {row}{rejection.message or rejection.reason}", soft_wrap=True)
    if summed.rejected > len(rejections[:_SHOWN]) > 0:
        console.print(f"and {summed.rejected - len(rejections[:_SHOWN]):,} more", soft_wrap=True)


def complain(sentence: str) -> None:
    """Say why something failed, on standard error."""
    sys.stderr.write(f"pitwall: {sentence}\n")


def _figures(tally: Tally) -> tuple[str, ...]:
    figures = (tally.rows, tally.accepted, tally.duplicates, tally.rejected, tally.points)
    return tuple(f"{figure:,}" for figure in figures)
