"""How late the reactor is: what a timer that should fire every 50 ms is behind by."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall

from pitwall.histogram import Histogram

#: From one look to the next [s]; what holds the reactor for longer is seen in full.
EVERY_S = 0.05
#: Looks kept: five minutes.
_KEPT = 6000


class ReactorLag(Service):
    """
    Measures from start to stop.

    Args:
        clock: the reactor.

    Attributes:
        histogram: of every look since the start.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.histogram = Histogram()
        self._late_s: deque[float] = deque(maxlen=_KEPT)
        self._call: IDelayedCall | None = None

    def startService(self) -> None:
        """Start to measure."""
        super().startService()
        self._again()

    def stopService(self) -> None:
        """Stop."""
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def figures(self) -> dict[str, float]:
        """Percentiles over the last five minutes [ms]; zeros before there is a look."""
        late = sorted(self._late_s) or [0.0]
        shares = {"p50": 0.5, "p99": 0.99, "p99_9": 0.999, "max": 1.0}
        return {name: round(late[int(share * (len(late) - 1))] * 1000, 2) for name, share in shares.items()}

    def _again(self) -> None:
        self._due = self._clock.seconds() + EVERY_S
        self._call = self._clock.callLater(EVERY_S, self._look)

    def _look(self) -> None:
        late_s = max(self._clock.seconds() - self._due, 0.0)
        self._late_s.append(late_s)
        self.histogram.observe(late_s)
        self._again()
