"""
Which race was where: the events of a season by the names that TRD's rows carry.

A row of the long form does not name its track, only its ``meta_event``, such as
``I_R06_2025-09-07``. The table below has the season 2025; `parse_events` reads
further ones.
"""

from __future__ import annotations

from typing import Final

from pitwall.model.channels import MAX_NAME

#: The track of each event of the GR Cup 2025, by the name of the track file.
EVENTS: Final = {
    "I_R01_2025-03-30": "sonoma",
    "I_R02_2025-04-27": "cota",
    "I_R03_2025-05-18": "sebring",
    "I_R04_2025-07-20": "virginia",
    "I_R05_2025-08-17": "road_america",
    "I_R06_2025-09-07": "barber",
    "I_R07_2025-10-19": "indianapolis",
}


def parse_events(text: str) -> dict[str, str]:
    """
    The tracks of further events, from ``EVENT=TRACK`` pairs that commas part.

    Raises:
        ValueError: a pair is none, or a name is too long; the message shows it.
    """
    events = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        event, _, track = (part.strip() for part in pair.partition("="))
        if not event or not track or len(event) > MAX_NAME or len(track) > MAX_NAME:
            raise ValueError(f"{pair[:80]!a} is no EVENT=TRACK")
        events[event] = track
    return events
