// @ts-check
/** Which laps are drawn and held against which, and what is to be said of that. */

import { delta } from "./curves.js";
import { lapTime, signed } from "./format.js";
import { bestOf, entryOf } from "./recorder.js";

/** @typedef {import("./race.js").Car} Car */
/** @typedef {import("./recorder.js").Recording} Recording */
/** @typedef {import("./trace.js").Trace} Trace */
/** @typedef {import("./curves.js").Line} Line */
/** The lap that is looked at, and what it is held against. @typedef {{lap: string, against: string}} Choice */
/** @typedef {{letter: string, reference: boolean, trace: Trace, short: string, name: string}} Drawn */
/** @typedef {{letter: string, line: Line, against: string}} Delta */
/** @typedef {{drawn: Drawn[], deltas: Delta[], notes: string[]}} Comparison */

/** Times are told to the millisecond. */
export const SAME_S = 0.0005;
/** The axes whose sign may be wrong. */
const AXES = [
  ["accx_can", "longitudinal"],
  ["accy_can", "lateral"],
];
/** By what the choice is called. */
export const LAPS = { this: "This lap", last: "Last lap", best: "Best lap" };

/**
 * @param {Car[]} cars one or two @param {(id: string) => Recording | null} recordingOf @param {Choice} choice
 * @returns {Comparison}
 */
export function compare(cars, recordingOf, { lap, against }) {
  /** @type {Comparison} */
  const found = { drawn: [], deltas: [], notes: [] };
  const letters = cars.length > 1 ? ["A", "B"] : ["A"];
  const own = cars.map((car, index) => pick(car, recordingOf(car.id), lap, letters[index], found.notes));
  own.forEach((one) => one && found.drawn.push(one));
  cars.forEach(({ about }, index) => {
    const axes = AXES.filter(([channel]) => about?.flipped?.includes(channel)).map(([, axis]) => axis);
    if (axes.length) found.notes.push(`${letters[index]} sends ${axes.join(" and ")} g with the wrong sign; it is drawn as sent.`);
  });
  if (cars.length > 1 && against === "other") {
    if (own[0] && own[1]) hold(own[0], { ...own[1], name: `B, ${own[1].name}` }, found);
    return found;
  }
  cars.forEach((car, index) => {
    const which = against === "other" ? "best" : against;
    if (which === lap) return;
    const one = own[index];
    const other = pick(car, recordingOf(car.id), which, letters[index], found.notes);
    if (other === null || other.trace === one?.trace) return;
    found.drawn.push({ ...other, reference: true });
    if (one) hold(one, other, found);
  });
  return found;
}

/** @param {Drawn} one @param {Drawn} other @param {Comparison} found */
function hold(one, other, found) {
  if (!one.trace.began || !other.trace.began) return;
  found.deltas.push({ letter: one.letter, line: delta(one.trace.path, other.trace.path), against: other.name });
}

/**
 * @param {Car} car @param {Recording | null} recording @param {string} which @param {string} letter
 * @param {string[]} notes @returns {Drawn | null}
 */
function pick(car, recording, which, letter, notes) {
  if (which === "best") return pickBest(car, recording, letter, notes);
  const trace = (which === "last" ? recording?.ended.at(-1) : recording?.current) ?? null;
  if (trace === null) {
    const none = which === "last" ? `No lap of ${letter} has ended yet on this page.` : `Nothing has come of ${letter} yet.`;
    notes.push(none);
    return null;
  }
  if (!trace.began) {
    notes.push(`${which === "last" ? LAPS.last : LAPS.this} of ${letter} was not seen from the line on, so it has no delta.`);
  }
  const entry = which === "last" ? entryOf(trace, car) : null;
  const before = which === "this" ? entryOf(recording?.ended.at(-1) ?? null, car) : null;
  const underWay = which === "this" ? car.lapUnderWay : null;
  const number = entry?.lap ?? (before === null ? (underWay ?? trace.sent) : before.lap + 1);
  return drawn(letter, trace, number, entry, which);
}

/** @param {Car} car @param {Recording | null} recording @param {string} letter @param {string[]} notes */
function pickBest(car, recording, letter, notes) {
  const { trace, entry, told } = bestOf(recording, car);
  const best = told === null ? "" : `The best lap of ${letter}, ${told.lap} (${lapTime(told.lap_time_s)}), `;
  if (trace === null) {
    notes.push(best ? `${best}was not seen here, nor any other in full.` : `No lap of ${letter} was seen in full yet.`);
    return null;
  }
  const number = entry?.lap ?? trace.sent;
  const seconds = entry?.lap_time_s ?? trace.seconds;
  if (entry === null || entry !== told) {
    const instead = `lap ${number} (${lapTime(seconds)}), the best one seen in full, is drawn`;
    notes.push(best ? `${best}was not seen in full here: ${instead}.` : `${letter} has no clean lap yet: ${instead}.`);
  }
  return drawn(letter, trace, number, entry, entry !== null && entry === told ? "best" : "seen");
}

/** @param {string} letter @param {Trace} trace @param {number | null} number @param {any} entry @param {string} which */
function drawn(letter, trace, number, entry, which) {
  const short = { this: "this", last: "last", best: "best", seen: "best seen" }[which] ?? which;
  // When it began is a guess where that was not seen.
  const seconds = entry?.lap_time_s ?? (trace.began ? trace.seconds : NaN);
  const time = Number.isNaN(seconds) ? "" : `, ${lapTime(seconds)}`;
  const kind = entry === null || entry.kind === "clean" ? "" : `, ${entry.kind}`;
  const name = `lap ${number ?? "?"} (${short}${time}${kind})`;
  return { letter, reference: false, trace, short, name };
}

/** The newest of a delta in words. @param {Delta} one @param {Car[]} cars */
export function deltaWords({ letter, line, against }, cars) {
  const seconds = line.y.at(-1);
  const where = line.x.at(-1);
  if (seconds === undefined || seconds === null || where === null || where === undefined) return "";
  const who = cars.length > 1 ? letter : cars[0].chassis;
  if (Math.abs(seconds) < SAME_S) return `${who} is even with ${against} at ${Math.round(where)} m`;
  const what = seconds > 0 ? "lost" : "gained";
  return `${who} has ${what} ${signed(Math.abs(seconds), 3).slice(1)} s on ${against} at ${Math.round(where)} m`;
}
