"""The decoders of what other processes say: workers and their checkpoints, and the server at the end of a command."""

from __future__ import annotations

import os
import random
import struct
from collections import deque
from typing import Any
from zlib import crc32

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from benchmarks.fuzz import forms
from benchmarks.fuzz.oracle import strict
from benchmarks.fuzz.target import ACCEPTED, Broken, Target
from pitwall.hub import Hub
from pitwall.importer.audit import Books, equations
from pitwall.importer.audit_command import NoBooksError, books_in
from pitwall.importer.batches import BatchSize
from pitwall.importer.courier import Courier, SendError
from pitwall.importer.tally import Answer, Tally
from pitwall.keys.key import INGEST, READ, Key, Keys
from pitwall.model.track import packaged_tracks
from pitwall.pool.checkpoint import Checkpoint, CheckpointStore
from pitwall.pool.commands import Aggregate
from pitwall.pool.service import Laid, Partition
from pitwall.race.report import CarReport
from pitwall.race.share import Share, TickMark
from pitwall.ring import PointRing
from pitwall.rows import SharedRows
from pitwall.serve.auth import Gate
from pitwall.serve.tickets import Tickets
from pitwall.sim import Race, RaceConfig
from tests.unit.race.recordings import rows_of

_HEAD = struct.Struct("<QQQ")
_SLOT = 1 << 18


def _remembered() -> tuple[bytes, bytes]:
    """What a worker stores, and what it says, after some seconds of a race."""
    rows, numbers = rows_of(Race(RaceConfig(cars=1, rate_hz=10)).points(0, 20))
    share = Share(packaged_tracks(), 0.6)
    share.know([(number, "barber", chassis) for chassis, number in numbers.items()], [])
    told = share.take(rows[:100])
    state = msgspec.msgpack.encode(Checkpoint(100, share.store()))
    report = CarReport(1, "barber", "b", {"chassis": "b", "meta": {}})
    return state, msgspec.msgpack.encode([*told.marks[:3], *told.cars[:3], report, TickMark("barber", 1, 2)])


_STATE, _SAID = _remembered()


class Checkpoints(Target):
    """Two slots of shared memory: what was stored last and is whole, or nothing."""

    name = "checkpoints"
    of = ("pitwall.pool.checkpoint", "pitwall.race.share")
    samples = (_STATE, _HEAD.pack(1, len(_STATE), crc32(_STATE)) + _STATE)

    def __init__(self) -> None:
        self._fd = os.memfd_create("pitwall-fuzz")
        os.ftruncate(self._fd, 2 * _SLOT)
        self._store = CheckpointStore(f"/proc/self/fd/{self._fd}", 0, 1)

    def close(self) -> None:
        """See `Target`."""
        self._store.close()
        os.close(self._fd)

    def decode(self, data: bytes) -> str:
        """What the decoder makes of it."""
        # Every other one as it stands, for most of what is changed in a slot only shows that it is not whole.
        slot = data if data[:1] < b"\x80" else _HEAD.pack(1, len(data), crc32(data)) + data
        os.pwrite(self._fd, bytes(_HEAD.size) + slot[:_SLOT], 0)
        os.pwrite(self._fd, slot[:_SLOT].ljust(_HEAD.size, b"\0"), 0)
        os.pwrite(self._fd, bytes(_HEAD.size), _SLOT)
        self._store._generation = 0
        found = self._store.load()
        return "nothing" if found is None else f"{found.read_seq} {sorted(found.share.cars)}"

    def judge(self, data: bytes, found: str) -> str:
        """See `Target`."""
        return found if found == "nothing" else ACCEPTED


class _Pool:
    """A worker that says what it is told to say."""

    started_count, running, answered = 1, True, True

    def __init__(self) -> None:
        self.part = b""
        self.ended = 0

    def doWork(self, command: Any, **arguments: Any) -> Deferred[Any]:
        """The answer."""
        answer = {"read": 5, "missed": 0, "took_us": 10, "parts": 1, "part": self.part}
        return succeed(answer if command is Aggregate else {})

    def end_process(self) -> None:
        """It is ended, and another one comes."""
        self.ended += 1


class Reports(Target):
    """The reports of a worker: what it says, or it is replaced."""

    name = "amp reports"
    of = ("pitwall.pool.service", "pitwall.pool.commands")
    samples = (_SAID,)

    def __init__(self) -> None:
        self._rows = SharedRows(64)
        self._pool = _Pool()
        pool: Any = self._pool
        laid = deque([Laid(packaged_tracks(), 0)])
        self._partition = Partition(Hub(PointRing(10), self._rows, epoch="abcd"), pool, 0, 0.0, laid)

    def close(self) -> None:
        """See `Target`."""
        self._rows.close()

    def decode(self, data: bytes) -> list[Any]:
        """What the decoder makes of it."""
        self._pool.part, self._pool.ended = data, 0
        found: list[Any] = []
        Deferred.fromCoroutine(self._partition.aggregate()).addCallback(found.extend)
        if self._pool.ended and found:
            raise Broken("a worker that is replaced has said something")
        return found

    def same(self, one: list[Any], other: list[Any]) -> bool:
        """See `Target`."""
        return msgspec.msgpack.encode(one) == msgspec.msgpack.encode(other)

    def judge(self, data: bytes, found: list[Any]) -> str:
        """See `Target`."""
        return "replaced" if self._pool.ended else ACCEPTED


class Answers(Target):
    """The answer to a batch that `pitwall import` has sent."""

    name = "import answers"
    of = ("pitwall.importer.courier", "pitwall.importer.tally")
    family = (SendError,)
    samples = (
        forms.encoded(
            {
                "ok": True,
                "accepted": 7,
                "rejected_total": 1,
                "rows": 9,
                "duplicates": 1,
                "points": 3,
                "rejected": [{"index": 3, "field": "rpm", "reason": "out_of_range", "message": "rpm is -1"}],
                "rejected_by_reason": {"out_of_range": 1},
                "repairs": {"late_row": 2},
            }
        ),
    )

    def __init__(self) -> None:
        nothing: Any = None
        self._courier = Courier(nothing, "http://a", Clock(), random.Random(1), 1.0, BatchSize(9), print)

    def decode(self, data: bytes) -> Answer:
        """What the decoder makes of it."""
        return self._courier._read(200, data)

    def judge(self, data: bytes, found: Answer) -> str:
        """See `Target`."""
        tally = Tally("a.csv")
        tally.add(found, 1)
        strict(msgspec.json.encode(tally.content()))
        return ACCEPTED


class Ledger(Target):
    """The answer of a server to `pitwall audit`."""

    name = "audit answers"
    of = ("pitwall.importer.audit", "pitwall.importer.audit_command")
    family = (NoBooksError,)
    samples = (
        forms.encoded(
            {
                "now": "2025-09-06T18:41:40.000Z",
                "doors": [
                    {
                        "door": "udp",
                        "unit": "points",
                        "received": 9,
                        "accepted": 7,
                        "refused": {"not_json": 2},
                        "duplicate": 0,
                        "pending": 0,
                    }
                ],
                "ring": {"published": 7, "last_seq": 7},
                "workers": {"published": 7, "written": 7, "pending": 0, "overwritten": 0},
                "clients": [
                    {
                        "id": 1,
                        "address": "127.0.0.1",
                        "since": "2025-09-06T18:41:40.000Z",
                        "accepted": 7,
                        "delivered": 7,
                        "conflated": 0,
                        "filtered": 0,
                        "dropped": 0,
                        "pending": 0,
                    }
                ],
                "udp_kernel_drops": 0,
                "http_bodies_under_way": 0,
                "insights": 0,
            }
        ),
    )

    def decode(self, data: bytes) -> Books:
        """What the decoder makes of it."""
        return books_in(data, "http://a")

    def judge(self, data: bytes, found: Books) -> str:
        """See `Target`."""
        for equation in equations(found):
            str(equation)
        return ACCEPTED


class Secrets(Target):
    """Tickets and keys that somebody tries: none is good but those that were given."""

    name = "tickets and keys"
    of = ("pitwall.serve.tickets", "pitwall.serve.auth")
    samples = (b"pt_abcdef", b"Bearer pw_0123456789", b"bearer   x")

    def __init__(self) -> None:
        key = Key("wall", frozenset((READ, INGEST)), b"\0" * 32, "2025-09-06")
        self._tickets = Tickets()
        self._tickets.give(key, 0.0)
        watched: Any = type("Watched", (), {"value": Keys([key])})
        self._gate = Gate(watched, lambda: 0.0)

    def decode(self, data: bytes) -> tuple[Any, bool]:
        """What the decoder makes of it."""
        return self._tickets.take(data.decode("latin-1"), 1.0), self._gate.may_post(data)

    def judge(self, data: bytes, found: tuple[Any, bool]) -> str:
        """See `Target`."""
        if found != (None, False) or len(self._tickets) != 1:
            raise Broken(f"{found}")
        return ACCEPTED


TARGETS: tuple[type[Target], ...] = (Checkpoints, Reports, Answers, Ledger, Secrets)
