// @ts-check
/** Figures as text. What is not known is a dash. */

export const UNKNOWN = "–";
const MINUS = "−";
export const KM_PER_MILE = 1.609344;

/** @param {unknown} value @returns {value is number} */
export const known = (value) => typeof value === "number" && Number.isFinite(value);

/** A time from line to line, 1:37.754. @param {number | null | undefined} seconds */
export function lapTime(seconds) {
  if (!known(seconds)) return UNKNOWN;
  const ms = Math.round(seconds * 1000);
  const minutes = Math.floor(ms / 60000);
  const rest = ((ms % 60000) / 1000).toFixed(3);
  return minutes > 0 ? `${minutes}:${rest.padStart(6, "0")}` : rest;
}

/** A number with its sign, a true minus. @param {number | null | undefined} value @param {number} digits */
export function signed(value, digits) {
  if (!known(value)) return UNKNOWN;
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? MINUS : "+") + text;
}

/** A number, a true minus. @param {number | null | undefined} value @param {number} digits */
export function plain(value, digits) {
  if (!known(value)) return UNKNOWN;
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? MINUS + text : text;
}

/**
 * How far behind: in seconds, or in laps once it is one.
 * @param {number | null | undefined} seconds @param {number | null | undefined} lapsDown
 */
export function gap(seconds, lapsDown = 0) {
  if (known(lapsDown) && lapsDown > 0) return `+${lapsDown} ${lapsDown === 1 ? "lap" : "laps"}`;
  if (!known(seconds)) return UNKNOWN;
  return seconds >= 60 ? `+${lapTime(seconds)}` : `+${Math.max(seconds, 0).toFixed(3)}`;
}

/** Where something lies. @param {number[] | null | undefined} interval @param {number} digits */
export function range(interval, digits) {
  return interval && known(interval[0]) ? `${signed(interval[0], digits)} … ${signed(interval[1], digits)}` : UNKNOWN;
}

/** How long ago, in words as short as it is exact. @param {number} seconds */
export function age(seconds) {
  if (!known(seconds)) return UNKNOWN;
  if (seconds < 1) return "<1 s";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

/** A count with thin groups of digits. @param {number | null | undefined} value */
export function count(value) {
  return known(value)
    ? Math.round(value)
        .toString()
        .replace(/\B(?=(\d{3})+$)/g, "\u202f")
    : UNKNOWN;
}

/** A span of time on the way. @param {number | null | undefined} ms */
export function delay(ms) {
  if (!known(ms)) return UNKNOWN;
  return ms < 1000 ? `${Math.max(Math.round(ms), 0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** How much time. @param {number} seconds */
export function span(seconds) {
  if (!known(seconds)) return UNKNOWN;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** The day, or the time of day where it is today. @param {number} ms since 1970 */
export function day(ms) {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return UNKNOWN;
  if (Math.abs(Date.now() - ms) < 12 * 3600000) return clock(ms);
  return [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}

/** The time of day. @param {number} ms since 1970 */
export function clock(ms) {
  const at = new Date(ms);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}

/** Any scalar of an insight. @param {unknown} value */
export function scalar(value) {
  if (value === null || value === undefined) return "not known";
  if (known(value)) return String(Math.round(value * 1e4) / 1e4).replace("-", MINUS);
  return typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
}

/**
 * What a car is called where there is no room: its number, the last part of its name, if no other has it.
 * @param {string} chassis @param {Iterable<string>} others all cars, this one included
 */
export function shortName(chassis, others) {
  const last = (/** @type {string} */ name) => name.slice(name.lastIndexOf("-") + 1);
  const mine = last(chassis);
  const alike = [...others].filter((name) => last(name) === mine).length;
  return mine.length > 0 && mine.length <= 4 && alike <= 1 ? mine : chassis.slice(-8);
}
