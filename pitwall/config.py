"""
The settings: each an environment variable and an option of ``twistd pitwall``.

``BATCH_MS`` is ``--batch-ms``; the option wins, and an empty variable counts as
unset. A wrong setting ends the start with one sentence that names it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from twisted.python import usage

from pitwall import logs
from pitwall.addresses import Network, networks_in
from pitwall.keys.file import read
from pitwall.keys.key import parse_keys
from pitwall.model.channels import MAX_NAME
from pitwall.model.events import parse_events
from pitwall.trackfile import read_tracks
from pitwall.wire import signed
from pitwall.wire.filejoiner import WINDOW_ROWS


class SettingError(ValueError):
    """A setting that can't be used; the message names it, what it is and what was wanted."""


class Setting(NamedTuple):
    """A setting: its variable, default, how its text is read, and what it is for."""

    name: str
    default: Any
    read: Callable[[str, str], Any]
    help: str
    shown_default: str | None = None

    @property
    def option(self) -> str:
        """The name of the option, without dashes before it."""
        return self.name.lower().replace("_", "-")

    @property
    def default_text(self) -> str:
        """The default as the help shows it."""
        return self.shown_default if self.shown_default is not None else str(self.default)


def usable_cores() -> int:
    """The processor cores this process may run on."""
    return len(os.sched_getaffinity(0))


def default_workers() -> int:
    """One worker for each core but one, at most four, at least one."""
    return max(1, min(usable_cores() - 1, 4))


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise SettingError(f"{name} is {text}, wanted {low} to {high}")
        return value

    return read


def _number(low: float, high: float) -> Callable[[str, str], float]:
    def read(name: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise SettingError(f"{name} is {text}, wanted {low:g} to {high:g}")
        return value

    return read


def _text(name: str, text: str) -> str:
    return text


def _name(name: str, text: str) -> str:
    if len(text) > MAX_NAME or not text.isprintable():
        raise SettingError(f"{name} is {text}, wanted a name of at most {MAX_NAME} characters")
    return text


def _events(name: str, text: str) -> dict[str, str]:
    try:
        return parse_events(text)
    except ValueError:
        raise SettingError(f"{name} is {text}, wanted pairs such as I_R08_2025-11-02=barber") from None


def _switch(name: str, text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise SettingError(f"{name} is {text}, wanted on or off")
    return known[text.lower()]


def _path_of_websocket(name: str, text: str) -> str:
    taken = text in ("/", "/docs") or text.startswith(("/api", "/metrics", "/docs/"))
    if not text.startswith("/") or taken or not text.isascii() or any(c in text for c in " ?#"):
        raise SettingError(
            f"{name} is {text}, wanted a path such as /ws/realtime, not on /api, /metrics, /docs or / itself"
        )
    return text


def _file(name: str, text: str) -> str:
    path = Path(text).absolute()
    # Not Path.is_file, which raises for a directory that may not be entered.
    if not os.path.isfile(path) or not os.access(path, os.R_OK):
        raise SettingError(f"{name} is {text}, wanted a file that can be read")
    return str(path)


def _keys_file(name: str, text: str) -> str:
    return _parsed_file(name, text, parse_keys, "a file of `pitwall keys add`")


def _hmac_file(name: str, text: str) -> str:
    return _parsed_file(name, text, signed.parse_keys, "a file with a shared key a line")


def _parsed_file(name: str, text: str, parse: Callable[[bytes], Any], wanted: str) -> str:
    path = _file(name, text)
    try:
        parse(read(path))
    except ValueError as error:
        raise SettingError(f"{name} is {text}, wanted {wanted}: {error}") from None
    return path


def _track_file(name: str, text: str) -> str:
    path = _file(name, text)
    try:
        read_tracks(path)
    except ValueError as error:
        raise SettingError(f"{name} is {text}, wanted a track file: {error}") from None
    return path


def _directory(name: str, text: str) -> str:
    path = Path(text).absolute()
    if not os.path.isdir(path) or not os.access(path, os.W_OK):
        raise SettingError(f"{name} is {text}, wanted a directory that can be written to")
    return str(path)


def _origins(name: str, text: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        if origin not in ("*", "null") and not origin.startswith(("http://", "https://")):
            raise SettingError(f"{name} has {origin}, wanted origins such as https://wall.example.com, * or null")
    return origins


def _networks(name: str, text: str) -> tuple[Network, ...]:
    try:
        return networks_in(text)
    except ValueError:
        raise SettingError(f"{name} is {text}, wanted networks such as 10.0.0.0/8, 192.168.1.20") from None


def _log_format(name: str, text: str) -> str:
    if text.lower() not in logs.FORMATS:
        raise SettingError(f"{name} is {text}, wanted {' or '.join(logs.FORMATS)}")
    return text.lower()


def _url(name: str, text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise SettingError(f"{name} is {text}, wanted a URL such as http://localhost:9000")
    return text


_PORT = _whole(1, 65535)

SETTINGS = (
    Setting("HOST", "", _text, "address to listen on", "all IPv4 addresses"),
    Setting("PORT", 8081, _PORT, "TCP port of HTTP and WebSocket"),
    Setting("METRICS_PORT", None, _PORT, "TCP port that /metrics is on, and no other", "PORT, beside all else"),
    Setting("METRICS_HOST", None, _text, "address of METRICS_PORT", "HOST"),
    Setting("UDP_PORT", 20777, _PORT, "UDP port of telemetry"),
    Setting(
        "HTTP", None, _text, "endpoint of HTTP in place of HOST and PORT, as ssl:443:privateKey=…", "HOST and PORT"
    ),
    Setting("API_KEYS_FILE", None, _keys_file, "file with the keys of those who may read and send", "open to everyone"),
    Setting("UDP_HMAC_KEY_FILE", None, _hmac_file, "file with the shared key of signed datagrams", "none is signed"),
    Setting("TLS_CERT", None, _file, "certificate and chain (PEM), for HTTPS and WSS", "no TLS"),
    Setting("TLS_KEY", None, _file, "its private key (PEM)", "no TLS"),
    Setting("HSTS_SECONDS", 31_536_000, _whole(0, 1 << 31), "how long browsers are to insist on TLS [s], 0: not"),
    Setting("UDP_ALLOW", (), _networks, "networks that may send by UDP, by commas", "all"),
    Setting("UDP_RATE", None, _whole(1, 10_000_000), "datagrams of one address in a second", "any number"),
    Setting("UDP_BURST", None, _whole(1, 10_000_000), "how many of them may come at once", "as UDP_RATE"),
    Setting("WS_PATH", "/ws/realtime", _path_of_websocket, "path of the WebSocket"),
    Setting("RINGBUFFER_SIZE", 20000, _whole(100, 5_000_000), "points kept"),
    Setting("BATCH_MS", 600, _whole(20, 60_000), "aggregation tick [ms]"),
    Setting("FLUSH_MS", 8, _whole(1, 1000), "least time between telemetry messages [ms]"),
    Setting("FLUSH_SHARE", 0.12, _number(0.01, 1), "share of a core aimed at for telemetry messages"),
    Setting("LOSS_SECONDS", 0.5, _number(0.05, 60), "loss of pace whose lap is foretold [s]"),
    Setting("AGG_WORKERS", None, _whole(1, 64), "worker processes", "usable cores - 1, at most 4, at least 1"),
    Setting("MAX_WS_BUFFER", 2_000_000, _whole(65_536, 1 << 30), "unsent insights before a client is closed [bytes]"),
    Setting("WS_STALL_SECONDS", 30, _number(1, 3600), "time without progress before a client is closed [s]"),
    Setting("WS_DEFLATE", False, _switch, "on: compress for clients that offer it", "off"),
    Setting("MAX_CONNECTIONS", 5000, _whole(1, 1_000_000), "connections at a time, of HTTP and WebSocket"),
    Setting(
        "MAX_PER_ADDRESS",
        None,
        _whole(1, 1_000_000),
        "connections of one address at a time",
        "half of MAX_CONNECTIONS, at least 100",
    ),
    Setting("REQUEST_SECONDS", 15, _number(1, 3600), "time for a whole HTTP request, and idle [s]"),
    Setting("MAX_SUBSCRIPTIONS", 100, _whole(1, 10_000), "different subscriptions of theirs at a time"),
    Setting("ALLOWED_ORIGINS", (), _origins, "pages that may connect, by commas", "same host, localhost, 127.0.0.1"),
    Setting("MAX_BODY", 8 << 20, _whole(1024, 1 << 30), "largest HTTP body [bytes]"),
    Setting("MAX_INFLATED", 64 << 20, _whole(1024, 1 << 34), "largest text of lines in a gzip body, unpacked [bytes]"),
    Setting("FILE_WINDOW", WINDOW_ROWS, _whole(1000, 10_000_000), "rows of a file held to put them in order"),
    Setting("MAX_CARS", 256, _whole(1, 10_000), "cars followed at a time"),
    Setting("TRACK_SECTORS_PATH", None, _track_file, "track file (JSON)", "the packaged one"),
    Setting("TRACK", None, _name, "track of what does not say it", "none"),
    Setting("EVENT_TRACKS", {}, _events, "tracks of further meta_event names: EVENT=TRACK, by commas", "season 2025"),
    Setting("DEMO_DATA_PATH", None, _file, "file of points to replay in a loop (JSON)", "no replay"),
    Setting("S3_BUCKET", None, _text, "bucket with CSV objects to read", "no S3"),
    Setting("S3_PREFIX", "telemetry/", _text, "prefix of their keys"),
    Setting("S3_TRACK", None, _name, "track of objects whose rows and key do not say it", "as TRACK"),
    Setting("S3_POLL_SECONDS", 60, _number(1, 86_400), "time between looks at the bucket [s]"),
    Setting("S3_ENDPOINT_URL", None, _url, "another S3 service than AWS", "AWS"),
    Setting("S3_SQS_QUEUE_URL", None, _url, "SQS queue with the bucket's notifications", "polling alone"),
    Setting("AWS_REGION", "us-east-1", _text, "region of the bucket"),
    Setting("LOG_FORMAT", logs.TEXT, _log_format, "form of the log's lines: text or json"),
    Setting("STATE_DIR", None, _directory, "directory where S3 progress is kept over restarts", "not kept"),
)
#: The switch that takes no value as an option.
DEMO = Setting("DEMO", False, _switch, "on: race a simulated field of 20 cars", "off")


def read_settings(options: Mapping[str, str | None], environ: Mapping[str, str]) -> dict[str, Any]:
    """
    The value of each setting, by its variable's name.

    Args:
        options: what was given on the command line, by option; None where it was not.
        environ: the environment.

    Raises:
        SettingError: for the first setting that is wrong.
    """
    values: dict[str, Any] = {}
    for setting in (*SETTINGS, DEMO):
        text = options.get(setting.option)
        if text is None:
            text = environ.get(setting.name, "")
        text = text.strip()
        values[setting.name] = setting.read(setting.name, text) if text else setting.default
    for given, lacking in (("TLS_CERT", "TLS_KEY"), ("TLS_KEY", "TLS_CERT"), ("METRICS_HOST", "METRICS_PORT")):
        if values[given] is not None and values[lacking] is None:
            raise SettingError(f"{given} is {values[given]} without {lacking}, wanted both")
    if values["TLS_CERT"] is not None and values["HTTP"] is not None:
        raise SettingError(f"HTTP is {values['HTTP']} and TLS_CERT is {values['TLS_CERT']}, wanted one of them")
    if values["AGG_WORKERS"] is None:
        values["AGG_WORKERS"] = default_workers()
    return values


class Options(usage.Options):
    """The command line of ``twistd pitwall``."""

    synopsis = "[options]"
    longdesc = (
        "Serves race telemetry: UDP, HTTP and S3 in, a WebSocket out. Every option is also an environment "
        "variable (--batch-ms is BATCH_MS); the option wins, and an empty variable counts as unset."
    )
    optFlags = [["demo", None, f"{DEMO.help} (DEMO=1)"]]  # noqa: RUF012
    optParameters = [  # noqa: RUF012
        [setting.option, None, None, f"{setting.help} [default: {setting.default_text}]"] for setting in SETTINGS
    ]

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._environ = os.environ if environ is None else environ
        self.settings: dict[str, Any] = {}

    def postOptions(self) -> None:
        """Read and check every setting; a wrong one ends the start here, with one sentence."""
        given = {name: value for name, value in self.items() if name != "demo"}
        if self["demo"]:
            given["demo"] = "on"
        try:
            self.settings = read_settings(given, self._environ)
        except SettingError as error:
            raise SystemExit(f"pitwall: {error}") from None
