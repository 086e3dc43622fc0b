"""Batches brought to the server, and what is done when it does not answer."""

from __future__ import annotations

import random
from itertools import islice
from typing import Any

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived

from pitwall.importer.batches import Batch, BatchSize
from pitwall.importer.courier import ANSWER_S, InterruptedSendError, SendError, ServerLostError, back_off, told
from pitwall.importer.formats import CSV
from pitwall.importer.tally import Answer
from tests.unit.importer.doubles import FakePost, FakeScreen, FakeServer, a_courier

HEADER = b"track,chassis,speed\n"

#: JSON nested too deeply to be read.
DEEP = b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}"


def a_batch(rows: int = 3) -> Batch:
    """Some CSV rows."""
    return Batch(CSV, HEADER, b"".join(b"barber,GR86-1,%03d\n" % n for n in range(rows)), 1)


#: As pyOpenSSL raises it.
UNTRUSTED = SSL.Error([("SSL routines", "", "certificate verify failed")])


class CourierTests(SynchronousTestCase):
    """`Courier` posts, tries again, and gives up in the end."""

    def setUp(self) -> None:
        """A server that can be reached."""
        self.clock = Clock()
        self.server = FakeServer()
        self.post = FakePost(self.server)
        self.screen = FakeScreen()
        self.size = BatchSize(1 << 20)
        self.courier = a_courier(self.post, self.clock, self.screen, self.size)
        self.took: list[tuple[Batch, Answer]] = []

    def deliver(self, batch: Batch, last: bool = False) -> Deferred[None]:
        """Deliver a batch."""
        delivering = self.courier.deliver(batch, {"upload": "ab12", "name": "a b&c.csv"}, self._took, last)
        return Deferred.fromCoroutine(delivering)

    def _took(self, batch: Batch, answer: Answer) -> None:
        self.took.append((batch, answer))

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.clock.pump([0.1] * round(10 * seconds))

    def test_posted(self) -> None:
        """A batch is posted with its type, its upload, and the name of the file, whatever characters it has."""
        self.successResultOf(self.deliver(a_batch(2)))
        (posted,) = self.server.posted
        self.assertEqual((posted.path, posted.media_type), ("/api/ingest", "text/csv"))
        self.assertEqual(posted.params, {"upload": "ab12", "name": "a b&c.csv"})
        self.assertEqual(posted.body, a_batch(2).body)
        self.assertEqual([answer.accepted for _, answer in self.took], [2])

    def test_last(self) -> None:
        """The last batch says so."""
        self.successResultOf(self.deliver(a_batch(), last=True))
        self.assertEqual(self.server.posted[0].params["last"], "1")

    def test_nothing_acceptable(self) -> None:
        """An answer 400 that counts rows is an answer like others."""
        figures = {"ok": False, "accepted": 0, "rejected_total": 3, "rejected_by_reason": {"bad_time": 3}}
        self.server.answers = [(400, figures)]
        self.successResultOf(self.deliver(a_batch()))
        self.assertEqual(self.took[0][1].rejected_total, 3)

    def test_tried_again(self) -> None:
        """A server that is away for a while gets the batch once it is back, and the user is told once."""
        self.post.failures = [error.ConnectionRefusedError()] * 4
        delivering = self.deliver(a_batch())
        self.assertNoResult(delivering)
        self.wait(6)
        self.successResultOf(delivering)
        self.assertEqual(self.server.bodies, [a_batch().body])
        told = "http://pit:8081 can't be reached: connection refused, trying for 30 s"
        self.assertEqual(self.screen.told, [told])

    def test_overloaded(self) -> None:
        """Answers 500 and 503, and 409 while the batch before is not taken, are tried again, with the same batch."""
        busy = b'{"ok":false,"error":"busy"}'
        self.server.answers = [(503, busy), (500, b"<html>"), (409, busy)]
        delivering = self.deliver(a_batch())
        self.wait(3)
        self.successResultOf(delivering)
        self.assertEqual(self.server.bodies, [a_batch().body] * 4)
        self.assertEqual(len(self.took), 1)

    def test_given_up(self) -> None:
        """A server that stays away is given up after the time the user set, with one sentence."""
        self.courier = a_courier(self.post, self.clock, self.screen, self.size, retry_s=5)
        self.post.failures = [error.ConnectionRefusedError()] * 100
        delivering = self.deliver(a_batch())
        self.wait(4.9)
        self.assertNoResult(delivering)
        self.wait(0.2)
        failed = self.failureResultOf(delivering, ServerLostError).value
        wanted = "http://pit:8081 can't be reached: connection refused, given up after 5 s"
        self.assertEqual(str(failed), wanted)
        self.assertLess(self.post.calls, 20)

    def test_not_tried_again(self) -> None:
        """With no time for it there is no second try."""
        self.courier = a_courier(self.post, self.clock, self.screen, self.size, retry_s=0)
        self.post.failures = [error.ConnectionRefusedError()]
        self.failureResultOf(self.deliver(a_batch()), ServerLostError)
        self.assertEqual((self.post.calls, self.screen.told), (1, []))

    def test_time_of_each_batch(self) -> None:
        """The time to try begins anew with each batch."""
        self.courier = a_courier(self.post, self.clock, self.screen, self.size, retry_s=2)
        for _ in range(3):
            self.post.failures = [error.ConnectionRefusedError()] * 3
            delivering = self.deliver(a_batch())
            self.wait(2)
            self.successResultOf(delivering)

    def test_no_answer(self) -> None:
        """A request that is not answered is given up after a minute and sent again."""
        self.post.failures = [None]
        delivering = self.deliver(a_batch())
        self.wait(ANSWER_S - 1)
        self.assertEqual(self.post.calls, 1)
        self.wait(3)
        self.successResultOf(delivering)
        self.assertEqual(self.screen.told, ["http://pit:8081 does not answer within 60 s, trying for 30 s"])

    def test_too_large(self) -> None:
        """A batch that is too large is sent in parts, in order, the last as the last, and later ones smaller."""
        batch = a_batch(100)
        self.server.most = 500
        self.successResultOf(self.deliver(batch, last=True))
        self.assertTrue(all(body.startswith(HEADER) for body in self.server.bodies))
        self.assertEqual(b"".join(body.removeprefix(HEADER) for body in self.server.bodies), batch.lines)
        lasts = [posted.params.get("last") for posted in self.server.posted]
        self.assertEqual(lasts, [None] * (len(lasts) - 1) + ["1"])
        self.assertEqual([part.first_row for part, _ in self.took][:2], [1, 1 + self.took[0][0].rows])
        self.assertLessEqual(self.size.most_bytes, 500)

    def test_one_row_too_large(self) -> None:
        """A single row that is too large ends the file with a sentence."""
        self.server.most = 5
        failed = self.failureResultOf(self.deliver(a_batch(1)), SendError).value
        self.assertEqual(str(failed), "row 1 alone is too large for the server")

    def test_refused(self) -> None:
        """Any other answer with an error ends the file with what the server says; control characters are escaped."""
        self.server.answers = [(415, b'{"ok":false,"error":"no \\u001b[2J type"}')]
        failed = self.failureResultOf(self.deliver(a_batch()), SendError).value
        self.assertEqual(str(failed), "the server answers 415: no \\x1b[2J type")

    def test_another_server(self) -> None:
        """An answer that is not PitWall's is told as such."""
        for status, body in ((404, b"<html>"), (200, b"hello"), (200, b"{}"), (400, b"\xff"), (302, b""), (200, DEEP)):
            self.server.answers = [(status, body)]
            failed = self.failureResultOf(self.deliver(a_batch()), SendError).value
            self.assertEqual(str(failed), f"http://pit:8081 answers {status}, and not as PitWall does")

    def test_stopped(self) -> None:
        """When the user wants no more, a batch that fails is not sent again."""
        self.post.failures = [None]
        delivering = self.deliver(a_batch())
        self.courier.stopped = True
        self.post.waiting[0].errback(ResponseNeverReceived([Failure(CancelledError())]))
        self.failureResultOf(delivering, InterruptedSendError)
        self.assertEqual(self.post.calls, 1)


class BackOffTests(SynchronousTestCase):
    """The time between tries."""

    def test_delays(self) -> None:
        """It grows up to five seconds, and differs from one client to the next."""
        delays = list(islice(back_off(random.Random(1)), 20))
        self.assertLess(delays[0], 0.26)
        self.assertGreater(min(delays[10:]), 2.4)
        self.assertLessEqual(max(delays), 5.0)
        self.assertNotEqual(delays, list(islice(back_off(random.Random(2)), 20)))


class ToldTests(SynchronousTestCase):
    """What is said of a failed request."""

    def test_told(self) -> None:
        """Each kind of failure has its words."""
        cases: tuple[tuple[Any, str], ...] = (
            (error.ConnectionRefusedError(), "can't be reached: connection refused"),
            (error.DNSLookupError("no results"), "is not known: there is no such host"),
            (error.NoRouteError(), "can't be reached: No route to host"),
            (ResponseNeverReceived([Failure(error.ConnectionLost())]), "closed the connection"),
            (ResponseNeverReceived([Failure(error.ConnectionDone())]), "closed the connection"),
            (ResponseNeverReceived([Failure(CancelledError())]), "does not answer within 60 s"),
            (ResponseNeverReceived([Failure(UNTRUSTED)]), "has a certificate that is not trusted (SSL_CERT_FILE)"),
            (ResponseNeverReceived([Failure(ValueError("bad certificate"))]), "can't be asked: bad certificate"),
        )
        for failed, words in cases:
            self.assertEqual(told(failed), words)
