"""The AsyncAPI document of the WebSocket: what the server sends and what it takes."""

from __future__ import annotations

from typing import Any, Final

from pitwall import __version__
from pitwall.contract.examples import example
from pitwall.contract.messages import (
    CLIENT_SENDS,
    CLOSE_CODES,
    PACKED,
    REFUSALS,
    SERVER_SENDS,
    SUBPROTOCOLS,
    WHEN,
    Query,
)
from pitwall.contract.schemas import components, ref

VERSION: Final = "3.0.0"
#: The one channel there is.
CHANNEL: Final = "realtime"

_ABOUT: Final = (
    "A client need not say anything but answer pings. It gets every telemetry_update and every insight_update; by the"
    " query of the address, or by the message subscribe, it gets less. Members and types of message may be added at any"
    " time: ignore what you do not know. No member ever changes its meaning, type or unit."
)


#: How a client says who it is.
_SCHEMES: Final[dict[str, Any]] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "a key with the scope read, in the header Authorization",
    },
    "ticket": {
        "type": "httpApiKey",
        "in": "query",
        "name": "ticket",
        "description": "for pages, which have no headers: of POST /api/ticket, for one connection within half a minute",
    },
}


def document(path: str, locked: bool = False) -> dict[str, Any]:
    """
    The document.

    Args:
        path: where the WebSocket is.
        locked: whether a key is needed.
    """
    security = [{"$ref": f"#/components/securitySchemes/{name}"} for name in _SCHEMES]
    schemas = components((*SERVER_SENDS, *CLIENT_SENDS, Query))
    query = schemas.pop(Query.__name__)
    types = (*SERVER_SENDS, *CLIENT_SENDS)
    return {
        "asyncapi": VERSION,
        "info": {"title": "PitWall", "version": __version__, "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {
            "pitwall": {
                "host": "{host}",
                "protocol": "ws",
                "description": "This server.",
                "variables": {"host": {"default": "localhost:8081", "description": "HOST:PORT"}},
                **({"security": security} if locked else {}),
            }
        },
        "channels": {
            CHANNEL: {
                "address": path,
                "title": "The stream",
                "description": _channel_text(),
                "messages": {type_.__name__: {"$ref": f"#/components/messages/{type_.__name__}"} for type_ in types},
                "bindings": {
                    "ws": {
                        "method": "GET",
                        "query": query,
                        "headers": {
                            "type": "object",
                            "properties": {
                                "Sec-WebSocket-Protocol": {
                                    "type": "string",
                                    "description": "the form of the stream; the first one that is known is taken",
                                    "enum": list(SUBPROTOCOLS),
                                }
                            },
                        },
                        "bindingVersion": "0.1.0",
                    }
                },
                "x-close-codes": {str(code): what for code, what in CLOSE_CODES.items()},
                "x-refusals": {str(status): what for status, what in REFUSALS.items()},
                "x-subprotocols": SUBPROTOCOLS,
            }
        },
        "operations": {
            "stream": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{CHANNEL}"},
                "summary": "What clients get.",
                "messages": [_message(type_) for type_ in SERVER_SENDS],
            },
            **{
                type_.__name__.lower(): {
                    "action": "receive",
                    "channel": {"$ref": f"#/channels/{CHANNEL}"},
                    "summary": _summary(type_),
                    "messages": [_message(type_)],
                    "reply": {
                        "channel": {"$ref": f"#/channels/{CHANNEL}"},
                        "messages": [_message(answer) for answer in answers],
                    },
                }
                for type_, answers in CLIENT_SENDS.items()
            },
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": _SCHEMES,
            "messages": {
                type_.__name__: {
                    "name": type_.__struct_config__.tag,
                    "title": type_.__name__,
                    "summary": _summary(type_),
                    "description": WHEN[type_],
                    "contentType": "application/msgpack" if type_ in PACKED else "application/json",
                    "payload": ref(type_),
                    "examples": [{"payload": example(type_)}],
                }
                for type_ in types
            },
        },
    }


def _channel_text() -> str:
    subprotocols = "\n".join(f"- `{name}`: {what}" for name, what in SUBPROTOCOLS.items())
    codes = "\n".join(f"- {code}: {what}" for code, what in CLOSE_CODES.items())
    refusals = "\n".join(f"- {status}: {what}" for status, what in REFUSALS.items())
    return (
        f"Subprotocols:\n\n{subprotocols}\n\nClose codes:\n\n{codes}\n\n"
        f"Answers in place of the handshake, in JSON:\n\n{refusals}"
    )


def _summary(type_: Any) -> str:
    return str(type_.__doc__).strip().split("\n\n")[0]


def _message(type_: Any) -> dict[str, str]:
    return {"$ref": f"#/channels/{CHANNEL}/messages/{type_.__name__}"}
