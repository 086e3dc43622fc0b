// @ts-check
/** The mini-sectors of a lap: who is quick in which part of it. */

import { mark } from "./bests.js";
import { known } from "./format.js";

/** Times are told to the millisecond. */
const SAME_S = 0.0005;

/** @typedef {import("./race.js").Car} Car */

/**
 * The parts of a lap, each against the car's best and the best of all: "field", "own", "slower", or "" where not known.
 * @param {(number | null)[]} times [s] @param {(number | null)[]} own @param {(number | null)[]} field
 */
export function judged(times, own, field) {
  return times.map((time, part) => {
    const [mine, all] = [own[part], field[part]];
    return known(time) && (known(mine) || known(all)) ? mark(time, mine, all) || "slower" : "";
  });
}

/**
 * Who was quicker in each part: "A", "B", or "" where they are alike or it is not known.
 * @param {(number | null)[]} one [s] @param {(number | null)[]} other [s]
 */
export function compared(one, other) {
  return one.map((time, part) => {
    const less = known(time) && known(other[part]) ? time - Number(other[part]) : 0;
    return Math.abs(less) < SAME_S ? "" : less < 0 ? "A" : "B";
  });
}

/** The lap of which they are, and of which kind it is where it was not clean. @param {Car} car */
const lapOf = ({ miniLap: lap }) => `lap ${lap?.lap}${lap?.kind === "clean" ? "" : `, ${lap?.kind}`}`;

/**
 * What the map shows of the selected cars' last laps: a mark for each part, what each mark means, and all in words.
 * @param {Car[]} cars none, one or two @param {any} track as /api/laps tells it
 * @returns {{parts: string[], legend: [string, string][], words: string}}
 */
export function parts(cars, track) {
  const [one, other] = cars;
  const lap = one?.miniLap;
  if (!one) return { parts: [], legend: [], words: "" };
  if (!lap || (other && !other.miniLap)) return { parts: [], legend: [], words: "No mini-sectors known yet." };
  const of = (/** @type {string[]} */ found, /** @type {string} */ kind) => found.filter((each) => each === kind).length;
  if (other) {
    const found = compared(lap.times, other.miniLap?.times ?? []);
    const says = (/** @type {string} */ name, /** @type {Car} */ car) =>
      `${car.chassis} (${lapOf(car)}) quicker in ${of(found, name)}`;
    return {
      parts: found,
      legend: [
        ["A", says("A", one)],
        ["B", says("B", other)],
      ],
      words: `of ${found.length} parts`,
    };
  }
  const found = judged(lap.times, one.bestMinis, track?.best_minis_s ?? []);
  const words = `${one.chassis}, ${lapOf(one)}, ${found.length} parts`;
  if (!found.some(Boolean)) return { parts: found, legend: [], words: `${words}: no clean lap yet to hold them against` };
  return {
    parts: found,
    legend: [
      ["field", `best of all ${of(found, "field")}`],
      ["own", `own best ${of(found, "own")}`],
      ["slower", `slower ${of(found, "slower")}`],
    ],
    words,
  };
}
