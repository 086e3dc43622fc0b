"""
What keeps strangers out: the keys, the shared key of datagrams, the certificate; each is read again when it changes.

Keys files are looked at once a second. On SIGHUP they and the certificate are read
in any case. What can't be read then leaves all as it was, and is a line in the log.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from pitwall.keys.file import Watched, exposed
from pitwall.keys.key import Keys, parse_keys
from pitwall.tls import Certificate, TLSError
from pitwall.wire import signed

#: What HOST is when it is every address of the machine.
_EVERYWHERE = frozenset(("", "0.0.0.0", "::", "*"))
_LOCAL = ("127.", "localhost", "::1")


class Guards(Service):
    """
    Holds the keys and the certificate that the settings name.

    Args:
        settings: as read.
        reactor: in whose turns a signal is answered.

    Attributes:
        keys: of the keys file; None without one.
        seal: of datagrams; None without a shared key.
        certificate: of TLS; None without one.
        changed: called when there are other keys.
        reloads: what else is read again on SIGHUP.

    Raises:
        TLSError: the certificate can't be used.
        ValueError: a keys file can't be.
    """

    log = Logger()

    def __init__(self, settings: dict[str, Any], reactor: Any) -> None:
        self._settings = settings
        self._reactor = reactor
        path, seal_path = settings["API_KEYS_FILE"], settings["UDP_HMAC_KEY_FILE"]
        self.keys: Watched[Keys] | None = None if path is None else Watched(path, parse_keys)
        self.seal: Watched[signed.Seal] | None = None if seal_path is None else Watched(seal_path, signed.parse_keys)
        certificate, key = settings["TLS_CERT"], settings["TLS_KEY"]
        self.certificate = None if certificate is None else Certificate(certificate, key)
        self.changed: Callable[[], object] = lambda: None
        self.reloads: list[Callable[[], object]] = []
        self._before: Any = None
        self._had_terminal = False

    @property
    def secure(self) -> bool:
        """Whether HTTP comes by TLS."""
        return self.certificate is not None or (self._settings["HTTP"] or "").startswith(("ssl:", "tls:"))

    def udp_seal(self) -> signed.Seal | None:
        """The seal of datagrams as it is now."""
        return None if self.seal is None else self.seal.value

    def startService(self) -> None:
        """Say who may do what, and answer SIGHUP."""
        super().startService()
        self._say_who_may()
        self._before = signal.signal(signal.SIGHUP, self._hung_up)
        # Whoever has it ignored, as by nohup, wants the server to outlive the terminal.
        self._had_terminal = self._before != signal.SIG_IGN and _has_terminal()

    def stopService(self) -> None:
        """Leave SIGHUP as it was."""
        super().stopService()
        signal.signal(signal.SIGHUP, self._before)

    def look(self, anyway: bool = False) -> None:
        """Read what has changed; to be called every second. ``anyway``: read all of it."""
        if self._read("API_KEYS_FILE", self.keys, anyway):
            assert self.keys is not None
            self.log.info("API_KEYS_FILE read: {count} keys", count=len(self.keys.value))
            self.changed()
        if self._read("UDP_HMAC_KEY_FILE", self.seal, anyway):
            self.log.info("UDP_HMAC_KEY_FILE read")

    def reload(self) -> None:
        """Read all of it, the certificate too."""
        if not (self.keys or self.seal or self.certificate or self.reloads):
            self.log.info("SIGHUP: there are no keys, no certificate and no track file to read again")
        self.look(anyway=True)
        if self.certificate is not None:
            try:
                self.certificate.reload()
            except TLSError as error:
                self.log.error("{error}; the last certificate stays", error=str(error))
            else:
                self.log.info("TLS_CERT and TLS_KEY read, for new connections")
        for reload in self.reloads:
            reload()

    def _read(self, setting: str, watched: Watched[Any] | None, anyway: bool) -> bool:
        if watched is None:
            return False
        try:
            return watched.look(anyway)
        except ValueError as error:
            self.log.error(
                "{setting} is {path}: {error}; what it said before holds",
                setting=setting,
                path=watched.path,
                error=str(error),
            )
            return False

    def _hung_up(self, *_: Any) -> None:
        """SIGHUP: read all again, unless it is the terminal that has gone, with whoever started the server in it."""
        if self._had_terminal and not _has_terminal():
            self._had_terminal = False  # it may be told twice, by the shell as well
            self._reactor.callFromThread(self._reactor.stop)
        else:
            self._reactor.callFromThread(self._reload_safely)

    def _reload_safely(self) -> None:
        try:
            self.reload()
        except Exception:
            self.log.failure("the settings could not be read again")

    def _say_who_may(self) -> None:
        settings = self._settings
        everywhere, local = _reach(settings)
        if settings["HTTP"] is None:
            host = "localhost" if everywhere else settings["HOST"]
            self.log.info(
                "the dashboard is at {scheme}://{host}:{port}/, for those who write programs there is /docs",
                scheme="https" if self.secure else "http",
                host=f"[{host}]" if ":" in host else host,
                port=settings["PORT"],
            )
        if self.keys is None:
            if everywhere:
                self.log.warn("no API_KEYS_FILE: whoever reaches any address of this machine may read, and send points")
            else:
                self.log.info("no API_KEYS_FILE: whoever reaches the port may read, and send points")
        else:
            self.log.info("API_KEYS_FILE: {count} keys", count=len(self.keys.value))
            if not self.secure and not local:
                self.log.warn("keys without TLS: whoever sees the network sees them")
            self._say_where_metrics_are()
            if self.seal is None:
                self.log.info("no UDP_HMAC_KEY_FILE: whoever reaches UDP_PORT may send points")
        for setting, secret in (("API_KEYS_FILE", False), ("UDP_HMAC_KEY_FILE", True), ("TLS_KEY", True)):
            how = settings[setting] and exposed(settings[setting], secret)
            if how:
                self.log.warn("{setting} is {path}: {how}", setting=setting, path=settings[setting], how=how)

    def _say_where_metrics_are(self) -> None:
        """METRICS_PORT asks for no key, and knows no TLS."""
        settings = self._settings
        host = settings["HOST"] if settings["METRICS_HOST"] is None else settings["METRICS_HOST"]
        if settings["METRICS_PORT"] is not None and not host.startswith(_LOCAL):
            self.log.warn(
                "METRICS_PORT asks for no key, and is at {host}; METRICS_HOST=127.0.0.1 keeps it to this machine",
                host="any address of this machine" if host in _EVERYWHERE else host,
            )


def _reach(settings: dict[str, Any]) -> tuple[bool, bool]:
    """Whether HTTP can be reached by every address of the machine, and whether by none but its own."""
    endpoint = settings["HTTP"]
    if endpoint is None:
        host = settings["HOST"]
        return host in _EVERYWHERE, host.startswith(_LOCAL)
    if endpoint.startswith("unix:"):
        return False, True
    interface = endpoint.partition("interface=")[2].replace("\\:", ":").partition(":")[0]
    return interface in _EVERYWHERE, interface.startswith(_LOCAL)


def _has_terminal() -> bool:
    """Whether this process has a terminal that it would be stopped from."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
