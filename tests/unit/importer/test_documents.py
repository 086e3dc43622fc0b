"""The telemetry in JSON documents."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pitwall.importer.documents import NotTelemetryError, telemetry_of

A_POINT = {"track": "barber", "chassis": "GR86-004-78", "speed_kmh": 141.0}
A_ROW = {"vehicle_id": "GR86-004-78", "telemetry_name": "nmot", "telemetry_value": 6439}
A_LAP_TIME = {"vehicle_id": "GR86-004-78", "lap": 19, "value": 147269}
WEATHER = {"AIR_TEMP": 32.97, "RAIN": 0}


def found(document: Any, indent: int | None = 2) -> list[Any]:
    """What is taken of a document."""
    lines = list(telemetry_of(json.dumps(document, indent=indent).encode()))
    assert not any(b"\n" in line for line in lines)
    return [json.loads(line) for line in lines]


class DocumentTests(SynchronousTestCase):
    """`telemetry_of` finds telemetry wherever it stands."""

    def test_array(self) -> None:
        """An array of points or rows is taken as it is."""
        self.assertEqual(found([A_POINT, A_ROW]), [A_POINT, A_ROW])

    def test_named(self) -> None:
        """An array inside an object is found, whatever it is called."""
        self.assertEqual(found({"name": "Barber", "telemetry": [A_POINT] * 3}), [A_POINT] * 3)

    def test_deep(self) -> None:
        """Several arrays deep inside are all taken, in order; what stands beside them is not telemetry."""
        race = {"telemetry_sample": [A_ROW], "lap_times_sample": [A_LAP_TIME], "weather_sample": [WEATHER]}
        other = {"telemetry_sample": [A_POINT]}
        self.assertEqual(found({"track_id": "sebring", "races": [race, other]}), [A_ROW, A_POINT])

    def test_alone(self) -> None:
        """One point alone is telemetry too."""
        self.assertEqual(found(A_POINT, indent=None), [A_POINT])

    def test_without_a_car(self) -> None:
        """Points that do not say their car or track may get it from the command line."""
        self.assertEqual(found({"data": [{"speed": 120.5}]}), [{"speed": 120.5}])

    def test_bad_elements(self) -> None:
        """What is no point among points is left for the server to refuse, so that the rows keep their numbers."""
        self.assertEqual(found({"telemetry": [7, None, A_POINT]}), [7, None, A_POINT])

    def test_whole_array(self) -> None:
        """An array that is the whole document is taken whatever it holds."""
        self.assertEqual(found([A_LAP_TIME]), [A_LAP_TIME])

    def test_texts(self) -> None:
        """Escapes and odd characters in texts stay as they are."""
        point = {**A_POINT, "note": 'a "quoted" \n \u2028 {"telemetry":[{}]} \\'}
        self.assertEqual(found([point]), [point])

    def test_refused(self) -> None:
        """What is no JSON, or has no telemetry in it, is refused with that."""
        for text, what in (
            (b"[{]", "is not JSON"),
            (b'[{"track":"barber"}] [', "is not JSON"),
            (b'{"\xff":[]}', "is not JSON"),
            (b"[" * 100_000, "is not JSON"),
            (b'{"a":' * 5000 + b"1" + b"}" * 5000, "is not JSON"),
            (b"[]", "no telemetry"),
            (b"{}", "no telemetry"),
            (b'{"weather":[{"RAIN":0}],"laps":[{"lap":1}]}', "no telemetry"),
        ):
            error = self.assertRaises(NotTelemetryError, list, telemetry_of(text))
            self.assertIn(what, str(error))
