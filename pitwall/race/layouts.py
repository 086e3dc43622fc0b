"""
The layout a lap is measured by: the track file's in force when the lap began.

Another track file does not touch the lap that goes on, nor laps that are computed again
because late rows came: each keeps the length and the sectors it began with, so that its
sectors add up to it. What follows a car row by row takes another length from the first
row after the change on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pitwall.model.track import Track

#: So many layouts that laps may have begun with are remembered of a car.
MOST_LAYOUTS: Final = 16

#: From when on, by the car's own time, and the track; None where it is not configured.
StoredLayouts = list[tuple[float, Track | None]]


class Layout(NamedTuple):
    """
    Length and inner boundaries of a lap.

    Attributes:
        after_s: a lap that began after this is measured by it, by the car's own time [s].
        length_m: NaN where the track is not configured [m].
        sectors_m: where its sectors end but for the last.
        number: the ``Track.layout``.
    """

    after_s: float
    track: Track | None
    length_m: float
    sectors_m: tuple[float, ...]
    number: int

    @property
    def sectors(self) -> int:
        """How many there are."""
        return len(self.sectors_m) + 1


def _layout(after_s: float, track: Track | None) -> Layout:
    if track is None:
        return Layout(after_s, None, math.nan, (), 0)
    return Layout(after_s, track, track.total_m, track.boundaries_m()[:-1], track.layout)


class Layouts:
    """
    The layouts of one car's laps, oldest first.

    Args:
        track: in force from the beginning; None where it is not configured.
    """

    def __init__(self, track: Track | None) -> None:
        self._all = [_layout(-math.inf, track)]

    @property
    def newest(self) -> Layout:
        """In force now."""
        return self._all[-1]

    def at(self, began_s: float) -> Layout:
        """What a lap is measured by that began then; the oldest that is known where it began before that."""
        return next((each for each in reversed(self._all) if each.after_s < began_s), self._all[0])

    def change(self, track: Track | None, after_s: float) -> None:
        """Another track is in force for laps that begin after a moment of the car's time."""
        if track == self.newest.track:
            return
        self._all = [each for each in self._all if each.after_s < after_s][-MOST_LAYOUTS + 1 :]
        self._all.append(_layout(after_s if self._all else -math.inf, track))

    def begin_anew(self) -> None:
        """The car's time begins anew."""
        self._all = [self._all[-1]._replace(after_s=-math.inf)]

    def drop_before(self, time_s: float) -> None:
        """No lap that began before then is computed again."""
        while len(self._all) > 1 and self._all[1].after_s < time_s:
            del self._all[0]

    def parts(self, times: NDArray[np.float64]) -> Iterator[tuple[int, float]]:
        """Where rows in order of time end that have one length, and that length."""
        for layout, later in zip(self._all, [*self._all[1:], None], strict=True):
            end = times.size if later is None else int(np.searchsorted(times, later.after_s, "right"))
            yield end, layout.length_m

    def store(self) -> StoredLayouts:
        """All that is remembered."""
        return [(each.after_s, each.track) for each in self._all]

    def restore(self, stored: StoredLayouts) -> None:
        """Take over what was remembered."""
        self._all = [_layout(*each) for each in stored]
