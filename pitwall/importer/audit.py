"""
The equations of a server's books, and whether they hold.

A door: what was received was accepted, refused, a duplicate, or is pending. A client:
what was accepted since it joined was delivered, conflated, filtered, dropped, or is
pending. The ring has a number for each point that the doors published, and each
number is a row for the workers, or will be. No figure is below zero.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class DoorLine(msgspec.Struct):
    """What came in by a door, in one unit: points, or rows."""

    door: str
    unit: str
    received: int
    accepted: int
    refused: dict[str, int]
    duplicate: int
    pending: int


class ClientLine(msgspec.Struct):
    """What a client got; all in points."""

    id: int
    address: str
    since: str
    accepted: int
    delivered: int
    conflated: int
    filtered: int
    dropped: int
    pending: int


class Ring(msgspec.Struct):
    """The points that all doors published, and the number of the last one."""

    published: int
    last_seq: int


class Workers(msgspec.Struct):
    """Rows for the workers; those that were overwritten before one had read them are counted apart."""

    published: int
    written: int
    pending: int
    overwritten: int


class Books(msgspec.Struct):
    """The answer of ``GET /api/ledger``, as far as it is checked or shown."""

    now: str
    doors: list[DoorLine]
    ring: Ring
    workers: Workers
    clients: list[ClientLine]
    udp_kernel_drops: int
    http_bodies_under_way: int
    insights: int


class Equation(NamedTuple):
    """
    One equation, and how it stands.

    Attributes:
        name: what it is about: ``udp points``, ``client 3``.
        total: the left side, by its name.
        parts: the right side, in order.
    """

    name: str
    total: tuple[str, int]
    parts: dict[str, int]

    @property
    def exact(self) -> bool:
        """Whether both sides are the same and nothing is below zero."""
        return self.total[1] == sum(self.parts.values()) and min(self.total[1], *self.parts.values()) >= 0

    def __str__(self) -> str:
        right = " + ".join(f"{count} {name}" for name, count in self.parts.items())
        return f"{self.name}: {self.total[1]} {self.total[0]}, but {right} = {sum(self.parts.values())}"


def equations(books: Books) -> list[Equation]:
    """Every equation of the books, exact or not."""
    found = []
    for door in books.doors:
        parts = {"accepted": door.accepted}
        parts |= {f"refused ({reason})": count for reason, count in sorted(door.refused.items())}
        parts |= {"duplicate": door.duplicate, "pending": door.pending}
        found.append(Equation(f"{door.door} {door.unit}", ("received", door.received), parts))
    for client in books.clients:
        names = ("delivered", "conflated", "filtered", "dropped", "pending")
        got = {name: int(getattr(client, name)) for name in names}
        found.append(Equation(f"client {client.id}", ("accepted", client.accepted), got))
    ring, workers = books.ring, books.workers
    found.append(Equation("ring", ("published", ring.published), {"numbered": ring.last_seq}))
    written = {"written": workers.written, "pending": workers.pending}
    found.append(Equation("workers", ("published", workers.published), written))
    return found
