// @ts-check
/**
 * Keeps what cars sent, lap by lap, from the stream: of each car the lap under way, the last ones and its best.
 * Nothing else has that: the server keeps some seconds of all points, and the tables of laps.
 */

import { known } from "./format.js";
import { idOf } from "./race.js";
import { HOLE_S, Trace } from "./trace.js";

/** Laps that have ended are kept so many of a car, its best among them. */
const KEPT = 4;
/** So many of them are the newest: the tables tell some seconds later which is the best. */
const NEWEST = 2;
/** After so many points that are older than the newest, the clock has gone back. */
const OLD_POINTS = 30;
/** A lap's start as it is told and as it was seen lie so close together at most [ms]. */
const SAME_MS = 3000;
/** A lap's time as it is told and as it was seen differ by so much at most [s]. */
const SAME_S = 2;
/** A lap that is shorter is none [m]. */
const SHORTEST_M = 300;
/** The loggers' lap numbers that mean "not known". */
const UNKNOWN_LAPS = new Set([0, 32768]);

/** @typedef {import("./race.js").Race} Race */

export class Recording {
  /** @type {Trace | null} */
  current = null;
  /** Laps that have ended, the newest last. @type {Trace[]} */
  ended = [];
  /** Counts what is new. */
  version = 0;
  /** "timestamp", the car's own clock, or "meta_time". */
  #clock = "";
  #newestMs = -Infinity;
  #old = 0;
  /** Where it was last, and when. */
  #distance = NaN;
  #distanceMs = NaN;
  /** How fast it went there [m/ms]. */
  #pace = 0;
  /** @type {number | null} */
  #lap = null;
  #farthest = 0;

  /** Whether a point is newer than all before. @param {any} point @param {boolean} [stopped] */
  isNew(point, stopped = false) {
    return !(timeOf(point, stopped)[0] <= this.#newestMs);
  }

  /**
   * A point.
   * @param {any} point @param {Record<string, number[]>} ranges of the points between it and the one before
   * @param {number | null} length of the lap, where it is known [m] @param {boolean} [stopped] whether its clock stands still
   */
  take(point, ranges, length, stopped = false) {
    const ms = this.#time(point, stopped);
    if (!this.#goesOn(ms)) return;
    const offsetMs = Date.parse(point.meta_time) - ms || 0;
    const distance = this.#place(point, ranges, ms);
    const lap = known(point.lap) && !UNKNOWN_LAPS.has(point.lap) ? point.lap : null;
    const [crossedMs, seen] = this.#crossing(ms, distance, lap, length ?? this.#farthest, length !== null);
    if (!Number.isNaN(crossedMs)) this.#cut(crossedMs, offsetMs, seen);
    else if (this.current === null) this.current = new Trace(ms, offsetMs, false);
    const trace = /** @type {Trace} */ (this.current);
    const share = distance / (length ?? (this.#farthest || Infinity));
    // Some count up before the line, others after it.
    if (lap !== null && !(share < 0.05 || share > 0.95)) trace.sent = lap;
    const seconds = (ms - trace.startMs) / 1000;
    trace.add(seconds, distance, (channel) => valueOf(point, ranges, channel), (channel) => ranges[channel]);
    this.#newestMs = ms;
    if (lap !== null) this.#lap = lap;
    if (!Number.isNaN(distance)) {
      if (distance > this.#distance) this.#pace = (distance - this.#distance) / (ms - this.#distanceMs);
      this.#distance = distance;
      this.#distanceMs = ms;
      this.#farthest = Math.max(this.#farthest, distance);
    }
    this.version += 1;
  }

  /** @param {any} point @param {boolean} stopped @returns {number} [ms] */
  #time(point, stopped) {
    const [ms, clock] = timeOf(point, stopped);
    if (clock !== this.#clock) this.#begin();
    this.#clock = clock;
    return ms;
  }

  /** The clock is another one, or has gone back: what was seen of the lap is no use. */
  #begin() {
    this.current = null;
    this.#newestMs = -Infinity;
    this.#distance = this.#distanceMs = NaN;
    this.#lap = null;
    this.#old = 0;
  }

  /** Whether a point is newer than all before. @param {number} ms */
  #goesOn(ms) {
    if (Number.isNaN(ms) || ms === this.#newestMs) return false;
    this.#old = ms < this.#newestMs ? this.#old + 1 : 0;
    if (this.#old === 0) return true;
    if (this.#old < OLD_POINTS) return false;
    this.#begin();
    return true;
  }

  /** Its lap distance at this moment; one of a moment before only where there is no other for long. @returns {number} */
  #place(/** @type {any} */ point, /** @type {Record<string, number[]>} */ ranges, /** @type {number} */ ms) {
    if (known(point.lapdist_m)) return point.lapdist_m;
    const between = ranges.lapdist_m;
    if (between === undefined || ms - this.#distanceMs < 1000) return NaN;
    return between[1] - between[0] > this.#farthest / 2 ? NaN : between[1];
  }

  /**
   * When the line was crossed before this sample, NaN where it was not, and whether that was seen.
   * @param {number} ms @param {number} distance @param {number | null} lap @param {number} length
   * @param {boolean} sure whether that is the lap's, and not the farthest that was seen
   * @returns {[number, boolean]}
   */
  #crossing(ms, distance, lap, length, sure) {
    const holeMs = ms - (Number.isNaN(this.#distance) ? this.#newestMs : this.#distanceMs);
    const rose = lap !== null && this.#lap !== null && lap > this.#lap;
    if (!Number.isNaN(distance) && !Number.isNaN(this.#distance)) {
      if (this.#farthest > SHORTEST_M && distance < this.#distance - length / 2) {
        // Where the lap's length is not known, it is as far behind the line as it went there at its pace.
        const whole = sure ? Math.max(length - this.#distance, 0) + Math.max(distance, 0) : this.#pace * holeMs;
        const share = 1 - Math.min(Math.max(distance, 0) / Math.max(whole, 1e-9), 1);
        return [this.#distanceMs + share * holeMs, holeMs <= HOLE_S * 1000];
      }
      // More than half a lap of which nothing is known.
      return [rose && holeMs > 5000 ? ms : NaN, false];
    }
    return [rose && Number.isNaN(this.#distance) ? ms : NaN, holeMs <= HOLE_S * 1000];
  }

  /** @param {number} ms @param {number} offsetMs @param {boolean} seen */
  #cut(ms, offsetMs, seen) {
    if (this.current !== null) {
      this.current.end(seen ? (ms - this.current.startMs) / 1000 : NaN);
      this.ended.push(this.current);
    }
    this.current = new Trace(ms, offsetMs, seen);
  }

  /** Forget laps until there are few enough; the newest ones and the best stay. @param {Trace | null} best */
  trim(best) {
    while (this.ended.length > KEPT) {
      const worst = this.ended.slice(0, -NEWEST).find((trace) => trace !== best && (best !== null || !trace.entire));
      this.ended.splice(worst === undefined ? (this.ended[0] === best ? 1 : 0) : this.ended.indexOf(worst), 1);
    }
  }
}

/** When a point is from, and by which clock. @param {any} point @param {boolean} stopped @returns {[number, string]} */
function timeOf(point, stopped) {
  const own = typeof point.timestamp === "string" && !stopped ? Date.parse(point.timestamp) : NaN;
  return Number.isNaN(own) ? [Date.parse(point.meta_time), "meta_time"] : [own, "timestamp"];
}

/** A channel of a point, or what those between it and the one before told of it. @returns {number} */
function valueOf(/** @type {any} */ point, /** @type {Record<string, number[]>} */ ranges, /** @type {string} */ channel) {
  if (known(point[channel])) return point[channel];
  const [least, greatest] = ranges[channel] ?? [NaN, NaN];
  // Of what has a sign the greatest may be the one way where most of it was the other.
  return Math.abs(least) > Math.abs(greatest) ? least : greatest;
}

/** Whether a car's own clock stands still, as the server tells. @param {import("./race.js").Car | undefined} car */
const stopped = (car) => car?.about?.clock?.state === "stopped";

export class Recorder {
  /** By the id of the car. @type {Map<string, Recording>} */
  #recordings = new Map();
  /** Messages that wait; null while they are taken as they come. @type {any[] | null} */
  #waiting = null;

  /** Forget everything: the server has started anew. */
  clear() {
    this.#recordings.clear();
    if (this.#waiting !== null) this.#waiting = [];
  }

  /** @param {string} id @returns {Recording | null} */
  of(id) {
    return this.#recordings.get(id) ?? null;
  }

  /** The points of a message. @param {any} message @param {Race} race */
  telemetry(message, race) {
    if (this.#waiting !== null) return void this.#waiting.push(message);
    message.data.forEach((/** @type {any} */ point, /** @type {number} */ index) => {
      this.#take(this.#recordingOf(point), point, message.ranges?.[index] ?? {}, race);
    });
    if (this.#recordings.size > race.cars.size) this.#keep(race);
  }

  /** Let what comes wait, for some of what was before it is still to be had. */
  pause() {
    this.#waiting ??= [];
  }

  /** Take what was missing, as far as it is new, and then what has waited. @param {any[]} points @param {Race} race */
  resume(points, race) {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const { data, ranges } of [{ data: points, ranges: undefined }, ...waiting]) {
      data.forEach((/** @type {any} */ point, /** @type {number} */ index) => {
        const recording = this.#recordingOf(point);
        if (recording.isNew(point, stopped(race.cars.get(idOf(point))))) this.#take(recording, point, ranges?.[index] ?? {}, race);
      });
    }
  }

  /** @param {any} point */
  #recordingOf(point) {
    const id = idOf(point);
    const recording = this.#recordings.get(id) ?? new Recording();
    this.#recordings.set(id, recording);
    return recording;
  }

  /** @param {Recording} recording @param {any} point @param {Record<string, number[]>} ranges @param {Race} race */
  #take(recording, point, ranges, race) {
    const length = race.tracks.get(point.track)?.length_m;
    const laps = recording.ended.length;
    const car = race.cars.get(idOf(point));
    recording.take(point, ranges, known(length) ? length : null, stopped(car));
    if (recording.ended.length > laps) recording.trim(bestOf(recording, car).trace);
  }

  /** @param {Race} race */
  #keep(race) {
    for (const id of this.#recordings.keys()) if (!race.cars.has(id)) this.#recordings.delete(id);
  }
}

/**
 * The lap of the server's table that a trace is of; null where there is none.
 * @param {Trace | null} trace @param {import("./race.js").Car | undefined} car @returns {any}
 */
export function entryOf(trace, car) {
  if (trace === null || car === undefined || !trace.began) return null;
  const laps = [...car.laps.values()].filter((lap) => lap.start !== null && lap.start !== undefined);
  const off = (/** @type {any} */ lap) => Math.abs(Date.parse(lap.start) - trace.metaMs);
  const nearest = laps.reduce((one, other) => (one === null || off(other) < off(one) ? other : one), null);
  if (nearest === null || off(nearest) >= SAME_MS) return null;
  // Where a lap distance that jumped looked like the line, only a part of the lap is in it.
  return known(nearest.lap_time_s) && Math.abs(nearest.lap_time_s - trace.seconds) > SAME_S ? null : nearest;
}

/**
 * What is known here of a car's best lap: as the server has it, and the best trace of a lap in full.
 * @param {Recording | null} recording @param {import("./race.js").Car | undefined} car
 * @returns {{trace: Trace | null, entry: any, told: any}} the trace, its lap in the table, and the best of that table
 */
export function bestOf(recording, car) {
  const told = [...(car?.laps.values() ?? [])].find((lap) => lap.best) ?? null;
  /** @type {{trace: Trace, entry: any}[]} */
  const entire = (recording?.ended ?? []).filter((trace) => trace.entire);
  const full = entire.map((trace) => ({ trace, entry: entryOf(trace, car) }));
  const same = full.find(({ entry }) => entry !== null && entry === told);
  if (same !== undefined) return { ...same, told };
  const clean = full.filter(({ entry }) => entry?.kind === "clean");
  const among = clean.length ? clean : full;
  const seconds = (/** @type {any} */ one) => one.entry?.lap_time_s ?? one.trace.seconds;
  const faster = (/** @type {any} */ one, /** @type {any} */ other) => (one && seconds(one) <= seconds(other) ? one : other);
  const best = among.reduce(faster, null);
  return { trace: best?.trace ?? null, entry: best?.entry ?? null, told };
}
