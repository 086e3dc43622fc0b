"""The streams there are, one for each subscription that a client has."""

from __future__ import annotations

from collections.abc import Iterator

from pitwall.serve.live.conflation import Columns
from pitwall.serve.live.stream import PLAIN_KEY, Stream, StreamKey
from pitwall.serve.live.subscription import FullError


class Streams:
    """
    Makes a stream for the first client of a subscription, and lets it go with the last.

    Args:
        epoch: of the hub.
        most: how many different subscriptions there may be at a time.
    """

    def __init__(self, epoch: str, most: int) -> None:
        self.columns = Columns()
        self._epoch = epoch
        self._most = most
        self._streams: dict[StreamKey | None, Stream] = {}

    def __iter__(self) -> Iterator[Stream]:
        return iter(tuple(self._streams.values()))

    def __len__(self) -> int:
        return len(self._streams)

    def get(self, key: StreamKey | None, seq: int, left: Stream | None = None) -> Stream:
        """
        The stream of a subscription; a new one begins after point ``seq``.

        Args:
            key: the subscription.
            seq: the last point that was flushed.
            left: the stream that a client is about to leave for it.

        Raises:
            FullError: there are too many different subscriptions.
        """
        stream = self._streams.get(key)
        if stream is None:
            self.check(key, left)
            stream = self._streams[key] = Stream(key, self._epoch, seq, self.columns)
        return stream

    def check(self, key: StreamKey | None, left: Stream | None = None) -> None:
        """
        Whether there is room for a subscription.

        Raises:
            FullError: there is none.
        """
        gone = left is not None and len(left.clients) == 1
        if key not in self._streams and len(self._streams) - gone >= self._most and key != PLAIN_KEY:
            raise FullError(f"{self._most} different subscriptions are served already (MAX_SUBSCRIPTIONS)")

    def left(self, stream: Stream) -> bool:
        """A client has left a stream; whether it has gone, for it was the last."""
        if stream.clients:
            return False
        del self._streams[stream.key]
        return True
