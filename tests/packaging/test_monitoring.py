"""The alert rules and the dashboard: of figures that the server has, in words that Prometheus and Grafana take."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import promql_parser
import yaml  # type: ignore[import-untyped]
from twisted.trial.unittest import SynchronousTestCase

from pitwall.config import SETTINGS
from pitwall.serve.families import ENDINGS, FAMILIES, OUTCOMES, STATES, Family
from pitwall.serve.seats import LIMITS
from tests.packaging.shipping import ROOT
from tests.packaging.test_manifests import manifest

MONITORING = ROOT / "k8s/monitoring"
#: What Prometheus puts beside our labels, and the figures of the process that are looked at.
TARGET = {"instance", "job", "namespace", "pod"}
OF_PROCESS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
}
#: The values that labels may have, where something asks for one.
VALUES = {
    "state": set(STATES),
    "outcome": {*OUTCOMES, "sample", "duplicate", "refused"},
    "reason": set(ENDINGS.values()),
    "limit": set(LIMITS),
}


def rules() -> list[dict[str, Any]]:
    """Every alert."""
    with (MONITORING / "rules.yaml").open() as text:
        return [rule for group in yaml.safe_load(text)["spec"]["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    found: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
    return found


def queries() -> dict[str, str]:
    """Every expression of the rules and the dashboard, by what it is of; Grafana's own variables replaced."""
    found = {f"alert {rule['alert']}": rule["expr"] for rule in rules()}
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            found[f"panel {panel['title']} {target['refId']}"] = target["expr"].replace("$__rate_interval", "5m")
    return found


def selectors(expression: str) -> list[Any]:
    """The selections of metrics in an expression."""
    found: list[Any] = []

    def look(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)

    promql_parser.walk(promql_parser.parse(expression), look)
    return found


def series(family: Family) -> dict[str, set[str]]:
    """What a metric is asked for by, with the labels it has."""
    labels = set(family.labels)
    if family.kind != "histogram":
        return {family.name: labels}
    return {f"{family.name}_bucket": {*labels, "le"}, f"{family.name}_count": labels, f"{family.name}_sum": labels}


class QueryTests(SynchronousTestCase):
    """What the rules and the dashboard ask for."""

    def setUp(self) -> None:
        """What the server has."""
        self.exported = {name: labels for family in FAMILIES for name, labels in series(family).items()}
        self.exported |= {name: set() for name in OF_PROCESS}
        self.asked = {what: selectors(expression) for what, expression in queries().items()}

    def test_understood(self) -> None:
        """Every expression is PromQL, and asks for something."""
        self.assertGreater(len(self.asked), 60)
        for what, found in self.asked.items():
            self.assertTrue(found, what)

    def test_exported(self) -> None:
        """Each asks for metrics that the server exports, by labels and values that these have."""
        for what, found in self.asked.items():
            for selector in found:
                self.assertIn(selector.name, self.exported, what)
                for matcher in selector.matchers.matchers:
                    self.assertIn(matcher.name, self.exported[selector.name] | TARGET, what)
                    if matcher.name not in TARGET:
                        self.assertLessEqual(set(matcher.value.split("|")), VALUES[matcher.name], what)

    def test_grouped(self) -> None:
        """What is grouped by, and shown, are labels that the metrics have."""
        shown = {
            f"panel {panel['title']} {target['refId']}": target["legendFormat"]
            for panel in dashboard()["panels"]
            for target in panel.get("targets", ())
        }
        shown |= {f"alert {rule['alert']}": json.dumps(rule["annotations"]) for rule in rules()}
        for what, expression in queries().items():
            has = TARGET.union(*(self.exported[selector.name] for selector in self.asked[what]))
            grouped = {label for labels in re.findall(r"\bby \(([^)]*)\)", expression) for label in labels.split(", ")}
            self.assertLessEqual(grouped - {""}, has, what)
            named = set(re.findall(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}", shown[what]))
            aggregated = re.search(r"\b(sum|min|max|count|histogram_quantile)\b", expression) is not None
            self.assertLessEqual(named, grouped if aggregated else has, what)

    def test_counters(self) -> None:
        """A counter is looked at by its growth, anything else never is."""
        kinds = {name: family.kind for family in FAMILIES for name in series(family)}
        kinds |= {name: "counter" if name.endswith("_total") else "gauge" for name in OF_PROCESS}
        for what, expression in queries().items():
            grown = set(re.findall(r"\b(?:rate|increase)\((\w+)", expression))
            named = {selector.name for selector in self.asked[what]}
            self.assertEqual(grown, {name for name in named if kinds[name] != "gauge"}, what)

    def test_nothing_unseen(self) -> None:
        """Every metric is on the dashboard."""
        seen = {selector.name for what, found in self.asked.items() if what.startswith("panel") for selector in found}
        for family in FAMILIES:
            self.assertTrue(seen & set(series(family)), family.name)


class RuleTests(SynchronousTestCase):
    """The alerts."""

    def test_complete(self) -> None:
        """Each has a name of its own, a severity, and says what is wrong and what to do."""
        names = [rule["alert"] for rule in rules()]
        self.assertEqual(len(set(names)), len(names))
        for rule in rules():
            self.assertLessEqual(set(rule), {"alert", "expr", "for", "labels", "annotations"})
            self.assertRegex(rule["alert"], r"^PitWall[A-Z]\w+$")
            self.assertIn(rule["labels"]["severity"], ("critical", "warning", "info"))
            self.assertEqual(set(rule["annotations"]), {"summary", "description"})
            if "for" in rule:
                self.assertGreater(promql_parser.parse_duration(rule["for"]), timedelta(0))

    def test_settings(self) -> None:
        """The settings that they name are settings of the server."""
        named = set(re.findall(r"\b[A-Z]+(?:_[A-Z0-9]+)+\b", (MONITORING / "rules.yaml").read_text()))
        self.assertLessEqual(named, {setting.name for setting in SETTINGS})
        self.assertIn("AGG_WORKERS", named)


class DeliveredTests(SynchronousTestCase):
    """How they come to Prometheus and Grafana."""

    def monitoring(self, name: str) -> Any:
        """A file, read."""
        return yaml.safe_load((MONITORING / name).read_text())

    def test_kustomization_takes_all(self) -> None:
        """`kubectl apply -k` brings every file there is."""
        told = self.monitoring("kustomization.yaml")
        files = {name for each in told["configMapGenerator"] for name in each["files"]}
        here = {path.name for path in MONITORING.iterdir()} - {"kustomization.yaml"}
        self.assertEqual({*told["resources"], *files}, here)

    def test_finds_the_pod(self) -> None:
        """The monitor selects the labels that the pod carries, and a port that its container has."""
        monitor = self.monitoring("podmonitor.yaml")["spec"]
        template = manifest("deployment.yaml")["spec"]["template"]
        self.assertLessEqual(monitor["selector"]["matchLabels"].items(), template["metadata"]["labels"].items())
        (container,) = template["spec"]["containers"]
        (endpoint,) = monitor["podMetricsEndpoints"]
        self.assertIn(endpoint["port"], {port["name"] for port in container["ports"]})
        self.assertEqual(endpoint["path"], "/metrics")

    def test_any_namespace(self) -> None:
        """No namespace is written into them."""
        for name in ("podmonitor.yaml", "rules.yaml"):
            self.assertNotIn("namespace", self.monitoring(name)["metadata"])

    def test_dashboard(self) -> None:
        """Panels have numbers of their own, do not lie upon one another, and take the data source that is chosen."""
        panels = dashboard()["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        cells: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            self.assertLessEqual(at["x"] + at["w"], 24)
            mine = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(cells & mine, panel["title"])
            cells |= mine
            if panel["type"] != "row":
                for each in (panel, *panel["targets"]):
                    self.assertEqual(each["datasource"], {"type": "prometheus", "uid": "${datasource}"})
        self.assertEqual([each["name"] for each in dashboard()["templating"]["list"]], ["datasource", "instance"])
