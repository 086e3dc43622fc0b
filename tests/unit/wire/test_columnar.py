"""The messages of ``pitwall.msgpack``: the same content as the JSON, in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.sim import Race, RaceConfig, encode_point
from pitwall.wire import columnar, messages
from pitwall.wire.errors import WireError
from pitwall.wire.messages import Thinned
from pitwall.wire.points import PointDecoder
from tests.strategies import RECEIVED_AT, encode, vendor_points

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
A_POINT = {"meta_time": "2025-09-06T18:42:10.250Z", "track": "barber", "chassis": "a", "lap": 3, "speed_kmh": 141.04}


def read(payload: bytes) -> dict[str, Any]:
    """A message as any reader of MessagePack has it."""
    told: dict[str, Any] = msgspec.msgpack.decode(payload)
    return told


def read_points(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The points of a message, absent what is nil."""
    rows = [dict(zip(told["channels"], row, strict=True)) for row in told["rows"]]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def moment_of(time_ms: float) -> datetime:
    """The moment to the microsecond."""
    return EPOCH + timedelta(microseconds=round(time_ms * 1000))


def share(raws: Sequence[bytes]) -> float:
    """What a message of these points takes, as a share of the JSON that is sent for them."""
    points = list(map(msgspec.json.decode, raws))
    packed = columnar.telemetry_update("5f0c2a9e", 4242, 4242 + len(raws), points)
    return len(packed) / len(messages.telemetry_update("5f0c2a9e", 4243, raws))


class UpdateTests(SynchronousTestCase):
    """Telemetry in columns."""

    def told(self, *points: Mapping[str, Any], thinned: Thinned | None = None) -> dict[str, Any]:
        """The message of some points."""
        return read(columnar.telemetry_update("abcd", 5, 9, points, thinned))

    def test_members(self) -> None:
        """A message says names once, and of each point the values; the time is a number, absent is nil."""
        self.assertEqual(
            self.told(
                A_POINT, {"track": "barber", "chassis": "b", "meta_time": "2025-09-06T18:42:10.2505Z", "n": True}
            ),
            {
                "type": "telemetry_update",
                "epoch": "abcd",
                "seq": 9,
                "prev": 5,
                "channels": ["meta_time", "track", "chassis", "lap", "speed_kmh", "n"],
                "rows": [
                    [1757184130250, "barber", "a", 3, 141.04, None],
                    [1757184130250.5, "barber", "b", None, None, True],
                ],
            },
        )

    def test_order(self) -> None:
        """Channels stand in the order of the catalogue, a vendor's as they are first seen, however the points do."""
        told = self.told({"z": 1, "rpm": 2, **A_POINT}, {"b": 1, **A_POINT}, {"z": 1, "gear": 2, "a": 5})
        names = ["meta_time", "track", "chassis", "lap", "speed_kmh", "rpm", "gear", "z", "b", "a"]
        self.assertEqual(told["channels"], names)
        same = self.told({**A_POINT, "z": 1}, {**A_POINT, "z": 2})
        self.assertEqual((same["channels"], [row[-1] for row in same["rows"]]), ([*A_POINT, "z"], [1, 2]))

    def test_filtered(self) -> None:
        """Points of few channels, of one or of none, are rows as well; and so are no points."""
        self.assertEqual(self.told({"rpm": 5.0}, {"rpm": 6.5})["rows"], [[5], [6.5]])
        self.assertEqual((self.told({})["channels"], self.told({})["rows"]), ([], [[]]))
        self.assertEqual((self.told()["channels"], self.told()["rows"]), ([], []))

    def test_whole_numbers(self) -> None:
        """Whole numbers of the catalogue become integers; a vendor's booleans stay what they are."""
        row = self.told({**A_POINT, "pbrake_f": 0.0, "rpm": 6120.0, "accx_can": -0.0, "x": True, "y": 1.0})["rows"][0]
        self.assertEqual([type(value) for value in row[3:]], [int, float, int, int, int, bool, float])
        self.assertEqual(row[3:], [3, 141.04, 0, 0, 6120, True, 1.0])

    def test_thinned(self) -> None:
        """A thinned message says what its points stand for, and the bounds of what changed, in its channels too."""
        thinned = Thinned([3, 1], [{"speed_kmh": (99.5, 142.0), "rpm": (5000.0, 6000.0)}, {}])
        told = self.told(A_POINT, {"track": "barber", "chassis": "b"}, thinned=thinned)
        self.assertEqual((told["conflated"], told["counts"]), (2, [3, 1]))
        self.assertEqual(told["channels"], ["meta_time", "track", "chassis", "lap", "speed_kmh", "rpm"])
        self.assertEqual(told["low"], [[None, None, None, None, 99.5, 5000], [None] * 6])
        self.assertEqual(told["high"], [[None, None, None, None, 142, 6000], [None] * 6])
        self.assertEqual(read_points(told)[1], {"track": "barber", "chassis": "b"})
        self.assertNotIn("ranges", told)
        alone = self.told(A_POINT, thinned=Thinned([3], [{"rpm": (5000.5, 6000.0)}]))
        self.assertEqual((alone["channels"][-1], alone["low"][0][-1], alone["rows"][0][-1]), ("rpm", 5000.5, None))
        plain = self.told(A_POINT, A_POINT, thinned=Thinned([3, 1], [{"speed_kmh": (1.5, 2.5)}, {}]))
        self.assertEqual((plain["channels"], plain["low"][0][-1]), (list(A_POINT), 1.5))

    def test_huge_integers(self) -> None:
        """An integer of a vendor's that MessagePack has not is a double, and its neighbours stay as they are."""
        row = self.told({**A_POINT, "x": 10**30, "y": -(2**63) - 1, "z": 2**64 - 1, "t": "ü"})["rows"][0]
        self.assertEqual(row[5:], [1e30, -(2.0**63), 2**64 - 1, "ü"])
        self.assertIsInstance(row[5], float)

    @given(st.lists(st.tuples(vendor_points(), st.none() | st.integers(-14 * 60, 14 * 60)), max_size=4))
    def test_round_trip(self, sent: list[tuple[dict[str, Any], int | None]]) -> None:
        """What was accepted is read again as it was: names, values and times; what was absent is."""
        decoder, accepted = PointDecoder(), []
        for fields, zone in sent:
            if zone is not None and "meta_time" in fields:
                shifted = timezone(timedelta(minutes=zone))
                fields = {**fields, "meta_time": f"{fields['meta_time'][:-1]}{shifted.tzname(None)[3:] or '+00:00'}"}
            try:
                accepted.append(decoder.one(encode(fields), RECEIVED_AT))
            except WireError:
                continue
        points = [msgspec.json.decode(raw) for _, raw in accepted]
        got = read_points(read(columnar.telemetry_update("e", 0, len(points), points)))
        for (point, _), wanted, found in zip(accepted, points, got, strict=True):
            assert isinstance(point.meta_time, datetime)
            error = abs(moment_of(found.pop("meta_time")) - point.meta_time)
            # A double has microseconds of these centuries, and tens of them in the year 9999.
            exact = abs(point.meta_time - EPOCH) < timedelta(days=365 * 250)
            self.assertLessEqual(error, timedelta(microseconds=0 if exact else 20))
            del wanted["meta_time"]
            # A vendor's null can't be told from what is absent, and what MessagePack has not is the nearest double.
            wanted = {name: value for name, value in wanted.items() if value is not None}
            for name, value in wanted.items():
                if isinstance(value, int) and not -(2**63) <= value < 2**64:
                    wanted[name] = float(value)
            self.assertEqual(found, wanted)
            for name, value in found.items():
                self.assertEqual(isinstance(value, bool), isinstance(wanted[name], bool), name)


class OtherTests(SynchronousTestCase):
    """The other messages."""

    def test_snapshot(self) -> None:
        """A snapshot has columns too, and its insight as it is."""
        insight = {"type": "insight_update", "data": [{"lap": None}], "gaps": []}
        told = read(columnar.snapshot("abcd", 9, 2, [A_POINT], insight))
        self.assertEqual(told.pop("channels"), list(A_POINT))
        self.assertEqual(told.pop("rows"), [[1757184130250, "barber", "a", 3, 141.04]])
        self.assertEqual(told, {"type": "snapshot", "epoch": "abcd", "seq": 9, "insight_seq": 2, "insight": insight})
        empty = read(columnar.snapshot("abcd", 0, 0, [], None))
        self.assertEqual((empty["channels"], empty["rows"], empty["insight"]), ([], [], None))

    def test_transcoded(self) -> None:
        """Any other message has the members of its JSON, huge integers as doubles."""
        payload = messages.insight_update({"data": [{"lap": None, "x": 0.5}], "gaps": [], "n": 10**22}, "e", 7)
        for given_ in (payload, memoryview(payload)):
            told = read(columnar.transcoded(given_))
            self.assertEqual(told, msgspec.json.decode(payload))
        self.assertEqual((told["n"], type(told["n"])), (1e22, float))


class SizeTests(SynchronousTestCase):
    """How much smaller it is, with the points of simulated races as the server sends them."""

    def raws(self, cars: int, **settings: Any) -> list[bytes]:
        """A thousand points of a race that is under way."""
        race = Race(RaceConfig(cars=cars, **settings))
        raws = [encode_point(point) for point in race.points(90, 90 + 1100 / 20 / cars)]
        self.assertGreaterEqual(len(raws), 1000)
        return raws[:1000]

    def test_more_than_a_few(self) -> None:
        """From eight points on a message has at most 55 % of the bytes of JSON; in hundreds, 45 %."""
        for cars in (1, 5, 20):
            for settings in ({}, {"gps": True, "real_rates": True}):
                raws = self.raws(cars, **settings)
                for size, most in ((8, 0.55), (40, 0.5), (1000, 0.45)):
                    for start in range(0, len(raws), size):
                        self.assertLessEqual(share(raws[start : start + size]), most, (cars, settings, size, start))

    def test_one(self) -> None:
        """A single point, whose names are said as often as in JSON, is smaller, but by a sixth only."""
        for raw in self.raws(20)[:100]:
            self.assertLess(share([raw]), 0.87)
