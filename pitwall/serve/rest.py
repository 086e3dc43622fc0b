"""
The REST resources, by Klein, and the root that the WebSocket hangs on too.

Every answer is JSON, but for the dashboard and the browser client, and tables are CSV
too where that is asked for; an error is ``{"ok": false, "error": "…"}`` with the status that says whose
fault it is. Nothing a client sends makes a 5xx.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache, cached_property
from importlib.resources import files
from typing import Any
from urllib.parse import unquote_to_bytes

from klein import Klein
from msgspec import json
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from pitwall import __version__
from pitwall.contract import asyncapi
from pitwall.contract.server import IndexAnswer, LiveAnswer, TicketAnswer
from pitwall.hub import Hub
from pitwall.keys.key import Key
from pitwall.serve import openapi, tables
from pitwall.serve.auth import DeniedError, Gate, deny
from pitwall.serve.openapi import CLIENT_FILES, COUNT, OPERATIONS
from pitwall.serve.origins import OriginPolicy
from pitwall.serve.page import REFERENCE, Page, file, names, wants_page
from pitwall.serve.plotting import PlottingLibrary
from pitwall.serve.request import error_body
from pitwall.serve.tables import Answer, Asked, Formats, NoRace, RaceTables, TableError
from pitwall.serve.tickets import TICKET_S
from pitwall.wire.messages import recent

#: A name or an address, and perhaps a port (RFC 3986, section 3.2).
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:[0-9]*)?")
#: Methods that change nothing.
_HARMLESS = frozenset((b"GET", b"HEAD", b"OPTIONS"))
_METHOD = re.compile(rb"[A-Z]{1,20}", re.ASCII)


class GatedKlein(Klein):
    """Klein, but the gate is asked before a route answers: of the one that was found, however the path looks."""

    def execute_endpoint(self, endpoint: str, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer a request, if it has a key for that."""
        # A route that nobody told of has no scope, and is an error.
        api: Any = self._instance
        api.gate.check(request, OPERATIONS[endpoint].scope)
        return super().execute_endpoint(endpoint, request, *args, **kwargs)


class RestAPI:
    """
    The resources under ``/api``.

    Args:
        hub: where the points are.
        health: gives the answer of ``/api/health`` and whether all is well.
        ingest: takes the request of ``POST /api/ingest`` and returns its answer's bytes, or a Deferred of them.
        origins: which pages may read the answers.
        seconds: tells the time [s since 1970].
        gate: who may ask for what.
        race: the tables of laps, gaps, insights and forecasts; None where no race is computed.
        ledger: gives the answer of ``/api/ledger``.
        ws_path: where the WebSocket is.
        ready: gives the answer of ``/api/ready`` and whether it is so.
        metrics: gives the answer of ``/metrics`` to a request; None where another port has it.
        hsts_s: for how long browsers that came by TLS are to come by it alone [s]; 0 says nothing of it.
    """

    app = GatedKlein()
    log = Logger()

    def __init__(
        self,
        hub: Hub,
        health: Callable[[], tuple[bool, dict[str, Any]]],
        ingest: Callable[[Any], Any],
        origins: OriginPolicy,
        seconds: Callable[[], float],
        gate: Gate,
        race: RaceTables | None = None,
        ledger: Callable[[], dict[str, Any]] = dict,
        ws_path: str = "/ws/realtime",
        ready: Callable[[], tuple[bool, dict[str, bool]]] = lambda: (True, {"ok": True}),
        metrics: Callable[[Any], bytes] | None = None,
        hsts_s: int = 0,
    ) -> None:
        self.gate = gate
        self._hsts_s = hsts_s
        self._ws_path = ws_path
        self._ready = ready
        self._metrics = metrics
        self._ledger = ledger
        self._race = NoRace() if race is None else race
        self._seconds = seconds
        self._hub = hub
        self._health = health
        self._ingest = ingest
        self._origins = origins
        self._plotting = PlottingLibrary.installed()
        self._page = Page(ws_path, gate.locked, self._plotting.name)
        self._reference = Page(ws_path, gate.locked, directory=REFERENCE)

    def prepare(self, request: Any) -> None:
        """The headers that every answer has."""
        request.responseHeaders.removeHeader(b"server")
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"x-content-type-options", b"nosniff")
        request.setHeader(b"cache-control", b"no-store")
        if self._hsts_s and request.isSecure():
            request.setHeader(b"strict-transport-security", b"max-age=%d" % self._hsts_s)
        origin = request.getHeader(b"origin")
        if origin is not None:
            request.setHeader(b"vary", b"Origin")
            host = request.getHeader(b"host")
            if self._origins.allows(_text(origin), _text(host)):
                request.setHeader(b"access-control-allow-origin", origin)

    def may_change(self, request: Any) -> bool:
        """Whether a request that changes something comes from a page that may use the server, or from none."""
        headers = request.requestHeaders
        origins, sites = headers.getRawHeaders(b"origin", ()), headers.getRawHeaders(b"sec-fetch-site", ())
        return not (origins or sites) or self._origins.may_change(
            [origin.decode("latin-1") for origin in origins],
            [site.decode("latin-1") for site in sites],
            _text(request.getHeader(b"host")),
        )

    @app.route("/", methods=["GET"])
    def index(self, request: Any) -> bytes:
        """What this server is and where to look; the dashboard for whoever likes HTML better than JSON."""
        self._vary_by_accept(request)
        if wants_page(_accept(request)):
            return self._page.answer(request)
        paths = ["/api/health", "/api/live", "/api/ready", "/api/recent/100", "/api/cars", "/api/ingest", "/api/ticket"]
        paths += ["/api/laps", "/api/gaps", "/api/insights", "/api/score", "/api/ledger"]
        paths += ["/api/openapi.json", "/api/asyncapi.json", "/docs"]
        return json.encode(IndexAnswer(True, "pitwall", __version__, paths))

    @app.route("/api/openapi.json", methods=["GET"])
    def openapi(self, request: Any) -> bytes:
        """These resources, as an OpenAPI document."""
        return self._openapi

    @app.route("/api/asyncapi.json", methods=["GET"])
    def asyncapi(self, request: Any) -> bytes:
        """The WebSocket and its messages, as an AsyncAPI document."""
        return self._asyncapi

    @app.route("/api/health", methods=["GET"])
    def health(self, request: Any) -> bytes:
        """Whether the doors are open and the workers warm, and the counters."""
        well, content = self._health()
        request.setResponseCode(200 if well else 503)
        return json.encode(content)

    @app.route("/api/live", methods=["GET"])
    def live(self, request: Any) -> bytes:
        """That the event loop turns."""
        return json.encode(LiveAnswer(True))

    @app.route("/api/ready", methods=["GET"])
    def ready(self, request: Any) -> bytes:
        """Whether the doors are open and the workers up, and the server has not been told to end."""
        ready, content = self._ready()
        request.setResponseCode(200 if ready else 503)
        return json.encode(content)

    @app.route("/metrics", methods=["GET"])
    def metrics(self, request: Any) -> bytes:
        """The server's figures for Prometheus, unless METRICS_PORT gives them a port of their own."""
        if self._metrics is None:
            raise NotFound
        return self._metrics(request)

    @app.route("/api/ledger", methods=["GET"])
    def ledger(self, request: Any) -> bytes:
        """What came in and what became of it, all of one moment."""
        return json.encode(self._ledger())

    @app.route("/api/recent/<count>", methods=["GET"])
    def recent(self, request: Any, count: str) -> bytes:
        """The last points, oldest first."""
        most = COUNT.whole(count)
        if most is None:
            request.setResponseCode(400)
            return error_body(f"{count[:40]!a} is no whole number of 0 or more")
        ring = self._hub.ring
        raws = ring.newest(most)
        return recent(self._hub.epoch, ring.last_seq - len(raws) + 1, raws)

    @app.route("/api/cars", methods=["GET"])
    def cars(self, request: Any) -> bytes:
        """What is known of each car."""
        return json.encode({"cars": self._hub.cars.known(self._seconds())})

    @app.route("/api/laps", methods=["GET"])
    def laps(self, request: Any) -> bytes:
        """The laps driven, oldest first, and what they come to."""
        return self._table(request, lambda asked: tables.laps(self._race, asked))

    @app.route("/api/gaps", methods=["GET"])
    def gaps(self, request: Any) -> bytes:
        """Positions and gaps now."""
        return self._table(request, lambda asked: tables.gaps(self._race, asked))

    @app.route("/api/score", methods=["GET"])
    def score(self, request: Any) -> bytes:
        """How good the forecasts were."""
        return self._table(request, lambda asked: tables.score(self._race, asked))

    @app.route("/api/insights", methods=["GET"])
    def insights(self, request: Any) -> bytes:
        """The last insights, or those that stand, oldest first."""
        return self._table(request, lambda asked: tables.insights(self._race, asked))

    @app.route("/api/insights/<insight_id>", methods=["GET"])
    def insight(self, request: Any, insight_id: str) -> bytes:
        """One insight, computed again from its inputs, and what the ring says to it."""
        return self._table(request, lambda asked: tables.insight(self._race, self._hub.ring, insight_id, asked))

    @cached_property
    def _openapi(self) -> bytes:
        return json.encode(openapi.document(self.app.url_map.iter_rules(), type(self), self.gate.locked))

    @cached_property
    def _asyncapi(self) -> bytes:
        return json.encode(asyncapi.document(self._ws_path, self.gate.locked))

    def _table(self, request: Any, answer: Callable[[Asked], Formats]) -> bytes:
        """An answer in the form that is asked for."""
        self._vary_by_accept(request)
        try:
            found: Answer = tables.render(Asked(request.args, _accept(request)), answer)
        except TableError as error:
            request.setResponseCode(error.status)
            return error_body(str(error))
        request.setHeader(b"content-type", found.content_type)
        return found.body

    def _vary_by_accept(self, request: Any) -> None:
        vary = [*request.responseHeaders.getRawHeaders(b"vary", []), b"Accept"]
        request.setHeader(b"vary", b", ".join(vary))

    @app.route("/api/ingest", methods=["POST"])
    def ingest(self, request: Any) -> Any:
        """Points in: one, an array, lines or CSV; what is wrong with a row never costs the others."""
        return self._ingest(request)

    @app.route("/api/ticket", methods=["POST"])
    def ticket(self, request: Any) -> bytes:
        """A ticket for one connection to the WebSocket, within half a minute, for pages; elsewhere the key will do."""
        return json.encode(TicketAnswer(True, self.gate.ticket(request), TICKET_S))

    @app.route("/client/<name>", methods=["GET"])
    def client(self, request: Any, name: str) -> bytes:
        """The browser client, of the version of this server."""
        if name not in CLIENT_FILES:
            raise NotFound
        request.setHeader(b"content-type", CLIENT_FILES[name])
        return _client_file(name)

    @app.route("/dashboard/<asset>", methods=["GET"])
    async def dashboard(self, request: Any, asset: str) -> bytes:
        """A module, a style sheet or an image of the dashboard, which is at `/`, or its plotting library."""
        if asset == self._plotting.name and (script := await self._plotting.answer(request)) is not None:
            return script
        if asset not in names():
            raise NotFound
        return file(asset).answer(request)

    @app.route("/docs", methods=["GET"], strict_slashes=False)
    def docs(self, request: Any) -> bytes:
        """These resources and the messages of the WebSocket, as a page for people, with a live view of the messages."""
        return self._reference.answer(request)

    @app.route("/docs/<asset>", methods=["GET"])
    def docs_file(self, request: Any, asset: str) -> bytes:
        """A module or a style sheet of the page at `/docs`."""
        if asset not in names(REFERENCE):
            raise NotFound
        return file(asset, REFERENCE).answer(request)

    @app.handle_errors(DeniedError)
    def denied(self, request: Any, failure: Any) -> bytes:
        """It has no key for that."""
        deny(request, failure.value)
        return error_body(str(failure.value))

    @app.handle_errors(NotFound)
    def not_found(self, request: Any, failure: Any) -> bytes:
        """There is no such path."""
        request.setResponseCode(404)
        return error_body("no such path")

    @app.handle_errors(MethodNotAllowed)
    def not_allowed(self, request: Any, failure: Any) -> bytes:
        """The path is there, but not for that method."""
        allowed = sorted({*(failure.value.valid_methods or ()), "OPTIONS"})
        return self.wrong_method(request, allowed)

    @app.handle_errors(HTTPException)
    def refused(self, request: Any, failure: Any) -> bytes:
        """Whatever else the router refuses, such as a redirect it would like."""
        request.setResponseCode(400)
        return error_body("not a request this server takes")

    @app.handle_errors(Exception)
    def failed(self, request: Any, failure: Any) -> bytes:
        """A fault of ours."""
        self.log.failure("a request failed", failure)
        request.setResponseCode(500)
        return error_body("internal error")

    def allowed(self, path: bytes) -> Iterable[str]:
        """The methods that a path is made for; all that any is made for where it leads nowhere."""
        rules = self.app.url_map
        found = rules.bind("").allowed_methods(unquote_to_bytes(path).decode(errors="replace"))
        return found or {method for rule in rules.iter_rules() for method in rule.methods or ()}

    def wrong_method(self, request: Any, allowed: list[str]) -> bytes:
        """The answer 405 with the methods that are allowed."""
        request.setResponseCode(405)
        request.setHeader(b"allow", ", ".join(allowed).encode())
        return error_body(f"the method is not allowed here, only {', '.join(allowed)}")


class Root(Resource):
    """
    Every request comes here first: the WebSocket by its exact path, all else to Klein.

    Args:
        api: the REST resources.
        ws_path: where the WebSocket is.
        websocket: the resource behind it.
        running: whether the server runs; when it ends, it takes neither points nor clients any more.
    """

    isLeaf = True

    def __init__(
        self, api: RestAPI, ws_path: str, websocket: Resource, running: Callable[[], bool] = lambda: True
    ) -> None:
        super().__init__()
        self._running = running
        self._api = api
        self._klein = api.app.resource()
        self._ws_path = ws_path.encode()
        self._websocket = websocket

    def render(self, request: Any) -> Any:
        """Answer a request."""
        self._api.prepare(request)
        if not _METHOD.fullmatch(request.method):
            request.setResponseCode(400)
            return error_body("not an HTTP method")
        if not _one_host(request):
            request.setResponseCode(400)
            request.setHeader(b"connection", b"close")
            request.channel.persistent = False
            return error_body("wanted one Host header, with a host and perhaps a port")
        if request.method == b"OPTIONS":
            return self._options(request)
        if request.method not in _HARMLESS and not self._api.may_change(request):
            request.setResponseCode(403)
            return error_body("pages from this origin may not post; see ALLOWED_ORIGINS")
        if not _routable(request):
            request.setResponseCode(400)
            return error_body("wanted a path from / on, in UTF-8")
        if (request.method == b"POST" or request.path == self._ws_path) and not self._running():
            request.setResponseCode(503)
            return error_body("the server is going away")
        if request.path == self._ws_path:
            return self._websocket.render(request)
        try:
            return self._klein.render(request)
        except Exception:
            # Klein binds the Host header before its error handlers are in place.
            request.setResponseCode(400)
            return error_body("not a request this server takes")

    def _options(self, request: Any) -> bytes:
        allowed = ["GET"] if request.path == self._ws_path else self._api.allowed(request.path)
        request.setHeader(b"allow", ", ".join(sorted({*allowed, "OPTIONS"})).encode())
        request.setHeader(b"access-control-allow-methods", b"GET, HEAD, POST, OPTIONS")
        request.setHeader(b"access-control-allow-headers", b"Content-Type, Content-Encoding, Authorization")
        request.setHeader(b"access-control-max-age", b"600")
        request.setResponseCode(204)
        request.responseHeaders.removeHeader(b"content-type")
        return b""


class WebSocketDoor(Resource):
    """
    Lets a browser or a program into the WebSocket, or says in JSON why not.

    Args:
        websocket: Autobahn's resource.
        origins: which pages may connect.
        gate: who may connect.
        enter: called with the key of whoever is let in, just before; None where none is needed.
    """

    isLeaf = True

    def __init__(
        self,
        websocket: Any,
        origins: OriginPolicy,
        gate: Gate,
        enter: Callable[[Key | None], object],
    ) -> None:
        super().__init__()
        self._gate = gate
        self._enter = enter
        self._websocket = websocket
        self._origins = origins

    def render(self, request: Any) -> Any:
        """Hand the connection over to the WebSocket."""
        if request.method != b"GET":
            request.setResponseCode(405)
            request.setHeader(b"allow", b"GET")
            return error_body("the method is not allowed here, only GET")
        upgrade = _text(request.getHeader(b"upgrade")) or ""
        if "websocket" not in upgrade.lower():
            request.setResponseCode(426, b"Upgrade Required")
            request.setHeader(b"upgrade", b"websocket")
            return error_body("this is a WebSocket, wanted an upgrade to it")
        if request.clientproto != b"HTTP/1.1":  # Autobahn does not get to know it
            request.setResponseCode(505)
            return error_body("wanted HTTP/1.1, before it there is no upgrade")
        versions = request.requestHeaders.getRawHeaders(b"sec-websocket-version", [b"13"])
        if versions != [b"13"]:
            request.setResponseCode(426, b"Upgrade Required")
            request.setHeader(b"upgrade", b"websocket")
            request.setHeader(b"sec-websocket-version", b"13")
            return error_body("wanted Sec-WebSocket-Version 13")
        if not self._origins.allows(_text(request.getHeader(b"origin")), _text(request.getHeader(b"host"))):
            request.setResponseCode(403)
            return error_body("pages from this origin may not connect; see ALLOWED_ORIGINS")
        try:
            key = self._gate.enter(request)
        except DeniedError as error:
            deny(request, error)
            return error_body(str(error))
        self._enter(key)
        request.channel.leave_to_websocket()
        self._websocket.render(request)
        return NOT_DONE_YET


@cache
def _client_file(name: str) -> bytes:
    return files("pitwall.serve").joinpath("static", name).read_bytes()


def _one_host(request: Any) -> bool:
    """Whether it says for which host it is, once (RFC 9112, section 3.2); before HTTP/1.1 it need not."""
    hosts = request.requestHeaders.getRawHeaders(b"host", ())
    fewest = 1 if request.clientproto == b"HTTP/1.1" else 0
    return fewest <= len(hosts) <= 1 and all(map(_HOST.fullmatch, hosts))


def _routable(request: Any) -> bool:
    """Whether Klein can make sense of it; else it would log a traceback and answer in plain text."""
    try:
        b"/".join(request.postpath).decode()
        request.getRequestHostname().decode()
    except UnicodeDecodeError:
        return False
    return bool(request.path.startswith(b"/"))


def _accept(request: Any) -> str:
    return b",".join(request.requestHeaders.getRawHeaders(b"accept", [])).decode("latin-1")


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")
