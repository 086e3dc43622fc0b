"""
The tables of the race as REST answers: JSON, or CSV where that is asked for.

CSV is chosen by ``?format=csv``, or by an Accept header that likes it better than
JSON, as RFC 9110 (12.5.1) weighs them: the most specific range that fits tells,
``q=0`` rules out, and where both are liked alike it is JSON. Where neither is liked
the answer is 406. ``docs/rest.md`` shows every answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from msgspec import json
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from pitwall.contract.parameters import Parameter
from pitwall.race.formulas import TYPES
from pitwall.race.insights import MOST_KEPT, InsightBook
from pitwall.race.sheet import LapRow
from pitwall.ring import PointRing
from pitwall.serve.confirm import confirm
from pitwall.serve.csvtext import flattened, table

#: The most laps of one answer.
MOST_LAPS: Final = 5000
#: What a table is asked with; ``FORMAT`` and the Accept header choose its form.
CHASSIS: Final = Parameter("chassis", "only of this car")
TRACK: Final = Parameter("track", "only of this track")
TYPE: Final = Parameter("type", "only of this type", TYPES)
STATE: Final = Parameter("state", "standing: only what was raised and not cleared", ("standing", "all"))
NEWEST_LAPS: Final = Parameter("limit", "the newest so many", most=MOST_LAPS)
NEWEST_INSIGHTS: Final = Parameter("limit", "the newest so many", most=MOST_KEPT)
FORMAT: Final = Parameter("format", "the form, whatever Accept says", ("json", "csv"))
#: By table.
LAPS: Final = (CHASSIS, TRACK, NEWEST_LAPS, FORMAT)
GAPS: Final = (TRACK, FORMAT)
SCORE: Final = (FORMAT,)
INSIGHTS: Final = (CHASSIS, TRACK, TYPE, STATE, NEWEST_INSIGHTS, FORMAT)
INSIGHT: Final = (FORMAT,)
#: The columns of a lap that its CSV has in any case; ``lists`` become a column for each item.
LAP_COLUMNS: Final = (
    *("chassis", "track", "lap", "kind", "marks", "start", "lap_time_s", "sector_times_s", "mini_times_s"),
    *("stress_g2m", "sector_stress_g2m", "best", "field_best", "corrected", "first_seq", "last_seq"),
)
_LAP_LISTS: Final = {
    "sector_times_s": "sector_{}_s",
    "mini_times_s": "mini_{}_s",
    "sector_stress_g2m": "sector_{}_stress_g2m",
}
_GAP_COLUMNS: Final = ("track", "position", "chassis")
_INSIGHT_COLUMNS: Final = (
    *("id", "timestamp", "track", "chassis", "type", "severity", "state", "message"),
    *("formula", "first_seq", "last_seq", "data", "inputs"),
)
_JSON: Final = "application/json"
_CSV: Final = "text/csv"


class RaceTables(Protocol):
    """What is asked of the race: its state now, nothing computed anew."""

    @property
    def insights(self) -> InsightBook:
        """What was said."""

    def laps(self, chassis: str | None, track: str | None) -> list[LapRow]:
        """The laps of a chassis, a track, both or all, as ``lap_row`` makes them, oldest first."""

    def cars(self, chassis: str | None, track: str | None) -> list[dict[str, Any]]:
        """What the laps of each of these cars come to, as ``car_summary`` tells it."""

    def gaps(self, track: str | None) -> list[dict[str, Any]]:
        """The gaps as clients get them, of a track or of all, by track and position."""

    def tracks(self, track: str | None) -> list[dict[str, Any]]:
        """Each track: ``track``, ``length_m``, whether it is ``configured``, and the best of the field."""

    def score(self) -> dict[str, Any]:
        """How good the forecasts were."""


class NoRace:
    """Tables of a server that computes no race: empty."""

    def __init__(self) -> None:
        self.insights = InsightBook()

    def laps(self, chassis: str | None, track: str | None) -> list[LapRow]:
        """No laps."""
        return []

    def cars(self, chassis: str | None, track: str | None) -> list[dict[str, Any]]:
        """No cars."""
        return []

    def gaps(self, track: str | None) -> list[dict[str, Any]]:
        """No gaps."""
        return []

    def tracks(self, track: str | None) -> list[dict[str, Any]]:
        """No tracks."""
        return []

    def score(self) -> dict[str, Any]:
        """No forecasts."""
        return {}


class TableError(Exception):
    """What was asked is not answered; ``status`` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Answer(NamedTuple):
    """An answer's bytes and what they are."""

    content_type: bytes
    body: bytes


class Formats(NamedTuple):
    """The two forms of an answer, each made only when it is asked for."""

    as_json: Callable[[], Any]
    as_csv: Callable[[], bytes]


class Asked:
    """
    What a request asks for.

    Args:
        arguments: of the query, as Twisted parses it; those nobody asks about are ignored.
        accept: the Accept header; empty without one.
    """

    def __init__(self, arguments: Mapping[bytes, Sequence[bytes]], accept: str = "") -> None:
        self._arguments = arguments
        self._accept = accept

    def text(self, parameter: Parameter) -> str | None:
        """
        A parameter; None where it is missing or empty.

        Raises:
            TableError: 400 where it comes twice, is not UTF-8, or is not one of its choices.
        """
        name, choices = parameter.name, parameter.choices
        values = self._arguments.get(name.encode(), ())
        if len(values) > 1:
            raise TableError(400, f"{name} is there {len(values)} times, wanted once")
        if not values or not values[0]:
            return None
        try:
            value = values[0].decode()
        except UnicodeDecodeError:
            raise TableError(400, f"{name} is not UTF-8") from None
        if choices and value not in choices:
            raise TableError(400, f"{name} is {value[:40]!a}, wanted {', '.join(choices)}")
        return value

    def count(self, parameter: Parameter) -> int:
        """A whole number, at most the parameter's ``most``, which is also what it is when missing."""
        assert parameter.most is not None
        value = self.text(parameter)
        if value is None:
            return parameter.most
        count = parameter.whole(value)
        if count is None:
            raise TableError(400, f"{parameter.name} is {value[:40]!a}, wanted a whole number of 0 or more")
        return count

    def wants_csv(self) -> bool:
        """
        Whether the answer is to be CSV.

        Raises:
            TableError: 406 where it may be neither.
        """
        chosen = self.text(FORMAT)
        if chosen is not None:
            return chosen == "csv"
        if not self._accept.strip():
            return False
        # Parameters of a type, such as its charset, choose nothing here.
        liked = [(value.partition(";")[0].strip(), q) for value, q in parse_accept_header(self._accept, MIMEAccept)]
        accept = MIMEAccept(liked)
        json_q, csv_q = accept.quality(_JSON), accept.quality(_CSV)
        if max(json_q, csv_q) <= 0:
            raise TableError(406, f"there is {_JSON} and {_CSV}, and Accept wants neither")
        return bool(csv_q > json_q)


def render(asked: Asked, answer: Callable[[Asked], Formats]) -> Answer:
    """
    The answer in the form that is asked for.

    Raises:
        TableError: it can't be, or there is none.
    """
    wants_csv = asked.wants_csv()
    formats = answer(asked)
    if wants_csv:
        return Answer(b"text/csv; charset=utf-8", formats.as_csv())
    return Answer(_JSON.encode(), json.encode(formats.as_json()))


def laps(race: RaceTables, asked: Asked) -> Formats:
    """``?chassis=&track=&limit=``: the newest laps, oldest first, what each car's come to, and each track's."""
    chassis, track = asked.text(CHASSIS), asked.text(TRACK)
    limit = asked.count(NEWEST_LAPS)
    rows = race.laps(chassis, track)
    rows = rows[-limit:] if limit else []

    def as_json() -> Any:
        return {"laps": rows, "cars": race.cars(chassis, track), "tracks": race.tracks(track)}

    return Formats(as_json, lambda: table(rows, LAP_COLUMNS, _LAP_LISTS))


def gaps(race: RaceTables, asked: Asked) -> Formats:
    """``?track=``: positions and gaps as of the last tick."""
    rows = race.gaps(asked.text(TRACK))
    return Formats(lambda: {"gaps": rows}, lambda: table(rows, _GAP_COLUMNS))


def score(race: RaceTables, asked: Asked) -> Formats:
    """How good the forecasts were; as CSV, a line a figure."""
    content = race.score()
    return Formats(lambda: content, lambda: table(flattened(content), ("name", "value")))


def insights(race: RaceTables, asked: Asked) -> Formats:
    """``?chassis=&track=&type=&state=standing|all&limit=``: insights, oldest first."""
    chassis, track, type_ = asked.text(CHASSIS), asked.text(TRACK), asked.text(TYPE)
    limit = asked.count(NEWEST_INSIGHTS)
    standing = asked.text(STATE) == "standing"
    found = (race.insights.standing if standing else race.insights.newest)(limit, track, chassis, type_)
    return Formats(lambda: {"insights": found}, lambda: table(found, _INSIGHT_COLUMNS))


def insight(race: RaceTables, ring: PointRing, insight_id: str, asked: Asked) -> Formats:
    """One insight with what its formula says to its inputs now, and what the ring does; as CSV, a line a figure."""
    found = race.insights.get(insight_id)
    if found is None:
        raise TableError(404, f"no insight {insight_id[:40]!a} is kept")
    again = race.insights.recomputed(insight_id)
    content = {"insight": found, "recomputed": again, "ring": confirm(ring, found)}
    return Formats(lambda: content, lambda: table(flattened(content), ("name", "value")))
