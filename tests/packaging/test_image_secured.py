"""The image as k8s/overlays/secure runs it: with TLS and keys, from files of which only the pod's group may read."""

import http.client
import json
import os
import sys
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.certificates import trusting, write_certificate
from tests.packaging.shipping import ROOT, Server, new_directory, run
from tests.packaging.test_image import container, image_config, in_image, start

PITWALL = sys.executable, "-c", "from pitwall.cli import main; main()"


class SecuredTests(SynchronousTestCase):
    """TLS and keys, in the image."""

    def setUp(self) -> None:
        """A server with both, that has become ready by the image's own health check."""
        container()
        secrets = new_directory()
        certificate, key = write_certificate(secrets)
        said = run(*PITWALL, "keys", "add", "wall", "--scope", "read", "--file", secrets / "keys", cwd=ROOT)
        self.token = said.splitlines()[0]
        self.trusted = trusting(certificate)
        group = int(image_config()["User"].split(":")[1])
        for path in (secrets, *secrets.iterdir()):
            os.chown(path, 0, group)
            path.chmod(0o440 if path.is_file() else 0o550)
        self.server = start(
            self,
            "API_KEYS_FILE=/mnt/keys",
            f"TLS_CERT=/mnt/{certificate.name}",
            f"TLS_KEY=/mnt/{key.name}",
            secrets=secrets,
        )
        self.await_ready(self.server)

    def await_ready(self, server: Server) -> None:
        """
        Run the health check until it passes.

        Raises:
            AssertionError: the server ended, or the time is over; what the check said is in the message.
        """
        check = "env", f"PORT={server.port}", "TLS_CERT=/mnt/cert.pem", *image_config()["Healthcheck"]["Test"][1:]
        deadline = time.monotonic() + 60
        while True:
            try:
                self.assertIn('"ok":true', in_image(*check))
            except AssertionError as error:
                if time.monotonic() > deadline or server.process.poll() is not None:
                    raise AssertionError(f"{error}\nthe server's log:\n{server.log()[-4000:]}") from None
                time.sleep(0.5)
            else:
                return

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer, by TLS."""
        door = http.client.HTTPSConnection("127.0.0.1", self.server.port, timeout=5, context=self.trusted)
        self.addCleanup(door.close)
        door.request("GET", path, headers=headers)
        answer = door.getresponse()
        return answer.status, json.loads(answer.read())

    def test_tls_and_keys(self) -> None:
        """It is ready by HTTPS, answers who has a key, and nobody else; what it warns of is not the files."""
        self.assertEqual(self.get("/api/cars")[0], 401)
        self.assertEqual(self.get("/api/cars", Authorization=f"Bearer {self.token}"), (200, {"cars": []}))
        self.assertEqual(self.get("/api/ready")[0], 200)
        self.assertNotRegex(self.server.log(), r"(?i)others may|traceback")
