"""
The health check of the image: ``python3 -P -m pitwall.ready`` ends with status 0 when this machine's server is ready.

It finds the server by the same environment as the server its settings, and imports nothing of it: a check runs every
few seconds, beside the race.
"""

from __future__ import annotations

import http.client
import ssl
import sys
from collections.abc import Mapping
from os import environ

#: The longest the server may take to answer; the image gives the check 5 s in all.
TIMEOUT_S = 4


def main(settings: Mapping[str, str] = environ) -> int:
    """
    Ask ``/api/ready`` at 127.0.0.1; 0 for an answer of 200, 1 for any other and for none.

    By HTTPS where there is a certificate, and whatever that certificate says: it names the server as clients know it,
    not 127.0.0.1. No proxy is asked, though many container hosts put one into the environment.

    Args:
        settings: ``PORT`` and ``TLS_CERT``, as the server has them; empty ones count as unset.
    """
    port = int(settings.get("PORT", "").strip() or 8081)
    door = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    if settings.get("TLS_CERT", "").strip():
        anyone = ssl.create_default_context()
        anyone.check_hostname = False
        anyone.verify_mode = ssl.CERT_NONE
        door = http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_S, context=anyone)
    try:
        door.request("GET", "/api/ready")
        answer = door.getresponse()
        said = answer.read(1000)
    except (OSError, http.client.HTTPException) as error:
        print(f"127.0.0.1 port {port}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        door.close()
    print(answer.status, said.decode(errors="replace"))  # noqa: T201
    return int(answer.status != 200)


if __name__ == "__main__":
    sys.exit(main())
