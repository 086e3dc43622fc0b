"""
``pitwall audit``: fetch a server's books and check every equation in them.

They are of one moment of the server, so they are exact while telemetry flows too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import msgspec
import treq
from rich import box
from rich.console import Console
from rich.table import Table

from pitwall.importer.audit import Books, Equation, equations
from pitwall.importer.screen import plain_console

#: How long the server may take [s].
_TIMEOUT_S = 10.0


class NoBooksError(Exception):
    """There are no books to check; the message says why."""


async def run(reactor: Any, arguments: argparse.Namespace) -> NoReturn:
    """
    Audit the server of the arguments.

    Raises:
        SystemExit: always, with the status of the process: 0 when every equation is exact.
    """
    try:
        books = await fetch(arguments.server, treq.get, arguments.key)
    except NoBooksError as error:
        sys.stderr.write(f"pitwall audit: {error}\n")
        raise SystemExit(1) from None
    raise SystemExit(report(books, arguments.json))


async def fetch(server: str, get: Callable[..., Any], key: str | None = None) -> Books:
    """
    The books of a server.

    Args:
        server: its URL.
        get: as treq's.
        key: the server's, if it wants one.

    Raises:
        NoBooksError: it can't be reached, or answers something else.
    """
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        response = await get(f"{server}/api/ledger", headers=headers, timeout=_TIMEOUT_S)
        content = await response.content()
    except Exception as error:  # whatever a network has in store
        reasons = getattr(error, "reasons", None)
        why = reasons[0].getErrorMessage() if reasons else str(error) or type(error).__name__
        raise NoBooksError(f"{server} can't be asked: {why}") from None
    if response.code != 200:
        hint = "; it wants a key that may read" if response.code in (401, 403) else ""
        raise NoBooksError(f"{server}/api/ledger answers {response.code}, wanted 200{hint}")
    return books_in(content, server)


def books_in(content: bytes, server: str) -> Books:
    """
    The books in the answer of a server.

    Raises:
        NoBooksError: it is something else.
    """
    try:
        return msgspec.json.decode(content, type=Books)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NoBooksError(f"{server}/api/ledger is no ledger: {error}") from None


def report(books: Books, as_json: bool) -> int:
    """Say how the books stand; returns 0 when every equation is exact, else 1."""
    found = equations(books)
    wrong = [equation for equation in found if not equation.exact]
    if as_json:
        content: dict[str, Any] = {
            "ok": not wrong,
            "wrong": list(map(str, wrong)),
            "equations": list(map(_told, found)),
        }
        apart = ("now", "udp_kernel_drops", "http_bodies_under_way", "insights")
        content |= {name: getattr(books, name) for name in apart}
        content["overwritten"] = books.workers.overwritten
        sys.stdout.write(msgspec.json.encode(content).decode() + "\n")
    else:
        print_lines(plain_console(), books, found)
    sys.stdout.flush()
    for equation in wrong:
        sys.stderr.write(f"pitwall audit: not exact: {equation}\n")
    return int(bool(wrong))


def print_lines(console: Console, books: Books, found: Sequence[Equation]) -> None:
    """The doors, the clients, what is counted apart, and whether all of it is exact."""
    exact = {equation.name: "yes" if equation.exact else "NO" for equation in found}
    table = _table("door", "unit", right=("received", "accepted", "refused", "duplicate", "pending", "exact"))
    for door in books.doors:
        figures = (door.received, door.accepted, sum(door.refused.values()), door.duplicate, door.pending)
        table.add_row(door.door, door.unit, *map(_figure, figures), exact[f"{door.door} {door.unit}"])
    console.print(table)
    refused = [(door, reason, count) for door in books.doors for reason, count in sorted(door.refused.items())]
    if refused:
        table = _table("refused by", "unit", "because of", right=("count",))
        for door, reason, count in refused:
            table.add_row(door.door, door.unit, reason, _figure(count))
        console.print(table)
    if books.clients:
        names = ("accepted", "delivered", "conflated", "filtered", "dropped", "pending")
        table = _table("client", "address", "since", right=(*names, "exact"))
        for client in books.clients:
            got = [_figure(getattr(client, name)) for name in names]
            table.add_row(str(client.id), client.address, client.since, *got, exact[f"client {client.id}"])
        console.print(table)
    table = _table("in the ring and for the workers", right=("published", "numbered or written", "pending", "exact"))
    table.add_row("ring", _figure(books.ring.published), _figure(books.ring.last_seq), "0", exact["ring"])
    workers = books.workers
    table.add_row("workers", *map(_figure, (workers.published, workers.written, workers.pending)), exact["workers"])
    console.print(table)
    table = _table("apart", right=("count",))
    table.add_row("datagrams dropped by the kernel", _figure(books.udp_kernel_drops))
    table.add_row("rows overwritten before a worker read them", _figure(workers.overwritten))
    table.add_row("posted bodies under way", _figure(books.http_bodies_under_way))
    table.add_row("insights said", _figure(books.insights))
    console.print(table)
    wrong = sum(not equation.exact for equation in found)
    verdict = f"{wrong} of {len(found)} equations are not exact" if wrong else f"all {len(found)} equations are exact"
    console.print(verdict)


def _table(*left: str, right: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _figure(count: int) -> str:
    return f"{count:,}"


def _told(equation: Equation) -> dict[str, Any]:
    name, total = equation.total
    return {"name": equation.name, "exact": equation.exact, name: total, "parts": equation.parts}
