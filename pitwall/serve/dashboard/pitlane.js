// @ts-check
/**
 * The pit lane as cars draw it.
 *
 * It is beside the track where the line is. So whoever drives slowly over the line, off the
 * outline for a fifteenth of the lap or more, was in it; a car on the grass goes less far.
 */

import { known } from "./format.js";
import { PARTS } from "./outline.js";

/** What is nearer to the outline is on the track [m]; what is further away is nowhere. */
export const OFF_M = 7;
const FAR_M = 120;
/** Nobody drives faster in a pit lane; what is slower stands [km/h]. */
export const SLOW_KMH = 90;
export const STANDS_KMH = 5;
/** A way off the track is the pit lane if it has so many parts of the lap. */
const SHORTEST = PARTS / 15;
const LONGEST = PARTS / 3;
/** So many places of one way are kept. */
const MOST_KEPT = 2000;
/** A hole of so many parts is no end. */
const LONGEST_HOLE = 6;
/** Later places count for so much. */
const LEAST_WEIGHT = 0.1;

export class PitLane {
  constructor() {
    /** East and north [m], and how often a car was there, by the part of the lap. @type {Map<number, number[]>} */
    this.places = new Map();
    /** The way off the track that each car is on: part, east, north [m]. @type {Map<string, number[][]>} */
    this.open = new Map();
  }

  /**
   * A car was there.
   * @param {string} id @param {number[]} place [m] @param {number} speedKmh
   * @param {import("./outline.js").Outline} outline that is ready
   */
  learn(id, place, speedKmh, outline) {
    const near = outline.nearest(place);
    if (speedKmh < SLOW_KMH && near.away > OFF_M && near.away < FAR_M) {
      const way = this.open.get(id) ?? [];
      this.open.set(id, way);
      if (speedKmh > STANDS_KMH && way.length < MOST_KEPT) way.push([near.part, ...place]);
      return;
    }
    const way = this.open.get(id);
    if (way === undefined) return;
    this.open.delete(id);
    const [first, last] = [way[0]?.[0] ?? 0, way[way.length - 1]?.[0] ?? 0];
    const parts = last - first + PARTS;
    if (last < first && parts >= SHORTEST && parts <= LONGEST) {
      for (const [part, east, north] of way) this.#add(part, east, north);
    }
  }

  /** @param {number} part @param {number} east @param {number} north */
  #add(part, east, north) {
    const [x, y, count] = this.places.get(part) ?? [east, north, 0];
    const weight = Math.max(1 / (count + 1), LEAST_WEIGHT);
    this.places.set(part, [x + weight * (east - x), y + weight * (north - y), count + 1]);
  }

  /** The lane as lines of places [m]; usually one. @returns {number[][][]} */
  get lines() {
    const at = (/** @type {number} */ part) => this.places.get((part + PARTS) % PARTS);
    const holes = Array.from({ length: LONGEST_HOLE }, (_, step) => step + 1);
    // The lane goes over the line: it is drawn from where it begins, behind a hole.
    const begins = [...this.places.keys()].filter((part) => holes.every((step) => at(part - step) === undefined));
    /** @type {number[][][]} */
    const found = [];
    const start = begins[0] ?? 0;
    let last = -Infinity;
    for (let part = start; part < start + PARTS; part += 1) {
      const place = at(part);
      if (place === undefined) continue;
      if (part - last > LONGEST_HOLE) found.push([]);
      last = part;
      found[found.length - 1].push([place[0], place[1]]);
    }
    return found.filter((line) => line.length > 2);
  }

  /** All of it as plain values. */
  keep() {
    const round = (/** @type {number} */ metres) => Math.round(metres * 10) / 10;
    return [...this.places].map(([part, [east, north]]) => [part, round(east), round(north)]);
  }

  /** Take what was kept, where it makes sense. @param {any} kept */
  take(kept) {
    if (!Array.isArray(kept)) return;
    for (const [part, east, north] of kept.filter(Array.isArray)) {
      if (Number.isInteger(part) && part >= 0 && part < PARTS && known(east) && known(north))
        this.places.set(part, [east, north, 1]);
    }
  }
}
