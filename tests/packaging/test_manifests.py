"""The Kubernetes manifests, as they stand in their files: right for this server. test_kustomize renders them."""

from typing import Any

import yaml  # type: ignore[import-untyped]
from twisted.trial.unittest import SynchronousTestCase

from pitwall.config import SETTINGS, read_settings
from pitwall.serve.rest import RestAPI
from tests.packaging.shipping import ROOT, need, run

MANIFESTS = ROOT / "k8s/base"
FILES = "deployment.yaml", "networkpolicy.yaml", "service.yaml"


def manifest(name: str) -> dict[str, Any]:
    """The one object of a manifest file; a second one in it would be an error here."""
    with (MANIFESTS / name).open() as text:
        loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


class SchemaTests(SynchronousTestCase):
    """A cluster accepts the manifests."""

    def test_each_file_stands_alone(self) -> None:
        """Each file passes the strict schema of Kubernetes: no misspelt or misplaced field."""
        tool = need("kubernetes-validate")
        for name in FILES:
            self.assertIn("passed", run(tool, "--strict", MANIFESTS / name))

    def test_any_namespace(self) -> None:
        """No namespace is written into them, so they go where the user's context points."""
        for name in FILES:
            self.assertNotIn("namespace", manifest(name)["metadata"])

    def test_kustomization_takes_all(self) -> None:
        """`kubectl apply -k` brings every manifest there is."""
        others = {path.name for path in MANIFESTS.glob("*.yaml")} - {"kustomization.yaml"}
        self.assertEqual(others, set(FILES))
        self.assertEqual(set(manifest("kustomization.yaml")["resources"]), others)


class ServiceTests(SynchronousTestCase):
    """The Service leads the cars and the screens to the pod."""

    def setUp(self) -> None:
        """Both manifests, read."""
        self.template = manifest("deployment.yaml")["spec"]["template"]
        self.service = manifest("service.yaml")["spec"]

    def test_finds_the_pod(self) -> None:
        """Service and Deployment both select the labels that the pod carries."""
        labels = self.template["metadata"]["labels"].items()
        self.assertLessEqual(self.service["selector"].items(), labels)
        self.assertLessEqual(manifest("deployment.yaml")["spec"]["selector"]["matchLabels"].items(), labels)

    def test_both_doors(self) -> None:
        """The server's two ports, under the same numbers, each ending at the container's port of that name."""
        (container,) = self.template["spec"]["containers"]
        inside = {(port["name"], port["protocol"]): port["containerPort"] for port in container["ports"]}
        reached = {
            (port["port"], port["protocol"]): inside[port["targetPort"], port["protocol"]]
            for port in self.service["ports"]
        }
        tcp, udp = read_settings({}, {})["PORT"], read_settings({}, {})["UDP_PORT"]
        self.assertEqual(reached, {(tcp, "TCP"): tcp, (udp, "UDP"): udp})


class PodTests(SynchronousTestCase):
    """The pod is one PitWall, kept on a short leash."""

    def setUp(self) -> None:
        """The deployment, read."""
        self.deployment = manifest("deployment.yaml")["spec"]
        self.pod = self.deployment["template"]["spec"]
        (self.container,) = self.pod["containers"]

    def test_never_two_at_once(self) -> None:
        """A new version waits until the old one is gone, for two would each know half of the race."""
        self.assertEqual((self.deployment["replicas"], self.deployment["strategy"]), (1, {"type": "Recreate"}))

    def test_read_only_root(self) -> None:
        """Only /data and /tmp can be written, and they are volumes of the pod."""
        self.assertIs(self.container["securityContext"]["readOnlyRootFilesystem"], True)
        volumes = {volume["name"] for volume in self.pod["volumes"]}
        mounts = {mount["mountPath"]: mount["name"] for mount in self.container["volumeMounts"]}
        self.assertEqual(set(mounts), {"/data", "/tmp"})
        self.assertEqual(set(mounts.values()), volumes)

    def test_no_cluster_credentials(self) -> None:
        """The server never speaks to the cluster, so it is given no token for it."""
        self.assertIs(self.pod["automountServiceAccountToken"], False)

    def test_settings(self) -> None:
        """What it sets are settings of the server; the workers leave one core of the CPU limit to the server itself."""
        env = {variable["name"]: variable["value"] for variable in self.container["env"]}
        self.assertLessEqual(set(env), {setting.name for setting in SETTINGS})
        cores = int(self.container["resources"]["limits"]["cpu"])
        self.assertEqual(read_settings({}, env)["AGG_WORKERS"], cores - 1)

    def test_resources(self) -> None:
        """CPU and memory have a request and a limit."""
        self.assertEqual(
            {kind: set(amounts) for kind, amounts in self.container["resources"].items()},
            {"requests": {"cpu", "memory"}, "limits": {"cpu", "memory"}},
        )

    def test_probes(self) -> None:
        """Whether it is up and ready is asked of /api/ready, whether it lives of /api/live, on the HTTP port."""
        for probe, path in (("startupProbe", "ready"), ("readinessProbe", "ready"), ("livenessProbe", "live")):
            self.assertEqual(self.container[probe]["httpGet"], {"path": f"/api/{path}", "port": "http"})
            self.assertIn(f"/api/{path}", {rule.rule for rule in RestAPI.app.url_map.iter_rules()})

    def test_metrics_port(self) -> None:
        """The metrics have a port of the container, under its name, that no Service leads to."""
        env = {variable["name"]: variable["value"] for variable in self.container["env"]}
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        self.assertEqual(read_settings({}, env)["METRICS_PORT"], ports["metrics"])
        self.assertNotIn("metrics", {port["targetPort"] for port in manifest("service.yaml")["spec"]["ports"]})

    def test_a_worker_may_be_replaced(self) -> None:
        """Five seconds without a worker do not take the traffic away, nor does a short halt restart the server."""
        for probe, seconds in (("readinessProbe", 10), ("livenessProbe", 45)):
            patience = self.container[probe]["periodSeconds"] * (self.container[probe]["failureThreshold"] - 1)
            self.assertGreaterEqual(patience, seconds, probe)
