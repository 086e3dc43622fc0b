// @ts-check
/** How long points are on their way from the cars to this page. */

/** A point's time that is so far off is of another clock [ms]. */
const FAR_MS = 60000;
/** A point that is so far ahead of the server is too [ms]. */
const AHEAD_MS = 1000;
/** Delays that the one that is shown is the median of. */
const DELAYS = 21;
/** When nothing has come for so long, the last ones are not those of now [ms]. */
const OLD_MS = 5000;

export class Delays {
  /** @type {{ms: number, at: number}[]} */
  #last = [];

  /**
   * Points that came together.
   * @param {number[]} times when they are from [ms since 1970] @param {number} server its clock now [ms since 1970]
   * @param {number} now [ms of the page]
   */
  add(times, server, now) {
    const delays = times.map((time) => server - time).filter((ms) => ms > -AHEAD_MS && ms < FAR_MS);
    if (!delays.length) return;
    this.#last.push({ ms: Math.max(Math.min(...delays), 0), at: now });
    if (this.#last.length > DELAYS) this.#last.shift();
  }

  /** The median of the last ones [ms]; null where there are none of now. @param {number} now [ms of the page] */
  median(now) {
    const sorted = this.#last.filter(({ at }) => now - at < OLD_MS).sort((one, other) => one.ms - other.ms);
    return sorted.length ? sorted[Math.floor(sorted.length / 2)].ms : null;
  }
}
