"""
Make the demo file, byte for byte the one that is here: `python demo/make_demo_file.py`.

Six cars at Barber, the first two laps, four points a second and car.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pitwall.sim import Race, RaceConfig, encode_point

CONFIG = RaceConfig(track="barber", cars=6, seed=2025, rate_hz=4.0)
SECONDS = 220.0


def demo_file() -> bytes:
    """The file: a JSON array of points, one to a line, oldest first."""
    points = Race(CONFIG).points(0.0, SECONDS)
    return b"[\n" + b",\n".join(map(encode_point, points)) + b"\n]\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("race.json")
    target.write_bytes(demo_file())
    print(f"{target}: {target.stat().st_size} bytes")
