"""Recordings in buckets."""

from __future__ import annotations

import io
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError
from twisted.trial.unittest import SynchronousTestCase

from pitwall.importer import sources as module
from pitwall.importer.batches import BatchSize, batches
from pitwall.importer.formats import ReadError
from pitwall.importer.sources import find_sources, s3_sources


class FakeBucket:
    """Boto3's client, of one bucket in memory."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = {key.replace("__", "/").replace("_csv", ".csv"): content for key, content in objects.items()}
        self.ranges: list[str] = []
        self.status = 0

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        """What an object is."""
        self._fail(Key)
        return {"ETag": "e", "ContentLength": len(self.objects[Key])}

    def get_object(self, Bucket: str, Key: str, Range: str, IfMatch: str) -> dict[str, Any]:
        """A range of it."""
        self._fail(Key)
        self.ranges.append(Range)
        start, end = map(int, Range.removeprefix("bytes=").split("-"))
        return {"Body": io.BytesIO(self.objects[Key][start : end + 1])}

    def get_paginator(self, operation: str) -> Any:
        """What lists objects."""
        assert operation == "list_objects_v2"
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Any:
        """Pages of one object each."""
        self._fail(next(iter(self.objects), ""))
        for key, content in sorted(self.objects.items()):
            if key.startswith(Prefix):
                yield {"Contents": [{"Key": key, "ETag": "e", "Size": len(content)}]}
        yield {}

    def _fail(self, key: str) -> None:
        status = self.status or (0 if key in self.objects else 404)
        if status:
            raise ClientError(
                {"Error": {"Code": "Broken"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
                "x",
            )


class NameTests(SynchronousTestCase):
    """What recordings are called."""

    def test_printable(self) -> None:
        """A name that could move the cursor, or is no text, is escaped; the file is found by its own."""
        for path, label in (
            ("run/a\x1b[2J.csv", "run/a\\x1b[2J.csv"),
            ("b\udcff.csv", "b\\udcff.csv"),
            ("x" * 300 + ".csv", "x" * 300 + ".csv"),
            ("Nürburgring 1.csv", "Nürburgring 1.csv"),
        ):
            (source,) = find_sources([path])
            self.assertEqual((source.label, source.name, source.path), (label, label.rpartition("/")[2][-255:], path))


class BucketTests(SynchronousTestCase):
    """`s3_sources` finds objects, and reads them in ranges."""

    def test_object(self) -> None:
        """One object is read in ranges, and only the version that was found."""
        self.patch(module, "RANGE", 1000)
        content = b"track,chassis,speed\n" + b"barber,GR86-1,100\n" * 150
        bucket = FakeBucket(run__a_csv=content)
        (source,) = s3_sources("s3://race/run/a.csv", bucket)
        self.assertEqual((source.label, source.name, source.size), ("s3://race/run/a.csv", "a.csv", len(content)))
        (found,) = [batch.body for batch, _ in batches(source.open(), source.name, BatchSize(1 << 20))]
        self.assertEqual(found, content)
        self.assertEqual(bucket.ranges, ["bytes=0-999", "bytes=1000-1999", f"bytes=2000-{len(content) - 1}"])

    def test_all_below(self) -> None:
        """A key that ends in a slash means all objects below it but the empty ones, and none means the whole bucket."""
        bucket = FakeBucket(run__b_csv=b"x", run__a_csv=b"x", run__c_csv=b"", other=b"x")
        self.assertEqual([source.name for source in s3_sources("s3://race/run/", bucket)], ["a.csv", "b.csv"])
        self.assertEqual(len(s3_sources("s3://race/", bucket)), 3)
        error = self.assertRaises(ReadError, s3_sources, "s3://race/none/", bucket)
        self.assertEqual(str(error), "has no objects below it")

    def test_refused(self) -> None:
        """What the service says against it is a sentence."""
        bucket = FakeBucket(a=b"x")
        (source,) = s3_sources("s3://race/a", bucket)
        for status, words in (
            (403, "access denied"),
            (404, "there is no such object"),
            (500, "can't be read: Broken (HTTP 500)"),
        ):
            bucket.status = status
            for url in ("s3://race/a", "s3://race/"):
                self.assertEqual(str(self.assertRaises(ReadError, s3_sources, url, bucket)), words)
            self.assertEqual(str(self.assertRaises(ReadError, source.open().read)), words)
        bucket.status = 412
        self.assertEqual(str(self.assertRaises(ReadError, source.open().read)), "has changed while it was read")

    def test_shorter(self) -> None:
        """An object that is shorter than it was said to be is not taken for complete."""
        bucket = FakeBucket(a=b"0123456789")
        (source,) = s3_sources("s3://race/a", bucket)
        bucket.objects["a"] = b"0123"
        self.assertEqual(str(self.assertRaises(ReadError, source.open().read)), "4 of 10 bytes came")

    def test_not_found(self) -> None:
        """A bucket that can't be reached fails as one of the files; the others are found."""

        def unreachable(_: Any) -> Any:
            bucket = FakeBucket()

            def head_object(**_: Any) -> Any:
                raise EndpointConnectionError(endpoint_url="http://nowhere")

            bucket.head_object = head_object  # type: ignore[method-assign, assignment]
            return bucket

        self.patch(module, "s3_client", unreachable)
        first, second = find_sources(["s3://race/a", "-"])
        self.assertIn("nowhere", str(self.assertRaises(ReadError, first.open)))
        self.assertEqual(second.label, "standard input")
