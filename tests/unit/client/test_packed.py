"""``pitwall.client.packed``: MessagePack is handed out as JSON is."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.client import ClientError, PitWallClient
from pitwall.client.packed import in_rows, iso_time, unpacker
from pitwall.wire import columnar, messages
from pitwall.wire.messages import Thinned
from tests.strategies import TIMES, encode

POINTS: list[dict[str, Any]] = [
    {"meta_time": "2025-09-06T18:42:10.250Z", "track": "barber", "chassis": "a", "lap": 3, "speed_kmh": 141.04},
    {"meta_time": "2025-09-06T18:42:10.250500Z", "track": "barber", "chassis": "b", "x": True, "y": "ü"},
]
RAWS = [encode(point) for point in POINTS]


class PackedTests(SynchronousTestCase):
    """The same content by either encoding."""

    def check(self, packed: bytes, text: bytes) -> None:
        """Both come to the same."""
        wanted, found = msgspec.json.decode(text), unpacker()(packed)
        self.assertEqual(found, wanted)

    def test_telemetry(self) -> None:
        """Points and ranges in columns are those of the JSON."""
        self.check(columnar.telemetry_update("e", 4, 6, POINTS), messages.telemetry_update("e", 5, RAWS))
        thinned = Thinned([3, 1], [{"speed_kmh": (99.5, 142.0), "rpm": (1.0, 2.0)}, {}])
        self.check(
            columnar.telemetry_update("e", 4, 9, POINTS, thinned),
            messages.thinned_update("e", 4, 9, RAWS, thinned),
        )

    def test_others(self) -> None:
        """So are a snapshot and every other message."""
        insight = messages.insight_update({"data": [{"lap": None}], "gaps": []}, "e", 3)
        self.check(
            columnar.snapshot("e", 9, 3, POINTS, msgspec.json.decode(insight)),
            messages.snapshot("e", 9, 3, RAWS, insight),
        )
        self.check(columnar.transcoded(insight), insight)

    @given(TIMES.filter(lambda moment: 1800 < moment.year < 2200))
    def test_times(self, moment: datetime) -> None:
        """A time is text to the microsecond, as the server writes it."""
        time_ms = (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)
        self.assertEqual(datetime.fromisoformat(iso_time(time_ms)), moment)

    def test_ends_of_time(self) -> None:
        """The first and the last moment there is do not break anything."""
        for time_ms, text in ((1e300, "9999-12-31T23:59:59.999999Z"), (-1e300, "0001-01-01T00:00:00.000Z")):
            self.assertEqual(iso_time(time_ms), text)

    @given(st.binary(max_size=40))
    def test_noise(self, payload: bytes) -> None:
        """What is no MessagePack is None, which the stream does not take for a message."""
        unpacker()(payload)

    def test_broken(self) -> None:
        """Neither half a message nor columns that do not fit are anything else."""
        whole = columnar.telemetry_update("e", 4, 6, POINTS)
        self.assertIsNone(unpacker()(whole[:-1]))
        told = msgspec.msgpack.decode(whole)
        self.assertIsNone(unpacker()(b"\x81\x91\x01\x02"))
        for broken in (
            {"channels": ["meta_time"], "rows": [[float("inf")]]},
            {"channels": ["a"]},
            {"rows": [[1]]},
            {"rows": 5},
            {"channels": None},
            {"low": [], "high": 1},
        ):
            with self.assertRaises(ValueError):
                in_rows({**told, **broken})
            self.assertIsNone(unpacker()(msgspec.msgpack.encode({**told, **broken})))
        self.assertEqual(in_rows(5), 5)

    def test_not_installed(self) -> None:
        """Without the package the client says at once what to install; an encoding that is none is refused."""
        known = import_module("msgpack")
        self.addCleanup(sys.modules.update, {"msgpack": known})
        sys.modules["msgpack"] = None  # type: ignore[assignment]
        with self.assertRaises(ClientError) as caught:
            PitWallClient(encoding="msgpack")
        self.assertIn("pip install msgpack", str(caught.exception))
        PitWallClient()
        with self.assertRaises(ValueError):
            PitWallClient(encoding="xml")
