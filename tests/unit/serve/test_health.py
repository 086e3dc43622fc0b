"""``pitwall.serve.health``: the answer of ``GET /api/health``."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.health import Health, RateMeter
from pitwall.serve.live.broadcast import Broadcaster, Pace
from tests.doubles import Screen, WebServer, a_hub, publish


class RateMeterTests(SynchronousTestCase):
    """`RateMeter` says how many points a second come."""

    def test_steady(self) -> None:
        """A steady stream shows its rate; it is 0 before there are two looks at it, and without time between them."""
        meter = RateMeter()
        self.assertEqual(meter.per_second, 0.0)
        meter.sample(10.0, 0)
        self.assertEqual(meter.per_second, 0.0)
        meter.sample(10.0, 500)
        self.assertEqual(meter.per_second, 0.0)
        meter.sample(12.0, 2000)
        self.assertEqual(meter.per_second, 1000.0)

    def test_forgets(self) -> None:
        """What was more than five seconds ago does not count: after the race the rate is 0."""
        meter = RateMeter()
        for second in range(20):
            meter.sample(second, min(second, 10) * 1000)
        self.assertEqual(meter.per_second, 0.0)


class HealthTests(SynchronousTestCase):
    """`Health` tells what has happened since the start."""

    def setUp(self) -> None:
        """A server with two doors and warm workers, in which nothing has happened."""
        self.hub = a_hub(self, capacity=100)
        self.clock = Clock()
        self.broadcaster = Broadcaster(self.hub, self.clock, Pace(0.008, 0.12))
        self.aggregation = SimpleNamespace(warm=True, took_s=0.0, field_s=0.0, restarts=0, forecasts=dict)
        self.doors = [SimpleNamespace(open=True), SimpleNamespace(open=True)]
        self.udp = SimpleNamespace(kernel_drops=lambda: 7)
        self.running = True
        self.health = Health(
            self.hub,
            self.broadcaster,
            self.aggregation,
            self.doors,
            self.udp,
            demo=False,
            running=lambda: self.running,
            udp_port=20777,
        )

    def test_names(self) -> None:
        """The answer has the fields that the front end reads, and the new ones."""
        well, answer = self.health.answer(1_757_184_100.0)
        self.assertTrue(well)
        self.assertEqual(set(answer), {"ok", "now", "demo", "udpPort", "metrics"})
        self.assertEqual(answer["udpPort"], 20777)
        self.assertEqual((answer["ok"], answer["now"], answer["demo"]), (True, "2025-09-06T18:41:40.000Z", False))
        contract = {
            "messagesReceived",
            "messagesBroadcast",
            "wsClients",
            "aggregationsProcessed",
            "errors",
            "messageRate",
            "avgProcessingTimeMs",
            "ringBufferSize",
            "udpKernelDrops",
            "aggregationMissed",
        }
        self.assertLessEqual(contract, set(answer["metrics"]))

    def test_figures(self) -> None:
        """Each figure says what its name says."""
        self.health.sample(0.0)
        publish(self.hub, 150, door="udp")
        publish(self.hub, 10, door="http")
        self.clock.advance(1)
        self.health.sample(2.0)
        self.hub.refuse("udp", "not_json", 3)
        self.hub.refuse("http", "not_json")
        self.hub.refuse("udp", "missing_field")
        self.hub.ledger.aggregations = 5
        self.hub.ledger.aggregation_missed = 6
        self.hub.ledger.points_skipped, self.hub.ledger.points_conflated = 8, 9
        self.aggregation.took_s, self.aggregation.field_s, self.aggregation.restarts = 0.0125, 0.001, 2
        client = Screen(WebServer(self)).protocol
        client.delivery.fidelity.reduced = True
        self.broadcaster.clients[client] = client.delivery
        _, answer = self.health.answer(0.0)
        expected = {
            "messagesReceived": 160,
            "messagesBroadcast": 2,
            "wsClients": 1,
            "aggregationsProcessed": 5,
            "errors": 5,
            "messageRate": 80.0,
            "avgProcessingTimeMs": 12.5,
            "ringBufferSize": 100,
            "udpKernelDrops": 7,
            "aggregationMissed": 6,
            "clientPointsSkipped": 8,
            "clientPointsConflated": 9,
            "clientsReduced": 1,
            "subscriptions": 0,
            "flushIntervalMs": 8.0,
            "workerRestarts": 2,
            "accepted": {"udp": 150, "http": 10},
            "refused": {"udp": {"not_json": 3, "missing_field": 1}, "http": {"not_json": 1}},
        }
        self.assertEqual({name: answer["metrics"][name] for name in expected}, expected)

    def test_ready(self) -> None:
        """It is ready while all doors are open, all workers up, and it has not been told to end."""
        self.assertEqual(self.health.ready(), (True, {"ok": True, "doors": True, "workers": True}))
        self.doors[1].open = False
        self.assertEqual(self.health.ready(), (False, {"ok": False, "doors": False, "workers": True}))
        self.doors[1].open, self.aggregation.warm = True, False
        self.assertEqual(self.health.ready(), (False, {"ok": False, "doors": True, "workers": False}))
        self.aggregation.warm, self.running = True, False
        self.assertEqual(self.health.ready(), (False, {"ok": False, "doors": True, "workers": True}))

    def test_not_well(self) -> None:
        """It is not well while a door is closed or the workers are not warm, and then still tells its figures."""
        self.doors[1].open = False
        well, answer = self.health.answer(0.0)
        self.assertEqual((well, answer["ok"]), (False, False))
        self.assertEqual(answer["metrics"]["messagesReceived"], 0)
        self.doors[1].open = True
        self.aggregation.warm = False
        self.assertFalse(self.health.answer(0.0)[0])

    def test_demo(self) -> None:
        """A demo says that it is one."""
        health = Health(self.hub, self.broadcaster, self.aggregation, self.doors, self.udp, demo=True)
        self.assertTrue(health.answer(0.0)[1]["demo"])
