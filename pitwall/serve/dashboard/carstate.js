// @ts-check
/** What a car is doing: "running", "stopped", "pit", "silent". */

/** Nothing heard for so long: silent, as the insights have it [s]. */
export const SILENT_S = 5;
/** Slower than this stands [km/h]. */
const STANDS_KMH = 5;
/** Nobody drives so fast in a pit lane [km/h]. */
const PIT_KMH = 90;

/**
 * @param {number} ageS since it was heard [s] @param {number | null | undefined} speedKmh
 * @param {string | undefined} lastKind of its last lap @param {number} topKmh since it crossed the line
 */
export function carState(ageS, speedKmh, lastKind, topKmh) {
  if (!(ageS < SILENT_S)) return "silent";
  // Nobody says that a car is in the pits: its lap ended there, and it has not been fast since.
  if (lastKind === "in" && topKmh < PIT_KMH) return "pit";
  return typeof speedKmh === "number" && speedKmh < STANDS_KMH ? "stopped" : "running";
}

/** The state of a car. @param {import("./race.js").Car} car @param {number} now [ms of the page] */
export function stateOf(car, now) {
  return carState((now - car.heardAt) / 1000, car.channels.get("speed_kmh"), car.lastLap?.kind, car.topKmh);
}
