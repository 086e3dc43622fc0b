"""What is analysed of the cars: results, gaps, corrections."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from pitwall.contract.race import Chosen, Kind, LapNumber, Mark, Weights
from pitwall.contract.terms import BySector, Chassis, Count, Moment, Pair, PairOrNull, Track, among, told

Seconds = Annotated[float, told("", "s")]
Speed = Annotated[float, told("over the current lap so far", "km/h")]
Acceleration = Annotated[float, told("of accx_can, over the current lap so far", "g")]
Braking = Annotated[float, told("of pbrake_f, over the current lap so far", "bar")]
Cornering = Annotated[float, told("of the absolute Steering_Angle, over the current lap so far", "deg")]


class NextLap(Struct):
    """The forecast of the next lap."""

    lap: LapNumber
    time: Annotated[float, told("what it will take", "s", 0)]
    low: Annotated[float, told("where the interval of 90 % begins", "s")]
    high: Annotated[float, told("where it ends", "s")]
    method: Chosen
    weights: Weights


class LastLap(Struct):
    """The last lap that ended."""

    lap: LapNumber
    time: Annotated[float | None, told("what it took", "s", 0)]
    kind: Kind


class ResultMeta(Struct, kw_only=True):
    """Averages and maxima of the current lap so far, and how even the laps are."""

    avgSpeed: Speed | UnsetType = UNSET
    maxSpeed: Speed | UnsetType = UNSET
    avgAcceleration: Acceleration | UnsetType = UNSET
    maxAcceleration: Acceleration | UnsetType = UNSET
    avgBraking: Braking | UnsetType = UNSET
    maxBraking: Braking | UnsetType = UNSET
    avgCornering: Cornering | UnsetType = UNSET
    maxCornering: Cornering | UnsetType = UNSET
    consistency: Annotated[float, told("100·(1 − σ/μ) of clean lap times", "", 0, 100)] | UnsetType = UNSET
    performanceTrend: Annotated[str, among(("improving", "stable", "degrading"), "of the last clean laps")]
    sectorTimes: Annotated[BySector, told("the last completed time of each sector", "s")]
    pointCount: Annotated[Count, told("points since the car's last result")]


class Result(Struct, kw_only=True):
    """What is known of a car; what is not known yet is left out."""

    chassis: Chassis
    track: Track
    lap: Annotated[int | None, told("the car's current lap; null where it is unknown")]
    inPits: Annotated[bool, told("its last lap ended in the pits, and it has not been over 90 km/h since")]
    lap_tire_stress: Annotated[float, told("∫(ax² + ay²) ds of the current lap so far", "g²·m", 0)]
    perSectorStress: Annotated[BySector, told("the same by sector", "g²·m")]
    predicted_loss_per_lap_seconds: Annotated[float, told("what the car loses from lap to lap", "s/lap")]
    laps_until_0_5s_loss: Annotated[float, told("until LOSS_SECONDS is lost; 99 also means never", "laps", 0, 99)]
    lossInterval: Annotated[Pair, told("where the loss lies with 90 %", "s/lap")] | UnsetType = UNSET
    lapsInterval: Annotated[Pair, told("where these laps lie with 90 %", "laps")] | UnsetType = UNSET
    paceLaps: Annotated[Count, told("clean laps of the stint that these rest on")] | UnsetType = UNSET
    forecast: NextLap | UnsetType = UNSET
    lastLap: LastLap | UnsetType = UNSET
    bestLapSeconds: Annotated[float, told("the best clean lap", "s", 0)] | UnsetType = UNSET
    theoreticalBestSeconds: Annotated[float, told("the sum of the best sectors", "s", 0)] | UnsetType = UNSET
    tireStressIndex: (
        Annotated[float, told("stress of the last clean lap, 100 for the median of the field", "", 0)] | UnsetType
    ) = UNSET
    meta: ResultMeta


class Gap(Struct, kw_only=True):
    """A car's place in the field of its track."""

    chassis: Chassis
    track: Track
    position: Annotated[int, told("by distance covered", least=1)]
    gapToLeader: Annotated[float | None, told("(leader's average speed − own) / leader's", "%")] | UnsetType = UNSET
    relativeSpeed: Annotated[float, told("own average speed − leader's", "km/h")] | UnsetType = UNSET
    gapToAhead: Annotated[float | None, told("(ahead's average speed − own) / own; null without such a car", "%")]
    gapToBehind: Annotated[float | None, told("(own average speed − behind's) / own; null without such a car", "%")]
    gapToLeaderSeconds: Annotated[float | None, told("now less the moment at which the leader was here", "s", 0)]
    gapToAheadSeconds: Annotated[float | None, told("likewise; null without such a car", "s", 0)]
    gapToBehindSeconds: Annotated[float | None, told("likewise; null without such a car", "s", 0)]
    gapSigmaSeconds: Annotated[float | None, told("the standard deviation of gapToAheadSeconds", "s", 0)]
    lapsDown: Annotated[int | None, told("whole laps behind the leader", "laps", 0)]
    ahead: Annotated[Chassis, told("the car ahead; left out without one")] | UnsetType = UNSET
    behind: Annotated[Chassis, told("the car behind; left out without one")] | UnsetType = UNSET
    asOf: Annotated[int, told("the moment all this is of, since 1970", "ms")] | UnsetType = UNSET
    overtakingOpportunity: Annotated[bool, told("the interval to the car ahead is under a second, and closing")]
    underPressure: Annotated[bool, told("the same, seen from the car ahead")]


class GapsAnswer(Struct):
    """Positions and gaps as of the last analysis, by track and position."""

    gaps: list[Gap]


Lists = Annotated[list[list[float | None]], Meta(min_length=2, max_length=2)]


class Changed(Struct):
    """What late points changed of a lap: each member before and now."""

    lapTime: Annotated[PairOrNull, told("what it took", "s")] | UnsetType = UNSET
    gapAtLineSeconds: (
        Annotated[PairOrNull, told("how long after the first car of that lap it ended", "s")] | UnsetType
    ) = UNSET
    sectorTimes: Annotated[Lists, told("of each sector", "s")] | UnsetType = UNSET
    stress: Annotated[Lists, told("by sector", "g²·m")] | UnsetType = UNSET
    marks: Annotated[list[list[Mark]], told("what is special about it", minItems=2, maxItems=2)] | UnsetType = UNSET


class Correction(Struct):
    """A lap that was told otherwise before."""

    track: Track
    chassis: Chassis
    lap: LapNumber
    changed: Changed


class UpdateMeta(Struct):
    """Of a message as a whole."""

    generated_at: Annotated[Moment, told("the server's clock")]
    vehicle_count: Annotated[Count, told("the length of data")]
    analysis_version: Annotated[str, told("of how it is computed")]
    corrections: Annotated[list[Correction], told("what late points changed of laps told before")] | UnsetType = UNSET
    tracksChanged: (
        Annotated[list[Track], told("tracks of the track file that have another length or other sectors than before")]
        | UnsetType
    ) = UNSET
