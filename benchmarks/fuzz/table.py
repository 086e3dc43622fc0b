"""Every decoder of what comes from outside."""

from __future__ import annotations

from benchmarks.fuzz import asks, buckets, files, points, processes, web
from benchmarks.fuzz.target import Target

TARGETS: dict[str, type[Target]] = {
    target.name: target
    for target in (*points.TARGETS, *web.TARGETS, *asks.TARGETS, *buckets.TARGETS, *files.TARGETS, *processes.TARGETS)
}
#: Modules that raise what a decoder raises, and are none; what they do instead.
NO_DECODERS = {
    "pitwall.importer.sources": "asks a bucket and opens files",
    "pitwall.importer.follow": "waits for a file to grow",
    "pitwall.importer.session": "sends files, one after the other",
    "pitwall.importer.score_command": "reads files by what is tried here",
    "pitwall.importer.calibrate_command": "writes a track file",
    "pitwall.ingest.s3": "starts and stops the reading of a bucket",
    "pitwall.keys.file": "opens, watches and writes it",
    "pitwall.listen": "binds ports",
    "pitwall.race.calibrate": "fits boundaries to samples",
    "pitwall.serve.live.streams": "counts subscriptions",
    "pitwall.sim.config": "the settings of a simulated race",
    "pitwall.sim.race": "a simulated race",
    "pitwall.tls": "has OpenSSL read certificates",
}
