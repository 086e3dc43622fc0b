"""
A simulated race with its ground truth. Pure, seeded, deterministic.

``Race(RaceConfig(track="barber", cars=20)).points(0, 60)`` is its first minute,
``.rows`` the same in the recordings' long form, and ``.truth`` what really happened.
"""

from .config import Faults, RaceConfig, SimError
from .driver import Driver
from .points import encode_csv, encode_point
from .race import Arrival, Race
from .truth import LapTruth, RaceTruth, Standing

__all__ = [
    "Arrival",
    "Driver",
    "Faults",
    "LapTruth",
    "Race",
    "RaceConfig",
    "RaceTruth",
    "SimError",
    "Standing",
    "encode_csv",
    "encode_point",
]
