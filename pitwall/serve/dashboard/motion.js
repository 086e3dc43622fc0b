// @ts-check
/** Where to draw a car between its messages. */

/** A car is taken to drive on for so long after its last message [ms]. */
const LONGEST_MS = 400;
/** In so much time most of a difference is made good [ms]. */
const EASE_MS = 160;
/** A difference over this share of the lap is jumped. */
const JUMP = 0.06;

/** The way from one share of the lap to another, -0.5 to 0.5. @param {number} from @param {number} to */
export function between(from, to) {
  const way = (((to - from) % 1) + 1) % 1;
  return way > 0.5 ? way - 1 : way;
}

/** How much of a difference is made good in a time [ms]. @param {number} ms */
export const eased = (ms) => 1 - Math.exp(-Math.max(ms, 0) / EASE_MS);

/** A car on its lap, in shares of it. */
export class AlongLap {
  shown = NaN;
  #at = 0;
  #told = NaN;
  #toldAt = 0;
  #perMs = 0;

  /** A message. @param {number} share @param {number} perMs how fast it goes @param {number} now [ms] */
  tell(share, perMs, now) {
    this.#told = share;
    this.#toldAt = now;
    this.#perMs = perMs;
  }

  /** Where it is to be drawn. @param {number} now [ms] @param {boolean} smooth */
  draw(now, smooth) {
    const target = this.#told + (smooth ? this.#perMs * Math.min(now - this.#toldAt, LONGEST_MS) : 0);
    const way = between(this.shown, target);
    if (!smooth || Number.isNaN(way) || Math.abs(way) > JUMP) this.shown = target;
    // A car that was thought further waits rather than going back.
    else this.shown += Math.max(way, 0) * eased(now - this.#at);
    this.#at = now;
    return this.shown;
  }
}

/** A car anywhere, by its position [m]. */
export class Anywhere {
  /** @type {number[] | null} */
  shown = null;
  #at = 0;
  /** @type {number[]} */
  #told = [NaN, NaN];

  /** @param {number[]} place */
  tell(place) {
    this.#told = place;
  }

  /** @param {number} now [ms] @param {boolean} smooth @returns {number[]} */
  draw(now, smooth) {
    const { shown } = this;
    const share = shown !== null && smooth ? eased(now - this.#at) : 1;
    this.shown = this.#told.map((value, axis) =>
      shown === null ? value : shown[axis] + share * (value - shown[axis]),
    );
    this.#at = now;
    return this.shown;
  }
}
