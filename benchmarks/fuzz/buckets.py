"""The decoders of a bucket: its objects, how far they were read, and the messages of its queue."""

from __future__ import annotations

import random

from benchmarks.fuzz import forms
from benchmarks.fuzz.oracle import NOW, decoded
from benchmarks.fuzz.points import TOLD
from benchmarks.fuzz.target import ACCEPTED, Broken, Target
from pitwall.ingest.s3progress import ProgressTable
from pitwall.ingest.s3queue import NoticeError, Written, written
from pitwall.ingest.s3reader import BucketReader
from pitwall.wire.points import Decoded, PointDecoder
from pitwall.wire.tables import Table
from tests.unit.ingest.s3_doubles import FakeBucket, MemoryStore

_PATH = "telemetry/barber/GR86-004-78.csv"
_RECORDS = {
    "Records": [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "race"}, "object": {"key": "telemetry/a+b%2Fc.csv", "size": 3, "eTag": "x"}},
        }
    ]
}


class Bucket(Target):
    """An object of a bucket beside a good one, looked at until nothing is left."""

    name = "s3 object"
    of = ("pitwall.ingest.s3reader", "pitwall.ingest.s3object", "pitwall.ingest.s3progress")
    samples = (*forms.TEXTS, forms.packed(forms.LONG_TEXTS[0]))
    _good = forms.WIDE_TEXTS[0]

    def decode(self, data: bytes) -> Decoded:
        """What the decoder makes of it."""
        bucket, found = FakeBucket(), Decoded([], [], [])
        reasons: list[str] = []
        bucket.put("telemetry/a.csv", self._good)
        bucket.put(_PATH, data)
        bucket.put("telemetry/z.csv", self._good)
        clock = [0.0]
        decoder = PointDecoder()

        def take(table: Table, lines: list[bytes]) -> float:
            found.refused.extend(table.take(lines, NOW))
            while True:
                left = table.leave(decoder, NOW)
                found.points.extend(left.points)
                found.raws.extend(left.raws)
                found.refused.extend(left.refused)
                if not table.complete:
                    return 0.0

        progress = ProgressTable("s3://race", MemoryStore(), lambda: clock[0])
        reader = BucketReader(
            *(lambda: bucket, "race", "telemetry/", progress, TOLD, take, reasons.append, lambda: None),
            *(lambda: clock[0], random.Random(1)),
        )
        for _ in range(4):
            look = reader.look()
            if look.failed or look.unreadable or look.unsaved:
                raise Broken(look.trouble)
            clock[0] += 3600
        if len([raw for raw in found.raws if b'"brake_temp":300' in raw and b"141.2" in raw]) < 2:
            raise Broken("the good objects beside it were not read")
        return found

    def same(self, one: Decoded, other: Decoded) -> bool:
        """See `Target`."""
        return len(one.points) == len(other.points) and len(one.refused) == len(other.refused)

    def judge(self, data: bytes, found: Decoded) -> str:
        """See `Target`."""
        return decoded(found)


class Notices(Target):
    """Messages of the queue that tells of new objects."""

    name = "s3 notices"
    of = ("pitwall.ingest.s3queue",)
    family = (NoticeError,)
    samples = (
        forms.encoded(_RECORDS),
        forms.encoded({"Type": "Notification", "Message": forms.encoded(_RECORDS).decode()}),
        forms.encoded(
            {
                "version": "0",
                "source": "aws.s3",
                "detail-type": "Object Created",
                "detail": {"bucket": {"name": "race"}, "object": {"key": "telemetry/ü.csv", "size": 5}},
            }
        ),
        forms.encoded({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "race"}),
    )

    def decode(self, data: bytes) -> list[Written] | None:
        """What the decoder makes of it."""
        return written(data.decode("utf-8", "surrogateescape"))

    def judge(self, data: bytes, found: list[Written] | None) -> str:
        """See `Target`."""
        for place in found or ():
            if not 0 < len(place.key.encode()) <= 1024 or not isinstance(place.bucket, str):
                raise Broken(f"{place}")
        return ACCEPTED


class SavedProgress(Target):
    """The file with how far objects were read; whatever it says, the bucket is read."""

    name = "s3 progress"
    of = ("pitwall.ingest.s3progress", "pitwall.ingest.s3reader")
    samples = (
        forms.encoded(
            {
                "place": "s3://race",
                "objects": {
                    _PATH: {
                        "etag": '"x"',
                        "size": 10,
                        "offset": 5,
                        "digest": "ab",
                        "rest": 0,
                        "seen_to": 9,
                        "cars": {"b": [1, None, 2]},
                    }
                },
            }
        ),
    )

    def decode(self, data: bytes) -> tuple[list[str], int]:
        """What the decoder makes of it."""
        bucket = FakeBucket()
        bucket.put(_PATH, forms.LONG_TEXTS[0])
        progress = ProgressTable("s3://race", MemoryStore(data), lambda: 0.0)
        said = progress.load()
        rows: list[bytes] = []

        def take(table: Table, lines: list[bytes]) -> float:
            rows.extend(lines)
            return 0.0

        reader = BucketReader(
            *(lambda: bucket, "race", "telemetry/", progress, TOLD, take, str, lambda: None),
            *(lambda: 0.0, random.Random(1)),
        )
        reader.look()
        return said, len(rows)


TARGETS: tuple[type[Target], ...] = (Bucket, Notices, SavedProgress)
