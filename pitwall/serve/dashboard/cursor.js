// @ts-check
/** The cursor that runs through all panels, and the figures in their titles: at the cursor, or of the newest sample. */

import * as channels from "./channels.js";
import { SAME_S } from "./compare.js";
import { at } from "./curves.js";
import { fillList, make, setClass, setText } from "./dom.js";
import { known, plain, signed, UNKNOWN } from "./format.js";
import { along, DELTA, margins, places, shownValues } from "./panels.js";
import { HOLE_S } from "./trace.js";

/** @typedef {import("./compare.js").Comparison} Comparison */
/** @typedef {import("./panels.js").Panel} Panel */
/** @typedef {import("./panels.js").Seen} Seen */

/** A key moves the cursor by this share of what is seen. */
const STEP = 1 / 200;

export class Cursor {
  /** Where it is, on the x axis; null where there is none. @type {number | null} */
  x = null;
  /** @type {{panels: Panel[], comparison: Comparison, seen: Seen} | null} */
  #drawn = null;
  /** The samples of each line that is drawn. @type {Map<string, Sent>} */
  #sent = new Map();
  #asked = false;

  /** @param {HTMLElement} plot */
  constructor(plot) {
    this.plot = plot;
    this.line = make("div", { class: "cursor", hidden: true });
    this.where = make("span", { class: "where" });
    this.titles = make("div", { class: "titles" });
    this.element = make("div", { class: "over" }, this.titles, this.line, this.where);
    plot.addEventListener("pointermove", (event) => this.#point(event));
    plot.addEventListener("pointerdown", (event) => this.#point(event));
    plot.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.#go(null));
    plot.addEventListener("keydown", (event) => this.#key(event));
    plot.addEventListener("blur", () => this.#go(null));
  }

  /** What is drawn has changed. @param {Panel[]} panels @param {Comparison} comparison @param {Seen} seen */
  show(panels, comparison, seen) {
    this.#drawn = { panels, comparison, seen };
    this.#sent.clear();
    this.#draw();
  }

  /** @param {number | null} x */
  #go(x) {
    this.x = x;
    // A mouse tells more often than a screen shows.
    if (!this.#asked) requestAnimationFrame(() => this.#draw());
    this.#asked = true;
  }

  /** @param {PointerEvent} event */
  #point(event) {
    if (this.#drawn === null) return;
    const { range, width, em } = this.#drawn.seen;
    const { l, r } = margins(em);
    const share = (event.clientX - this.plot.getBoundingClientRect().left - l) / (width - l - r);
    this.#go(share >= 0 && share <= 1 ? range[0] + share * (range[1] - range[0]) : null);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (way === undefined || this.#drawn === null) return;
    event.preventDefault();
    const [from, to] = this.#drawn.seen.range;
    const x = this.x ?? (from + to) / 2;
    this.#go(Math.min(Math.max(x + way * (event.shiftKey ? 10 : 1) * STEP * (to - from), from), to));
  }

  #draw() {
    this.#asked = false;
    if (this.#drawn === null) return;
    const { panels, comparison, seen } = this.#drawn;
    const { l, r, t, b } = margins(seen.em);
    const [from, to] = seen.range;
    const there = this.x !== null && this.x >= from && this.x <= to;
    this.line.hidden = this.where.hidden = !there;
    if (this.x !== null && there) {
      const left = l + ((this.x - from) / (to - from)) * (seen.width - l - r);
      this.line.style.transform = `translateX(${left}px)`;
      this.line.style.top = `${t}px`;
      this.line.style.height = `${seen.height - t - b}px`;
      this.where.style.left = `${Math.min(Math.max(left, 3 * seen.em), seen.width - 3 * seen.em)}px`;
      setText(this.where, whereText(this.x, seen.x));
    }
    const tops = places(panels.length, seen.height, seen.em);
    fillList(
      this.titles,
      panels.map((panel, index) => ({ panel, top: tops[index].top })),
      () => make("div", { class: "title" }, make("span", { class: "what" }), make("span", { class: "values" })),
      (element, { panel, top }) => {
        element.style.top = `${top}px`;
        setText(element.children[0], panel.unit ? `${panel.title} (${panel.unit})` : panel.title);
        const shown = figures(panel, comparison, seen, there ? this.x : null, this.#sent);
        fillList(element.children[1], shown, () => make("span"), fillFigure);
      },
    );
  }
}

/** @param {any} element @param {{letter: string, text: string, reference: boolean}} figure */
function fillFigure(element, { letter, text, reference }) {
  setClass(element, `value-${letter}${reference ? " reference" : ""}`);
  setText(element, text);
}

/** @param {number} x @param {string} axis */
const whereText = (x, axis) => (axis === "time" ? `${plain(x, 2)} s` : `${plain(x, 0)} m`);

/**
 * The figures of a panel at x; without one, those of the newest sample.
 * @param {Panel} panel @param {Comparison} comparison @param {Seen} seen @param {number | null} x
 * @param {Map<string, Sent>} kept from one x to the next
 */
export function figures({ key }, { drawn, deltas }, seen, x, kept) {
  if (key === DELTA) {
    return deltas.map(({ letter, line, against }) => {
      const own = drawn.find((one) => one.letter === letter && !one.reference);
      const inTime = x !== null && seen.x === "time" && own !== undefined;
      const where = inTime ? at(own.trace.times, own.trace.distances, x) : x;
      const value = where === null ? line.y.at(-1) : at(/** @type {number[]} */ (line.x), line.y, where);
      const way = Math.abs(Number(value)) < SAME_S ? "even with" : Number(value) > 0 ? "slower than" : "faster than";
      const more = known(value) ? ` ${way} ${against}` : "";
      return { letter, reference: false, text: `${letter} ${signed(value, 3)}${more}` };
    });
  }
  return drawn.map((one, index) => {
    const { letter, short, reference } = one;
    const name = `${key} ${index}`;
    const sent = kept.get(name) ?? sentOf(one.trace, key, seen);
    kept.set(name, sent);
    // What an ended lap is held against has its figure at the same place, not that of its own end.
    const own = reference ? drawn.find((other) => other.letter === letter && !other.reference) : undefined;
    const value = valueAt(sent, x ?? (own ? newest(along(own.trace, seen.x)) : null), channels.steps(key));
    const text = known(value) ? channels.digits(key, value) : UNKNOWN;
    // Which lap it is of stands in the key.
    return { letter, reference, text: reference ? `${letter} ${short} ${text}` : `${letter} ${text}` };
  });
}

/** The last place that is known; null without any. @param {Float32Array} places @returns {number | null} */
const newest = (places) => places.findLast((place) => !Number.isNaN(place)) ?? null;

/**
 * The samples of a channel, and when the lap's last one is from.
 * @typedef {{xs: Float32Array, ys: Float32Array, times: Float32Array, lastS: number}} Sent
 */

/** @param {import("./trace.js").Trace} trace @param {string} key @param {Seen} seen @returns {Sent} */
export function sentOf(trace, key, { x, units }) {
  const values = trace.values(key) ?? new Float32Array(0);
  const [xs, { times }] = [along(trace, x), trace];
  const there = [...values.keys()].filter((index) => !Number.isNaN(values[index]) && !Number.isNaN(xs[index]));
  const of = (/** @type {Float32Array} */ all) => Float32Array.from(there, (index) => all[index]);
  return { xs: of(xs), ys: shownValues(of(values), key, units), times: of(times), lastS: times.at(-1) ?? NaN };
}

/**
 * The value at x, or the newest; NaN where there was none, or none for long.
 * @param {Sent} sent @param {number | null} x @param {boolean} steps
 */
export function valueAt({ xs, ys, times, lastS }, x, steps) {
  if (x === null) return lastS - (times.at(-1) ?? NaN) <= HOLE_S ? (ys.at(-1) ?? NaN) : NaN;
  const value = at(xs, ys, x);
  if (Number.isNaN(value)) return NaN;
  const after = xs.findIndex((one) => one >= x);
  if (xs[after] === x) return ys[after];
  if (times[after] - times[after - 1] > HOLE_S) return NaN;
  return steps ? ys[after - 1] : value;
}
