"""An S3 service of our own on the loopback: moto's server in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

#: moto's command, beside the Python the tests run under.
MOTO_SERVER = Path(sys.executable).with_name("moto_server")
#: What makes boto3 content without an account, and keeps it from looking for one or for a proxy.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "NO_PROXY": "127.0.0.1",
}
_UP_S = 30.0


def missing() -> str | None:
    """Why there can be no S3 service here; None where there can."""
    return None if MOTO_SERVER.exists() else "needs moto"


class S3Server:
    """
    A running S3 service with one empty bucket, ``race``.

    Args:
        port: a free one.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, with nothing in it but the bucket."""
        self._process = subprocess.Popen(
            [sys.executable, MOTO_SERVER, "-H", "127.0.0.1", "-p", str(self._port)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        end = time.monotonic() + _UP_S
        while time.monotonic() < end:
            with suppress(OSError), urlopen(f"{self.url}/moto-api/", timeout=5):
                break
            time.sleep(0.05)
        else:
            self.end()
            raise AssertionError(f"no S3 service within {_UP_S} s")
        self.client().create_bucket(Bucket="race")

    def client(self) -> Any:
        """A client of it."""
        from pitwall.ingest.s3 import s3_client

        return s3_client("us-east-1", self.url)

    def put(self, key: str, content: bytes | str, **headers: str) -> None:
        """Write an object into the bucket."""
        body = content.encode() if isinstance(content, str) else content
        self.client().put_object(Bucket="race", Key=key, Body=body, **headers)

    def end(self) -> None:
        """End it; what was in it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def close(self) -> None:
        """End it for good."""
        self.end()
        self._log.close()
