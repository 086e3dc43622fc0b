"""The settings: what they default to, who wins, and what is said when one is wrong."""

from __future__ import annotations

import os
from typing import Any

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from pitwall import config
from pitwall.config import DEMO, SETTINGS, Options, SettingError, read_settings
from pitwall.model import track

#: A file that is there, but holds no tracks.
A_FILE = os.path.abspath(__file__)
A_TRACK_FILE = os.path.join(os.path.dirname(track.__file__), "tracks.json")

DEFAULTS = {
    "HOST": "",
    "PORT": 8081,
    "UDP_PORT": 20777,
    "WS_PATH": "/ws/realtime",
    "RINGBUFFER_SIZE": 20000,
    "BATCH_MS": 600,
    "MAX_WS_BUFFER": 2_000_000,
    "FLUSH_MS": 8,
    "FLUSH_SHARE": 0.12,
    "WS_STALL_SECONDS": 30,
    "DEMO_DATA_PATH": None,
    "DEMO": False,
    "TRACK_SECTORS_PATH": None,
    "S3_BUCKET": None,
    "S3_PREFIX": "telemetry/",
    "AWS_REGION": "us-east-1",
    "S3_ENDPOINT_URL": None,
    "S3_SQS_QUEUE_URL": None,
    "S3_POLL_SECONDS": 60,
    "STATE_DIR": None,
    "MAX_BODY": 8_388_608,
    "ALLOWED_ORIGINS": (),
    "WS_DEFLATE": False,
}

ON_TAKEN_PATH = "wanted a path such as /ws/realtime, not on /api, /metrics, /docs or / itself"

#: A value that is wrong, and what is said of it after "NAME is VALUE, ".
WRONG = (
    *(("LOSS_SECONDS", value, "wanted 0.05 to 60") for value in ("0", "0.01", "61", "-1", "nan", "half")),
    *(
        (name, value, "wanted 1 to 65535")
        for name in ("PORT", "METRICS_PORT", "UDP_PORT")
        for value in ("0", "70000", "-1", "http", "80.5")
    ),
    *(
        ("WS_PATH", path, ON_TAKEN_PATH)
        for path in ("ws", "/", "/api", "/api/ws", "/metrics", "/docs", "/docs/x", "/a b")
    ),
    *(("WS_PATH", path, ON_TAKEN_PATH) for path in ("/ws?x=1", "/ws#x", "/wß", "ws://host/ws")),
    ("UDP_ALLOW", "10.0.0.0/33", "wanted networks such as 10.0.0.0/8, 192.168.1.20"),
    ("UDP_ALLOW", "10.0.0.0/8,car", "wanted networks such as 10.0.0.0/8, 192.168.1.20"),
    ("UDP_RATE", "0", "wanted 1 to 10000000"),
    ("UDP_BURST", "-1", "wanted 1 to 10000000"),
    ("RINGBUFFER_SIZE", "99", "wanted 100 to 5000000"),
    ("BATCH_MS", "abc", "wanted 20 to 60000"),
    ("BATCH_MS", "19", "wanted 20 to 60000"),
    ("FLUSH_MS", "0", "wanted 1 to 1000"),
    ("FLUSH_SHARE", "1.1", "wanted 0.01 to 1"),
    ("FLUSH_SHARE", "nan", "wanted 0.01 to 1"),
    ("FLUSH_SHARE", "12 %", "wanted 0.01 to 1"),
    ("AGG_WORKERS", "0", "wanted 1 to 64"),
    ("MAX_WS_BUFFER", "65535", "wanted 65536 to 1073741824"),
    ("WS_STALL_SECONDS", "0.5", "wanted 1 to 3600"),
    ("WS_STALL_SECONDS", "inf", "wanted 1 to 3600"),
    ("WS_DEFLATE", "maybe", "wanted on or off"),
    ("DEMO", "2", "wanted on or off"),
    ("MAX_CONNECTIONS", "0", "wanted 1 to 1000000"),
    ("MAX_PER_ADDRESS", "0", "wanted 1 to 1000000"),
    ("REQUEST_SECONDS", "0.5", "wanted 1 to 3600"),
    ("MAX_SUBSCRIPTIONS", "0", "wanted 1 to 10000"),
    ("MAX_BODY", "1023", "wanted 1024 to 1073741824"),
    ("MAX_INFLATED", "1023", "wanted 1024 to 17179869184"),
    ("FILE_WINDOW", "999", "wanted 1000 to 10000000"),
    ("MAX_CARS", "many", "wanted 1 to 10000"),
    ("TRACK", "b" * 65, "wanted a name of at most 64 characters"),
    ("S3_TRACK", "a\tb", "wanted a name of at most 64 characters"),
    ("EVENT_TRACKS", "I_R08", "wanted pairs such as I_R08_2025-11-02=barber"),
    ("S3_POLL_SECONDS", "0", "wanted 1 to 86400"),
    ("S3_ENDPOINT_URL", "localhost:9000", "wanted a URL such as http://localhost:9000"),
    ("S3_SQS_QUEUE_URL", "race-events", "wanted a URL such as http://localhost:9000"),
    ("TRACK_SECTORS_PATH", "/no/such/file", "wanted a file that can be read"),
    ("TRACK_SECTORS_PATH", "/" + "x" * 300, "wanted a file that can be read"),
    ("TRACK_SECTORS_PATH", A_FILE, "wanted a track file: not JSON"),
    ("DEMO_DATA_PATH", "/no/such/file", "wanted a file that can be read"),
    ("DEMO_DATA_PATH", "/proc", "wanted a file that can be read"),
    ("API_KEYS_FILE", "/no/such/file", "wanted a file that can be read"),
    ("API_KEYS_FILE", A_FILE, "wanted a file of `pitwall keys add`: line 1: "),
    ("UDP_HMAC_KEY_FILE", "/no/such/file", "wanted a file that can be read"),
    ("UDP_HMAC_KEY_FILE", A_FILE, "wanted a file with a shared key a line: it has "),
    ("TLS_CERT", "/no/such/file", "wanted a file that can be read"),
    ("TLS_KEY", "/no/such/file", "wanted a file that can be read"),
    ("HSTS_SECONDS", "-1", "wanted 0 to 2147483648"),
    ("LOG_FORMAT", "xml", "wanted text or json"),
    ("STATE_DIR", "/no/such/place", "wanted a directory that can be written to"),
    ("STATE_DIR", A_FILE, "wanted a directory that can be written to"),
    ("STATE_DIR", "/" + "x" * 300, "wanted a directory that can be written to"),
)


def option(name: str) -> str:
    """The option of a setting as it is typed."""
    return "--" + name.lower().replace("_", "-")


def started(*arguments: str, **environ: str) -> dict[str, Any]:
    """The settings of a server started with these options in this environment."""
    options = Options(environ)
    options.parseOptions(arguments)
    return options.settings


def ending(*arguments: str, **environ: str) -> str:
    """What a start that fails ends with."""
    try:
        started(*arguments, **environ)
    except SystemExit as end:
        return str(end)
    return "it started"


class ReadTests(SynchronousTestCase):
    """`Options` and `read_settings` read the settings."""

    def test_defaults(self) -> None:
        """Without a word the server has its defaults."""
        settings = started()
        self.assertEqual({name: settings[name] for name in DEFAULTS}, DEFAULTS)

    def test_workers(self) -> None:
        """There is a worker for each usable core but one, at most four, at least one."""
        for cores, workers in ((1, 1), (2, 1), (3, 2), (5, 4), (64, 4)):
            self.patch(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
            self.assertEqual(started()["AGG_WORKERS"], workers)
        self.assertEqual(started(AGG_WORKERS="7")["AGG_WORKERS"], 7)

    def test_option_wins(self) -> None:
        """Every setting is a variable and an option of the same name, and the option wins."""
        for name, first, second, read in (
            ("HOST", "127.0.0.1", "::1", "::1"),
            ("BATCH_MS", "100", "200", 200),
            ("WS_STALL_SECONDS", "2.5", "1.5", 1.5),
            ("FLUSH_SHARE", "0.5", "0.25", 0.25),
            ("WS_PATH", "/ws", "/live/cars", "/live/cars"),
            ("S3_BUCKET", "one", "two", "two"),
            ("S3_ENDPOINT_URL", "http://localhost:9000", "https://s3.example.com", "https://s3.example.com"),
            ("WS_DEFLATE", "on", "Off", False),
        ):
            self.assertNotEqual(started(**{name: first})[name], read)
            self.assertEqual(started(**{name: second})[name], read)
            self.assertEqual(started(option(name), second, **{name: first})[name], read)
        for setting in SETTINGS:
            self.assertIn(setting.option, Options({}), setting.name)

    def test_empty(self) -> None:
        """An empty variable, or one of blanks, counts as unset."""
        unset = started()
        for setting in (*SETTINGS, DEMO):
            for empty in ("", "  "):
                self.assertEqual(started(**{setting.name: empty}), unset, setting.name)

    def test_switches(self) -> None:
        """A switch is on or off in all the usual words."""
        for text in ("1", "true", "YES", "On"):
            self.assertIs(started(DEMO=text)["DEMO"], True)
        for text in ("0", "False", "no", "off"):
            self.assertIs(started(DEMO=text)["DEMO"], False)
        self.assertIs(started("--demo")["DEMO"], True)
        self.assertIs(started("--demo", DEMO="0")["DEMO"], True)

    def test_files(self) -> None:
        """A file or a directory keeps its place when the daemon changes to another."""
        for name, path in (
            ("TRACK_SECTORS_PATH", A_TRACK_FILE),
            ("DEMO_DATA_PATH", A_FILE),
            ("STATE_DIR", os.getcwd()),
        ):
            found = started(**{name: os.path.relpath(path)})[name]
            self.assertTrue(os.path.isabs(found) and os.path.samefile(found, path), found)

    def test_origins(self) -> None:
        """Origins are given with commas between them."""
        settings = started(ALLOWED_ORIGINS=" https://wall.example.com,, http://localhost:3000 ,*,null")
        self.assertEqual(
            settings["ALLOWED_ORIGINS"], ("https://wall.example.com", "http://localhost:3000", "*", "null")
        )
        self.assertEqual(
            ending(ALLOWED_ORIGINS="*, wall.example.com"),
            "pitwall: ALLOWED_ORIGINS has wall.example.com, wanted origins such as https://wall.example.com, * or null",
        )

    def test_limits(self) -> None:
        """The ends of a range belong to it."""
        for name, text, value in (("PORT", "1", 1), ("PORT", "65535", 65535), ("FLUSH_SHARE", "1", 1.0)):
            self.assertEqual(started(**{name: text})[name], value)


class WrongTests(SynchronousTestCase):
    """A wrong setting ends the start with one sentence."""

    def test_sentence(self) -> None:
        """The sentence names the setting, what it is, and what was wanted, for a variable as for an option."""
        for name, value, wanted in WRONG:
            endings = [ending(**{name: value})]
            if name != "DEMO":
                endings.append(ending(f"{option(name)}={value}"))
            for said in endings:
                self.assertTrue(said.startswith(f"pitwall: {name} is {value}, {wanted}"), said)
                self.assertEqual(len(said.splitlines()), 1)

    def test_every_setting_is_checked(self) -> None:
        """Only settings that may be any text are not in the list above."""
        self.assertEqual(
            {setting.name for setting in (*SETTINGS, DEMO)} - {name for name, _, _ in WRONG} - {"ALLOWED_ORIGINS"},
            {"HOST", "METRICS_HOST", "HTTP", "S3_BUCKET", "S3_PREFIX", "AWS_REGION"},
        )

    def test_together(self) -> None:
        """A certificate wants its key and the key its certificate, and neither goes with an endpoint."""
        self.assertEqual(ending(TLS_CERT=A_FILE), f"pitwall: TLS_CERT is {A_FILE} without TLS_KEY, wanted both")
        self.assertEqual(ending(TLS_KEY=A_FILE), f"pitwall: TLS_KEY is {A_FILE} without TLS_CERT, wanted both")
        said = ending(METRICS_HOST="127.0.0.1")
        self.assertEqual(said, "pitwall: METRICS_HOST is 127.0.0.1 without METRICS_PORT, wanted both")
        said = ending("--http=tcp:8081", TLS_CERT=A_FILE, TLS_KEY=A_FILE)
        self.assertEqual(said, f"pitwall: HTTP is tcp:8081 and TLS_CERT is {A_FILE}, wanted one of them")

    def test_first(self) -> None:
        """Of several wrong ones the first is told, and a wrong variable that an option replaces is none."""
        with self.assertRaises(SettingError) as caught:
            read_settings({"udp-port": "x"}, {"PORT": "0"})
        self.assertEqual(str(caught.exception), "PORT is 0, wanted 1 to 65535")
        self.assertEqual(read_settings({"port": "81"}, {"PORT": "0"})["PORT"], 81)

    def test_no_such_option(self) -> None:
        """An option or an argument that is not known is said to be so."""
        for argument in ("--no-such-option", "extra"):
            self.assertRaises(usage.UsageError, started, argument)


class HelpTests(SynchronousTestCase):
    """`twistd pitwall --help`."""

    def test_every_option(self) -> None:
        """Every option is there with what it is for and what it is when not given."""
        told = " ".join(str(Options({})).split())
        for setting in SETTINGS:
            self.assertIn(f"{option(setting.name)}= {setting.help} [default: {setting.default_text}]", told)
        self.assertIn(f"--demo {DEMO.help}", told)

    def test_nothing_is_read_at_import(self) -> None:
        """The environment is looked at when the server starts, not before."""
        self.patch(os, "environ", {"PORT": "7000"})
        options = config.Options()
        options.parseOptions([])
        self.assertEqual(options.settings["PORT"], 7000)
