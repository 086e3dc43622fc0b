"""The Dockerfile, as far as it can be judged without building it; test_image builds it."""

import re
from configparser import ConfigParser

from twisted.trial.unittest import SynchronousTestCase

from tests.packaging.shipping import ROOT, need, run
from tests.packaging.test_manifests import manifest


class DockerfileTests(SynchronousTestCase):
    """The recipe of the image."""

    def test_lint(self) -> None:
        """The linter, hadolint, finds nothing to say about it."""
        self.assertEqual(run(need("hadolint"), ROOT / "Dockerfile"), "")

    def test_same_user_as_in_kubernetes(self) -> None:
        """The image runs as a numeric user, which `runAsNonRoot` can check, and the manifests name the same one."""
        users = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        context = manifest("deployment.yaml")["spec"]["template"]["spec"]["securityContext"]
        self.assertEqual(users, [(str(context["runAsUser"]), str(context["runAsGroup"]))])

    def test_one_version(self) -> None:
        """The deployment asks for the package's version, and the build line in the Dockerfile tags that one."""
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg")
        name = f"pitwall:{setup['metadata']['version']}"
        (container,) = manifest("deployment.yaml")["spec"]["template"]["spec"]["containers"]
        self.assertEqual(container["image"], name)
        self.assertIn(f"docker build --tag {name} .", (ROOT / "Dockerfile").read_text())
