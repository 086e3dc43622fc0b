"""A lap of a car, from line to line, as the workers report it and everything after them uses it."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

#: Mini-sectors of a lap, of equal length.
MINI_SECTORS: Final = 25

#: What a lap may be other than clean, the most telling first.
MARKS: Final = ("first", "out", "in", "caution", "estimated")


class Lap(Struct, array_like=True):
    """
    One lap of one car.

    Times are on the time axis of the car, which is its own clock moved to UTC; where a
    boundary's time is not known what ends or begins there is None. Where all are known
    the sectors add up to the lap.

    Attributes:
        number: the how many-th of the race, 1 for the first as far as can be known;
            it goes up by one from lap to lap, and names the lap of a car.
        start_s: when it began [s since 1970].
        time_s: from line to line [s]; None where the line's time is not known.
        sectors_s: shape (sectors,) [s].
        minis_s: of the ``MINI_SECTORS`` equal parts [s].
        stress: ``∫ (ax² + ay²) ds`` of each sector; shape (sectors,) [g²·m].
        length_m: what the car's own distance made of it [m]; None where it tells none.
        line_kmh: the speed at its end [km/h]; None where not known.
        first_seq, last_seq: the first and the last point of it.
        marks: some of ``MARKS``, in that order; a clean lap has none.
        lap_sent: the lap number the car sent during it; None where it sent none.
        layout: the ``Track.layout`` that its sectors are those of.
    """

    number: int
    start_s: float
    time_s: float | None
    sectors_s: tuple[float | None, ...]
    minis_s: tuple[float | None, ...]
    stress: tuple[float, ...]
    length_m: float | None = None
    line_kmh: float | None = None
    first_seq: int = 0
    last_seq: int = 0
    marks: tuple[str, ...] = field(default_factory=tuple)
    lap_sent: int | None = None
    layout: int = 0

    @property
    def end_s(self) -> float | None:
        """When it ended [s since 1970]; None where that is not known."""
        return None if self.time_s is None else self.start_s + self.time_s

    @property
    def kind(self) -> str:
        """The most telling of its marks, or "clean"."""
        return self.marks[0] if self.marks else "clean"

    @property
    def clean(self) -> bool:
        """Whether it was a timed racing lap."""
        return self.time_s is not None and not self.marks
