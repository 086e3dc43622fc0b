// @ts-check
/** Which sector times are the car's best, and which the best of all. */

import { known } from "./format.js";

/** Times are told to the millisecond. */
const SAME_S = 0.0005;

/**
 * The last times of a car in each sector [s].
 * @param {any} result @param {number} sectors @returns {(number | null)[]}
 */
export function lastSectors(result, sectors) {
  const times = result?.meta?.sectorTimes ?? {};
  return Array.from({ length: sectors }, (_, sector) => times[sector] ?? null);
}

/**
 * Those of them that may be a best: not those of a lap that has ended and was not clean.
 * @param {(number | null)[]} times of a car [s] @param {any} result
 * @param {any} table its last lap in the table of laps, where that is there already
 * @returns {(number | null)[]}
 */
export function judgeable(times, result, table) {
  const kind = table?.kind ?? result?.lastLap?.kind ?? "clean";
  if (kind === "clean") return times;
  const ended = table?.sector_times_s;
  const same = (/** @type {number | null} */ time, /** @type {number} */ sector) =>
    !known(time) || !ended || (known(ended[sector]) && Math.abs(time - ended[sector]) < SAME_S);
  return times.map((time, sector) => (same(time, sector) ? null : time));
}

/**
 * The best of all in each sector: of clean laps, and of laps under way that are faster still.
 * @param {(number | null)[]} best of clean laps [s] @param {(number | null)[][]} underWay the last times of every car [s]
 */
export function fieldBests(best, underWay) {
  return best.map((time, sector) => {
    if (time === null) return null;
    return Math.min(time, ...underWay.map((times) => times[sector]).filter(known));
  });
}

/**
 * "field", "own" or "".
 * @param {number | null} time @param {number | null | undefined} own @param {number | null | undefined} field
 */
export function mark(time, own, field) {
  if (!known(time)) return "";
  if (known(field) && time <= field + SAME_S) return "field";
  return known(own) && time <= own + SAME_S ? "own" : "";
}
