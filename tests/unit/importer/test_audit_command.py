"""``pitwall audit``: each equation of a server's books can fail, and is named when it does."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import msgspec
from treq.testing import StubTreq
from twisted.internet.defer import Deferred, ensureDeferred, fail
from twisted.internet.error import ConnectError
from twisted.trial.unittest import SynchronousTestCase

from pitwall.importer.audit import Books, equations
from pitwall.importer.audit_command import NoBooksError, books_in, fetch, report
from pitwall.keys.key import READ
from tests.doubles import A_POINT, Screen, WebServer
from tests.unit.serve.test_auth import Held


class AuditCase(SynchronousTestCase):
    """A server that took something, and its books."""

    def setUp(self) -> None:
        """Points, rows and a client; something is accepted, refused, a duplicate and pending."""
        self.server = WebServer(self)
        Screen(self.server)
        row = b'{"telemetry_name":"speed","telemetry_value":1,"vehicle_id":"a","track":"barber","timestamp":"%b"}'
        rows = [row % b"2025-09-06T18:00:00Z", row % b"2025-09-06T18:00:00Z", row % b"2025-09-06T18:00:01Z"]
        for body in (A_POINT, b"{}", *rows):
            self.server.ingest.take(body)
        self.server.run_for(0.02)
        self.server.ingest.take(A_POINT)
        self.answer: dict[str, Any] = json.loads(json.dumps(self.server.books.answer(0.0)))
        self.output, self.errors = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.output)
        self.patch(sys, "stderr", self.errors)

    def status(self, answer: dict[str, Any], as_json: bool = False) -> int:
        """The status of an audit of an answer."""
        return report(msgspec.convert(answer, Books), as_json)


class ReportTests(AuditCase):
    """What is said of books."""

    def test_exact(self) -> None:
        """Exact books are said to be so, line by line."""
        self.assertEqual(self.status(self.answer), 0)
        lines = [line.split() for line in self.output.getvalue().splitlines()]
        self.assertIn(["http", "points", "3", "2", "1", "0", "0", "yes"], lines)
        self.assertIn(["http", "rows", "3", "1", "0", "1", "1", "yes"], lines)
        self.assertIn(["http", "points", "missing_field", "1"], lines)
        self.assertIn(["all", "5", "equations", "are", "exact"], lines)
        self.assertEqual(self.errors.getvalue(), "")

    def test_each_figure(self) -> None:
        """Whichever figure is changed by one, the equation it stands in is named, and no other."""
        places: list[tuple[str, Callable[[dict[str, Any]], dict[str, Any]], str]] = []
        for index, line in enumerate(self.answer["doors"]):
            name = f"{line['door']} {line['unit']}"
            for field in ("received", "accepted", "duplicate", "pending"):
                places.append((name, partial(lambda answer, n: answer["doors"][n], n=index), field))
            if line["refused"]:
                places.append(
                    (name, partial(lambda answer, n: answer["doors"][n]["refused"], n=index), "missing_field")
                )
        for field in ("accepted", "delivered", "conflated", "filtered", "dropped", "pending"):
            places.append(("client 1", lambda answer: answer["clients"][0], field))
        for field in ("published", "last_seq"):
            places.append(("ring", lambda answer: answer["ring"], field))
        for field in ("published", "written", "pending"):
            places.append(("workers", lambda answer: answer["workers"], field))
        self.assertEqual(len(places), 20)
        for name, of, field in places:
            for step in (1, -1):
                answer = deepcopy(self.answer)
                of(answer)[field] += step
                self.errors.seek(0)
                self.errors.truncate()
                self.assertEqual(self.status(answer), 1, (name, field))
                (sentence,) = self.errors.getvalue().splitlines()
                self.assertTrue(sentence.startswith(f"pitwall audit: not exact: {name}: "), sentence)

    def test_below_zero(self) -> None:
        """Two faults that make up for each other are found where a figure falls below zero."""
        line = self.answer["doors"][0]
        line["accepted"] += 1
        line["pending"] -= 1
        self.assertEqual(self.status(self.answer), 1)

    def test_lost_row(self) -> None:
        """A row that the server loses between its counters is found."""
        joiner = self.server.intake.decoder.joiner
        next(iter(joiner._cars.values())).instants.popitem()[1].values.clear()
        self.assertEqual(self.status(json.loads(json.dumps(self.server.books.answer(0.0)))), 1)
        self.assertIn(
            "not exact: http rows: 3 received, but 1 accepted + 1 duplicate + 0 pending = 2", self.errors.getvalue()
        )

    def test_json(self) -> None:
        """``--json`` says the same as one object."""
        self.assertEqual(self.status(self.answer, as_json=True), 0)
        content = json.loads(self.output.getvalue())
        self.assertEqual((content["ok"], content["wrong"], len(content["equations"])), (True, [], 5))
        self.assertEqual(content["equations"][0]["parts"]["refused (missing_field)"], 1)
        self.answer["doors"][0]["received"] += 1
        self.output.truncate(0)
        self.output.seek(0)
        self.assertEqual(self.status(self.answer, as_json=True), 1)
        self.assertEqual(json.loads(self.output.getvalue())["ok"], False)


class BooksTests(SynchronousTestCase):
    """`books_in` reads an answer."""

    def test_nonsense(self) -> None:
        """What is no ledger is told by a sentence, however deep it is nested."""
        for content in (b"", b"\xff", b"{}", b'{"x":' + b"[" * 5000):
            with self.assertRaises(NoBooksError) as caught:
                books_in(content, "http://pit:8081")
            self.assertIn("http://pit:8081/api/ledger is no ledger", str(caught.exception))


class FetchTests(AuditCase):
    """Where the books come from."""

    @property
    def get(self) -> Any:
        """treq.get, of the server in memory."""
        stub: Any = StubTreq(self.server.root)
        return stub.get

    def ask(self, get: Callable[..., Any], key: str | None = None) -> Books:
        """What is fetched by this."""
        found: Books = self.successResultOf(ensureDeferred(fetch("http://wall:8081", get, key)))
        return found

    def test_fetched(self) -> None:
        """The books are the server's."""
        books = self.ask(self.get)
        self.assertEqual(len(equations(books)), 5)

    def test_key(self) -> None:
        """A server that wants a key is shown it; without, it is said that there should be one."""
        self.server = WebServer(self, keys=Held(READ))
        self.assertTrue(all(equation.exact for equation in equations(self.ask(self.get, "pw_read"))))
        failure = self.failureResultOf(ensureDeferred(fetch("http://wall:8081", self.get)), NoBooksError)
        self.assertIn("answers 401, wanted 200; it wants a key that may read", str(failure.value))

    def test_none(self) -> None:
        """A server that has none, or is none, is told by a sentence."""

        def refused(*_: Any, **__: Any) -> Deferred[Any]:
            return fail(ConnectError(string="nobody is there"))

        self.patch(self.server.api, "_ledger", dict)
        for get, path, words in (
            (self.get, "/elsewhere", "answers 404, wanted 200"),
            (self.get, "", "is no ledger: "),
            (refused, "", "nobody is there"),
        ):
            failure = self.failureResultOf(ensureDeferred(fetch(f"http://wall:8081{path}", get)), NoBooksError)
            self.assertIn(words, str(failure.value))
