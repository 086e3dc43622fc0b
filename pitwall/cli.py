"""
The command line, ``pitwall``: a command, its options, and what it works on.

Each command imports what it needs when it runs, so that ``pitwall --help`` is
there at once. The status is 0 when all went well, 1 when something did not, 2
for wrong usage, and 128 and the number of the signal after a signal.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pitwall import __version__

#: The least and the most a batch may be told to be [bytes].
LEAST_BATCH = 1 << 10
MOST_BATCH = 64 << 20
#: The longest a server may be told to be tried [s].
MOST_RETRY_S = 86400
#: The longest name of a track or a car, as in a point [characters].
MOST_NAME = 64
#: What has the key where no option says it.
KEY_VARIABLE = "PITWALL_KEY"
#: How often telemetry may be asked for [1/s].
LEAST_HZ, MOST_HZ = 0.1, 100.0


class Command(NamedTuple):
    """
    A command of ``pitwall``.

    Attributes:
        help: what it does, in half a sentence.
        options: adds its options to a parser.
        run: does it; returns the status, or ends the process with it.
    """

    help: str
    options: Callable[[argparse.ArgumentParser], object]
    run: Callable[[argparse.ArgumentParser, argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run ``pitwall``; returns its status.

    Args:
        argv: the arguments; those of the process by default.
    """
    parser = argparse.ArgumentParser("pitwall", description="PitWall's command line; the server is `twistd pitwall`.")
    parser.add_argument("--version", action="version", version=f"pitwall {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, command in COMMANDS.items():
        its_parser = commands.add_parser(name, help=command.help, description=f"{command.help.capitalize()}.")
        command.options(its_parser)
        its_parser.set_defaults(command=command, parser=its_parser)
    arguments = parser.parse_args(argv)
    if "command" not in arguments:
        parser.print_help(sys.stderr)
        return 2
    chosen: Command = arguments.command
    return chosen.run(arguments.parser, arguments)


def import_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``pitwall import``."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="CSV, JSON, or JSON objects a line, each gzip or not; - for standard input; s3://bucket/key, "
        "and with a / at its end all objects below it",
    )
    parser.add_argument(
        "--server", type=_server, default="http://localhost:8081", metavar="URL", help="default: %(default)s"
    )
    _key_option(parser)
    parser.add_argument("--track", type=_name, metavar="T", help="the track of rows that do not say it")
    parser.add_argument("--chassis", type=_name, metavar="C", help="the car of rows that do not say it")
    parser.add_argument("--follow", action="store_true", help="go on with what is appended, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="say what became of them as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress, no tables: only what went wrong")
    parser.add_argument(
        "--batch-bytes",
        type=_batch_bytes,
        default=1 << 20,
        metavar="N",
        help="size of what is posted at a time [bytes], default: %(default)s",
    )
    parser.add_argument(
        "--retry-seconds",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="how long to try a server that can't be reached [s], default: %(default)g",
    )
    parser.add_argument("--endpoint-url", metavar="URL", help="another S3 service than AWS")


def run_import(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Run ``pitwall import``; ends the process where the arguments are wrong."""
    from pitwall.importer.sources import S3_SCHEME, STANDARD_INPUT

    for file in arguments.files:
        if file.startswith(S3_SCHEME) and "/" not in file.removeprefix(S3_SCHEME).lstrip("/"):
            parser.error(f"{file} names no object, wanted s3://bucket/key, or s3://bucket/ for all of them")
        if arguments.follow and (file == STANDARD_INPUT or file.startswith(S3_SCHEME)):
            parser.error(f"--follow is for local files, and {file} is none")
    if arguments.files.count(STANDARD_INPUT) > 1:
        parser.error("standard input can be read once")

    from twisted.internet.task import react

    from pitwall.importer.command import run

    try:
        react(run, (arguments,))
    except SystemExit as end:
        return int(end.code or 0)


def calibrate_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``pitwall calibrate``."""
    parser.add_argument("recordings", nargs="+", metavar="RECORDING", help="as FILE of `pitwall import`, of one race")
    parser.add_argument("--track", type=_name, metavar="T", required=True, help="the track, as in the track file")
    parser.add_argument(
        "--official", metavar="CSV", required=True, help="its official timing, 23_AnalysisEnduranceWithSections…"
    )
    parser.add_argument(
        "--write", metavar="TRACKFILE", help="put the boundaries into this file; a new one begins as the packaged one"
    )


def run_calibrate(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Run ``pitwall calibrate``."""
    from pitwall.importer.calibrate_command import run

    return run(arguments)


def score_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``pitwall score``."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="as FILE of `pitwall import`, or the official timing of a race"
    )
    parser.add_argument("--track", type=_name, metavar="T", help="the track of rows that do not say it")
    parser.add_argument("--tracks", metavar="TRACKFILE", help="lengths and sectors; default: the packaged ones")
    parser.add_argument("--json", action="store_true", help="say all of it as one JSON object")


def run_score(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Run ``pitwall score``; ends the process where the arguments are wrong."""
    if arguments.files.count("-") > 1:
        parser.error("standard input can be read once")

    from pitwall.importer.score_command import run

    return run(arguments)


def audit_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``pitwall audit``."""
    parser.add_argument("server", type=_server, metavar="URL", help="of the server, such as http://localhost:8081")
    _key_option(parser)
    parser.add_argument("--json", action="store_true", help="say all of it as one JSON object")


def run_audit(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Run ``pitwall audit``."""
    from twisted.internet.task import react

    from pitwall.importer.audit_command import run

    try:
        react(run, (arguments,))
    except SystemExit as end:
        return int(end.code or 0)


def tail_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``pitwall tail``."""
    parser.add_argument(
        "url",
        nargs="?",
        type=_stream,
        default="ws://localhost:8081/ws/realtime",
        metavar="URL",
        help="the WebSocket, or the server; default: %(default)s",
    )
    _key_option(parser)
    several: Any = {"type": _names, "action": "extend"}
    parser.add_argument("--chassis", metavar="C,…", help="only these cars; more than once", **several)
    parser.add_argument("--track", metavar="T,…", help="only cars on these tracks; more than once", **several)
    parser.add_argument("--channels", metavar="CH,…", help="only these channels of a point; more than once", **several)
    parser.add_argument("--max-hz", type=_rate, metavar="HZ", help="so often at most, the newest point of each car")
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    parser.add_argument("--insights", action="store_true", help="what is said of the race as well")
    parser.add_argument("--snapshot", action="store_true", help="begin with the newest point of each car")


def run_tail(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Run ``pitwall tail``."""
    try:
        from pitwall.client.tail_command import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "websockets":
            raise
        sys.stderr.write("pitwall: tail needs the package websockets: pip install websockets\n")
        return 1
    return run(arguments)


def keys_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``pitwall keys``."""
    from pitwall.keys.command import options

    options(parser)


def run_keys(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Run ``pitwall keys``; ends the process where the arguments are wrong."""
    from pitwall.keys.command import run

    return run(parser, arguments)


def _key_option(parser: argparse.ArgumentParser) -> None:
    """The option that says a key; the variable keeps it from whoever may list processes."""
    default = os.environ.get(KEY_VARIABLE, "").strip() or None
    parser.add_argument(
        "--key",
        type=_key,
        default=default,
        metavar="KEY",
        help=f"the key, if the server wants one; better ${KEY_VARIABLE}",
    )


def _key(text: str) -> str:
    # The key is not shown: it may be a right one but for a character.
    if not text.isascii() or not text.isprintable() or " " in text or not text:
        raise argparse.ArgumentTypeError("this is no key, wanted one that `pitwall keys add` printed")
    return text


def _server(text: str) -> str:
    return _url(text, ("http", "https"), "http://localhost:8081").rstrip("/")


def _stream(text: str) -> str:
    return _url(text, ("ws", "wss", "http", "https"), "ws://localhost:8081")


def _url(text: str, schemes: Sequence[str], example: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        good = False
    if not good or not text.isprintable() or " " in text or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{text!a} is no server, wanted a URL such as {example}")
    return text


def _name(text: str) -> str:
    if not text.isprintable() or not text.strip() or len(text) > MOST_NAME:
        raise argparse.ArgumentTypeError(f"{text[:MOST_NAME]!a}, wanted a name of at most {MOST_NAME} characters")
    return text.strip()


def _names(text: str) -> list[str]:
    return list(map(_name, text.split(",")))


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not LEAST_HZ <= rate <= MOST_HZ:
        raise argparse.ArgumentTypeError(f"{text!a}, wanted {LEAST_HZ:g} to {MOST_HZ:g}")
    return rate


def _batch_bytes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not LEAST_BATCH <= int(text[:20]) <= MOST_BATCH:
        raise argparse.ArgumentTypeError(f"{text!a}, wanted {LEAST_BATCH} to {MOST_BATCH}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MOST_RETRY_S:
        raise argparse.ArgumentTypeError(f"{text!a}, wanted 0 to {MOST_RETRY_S}")
    return seconds


#: What there is to run.
COMMANDS = {
    "import": Command("send recordings to a running server", import_options, run_import),
    "calibrate": Command("fit sector boundaries to official sector times", calibrate_options, run_calibrate),
    "audit": Command("check that a server's books are exact", audit_options, run_audit),
    "score": Command("say what recordings come to, and score the forecasts", score_options, run_score),
    "tail": Command("print what a running server sends, as it comes", tail_options, run_tail),
    "keys": Command("add, list and remove the keys of a server", keys_options, run_keys),
}
