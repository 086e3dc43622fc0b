"""
The answer of ``GET /api/ledger``: what came in, what became of it, and what each client got.

All of it is read in one reactor turn, between two of which every counter is settled: a
door counts what it takes, refuses and publishes without giving the turn away. What is
received is counted where a text is cut into rows, before they are decoded; what is
pending is counted in the instants that hold it. So no figure is made of the others,
and `pitwall audit` can find a row that was lost between them. See ``docs/ledger.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pitwall.hub import Hub
from pitwall.model.point import iso_utc
from pitwall.serve.live.broadcast import Broadcaster


class Books:
    """
    The server's books.

    Args:
        hub: what came in.
        broadcaster: what went out.
        held: by door, the rows that are not in a point yet; names every door there is.
        kernel_drops: datagrams that the kernel had no room for.
        bodies: posted bodies that are half read.
        insights: insights said so far.
    """

    def __init__(
        self,
        hub: Hub,
        broadcaster: Broadcaster,
        held: Callable[[], dict[str, int]],
        kernel_drops: Callable[[], int] = int,
        bodies: Callable[[], int] = int,
        insights: Callable[[], int] = int,
    ) -> None:
        self._hub = hub
        self._broadcaster = broadcaster
        self._held = held
        self._kernel_drops = kernel_drops
        self._bodies = bodies
        self._insights = insights

    def answer(self, now: float) -> dict[str, Any]:
        """The whole answer; ``now`` is in s since 1970."""
        hub, ledger = self._hub, self._hub.ledger
        return {
            "now": iso_utc(now),
            "epoch": hub.epoch,
            "doors": self._doors(),
            "ring": {"published": ledger.points_accepted, "last_seq": hub.last_seq},
            "workers": {
                "published": hub.last_seq,
                "written": hub.rows.published,
                "pending": hub.staged,
                "overwritten": ledger.aggregation_missed,
            },
            "clients": [self._client(client) for client in self._broadcaster.clients],
            "udp_kernel_drops": self._kernel_drops(),
            "http_bodies_under_way": self._bodies(),
            "insights": self._insights(),
        }

    def _doors(self) -> list[dict[str, Any]]:
        """Two lines for each door: points that came by themselves, and rows of the long form and lap triggers."""
        ledger, held = self._hub.ledger, self._held()
        lines = []
        for door in dict.fromkeys((*held, *ledger.accepted, *ledger.received, *ledger.rows)):
            of_rows = {reason: count for (name, reason), count in ledger.rows_refused.items() if name == door}
            of_all = {reason: count for (name, reason), count in ledger.refused.items() if name == door}
            of_points = {reason: count - of_rows.get(reason, 0) for reason, count in of_all.items()}
            if ledger.rows_set_back[door]:
                of_rows["set_back"] = ledger.rows_set_back[door]
            rows: Mapping[str, int] = ledger.rows.get(door, {})
            lines += [
                {
                    "door": door,
                    "unit": "points",
                    "received": ledger.received[door],
                    "accepted": ledger.accepted[door] - ledger.points_joined[door],
                    "refused": {reason: count for reason, count in of_points.items() if count},
                    "duplicate": 0,
                    "pending": 0,
                },
                {
                    "door": door,
                    "unit": "rows",
                    "received": rows.get("rows", 0),
                    "accepted": ledger.rows_joined[door],
                    "refused": of_rows,
                    "duplicate": rows.get("duplicates", 0),
                    "pending": held.get(door, 0),
                    "joined_points": ledger.points_joined[door],
                },
            ]
        return lines

    def _client(self, client: Any) -> dict[str, Any]:
        """A line for a client."""
        last_seq, delivery = self._hub.last_seq, client.delivery
        delivery.settle()
        return {
            "id": client.number,
            "address": client.peer,
            "since": iso_utc(client.joined_at),
            "accepted": last_seq - delivery.joined_seq,
            "delivered": delivery.delivered,
            "conflated": delivery.conflated,
            "filtered": delivery.filtered,
            "dropped": delivery.dropped,
            "pending": last_seq - delivery.reached,
        }
