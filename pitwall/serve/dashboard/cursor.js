// @ts-check
/** The cursor that runs through all panels, and the figures in their titles: at the cursor, or of the newest sample. */

import * as channels from "./channels.js";
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
    this.#draw();
  }

  /** @param {number | null} x */
  #go(x) {
    this.x = x;
    this.#draw();
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
        const shown = figures(panel, comparison, seen, there ? this.x : null);
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
 */
export function figures({ key }, { drawn, deltas }, seen, x) {
  if (key === DELTA) {
    return deltas.map(({ letter, line, against }) => {
      const own = drawn.find((one) => one.letter === letter && !one.reference);
      const inTime = x !== null && seen.x === "time" && own !== undefined;
      const where = inTime ? at(own.trace.times, own.trace.distances, x) : x;
      const value = where === null ? line.y.at(-1) : at(/** @type {number[]} */ (line.x), line.y, where);
      const more = known(value) ? ` ${value > 0 ? "slower" : "faster"} than ${against}` : "";
      return { letter, reference: false, text: `${letter} ${signed(value, 3)}${more}` };
    });
  }
  return drawn.map(({ letter, trace, short, reference }) => {
    const values = trace.values(key);
    const value = values === null ? NaN : valueAt(trace, values, seen.x, x, channels.steps(key));
    const shown = shownValues(Float32Array.of(value), key, seen.units)[0];
    const text = known(shown) ? channels.digits(key, shown) : UNKNOWN;
    return { letter, reference, text: `${letter} ${short} ${text}` };
  });
}

/**
 * A channel at x, or its newest value; NaN where it was not seen.
 * @param {import("./trace.js").Trace} trace @param {Float32Array} values @param {string} axis
 * @param {number | null} x @param {boolean} steps
 */
export function valueAt(trace, values, axis, x, steps = false) {
  const sent = [...values.keys()].filter((index) => !Number.isNaN(values[index]));
  if (x === null) return values[sent.at(-1) ?? -1] ?? NaN;
  const xs = along(trace, axis);
  const placed = sent.filter((index) => !Number.isNaN(xs[index]));
  const after = placed.findIndex((index) => xs[index] >= x);
  if (after < 0 || (after === 0 && xs[placed[0]] !== x)) return NaN;
  if (xs[placed[after]] === x) return values[placed[after]];
  const [one, other] = [placed[after - 1], placed[after]];
  if (trace.times[other] - trace.times[one] > HOLE_S) return NaN;
  if (steps) return values[one];
  return values[one] + ((x - xs[one]) / (xs[other] - xs[one])) * (values[other] - values[one]);
}
