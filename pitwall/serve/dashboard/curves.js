// @ts-check
/** Lines made of samples: over distance or time, thinned, subtracted. */

import { HOLE_S } from "./trace.js";

/** @typedef {import("./trace.js").Path} Path */
/** @typedef {{x: (number | null)[], y: (number | null)[]}} Line with null where it is interrupted */

/**
 * The values that there are, in the order of x, with a break where samples are too far apart in time.
 * @param {ArrayLike<number>} xs @param {ArrayLike<number>} ys @param {ArrayLike<number>} times [s] @returns {Line}
 */
export function line(xs, ys, times) {
  /** @type {Line} */
  const found = { x: [], y: [] };
  let last = -1;
  for (let index = 0; index < xs.length; index += 1) {
    if (Number.isNaN(xs[index]) || Number.isNaN(ys[index])) continue;
    if (last >= 0 && times[index] - times[last] > HOLE_S) {
      found.x.push(xs[last]);
      found.y.push(null);
    }
    found.x.push(xs[index]);
    found.y.push(ys[index]);
    last = index;
  }
  return found;
}

/**
 * The value at x, in proportion between the two beside it; NaN before the first, after the last and in a hole.
 * @param {ArrayLike<number>} xs rising @param {ArrayLike<number | null>} ys null where a line is interrupted
 * @param {number} x @param {number} widest of a hole @returns {number}
 */
export function at(xs, ys, x, widest = Infinity) {
  let [low, high] = [0, xs.length - 1];
  if (high < 0 || !(x >= xs[0] && x <= xs[high])) return NaN;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle;
    else high = middle;
  }
  const span = xs[high] - xs[low];
  if (ys[low] === null || ys[high] === null) return NaN;
  if (span === 0 || x === xs[low]) return Number(ys[low]);
  const [from, to] = [Number(ys[low]), Number(ys[high])];
  return span > widest && x !== xs[high] ? NaN : from + ((x - xs[low]) / span) * (to - from);
}

/**
 * How much later one is than the other at the same place on the lap, at each place where the one was.
 * @param {Path} one @param {Path} other
 * @returns {Line} metres and seconds, positive where the one is slower
 */
export function delta(one, other) {
  const xs = one.distances;
  const ys = xs.map((distance, index) => {
    const next = after(other.distances, distance);
    const known = other.distances[next - 1] === distance;
    const hole = !known && other.times[next] - other.times[next - 1] > HOLE_S;
    return hole ? NaN : one.times[index] - at(other.distances, other.times, distance);
  });
  return line(xs, ys, one.times);
}

/** The first place that lies behind x. @param {number[]} xs rising @param {number} x */
function after(xs, x) {
  let [low, high] = [0, xs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] > x) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * The part of a line that is seen, with no more points than can be told apart: of each part of the width the first,
 * the least, the greatest and the last, so that no peak is lost; breaks stay.
 * @param {Line} whole @param {number} from @param {number} to @param {number} parts @returns {Line}
 */
export function thin({ x, y }, from, to, parts) {
  let [first, last] = [0, x.length - 1];
  // One more at each side, for a line that goes out of the picture.
  while (first < last && Number(x[first + 1]) < from) first += 1;
  while (last > first && Number(x[last - 1]) > to) last -= 1;
  if (last - first < 4 * parts) return { x: x.slice(first, last + 1), y: y.slice(first, last + 1) };
  /** @type {Set<number>} */
  const kept = new Set();
  const part = (/** @type {number} */ index) => Math.floor(((Number(x[index]) - from) / (to - from)) * parts);
  for (let index = first; index <= last; ) {
    const begin = index;
    let [least, greatest] = [index, index];
    for (; index <= last && y[index] !== null && part(index) === part(begin); index += 1) {
      if (Number(y[index]) < Number(y[least])) least = index;
      if (Number(y[index]) > Number(y[greatest])) greatest = index;
    }
    if (index === begin) kept.add(index++);
    else for (const one of [begin, least, greatest, index - 1]) kept.add(one);
  }
  const order = [...kept].sort((one, other) => one - other);
  return { x: order.map((index) => x[index]), y: order.map((index) => y[index]) };
}
