"""
What ``pitwall tail`` does: points on standard output as they come, what is missing on standard error.

With ``--json`` a line is a point as it came, so that ``pitwall import -`` takes it.
What a car or a track is called comes from outside; nothing of it reaches a terminal
as it is, unless it can be printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from pitwall.client.connection import ClientError, PitWallClient
from pitwall.client.stream import Message, StreamError
from pitwall.client.subscription import Subscription


class Column(NamedTuple):
    """
    A column of a line.

    Attributes:
        name: of the field of the point.
        width: of the text without the unit [characters].
        form: how a number is written.
        unit: what stands after it.
    """

    name: str
    width: int
    form: str
    unit: str


COLUMNS = (
    Column("lap", 5, ".0f", ""),
    Column("lapdist_m", 8, ".1f", " m"),
    Column("speed_kmh", 6, ".1f", " km/h"),
    Column("rpm", 6, ".0f", " rpm"),
    Column("accx_can", 6, "+.2f", " g"),
    Column("accy_can", 6, "+.2f", " g"),
    Column("Steering_Angle", 7, "+.1f", " deg"),
    Column("pbrake_f", 6, ".1f", " bar"),
)
_WHY = {
    "overwritten": "the server has no longer got them",
    "skipped": "this client is too slow",
}


class Wanted(NamedTuple):
    """Which cars are of interest, all of them where nothing is said; a server may send others that can't choose."""

    chassis: frozenset[str]
    tracks: frozenset[str]

    def of(self, items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The points, or the insights, of these cars."""
        return [
            item
            for item in items
            if (not self.chassis or item.get("chassis") in self.chassis)
            and (not self.tracks or item.get("track") in self.tracks)
        ]


def run(arguments: argparse.Namespace) -> int:
    """Print the stream until Ctrl-C; returns the status."""
    try:
        asyncio.run(_tail(arguments))
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # `… | head` has had enough. Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ClientError, StreamError) as error:
        _complain(str(error))
        return 1
    return 0


def line(point: Mapping[str, Any]) -> str:
    """A point as a line for a person; a field that is missing, or no number, leaves its place empty."""
    words = [
        f"{_plain(str(point.get('meta_time', '')))[11:23].rstrip('Z'):<12}",
        f"{_plain(str(point.get('track', ''))):<12}",
        f"{_plain(str(point.get('chassis', ''))):<12}",
    ]
    return "  ".join(words + [_cell(point.get(column.name), column) for column in COLUMNS]).rstrip()


def insight_line(insight: Mapping[str, Any]) -> str:
    """An insight as a line for a person."""
    said = (insight.get(name, "") for name in ("severity", "track", "chassis", "type", "state", "message"))
    severity, track, chassis, kind, state, message = (_plain(str(text)) for text in said)
    return f"{severity:<12}  {track:<12}  {chassis:<12}  {kind} {state}: {message}"


def gap_sentence(gap: Mapping[str, Any]) -> str:
    """What is missing, and why, as a sentence."""
    if gap["points"] is None:
        return "the server has started anew; what it sent last may be missing"
    points = "1 point is" if gap["points"] == 1 else f"{gap['points']} points are"
    why = _WHY.get(gap["reason"], _plain(str(gap["reason"])))
    return f"{points} missing, {gap['first']} to {gap['last']}: {why}"


def quality_sentence(quality: Mapping[str, Any]) -> str:
    """What the server says of how much it sends, as a sentence."""
    if quality["level"] == "full":
        return f"every point again; {quality['conflated']} points were left out for newer ones of their cars"
    return "this client is too slow for every point: the newest of each car follow"


def subscription(arguments: argparse.Namespace) -> Subscription | None:
    """What to ask the server for; nothing where no option says anything of it, which gets every point."""
    asked = Subscription(arguments.chassis, arguments.track, arguments.channels, max_hz=arguments.max_hz)
    if asked == Subscription():
        return None
    insights = ["insight_update"] if arguments.insights else []
    return asked._replace(types=["telemetry_update", *insights, "quality"])


def lines(message: Message, wanted: Wanted, *, insights: bool, as_json: bool) -> list[str]:
    """What to print of a message."""
    points = wanted.of(message.points)
    said: list[dict[str, Any]] = []
    if insights and message.type in ("insight_update", "snapshot"):
        update = message.content if message.type == "insight_update" else message.content["insight"] or {}
        said = wanted.of(update.get("insights", ()))
    if as_json:
        return [json.dumps(item, separators=(",", ":")) for item in (*points, *said)]
    return [*map(line, points), *map(insight_line, said)]


async def _tail(arguments: argparse.Namespace) -> None:
    wanted = Wanted(frozenset(arguments.chassis or ()), frozenset(arguments.track or ()))
    say: Callable[[str], object] = _complain
    asked = subscription(arguments)
    options: dict[str, Any] = (
        {} if arguments.key is None else {"additional_headers": {"Authorization": f"Bearer {arguments.key}"}}
    )
    async with PitWallClient(
        arguments.url, snapshot=arguments.snapshot, subscribe=asked, tell=say, **options
    ) as client:
        async for message in client:
            if message.type == "gap":
                say(gap_sentence(message.content))
            elif message.type == "quality":
                say(quality_sentence(message.content))
            found = lines(message, wanted, insights=arguments.insights, as_json=arguments.json)
            if found:
                sys.stdout.write("\n".join(found) + "\n")
                sys.stdout.flush()


def _cell(value: object, column: Column) -> str:
    blank = " " * (column.width + len(column.unit))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return blank
    return f"{format(value, column.form):>{column.width}}{column.unit}"


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def _complain(sentence: str) -> None:
    sys.stderr.write(f"pitwall: {_plain(sentence)}\n")
    sys.stderr.flush()
