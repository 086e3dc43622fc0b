"""The numbers of a point, as the workers read them from shared memory."""

from __future__ import annotations

from typing import Final

import numpy as np

from pitwall.model.channels import CORE

#: One row, of one point: its number; when it was, by the car's own clock moved to UTC, and by ``meta_time`` [s since
#: 1970]; the car's number; what the car's clock is known by now to be off by beyond that, and how surely [s], and how
#: often it was set (0 = it tells none); where it was [deg]; and the core channels. NaN = not sent.
ROW: Final = np.dtype(
    [
        ("seq", "<u8"),
        ("time_s", "<f8"),
        ("meta_s", "<f8"),
        ("latitude", "<f8"),
        ("longitude", "<f8"),
        ("car", "<u4"),
        ("clock", "<u4"),
        ("shift_s", "<f4"),
        ("clock_sigma_s", "<f4"),
        *((channel.name, "<f4") for channel in CORE),
    ]
)
