"""What `kubectl apply -k` would send to a cluster, rendered by kubectl itself."""

from functools import cache
from typing import Any

import yaml  # type: ignore[import-untyped]
from twisted.trial.unittest import SynchronousTestCase

from pitwall.config import SETTINGS
from tests.packaging.shipping import ROOT, need, new_directory, run
from tests.packaging.test_manifests import manifest

BASE, SECURE, MONITORING = "k8s/base", "k8s/overlays/secure", "k8s/monitoring"
#: Kinds of volumes that the Pod Security Standard `restricted` allows.
ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


@cache
def rendered(directory: str) -> str:
    """The objects of a kustomization, as YAML."""
    return run(need("kubectl"), "kustomize", ROOT / directory)


def objects(directory: str) -> dict[str, dict[str, Any]]:
    """The objects of a kustomization, by their kind."""
    return {each["kind"]: each for each in yaml.safe_load_all(rendered(directory))}


def pod(directory: str) -> dict[str, Any]:
    """The specification of the pod."""
    found: dict[str, Any] = objects(directory)["Deployment"]["spec"]["template"]["spec"]
    return found


class RenderedTests(SynchronousTestCase):
    """Base and overlays."""

    def test_schema(self) -> None:
        """Whatever is Kubernetes' own in them passes its strict schema."""
        tool = need("kubernetes-validate")
        for directory, kinds in (
            (BASE, {"deployment", "networkpolicy", "service"}),
            (SECURE, {"deployment", "namespace", "networkpolicy", "service"}),
            (MONITORING, {"configmap"}),
        ):
            path = new_directory() / "rendered.yaml"
            path.write_text(rendered(directory))
            lines = run(tool, "--strict", "--no-warn", path).splitlines()
            self.assertEqual(len(lines), len(kinds), lines)
            for kind in kinds:
                self.assertTrue([line for line in lines if f"passed for resource {kind}/pitwall" in line], kind)

    def test_pod_security_restricted(self) -> None:
        """A namespace that enforces the Pod Security Standard `restricted` admits the pod of either."""
        for directory in (BASE, SECURE):
            spec = pod(directory)
            self.assertNotIn("initContainers", spec)
            (container,) = spec["containers"]
            for context in (spec["securityContext"], container["securityContext"]):
                self.assertIs(context["runAsNonRoot"], True)
                self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertGreater(context["runAsUser"], 0)
            own = container["securityContext"]
            self.assertIs(own["allowPrivilegeEscalation"], False)
            self.assertIs(own["privileged"], False)
            self.assertEqual(own["capabilities"], {"drop": ["ALL"]})
            for forbidden in ("hostNetwork", "hostPID", "hostIPC"):
                self.assertNotIn(forbidden, spec)
            self.assertFalse([port for port in container["ports"] if "hostPort" in port])
            for volume in spec["volumes"]:
                self.assertLessEqual(set(volume) - {"name"}, ALLOWED_VOLUMES)

    def test_mounts(self) -> None:
        """The root is read-only, and every volume of the pod is mounted, once."""
        for directory in (BASE, SECURE):
            (container,) = pod(directory)["containers"]
            self.assertIs(container["securityContext"]["readOnlyRootFilesystem"], True)
            volumes = [volume["name"] for volume in pod(directory)["volumes"]]
            self.assertCountEqual(volumes, [mount["name"] for mount in container["volumeMounts"]])


class NetworkPolicyTests(SynchronousTestCase):
    """Who may speak to the pod, and to whom it may."""

    def setUp(self) -> None:
        """The policy, and the ports of the container by their names."""
        self.policy = objects(BASE)["NetworkPolicy"]["spec"]
        (container,) = pod(BASE)["containers"]
        self.ports = {(port["name"], port["protocol"]) for port in container["ports"]}

    def test_of_the_pod(self) -> None:
        """It is about the pod, in both directions."""
        labels = manifest("deployment.yaml")["spec"]["template"]["metadata"]["labels"]
        self.assertLessEqual(self.policy["podSelector"]["matchLabels"].items(), labels.items())
        self.assertEqual(set(self.policy["policyTypes"]), {"Ingress", "Egress"})

    def test_ingress(self) -> None:
        """Every port of the container can be reached: those of the Service by all, the metrics by Prometheus alone."""
        of_service = {(port["targetPort"], port["protocol"]) for port in objects(BASE)["Service"]["spec"]["ports"]}
        everyone, prometheus = self.policy["ingress"]
        self.assertNotIn("from", everyone)
        self.assertEqual({(port["port"], port["protocol"]) for port in everyone["ports"]}, of_service)
        self.assertEqual({(port["port"], port["protocol"]) for port in prometheus["ports"]}, self.ports - of_service)
        (source,) = prometheus["from"]
        self.assertEqual(source, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}})

    def test_egress(self) -> None:
        """It may ask for names, in the cluster alone, and speak HTTPS."""
        names, https = self.policy["egress"]
        self.assertEqual({(port["port"], port["protocol"]) for port in names["ports"]}, {(53, "UDP"), (53, "TCP")})
        self.assertTrue(names["to"])
        self.assertEqual(https, {"ports": [{"port": 443, "protocol": "TCP"}]})


class SecureTests(SynchronousTestCase):
    """The overlay with TLS and keys."""

    def setUp(self) -> None:
        """Its container beside that of the base."""
        (self.container,) = pod(SECURE)["containers"]
        (self.base,) = pod(BASE)["containers"]

    def test_settings(self) -> None:
        """Keys, certificate and private key are files in mounted Secrets; what the base sets stays."""
        env = {variable["name"]: variable["value"] for variable in self.container["env"]}
        for variable in self.base["env"]:
            self.assertEqual(env.pop(variable["name"]), variable["value"])
        self.assertEqual(set(env), {"API_KEYS_FILE", "TLS_CERT", "TLS_KEY"})
        self.assertLessEqual(set(env), {setting.name for setting in SETTINGS})
        secrets = {
            volume["name"]: volume["secret"]["secretName"] for volume in pod(SECURE)["volumes"] if "secret" in volume
        }
        there = {
            f"{mount['mountPath']}/{key}"
            for mount in self.container["volumeMounts"]
            if mount["name"] in secrets and mount["readOnly"] and "subPath" not in mount
            for key in {"pitwall-keys": ("keys",), "pitwall-tls": ("tls.crt", "tls.key")}[secrets[mount["name"]]]
        }
        self.assertEqual(set(env.values()), there)

    def test_secrets_are_the_groups(self) -> None:
        """Their files are for root and the pod's group, and for nobody to write."""
        self.assertEqual(pod(SECURE)["securityContext"]["fsGroup"], pod(SECURE)["securityContext"]["runAsGroup"])
        modes = [volume["secret"]["defaultMode"] for volume in pod(SECURE)["volumes"] if "secret" in volume]
        self.assertEqual(modes, [0o440, 0o440])

    def test_probes(self) -> None:
        """The probes speak TLS, and are else as they were."""
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            self.assertEqual(self.container[probe]["httpGet"].pop("scheme"), "HTTPS")
            self.assertEqual(self.container[probe], self.base[probe])

    def test_namespace(self) -> None:
        """All of it goes to a namespace that enforces `restricted`."""
        namespace = objects(SECURE).pop("Namespace")
        name = namespace["metadata"]["name"]
        self.assertEqual(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted")
        for kind, each in objects(SECURE).items():
            self.assertEqual(each["metadata"].get("namespace", name), name, kind)
        self.assertEqual(objects(SECURE)["Deployment"]["metadata"]["namespace"], name)
