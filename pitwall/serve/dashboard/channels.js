// @ts-check
/** The channels of a car as they are shown. */

import { KM_PER_MILE, known, plain, scalar } from "./format.js";

/** Name, unit, digits, of the channels that PitWall knows, in the order in which they are shown. */
const KNOWN = new Map(
  Object.entries({
    speed_kmh: ["Speed", "km/h", 1],
    lapdist_m: ["Lap distance", "m", 0],
    gear: ["Gear", "", 0],
    rpm: ["Engine", "rpm", 0],
    aps: ["Accelerator", "%", 0],
    ath: ["Throttle", "%", 0],
    pbrake_f: ["Brake, front", "bar", 1],
    pbrake_r: ["Brake, rear", "bar", 1],
    Steering_Angle: ["Steering", "°", 1],
    accx_can: ["Longitudinal", "g", 2],
    accy_can: ["Lateral", "g", 2],
    VBOX_Lat_Min: ["Latitude", "°", 4],
    VBOX_Long_Minutes: ["Longitude", "°", 4],
  }),
);
/** What the tower shows already, and what says where and when a point is from. */
const ELSEWHERE = new Set(["track", "chassis", "lap", "meta_time"]);

/** A speed in the units that are chosen. @param {number} kmh @param {string} units */
export const speed = (kmh, units) => (units === "mph" ? kmh / KM_PER_MILE : kmh);

/**
 * The channels that any of the cars has sent, the known ones first.
 * @param {Map<string, any>[]} cars the channels of each @returns {string[]}
 */
export function shown(cars) {
  const sent = new Set(cars.flatMap((channels) => [...channels.keys()]));
  const others = [...sent].filter((name) => !KNOWN.has(name) && !ELSEWHERE.has(name)).sort();
  return [...[...KNOWN.keys()].filter((name) => sent.has(name)), ...others];
}

/** What a channel is called, and its unit. @param {string} name @param {string} units @returns {[string, string]} */
export function title(name, units) {
  const [label, unit] = KNOWN.get(name) ?? [name, ""];
  return [String(label), name === "speed_kmh" ? units : String(unit)];
}

/** Values that are one until they are another. */
const STEPS = new Set(["gear"]);

/** Whether values between two are one of them. @param {string} name */
export const steps = (name) => STEPS.has(name);

/** A value in the units that are shown, with the digits of its channel. @param {string} name @param {number} value */
export const digits = (name, value) => plain(value, Number(KNOWN.get(name)?.[2] ?? 2));

/** A value as text. @param {string} name @param {unknown} value @param {string} units */
export function text(name, value, units) {
  const digits = KNOWN.get(name)?.[2];
  if (!known(value) || digits === undefined) return scalar(value);
  return plain(name === "speed_kmh" ? speed(value, units) : value, Number(digits));
}
