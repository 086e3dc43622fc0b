"""Small helpers over the samples of a car."""

from __future__ import annotations

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.series import held, or_zero

NAN = float("nan")


class SeriesTests(SynchronousTestCase):
    """Samples with holes."""

    def test_held(self) -> None:
        """A missing sample is the last one that was there, also that of the tick before."""
        values = np.array([NAN, 1.0, NAN, NAN, 2.0, NAN])
        self.assertEqual(held(values, 7.0).tolist(), [7.0, 1.0, 1.0, 1.0, 2.0, 2.0])
        self.assertTrue(np.isnan(held(values, NAN)[0]))
        self.assertEqual(held(np.array([NAN, NAN]), 3.0).tolist(), [3.0, 3.0])

    def test_or_zero(self) -> None:
        """What was never there counts as nothing."""
        self.assertEqual(or_zero(np.array([NAN, -1.5])).tolist(), [0.0, -1.5])
