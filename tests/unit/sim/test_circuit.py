"""The circuits and what a lap of them is like."""

from __future__ import annotations

from functools import cache

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.track import Sector, Track, packaged_tracks
from pitwall.sim import car
from pitwall.sim.circuit import Circuit, build_circuit
from pitwall.sim.outline import Outline, finish_line

#: Lap times that a GR86 has reached there in a race, and those that nobody would believe [s].
PLAUSIBLE_S = {
    "barber": (97, 100),
    "cota": (147, 153),
    "indianapolis": (100, 107),
    "road_america": (151, 161),
    "sebring": (145, 150),
    "sonoma": (108, 114),
    "virginia": (124, 130),
}


@cache
def all_circuits() -> dict[str, Circuit]:
    """The seven tracks, built once: a tenth of a second each."""
    return {track.name: build_circuit(track) for track in packaged_tracks()}


class CircuitTests(SynchronousTestCase):
    """`build_circuit` gives every track corners that a GR86 could drive."""

    def setUp(self) -> None:
        """The seven tracks."""
        self.circuits = all_circuits()

    def test_lap_times(self) -> None:
        """A lap takes about as long as in the real race, on each of the seven tracks."""
        self.assertEqual(set(self.circuits), set(PLAUSIBLE_S))
        for name, circuit in self.circuits.items():
            low, high = PLAUSIBLE_S[name]
            self.assertTrue(low <= circuit.lap_s <= high, f"{name}: {circuit.lap_s:.1f} s")

    def test_within_the_cars_limits(self) -> None:
        """Nowhere does the reference lap ask for more grip, brakes or speed than a GR86 has."""
        for name, circuit in self.circuits.items():
            lateral = np.abs(circuit.speed**2 * circuit.curvature)
            along = np.diff(circuit.speed**2) / (2 * circuit.step_m)
            self.assertLess(lateral.max(), 1.06 * car.GRIP, name)
            self.assertGreater(along.min(), -1.01 * car.BRAKING, name)
            self.assertLess(along.max(), car.TRACTION, name)
            self.assertTrue(150 / 3.6 < circuit.speed.max() < car.TOP_SPEED, name)
            self.assertLess(circuit.speed.min(), 110 / 3.6, name)

    def test_corners_both_ways(self) -> None:
        """There are left and right corners, and straights between them."""
        for name, circuit in self.circuits.items():
            self.assertGreater(circuit.curvature.max(), 0.005, name)
            self.assertLess(circuit.curvature.min(), -0.005, name)
            self.assertGreater(np.mean(np.abs(circuit.curvature) < 1e-4), 0.1, name)

    def test_outline_closes(self) -> None:
        """On the map the lap ends where it began, and is as long as the track."""
        for name, circuit in self.circuits.items():
            outline = Outline(circuit, (0.0, 0.0))
            pieces_m = np.hypot(np.diff(outline.x_m), np.diff(outline.y_m))
            self.assertLess(np.hypot(outline.x_m[-1], outline.y_m[-1]), 1e-6, name)
            self.assertLess(abs(pieces_m.sum() / circuit.length_m - 1), 0.005, name)

    def test_outline_at_the_real_line(self) -> None:
        """The start/finish line is where it is on the real track, the circuit within two kilometres of it."""
        line = finish_line("barber")
        assert line is not None
        at_m, nothing = np.array([0.0, 1800.0]), np.zeros(2)
        latitude, longitude = Outline(self.circuits["barber"], line).fix(at_m, nothing, nothing)
        self.assertEqual((latitude[0], longitude[0]), line)
        self.assertTrue(0 < abs(latitude[1] - line[0]) < 0.02)

    def test_any_track(self) -> None:
        """A track of one's own, known by length and sectors alone, gets a circuit of that length."""
        track = Track("my_karting_hall", 1200.0, (Sector("S1", 0, 500), Sector("S2", 500, 1200)))
        circuit = build_circuit(track)
        self.assertAlmostEqual(circuit.step_m * (circuit.speed.size - 1), 1200.0)
        self.assertTrue(20 < circuit.lap_s < 80, circuit.lap_s)

    def test_same_again(self) -> None:
        """The same track has the same corners every time."""
        again = build_circuit(self.circuits["barber"].track)
        self.assertEqual(again.speed.tobytes(), self.circuits["barber"].speed.tobytes())
        self.assertEqual(again.curvature.tobytes(), self.circuits["barber"].curvature.tobytes())
