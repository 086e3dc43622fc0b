"""The decoders of files, of their names, and of settings."""

from __future__ import annotations

import os
from typing import Any
from zlib import crc32

from benchmarks.fuzz import forms
from benchmarks.fuzz.oracle import NOW, points_hold
from benchmarks.fuzz.points import TOLD
from benchmarks.fuzz.target import ACCEPTED, Broken, Target
from pitwall.config import SettingError, read_settings
from pitwall.importer.batches import Batch, BatchSize, batches
from pitwall.importer.formats import ReadError
from pitwall.importer.recorded import read_cars
from pitwall.importer.sources import Source
from pitwall.importer.timed import play_timing
from pitwall.ingest.demo import Recording, ReplayError, load_recording
from pitwall.keys.key import Keys, KeysError, parse_keys
from pitwall.model.filenames import car_of, stem_of, track_of, trigger_of
from pitwall.model.track import TrackFileError, Tracks, parse_tracks
from pitwall.model.trackfile import with_boundaries
from pitwall.wire.points import Decoded, PointDecoder
from tests.unit.importer.doubles import memory

_PATH = "telemetry/barber/GR86-004-78.csv"
_KEYS = (
    "# The keys\nwall read 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef 2025-09-06\n\n"
    "logger-7 ingest,read 0000000000000000000000000000000000000000000000000000000000000000 2025-09-07\n"
)


class _OfFile(Target):
    """What is read from a path."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("pitwall-fuzz")

    def close(self) -> None:
        """See `Target`."""
        os.close(self._fd)

    def path(self, data: bytes) -> str:
        """Where a file is that has these bytes."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, data, 0)
        return f"/proc/self/fd/{self._fd}"


class DemoFile(_OfFile):
    """The file of DEMO_DATA_PATH: all of its points, or an error that names the first that is none."""

    name = "demo file"
    of = ("pitwall.ingest.demo",)
    family = (ReplayError,)
    samples = forms.DEMOS

    def decode(self, data: bytes) -> Recording:
        """What the decoder makes of it."""
        return load_recording(self.path(data), PointDecoder())

    def same(self, one: Recording, other: Recording) -> bool:
        """See `Target`."""
        return (one.points, one.due_s) == (other.points, other.due_s)

    def judge(self, data: bytes, found: Recording) -> str:
        """See `Target`."""
        if found.due_s != sorted(found.due_s) or found.due_s[0] != 0 or found.duration_s <= found.due_s[-1]:
            raise Broken(f"due at {found.due_s[:5]} … of {found.duration_s} s")
        for due_s, point in found.between(0, min(found.duration_s, 1.0)):
            raw = forms.encoded({"meta_time": "2025-09-06T18:41:40.000Z", **point})
            again, told = PointDecoder().one(raw, NOW + due_s)
            points_hold(Decoded([again], [told], []))
        return ACCEPTED


class TrackFile(Target):
    """A track file, and the same with other boundaries."""

    name = "track file"
    of = ("pitwall.model.track", "pitwall.model.trackfile")
    family = (TrackFileError,)
    samples = forms.TRACK_FILES

    def decode(self, data: bytes) -> Tracks:
        """What the decoder makes of it."""
        return parse_tracks(data)

    def same(self, one: Tracks, other: Tracks) -> bool:
        """See `Target`."""
        return list(one) == list(other)

    def judge(self, data: bytes, found: Tracks) -> str:
        """See `Target`."""
        for track in found:
            reached_m = 0.0
            for sector in track.sectors:
                if sector.start_m != reached_m or not sector.start_m < sector.end_m:
                    raise Broken(f"{track.name!r} has {sector}")
                reached_m = sector.end_m
            if reached_m != track.total_m or not 100 <= track.total_m <= 30000:
                raise Broken(f"{track.name!r} ends at {reached_m} of {track.total_m}")
            for name in (track.name, *track.aliases, *(sector.name for sector in track.sectors)):
                name.encode()
        track = next(iter(found))
        parse_tracks(with_boundaries(data, track, [track.total_m / 2]))
        return ACCEPTED


class KeysFile(Target):
    """The file with the keys: what it says can be written, and read again."""

    name = "keys file"
    of = ("pitwall.keys.key",)
    family = (KeysError,)
    samples = (_KEYS.encode(),)

    def decode(self, data: bytes) -> Keys:
        """What the decoder makes of it."""
        return parse_keys(data)

    def same(self, one: Keys, other: Keys) -> bool:
        """See `Target`."""
        return list(one) == list(other)

    def judge(self, data: bytes, found: Keys) -> str:
        """See `Target`."""
        if list(parse_keys(found.text().encode())) != list(found):
            raise Broken(f"written, it is {found.text()!r:.300}")
        return ACCEPTED


class Settings(Target):
    """The environment, a variable a line."""

    name = "settings"
    of = ("pitwall.config", "pitwall.addresses", "pitwall.model.events")
    family = (SettingError,)
    samples = (
        b"PORT=8082\nBATCH_MS=500\nFLUSH_SHARE=0.2\nWS_DEFLATE=on\nUDP_ALLOW=10.0.0.0/8, ::1"
        b"\nWS_PATH=/live\nTRACK=barber",
        b"ALLOWED_ORIGINS=https://a.example:*,null\nEVENT_TRACKS=I_R08_2025-11-02=barber\nLOG_FORMAT=json",
        b"S3_BUCKET=race\nS3_ENDPOINT_URL=http://localhost:9000\nS3_POLL_SECONDS=5\nSTATE_DIR=/tmp"
        b"\nMETRICS_PORT=9100\nDEMO=1",
    )

    def decode(self, data: bytes) -> dict[str, Any]:
        """What the decoder makes of it."""
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        return read_settings({}, dict(line.partition("=")[::2] for line in lines))


class Names(Target):
    """What the name of a file tells."""

    name = "file names"
    of = ("pitwall.model.filenames",)
    samples = (b"telemetry/barber/GR86-013-80.csv.gz", b"R1_barber_lap_start.csv", b"a/Road America/run 1.v2.csv")

    def decode(self, data: bytes) -> list[str | None]:
        """What the decoder makes of it."""
        path = data[:1024].decode("utf-8", "surrogateescape")  # no key of a bucket is longer
        return [track_of(path, TOLD.tracks), car_of(path), stem_of(path), trigger_of(path)]

    def judge(self, data: bytes, found: list[str | None]) -> str:
        """See `Target`."""
        if any(name is not None and not 0 < len(name) <= 64 for name in found):
            raise Broken(f"it tells {found!r:.300}")
        return ACCEPTED


class Imported(Target):
    """A file for `pitwall import`: whole lines, each once, whatever it is."""

    name = "import file"
    of = ("pitwall.importer.batches", "pitwall.importer.formats", "pitwall.importer.documents")
    family = (ReadError,)
    samples = (*forms.TEXTS, *forms.LINES, *forms.ARRAYS, *forms.DEMOS, forms.packed(forms.TEXTS[2]))

    def decode(self, data: bytes) -> list[Batch]:
        """What the decoder makes of it."""
        name = ("a.csv", "a.ndjson", "a.json", "a.csv.gz")[crc32(data) % 4]
        return [batch for batch, _ in batches(memory(data), name, BatchSize(500))]

    def judge(self, data: bytes, found: list[Batch]) -> str:
        """See `Target`."""
        row = 1
        for batch in found:
            if batch.first_row != row:
                raise Broken(f"a batch begins with row {batch.first_row}, not {row}")
            row += batch.rows
            halves = batch.halves()
            if halves is not None and (halves[0].lines + halves[1].lines, sum(half.rows for half in halves)) != (
                *(batch.lines, batch.rows),
            ):
                raise Broken("two halves are not the whole")
        return ACCEPTED if found else "nothing"


class Recorded(Target):
    """A recording that is read offline."""

    name = "recording"
    of = ("pitwall.importer.recorded",)
    family = (ReadError,)
    samples = (*forms.TEXTS[:3], *forms.LINES, forms.packed(forms.TEXTS[0]))

    def decode(self, data: bytes) -> Any:
        """What the decoder makes of it."""
        source = Source("a.csv", "a.csv", None, lambda: memory(data))
        barber = TOLD.tracks.get("barber")
        assert barber is not None
        return {name: car.time_s.tolist() for name, car in read_cars([source], TOLD, barber).cars.items()}


class PlayedTiming(Target):
    """The official timing of a race, played."""

    name = "timing played"
    of = ("pitwall.importer.timed",)
    family = (ReadError,)
    samples = forms.TIMING

    def decode(self, data: bytes) -> Any:
        """What the decoder makes of it."""
        race = play_timing(b"\n".join(data.split(b"\n")[:40]))  # a forecast a lap takes its time
        return {name: [(lap.number, lap.time_s) for lap in laps] for name, laps in race.laps.items()}


TARGETS: tuple[type[Target], ...] = (
    *(DemoFile, TrackFile, KeysFile, Settings, Names),
    *(Imported, Recorded, PlayedTiming),
)
