"""
The stream of a PitWall server, from asyncio: ``PitWallClient`` (see ``docs/clients.md``).

Needs the extra ``client``, that is ``websockets`` and, for the encoding of that name, ``msgpack``, and nothing else
of PitWall.
"""

from pitwall.client.backoff import Backoff
from pitwall.client.connection import ClientError, PitWallClient, RefusedError
from pitwall.client.stream import Counters, Message, Position, StreamError
from pitwall.client.subscription import Subscription

__all__ = [
    "Backoff",
    "ClientError",
    "Counters",
    "Message",
    "PitWallClient",
    "Position",
    "RefusedError",
    "StreamError",
    "Subscription",
]
