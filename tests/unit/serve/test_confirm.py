"""Whether the ring still bears an insight out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.race.insights import CarNow, InsightBook
from pitwall.ring import PointRing
from pitwall.serve.confirm import CONSTANT, confirm

CAR, OTHER = "GR86-004-78", "GR86-022-13"


def a_raw(number: int, chassis: str = CAR, track: str = "barber", **fields: Any) -> bytes:
    """The JSON of a point, a tenth of a second after the one before."""
    minutes, tenths = divmod(number, 600)
    at = f"2025-09-06T18:{minutes:02d}:{tenths / 10:06.3f}Z"
    return json.dumps({"meta_time": at, "track": track, "chassis": chassis, **fields}).encode()


def a_ring(count: int, capacity: int = 1000, **fields: Callable[[int], Any]) -> PointRing:
    """A ring of points of two cars by turns, the first of ``CAR``; each field is made from the point's number."""
    ring = PointRing(capacity)
    for number in range(1, count + 1):
        made = {name: make(number) for name, make in fields.items()}
        ring.append([a_raw(number, CAR if number % 2 else OTHER, **made)])
    return ring


def an_insight(first: int, last: int, after_s: float = 0.0, **fields: Any) -> dict[str, Any]:
    """What the book says of a car in this state, which rests on these points."""
    book = InsightBook()
    car = CarNow(CAR, first, last, **fields)
    said = book.tick("barber", 0, [car]) + book.tick("barber", int(after_s * 1000), [car])
    return said[-1]


class VerdictTests(SynchronousTestCase):
    """Confirmed, gone, or contradicted."""

    def test_confirmed(self) -> None:
        """All the points are there, and as many of the car as were counted."""
        answer = confirm(a_ring(100), an_insight(11, 90, points=40, flipped=("rpm",)))
        self.assertEqual(
            answer, {"verdict": "confirmed", "looked_at": [11, 90], "points": 40, "checks": {"points": True}}
        )

    def test_gone(self) -> None:
        """Where some of the points have been overwritten nothing can be said any more."""
        ring = a_ring(100, capacity=50)
        insight = an_insight(51, 90, points=20, flipped=("rpm",))
        self.assertEqual(confirm(ring, insight)["verdict"], "confirmed")
        insight = an_insight(50, 90, points=20, flipped=("rpm",))
        self.assertEqual(confirm(ring, insight), {"verdict": "gone", "looked_at": None, "points": 0, "checks": {}})

    def test_no_points(self) -> None:
        """An insight that rests on no points has none left."""
        for first, last in ((0, 0), (0, 5), (9, 8)):
            self.assertEqual(confirm(a_ring(100), an_insight(first, last, flipped=("rpm",)))["verdict"], "gone")

    def test_never_there(self) -> None:
        """Points that never came do not bear anything out."""
        self.assertEqual(confirm(a_ring(100), an_insight(90, 101, flipped=("rpm",)))["verdict"], "contradicted")

    def test_other_count(self) -> None:
        """More or fewer points than were counted are not the same points; where none were counted, one will do."""
        for points, verdict in ((39, "contradicted"), (41, "contradicted"), (40, "confirmed"), (None, "confirmed")):
            insight = an_insight(11, 90, points=points, flipped=("rpm",))
            self.assertEqual(confirm(a_ring(100), insight)["verdict"], verdict)

    def test_other_track(self) -> None:
        """The same chassis on another track is another car."""
        ring = PointRing(10)
        ring.append([a_raw(number, track="cota") for number in range(1, 11)])
        self.assertEqual(confirm(ring, an_insight(1, 10, flipped=("rpm",)))["verdict"], "contradicted")

    def test_escaped_name(self) -> None:
        """A car is found however its name was written."""
        ring = PointRing(10)
        ring.append(
            [b'{"track":"barber","chassis":"GR86\\u002d004-78","note":"\\n"}', b"{}", b"7", b'"\\', b'{"a":"\\']
        )
        self.assertEqual(confirm(ring, an_insight(1, 5, points=1, flipped=("rpm",)))["verdict"], "confirmed")

    def test_bounded(self) -> None:
        """No more than the newest numbers are looked at; the points are not counted then."""
        answer = confirm(a_ring(100), an_insight(1, 100, points=7, flipped=("rpm",)), most=10)
        self.assertEqual(answer, {"verdict": "confirmed", "looked_at": [91, 100], "points": 5, "checks": {}})

    @given(st.integers(-5, 60), st.integers(-5, 60), st.integers(1, 60), st.integers(1, 40), st.integers(1, 50))
    def test_any_numbers(self, first: int, last: int, count: int, capacity: int, most: int) -> None:
        """Whatever numbers an insight tells, there is a verdict, and it is no more than the ring can give."""
        ring = a_ring(count, capacity)
        answer = confirm(ring, an_insight(first, last, flipped=("rpm",)), most)
        held = 1 <= first <= last <= ring.last_seq and first >= ring.first_seq
        self.assertEqual(answer["looked_at"] is not None, held)
        if not held:
            self.assertIn(answer["verdict"], ("gone", "contradicted"))
        else:
            self.assertLessEqual(answer["looked_at"][1] - answer["looked_at"][0], most)


class CheckTests(SynchronousTestCase):
    """What the ring can tell of a car's data."""

    def look(self, ring: PointRing, insight: dict[str, Any]) -> dict[str, bool]:
        """What was looked at, and whether it holds, but for the count of points."""
        checks: dict[str, bool] = confirm(ring, insight)["checks"]
        return {name: holds for name, holds in checks.items() if name != "points"}

    def test_stuck(self) -> None:
        """A stuck channel has one value in the newest points, whatever it was before."""
        insight = an_insight(1, 100, stuck=("speed_kmh",))
        self.assertEqual(self.look(a_ring(100, speed_kmh=lambda n: min(n, 50)), insight), {"constant": True})
        self.assertEqual(self.look(a_ring(100, speed_kmh=lambda n: n), insight), {"constant": False})

    def test_seldom_sent(self) -> None:
        """A channel that was hardly sent can't be looked at."""
        insight = an_insight(1, 100, stuck=("speed_kmh",))
        ring = a_ring(100, speed_kmh=lambda n: 7 if n < 2 * CONSTANT - 2 else "?")
        self.assertEqual(self.look(ring, insight), {})

    def test_over(self) -> None:
        """What is over is not looked for."""
        book = InsightBook()
        book.tick("barber", 0, [CarNow(CAR, 1, 50, stuck=("speed_kmh",))])
        book.tick("barber", 1000, [CarNow(CAR, 1, 100)])
        (over,) = book.tick("barber", 4000, [CarNow(CAR, 1, 100)])
        self.assertEqual(self.look(a_ring(100, speed_kmh=lambda n: n), over), {})

    def test_flipped(self) -> None:
        """A flipped axis is against what the car does."""
        insight = an_insight(1, 100, flipped=("accx_can",))
        for sign in (1, -1):
            braked, driven = -0.9 * sign, 0.1 * sign

            def along(n: int, braked: float = braked, driven: float = driven) -> float:
                return braked if n % 20 < 2 else driven

            ring = a_ring(100, speed_kmh=lambda n: 100 + n % 20, accx_can=along)
            self.assertEqual(self.look(ring, insight), {"sign": sign < 0})
        insight = an_insight(1, 100, flipped=("accy_can",))
        for sign in (1, -1):

            def across(n: int, sign: int = sign) -> float:
                return sign * (n % 30 - 15) / 20

            ring = a_ring(100, Steering_Angle=lambda n: n % 30 - 15, accy_can=across)
            self.assertEqual(self.look(ring, insight), {"sign": sign < 0})
        self.assertEqual(self.look(a_ring(20), insight), {})

    def test_clock(self) -> None:
        """A clock that stands still shows the same in the newest points."""
        insight = an_insight(1, 100, after_s=2.0, clock="stopped")
        self.assertEqual(self.look(a_ring(100, timestamp=lambda n: f"t{min(n, 90)}"), insight), {"stamps": True})
        self.assertEqual(self.look(a_ring(100, timestamp=lambda n: f"t{n}"), insight), {"stamps": False})
        self.assertEqual(self.look(a_ring(100), insight), {})

    def test_silent(self) -> None:
        """A car that was silent was not heard of meanwhile; that others were, and that it was later, is no matter."""
        insight = an_insight(1, 49, silent_s=6.0)
        ring = PointRing(1000)
        ring.append([a_raw(number) for number in range(1, 50)] + [a_raw(number, OTHER) for number in range(50, 115)])
        self.assertEqual(self.look(ring, insight), {"silence": True})
        ring.append([a_raw(115)])
        self.assertEqual(self.look(ring, insight), {"silence": True})

        ring = PointRing(1000)
        ring.append([a_raw(number) for number in range(1, 50)] + [a_raw(60)])
        self.assertEqual(self.look(ring, insight), {"silence": False})

    def test_no_times(self) -> None:
        """Points that do not tell when they were say nothing of a silence."""
        ring = PointRing(1000)
        ring.append([b'{"track":"barber","chassis":"GR86-004-78","meta_time":7}'] * 60)
        self.assertEqual(self.look(ring, an_insight(1, 49, silent_s=6.0)), {"silence": True})
