"""The laps of a field, as far as pace needs them: each car's latest, and the field's median about any time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from statistics import median
from typing import Final

#: Laps of a car that are kept.
MOST_LAPS: Final = 200


@dataclass(slots=True)
class DrivenLap:
    """
    A lap of a car, and what is thought of it now.

    Attributes:
        number: as of ``Lap``.
        start_s: when it began [s since 1970].
        time_s: from line to line [s]; None where it is not known.
        marks: as of ``Lap``, with the caution that the field told.
        clean: whether it was a racing lap; judged anew when the usual lap is known better.
    """

    number: int
    start_s: float
    time_s: float | None
    marks: tuple[str, ...] = ()
    clean: bool = False

    @property
    def end_s(self) -> float | None:
        """When it ended [s since 1970]."""
        return None if self.time_s is None else self.start_s + self.time_s


@dataclass(slots=True)
class FieldLaps:
    """
    The laps of all cars on a track.

    Laps of different cars are set against one another by when they ended, not by their
    number: a car that is laps down, or whose count begins elsewhere, still drives on the
    track the others drive on.

    Attributes:
        cars: the laps of each, oldest first, at most ``MOST_LAPS``.
        now_s: the latest end of a lap there was [s since 1970].
    """

    cars: dict[str, list[DrivenLap]] = field(default_factory=dict)
    now_s: float = float("-inf")
    _clean: list[tuple[float, str, int, float]] = field(default_factory=list)

    def add(self, chassis: str, lap: DrivenLap) -> None:
        """A lap more, not clean yet. One of the same number before it is taken out."""
        laps = self.cars.setdefault(chassis, [])
        for index, known in enumerate(laps):
            if known.number == lap.number:
                self.judge(chassis, known, False)
                del laps[index]
                break
        insort(laps, lap, key=lambda one: one.number)
        if len(laps) > MOST_LAPS:
            self.judge(chassis, laps[0], False)
            del laps[0]
        if lap.end_s is not None:
            self.now_s = max(self.now_s, lap.end_s)

    def find(self, chassis: str, number: int) -> DrivenLap | None:
        """The lap of that number, or None."""
        return next((lap for lap in reversed(self.cars.get(chassis, [])) if lap.number == number), None)

    def judge(self, chassis: str, lap: DrivenLap, clean: bool) -> None:
        """Say of a lap whether it is clean."""
        if clean == lap.clean or lap.end_s is None or lap.time_s is None:
            return
        lap.clean = clean
        entry = (lap.end_s, chassis, lap.number, lap.time_s)
        if clean:
            insort(self._clean, entry)
        else:
            del self._clean[bisect_left(self._clean, entry)]

    def clean_laps(self, chassis: str) -> list[DrivenLap]:
        """A car's clean laps, oldest first."""
        return [lap for lap in self.cars.get(chassis, []) if lap.clean]

    def forget(self, chassis: str) -> None:
        """Know nothing of a car any more."""
        for lap in self.cars.pop(chassis, []):
            self.judge(chassis, lap, False)

    def median_about(self, at_s: float, span_s: float, without: str | None = None, fewest: int = 1) -> float | None:
        """
        The median of the clean laps that ended about a time [s]; None below ``fewest``.

        Args:
            at_s: the time [s since 1970].
            span_s: from the first end to the last [s]; a usual lap gives each car one.
            without: a car that is left out.
            fewest: laps it takes.
        """
        low = bisect_left(self._clean, (at_s - span_s / 2,))
        high = bisect_right(self._clean, (at_s + span_s / 2, "\U0010ffff"))
        times_s = [time_s for _, chassis, _, time_s in self._clean[low:high] if chassis != without]
        return median(times_s) if len(times_s) >= fewest else None

    def latest(self, span_s: float) -> float | None:
        """The median of the cars' last clean laps, of those that ended within a time before now [s]; None if none."""
        low = bisect_left(self._clean, (self.now_s - span_s,))
        last = {chassis: time_s for _, chassis, _, time_s in self._clean[low:]}
        return median(last.values()) if last else None
