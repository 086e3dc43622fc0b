"""
``GET /metrics``: the figures of ``families``, in the text formats of Prometheus and OpenMetrics.

Nothing is kept here: what the server counts is read when it is asked for, so that a point
or a message pays for no more than the addition to a plain integer.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.utils import floatToGoString
from twisted.logger import Logger
from twisted.web.resource import Resource

from pitwall.histogram import Histogram
from pitwall.serve.families import FAMILIES, Family
from pitwall.serve.reading import Reading, Sources
from pitwall.serve.request import error_body


class Collector:
    """
    Reads the metrics for a registry of ``prometheus_client``.

    Args:
        sources: what they are read from.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> list[Metric]:
        """Every metric, without values."""
        return [_metric(family) for family in FAMILIES]

    def collect(self) -> Iterator[Metric]:
        """Every metric that has values, all of one moment."""
        now = Reading(self._sources)
        for family in FAMILIES:
            metric = _metric(family)
            for values, value in family.read(now):
                labels = dict(zip(family.labels, values, strict=True))
                if isinstance(value, Histogram):
                    _add_histogram(metric, family.name, value)
                else:
                    metric.add_sample(family.name, labels, float(value))
            if metric.samples:
                yield metric


def _metric(family: Family) -> Metric:
    return Metric(family.name.removesuffix("_total"), family.help, family.kind)


def _add_histogram(metric: Metric, name: str, histogram: Histogram) -> None:
    sums = list(accumulate(histogram.counts))
    for bound, count in zip((*histogram.bounds, float("inf")), sums, strict=True):
        metric.add_sample(f"{name}_bucket", {"le": floatToGoString(bound)}, float(count))
    metric.add_sample(f"{name}_count", {}, float(sums[-1]))
    metric.add_sample(f"{name}_sum", {}, histogram.sum_s)


class Exporter:
    """
    Answers a scrape.

    Args:
        sources: what the metrics are read from.
    """

    def __init__(self, sources: Sources) -> None:
        self._registry = CollectorRegistry()
        # Memory, processor time, open files and the start of the main process.
        ProcessCollector(registry=self._registry)
        self._registry.register(Collector(sources))

    def answer(self, request: Any) -> bytes:
        """The body; the type, which is set, is the one that Accept asks for."""
        accept = b",".join(request.requestHeaders.getRawHeaders(b"accept", []))
        try:
            encoder, content_type = choose_encoder(accept.decode("latin-1"))
        except (TypeError, ValueError):  # a version that is none
            encoder, content_type = choose_encoder("")
        request.setHeader(b"content-type", content_type.encode())
        vary = [*request.responseHeaders.getRawHeaders(b"vary", []), b"Accept"]
        request.setHeader(b"vary", b", ".join(vary))
        return encoder(self._registry)


class MetricsRoot(Resource):
    """
    The root of METRICS_PORT, which has nothing but ``/metrics``.

    Args:
        exporter: answers.
    """

    isLeaf = True
    log = Logger()

    def __init__(self, exporter: Exporter) -> None:
        super().__init__()
        self._exporter = exporter

    def render(self, request: Any) -> bytes:
        """Answer a request; every error is JSON."""
        request.responseHeaders.removeHeader(b"server")
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"x-content-type-options", b"nosniff")
        request.setHeader(b"cache-control", b"no-store")
        if request.path != b"/metrics":
            request.setResponseCode(404)
            return error_body("no such path, only /metrics")
        if request.method not in (b"GET", b"HEAD"):
            request.setResponseCode(405)
            request.setHeader(b"allow", b"GET, HEAD")
            return error_body("the method is not allowed here, only GET, HEAD")
        try:
            return self._exporter.answer(request)
        except Exception:
            self.log.failure("a scrape failed")
            request.setHeader(b"content-type", b"application/json")
            request.setResponseCode(500)
            return error_body("internal error")
