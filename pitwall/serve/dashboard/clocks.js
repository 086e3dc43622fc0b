// @ts-check
/** What is wrong with the cars' times, as /api/cars names it, in words. */

import * as format from "./format.js";

/** @typedef {import("./race.js").Car} Car */

/** @type {Record<string, (about: any) => string>} */
const WORDS = {
  stamped: () => "no meta_time, stamped on arrival",
  stopped: () => "its clock stands still",
  set: () => "its clock was set",
  past: ({ time, last_heard }) => `times of ${format.day(Date.parse(last_heard) - time.late_s * 1000)}`,
  ahead: ({ time }) => `${format.span(-time.late_s)} ahead of the server`,
  apart: ({ time }) => `${format.span(Math.abs(time.apart_s))} ${time.apart_s > 0 ? "behind" : "ahead of"} the other cars`,
};

/**
 * What is wrong with a car's times; nothing where all is well or nobody has told.
 * @param {Car} car @param {boolean} [past] whether that all cars are of the past is said already @returns {string[]}
 */
export function troubles({ about }, past = false) {
  const names = (about?.time?.trouble ?? []).filter((/** @type {string} */ name) => !(past && name === "past"));
  return names.map((/** @type {string} */ name) => WORDS[name]?.(about) ?? name);
}

/** Whether all cars tell times of the past, as in a replay. @param {Car[]} cars */
export const allPast = (cars) => cars.length > 0 && cars.every(({ about }) => about?.time?.trouble.includes("past"));

/**
 * The clocks of all cars for the bar, and a line for each car there is something to say of.
 * @param {Car[]} cars @returns {{text: string, level: string, lines: string[]}}
 */
export function clocks(cars) {
  const told = cars.filter(({ about }) => about?.time !== undefined);
  if (!told.length) return { text: format.UNKNOWN, level: "", lines: ["Not known."] };
  const past = allPast(told);
  const wrong = told.filter((car) => troubles(car, past).length > 0);
  const lines = wrong.map((car) => `${car.chassis}: ${troubles(car, past).join(", ")}`);
  if (past) lines.unshift(`All cars tell ${WORDS.past(told[0].about)}, as in a replay.`);
  const without = told.filter(({ about }) => about.clock.state === "none").length;
  if (without) lines.push(`${without} of ${told.length} tell no clock of their own: their laps go by meta_time.`);
  if (!lines.length) lines.push("All cars' times are as they should be.");
  if (wrong.length) return { text: `▲ ${wrong.length} of ${told.length} wrong`, level: "warn", lines };
  if (past) return { text: `▲ ${WORDS.past(told[0].about).replace("times ", "")}`, level: "warn", lines };
  return { text: "✓ Right", level: "", lines };
}
