// @ts-check
/**
 * The outline of a track as cars draw it: the median position at each part of the lap.
 *
 * Positions are in metres east and north of the first one, on a sphere, as on the server.
 * Until nearly all of the lap is known the outline is not ready.
 */

import { known } from "./format.js";

const EARTH_M = 6371000;
export const PARTS = 240;
/**
 * The median is of so many of the last positions of a part: loggers tell positions that are a second old, and cars
 * drive on the grass, and neither is to move the track.
 */
const LAST = 15;
/** So much of the lap has to be known, and no hole may be longer than so many parts. */
const READY = 0.96;
const LONGEST_HOLE = 4;

/**
 * A position in metres east and north of an origin.
 * @param {number[]} origin @param {number} latitude @param {number} longitude
 */
export function metres(origin, latitude, longitude) {
  const radians = Math.PI / 180;
  const east = (longitude - origin[1]) * radians * EARTH_M * Math.cos(origin[0] * radians);
  return [east, (latitude - origin[0]) * radians * EARTH_M];
}

export class Outline {
  constructor() {
    /** Latitude and longitude [deg]. @type {number[] | null} */
    this.origin = null;
    /** East and north of each part [m], NaN where it is not known. */
    this.east = new Float64Array(PARTS).fill(NaN);
    this.north = new Float64Array(PARTS).fill(NaN);
    this.seen = new Uint16Array(PARTS);
    /** The last positions of each part. */
    this.lastEast = Array.from({ length: PARTS }, () => /** @type {number[]} */ ([]));
    this.lastNorth = Array.from({ length: PARTS }, () => /** @type {number[]} */ ([]));
    this.known = 0;
  }

  /** A car was there. @param {number} latitude @param {number} longitude @param {number} share of the lap, 0 to 1 */
  learn(latitude, longitude, share) {
    this.origin ??= [latitude, longitude];
    const part = Math.floor(share * PARTS) % PARTS;
    const [east, north] = metres(this.origin, latitude, longitude);
    if (!known(east) || !(part >= 0)) return;
    if (this.seen[part] === 0) this.known += 1;
    const slot = this.seen[part] % LAST;
    this.lastEast[part][slot] = east;
    this.lastNorth[part][slot] = north;
    this.east[part] = median(this.lastEast[part]);
    this.north[part] = median(this.lastNorth[part]);
    this.seen[part] = this.seen[part] < 65535 ? this.seen[part] + 1 : LAST;
  }

  /** How much of the lap is known, 0 to 1. */
  get share() {
    return this.known / PARTS;
  }

  get ready() {
    if (this.share < READY) return false;
    let hole = 0;
    for (let part = 0; part < PARTS + LONGEST_HOLE; part += 1) {
      hole = this.seen[part % PARTS] ? 0 : hole + 1;
      if (hole > LONGEST_HOLE) return false;
    }
    return true;
  }

  /** How far a position is from the outline [m]; 0 as long as that is not ready. @param {number} latitude @param {number} longitude */
  off(latitude, longitude) {
    if (!this.ready || this.origin === null) return 0;
    return this.nearest(metres(this.origin, latitude, longitude)).away;
  }

  /** The part of the lap that is nearest to a place, and how far away that is [m]. @param {number[]} place */
  nearest([east, north]) {
    const found = { part: 0, away: Infinity };
    for (let part = 0; part < PARTS; part += 1) {
      // Between two parts as well: these may be twenty metres apart.
      const next = (part + 1) % PARTS;
      const [x, y] = [this.east[next] - this.east[part], this.north[next] - this.north[part]];
      const [dx, dy] = [east - this.east[part], north - this.north[part]];
      const share = Math.min(Math.max((dx * x + dy * y) / (x * x + y * y || 1), 0), 1);
      const away = Math.hypot(dx - share * x, dy - share * y);
      if (away < found.away) [found.part, found.away] = [share < 0.5 ? part : next, away];
    }
    return found;
  }

  /** All of it as plain values, positions to the decimetre. */
  keep() {
    const rounded = (/** @type {Float64Array} */ values) =>
      [...values].map((value) => (known(value) ? Math.round(value * 10) / 10 : null));
    return { origin: this.origin, east: rounded(this.east), north: rounded(this.north) };
  }

  /** The outline that was kept; null where it makes no sense. @param {any} kept @returns {Outline | null} */
  static from(kept) {
    const { origin, east, north } = kept ?? {};
    const numbers = (/** @type {any} */ values, /** @type {number} */ length) =>
      Array.isArray(values) && values.length === length && values.every((value) => value === null || known(value));
    if (!numbers(origin, 2) || !numbers(east, PARTS) || !numbers(north, PARTS)) return null;
    const found = new Outline();
    found.origin = origin;
    for (let part = 0; part < PARTS; part += 1) {
      if (east[part] === null || north[part] === null) continue;
      [found.east[part], found.north[part], found.seen[part]] = [east[part], north[part], 1];
      [found.lastEast[part], found.lastNorth[part]] = [[east[part]], [north[part]]];
      found.known += 1;
    }
    return found;
  }

  /** Where a share of the lap is, east and north [m]; the outline has to be ready. @param {number} share */
  at(share) {
    const place = (((share % 1) + 1) % 1) * PARTS - 0.5; // a part's median is at its middle
    let before = Math.floor(place);
    let after = before + 1;
    while (!this.seen[(before + PARTS) % PARTS]) before -= 1;
    while (!this.seen[(after + PARTS) % PARTS]) after += 1;
    const part = (place - before) / (after - before);
    const [one, other] = [(before + PARTS) % PARTS, (after + PARTS) % PARTS];
    return [
      this.east[one] + part * (this.east[other] - this.east[one]),
      this.north[one] + part * (this.north[other] - this.north[one]),
    ];
  }
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const [low, high] = [(sorted.length - 1) >> 1, sorted.length >> 1];
  return (sorted[low] + sorted[high]) / 2;
}

/** The lap as a strip with round ends, for a track whose outline nobody knows. */
export class Strip {
  /** @param {number} share @returns {number[]} */
  at(share) {
    const long = 2.2; // a straight, in radii of a bend
    const lap = 2 * long + 2 * Math.PI;
    let way = (((share % 1) + 1) % 1) * lap;
    way = (way + long / 2) % lap; // the line is in the middle of the top straight
    if (way < long) return [way - long / 2, 1];
    if (way < long + Math.PI) return [long / 2 + Math.sin(way - long), Math.cos(way - long)];
    if (way < 2 * long + Math.PI) return [long / 2 - (way - long - Math.PI), -1];
    const bend = way - 2 * long - Math.PI;
    return [-long / 2 - Math.sin(bend), -Math.cos(bend)];
  }
}

/** Where cars have been that tell their position alone: dots a dozen metres apart. */
export class Trail {
  constructor() {
    /** @type {number[] | null} */
    this.origin = null;
    /** East and north [m]. @type {number[][]} */
    this.dots = [];
    this.taken = new Set();
  }

  /** @param {number} latitude @param {number} longitude @returns {number[]} */
  learn(latitude, longitude) {
    this.origin ??= [latitude, longitude];
    const place = metres(this.origin, latitude, longitude);
    const cell = place.map((value) => Math.round(value / 12)).join();
    if (!this.taken.has(cell) && this.taken.size < 2500) {
      this.taken.add(cell);
      this.dots.push(place);
    }
    return place;
  }
}
