"""The whole race computation in one place, without a server: rows in, tables out, as fast as it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitwall.model.track import Tracks
from pitwall.race.book import RaceBook
from pitwall.race.share import Share

Rows = NDArray[np.void]


class Analysis:
    """
    What the workers and the main process compute together.

    Args:
        tracks: the configured ones.
        tick_s: from one tick of a track to the next [s].
        loss_s: the loss that laps are counted to [s].

    Attributes:
        book: the tables.
        insights: all that were said, oldest first.
        corrections: all that were made, oldest first.
    """

    def __init__(self, tracks: Tracks, tick_s: float = 0.6, loss_s: float = 0.5) -> None:
        self._share = Share(tracks, tick_s, failed=_raise)
        self.book = RaceBook(tracks, loss_s)
        self.insights: list[dict[str, Any]] = []
        self.corrections: list[dict[str, Any]] = []

    def know(self, cars: Sequence[tuple[int, str, str]]) -> None:
        """Learn cars: the number, the track and the chassis of each."""
        self._share.know(list(cars), [])
        for car in cars:
            self.book.know(*car)

    def change_tracks(self, tracks: Tracks, names: tuple[str, ...] = ()) -> None:
        """Other tracks are in force for laps that begin from now on; ``names`` of those that have changed."""
        self._share.change_tracks(tracks)
        self.book.change_tracks(tracks, names, 0)
        self._work_off()

    def take(self, rows: Rows) -> None:
        """Take rows in, in the order in which they were accepted."""
        self.book.collect(self._share.take(rows))
        self._work_off()

    def finish(self) -> None:
        """Nothing more comes."""
        self.book.collect(self._share.flush())
        self._work_off()

    def results(self) -> list[dict[str, Any]]:
        """The results of the cars with rows since this was asked last, as clients get them."""
        found = []
        for report in self._share.reports():
            self.book.fill(report.result, report.car)
            found.append(report.result)
        return found

    def _work_off(self) -> None:
        for said in self.book.due(2**63):
            self.insights += said
            self.corrections += self.book.take_corrections()


def _raise(track: str, chassis: str) -> None:
    raise  # within the handler of the exception that is told of
