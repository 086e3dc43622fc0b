// @ts-check
/** The samples of one lap of a car: in the order of its clock, in arrays that grow up to a bound. */

/** What is kept of each sample besides time and lap distance. */
export const CHANNELS = [
  ...["speed_kmh", "aps", "ath", "pbrake_f", "pbrake_r", "Steering_Angle", "accx_can", "accy_can", "gear", "rpm"],
];
/** Of these the least and the greatest between two samples are kept too. */
const EXTREMES = ["accx_can", "accy_can"];
/** Ten minutes at 20 Hz; what a lap has beyond is left out. */
export const MOST_SAMPLES = 12000;
/** Samples that are farther apart have a hole between them [s]. */
export const HOLE_S = 1.5;
const FIRST_SAMPLES = 256;

/** @typedef {{distances: number[], times: number[]}} Path both rising */

export class Trace {
  #room = 0;
  #placedAt = 0;
  /** [s] @type {Float32Array} */
  #times = new Float32Array(0);
  /** NaN where it was not sent [m]. @type {Float32Array} */
  #distances = new Float32Array(0);
  /** NaN where it was not sent. @type {Map<string, Float32Array>} */
  #values = new Map();

  /**
   * @param {number} startMs when it crossed the line, by the car's clock [ms]
   * @param {number} offsetMs the points' meta_time less that clock [ms]
   * @param {boolean} began whether it was seen to cross the line
   */
  constructor(startMs, offsetMs, began) {
    this.startMs = startMs;
    this.offsetMs = offsetMs;
    this.began = began;
    /** From line to line; NaN as long as it has not ended, or was not seen to [s]. */
    this.seconds = NaN;
    /** The lap number that the car sent. @type {number | null} */
    this.sent = null;
    this.count = 0;
    /** The longest time without a lap distance, or without any sample on a car that sends none [s]. */
    this.longestHole = 0;
    /** Whether it has a lap distance anywhere. */
    this.placed = false;
  }

  /** Whether all of it was seen, from line to line. */
  get entire() {
    return this.began && this.seconds > 0 && this.longestHole <= HOLE_S;
  }

  /** By the clock of the server's tables [ms since 1970]. */
  get metaMs() {
    return this.startMs + this.offsetMs;
  }

  /** Since its start [s]. */
  get times() {
    return this.#times.subarray(0, this.count);
  }

  /** Since the line, those between two that were sent by the time [m]. @returns {Float32Array} */
  get distances() {
    return filled(this.#times.subarray(0, this.count), this.#distances.subarray(0, this.count));
  }

  /** The channels that were sent. @returns {string[]} */
  get channels() {
    return CHANNELS.filter((channel) => this.#values.has(channel));
  }

  /**
   * The least and the greatest of a channel in a part of the lap, those between two samples included, as far as they are kept;
   * null without any.
   * @param {string} channel @param {(index: number) => boolean} within whether a sample is of that part
   * @returns {[number, number] | null}
   */
  extremes(channel, within) {
    let [least, greatest] = [Infinity, -Infinity];
    for (const name of [channel, `${channel} least`, `${channel} greatest`]) {
      this.values(name)?.forEach((value, index) => {
        if (Number.isNaN(value) || !within(index)) return;
        least = Math.min(least, value);
        greatest = Math.max(greatest, value);
      });
    }
    return least > greatest ? null : [least, greatest];
  }

  /** NaN where it was not sent; null where it never was. @param {string} channel @returns {Float32Array | null} */
  values(channel) {
    return this.#values.get(channel)?.subarray(0, this.count) ?? null;
  }

  /** Where the car was when, only forwards, from the line on where it was seen to cross it. */
  get path() {
    const found = forwards(this.distances, this.times);
    if (this.began && found.distances[0] > 0) {
      found.distances.unshift(0);
      found.times.unshift(0);
    }
    return found;
  }

  /**
   * A sample, later than all before.
   * @param {number} seconds since the start @param {number} distance NaN where not known [m]
   * @param {(channel: string) => number} valueOf NaN where not sent
   * @param {(channel: string) => number[] | undefined} [rangeOf] the least and the greatest since the sample before
   */
  add(seconds, distance, valueOf, rangeOf = () => undefined) {
    if (this.count >= MOST_SAMPLES) return;
    if (this.count === this.#room) this.#resize(Math.max(2 * this.#room, FIRST_SAMPLES));
    this.#times[this.count] = seconds;
    this.#distances[this.count] = distance;
    for (const channel of CHANNELS) this.#put(channel, valueOf(channel));
    for (const channel of EXTREMES) {
      const [least, greatest] = rangeOf(channel) ?? [NaN, NaN];
      this.#put(`${channel} least`, least);
      this.#put(`${channel} greatest`, greatest);
    }
    this.count += 1;
    if (!Number.isNaN(distance)) this.placed = true;
    if (!Number.isNaN(distance) || !this.placed) this.#seen(seconds);
  }

  /** @param {string} name @param {number} value */
  #put(name, value) {
    let values = this.#values.get(name);
    if (values === undefined && Number.isNaN(value)) return;
    if (values === undefined) {
      values = new Float32Array(this.#room).fill(NaN);
      this.#values.set(name, values);
    }
    values[this.count] = value;
  }

  /** The lap has ended. @param {number} seconds from line to line, NaN where that was not seen */
  end(seconds) {
    this.seconds = seconds;
    if (!Number.isNaN(seconds)) this.#seen(seconds);
    this.#resize(this.count);
  }

  /** @param {number} seconds */
  #seen(seconds) {
    this.longestHole = Math.max(this.longestHole, seconds - this.#placedAt);
    this.#placedAt = seconds;
  }

  /** @param {number} room */
  #resize(room) {
    this.#times = moved(this.#times, room);
    this.#distances = moved(this.#distances, room);
    for (const [channel, values] of this.#values) this.#values.set(channel, moved(values, room));
    this.#room = room;
  }
}

/** The same in an array of another length; NaN in what is new. @param {Float32Array} values @param {number} room */
function moved(values, room) {
  const found = new Float32Array(room).fill(NaN);
  found.set(values.subarray(0, room));
  return found;
}

/**
 * Where a car was when: samples at which it stood or went back are left out.
 * @param {ArrayLike<number>} distances @param {ArrayLike<number>} times @returns {Path}
 */
export function forwards(distances, times) {
  /** @type {Path} */
  const found = { distances: [], times: [] };
  let farthest = -Infinity;
  for (let index = 0; index < distances.length; index += 1) {
    if (!(distances[index] > farthest)) continue;
    farthest = distances[index];
    found.distances.push(distances[index]);
    found.times.push(times[index]);
  }
  return found;
}

/**
 * The values with those that are missing between two, not too far apart, in proportion to the time.
 * @param {ArrayLike<number>} times @param {ArrayLike<number>} values @returns {Float32Array}
 */
export function filled(times, values) {
  const found = Float32Array.from(values);
  let last = -1;
  for (let index = 0; index < found.length; index += 1) {
    if (Number.isNaN(found[index])) continue;
    const span = last < 0 ? 0 : times[index] - times[last];
    if (last >= 0 && last < index - 1 && span <= HOLE_S) {
      for (let between = last + 1; between < index; between += 1) {
        const share = (times[between] - times[last]) / span;
        found[between] = found[last] + share * (found[index] - found[last]);
      }
    }
    last = index;
  }
  return found;
}
