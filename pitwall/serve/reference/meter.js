// @ts-check
/** How many messages of each type come, and how large they are. */

/** What the rates are of [ms]. */
const OVER_MS = 5000;

export class Meter {
  /** @type {Map<string, {count: number, bytes: number, last: [number, number][]}>} */
  types = new Map();
  #since = 0;

  /** Begin anew. @param {number} now [ms] */
  clear(now) {
    this.types.clear();
    this.#since = now;
  }

  /** @param {string} type @param {number} bytes @param {number} now [ms] */
  add(type, bytes, now) {
    const found = this.types.get(type) ?? { count: 0, bytes: 0, last: [] };
    found.count += 1;
    found.bytes += bytes;
    found.last.push([now, bytes]);
    this.types.set(type, found);
    this.#forget(found, now);
  }

  /** By type: how many, how many bytes, and both by second over the last five. @param {number} now [ms] */
  figures(now) {
    const seconds = Math.min(Math.max(now - this.#since, 1000), OVER_MS) / 1000;
    return [...this.types].map(([type, found]) => {
      this.#forget(found, now);
      const bytes = found.last.reduce((sum, [, each]) => sum + each, 0);
      return {
        type,
        count: found.count,
        bytes: found.bytes,
        hz: found.last.length / seconds,
        bytesHz: bytes / seconds,
      };
    });
  }

  /** @param {{last: [number, number][]}} found @param {number} now */
  #forget({ last }, now) {
    let old = 0;
    while (old < last.length && last[old][0] < now - OVER_MS) old += 1;
    if (old) last.splice(0, old);
  }
}
