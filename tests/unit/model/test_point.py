"""The point and its times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.point import Point, iso_text, iso_utc, moment_at


class PointTests(SynchronousTestCase):
    """A `Point` is what one car said."""

    def test_not_sent(self) -> None:
        """A channel that was not sent is NaN, and so is a time that was not."""
        point = Point("barber", "GR86-004-78", rpm=5920.0)
        self.assertNotEqual(point.speed_kmh, point.speed_kmh)
        self.assertNotEqual(point.time_s(), point.time_s())
        self.assertEqual(point.rpm, 5920.0)

    def test_time(self) -> None:
        """A point's time is that of its zone's clock, told in UTC."""
        there = datetime(2025, 9, 6, 13, 40, 41, 500_000, timezone(timedelta(hours=-5)))
        self.assertEqual(Point("barber", "GR86-004-78", there).time_s(), 1_757_184_041.5)


class ISOTests(SynchronousTestCase):
    """Moments as clients read them."""

    def test_milliseconds(self) -> None:
        """Our own times have three decimals, always."""
        self.assertEqual(iso_utc(1_757_184_041.775), "2025-09-06T18:40:41.775Z")
        self.assertEqual(iso_utc(0.0), "1970-01-01T00:00:00.000Z")

    def test_microseconds(self) -> None:
        """A logger's microseconds are kept."""
        self.assertEqual(iso_text(datetime(2025, 9, 6, 18, 40, 41, 775_001, UTC)), "2025-09-06T18:40:41.775001Z")

    @given(st.datetimes(timezones=st.just(UTC)))
    def test_exact(self, moment: datetime) -> None:
        """What is written is the moment it stands for, in any year."""
        self.assertEqual(datetime.fromisoformat(iso_text(moment)), moment)

    @given(st.floats(0, 4e9))
    def test_stamp(self, epoch_s: float) -> None:
        """The moment a point is stamped with is the one its text tells, and at most a millisecond before it came."""
        self.assertEqual(iso_utc(epoch_s), iso_text(moment_at(epoch_s)))
        self.assertLess(abs(epoch_s - moment_at(epoch_s).timestamp()), 0.0011)
