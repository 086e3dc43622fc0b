"""Recordings sent from their first row to their last."""

from __future__ import annotations

import gzip
from collections.abc import Coroutine
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pitwall.importer.batches import BatchSize
from pitwall.importer.session import Session
from pitwall.importer.sources import Source, local_source
from tests.unit.importer.doubles import FakePost, FakeScreen, FakeServer, a_courier, a_source, at_once

HEADER = b"track,chassis,speed\n"


def rows(count: int, car: int = 1) -> bytes:
    """CSV rows that tell themselves apart."""
    return b"".join(b"barber,GR86-%d,%04d\n" % (car, n) for n in range(count))


class SessionTests(SynchronousTestCase):
    """`Session` sends files, one after the other."""

    def setUp(self) -> None:
        """A server in memory, and small batches."""
        self.clock = Clock()
        self.server = FakeServer()
        self.post = FakePost(self.server)
        self.screen = FakeScreen()
        self.said = {"track": "barber"}
        self.session = self.a_session()

    def a_session(self, retry_s: float = 30.0) -> Session:
        """A session with the server."""
        size = BatchSize(1024)
        courier = a_courier(self.post, self.clock, self.screen, size, retry_s)
        return Session(courier, size, self.said, at_once, self.clock, self.screen)

    def start(self, work: Coroutine[Any, Any, None]) -> Deferred[None]:
        """Begin to send."""
        return Deferred.fromCoroutine(work)

    def send(self, *sources: Source) -> None:
        """Send files to their end."""
        self.successResultOf(self.start(self.session.send(sources)))

    def test_all_of_it(self) -> None:
        """Every row reaches the server once and in order, under one upload a file, of which the end is told."""
        self.send(a_source(HEADER + rows(200)), a_source(gzip.compress(HEADER + rows(50, 2)), "b.csv.gz"))
        sent = b"".join(body.removeprefix(HEADER) for body in self.server.bodies)
        self.assertEqual(sent, rows(200) + rows(50, 2))
        by_upload: dict[str, list[dict[str, str]]] = {}
        for posted in self.server.posted:
            by_upload.setdefault(posted.params.pop("upload"), []).append(posted.params)
        first, second = by_upload.values()
        self.assertEqual(first[0], {"name": "a.csv", "track": "barber"})
        self.assertEqual(second[-1], {"name": "b.csv.gz", "track": "barber", "last": "1"})
        self.assertEqual([params.get("last") for params in first], [None] * (len(first) - 1) + ["1"])
        self.assertEqual([tally.accepted for tally in self.session.tallies], [200, 50])
        self.assertTrue(self.session.ok)

    def test_progress(self) -> None:
        """The screen sees each file begin, and how much of it is done."""
        content = HEADER + rows(200)
        self.send(a_source(content))
        self.assertEqual(self.screen.begun, ["run/a.csv"])
        self.assertEqual(self.screen.shown[-1][0], len(content))
        self.assertEqual(sum(done for _, done in self.screen.shown), 200)

    def test_rejections(self) -> None:
        """Refused rows are told by their number in the file, and make the import fail."""
        rejected = [{"index": 2, "field": "speed", "reason": "out_of_range", "message": "speed_kmh is 900"}]
        figures = {"rejected": rejected, "rejected_total": 1, "rejected_by_reason": {"out_of_range": 1}}
        self.server.answers = [(200, {}), (200, figures)]
        self.send(a_source(HEADER + rows(200)))
        first_batch = self.server.bodies[0].count(b"\n") - 1
        (rejection,) = self.session.tallies[0].rejections
        self.assertEqual(rejection.row, first_batch + 3)
        self.assertFalse(self.session.ok)

    def test_bad_file(self) -> None:
        """A file that can't be read is told as such, and the others are sent."""
        self.send(local_source("/"), local_source("/no/such/file"), a_source(HEADER + rows(3)))
        errors = [tally.error for tally in self.session.tallies]
        self.assertEqual(errors, ["is a directory, wanted files", "no such file or directory", ""])
        self.assertEqual(self.session.tallies[2].accepted, 3)
        self.assertFalse(self.session.ok)

    def test_refused_file(self) -> None:
        """A file the server wants nothing of is not sent further, and the others are."""
        self.server.answers = [(415, b'{"ok":false,"error":"not that"}')]
        self.send(a_source(HEADER + rows(200)), a_source(HEADER + rows(3)))
        self.assertEqual(self.session.tallies[0].error, "the server answers 415: not that")
        self.assertEqual(len(self.server.posted), 2)
        self.assertEqual(self.session.tallies[1].accepted, 3)

    def test_broken_file(self) -> None:
        """What can be read of a broken file is sent and its upload ended; the file counts as failed."""
        packed = gzip.compress(HEADER + rows(5000))
        self.send(a_source(packed[: len(packed) * 3 // 4], "b.csv.gz"))
        self.assertIn("broken gzip", self.session.tallies[0].error)
        self.assertGreater(self.session.tallies[0].accepted, 0)
        self.assertEqual(self.server.posted[-1].params["last"], "1")

    def test_empty_file(self) -> None:
        """An empty file is no failure."""
        self.send(a_source(b""))
        self.assertEqual((self.server.posted, self.session.tallies[0].rows, self.session.ok), ([], 0, True))

    def test_server_lost(self) -> None:
        """When the server stays away, the import ends, and every file that is not sent is named."""
        self.session = self.a_session(retry_s=2)
        self.post.failures = [error.ConnectionRefusedError()] * 100
        sending = self.start(self.session.send([a_source(HEADER + rows(3)), a_source(b"", "b.csv")]))
        self.clock.pump([0.1] * 25)
        self.successResultOf(sending)
        self.assertIn("given up after 2 s", self.session.lost)
        self.assertEqual([tally.error for tally in self.session.tallies], ["not sent to its end", "not sent"])
        self.assertFalse(self.session.ok)

    def test_interrupted(self) -> None:
        """An interrupt waits for the answer to what was sent, ends the upload, and sends no more."""
        self.post.failures = [None]
        sending = self.start(self.session.send([a_source(HEADER + rows(200)), a_source(HEADER, "b.csv")]))
        self.session.interrupt()
        self.assertNoResult(sending)
        answered = self.post("http://pit:8081/api/ingest", data=HEADER + rows(9), headers={"Content-Type": "text/csv"})
        self.post.waiting[0].callback(self.successResultOf(answered))
        self.successResultOf(sending)
        self.assertEqual(self.session.tallies[0].accepted, 9)  # and none by the batch that ends the upload
        self.assertEqual([tally.error for tally in self.session.tallies], ["not sent to its end", "not sent"])
        self.assertTrue(self.session.interrupted)
        self.assertEqual(self.server.posted[-1].body, HEADER)
        self.assertEqual(self.server.posted[-1].params["last"], "1")

    def test_interrupted_in_vain(self) -> None:
        """An interrupt does not wait long for an answer, and a second one does not wait at all."""
        for again in (False, True):
            self.post.failures = [None]
            self.session = self.a_session()
            sending = self.start(self.session.send([a_source(HEADER + rows(200))]))
            self.session.interrupt()
            if again:
                self.session.interrupt()
            else:
                self.clock.advance(1.9)
                self.assertNoResult(sending)
                self.clock.advance(0.2)
            self.successResultOf(sending)
            self.assertTrue(self.session.interrupted)
        self.assertEqual(self.server.posted, [])

    def test_interrupted_while_waiting(self) -> None:
        """An interrupt between two tries ends at once."""
        self.post.failures = [error.ConnectionRefusedError()] * 10
        sending = self.start(self.session.send([a_source(HEADER + rows(3))]))
        self.session.interrupt()
        self.successResultOf(sending)
        self.assertTrue(self.session.interrupted)
        self.assertEqual(self.clock.getDelayedCalls(), [])
