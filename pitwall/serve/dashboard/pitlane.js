// @ts-check
/**
 * The pit lane as cars draw it: where those that are in the pits are, off the outline.
 *
 * That a lap ended in the pits is told when it is over, so what a car drove slowly off the
 * outline is kept until then. From the line on it is in the pits until it is fast again.
 */

import { known } from "./format.js";
import { PARTS } from "./outline.js";

/** What is nearer to the outline is on the track [m]; what is further away is nowhere. */
const OFF_M = 7;
const FAR_M = 120;
/** Nobody drives faster in a pit lane [km/h]. */
const PIT_KMH = 90;
/** So many of a car's last places are kept until its lap is told. */
const MOST_KEPT = 600;
/** A hole of so many parts is no end. */
const LONGEST_HOLE = 6;
/** Later places count for so much. */
const LEAST_WEIGHT = 0.1;

export class PitLane {
  constructor() {
    /** East and north [m], and how often a car was there, by the part of the lap. @type {Map<number, number[]>} */
    this.places = new Map();
    /** What cars drove off the outline in laps that are not told yet. @type {Map<string, number[][]>} */
    this.open = new Map();
    /** The last lap that was told of each car, and whether the car has been in the pits since. */
    /** @type {Map<string, {lap: number, pits: boolean}>} */
    this.laps = new Map();
  }

  /**
   * A car was there.
   * @param {string} id @param {number[]} place [m] @param {number} speedKmh @param {any} lastLap of the car
   * @param {import("./outline.js").Outline} outline that is ready
   */
  learn(id, place, speedKmh, lastLap, outline) {
    const told = this.laps.get(id) ?? { lap: -1, pits: false };
    this.laps.set(id, told);
    if (known(lastLap?.lap) && lastLap.lap !== told.lap) {
      const first = told.lap < 0;
      [told.lap, told.pits] = [lastLap.lap, !first && lastLap.kind === "in"];
      if (told.pits) for (const [part, east, north] of this.open.get(id) ?? []) this.#add(part, east, north);
      this.open.delete(id);
    }
    if (!(speedKmh < PIT_KMH)) {
      told.pits = false;
      return;
    }
    const near = outline.nearest(place);
    if (!(near.away > OFF_M && near.away < FAR_M)) return;
    if (told.pits) {
      this.#add(near.part, place[0], place[1]);
      return;
    }
    const open = this.open.get(id) ?? [];
    this.open.set(id, open);
    open.push([near.part, ...place]);
    if (open.length > MOST_KEPT) open.shift();
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
    return [...this.places].map(([part, [east, north]]) => [part, Math.round(east * 10) / 10, Math.round(north * 10) / 10]);
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
