"""``pitwall.model.cars``: which car a vehicle id means."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.cars import CarNames, car_key


class CarNamesTests(SynchronousTestCase):
    """`CarNames` gives each car one name."""

    def test_first_spelling(self) -> None:
        """A car goes by the spelling it was first seen in."""
        names = CarNames()
        self.assertEqual(names.name("GR86-002-002"), "GR86-002-002")
        self.assertEqual(names.name("GR86-002-2"), "GR86-002-002")

    def test_cars_apart(self) -> None:
        """3 and 03 are two cars; so are 3 on one chassis and 3 on another."""
        self.assertEqual(len({car_key(f"GR86-{rest}") for rest in ("002-3", "002-03", "004-3")}), 3)

    def test_numbers(self) -> None:
        """Only a number of three digits loses what fills it up, and 000 is car 0."""
        for vehicle_id, key in (
            ("GR86-013-080", "GR86-013-80"),
            ("GR86-013-000", "GR86-013-0"),
            ("GR86-013-113", "GR86-013-113"),
            ("GR86-013-0080", "GR86-013-0080"),
            ("", ""),
        ):
            self.assertEqual(car_key(vehicle_id), key)
