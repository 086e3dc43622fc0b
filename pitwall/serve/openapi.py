"""
The OpenAPI document of the REST resources.

Paths and methods are Klein's own, what a resource does is its docstring; what it is asked
with and what it answers is told here, resource by resource. ``RestAPI`` makes the
document when it is first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from msgspec import json

from pitwall import __version__
from pitwall.contract.examples import examples
from pitwall.contract.insight import InsightAnswer, InsightsAnswer
from pitwall.contract.parameters import INGEST, Parameter
from pitwall.contract.point import SentBundle, SentRow
from pitwall.contract.race import LapsAnswer, ScoreAnswer
from pitwall.contract.schemas import components, ref, sent_points
from pitwall.contract.server import (
    CarsAnswer,
    ErrorAnswer,
    HealthAnswer,
    IndexAnswer,
    IngestAnswer,
    LedgerAnswer,
    LiveAnswer,
    ReadyAnswer,
    RecentAnswer,
    TicketAnswer,
)
from pitwall.contract.update import GapsAnswer
from pitwall.keys.key import INGEST as TO_INGEST
from pitwall.keys.key import READ
from pitwall.serve import tables
from pitwall.serve.page import CSS, HTML, JAVASCRIPT, SVG

VERSION: Final = "3.1.0"
JSON: Final = "application/json"
CSV: Final = "text/csv"
LINES: Final = "application/x-ndjson"
PLAIN: Final = "text/plain"
OPEN_METRICS: Final = "application/openmetrics-text"
#: The browser client, and the types of it.
CLIENT_FILES: Final = {
    "pitwall-client.js": b"text/javascript; charset=utf-8",
    "pitwall-client.d.ts": b"text/plain; charset=utf-8",
}
#: The most points one answer holds.
MOST_RECENT: Final = 5000
#: What stands in paths.
COUNT: Final = Parameter("count", f"the newest so many, at most {MOST_RECENT}", most=MOST_RECENT, example="5")
INSIGHT_ID: Final = Parameter("insight_id", "the id of an insight", example="i1")
CLIENT_FILE: Final = Parameter("name", "a file of the browser client", tuple(CLIENT_FILES))
DASHBOARD_FILE: Final = Parameter("asset", "a file of the dashboard", example="main.js")
REFERENCE_FILE: Final = Parameter("asset", "a file of the page of references", example="main.js")

#: The answers that every resource may give; a body over MAX_BODY is refused wherever it is sent.
_ALWAYS: Final = {
    400: "the request makes no sense",
    413: "the body is over MAX_BODY",
    503: "not now",
}
#: The answers that every resource may give that is not for everyone.
_GATED: Final = {
    401: "a key is needed, and there is none, or none that is known",
    403: "the key is not for that, or the page that posts is not one that may use the server",
    429: "too many wrong keys from this address, or tickets that are not used; Retry-After says how long to wait [s]",
}
#: The headers of a refusal that are to be looked at, by status.
_HEADERS: Final = {
    401: {"WWW-Authenticate": "what kind of key is wanted (RFC 6750)"},
    403: {"WWW-Authenticate": "what the key would have to be for"},
    429: {"Retry-After": "how long to wait [s]"},
}
#: What the resources are about, in the order in which they are read.
TAGS: Final = {
    "Race": "what the cars do: points, laps, gaps, insights, forecasts",
    "Points in": "points by HTTP",
    "Server": "how the server is, what it has counted, and tickets for the WebSocket",
    "Pages": "pages for people, the files they load, and these descriptions",
}
#: The name of the way to say a key.
_KEY: Final = "key"
_TEXT: Final[dict[str, Any]] = {"type": "string"}
_OBJECT: Final[dict[str, Any]] = {"type": "object"}
_VARIABLE: Final = re.compile(r"<(?:\w+:)?(\w+)>")
_ABOUT: Final = (
    "Telemetry in and out, the tables of the race, and the server's books. HEAD is answered wherever GET is, OPTIONS"
    " everywhere by 204, another method by 405 with Allow. Every error is JSON. Members may be added to answers at any"
    " time: ignore what you do not know. The stream is told by /api/asyncapi.json."
)


class Operation(NamedTuple):
    """
    What a resource is asked with and what it answers.

    Attributes:
        answers: by status and media type, a Struct or a schema.
        query: the parameters of its query.
        path: those in its path.
        body: what is posted, by media type.
        scope: what a key must be for, where keys are needed; None when it is for everyone.
        tag: what it is about.
    """

    answers: Mapping[int, Mapping[str, Any]]
    query: tuple[Parameter, ...] = ()
    path: tuple[Parameter, ...] = ()
    body: Mapping[str, Any] | None = None
    scope: str | None = READ
    tag: str = "Race"


def _table(type_: Any, query: tuple[Parameter, ...], path: tuple[Parameter, ...] = (), **further: Any) -> Operation:
    """A table, in JSON or CSV."""
    return Operation(
        {200: {JSON: type_, CSV: _TEXT}, 406: {JSON: ErrorAnswer}, **further.get("errors", {})}, query, path
    )


_POINT: Final = {"anyOf": [ref("SentPoint"), ref(SentRow), ref(SentBundle)]}
_A_POINT: Final = {"track": "barber", "chassis": "GR86-004-78", "lap": 3, "lapdist_m": 815.6, "speed_kmh": 141.0}
#: Of bodies, by media type.
_EXAMPLES: Final[Mapping[str, Any]] = {
    JSON: [_A_POINT],
    LINES: json.encode(_A_POINT).decode() + "\n",
    CSV: ",".join(_A_POINT) + "\n" + ",".join(map(str, _A_POINT.values())) + "\n",
}

#: By the name of Klein's endpoint.
OPERATIONS: Final[Mapping[str, Operation]] = {
    "index": Operation({200: {JSON: IndexAnswer, HTML: _TEXT}}, scope=None, tag="Pages"),
    "health": Operation({200: {JSON: HealthAnswer}, 503: {JSON: HealthAnswer}}, tag="Server"),
    "live": Operation({200: {JSON: LiveAnswer}}, scope=None, tag="Server"),
    "ready": Operation({200: {JSON: ReadyAnswer}, 503: {JSON: ReadyAnswer}}, scope=None, tag="Server"),
    "metrics": Operation({200: {PLAIN: _TEXT, OPEN_METRICS: _TEXT}, 404: {JSON: ErrorAnswer}}, tag="Server"),
    "ledger": Operation({200: {JSON: LedgerAnswer}}, tag="Server"),
    "recent": Operation(
        {200: {JSON: RecentAnswer}},
        path=(COUNT,),
    ),
    "cars": Operation({200: {JSON: CarsAnswer}}),
    "laps": _table(LapsAnswer, tables.LAPS),
    "gaps": _table(GapsAnswer, tables.GAPS),
    "score": _table(ScoreAnswer, tables.SCORE),
    "insights": _table(InsightsAnswer, tables.INSIGHTS),
    "insight": _table(
        InsightAnswer,
        tables.INSIGHT,
        (INSIGHT_ID,),
        errors={404: {JSON: ErrorAnswer}},
    ),
    "ingest": Operation(
        {
            200: {JSON: IngestAnswer},
            400: {JSON: {"anyOf": [ref(IngestAnswer), ref(ErrorAnswer)]}},
            **{status: {JSON: ErrorAnswer} for status in (403, 409, 413, 415, 503)},
        },
        INGEST,
        body={
            JSON: {"anyOf": [*_POINT["anyOf"], {"type": "array", "minItems": 1, "items": _POINT}]},
            LINES: {"type": "string", "description": "one point or row a line", "minLength": 1},
            CSV: {"type": "string", "description": "a file, or lines as by UDP", "minLength": 1},
        },
        scope=TO_INGEST,
        tag="Points in",
    ),
    "ticket": Operation({200: {JSON: TicketAnswer}, 403: {JSON: ErrorAnswer}}, tag="Server"),
    "client": Operation(
        {200: {"text/javascript": _TEXT, "text/plain": _TEXT}, 404: {JSON: ErrorAnswer}},
        path=(CLIENT_FILE,),
        scope=None,
        tag="Pages",
    ),
    "dashboard": Operation(
        {
            200: {JAVASCRIPT: _TEXT, CSS: _TEXT, SVG: _TEXT},
            404: {JSON: ErrorAnswer},
            406: {JSON: ErrorAnswer},
            503: {JSON: ErrorAnswer},
        },
        path=(DASHBOARD_FILE,),
        scope=None,
        tag="Pages",
    ),
    "docs": Operation({200: {HTML: _TEXT}}, scope=None, tag="Pages"),
    "docs_file": Operation(
        {200: {JAVASCRIPT: _TEXT, CSS: _TEXT}, 404: {JSON: ErrorAnswer}},
        path=(REFERENCE_FILE,),
        scope=None,
        tag="Pages",
    ),
    "openapi": Operation({200: {JSON: _OBJECT}}, tag="Pages"),
    "asyncapi": Operation({200: {JSON: _OBJECT}}, tag="Pages"),
}

#: What an answer of a status says.
_SAID: Final = {
    200: "the answer",
    404: "there is no such thing",
    406: "Accept wants neither JSON nor CSV, or Accept-Encoding no gzip where there is nothing else",
    409: "the body before this one of the same upload is not taken yet",
    415: "another type or encoding of the body",
    **_ALWAYS,
    **_GATED,
}


def document(rules: Iterable[Any], resources: Any, locked: bool = False) -> dict[str, Any]:
    """
    The document.

    Args:
        rules: Klein's, as werkzeug has them.
        resources: has a method for each endpoint, whose docstring says what it does.
        locked: whether keys are needed.
    """
    schemas = components([*_structs(), SentRow, SentBundle])
    sent_points(schemas)
    paths: dict[str, Any] = {}
    for rule in rules:
        path = paths.setdefault(_VARIABLE.sub(r"{\1}", rule.rule), {})
        for method in sorted(rule.methods - {"HEAD"}):
            path[method.lower()] = _operation(rule.endpoint, getattr(resources, rule.endpoint).__doc__, locked)
    return {
        "openapi": VERSION,
        "info": {"title": "PitWall", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": what} for name, what in TAGS.items()],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                _KEY: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of the server's keys file. A server without one needs none.",
                }
            },
        },
    }


def _structs() -> list[Any]:
    contents = [
        content for each in OPERATIONS.values() for contents in each.answers.values() for content in contents.values()
    ]
    return list(dict.fromkeys(content for content in contents if isinstance(content, type)))


def _operation(endpoint: str, summary: str, locked: bool) -> dict[str, Any]:
    told = OPERATIONS[endpoint]
    gated = locked and told.scope is not None
    refusals = {**_ALWAYS, **(_GATED if gated else {})}
    answers = {**{status: {JSON: ErrorAnswer} for status in refusals}, **told.answers}
    operation: dict[str, Any] = {
        "operationId": endpoint,
        "summary": summary.strip().split("\n\n")[0],
        "tags": [told.tag],
    }
    if locked:
        operation["security"] = [{_KEY: [told.scope]}] if gated else []
    parameters = [_parameter(each, "path") for each in told.path] + [_parameter(each, "query") for each in told.query]
    if parameters:
        operation["parameters"] = parameters
    if told.body is not None:
        content = _content(told.body)
        for media_type, example in _EXAMPLES.items():
            content[media_type]["example"] = example
        operation["requestBody"] = {"required": True, "content": content}
    operation["responses"] = {str(status): _answer(status, answers[status], gated) for status in sorted(answers)}
    return operation


def _answer(status: int, told: Mapping[str, Any], gated: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _SAID[status], "content": _content(told)}
    if gated and status in _HEADERS:
        answer["headers"] = {name: {"description": what, "schema": _TEXT} for name, what in _HEADERS[status].items()}
    return answer


def _parameter(told: Parameter, where: str) -> dict[str, Any]:
    schema = told.schema()
    if where == "path":
        schema.pop("default", None)
    parameter: dict[str, Any] = {"name": told.name, "in": where, "required": where == "path"}
    if where == "query":
        parameter["allowEmptyValue"] = True  # as if it were missing
    if told.example is not None:
        parameter["example"] = int(told.example) if told.most is not None else told.example
    return {**parameter, "description": told.what, "schema": schema}


def _content(told: Mapping[str, Any]) -> dict[str, Any]:
    return {media_type: _form(content) for media_type, content in told.items()}


def _form(told: Any) -> dict[str, Any]:
    if not isinstance(told, type):
        return {"schema": told}
    return {"schema": ref(told), "example": examples()[told.__name__]}
