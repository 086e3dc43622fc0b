"""``docs/insights.md`` and ``docs/rest.md`` say what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from treq.testing import StubTreq
from twisted.trial.unittest import SynchronousTestCase

from pitwall.model.point import iso_utc
from pitwall.race import formulas
from pitwall.race.evidence import MOST_INPUTS, OWN_INPUTS
from pitwall.race.formulas import FORMULAS, SEVERITIES, Dwell, Formula
from pitwall.race.insights import MOST_KEPT
from pitwall.race.lap import MARKS, Lap
from pitwall.serve import confirm
from pitwall.serve.tables import MOST_LAPS
from tests.doubles import WebServer, publish
from tests.unit.race.insight_cars import START_MS, TICK_MS, a_car, a_pace
from tests.unit.serve.races import ARace

DOCS = Path(__file__).parents[2] / "docs"


def rows(text: str) -> dict[str, list[list[str]]]:
    """The lines of tables that begin with a name in code, by that name."""
    found: dict[str, list[list[str]]] = {}
    for line in re.findall(r"^\|( `.*)\|$", text, re.MULTILINE):
        name, *cells = (cell.strip() for cell in line.split("|"))
        found.setdefault(name.strip("`"), []).append(cells)
    return found


def dwell(formula: Formula) -> str:
    """How long a change must last, as the table has it."""

    def told(lasts: Dwell) -> str:
        if lasts.laps:
            return f"{lasts.laps} lap"
        return f"{lasts.seconds:g} s" if lasts.seconds else "at once"

    return f"{told(formula.rising)}, {told(formula.sinking)}"


class InsightDocumentTests(SynchronousTestCase):
    """``docs/insights.md``."""

    def setUp(self) -> None:
        """Its text and its tables."""
        self.text = (DOCS / "insights.md").read_text()
        self.rows = rows(self.text)

    def test_formulas(self) -> None:
        """Every formula has its levels and how long a change must last, and there is no other."""
        self.assertEqual({name for name in self.rows if "." in name}, set(FORMULAS))
        for name, formula in FORMULAS.items():
            levels, lasts = self.rows[name][0][1:5], self.rows[name][0][5]
            self.assertEqual(lasts, dwell(formula), name)
            if formula.ladder is not None:
                told = {step.severity: f"{step.raised_at:g} ({step.stays_to:g})" for step in formula.ladder.steps}
                self.assertEqual(levels, [told.get(severity, "") for severity in SEVERITIES], name)

    def test_severities(self) -> None:
        """Where there are no levels, a severity is told where the formula has it."""
        known: tuple[tuple[str, dict[str, Any], str], ...] = (
            ("performance.trend", {"trend": "improving", "direction": "improving"}, "low"),
            ("performance.best", {"best_lap_s": 97.0, "field_best_s": 97.0, "lap": 3}, "low"),
            ("gap_analysis.attack", {"overtakingOpportunity": True, "underPressure": False}, "medium"),
            ("gap_analysis.attack", {"overtakingOpportunity": True, "underPressure": True}, "high"),
            ("gap_analysis.pressure", {"underPressure": True}, "medium"),
            ("anomaly.stuck", {"channel": "rpm", "stuck": True}, "medium"),
            *(
                ("anomaly.stuck", {"channel": name, "stuck": True}, "high")
                for name in ("speed_kmh", "lapdist_m", "lap")
            ),
            ("anomaly.flipped", {"flipped": True}, "medium"),
            ("anomaly.clock_stopped", {"clock": "stopped"}, "medium"),
            ("anomaly.clock_set", {"since_set_s": 59.0}, "low"),
        )
        for name, values, severity in known:
            inputs = {**dict.fromkeys(FORMULAS[name].units), **values}
            self.assertEqual(FORMULAS[name].judge(inputs, None), severity, name)
            self.assertTrue(self.rows[name][0][1 + SEVERITIES.index(severity)], name)

    def test_inputs(self) -> None:
        """Every input has its unit."""
        for name, formula in FORMULAS.items():
            told = ", ".join(f"`{each}` {unit}".strip() for each, unit in formula.units.items())
            self.assertEqual(self.rows[name][1], [told], name)
        for name, unit in OWN_INPUTS.items():
            self.assertRegex(self.text, rf"(?m)^\| [^|]*`{name}`[^|]* \| [^|]*{unit}", name)

    def test_numbers(self) -> None:
        """The other figures are those of the code."""
        for figure in (
            f"`loss_low` > {formulas.SURE_LOSS:g} (≥ {formulas.UNSURE_LOSS:g} once",
            f"`gap_to_ahead_s` up to {formulas.FIGHT_S:g} s",
            f"The last {MOST_KEPT} insights",
            f"over {MOST_INPUTS >> 10} KiB",
            f"At most {confirm.MOST_LOOKED_AT:,} numbers",
            f"last {confirm.CONSTANT} points",
            f"last {confirm.STAMPS} points",
        ):
            self.assertIn(figure, self.text)
        self.assertEqual((formulas.CLOCK_SET_S, formulas.BEST_FROM_LAP), (60.0, 3))
        for name in ("points", "constant", "sign", "stamps", "silence"):
            self.assertIn(name, self.rows)
            self.assertIn(f"``{name}``", confirm.__doc__ or "")


class RestDocumentTests(SynchronousTestCase):
    """``docs/rest.md``."""

    def setUp(self) -> None:
        """A server with a race, and the document's examples."""
        self.text = (DOCS / "rest.md").read_text()
        self.race = ARace()
        self.server = WebServer(self, race=self.race)
        self.http: Any = StubTreq(self.server.root)

    def example(self, name: str) -> Any:
        """An example of the document."""
        found = re.search(rf"^```json {name}\n(.*?)^```", self.text, re.MULTILINE | re.DOTALL)
        assert found is not None, name
        return json.loads(found[1])

    def get(self, path: str) -> Any:
        """What the server answers."""
        response = self.successResultOf(self.http.get(f"http://wall:8081{path}"))
        return json.loads(self.successResultOf(self.http.content(response)))

    def test_laps(self) -> None:
        """The laps that are shown are what a server answers when it has them."""
        shown = self.example("laps")
        (row,) = shown["laps"]
        start_s = 1_757_184_031.25
        self.assertEqual(iso_utc(start_s), row["start"])

        def a_lap(number: int, first_sector_s: float, last_sector_s: float, *marks: str) -> Lap:
            sectors_s = (first_sector_s, row["sector_times_s"][1], last_sector_s)
            return Lap(number, start_s - 100 * (7 - number), sum(sectors_s), sectors_s, (), (), marks=marks)

        last = Lap(
            row["lap"],
            start_s,
            row["lap_time_s"],
            tuple(row["sector_times_s"]),
            tuple(row["mini_times_s"]),
            tuple(row["sector_stress_g2m"]),
            row["length_m"],
            row["line_kmh"],
            row["first_seq"],
            row["last_seq"],
            tuple(row["marks"]),
            row["lap_sent"],
        )
        laps = [a_lap(1, 35.0, 27.9, "first"), *(a_lap(number, 28.76, 27.9) for number in range(2, 6))]
        self.race.driven = {
            ("barber", "GR86-004-78"): [*laps, a_lap(6, 28.8, 40.0, "in"), last],
            ("barber", "GR86-022-13"): [Lap(1, 0.0, 97.102, (97.102,), (), ())],
        }
        (car,), (track,) = shown["cars"], shown["tracks"]
        self.race.gap_at_line_s, self.race.stress_index = row["gap_at_line_s"], car["tire_stress_index"]
        self.race.bests = {name: track[name] for name in self.race.bests}
        self.assertEqual(self.get("/api/laps?chassis=GR86-004-78&limit=1"), shown)
        self.assertAlmostEqual(sum(row["sector_times_s"]), row["lap_time_s"], places=3)
        self.assertAlmostEqual(sum(row["mini_times_s"]), row["lap_time_s"], places=3)

    def test_fields(self) -> None:
        """Every field of a lap is explained."""
        told = {name for cells in rows(self.text) for name in re.findall(r"\w+", cells.replace("`", " "))}
        self.assertEqual(set(self.example("laps")["laps"][0]) - told, {"chassis", "track", "marks"})
        self.assertIn(f"at most {MOST_LAPS}", self.text)
        for mark in MARKS:
            self.assertIn(f"`{mark}`", self.text)

    def test_insight(self) -> None:
        """The insight that is shown is what a server answers when that has been said."""
        publish(self.server.hub, 50)
        car = a_car(pace=a_pace(0.05), first_seq=1, last_seq=50, points=50)
        self.race.insights.tick("barber", START_MS + TICK_MS, [car])
        self.assertEqual(self.get("/api/insights/i1"), self.example("insight"))

    def test_error(self) -> None:
        """The error that is shown is the one that is answered."""
        self.assertIn(json.dumps(self.get("/api/laps?limit=ten"), separators=(",", ":")), self.text)

    def test_commands(self) -> None:
        """The commands that are shown are answered."""
        for path in re.findall(r"localhost:8081(/[^' ]*)", self.text):
            self.assertEqual(self.successResultOf(self.http.get(f"http://wall:8081{path}")).code, 200, path)
