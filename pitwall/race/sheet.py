"""The lap sheet: laps as rows for people and spreadsheets, and what they come to for each car."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pitwall.model.point import iso_utc
from pitwall.race.lap import Lap

#: A lap as a row: see ``lap_row``.
LapRow = dict[str, Any]


def lap_row(
    track: str,
    chassis: str,
    lap: Lap,
    best_s: float | None = None,
    field_best_s: float | None = None,
    corrected: bool = False,
    gap_at_line_s: float | None = None,
) -> LapRow:
    """
    One lap as a row.

    Args:
        track: where it was driven.
        chassis: by which car.
        lap: the lap.
        best_s: the car's fastest [s].
        field_best_s: the fastest of all cars on the track [s].
        corrected: whether it was told otherwise before.
        gap_at_line_s: how long after the first car of that lap it ended [s].
    """
    return {
        "chassis": chassis,
        "track": track,
        "lap": lap.number,
        "kind": lap.kind,
        "marks": list(lap.marks),
        "start": iso_utc(lap.start_s),
        "lap_time_s": _rounded(lap.time_s),
        "sector_times_s": [_rounded(time_s) for time_s in lap.sectors_s],
        "mini_times_s": [_rounded(time_s) for time_s in lap.minis_s],
        "stress_g2m": _rounded(sum(lap.stress)),
        "sector_stress_g2m": [_rounded(stress) for stress in lap.stress],
        "length_m": _rounded(lap.length_m),
        "line_kmh": _rounded(lap.line_kmh),
        "best": lap.clean and lap.time_s == best_s,
        "field_best": lap.clean and lap.time_s == field_best_s,
        "corrected": corrected,
        "lap_sent": lap.lap_sent,
        "layout": lap.layout,
        "gap_at_line_s": _rounded(gap_at_line_s),
        "first_seq": lap.first_seq,
        "last_seq": lap.last_seq,
    }


def best_lap_s(laps: Iterable[Lap]) -> float | None:
    """The fastest clean lap [s]; None without one."""
    return min((lap.time_s for lap in laps if lap.clean and lap.time_s is not None), default=None)


def theoretical_best_s(laps: Iterable[Lap], layout: int = 0) -> float | None:
    """The sum of the fastest time in each sector over all clean laps of a layout [s]; None where a sector has none."""
    best: list[float | None] = []
    for lap in laps:
        if not lap.clean or lap.layout != layout:
            continue
        best += [None] * (len(lap.sectors_s) - len(best))
        for index, time_s in enumerate(lap.sectors_s):
            known = best[index]
            if time_s is not None and (known is None or time_s < known):
                best[index] = time_s
    times_s = [time_s for time_s in best if time_s is not None]
    return sum(times_s) if times_s and len(times_s) == len(best) else None


def car_summary(
    track: str, chassis: str, laps: Sequence[Lap], tire_stress_index: float | None = None, layout: int = 0
) -> dict[str, Any]:
    """
    What the laps of a car, oldest first, come to.

    Args:
        track: where they were driven.
        chassis: by which car.
        laps: oldest first.
        tire_stress_index: 100 for the median of the field.
        layout: the ``Track.layout`` that the best sectors are of.
    """
    return {
        "chassis": chassis,
        "track": track,
        "laps": len(laps),
        "clean_laps": sum(lap.clean for lap in laps),
        "best_lap_s": _rounded(best_lap_s(laps)),
        "theoretical_best_s": _rounded(theoretical_best_s(laps, layout)),
        "last_lap_s": _rounded(laps[-1].time_s) if laps else None,
        "tire_stress_index": tire_stress_index,
    }


def _rounded(value: float | None) -> float | None:
    """In thousandths."""
    return None if value is None else round(value, 3)
