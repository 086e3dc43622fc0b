"""What a live door has decoded, on its way into the hub; and the instants that wait for their time to be over."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pitwall.hub import Hub
from pitwall.wire.live import LiveDecoder
from pitwall.wire.livejoiner import WAIT_S
from pitwall.wire.points import Decoded
from pitwall.wire.tally import Tally


class LiveIntake:
    """
    Takes points in for one door.

    Args:
        hub: gets the points.
        door: its name in the ledger.
        decoder: of the door's messages.
        seconds: tells the time [s since 1970].
        later: calls something after so many seconds, as ``reactor.callLater`` does.
    """

    def __init__(
        self,
        hub: Hub,
        door: str,
        decoder: LiveDecoder,
        seconds: Callable[[], float],
        later: Callable[[float, Callable[[], None]], Any],
    ) -> None:
        self.decoder = decoder
        self.seconds = seconds
        self._hub = hub
        self._door = door
        self._later = later
        #: The call that lets what has waited long enough go.
        self._call: Any = None

    def take(self, decoded: Decoded, received_at: float) -> Tally:
        """Publish what was decoded and count what was refused; returns what became of rows."""
        for refusal in decoded.refused:
            self._hub.refuse(self._door, refusal.error.reason)
        self._hub.publish(self._door, decoded.points, decoded.raws, received_at)
        joiner = self.decoder.joiner
        tally = joiner.tally
        if tally:
            tally = self.decoder.tally
        self._hub.book(self._door, tally)
        if joiner.waiting and self._call is None:
            self._call = self._later(WAIT_S, self._overdue)
        return tally

    def turn_away(self, reason: str) -> None:
        """Count what is not looked at."""
        self._hub.receive(self._door)
        self._hub.refuse(self._door, reason)

    def flush(self) -> None:
        """Publish what waits: nothing more comes."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self.decoder.joiner.overdue(math.inf)
        now = self.seconds()
        self.take(self.decoder.overdue(now), now)

    def _overdue(self) -> None:
        self._call = None
        now = self.seconds()
        self.take(self.decoder.overdue(now), now)
