"""What single steps cost, beside the plain way to do the same, in one process."""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec

from benchmarks.load import a_point
from benchmarks.scrape import a_server, a_timing
from pitwall.hub import Hub
from pitwall.model.cars import CarNames
from pitwall.model.events import EVENTS
from pitwall.model.row import ROW
from pitwall.model.track import packaged_tracks
from pitwall.race.car import Car
from pitwall.ring import PointRing
from pitwall.rows import RowReader, SharedRows
from pitwall.sim import Race, RaceConfig
from pitwall.wire import columnar
from pitwall.wire.live import LiveDecoder
from pitwall.wire.messages import recent, telemetry_update
from pitwall.wire.points import PointDecoder
from pitwall.wire.tables import Told

_COUNT = 1000


def _us(work: Callable[[], Any], each: int = _COUNT) -> float:
    """The least time of several tries, for each of the items the work is on [µs]."""
    return min(timeit.repeat(work, number=3, repeat=5)) / 3 / each * 1e6


def micro(quick: bool) -> dict[str, dict[str, float]]:
    """µs for each step, a point where nothing else is said, and, where there is one, for the plain way."""
    raws = [a_point(index) for index in range(_COUNT)]
    body = b"[%b]" % b",".join(raws)
    decoder = PointDecoder()
    live = LiveDecoder(decoder, Told(CarNames(), EVENTS, packaged_tracks()))
    for _ in range(3):  # until the vendor's names are learnt
        decoded = live.datagrams(raws, 0.0)
    hub = Hub(PointRing(20_000), SharedRows(65_536), "benchmark")
    for _ in range(20):
        hub.publish("benchmark", decoded.points, decoded.raws, 0.0)
    hub.write_rows()
    rows = RowReader(hub.rows.path, hub.rows.capacity).read(hub.rows.published - _COUNT, _COUNT).rows
    one_car = rows.copy()
    one_car["car"] = 0
    track = packaged_tracks().get("road_america")
    objects = [msgspec.json.decode(raw) for raw in raws]
    race, second = Race(RaceConfig(cars=20)), count()
    forty = objects[:40]
    assert rows.dtype == ROW
    return {
        "decode and check a datagram": {
            "ours": _us(lambda: live.datagrams(raws, 0.0)),
            "json.loads, unchecked": _us(lambda: list(map(json.loads, raws))),
        },
        "decode and check an array": {
            "ours": _us(lambda: decoder.array(body, 0.0)),
            "json.loads, unchecked": _us(lambda: json.loads(body)),
        },
        "number, keep and make rows": {"ours": _us(lambda: hub.publish("benchmark", decoded.points, raws, 0.0))},
        "answer with the last points": {
            "ours": _us(lambda: recent("epoch", 1, hub.ring.newest(_COUNT))),
            "encoding them anew": _us(lambda: json.dumps({"recent": objects})),
        },
        "a message in columns, MessagePack": {
            "of a thousand points": _us(lambda: columnar.telemetry_update("epoch", 0, _COUNT, objects)),
            "of forty": _us(lambda: columnar.telemetry_update("epoch", 0, 40, forty), each=40),
            "of one": _us(lambda: columnar.telemetry_update("epoch", 0, 1, forty[:1]), each=1),
            "decoding the points' JSON for it": _us(lambda: list(map(msgspec.json.decode, raws))),
            "JSON, joined from what came": _us(lambda: telemetry_update("epoch", 1, raws)),
            "JSON, encoded anew": _us(lambda: msgspec.json.encode(objects)),
        },
        "a car's race, a thousand rows at once": {"ours": _us(lambda: Car(track).take(one_car))},
        "a scrape of /metrics": {
            "without clients": _us(a_server(hub, 0), each=1),
            "with 500": _us(a_server(hub, 500), each=1),
        },
        "timing a delivery": {
            "an arrival soon after another": _us(a_timing(_COUNT, 1, 0.00001)),
            "an arrival by itself": _us(a_timing(_COUNT, 1, 0.001)),
            "an arrival and its flush": _us(a_timing(1, _COUNT, 0.001)),
        },
        "simulate": {"ours": _us(lambda: race.points(start := next(second), start + 1), each=440)},
    }
