"""What race to simulate, and what is wrong with the recording of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pitwall.model.track import Track, packaged_tracks

from .driver import Driver

#: 2025-09-06T18:40:00Z, when recorded races of this series were run.
DEFAULT_START: float = 1757184000.0

#: How many instants a second a logger samples at its real rates.
REAL_RATE_HZ: float = 1000 / 43.2

#: Stint of a race that has no end: tires must not wear for ever.
ENDLESS_STINT_LAPS = 25


class SimError(ValueError):
    """A race that cannot be simulated; the message says what was seen and what was wanted."""


@dataclass(frozen=True, slots=True)
class Faults:
    """
    The faults of real recordings, all off; cars are meant by their grid slot, 0 first.

    Clock: ``clock_behind_h`` gives the least and the most hours that the cars' own
    clocks are behind, ``clock_drift_ppm`` how far their rate may be off, and the clocks
    of ``frozen_clocks`` stand still. Any of them puts the clock into the points, as
    ``timestamp``.

    Arrival: each car sends what it has every ``burst_s``, which takes a median of
    ``latency_s`` (at most 64 s) and stays in order; once per ``stall_every_s`` the
    receiver hears nobody for ``stall_s``, then all at once. ``shuffled_share`` of the
    points come up to ``shuffle_s`` after their turn. ``stamped_on_arrival`` makes
    ``meta_time`` the moment of arrival, as in the official recordings.

    Values: shares of the points, 0 to 1, have lap 32768, no lap distance, or come twice,
    ``conflicting_share`` of the latter with other values. The lap counters run up to
    ``laps_ahead`` ahead, by car. ``flipped_cars`` have both accelerometer axes the wrong
    way round; ``acceleration_offset_g`` and ``lapdist_noise_m`` are deviations, of a
    constant per car and axis, and from sample to sample.
    """

    clock_behind_h: tuple[float, float] | None = None
    clock_drift_ppm: float = 0.0
    frozen_clocks: tuple[int, ...] = ()

    burst_s: float = 0.0
    latency_s: float = 0.0
    stall_s: float = 0.0
    stall_every_s: float = 300.0
    shuffled_share: float = 0.0
    shuffle_s: float = 2.0
    stamped_on_arrival: bool = False

    unknown_lap_share: float = 0.0
    missing_lapdist_share: float = 0.0
    duplicate_share: float = 0.0
    conflicting_share: float = 0.0
    laps_ahead: int = 0
    flipped_cars: tuple[int, ...] = ()
    acceleration_offset_g: float = 0.0
    lapdist_noise_m: float = 0.0

    @property
    def car_clock(self) -> bool:
        """Whether the cars' own clocks are part of it."""
        return self.clock_behind_h is not None or self.clock_drift_ppm > 0 or bool(self.frozen_clocks)


@dataclass(frozen=True, slots=True)
class RaceConfig:
    """
    A race to simulate; the same values give the same bytes, in any process.

    ``track`` is a packaged one by name, or any; ``laps`` None is a race without an
    end. ``start`` is lights out [UTC, epoch s]. Points come ``rate_hz`` times a second
    and car, each with all channels, or with ``real_rates`` as the loggers send them:
    at 23 Hz, speed, engine speed and lap distance at every fifth instant and not the
    same. ``gps`` adds position. ``stint_laps`` is how long a set of tires is run, more
    or less; None means to the end, or some 25 laps where there is none. ``drivers``
    are drawn from the seed unless given, the first on pole.
    """

    track: str | Track = "barber"
    cars: int = 20
    seed: int = 1
    laps: int | None = None
    start: float = DEFAULT_START
    rate_hz: float = 22.0
    real_rates: bool = False
    gps: bool = False
    gps_origin: tuple[float, float] | None = None
    stint_laps: int | None = None
    drivers: tuple[Driver, ...] = ()
    raw_source: str = "demo"
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        faults = self.faults
        cars = len(self.drivers) or self.cars
        _check("cars", cars, 1, 500)
        _check("seed", self.seed, 0, 2**63 - 1)
        _check("laps", 1 if self.laps is None else self.laps, 1, 100_000)
        _check("start", self.start, 0, 4e9)
        _check("rate_hz", self.rate_hz, 0.01, 1000)
        for driver in self.drivers:
            _check(f"stint_laps of {driver.chassis}", driver.stint_laps or 2, 2, 100_000)
        _check("stint_laps", 2 if self.stint_laps is None else self.stint_laps, 2, 100_000)
        shares = (
            "shuffled_share",
            "unknown_lap_share",
            "missing_lapdist_share",
            "duplicate_share",
            "conflicting_share",
        )
        for name in shares:
            _check(name, getattr(faults, name), 0, 1)
        for name in ("burst_s", "latency_s", "shuffle_s", "stall_s"):
            _check(name, getattr(faults, name), 0, 64)
        _check("stall_every_s", faults.stall_every_s, max(faults.stall_s, 1), 1e6)
        for car in (*faults.frozen_clocks, *faults.flipped_cars):
            _check("grid slot", car, 0, cars - 1)

    def resolve_track(self) -> Track:
        """
        The track itself.

        Raises:
            SimError: it is a name, and no packaged track has that one.
        """
        if isinstance(self.track, Track):
            return self.track
        tracks = packaged_tracks()
        found = tracks.get(self.track)
        if found is None:
            names = ", ".join(track.name for track in tracks)
            raise SimError(f"track is {self.track!r:.80}, wanted one of {names}")
        return found


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SimError(f"{name} is {value}, wanted {low} to {high}")
