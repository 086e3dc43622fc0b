// @ts-check
/** What a car is doing: "running", "stopped", "pit", "silent". */

/** Nothing heard for so long: silent, as the insights have it [s]. */
export const SILENT_S = 5;
/** Slower than this stands [km/h]. */
const STANDS_KMH = 5;

/**
 * @param {number} ageS since it was heard [s] @param {number | null | undefined} speedKmh
 * @param {boolean | undefined} inPits as the server tells it
 */
export function carState(ageS, speedKmh, inPits) {
  if (!(ageS < SILENT_S)) return "silent";
  if (inPits) return "pit";
  return typeof speedKmh === "number" && speedKmh < STANDS_KMH ? "stopped" : "running";
}

/** The state of a car. @param {import("./race.js").Car} car @param {number} now [ms of the page] */
export function stateOf(car, now) {
  return carState((now - car.heardAt) / 1000, car.recent("speed_kmh", now, SILENT_S * 1000), car.result?.inPits);
}
