"""The tables of the race, asked as programs and people ask them."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from treq.testing import StubTreq
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from pitwall.race.lap import Lap
from pitwall.serve.tables import MOST_LAPS, Asked, TableError
from tests.doubles import WebServer, publish
from tests.unit.race.insight_cars import START_MS, a_car, a_pace
from tests.unit.serve.races import ARace

PATHS = ("/api/laps", "/api/gaps", "/api/insights", "/api/score")


def a_lap(number: int, time_s: float, sectors: int = 3, marks: tuple[str, ...] = ()) -> Lap:
    """A lap, the how many-th hundred seconds of the race it began in."""
    times_s = (time_s / sectors,) * sectors
    return Lap(
        number, 1_757_184_000.0 + 100 * number, time_s, times_s, (time_s / 25,) * 25, (600.0,) * sectors, marks=marks
    )


class TablesCase(SynchronousTestCase):
    """A server behind treq, with a race."""

    def setUp(self) -> None:
        """A race of which nothing is known yet."""
        self.race = ARace()
        self.server = WebServer(self, race=self.race)
        self.http: Any = StubTreq(self.server.root)

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, Headers, bytes]:
        """Status, headers and body of the answer."""
        response = self.successResultOf(self.http.request(method, f"http://wall:8081{path}", headers=headers))
        return response.code, response.headers, self.successResultOf(self.http.content(response))

    def get(self, path: str) -> Any:
        """The JSON of a good answer."""
        status, headers, body = self.ask(path)
        self.assertEqual((status, headers.getRawHeaders("content-type")), (200, ["application/json"]), body)
        return json.loads(body)

    def get_csv(self, path: str) -> list[dict[str, str]]:
        """The rows of a good answer in CSV."""
        status, headers, body = self.ask(path, Accept="text/csv")
        self.assertEqual((status, headers.getRawHeaders("content-type")), (200, ["text/csv; charset=utf-8"]), body)
        return list(csv.DictReader(StringIO(body.decode(), newline=""), strict=True))

    def assert_error(self, status: int, path: str, **headers: str) -> None:
        """The answer is an error in JSON."""
        seen, answered, body = self.ask(path, **headers)
        self.assertEqual((seen, answered.getRawHeaders("content-type")), (status, ["application/json"]), path)
        self.assertEqual(json.loads(body)["ok"], False)


class FormTests(TablesCase):
    """JSON or CSV."""

    def test_accept(self) -> None:
        """The better liked of the two is what one gets, JSON where both are liked alike, and 406 for neither."""
        for accept, kind in (
            ("application/json", "application/json"),
            ("text/csv", "text/csv; charset=utf-8"),
            ("*/*", "application/json"),
            ("text/*", "text/csv; charset=utf-8"),
            ("text/csv, application/json", "application/json"),
            ("text/csv, application/json;q=0.9", "text/csv; charset=utf-8"),
            ("application/json;q=0.5, text/csv;q=0.4", "application/json"),
            ("application/json;q=0.4, text/csv;q=0.5", "text/csv; charset=utf-8"),
            ("application/json;q=0, */*", "text/csv; charset=utf-8"),
            ("text/csv;q=0, */*;q=0.1", "application/json"),
            ("text/csv;q=0.1, */*;q=0.5", "application/json"),
            ("TEXT/CSV; charset=utf-8; header=present", "text/csv; charset=utf-8"),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
            ("", "application/json"),
        ):
            for path in PATHS:
                status, headers, _ = self.ask(path, Accept=accept)
                self.assertEqual((status, headers.getRawHeaders("content-type")), (200, [kind]), accept)
        for accept in ("text/html", "application/json;q=0", "application/json;q=0, text/csv;q=0, */*", "image/*"):
            self.assert_error(406, "/api/laps", Accept=accept)

    def test_no_accept(self) -> None:
        """A program that says nothing gets JSON."""
        self.assertEqual(self.ask("/api/laps")[1].getRawHeaders("content-type"), ["application/json"])

    def test_format(self) -> None:
        """The query chooses where a header can't be sent, whatever the browser's header says."""
        for accept in ("text/html", "application/json", "text/csv"):
            for form, kind in (("csv", "text/csv; charset=utf-8"), ("json", "application/json")):
                _, headers, _ = self.ask(f"/api/gaps?format={form}", Accept=accept)
                self.assertEqual(headers.getRawHeaders("content-type"), [kind])
        self.assert_error(400, "/api/gaps?format=xml")

    def test_headers(self) -> None:
        """The answer depends on Accept, and on the page that asks; it has the headers that others have."""
        _, headers, _ = self.ask("/api/laps", Origin="http://localhost:5173")
        self.assertEqual(headers.getRawHeaders("vary"), ["Origin, Accept"])
        self.assertEqual(headers.getRawHeaders("access-control-allow-origin"), ["http://localhost:5173"])
        self.assertEqual(headers.getRawHeaders("cache-control"), ["no-store"])
        self.assertEqual(self.ask("/api/laps")[1].getRawHeaders("vary"), ["Accept"])

    def test_head(self) -> None:
        """HEAD has GET's headers and no body."""
        for path in PATHS:
            status, headers, body = self.ask(path, "HEAD", Accept="text/csv")
            self.assertEqual((status, body), (200, b""))
            self.assertEqual(headers.getRawHeaders("content-type"), ["text/csv; charset=utf-8"])

    @given(st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=60))
    def test_any_header(self, accept: str) -> None:
        """Whatever stands in the header, the answer is one of the two, or neither."""
        try:
            self.assertIn(Asked({}, accept).wants_csv(), (True, False))
        except TableError as error:
            self.assertEqual(error.status, 406)


class LapsTests(TablesCase):
    """``GET /api/laps``."""

    def setUp(self) -> None:
        """Two cars have driven at barber, one at cota."""
        super().setUp()
        self.race.driven = {
            ("barber", "GR86-004-78"): [a_lap(1, 105.0, marks=("first",)), a_lap(2, 98.4), a_lap(3, 97.8)],
            ("barber", "GR86-022-13"): [a_lap(2, 97.5)],
            ("cota", "GR86-004-78"): [a_lap(9, 150.0, sectors=4)],
        }

    def test_all(self) -> None:
        """Laps come oldest first, with what they come to for each car and track."""
        answer = self.get("/api/laps")
        self.assertEqual([lap["lap"] for lap in answer["laps"]], [1, 2, 2, 3, 9])
        self.assertEqual(len(answer["cars"]), 3)
        self.assertEqual(
            [(track["track"], track["cars"], track["best_lap_s"], track["best_chassis"]) for track in answer["tracks"]],
            [("barber", 2, 97.5, "GR86-022-13"), ("cota", 1, 150.0, "GR86-004-78")],
        )

    def test_chosen(self) -> None:
        """One car's, one track's, one car's on one track, and nobody's."""
        for query, laps in (
            ("chassis=GR86-004-78", [1, 2, 3, 9]),
            ("track=barber", [1, 2, 2, 3]),
            ("track=cota&chassis=GR86-004-78", [9]),
            ("track=sebring", []),
            ("chassis=&track=", [1, 2, 2, 3, 9]),
            ("limit=2", [3, 9]),
            ("limit=0", []),
            (f"limit={MOST_LAPS + 1}&colour=red", [1, 2, 2, 3, 9]),
        ):
            self.assertEqual([lap["lap"] for lap in self.get(f"/api/laps?{query}")["laps"]], laps, query)

    def test_csv(self) -> None:
        """As CSV a lap is a row, with as many sectors as the track with the most has."""
        rows = self.get_csv("/api/laps")
        self.assertEqual([row["lap"] for row in rows], ["1", "2", "2", "3", "9"])
        self.assertEqual(rows[0]["marks"], "first")
        self.assertEqual((rows[0]["sector_3_s"], rows[0]["sector_4_s"], rows[-1]["sector_4_s"]), ("35.0", "", "37.5"))
        self.assertEqual((rows[-1]["mini_25_s"], rows[-1]["sector_4_stress_g2m"]), ("6.0", "600.0"))
        self.assertEqual((rows[2]["field_best"], rows[3]["best"], rows[3]["field_best"]), ("true", "true", "false"))

    def test_newest(self) -> None:
        """No more than 5000 laps are in one answer: the newest."""
        self.race.driven = {("barber", "GR86-004-78"): [a_lap(number, 98.0) for number in range(1, MOST_LAPS + 11)]}
        self.assertEqual([lap["lap"] for lap in self.get("/api/laps")["laps"]][:: MOST_LAPS - 1], [11, MOST_LAPS + 10])

    def test_wrong(self) -> None:
        """What can't be meant is refused."""
        for query in ("limit=-1", "limit=ten", "limit=1.5", "track=a&track=b", "chassis=%ff", "limit=%D9%A3"):
            self.assert_error(400, f"/api/laps?{query}")

    def test_names(self) -> None:
        """A name that is a formula to a spreadsheet is one no more in CSV, and stays as it is in JSON."""
        self.race.driven = {("barber", "=HYPERLINK(1)"): [a_lap(1, 98.0)]}
        self.assertEqual(self.get("/api/laps")["laps"][0]["chassis"], "=HYPERLINK(1)")
        self.assertEqual(self.get_csv("/api/laps")[0]["chassis"], "'=HYPERLINK(1)")


class OtherTablesTests(TablesCase):
    """``GET /api/gaps`` and ``GET /api/score``."""

    def test_gaps(self) -> None:
        """The gaps of all tracks or of one, as they are sent to screens."""
        self.race.now = [
            {"chassis": "GR86-004-78", "track": "barber", "position": 1, "gapToAheadSeconds": None},
            {"chassis": "GR86-022-13", "track": "cota", "position": 1, "gapToAheadSeconds": None, "lapsDown": 0},
        ]
        self.assertEqual(self.get("/api/gaps"), {"gaps": self.race.now})
        self.assertEqual(self.get("/api/gaps?track=cota"), {"gaps": self.race.now[1:]})
        first, second = self.get_csv("/api/gaps")
        self.assertEqual((first["chassis"], first["gapToAheadSeconds"], first["lapsDown"]), ("GR86-004-78", "", ""))
        self.assertEqual((second["track"], second["lapsDown"]), ("cota", "0"))

    def test_score(self) -> None:
        """The score is what it is; as CSV, a line a figure."""
        self.race.scored = {"laps": 120, "model": {"mae_s": 0.68}}
        self.assertEqual(self.get("/api/score"), self.race.scored)
        self.assertEqual(
            self.get_csv("/api/score"), [{"name": "laps", "value": "120"}, {"name": "model.mae_s", "value": "0.68"}]
        )

    def test_no_race(self) -> None:
        """A server that computes no race has empty tables, with their columns."""
        self.http = StubTreq(WebServer(self).root)
        self.assertEqual(self.get("/api/laps"), {"laps": [], "cars": [], "tracks": []})
        self.assertEqual(self.get("/api/gaps"), {"gaps": []})
        self.assertEqual(self.get("/api/insights"), {"insights": []})
        self.assertEqual(self.get("/api/score"), {})
        for path in PATHS:
            self.assertEqual(self.get_csv(path), [])
        self.assert_error(404, "/api/insights/i1")


class InsightsTests(TablesCase):
    """``GET /api/insights`` and ``GET /api/insights/:id``."""

    def setUp(self) -> None:
        """Two cars lose pace, and one of them no longer."""
        super().setUp()
        publish(self.server.hub, 50)
        for loss in (0.05, 0.0):
            one = a_car(pace=a_pace(loss), first_seq=1, last_seq=50, points=50)
            other = a_car("GR86-022-13", pace=a_pace(0.05))
            self.race.insights.tick("barber", START_MS, [one, other])

    def ids(self, query: str = "") -> list[str]:
        """The ids of the insights that are answered."""
        return [insight["id"] for insight in self.get(f"/api/insights?{query}")["insights"]]

    def test_chosen(self) -> None:
        """All that are kept, those that stand, one car's, one track's, one type's, the newest."""
        for query, ids in (
            ("", ["i1", "i2", "i3"]),
            ("state=all", ["i1", "i2", "i3"]),
            ("state=standing", ["i2"]),
            ("chassis=GR86-004-78", ["i1", "i3"]),
            ("chassis=GR86-004-78&state=standing", []),
            ("track=cota", []),
            ("type=tire_wear", ["i1", "i2", "i3"]),
            ("type=anomaly", []),
            ("limit=1", ["i3"]),
        ):
            self.assertEqual(self.ids(query), ids, query)
        for query in ("state=over", "type=rain", "limit=x"):
            self.assert_error(400, f"/api/insights?{query}")

    def test_csv(self) -> None:
        """As CSV an insight is a row; what it rests on is JSON in it."""
        rows = self.get_csv("/api/insights")
        self.assertEqual([row["state"] for row in rows], ["raised", "raised", "cleared"])
        self.assertEqual(json.loads(rows[0]["inputs"])["loss_per_lap_s"], {"value": 0.05, "unit": "s/lap"})

    def test_one(self) -> None:
        """One insight is computed again from its inputs, and held against the ring."""
        answer = self.get("/api/insights/i1")
        self.assertEqual(answer["insight"], self.race.insights.get("i1"))
        self.assertEqual(answer["recomputed"]["agrees"], True)
        self.assertEqual(
            answer["ring"], {"verdict": "confirmed", "looked_at": [1, 50], "points": 50, "checks": {"points": True}}
        )
        self.assertEqual(self.get("/api/insights/i2")["ring"]["verdict"], "contradicted")

    def test_one_as_csv(self) -> None:
        """As CSV it is a line a figure."""
        figures = {row["name"]: row["value"] for row in self.get_csv("/api/insights/i3")}
        self.assertEqual(figures["insight.inputs.standing.value"], "low")
        self.assertEqual((figures["recomputed.agrees"], figures["ring.verdict"]), ("true", "confirmed"))

    def test_unknown(self) -> None:
        """An insight that is not kept is not there."""
        for insight_id in ("i4", "4", "x" * 5000, "%22%3E", "i1%20"):
            self.assert_error(404, f"/api/insights/{insight_id}")
        for path in ("/api/insights/", "/api/insights/i1/"):
            self.assert_error(404, path)
