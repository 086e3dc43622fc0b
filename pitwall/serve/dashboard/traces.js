// @ts-check
/** Traces of the selected one or two cars: what was sent over lap distance or time, lap over lap, and the g-g diagram. */

import { compare } from "./compare.js";
import { Cursor } from "./cursor.js";
import { at } from "./curves.js";
import { make, setAttribute, setText } from "./dom.js";
import { known } from "./format.js";
import { GG } from "./gg.js";
import { Legend } from "./legend.js";
import { library } from "./library.js";
import { layout, leastHeight, lines, panelsOf } from "./panels.js";
import { load, save, TraceTools } from "./tracetools.js";

/** @typedef {import("./race.js").Car} Car */
/** @typedef {import("./recorder.js").Recorder} Recorder */
/** @typedef {import("./compare.js").Comparison} Comparison */
/** @typedef {import("./tracetools.js").Choice} Choice */

/** What comes is drawn so often [ms], and no more than this share of the time is spent on it. */
const REDRAW_MS = 1000;
const SHARE = 0.07;
/** The g-g diagram is drawn with every third of these. */
const GG_EVERY = 3;
/** So long after a wheel was turned or something dragged, nothing that comes is drawn [ms]. */
const HAND_MS = 700;
/** A hand that is longer on the plot was not seen to leave it [ms]. */
const LONGEST_DRAG_MS = 15000;
/** A library that did not come is asked for again after [ms]. */
const AGAIN_MS = 10000;
/** Then the page scrolls as a whole, and a wheel is for that. */
const SCROLLS = "(max-width: 1080px)";
/** Colours that the drawing takes of the theme. */
const COLOURS = ["text", "muted", "line", "track", "accent", "compare"];

export class Traces {
  /**
   * @param {Recorder} recorder
   * @param {(work: () => Promise<any>) => Promise<any>} meanwhile does what stops the page for a while
   */
  constructor(recorder, meanwhile) {
    this.recorder = recorder;
    this.meanwhile = meanwhile;
    this.choice = load();
    /** What drag does; on a screen that is touched it scrolls the page until something else is chosen. @type {string | false} */
    this.drag = matchMedia("(pointer: coarse)").matches ? false : "zoom";
    /** What is seen of the x axis; null: all of it. @type {number[] | null} */
    this.range = null;
    /** @type {any} */
    this.plotly = null;
    /** @type {Car[]} */
    this.cars = [];
    this.units = "km/h";
    /** @type {any} */
    this.track = null;
    this.#build();
  }

  #drawnAs = "";
  #drawnCome = "";
  #drawnAt = -Infinity;
  #handAt = -Infinity;
  #held = false;
  #costMs = 0;
  #turn = 0;
  #triedAt = -Infinity;
  #listening = false;

  #build() {
    this.tools = new TraceTools({
      choose: (choice) => this.#choose(choice),
      drag: (what) => this.#setDrag(this.drag === what ? false : what),
      zoom: (factor, way) => this.#zoom(factor, way),
      whole: () => this.#see(null),
    });
    this.legend = new Legend();
    this.plot = make("div", { class: "plot", tabindex: "0", role: "group" });
    this.cursor = new Cursor(this.plot);
    this.gg = new GG();
    this.message = make("p", { class: "none", role: "status" });
    this.room = make("div", { class: "room" }, make("div", { class: "plots" }, this.plot, this.cursor.element));
    this.content = make("div", { class: "content" }, this.room, this.gg.element);
    const parts = [this.tools.element, this.legend.element, this.message, this.content];
    this.element = make("div", { class: "traces" }, ...parts);
    new ResizeObserver(() => void (this.#drawnAs = "")).observe(this.room);
    this.plot.addEventListener("pointerdown", () => this.#hand(true));
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => this.#held && this.#hand(false));
  }

  /** A hand is on the plot, or has left it. @param {boolean} held */
  #hand(held) {
    this.#held = held;
    this.#handAt = performance.now();
  }

  /** @param {Partial<Choice>} choice */
  #choose(choice) {
    if (choice.x !== undefined && choice.x !== this.choice.x) this.range = null;
    Object.assign(this.choice, choice);
    save(this.choice);
    this.#drawnAs = "";
  }

  /** @param {string | false} drag */
  #setDrag(drag) {
    this.drag = drag;
    this.#drawnAs = "";
  }

  /** @param {number[] | null} range */
  #see(range) {
    this.range = range;
    this.#drawnAs = "";
  }

  /** @param {number} factor of the width @param {number} way in widths */
  #zoom(factor, way) {
    const whole = this.#whole(this.#comparison());
    const [from, to] = this.range ?? whole;
    const half = ((to - from) * factor) / 2;
    const middle = (this.cursor.x ?? (from + to) / 2) + way * (to - from);
    this.#see(within([middle - half, middle + half], whole));
  }

  #comparison() {
    return compare(this.cars, (id) => this.recorder.of(id), this.choice);
  }

  /** The whole of the x axis. @param {Comparison} comparison @returns {number[]} */
  #whole({ drawn }) {
    const ends = drawn.map(({ trace }) =>
      this.choice.x === "time"
        ? Math.max(trace.times.at(-1) ?? 0, trace.seconds || 0)
        : trace.distances.reduce((most, distance) => (distance > most ? distance : most), 0),
    );
    const length = this.choice.x === "distance" && known(this.track?.length_m) ? this.track.length_m : 0;
    return [0, Math.max(...ends, length, 1)];
  }

  /**
   * Draw what is to be drawn.
   * @param {Car[]} cars one or two @param {any} track as /api/laps tells it @param {string} units @param {number} now
   */
  show(cars, track, units, now) {
    [this.cars, this.track, this.units] = [cars, track, units];
    if (this.plotly === null) return this.#load(now);
    // What is drawn under a hand that drags is lost to it.
    if (this.#held && now - this.#handAt < LONGEST_DRAG_MS) return;
    const as = this.#as();
    if (as === this.#drawnAs) {
      const wait = Math.max(REDRAW_MS, this.#costMs / SHARE);
      if (now - this.#handAt < HAND_MS || now - this.#drawnAt < wait) return;
      if (this.#come() === this.#drawnCome) return;
    }
    this.#draw(now, as);
  }

  /** What decides on what is drawn, besides what comes. */
  #as() {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const { theme } = document.documentElement.dataset;
    const size = [this.room.clientWidth, this.room.clientHeight, this.track?.length_m, this.track?.sector_ends_m];
    return JSON.stringify([this.cars.map(({ id }) => id), this.choice, this.range, this.drag, this.units, theme, dark, size]);
  }

  /** What has come of these cars, and of their laps in the table. */
  #come() {
    return JSON.stringify(this.cars.map(({ id, laps }) => [this.recorder.of(id)?.version, laps.size]));
  }

  /** @param {number} now */
  #load(now) {
    if (now - this.#triedAt < AGAIN_MS) return;
    this.#triedAt = Infinity;
    this.#say("Loading the plotting library…");
    this.meanwhile(library).then(
      (plotly) => void (this.plotly = plotly),
      (error) => {
        this.#triedAt = performance.now();
        this.#say(`${error.message} There are no traces without it.`);
      },
    );
  }

  /** @param {string} text */
  #say(text) {
    setText(this.message, text);
    this.message.hidden = text === "";
    this.content.hidden = text !== "";
  }

  /** @param {number} now @param {string} as */
  #draw(now, as) {
    const began = performance.now();
    const all = as !== this.#drawnAs;
    const comparison = this.#comparison();
    this.#words(comparison);
    const panels = panelsOf(comparison, this.units);
    this.#drawnAs = as;
    this.#drawnCome = this.#come();
    this.#drawnAt = now;
    if (panels.length === 0) return this.#say("Nothing to draw has come yet.");
    this.#say("");
    const seen = this.#seen(comparison, panels.length);
    if (seen.width < 120) return;
    const figure = lines(panels, comparison, seen);
    const config = {
      displayModeBar: false,
      doubleClick: false,
      scrollZoom: !matchMedia(SCROLLS).matches,
      responsive: false,
    };
    this.plotly.react(this.plot, figure, layout(panels, seen, this.#ends(comparison), this.drag), config);
    this.#listen();
    this.cursor.show(panels, comparison, seen);
    if (all || this.#turn++ % GG_EVERY === 0) this.gg.draw(this.plotly, comparison.drawn, seen);
    // One slow drawing is not the next one's fault.
    this.#costMs = 0.7 * this.#costMs + 0.3 * (performance.now() - began);
  }

  #listen() {
    if (this.#listening) return;
    this.#listening = true;
    const seen = (/** @type {any} */ change) => {
      const range = change["xaxis.range"] ?? [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (!range.every((/** @type {any} */ end) => known(Number(end))) || range[0] === undefined) return;
      this.#handAt = performance.now();
      this.range = within(range.map(Number), this.#whole(this.#comparison()));
    };
    this.plot.on("plotly_relayout", (/** @type {any} */ change) => {
      seen(change);
      this.#handAt = -Infinity;
    });
    this.plot.on("plotly_relayouting", seen);
    this.plot.on("plotly_doubleclick", () => this.#see(null));
  }

  /** @param {Comparison} comparison @param {number} panels @returns {import("./panels.js").Seen} */
  #seen(comparison, panels) {
    const style = getComputedStyle(this.element);
    const em = parseFloat(style.fontSize);
    const colours = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    const whole = this.#whole(comparison);
    const range = this.range === null ? whole : within(this.range, whole);
    // Where the page scrolls, the room is as high as what is in it.
    const room = matchMedia(SCROLLS).matches ? 0 : this.room.clientHeight - 2;
    const height = Math.max(room, Math.ceil(leastHeight(panels, em)));
    return { x: this.choice.x, range, width: this.room.clientWidth, height, em, units: this.units, colours };
  }

  /** Where sectors end on the x axis, as far as that is known. @param {Comparison} comparison */
  #ends({ drawn }) {
    const ends = /** @type {number[]} */ (this.track?.sector_ends_m ?? []);
    const path = this.choice.x === "time" ? [...drawn].reverse().find(({ trace }) => trace.began)?.trace.path : null;
    return ends
      .map((end, sector) => {
        const time = path ? at(path.distances, path.times, Math.min(end, path.distances.at(-1) ?? 0)) : NaN;
        const passed = path && (path.distances.at(-1) ?? 0) > end - 30;
        return { x: this.choice.x === "distance" ? end : passed ? time : NaN, text: `S${sector + 1}` };
      })
      .filter(({ x }) => known(x));
  }

  /** @param {Comparison} comparison */
  #words(comparison) {
    const { x } = this.choice;
    this.tools.show(this.choice, this.cars.length > 1, this.drag, this.range !== null);
    this.legend.show(comparison, this.cars, x);
    const over = x === "time" ? "time" : "lap distance";
    setAttribute(this.plot, "aria-label", `Traces over ${over}; the left and right keys move the cursor`);
  }
}

/** A range as wide as it was asked for, if there is room, within the whole. @param {number[]} range @param {number[]} whole */
export function within([from, to], [least, most]) {
  const width = Math.min(Math.max(to - from, (most - least) / 500), most - least);
  const left = Math.min(Math.max((from + to - width) / 2, least), most - width);
  return width >= (most - least) * 0.999 ? [least, most] : [left, left + width];
}
