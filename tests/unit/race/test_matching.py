"""Which lap of the telemetry is which official one."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.matching import SentLap, match_laps, number_of
from pitwall.wire.timing import OfficialLap

TIMES = {1: 104.2, 2: 99.1, 3: 98.6, 4: 98.4, 5: 121.7}
OFFICIAL = [
    OfficialLap("80", number, time_s, (time_s,), clock_s=50_000.0 + 100 * number) for number, time_s in TIMES.items()
]


class MatchTests(SynchronousTestCase):
    """``match_laps``."""

    def test_count_ahead(self) -> None:
        """However far the car's count is ahead, laps are found by their times."""
        for ahead in range(-1, 4):
            sent = [SentLap(number + ahead, TIMES[number] + 0.05) for number in (1, 3, 5)]
            found = match_laps(sent, OFFICIAL)
            self.assertEqual(found.ahead, ahead)
            self.assertEqual([(index, lap.number) for index, lap in found.laps], [(0, 1), (1, 3), (2, 5)])
            self.assertEqual(found.dropped, ())

    def test_dropped(self) -> None:
        """A lap whose time is more than half a second off, or that was not timed, is dropped."""
        sent = [SentLap(2, 104.2), SentLap(3, 99.7), SentLap(4, 98.6), SentLap(9, 98.6)]
        found = match_laps(sent, OFFICIAL)
        self.assertEqual((found.ahead, [index for index, _ in found.laps], found.dropped), (1, [0, 2], (1, 3)))

    def test_nothing(self) -> None:
        """Without an official lap, or one that agrees, all are dropped."""
        for official in ([], OFFICIAL):
            found = match_laps([SentLap(3, 50.0), SentLap(4, 51.0)], official)
            self.assertEqual((found.laps, found.dropped), ((), (0, 1)))
        self.assertEqual(match_laps([], OFFICIAL).dropped, ())

    def test_received(self) -> None:
        """One lap that fits several is the one that had just ended when it was received, whatever the time zone."""
        for zone_s in (0, 5 * 3600, -9000):
            sent = [SentLap(4, 98.5, 50_000.0 + 300 + zone_s + 6)]
            self.assertEqual(match_laps(sent, OFFICIAL).laps[0][1].number, 3)
            sent = [SentLap(4, 98.5, 50_000.0 + 400 + zone_s + 6)]
            self.assertEqual(match_laps(sent, OFFICIAL).laps[0][1].number, 4)

    def test_clock_of_no_use(self) -> None:
        """Where the timekeepers' clock is wrong, lap times settle it alone."""
        sent = [SentLap(2, 104.2, 50_000.0 + 500), SentLap(3, 99.1, 50_000.0 + 600)]
        self.assertEqual(match_laps(sent, OFFICIAL).ahead, 1)


class NumberTests(SynchronousTestCase):
    """``number_of``."""

    def test_numbers(self) -> None:
        """The number is what follows the last dash; 3 and 03, 21 and 021 are different cars."""
        known = ("3", "03", "80", "13", "021", "21")
        for vehicle_id, number in (
            ("GR86-013-80", "80"),
            ("GR86-040-3", "3"),
            ("GR86-040-03", "03"),
            ("GR86-040-003", "3"),
            ("GR86-022-013", "13"),
            ("GR86-047-21", "21"),
            ("GR86-047-021", "021"),
            ("80", "80"),
            ("GR86-013-81", None),
            ("GR86-013-08", None),
            ("", None),
        ):
            self.assertEqual(number_of(vehicle_id, known), number)
